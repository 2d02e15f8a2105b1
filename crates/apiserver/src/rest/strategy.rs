//! What single kinds do beside the common rules: Namespaces, definitions, Jobs, Pods.
//!
//! Everything that the common pipeline must know about one kind stands here, and nowhere else.

use serde_json::{Value, json};
use tokio::sync::MutexGuard;

use super::definitions::{self, is_definition};
use super::{metadata, services};
use crate::api::Api;
use crate::builtin;
use crate::error::FieldError;
use crate::kinds::TypeInfo;
use crate::objects::{meta_mut, meta_text};

/// Namespaces that cannot be deleted.
pub(crate) const PROTECTED_NAMESPACES: [&str; 3] = ["default", "kube-system", "kube-public"];
/// The label that names a Namespace.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// Returns whether a kind is Namespace.
pub(crate) fn is_namespace(kind: &TypeInfo) -> bool {
    kind.group.is_empty() && kind.plural == "namespaces"
}

/// Returns whether a new object's status is dropped.
pub(crate) fn drops_status(kind: &TypeInfo) -> bool {
    kind.has_status && !(kind.group.is_empty() && kind.plural == "nodes")
}

/// Completes an object with the defaults that its kind's rules give beside the schema's.
pub(crate) fn complete(api: &Api, kind: &TypeInfo, object: &mut Value, old: Option<&Value>) {
    if is_definition(kind) {
        definitions::complete(api, object, old);
    }
}

/// Returns whether a PUT to an object that is not there creates it.
pub(crate) fn creates_on_update(kind: &TypeInfo) -> bool {
    match kind.group.as_str() {
        "" => matches!(
            kind.plural.as_str(),
            "services" | "events" | "endpoints" | "nodes" | "limitranges" | "resourcequotas"
        ),
        "coordination.k8s.io" | "events.k8s.io" | "rbac.authorization.k8s.io" => true,
        _ => false,
    }
}

/// Held while a Service is stored, so that no other gets the same address.
pub(crate) type Allocation<'a> = Option<MutexGuard<'a, ()>>;

/// Completes a new object with what is nobody's field.
pub(crate) async fn prepare_create<'a>(
    api: &'a Api,
    kind: &TypeInfo,
    object: &mut Value,
) -> Result<Allocation<'a>, Vec<FieldError>> {
    if is_namespace(kind) {
        let spec = object
            .as_object_mut()
            .map(|o| o.entry("spec").or_insert_with(|| json!({})));
        if let Some(spec) = spec {
            let list = spec.get("finalizers").and_then(Value::as_array);
            if !list.is_some_and(|list| list.iter().any(|f| f == "kubernetes")) {
                spec["finalizers"] = json!(["kubernetes"]);
            }
        }
        object["status"] = json!({ "phase": "Active" });
    }
    allocate(api, kind, object, None).await
}

async fn allocate<'a>(
    api: &'a Api,
    kind: &TypeInfo,
    object: &mut Value,
    live: Option<&Value>,
) -> Result<Allocation<'a>, Vec<FieldError>> {
    let mut guard = None;
    if services::is_service(kind) {
        guard = Some(api.allocating.lock().await);
        services::allocate(api, object)?;
    }
    if !kind.custom {
        builtin::complete(kind, object, live);
    }
    Ok(guard)
}

/// Puts the parts of an object that an endpoint does not write back to what they are.
pub(crate) fn keep_other_parts(kind: &TypeInfo, subresource: &str, live: &Value, new: &mut Value) {
    match subresource {
        "status" => {
            let status = new.get("status").cloned();
            let managed = new.pointer("/metadata/managedFields").cloned();
            let mut kept = live.clone();
            set(&mut kept, "status", status);
            let meta = meta_mut(&mut kept);
            match managed {
                Some(managed) => meta.insert("managedFields".to_owned(), managed),
                None => meta.remove("managedFields"),
            };
            *new = kept;
        }
        "finalize" => {
            let finalizers = new.pointer("/spec/finalizers").cloned();
            let mut kept = live.clone();
            match finalizers {
                Some(list) if list.as_array().is_some_and(|l| !l.is_empty()) => {
                    kept["spec"]["finalizers"] = list
                }
                _ => kept["spec"] = json!({}),
            }
            *new = kept;
        }
        _ => {
            if kind.has_status && !is_definition(kind) {
                set(new, "status", live.get("status").cloned());
            }
            if is_namespace(kind) {
                set(new, "spec", live.get("spec").cloned());
            }
        }
    }
}

fn set(object: &mut Value, field: &str, value: Option<Value>) {
    if let Some(map) = object.as_object_mut() {
        match value {
            Some(value) => map.insert(field.to_owned(), value),
            None => map.remove(field),
        };
    }
}

/// Completes an updated object with what its kind demands.
pub(crate) async fn prepare_update<'a>(
    api: &'a Api,
    kind: &TypeInfo,
    live: &Value,
    new: &mut Value,
) -> Result<Allocation<'a>, Vec<FieldError>> {
    if is_namespace(kind) {
        let name = meta_text(live, "name").to_owned();
        let labels = meta_mut(new).entry("labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.insert(NAMESPACE_LABEL.to_owned(), name.into());
        }
    }
    allocate(api, kind, new, Some(live)).await
}

/// Returns whether the part that `metadata.generation` counts differs.
pub(crate) fn spec_differs(kind: &TypeInfo, live: &Value, new: &Value) -> bool {
    if !kind.custom {
        return match kind.plural.as_str() {
            "validatingwebhookconfigurations" | "mutatingwebhookconfigurations" => {
                live.get("webhooks") != new.get("webhooks")
            }
            "deployments" => {
                let annotations = |v: &Value| v.pointer("/metadata/annotations").cloned();
                live.get("spec") != new.get("spec") || annotations(live) != annotations(new)
            }
            _ => live.get("spec") != new.get("spec"),
        };
    }
    let ignored = |field: &str| field == "metadata" || (kind.has_status && field == "status");
    let counted = |value: &Value| -> Vec<(String, Value)> {
        let fields = value.as_object().into_iter().flatten();
        fields
            .filter(|(k, _)| !ignored(k))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    };
    counted(live) != counted(new)
}

/// Returns whether a deleted object is answered with its last state instead of a Status.
pub(crate) fn shows_deleted(kind: &TypeInfo) -> bool {
    match kind.group.as_str() {
        "" => matches!(
            kind.plural.as_str(),
            "persistentvolumes"
                | "persistentvolumeclaims"
                | "podtemplates"
                | "resourcequotas"
                | "serviceaccounts"
        ),
        "storage.k8s.io" => true,
        _ => false,
    }
}

/// Adds the warnings that an object deserves.
pub(crate) fn warn(
    kind: &TypeInfo,
    object: &Value,
    old: Option<&Value>,
    warnings: &mut Vec<String>,
) {
    let pod = match kind.plural.as_str() {
        _ if kind.custom => "",
        "pods" => "spec",
        "cronjobs" => "spec.jobTemplate.spec.template.spec",
        "deployments" | "statefulsets" | "daemonsets" | "replicasets" | "jobs" => {
            "spec.template.spec"
        }
        _ => "",
    };
    let constraints = (!pod.is_empty())
        .then(|| {
            object.pointer(&format!(
                "/{}/topologySpreadConstraints",
                pod.replace('.', "/")
            ))
        })
        .flatten()
        .and_then(Value::as_array);
    for (index, constraint) in constraints.into_iter().flatten().enumerate() {
        if constraint.get("labelSelector").is_none() {
            let at = format!("{pod}.topologySpreadConstraints[{index}].labelSelector");
            warnings.push(format!(
                "{at}: a null labelSelector results in matching no pod"
            ));
        }
    }
    warnings.extend(metadata::finalizer_warnings(kind, object, old));
}

/// Lets a definition be accepted; nothing for other kinds.
pub(crate) fn accept(
    api: &Api,
    kind: &TypeInfo,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<(), Vec<FieldError>> {
    if is_definition(kind) {
        definitions::check(api, object, old)
    } else {
        Ok(())
    }
}

/// Lets what follows from a stored change take effect.
pub(crate) async fn stored(api: &Api, kind: &TypeInfo, name: &str) {
    if is_definition(kind) {
        definitions::establish(api, kind, name).await;
        definitions::clean_up(api, name).await;
    } else if kind.custom {
        definitions::instance_changed(api, kind).await;
    }
}

/// Returns whether an object is terminating and nothing holds it any more.
pub(crate) fn is_finished(kind: &TypeInfo, object: &Value) -> bool {
    if meta_text(object, "deletionTimestamp").is_empty() {
        return false;
    }
    let some = |at: &str| {
        object
            .pointer(at)
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty())
    };
    let grace = object
        .pointer("/metadata/deletionGracePeriodSeconds")
        .and_then(Value::as_i64);
    let held = some("/metadata/finalizers")
        || (is_namespace(kind) && some("/spec/finalizers"))
        || grace.is_some_and(|g| g > 0);
    !held
}
