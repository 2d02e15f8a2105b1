//! Reads schema trees: from OpenAPI definitions with references, or from a structural schema.
//!
//! References to a definition share one node. A definition that contains itself is unrolled
//! [`RECURSION_MAX`] times; what lies deeper is kept as it is and not looked into.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use regex::RegexBuilder;
use serde_json::{Map, Value};

use super::cel;
use super::tree::{Limits, ListKind, Rules, Schema, Shape};

/// How often a definition that contains itself is unrolled.
///
/// A CustomResourceDefinition nests its schema once for each level of the described object; the
/// deepest ones in use have about 25 levels.
const RECURSION_MAX: usize = 48;

/// The largest compiled pattern, in bytes; Kubernetes' RE2 has a similar bound.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The keywords that become parts of [`Rules`].
const RULE_KEYWORDS: [&str; 22] = [
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "uniqueItems",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "title",
    "externalDocs",
    "example",
    "x-kubernetes-validations",
];

/// A set of OpenAPI definitions and the nodes that were read from them.
#[derive(Debug)]
pub struct Definitions<'a> {
    source: &'a Map<String, Value>,
    nodes: HashMap<(String, usize), Arc<Schema>>,
    depths: HashMap<String, usize>,
}

impl<'a> Definitions<'a> {
    /// Returns a set that reads from `source`, a map of definition names to schemas.
    pub fn new(source: &'a Map<String, Value>) -> Self {
        Self {
            source,
            nodes: HashMap::new(),
            depths: HashMap::new(),
        }
    }

    /// Returns the tree of one definition; an unknown name is a node that holds anything.
    pub fn schema(&mut self, name: &str) -> Arc<Schema> {
        let depth = self.depths.get(name).copied().unwrap_or(0);
        if depth > RECURSION_MAX {
            return Arc::new(opaque());
        }
        // A node is the same at every place that is equally deep inside its own definition.
        let place = (name.to_owned(), depth);
        if let Some(node) = self.nodes.get(&place) {
            return Arc::clone(node);
        }
        let Some(source) = self.source.get(name) else {
            return Arc::new(opaque());
        };
        self.depths.insert(name.to_owned(), depth + 1);
        let mut node = read(source, &mut Source::Definitions(self), Place::Typed);
        self.depths.insert(name.to_owned(), depth);
        node.definition = Some(name.to_owned());
        if name.ends_with(".api.resource.Quantity") {
            node.shape = Shape::IntOrString;
        }
        let node = Arc::new(node);
        self.nodes.insert(place, Arc::clone(&node));
        node
    }
}

/// Returns the tree of a structural schema, such as a CustomResourceDefinition holds.
///
/// `metadata` is the schema of `metadata` wherever a whole object is: at the root and in embedded
/// resources.
pub fn read_structural(source: &Value, metadata: &Arc<Schema>) -> Schema {
    let mut node = read(source, &mut Source::Structural(metadata), Place::Typed);
    add_object_fields(&mut node, metadata);
    node
}

/// Returns the tree of a part of a structural schema, such as one field.
pub fn read_part(source: &Value, metadata: &Arc<Schema>) -> Schema {
    read(source, &mut Source::Structural(metadata), Place::Typed)
}

/// Where references lead and how an object without fields is meant.
enum Source<'a, 'd> {
    Definitions(&'a mut Definitions<'d>),
    Structural(&'a Arc<Schema>),
}

/// Whether a schema without a type is one of a value or a condition on it.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Typed,
    Condition,
}

fn opaque() -> Schema {
    Schema {
        preserve_unknown: true,
        ..Schema::default()
    }
}

fn read_shared(node: &Value, source: &mut Source<'_, '_>, place: Place) -> Arc<Schema> {
    let target = referenced(node);
    if let (Some(name), Source::Definitions(definitions)) = (target, &mut *source) {
        let shared = definitions.schema(name);
        let own_text = node.get("description").is_some() || node.get("default").is_some();
        if !own_text && !has_list_keys(node) {
            return shared;
        }
        let mut own = Schema::clone(&shared);
        apply_annotations(&mut own, node);
        return Arc::new(own);
    }
    Arc::new(read(node, source, place))
}

/// Returns the definition that a node refers to, also where texts stand beside the reference.
fn referenced(node: &Value) -> Option<&str> {
    let direct = node.get("$ref");
    let target = direct.or_else(|| match node.get("allOf")?.as_array()?.as_slice() {
        [only] => only.get("$ref"),
        _ => None,
    });
    target?.as_str()?.rsplit('/').next()
}

fn has_list_keys(node: &Value) -> bool {
    node.get("x-kubernetes-patch-strategy").is_some() || node.get("x-kubernetes-map-type").is_some()
}

/// Puts the texts and merge rules of `node` on top of those of the definition it refers to.
fn apply_annotations(own: &mut Schema, node: &Value) {
    if let Some(text) = text(node, "description") {
        own.description = text;
    }
    if let Some(value) = node.get("default") {
        own.default = Some(value.clone());
    }
    read_patch(own, node);
    if let Shape::Object { atomic, .. } = &mut own.shape {
        *atomic |= text_is(node, "x-kubernetes-map-type", "atomic");
    }
}

fn read_patch(schema: &mut Schema, node: &Value) {
    if let Some(strategy) = text(node, "x-kubernetes-patch-strategy") {
        schema.patch_strategy = strategy.split(',').map(str::to_owned).collect();
    }
    if let Some(key) = text(node, "x-kubernetes-patch-merge-key") {
        schema.patch_merge_key = Some(key);
    }
}

fn read(node: &Value, source: &mut Source<'_, '_>, place: Place) -> Schema {
    let mut schema = Schema {
        description: text(node, "description").unwrap_or_default(),
        format: text(node, "format").unwrap_or_default(),
        nullable: flag(node, "nullable"),
        default: node.get("default").cloned(),
        preserve_unknown: flag(node, "x-kubernetes-preserve-unknown-fields"),
        embedded_resource: flag(node, "x-kubernetes-embedded-resource"),
        ..Schema::default()
    };
    read_patch(&mut schema, node);
    schema.shape = read_shape(node, &mut schema, source, place);
    if let (true, Source::Structural(metadata)) = (schema.embedded_resource, &*source) {
        let metadata = Arc::clone(metadata);
        add_object_fields(&mut schema, &metadata);
        if let Shape::Object { required, .. } = &mut schema.shape {
            for name in ["apiVersion", "kind"] {
                if !required.iter().any(|it| it == name) {
                    required.push(name.to_owned());
                }
            }
        }
    }
    schema.rules = read_rules(node, source);
    let own = schema.rules.as_ref();
    schema.has_expressions =
        own.is_some_and(|it| !it.expressions.is_empty()) || schema.parts_have_expressions();
    schema
}

fn read_shape(
    node: &Value,
    schema: &mut Schema,
    source: &mut Source<'_, '_>,
    place: Place,
) -> Shape {
    if flag(node, "x-kubernetes-int-or-string") || schema.format == "int-or-string" {
        return Shape::IntOrString;
    }
    let has_fields = node.get("properties").is_some() || node.get("required").is_some();
    let kind = node.get("type").and_then(Value::as_str);
    if kind.is_none() && place == Place::Condition {
        schema.untyped = true;
    }
    match kind {
        Some("string") => Shape::String,
        Some("integer") => Shape::Integer,
        Some("number") => Shape::Number,
        Some("boolean") => Shape::Boolean,
        Some("array") => read_list(node, source, place),
        Some("object") => read_object(node, source, place),
        _ if has_fields || node.get("additionalProperties").is_some() => {
            read_object(node, source, place)
        }
        _ if node.get("items").is_some() => read_list(node, source, place),
        _ => Shape::Any,
    }
}

fn read_object(node: &Value, source: &mut Source<'_, '_>, place: Place) -> Shape {
    let mut fields = BTreeMap::new();
    if let Some(Value::Object(properties)) = node.get("properties") {
        for (name, child) in properties {
            fields.insert(name.clone(), read_shared(child, source, place));
        }
    }
    let additional = match node.get("additionalProperties") {
        Some(Value::Bool(true)) => Some(Arc::new(opaque())),
        Some(child @ Value::Object(_)) => Some(read_shared(child, source, place)),
        _ => None,
    };
    let free = fields.is_empty() && additional.is_none();
    if free && matches!(source, Source::Definitions(_)) {
        return Shape::Any;
    }
    Shape::Object {
        fields,
        additional,
        required: texts(node, "required"),
        atomic: text_is(node, "x-kubernetes-map-type", "atomic"),
    }
}

fn read_list(node: &Value, source: &mut Source<'_, '_>, place: Place) -> Shape {
    let items = match node.get("items") {
        Some(child @ Value::Object(_)) => read_shared(child, source, place),
        _ => Arc::new(opaque()),
    };
    Shape::List {
        items,
        kind: list_kind(node),
    }
}

/// Returns how items are told apart; without a list type the patch strategy decides.
fn list_kind(node: &Value) -> ListKind {
    match node.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("map") => return ListKind::Map(texts(node, "x-kubernetes-list-map-keys")),
        Some("set") => return ListKind::Set,
        Some(_) => return ListKind::Atomic,
        None => {}
    }
    let strategy = text(node, "x-kubernetes-patch-strategy").unwrap_or_default();
    if !strategy.split(',').any(|part| part == "merge") {
        return ListKind::Atomic;
    }
    match text(node, "x-kubernetes-patch-merge-key") {
        Some(key) => ListKind::Map(vec![key]),
        None => ListKind::Set,
    }
}

/// Adds apiVersion, kind and metadata, whatever the schema says about them.
fn add_object_fields(schema: &mut Schema, metadata: &Arc<Schema>) {
    if let Shape::Any = schema.shape {
        schema.shape = Shape::Object {
            fields: BTreeMap::new(),
            additional: None,
            required: Vec::new(),
            atomic: false,
        };
    }
    let Shape::Object { fields, .. } = &mut schema.shape else {
        return;
    };
    for name in ["apiVersion", "kind"] {
        fields.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(Schema {
                shape: Shape::String,
                ..Schema::default()
            })
        });
    }
    fields.insert("metadata".to_owned(), Arc::clone(metadata));
}

fn read_rules(node: &Value, source: &mut Source<'_, '_>) -> Option<Box<Rules>> {
    let keywords: BTreeMap<String, Value> = RULE_KEYWORDS
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), node.get(key)?.clone())))
        .collect();
    if keywords.is_empty() {
        return None;
    }
    let list = |key: &str| keywords.get(key).and_then(Value::as_array).cloned();
    let mut conditions = |key: &str| -> Vec<Arc<Schema>> {
        list(key)
            .unwrap_or_default()
            .iter()
            .map(|child| read_shared(child, source, Place::Condition))
            .collect()
    };
    let (all_of, any_of, one_of) = (
        conditions("allOf"),
        conditions("anyOf"),
        conditions("oneOf"),
    );
    let not = keywords
        .get("not")
        .map(|child| read_shared(child, source, Place::Condition));
    let pattern = keywords.get("pattern").and_then(Value::as_str);
    Some(Box::new(Rules {
        enumeration: list("enum").unwrap_or_default(),
        pattern: pattern.and_then(|text| compile_pattern(text).ok()),
        limits: read_limits(&keywords),
        all_of,
        any_of,
        one_of,
        not,
        expressions: cel::read(keywords.get("x-kubernetes-validations")),
        keywords,
    }))
}

/// Returns a compiled `pattern`; fails with the reason when it is not one of RE2.
pub(crate) fn compile_pattern(text: &str) -> Result<regex::Regex, regex::Error> {
    RegexBuilder::new(text)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
}

fn read_limits(keywords: &BTreeMap<String, Value>) -> Limits {
    let count = |key: &str| keywords.get(key).and_then(Value::as_u64);
    let number = |key: &str| keywords.get(key).and_then(Value::as_f64);
    let exclusive = |key: &str| keywords.get(key).and_then(Value::as_bool).unwrap_or(false);
    Limits {
        minimum: number("minimum").map(|bound| (bound, exclusive("exclusiveMinimum"))),
        maximum: number("maximum").map(|bound| (bound, exclusive("exclusiveMaximum"))),
        multiple_of: number("multipleOf"),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        min_properties: count("minProperties"),
        max_properties: count("maxProperties"),
        unique_items: exclusive("uniqueItems"),
    }
}

fn text(node: &Value, key: &str) -> Option<String> {
    node.get(key)?.as_str().map(str::to_owned)
}

fn text_is(node: &Value, key: &str, want: &str) -> bool {
    node.get(key).and_then(Value::as_str) == Some(want)
}

fn texts(node: &Value, key: &str) -> Vec<String> {
    let items = node.get(key).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn flag(node: &Value, key: &str) -> bool {
    node.get(key).and_then(Value::as_bool).unwrap_or(false)
}
