//! What a built-in kind has even where its JSON does not say so.
//!
//! Kubernetes holds built-in objects as structs: a struct field that is no pointer is there, empty,
//! in every object, and a key field that may not be absent has the zero value of its type. Field
//! ownership shows both. Custom resources have none of this.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::schema::{Schema, Shape};

static EMPTY_MAP: LazyLock<Value> = LazyLock::new(|| json!({}));
static EMPTY_ROLE_REF: LazyLock<Value> =
    LazyLock::new(|| json!({ "apiGroup": "", "kind": "", "name": "" }));
static NULL: Value = Value::Null;
static TCP: LazyLock<Value> = LazyLock::new(|| json!("TCP"));
static ZERO: LazyLock<Value> = LazyLock::new(|| json!(0));
static ZERO_TEXT: LazyLock<Value> = LazyLock::new(|| json!("0"));
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
    ("ClusterRole", "rules"),
    ("CustomResourceDefinitionStatus", "conditions"),
    ("CustomResourceDefinitionStatus", "storedVersions"),
    ("EndpointSlice", "endpoints"),
    ("EndpointSlice", "ports"),
    ("Event", "deprecatedFirstTimestamp"),
    ("Event", "deprecatedLastTimestamp"),
    ("Event", "eventTime"),
    ("Event", "firstTimestamp"),
    ("Event", "lastTimestamp"),
    ("HorizontalPodAutoscalerStatus", "currentMetrics"),
    ("Role", "rules"),
];

/// Texts that are written as empty where they are absent.
const TEXTS: &[(&str, &str)] = &[
    ("Event", "reportingComponent"),
    ("Event", "reportingInstance"),
    ("StatefulSetSpec", "serviceName"),
];

/// Numbers that are written as zero where they are absent.
const NUMBERS: &[(&str, &str)] = &[
    ("PodDisruptionBudgetStatus", "currentHealthy"),
    ("PodDisruptionBudgetStatus", "desiredHealthy"),
    ("PodDisruptionBudgetStatus", "disruptionsAllowed"),
    ("PodDisruptionBudgetStatus", "expectedPods"),
    ("PriorityClass", "value"),
    ("StatefulSetStatus", "availableReplicas"),
];

/// Returns the value that an absent field has, if it has one; `is_root` tells a whole object.
pub(super) fn zero(definition: &str, field: &str, is_root: bool) -> Option<&'static Value> {
    let name = last_word(definition);
    if is_root && ROOT_STRUCTS.contains(&field) || STRUCTS.contains(&(name, field)) {
        return Some(&EMPTY_MAP);
    }
    match (name, field) {
        ("RoleBinding" | "ClusterRoleBinding", "roleRef") => Some(&EMPTY_ROLE_REF),
        pair if NUMBERS.contains(&pair) => Some(&ZERO),
        pair if NULLS.contains(&pair) => Some(&NULL),
        // Only the older of the two views of events writes them.
        ("Event", _) if definition.contains(".events.") => None,
        pair if TEXTS.contains(&pair) => Some(&EMPTY_TEXT),
        _ => None,
    }
}

/// Returns the value that a field has in a struct of which it is a required part.
pub(super) fn zero_of(field: &Schema) -> &'static Value {
    let is = |definition: &str| {
        let own = field.definition.as_deref();
        own.is_some_and(|own| last_word(own) == definition)
    };
    match &field.shape {
        Shape::String if field.format == "date-time" => &NULL,
        Shape::String => &EMPTY_TEXT,
        Shape::Integer | Shape::Number => &ZERO,
        Shape::IntOrString if is("Quantity") => &ZERO_TEXT,
        Shape::IntOrString => &ZERO,
        Shape::Boolean => &FALSE,
        // Lists, maps and pointers.
        Shape::Any | Shape::Object { .. } | Shape::List { .. } => &NULL,
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
