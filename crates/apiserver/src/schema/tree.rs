//! The schema tree: one node for each value that an object may hold.
//!
//! Nodes are immutable and shared. Recursive definitions are unrolled to a fixed depth, so a walk
//! must follow a value, never the tree alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use super::cel::Expression;

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
    /// Whether values of another type are let through, as inside `anyOf` without a `type`.
    pub untyped: bool,
    /// Whether the value or anything it may hold has rules in `x-kubernetes-validations`.
    pub has_expressions: bool,
    /// Fields that the `scale` subresource reads, from the root: paths such as `.spec.replicas`.
    pub scaled_fields: Vec<String>,
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
    /// `x-kubernetes-int-or-string`, and the quantities of Kubernetes.
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
    /// The permitted values; empty where all are.
    pub enumeration: Vec<Value>,
    /// The compiled `pattern`.
    pub pattern: Option<Regex>,
    /// The compiled limits.
    pub limits: Limits,
    /// `allOf`.
    pub all_of: Vec<Arc<Schema>>,
    /// `anyOf`.
    pub any_of: Vec<Arc<Schema>>,
    /// `oneOf`.
    pub one_of: Vec<Arc<Schema>>,
    /// `not`.
    pub not: Option<Arc<Schema>>,
    /// `x-kubernetes-validations`.
    pub expressions: Vec<Expression>,
}

/// The numeric limits of a value.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// `minimum`, and whether it is exclusive.
    pub minimum: Option<(f64, bool)>,
    /// `maximum`, and whether it is exclusive.
    pub maximum: Option<(f64, bool)>,
    /// `multipleOf`.
    pub multiple_of: Option<f64>,
    /// `minLength`, in characters.
    pub min_length: Option<u64>,
    /// `maxLength`, in characters.
    pub max_length: Option<u64>,
    /// `minItems`.
    pub min_items: Option<u64>,
    /// `maxItems`.
    pub max_items: Option<u64>,
    /// `minProperties`.
    pub min_properties: Option<u64>,
    /// `maxProperties`.
    pub max_properties: Option<u64>,
    /// `uniqueItems`.
    pub unique_items: bool,
}

impl Schema {
    /// Returns the schema of a field of an object: named, or that of all other fields.
    pub fn field(&self, name: &str) -> Option<&Arc<Schema>> {
        match &self.shape {
            Shape::Object {
                fields, additional, ..
            } => fields.get(name).or(additional.as_ref()),
            _ => None,
        }
    }

    /// Returns whether the object names this field.
    pub fn has_field(&self, name: &str) -> bool {
        matches!(&self.shape, Shape::Object { fields, .. } if fields.contains_key(name))
    }

    /// Returns whether the value is a number that need not be whole.
    pub fn is_number(&self) -> bool {
        matches!(self.shape, Shape::Number)
    }

    /// Returns the schema of the items of a list.
    pub fn items(&self) -> Option<&Arc<Schema>> {
        match &self.shape {
            Shape::List { items, .. } => Some(items),
            _ => None,
        }
    }

    /// Returns whether a part of the schema has rules in `x-kubernetes-validations`.
    pub(super) fn parts_have_expressions(&self) -> bool {
        match &self.shape {
            Shape::Object {
                fields, additional, ..
            } => fields
                .values()
                .chain(additional)
                .any(|it| it.has_expressions),
            Shape::List { items, .. } => items.has_expressions,
            _ => false,
        }
    }

    /// Returns the last part of the definition's name, such as `PodSpec`; empty without one.
    pub fn type_name(&self) -> &str {
        let name = self.definition.as_deref().unwrap_or_default();
        name.rsplit('.').next().unwrap_or_default()
    }

    /// Returns the last two parts of the definition's name, such as `v1.PodSpec`.
    pub fn is_definition(&self, short: &str) -> bool {
        self.definition
            .as_deref()
            .and_then(|name| name.strip_suffix(short))
            .is_some_and(|rest| rest.ends_with('.'))
    }
}
