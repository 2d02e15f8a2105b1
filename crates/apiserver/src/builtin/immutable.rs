//! What cannot change once an object is there, with the texts that clients match on.
//!
//! Appliers that replace refused objects look for the word "immutable".

use serde_json::{Value, json};

use super::fields::{items, text};
use super::validate::Found;
use crate::schema::Path;

/// The text that says so.
const IMMUTABLE: &str = "field is immutable";

/// The text for ConfigMaps and Secrets that were made immutable.
const SEALED: &str = "field is immutable when `immutable` is set";

/// Reports changes of what cannot change.
pub(super) fn check(kind: &str, old: &Value, new: &Value, found: &mut Found) {
    match kind {
        "Deployment" | "ReplicaSet" | "DaemonSet" => fields(&["selector"], old, new, found),
        "StatefulSet" => fields(
            &[
                "selector",
                "serviceName",
                "podManagementPolicy",
                "volumeClaimTemplates",
            ],
            old,
            new,
            found,
        ),
        "Job" => job(old, new, found),
        "ConfigMap" => sealed(&["data", "binaryData"], old, new, found),
        "Secret" => {
            sealed(&["data"], old, new, found);
            if old["type"] != new["type"] {
                found.invalid(&Path::of("type"), &new["type"], IMMUTABLE);
            }
        }
        "Service" => service(&old["spec"], &new["spec"], found),
        "RoleBinding" | "ClusterRoleBinding" => role_reference(old, new, found),
        "PersistentVolumeClaim" => claim(&old["spec"], &new["spec"], found),
        "PersistentVolume" => volume(&old["spec"], &new["spec"], found),
        "StorageClass" => storage_class(old, new, found),
        "PriorityClass" if old["value"] != new["value"] => {
            found.forbidden(&Path::of("value"), "may not be changed in an update.");
        }
        "IngressClass" => fields(&["controller"], old, new, found),
        "EndpointSlice" if old["addressType"] != new["addressType"] => {
            found.invalid(&Path::of("addressType"), &new["addressType"], IMMUTABLE);
        }
        "Pod" => pod(&old["spec"], &new["spec"], found),
        _ => {}
    }
}

fn fields(names: &[&str], old: &Value, new: &Value, found: &mut Found) {
    for name in names {
        let (before, after) = (&old["spec"][name], &new["spec"][name]);
        if before != after {
            found.invalid(&Path::of("spec").child(name), after, IMMUTABLE);
        }
    }
}

fn job(old: &Value, new: &Value, found: &mut Found) {
    fields(
        &[
            "selector",
            "completionMode",
            "podFailurePolicy",
            "backoffLimitPerIndex",
            "managedBy",
        ],
        old,
        new,
        found,
    );
    let (before, after) = (&old["spec"], &new["spec"]);
    let elastic =
        after["completionMode"] == "Indexed" && after["completions"] == after["parallelism"];
    if before["completions"] != after["completions"] && !elastic {
        found.invalid(
            &Path::of("spec").child("completions"),
            &after["completions"],
            IMMUTABLE,
        );
    }
    // A Job that never started may still change where its Pods go.
    let waits = before["suspend"] == true && old["status"]["startTime"].is_null();
    let scheduling = |spec: &Value| {
        let mut template = spec["template"].clone();
        if waits {
            for field in ["nodeSelector", "affinity", "tolerations", "schedulingGates"] {
                template["spec"].as_object_mut().map(|it| it.remove(field));
            }
            for field in ["labels", "annotations"] {
                template["metadata"]
                    .as_object_mut()
                    .map(|it| it.remove(field));
            }
        }
        template
    };
    if scheduling(before) != scheduling(after) {
        found.invalid(
            &Path::of("spec").child("template"),
            &after["template"],
            IMMUTABLE,
        );
    }
}

fn sealed(names: &[&str], old: &Value, new: &Value, found: &mut Found) {
    if old["immutable"] != true {
        return;
    }
    if new["immutable"] != true {
        found.forbidden(&Path::of("immutable"), SEALED);
    }
    for name in names {
        if old[name] != new[name] {
            found.forbidden(&Path::of(name), SEALED);
        }
    }
}

fn service(old: &Value, new: &Value, found: &mut Found) {
    let fixed = |spec: &Value| text(spec, "type") != "ExternalName";
    if !fixed(old) || !fixed(new) {
        return;
    }
    let (before, after) = (items(old, "clusterIPs"), items(new, "clusterIPs"));
    if let (Some(first), Some(second)) = (before.first(), after.first())
        && first != second
    {
        let place = Path::of("spec").child("clusterIPs").index(0);
        found.invalid(&place, &new["clusterIPs"], "may not change once set");
    }
}

fn role_reference(old: &Value, new: &Value, found: &mut Found) {
    let role = &new["roleRef"];
    if old["roleRef"] != *role {
        let shown = json!({
            "APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"],
        });
        found.invalid(&Path::of("roleRef"), &shown, IMMUTABLE);
    }
}

fn claim(old: &Value, new: &Value, found: &mut Found) {
    let fixed = |spec: &Value| {
        let mut spec = spec.clone();
        if let Some(map) = spec.as_object_mut() {
            map.remove("volumeAttributesClassName");
            // A binder fills it in once.
            if text(old, "volumeName").is_empty() {
                map.remove("volumeName");
            }
        }
        spec["resources"]
            .as_object_mut()
            .map(|it| it.remove("requests"));
        spec
    };
    if fixed(old) != fixed(new) {
        found.forbidden(
            &Path::of("spec"),
            "spec is immutable after creation except resources.requests and \
             volumeAttributesClassName for bound claims",
        );
    }
}

fn volume(old: &Value, new: &Value, found: &mut Found) {
    const SOURCES: [&str; 7] = ["hostPath", "nfs", "csi", "local", "iscsi", "fc", "rbd"];
    if SOURCES.iter().any(|source| old[source] != new[source]) {
        let detail = "spec.persistentvolumesource is immutable after creation";
        found.forbidden(&Path::of("spec.persistentvolumesource"), detail);
    }
    if old["volumeMode"] != new["volumeMode"] {
        found.invalid(&Path::of("spec.volumeMode"), &new["volumeMode"], IMMUTABLE);
    }
}

fn storage_class(old: &Value, new: &Value, found: &mut Found) {
    for (name, detail) in [
        ("parameters", "updates to parameters are forbidden."),
        ("provisioner", "updates to provisioner are forbidden."),
        ("reclaimPolicy", "updates to reclaimPolicy are forbidden."),
    ] {
        if old[name] != new[name] {
            found.forbidden(&Path::of(name), detail);
        }
    }
    if old["volumeBindingMode"] != new["volumeBindingMode"] {
        found.invalid(
            &Path::of("volumeBindingMode"),
            &new["volumeBindingMode"],
            IMMUTABLE,
        );
    }
}

fn pod(old: &Value, new: &Value, found: &mut Found) {
    let fixed = |spec: &Value| {
        let mut spec = spec.clone();
        for list in ["containers", "initContainers", "ephemeralContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                container.as_object_mut().map(|it| it.remove("image"));
            }
        }
        if let Some(map) = spec.as_object_mut() {
            for field in [
                "initContainers",
                "ephemeralContainers",
                "activeDeadlineSeconds",
                "tolerations",
                "terminationGracePeriodSeconds",
                "schedulingGates",
            ] {
                let absent = map.get(field).is_none_or(Value::is_null);
                if absent || !field.ends_with("Containers") {
                    map.remove(field);
                }
            }
            // A scheduler fills it in once.
            if text(old, "nodeName").is_empty() {
                map.remove("nodeName");
            }
        }
        spec
    };
    if fixed(old) != fixed(new) {
        found.forbidden(
            &Path::of("spec"),
            "pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only \
             additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to \
             be set to 1 if it was previously negative)",
        );
    }
}
