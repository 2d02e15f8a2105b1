//! What a built-in kind has even where its JSON does not say so.
//!
//! Kubernetes holds built-in objects as structs: a struct field that is no pointer is there, empty,
//! in every object, and a key field that may not be absent has the zero value of its type. Field
//! ownership shows both. Custom resources have none of this.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::schema::Shape;

static EMPTY_MAP: LazyLock<Value> = LazyLock::new(|| json!({}));
static NULL: Value = Value::Null;
static TCP: LazyLock<Value> = LazyLock::new(|| json!("TCP"));
static ZERO: LazyLock<Value> = LazyLock::new(|| json!(0));
static EMPTY_TEXT: LazyLock<Value> = LazyLock::new(|| json!(""));
static FALSE: Value = Value::Bool(false);

/// Struct fields that are structs themselves, not pointers: the definition's last word, the field.
const STRUCTS: &[(&str, &str)] = &[
    ("CSIDriver", "spec"),
    ("Container", "resources"),
    ("ContainerStatus", "lastState"),
    ("ContainerStatus", "state"),
    ("CronJobSpec", "jobTemplate"),
    ("CustomResourceDefinitionSpec", "names"),
    ("CustomResourceDefinitionStatus", "acceptedNames"),
    ("DaemonSetSpec", "template"),
    ("DaemonSetSpec", "updateStrategy"),
    ("DeploymentSpec", "strategy"),
    ("DeploymentSpec", "template"),
    ("Event", "deprecatedSource"),
    ("Event", "regarding"),
    ("EphemeralContainer", "resources"),
    ("Event", "involvedObject"),
    ("Event", "source"),
    ("HorizontalPodAutoscalerSpec", "scaleTargetRef"),
    ("IngressStatus", "loadBalancer"),
    ("JobSpec", "template"),
    ("JobTemplateSpec", "metadata"),
    ("JobTemplateSpec", "spec"),
    ("NetworkPolicySpec", "podSelector"),
    ("NodeDaemonEndpoints", "kubeletEndpoint"),
    ("NodeStatus", "daemonEndpoints"),
    ("NodeStatus", "nodeInfo"),
    ("PersistentVolumeClaimSpec", "resources"),
    ("PersistentVolumeClaimTemplate", "metadata"),
    ("PersistentVolumeClaimTemplate", "spec"),
    ("PodTemplate", "template"),
    ("PodTemplateSpec", "metadata"),
    ("PodTemplateSpec", "spec"),
    ("ReplicaSetSpec", "template"),
    ("ServiceStatus", "loadBalancer"),
    ("StatefulSetSpec", "template"),
    ("StatefulSetSpec", "updateStrategy"),
    ("VolumeAttachmentSpec", "source"),
];

/// Root fields that are structs in every kind that has them.
const ROOT_STRUCTS: &[&str] = &["metadata", "spec", "status"];

/// Lists and times that are written as null where they are absent: the definition's last word, the
/// field.
const NULLS: &[(&str, &str)] = &[
    ("CustomResourceDefinitionStatus", "conditions"),
    ("CustomResourceDefinitionStatus", "storedVersions"),
    ("Event", "deprecatedFirstTimestamp"),
    ("Event", "deprecatedLastTimestamp"),
    ("Event", "eventTime"),
    ("Event", "firstTimestamp"),
    ("Event", "lastTimestamp"),
    ("PodSpec", "containers"),
];

/// Texts that are written as empty where they are absent.
const TEXTS: &[(&str, &str)] = &[
    ("Event", "reportingComponent"),
    ("Event", "reportingInstance"),
];

/// Returns the value that an absent field has, if it has one; `is_root` tells a whole object.
pub(super) fn zero(definition: &str, field: &str, is_root: bool) -> Option<&'static Value> {
    let name = last_word(definition);
    if is_root && ROOT_STRUCTS.contains(&field) || STRUCTS.contains(&(name, field)) {
        return Some(&EMPTY_MAP);
    }
    match (name, field) {
        ("PriorityClass", "value") => Some(&ZERO),
        pair if NULLS.contains(&pair) => Some(&NULL),
        pair if TEXTS.contains(&pair) => Some(&EMPTY_TEXT),
        _ => None,
    }
}

/// Returns the value of a key field that a list item leaves out, if it has one.
pub(super) fn key_default(
    definition: &str,
    key: &str,
    is_required: bool,
    shape: &Shape,
) -> Option<&'static Value> {
    match (last_word(definition), key) {
        ("ContainerPort" | "ServicePort", "protocol") => return Some(&TCP),
        ("LocalObjectReference", "name") => return Some(&EMPTY_TEXT),
        _ if !is_required => return None,
        _ => {}
    }
    match shape {
        Shape::String => Some(&EMPTY_TEXT),
        Shape::Integer | Shape::Number => Some(&ZERO),
        Shape::Boolean => Some(&FALSE),
        _ => None,
    }
}

fn last_word(definition: &str) -> &str {
    definition.rsplit('.').next().unwrap_or(definition)
}
