//! The form that an object has after Kubernetes has read it into its types and written it again.
//!
//! Nulls and empty lists go away, plain values that are zero go away or appear, quantities get
//! their one spelling. Custom kinds are not treated so.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{DateTime, FixedOffset, Utc};
use serde_json::{Map, Value, json};

use super::quantity::canonical_quantity;
use crate::schema::{Schema, Shape};

/// Required fields that are pointers in Kubernetes, so that they stay absent.
const POINTERS: [(&str, &str); 5] = [
    ("HTTPIngressPath", "pathType"),
    ("MutatingWebhook", "sideEffects"),
    ("ValidatingWebhook", "sideEffects"),
    ("MutatingWebhook", "clientConfig"),
    ("ValidatingWebhook", "clientConfig"),
];

/// Lists that are written as null when they are empty.
const NULL_LISTS: [(&str, &str); 3] = [
    ("Role", "rules"),
    ("ClusterRole", "rules"),
    ("EndpointSlice", "endpoints"),
];

/// Objects that are always written, by type.
const PRESENT: &[(&str, &[&str])] = &[
    ("PodTemplateSpec", &["metadata", "spec"]),
    ("JobTemplateSpec", &["metadata", "spec"]),
    ("Container", &["resources"]),
    ("EphemeralContainer", &["resources"]),
    ("Deployment", &["spec", "status"]),
    ("DeploymentSpec", &["template", "strategy"]),
    ("ReplicaSet", &["spec", "status"]),
    ("ReplicationController", &["spec", "status"]),
    ("StatefulSet", &["spec", "status"]),
    ("StatefulSetSpec", &["template", "updateStrategy"]),
    ("DaemonSet", &["spec", "status"]),
    ("DaemonSetSpec", &["template", "updateStrategy"]),
    ("Job", &["spec", "status"]),
    ("JobSpec", &["template"]),
    ("CronJob", &["spec", "status"]),
    ("CronJobSpec", &["jobTemplate"]),
    ("Pod", &["spec", "status"]),
    ("Service", &["spec", "status"]),
    ("ServiceStatus", &["loadBalancer"]),
    ("Ingress", &["spec", "status"]),
    ("IngressStatus", &["loadBalancer"]),
    ("HTTPIngressPath", &["backend"]),
    ("IngressClass", &["spec"]),
    ("NetworkPolicy", &["spec"]),
    ("NetworkPolicySpec", &["podSelector"]),
    ("PodDisruptionBudget", &["spec", "status"]),
    ("HorizontalPodAutoscaler", &["spec", "status"]),
    ("HorizontalPodAutoscalerSpec", &["scaleTargetRef"]),
    ("Lease", &["spec"]),
    ("Namespace", &["spec", "status"]),
    ("Node", &["spec", "status"]),
    ("NodeStatus", &["daemonEndpoints", "nodeInfo"]),
    ("NodeDaemonEndpoints", &["kubeletEndpoint"]),
    ("PersistentVolume", &["spec", "status"]),
    ("PersistentVolumeClaim", &["spec", "status"]),
    ("PersistentVolumeClaimSpec", &["resources"]),
    ("PersistentVolumeClaimTemplate", &["spec"]),
    ("ResourceQuota", &["spec", "status"]),
    ("LimitRange", &["spec"]),
    ("RoleBinding", &["roleRef"]),
    ("ClusterRoleBinding", &["roleRef"]),
    ("ContainerStatus", &["state", "lastState"]),
    ("VolumeAttachment", &["spec", "status"]),
    ("CSIDriver", &["spec"]),
];

/// Times that are written as null when they are not set, by type.
const NULL_TIMES: &[(&str, &[&str])] = &[
    ("ContainerStateRunning", &["startedAt"]),
    ("ContainerStateTerminated", &["startedAt", "finishedAt"]),
    (
        "DeploymentCondition",
        &["lastUpdateTime", "lastTransitionTime"],
    ),
    ("ReplicaSetCondition", &["lastTransitionTime"]),
    ("ReplicationControllerCondition", &["lastTransitionTime"]),
    ("StatefulSetCondition", &["lastTransitionTime"]),
    ("DaemonSetCondition", &["lastTransitionTime"]),
    ("JobCondition", &["lastProbeTime", "lastTransitionTime"]),
    ("PodCondition", &["lastProbeTime", "lastTransitionTime"]),
    (
        "NodeCondition",
        &["lastHeartbeatTime", "lastTransitionTime"],
    ),
    (
        "PersistentVolumeClaimCondition",
        &["lastProbeTime", "lastTransitionTime"],
    ),
    ("NamespaceCondition", &["lastTransitionTime"]),
    ("HorizontalPodAutoscalerCondition", &["lastTransitionTime"]),
];

/// Numbers that are written even when they are zero, though the definitions do not require them.
const PRESENT_NUMBERS: &[(&str, &[&str])] = &[(
    "PodDisruptionBudgetStatus",
    &[
        "disruptionsAllowed",
        "currentHealthy",
        "desiredHealthy",
        "expectedPods",
    ],
)];

/// Plain values that are not written when they are zero, by type.
const OMITTED: &[(&str, &[&str])] = &[
    (
        "ObjectMeta",
        &[
            "name",
            "generateName",
            "namespace",
            "selfLink",
            "uid",
            "resourceVersion",
            "generation",
        ],
    ),
    (
        "PodSpec",
        &[
            "hostNetwork",
            "hostPID",
            "hostIPC",
            "nodeName",
            "serviceAccountName",
            "serviceAccount",
            "hostname",
            "subdomain",
            "priorityClassName",
            "schedulerName",
            "restartPolicy",
            "dnsPolicy",
        ],
    ),
    (
        "Container",
        &[
            "stdin",
            "stdinOnce",
            "tty",
            "workingDir",
            "image",
            "terminationMessagePath",
            "terminationMessagePolicy",
            "imagePullPolicy",
        ],
    ),
    ("VolumeMount", &["readOnly", "subPath", "subPathExpr"]),
    ("ContainerPort", &["name", "hostPort", "hostIP", "protocol"]),
    ("EnvVar", &["value"]),
    ("EnvFromSource", &["prefix"]),
    (
        "Probe",
        &[
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ],
    ),
    ("HTTPGetAction", &["path", "host", "scheme"]),
    ("DeploymentSpec", &["paused", "minReadySeconds"]),
    (
        "DeploymentStatus",
        &[
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
        ],
    ),
    ("ReplicaSetSpec", &["minReadySeconds"]),
    (
        "StatefulSetSpec",
        &["minReadySeconds", "serviceName", "podManagementPolicy"],
    ),
    ("DaemonSetSpec", &["minReadySeconds"]),
    ("JobStatus", &["active", "succeeded", "failed"]),
    (
        "ServiceSpec",
        &[
            "clusterIP",
            "type",
            "sessionAffinity",
            "externalName",
            "externalTrafficPolicy",
            "loadBalancerIP",
            "healthCheckNodePort",
            "publishNotReadyAddresses",
        ],
    ),
    ("ServicePort", &["name", "nodePort", "protocol"]),
    ("ConfigMapVolumeSource", &["name"]),
    ("SecretVolumeSource", &["secretName"]),
    ("EmptyDirVolumeSource", &["medium"]),
    ("PersistentVolumeClaimVolumeSource", &["readOnly"]),
    ("PersistentVolumeClaimSpec", &["volumeName"]),
    ("Toleration", &["key", "operator", "value", "effect"]),
    ("Subject", &["apiGroup", "namespace"]),
    ("Secret", &["type"]),
    (
        "NodeSpec",
        &["podCIDR", "providerID", "unschedulable", "externalID"],
    ),
    ("PriorityClass", &["globalDefault", "description"]),
    (
        "ObjectReference",
        &[
            "kind",
            "namespace",
            "name",
            "uid",
            "apiVersion",
            "resourceVersion",
            "fieldPath",
        ],
    ),
    (
        "Event",
        &[
            "reason",
            "message",
            "count",
            "type",
            "action",
            "note",
            "deprecatedCount",
        ],
    ),
    ("EventSource", &["component", "host"]),
    (
        "PodStatus",
        &[
            "phase",
            "message",
            "reason",
            "nominatedNodeName",
            "hostIP",
            "podIP",
            "qosClass",
        ],
    ),
];

/// Brings an object into the form that Kubernetes writes.
pub(super) fn normalise(schema: &Schema, value: &mut Value) {
    match (&schema.shape, value) {
        (Shape::Object { fields, .. }, Value::Object(map)) => {
            if fields.is_empty() {
                normalise_map(schema, map);
            } else {
                normalise_object(schema, map);
            }
        }
        (Shape::List { items, .. }, Value::Array(list)) => {
            for item in list {
                if item.is_null() {
                    *item = zero(items);
                }
                normalise(items, item);
            }
        }
        (Shape::IntOrString, value) if schema.type_name() == "Quantity" => spell(value),
        (Shape::String, Value::String(text)) if schema.format == "date-time" => {
            let exact = schema.type_name() == "MicroTime";
            if let Ok(time) = DateTime::parse_from_rfc3339(text) {
                *text = written_time(time, exact);
            }
        }
        _ => {}
    }
}

fn normalise_map(schema: &Schema, map: &mut Map<String, Value>) {
    for (name, child) in map.iter_mut() {
        if let Some(known) = schema.field(name) {
            if child.is_null() {
                *child = zero(known);
            }
            normalise(known, child);
        }
    }
}

fn normalise_object(schema: &Schema, map: &mut Map<String, Value>) {
    let form = FORMS.get(schema.type_name()).unwrap_or(&PLAIN);
    map.retain(|_, child| !child.is_null());
    for name in form.present {
        map.entry(*name).or_insert_with(|| json!({}));
    }
    for (name, child) in map.iter_mut() {
        if let Some(known) = schema.field(name) {
            normalise(known, child);
        }
    }
    map.retain(|name, child| {
        let goes = is_empty(child) || form.omitted.contains(&name.as_str()) && is_zero(child);
        !goes || keeps_empty(schema, name, child)
    });
    add_zeros(schema, form, map);
}

/// Returns whether an empty value is kept: an object of named fields, or a field that must be there.
fn keeps_empty(schema: &Schema, name: &str, child: &Value) -> bool {
    let Some(known) = schema.field(name) else {
        return true;
    };
    let required = matches!(&schema.shape, Shape::Object { required, .. }
        if required.iter().any(|it| it == name));
    match (&known.shape, child) {
        (Shape::Object { fields, .. }, Value::Object(_)) => !fields.is_empty() || required,
        (Shape::List { .. }, _) => required,
        (Shape::Any, _) => true,
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    }
}

/// What the tables say about one type.
#[derive(Default)]
struct Form {
    present: &'static [&'static str],
    omitted: &'static [&'static str],
    numbers: &'static [&'static str],
    times: &'static [&'static str],
    null_lists: Vec<&'static str>,
    pointers: Vec<&'static str>,
}

/// The tables by type, since every object of every write looks into them.
static FORMS: LazyLock<HashMap<&'static str, Form>> = LazyLock::new(|| {
    let mut forms: HashMap<&'static str, Form> = HashMap::new();
    for (kind, fields) in PRESENT {
        forms.entry(kind).or_default().present = fields;
    }
    for (kind, fields) in OMITTED {
        forms.entry(kind).or_default().omitted = fields;
    }
    for (kind, fields) in PRESENT_NUMBERS {
        forms.entry(kind).or_default().numbers = fields;
    }
    for (kind, fields) in NULL_TIMES {
        forms.entry(kind).or_default().times = fields;
    }
    for (kind, field) in NULL_LISTS {
        forms.entry(kind).or_default().null_lists.push(field);
    }
    for (kind, field) in POINTERS {
        forms.entry(kind).or_default().pointers.push(field);
    }
    forms
});

static PLAIN: LazyLock<Form> = LazyLock::new(Form::default);

/// Adds the plain values that are written even when they are zero.
fn add_zeros(schema: &Schema, form: &Form, map: &mut Map<String, Value>) {
    if let Shape::Object { required, .. } = &schema.shape {
        for name in required {
            if form.pointers.contains(&name.as_str()) || map.contains_key(name) {
                continue;
            }
            let Some(known) = schema.field(name) else {
                continue;
            };
            let plain = matches!(known.shape, Shape::String | Shape::Boolean);
            if plain && known.format.is_empty() || matches!(known.shape, Shape::Integer) {
                map.insert(name.clone(), zero(known));
            }
        }
    }
    for name in form.numbers {
        map.entry(*name).or_insert_with(|| 0.into());
    }
    for name in form.times {
        map.entry(*name).or_insert(Value::Null);
    }
    for name in &form.null_lists {
        let list = map.entry(*name).or_insert(Value::Null);
        if is_empty(list) {
            *list = Value::Null;
        }
    }
}

fn zero(schema: &Schema) -> Value {
    match &schema.shape {
        Shape::String | Shape::IntOrString => Value::from(""),
        Shape::Integer | Shape::Number => Value::from(0),
        Shape::Boolean => Value::from(false),
        Shape::Object { .. } => json!({}),
        Shape::List { .. } => json!([]),
        Shape::Any => Value::Null,
    }
}

/// Returns a time as Kubernetes writes it: in UTC, to the second or the microsecond.
fn written_time(time: DateTime<FixedOffset>, exact: bool) -> String {
    let form = if exact {
        "%Y-%m-%dT%H:%M:%S%.6fZ"
    } else {
        "%Y-%m-%dT%H:%M:%SZ"
    };
    time.with_timezone(&Utc).format(form).to_string()
}

fn spell(value: &mut Value) {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return,
    };
    if let Some(canonical) = canonical_quantity(&text) {
        *value = canonical.into();
    }
}
