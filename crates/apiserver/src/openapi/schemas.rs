//! Writes schema trees as OpenAPI, and gathers the definitions that they refer to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::builtin::words;
use crate::kinds::{TypeInfo, source};
use crate::schema::{ListKind, Schema, Shape};

/// Where definitions are in a document of version 3.
pub(super) const REFERENCE: &str = "#/components/schemas/";

/// The definitions of a document, by name.
pub(super) type Schemas = BTreeMap<String, Value>;

/// Adds the definition of a kind, that of its list, and what they refer to.
pub(super) fn add(kind: &TypeInfo, schemas: &mut Schemas) {
    match &kind.schema.definition {
        Some(name) => {
            add_definition(name, schemas);
            add_definition(&format!("{name}List"), schemas);
        }
        None => add_custom(kind, schemas),
    }
}

/// Adds a packed definition and what it refers to.
pub(super) fn add_definition(name: &str, schemas: &mut Schemas) {
    let mut wanted = vec![name.to_owned()];
    while let Some(name) = wanted.pop() {
        if schemas.contains_key(&name) {
            continue;
        }
        if let Some(node) = source(&name) {
            references(node, &mut wanted);
            let mut node = node.clone();
            add_words(&name, &mut node);
            schemas.insert(name, node);
        }
    }
}

/// Adds the words that fields may hold, in the order of the alphabet.
fn add_words(definition: &str, node: &mut Value) {
    let kind = definition.rsplit('.').next().unwrap_or_default();
    let fields = node.get_mut("properties").and_then(Value::as_object_mut);
    for (name, field) in fields.into_iter().flatten() {
        if let Some(words) = words(kind, name) {
            let mut words = words.to_vec();
            words.sort_unstable();
            field["enum"] = json!(words);
        }
    }
}

fn references(node: &Value, wanted: &mut Vec<String>) {
    match node {
        Value::Object(map) => {
            for (key, child) in map {
                match child.as_str().and_then(|text| text.strip_prefix(REFERENCE)) {
                    Some(name) if key == "$ref" => wanted.push(name.to_owned()),
                    _ => references(child, wanted),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                references(item, wanted);
            }
        }
        _ => {}
    }
}

/// Returns the name of a custom kind's definition: its group backwards, version, kind.
pub(super) fn custom_name(kind: &TypeInfo) -> String {
    let group: Vec<&str> = kind.group.split('.').rev().collect();
    format!("{}.{}.{}", group.join("."), kind.version, kind.kind)
}

fn add_custom(kind: &TypeInfo, schemas: &mut Schemas) {
    let name = custom_name(kind);
    let mark = |kind_name: &str| json!([{ "group": kind.group, "version": kind.version, "kind": kind_name }]);
    let mut node = write(&kind.schema);
    node["x-kubernetes-group-version-kind"] = mark(&kind.kind);
    describe_object(&mut node);
    let list = json!({
        "type": "object",
        "description": format!("{} is a list of {}", kind.list_kind, kind.kind),
        "required": ["items"],
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "items": { "type": "array", "items": { "$ref": format!("{REFERENCE}{name}") } },
            "metadata": { "$ref": format!("{REFERENCE}io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta") },
        },
        "x-kubernetes-group-version-kind": mark(&kind.list_kind),
    });
    let mut wanted = Vec::new();
    references(&node, &mut wanted);
    references(&list, &mut wanted);
    schemas.insert(name.clone(), node);
    schemas.insert(format!("{name}List"), list);
    for definition in wanted {
        add_definition(&definition, schemas);
    }
}

/// Gives apiVersion, kind and metadata the descriptions that built-in kinds have.
fn describe_object(node: &mut Value) {
    let model = source("io.k8s.api.core.v1.ConfigMap");
    for field in ["apiVersion", "kind", "metadata"] {
        let text = model.and_then(|it| it["properties"][field]["description"].as_str());
        if let (Some(text), Some(own)) = (text, node["properties"].get_mut(field)) {
            // What stands beside a reference is not read, so the reference goes inside.
            if own.get("$ref").is_some() {
                *own = json!({ "allOf": [own.take()] });
            }
            own["description"] = text.into();
        }
    }
}

/// Returns a schema tree as OpenAPI.
pub(super) fn write(schema: &Schema) -> Value {
    if let Some(name) = &schema.definition {
        return json!({ "$ref": format!("{REFERENCE}{name}") });
    }
    let mut out = Map::new();
    write_shape(schema, &mut out);
    for (key, value) in [
        ("description", &schema.description),
        ("format", &schema.format),
    ] {
        if !value.is_empty() {
            out.insert(key.to_owned(), value.clone().into());
        }
    }
    for (key, flag) in [
        ("nullable", schema.nullable),
        (
            "x-kubernetes-preserve-unknown-fields",
            schema.preserve_unknown,
        ),
        ("x-kubernetes-embedded-resource", schema.embedded_resource),
    ] {
        if flag {
            out.insert(key.to_owned(), true.into());
        }
    }
    if let Some(default) = &schema.default {
        out.insert("default".to_owned(), default.clone());
    }
    if let Some(rules) = &schema.rules {
        out.extend(rules.keywords.clone());
    }
    Value::Object(out)
}

fn write_shape(schema: &Schema, out: &mut Map<String, Value>) {
    let kind = match &schema.shape {
        Shape::Any => None,
        Shape::IntOrString => {
            out.insert("x-kubernetes-int-or-string".to_owned(), true.into());
            None
        }
        Shape::String => Some("string"),
        Shape::Integer => Some("integer"),
        Shape::Number => Some("number"),
        Shape::Boolean => Some("boolean"),
        Shape::Object {
            fields,
            additional,
            required,
            atomic,
        } => {
            write_object(fields, additional.as_ref(), required, out);
            if *atomic {
                out.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
            }
            Some("object")
        }
        Shape::List { items, kind } => {
            out.insert("items".to_owned(), write(items));
            write_list_kind(kind, out);
            Some("array")
        }
    };
    if let Some(kind) = kind {
        out.insert("type".to_owned(), kind.into());
    }
}

fn write_object(
    fields: &BTreeMap<String, Arc<Schema>>,
    additional: Option<&Arc<Schema>>,
    required: &[String],
    out: &mut Map<String, Value>,
) {
    if !fields.is_empty() {
        let written = fields
            .iter()
            .map(|(name, field)| (name.clone(), write(field)));
        out.insert("properties".to_owned(), Value::Object(written.collect()));
    }
    if let Some(schema) = additional {
        out.insert("additionalProperties".to_owned(), write(schema));
    }
    if !required.is_empty() {
        out.insert("required".to_owned(), json!(required));
    }
}

fn write_list_kind(kind: &ListKind, out: &mut Map<String, Value>) {
    let name = match kind {
        ListKind::Atomic => return,
        ListKind::Set => "set",
        ListKind::Map(keys) => {
            out.insert("x-kubernetes-list-map-keys".to_owned(), json!(keys));
            "map"
        }
    };
    out.insert("x-kubernetes-list-type".to_owned(), name.into());
}
