//! Defaults of the built-in kinds, by kind; the larger kinds have files of their own.

use serde_json::{Value, json};

use super::fields::{default, each, entries, items, object, text, with};
use super::{jobs, networking, normal, pods, services};
use crate::kinds::TypeInfo;

/// The API group of roles and their bindings.
const RBAC: &str = "rbac.authorization.k8s.io";

/// Puts in the defaults of a built-in kind; `old` is the stored object on an update.
///
/// This is [`declare_defaults`] and then [`complete`]. Kubernetes records the owners of fields
/// between the two: what the second adds has no owner.
pub fn apply_defaults(kind: &TypeInfo, value: &mut Value, old: Option<&Value>) {
    declare_defaults(kind, value, old);
    complete(kind, value, old);
}

/// Adds what is nobody's field: generated selectors, address families, taints.
pub fn complete(kind: &TypeInfo, value: &mut Value, old: Option<&Value>) {
    match (kind.kind.as_str(), old) {
        ("Job", None) => jobs::select(value),
        ("Service", _) => services::complete(value),
        ("Node", None) => node(value),
        ("Event", _) => event(&kind.group, value),
        _ => {}
    }
}

/// Puts in the defaults that the writer of an object owns as if it had sent them.
///
/// Besides the defaults, the object gets the form that Kubernetes writes: no nulls, no empty
/// lists, one spelling of quantities. A new object gets its first status.
pub fn declare_defaults(kind: &TypeInfo, value: &mut Value, old: Option<&Value>) {
    if kind.kind == "CustomResourceDefinition" {
        return;
    }
    if kind.kind == "Secret" {
        fold_string_data(value);
    }
    normal::normalise(&kind.schema, value);
    match kind.kind.as_str() {
        "Pod" => pods::pod(value, old),
        "PodTemplate" => pods::template(object(value, "template")),
        "Deployment" => deployment(value),
        "ReplicaSet" => replicas_and_template(object(value, "spec")),
        "StatefulSet" => stateful_set(value),
        "DaemonSet" => daemon_set(value, old),
        "ReplicationController" => replication_controller(value),
        "Job" => jobs::job(value),
        "CronJob" => jobs::cron_job(value),
        "Service" => services::service(value, old),
        "Secret" => default(value, "type", "Opaque"),
        "Namespace" => namespace(value),
        "LimitRange" => limit_range(value),
        "PersistentVolume" => persistent_volume(value),
        "PersistentVolumeClaim" => claim(value),
        "StorageClass" => {
            default(value, "reclaimPolicy", "Delete");
            default(value, "volumeBindingMode", "Immediate");
        }
        "CSIDriver" => driver(object(value, "spec")),
        "PriorityClass" => default(value, "preemptionPolicy", "PreemptLowerPriority"),
        "RoleBinding" | "ClusterRoleBinding" => binding(value),
        _ => networking::apply_defaults(&kind.kind, value),
    }
    // The defaults themselves may have brought in objects that are always written.
    normal::normalise(&kind.schema, value);
}

fn fold_string_data(value: &mut Value) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    let Some(Value::Object(plain)) = map.remove("stringData") else {
        return;
    };
    let data = object(value, "data");
    for (key, text) in plain {
        data[key] = encode(text.as_str().unwrap_or_default()).into();
    }
}

fn encode(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn replicas_and_template(spec: &mut Value) {
    default(spec, "replicas", 1);
    pods::template(object(spec, "template"));
}

fn deployment(value: &mut Value) {
    let spec = object(value, "spec");
    replicas_and_template(spec);
    let strategy = object(spec, "strategy");
    default(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        let rolling = object(strategy, "rollingUpdate");
        default(rolling, "maxUnavailable", "25%");
        default(rolling, "maxSurge", "25%");
    }
    default(spec, "revisionHistoryLimit", 10);
    default(spec, "progressDeadlineSeconds", 600);
}

fn stateful_set(value: &mut Value) {
    let spec = object(value, "spec");
    replicas_and_template(spec);
    default(spec, "podManagementPolicy", "OrderedReady");
    default(spec, "revisionHistoryLimit", 10);
    let strategy = object(spec, "updateStrategy");
    default(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        let rolling = object(strategy, "rollingUpdate");
        default(rolling, "partition", 0);
        default(rolling, "maxUnavailable", 1);
    }
    let retention = object(spec, "persistentVolumeClaimRetentionPolicy");
    default(retention, "whenDeleted", "Retain");
    default(retention, "whenScaled", "Retain");
    each(spec, "volumeClaimTemplates", |template| {
        default(template, "apiVersion", "v1");
        default(template, "kind", "PersistentVolumeClaim");
        claim(template);
    });
    default(object(value, "status"), "availableReplicas", 0);
}

fn daemon_set(value: &mut Value, old: Option<&Value>) {
    let spec = object(value, "spec");
    pods::template(object(spec, "template"));
    let strategy = object(spec, "updateStrategy");
    default(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        let rolling = object(strategy, "rollingUpdate");
        default(rolling, "maxUnavailable", 1);
        default(rolling, "maxSurge", 0);
    }
    default(spec, "revisionHistoryLimit", 10);
    let template = spec["template"].clone();
    let key = "deprecated.daemonset.template.generation";
    let count = match old {
        None => 1,
        Some(old) => {
            let before = text(&old["metadata"]["annotations"], key)
                .parse::<i64>()
                .unwrap_or(1);
            before + i64::from(old["spec"]["template"] != template)
        }
    };
    let annotations = object(object(value, "metadata"), "annotations");
    annotations[key] = count.to_string().into();
}

fn replication_controller(value: &mut Value) {
    let labels = value["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object() {
        default(object(value, "spec"), "selector", labels.clone());
        default(object(value, "metadata"), "labels", labels);
    }
    replicas_and_template(object(value, "spec"));
}

fn namespace(value: &mut Value) {
    let name = text(&value["metadata"], "name").to_owned();
    if !name.is_empty() {
        let labels = object(object(value, "metadata"), "labels");
        labels["kubernetes.io/metadata.name"] = name.into();
    }
}

fn node(value: &mut Value) {
    let taint = json!({ "key": "node.kubernetes.io/not-ready", "effect": "NoSchedule" });
    let spec = object(value, "spec");
    let known = items(spec, "taints")
        .iter()
        .any(|it| it["key"] == taint["key"]);
    if !known {
        let mut taints = items(spec, "taints").to_vec();
        taints.push(taint);
        spec["taints"] = taints.into();
    }
}

fn limit_range(value: &mut Value) {
    with(value, "spec", |spec| {
        each(spec, "limits", |limit| {
            if limit["type"] != "Container" {
                return;
            }
            fill(limit, "max", "default");
            fill(limit, "default", "defaultRequest");
            fill(limit, "min", "defaultRequest");
        });
    });
}

/// Copies the amounts of one list into another where that has none.
fn fill(limit: &mut Value, from: &str, to: &str) {
    let Some(amounts) = entries(limit, from).cloned() else {
        return;
    };
    let target = object(limit, to);
    for (resource, amount) in amounts {
        default(target, &resource, amount);
    }
}

fn persistent_volume(value: &mut Value) {
    let created = value["metadata"]["creationTimestamp"].clone();
    let spec = object(value, "spec");
    default(spec, "persistentVolumeReclaimPolicy", "Retain");
    default(spec, "volumeMode", "Filesystem");
    with(spec, "hostPath", |source| {
        source
            .as_object_mut()
            .map(|it| it.entry("type").or_insert_with(|| "".into()));
    });
    let status = object(value, "status");
    if text(status, "phase").is_empty() {
        default(status, "lastPhaseTransitionTime", created);
        default(status, "phase", "Pending");
    }
}

fn claim(value: &mut Value) {
    default(object(value, "spec"), "volumeMode", "Filesystem");
    default(object(value, "status"), "phase", "Pending");
}

fn driver(spec: &mut Value) {
    for (field, value) in [
        ("attachRequired", json!(true)),
        ("podInfoOnMount", json!(false)),
        ("storageCapacity", json!(false)),
        ("fsGroupPolicy", json!("ReadWriteOnceWithFSType")),
        ("requiresRepublish", json!(false)),
        ("seLinuxMount", json!(false)),
        ("volumeLifecycleModes", json!(["Persistent"])),
    ] {
        default(spec, field, value);
    }
}

fn binding(value: &mut Value) {
    default(object(value, "roleRef"), "apiGroup", RBAC);
    each(value, "subjects", |subject| {
        if matches!(text(subject, "kind"), "User" | "Group") {
            default(subject, "apiGroup", RBAC);
        }
    });
}

fn event(group: &str, value: &mut Value) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    let (objects, times): (&[&str], &[&str]) = if group.is_empty() {
        (
            &["involvedObject", "source"],
            &["firstTimestamp", "lastTimestamp", "eventTime"],
        )
    } else {
        (
            &["regarding", "deprecatedSource"],
            &[
                "deprecatedFirstTimestamp",
                "deprecatedLastTimestamp",
                "eventTime",
            ],
        )
    };
    for field in objects {
        map.entry(*field).or_insert_with(|| json!({}));
    }
    for field in times {
        map.entry(*field).or_insert(Value::Null);
    }
    if group.is_empty() {
        for field in ["reportingComponent", "reportingInstance"] {
            map.entry(field).or_insert_with(|| "".into());
        }
    }
}
