//! Checks that a definition's schema is one that can be served: a structural schema.
//!
//! What Kubernetes refuses is refused with its texts. Nothing is let through that the schema tree
//! would ignore.

use serde_json::Value;

use crate::error::FieldError;
use crate::kinds::object_meta;
use crate::schema::{Path, compile_pattern, prune, read_part, validate};
use crate::table::JsonPath;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// Keywords that a structural schema must not have.
const FORBIDDEN: [&str; 6] = [
    "$ref",
    "$schema",
    "definitions",
    "dependencies",
    "patternProperties",
    "additionalItems",
];

/// How deep a schema is read.
const DEPTH_MAX: usize = 100;

/// Reports what is wrong with a version's schema.
pub(super) fn check(schema: &Value, path: &Path, found: &mut Vec<FieldError>) {
    match schema["type"].as_str() {
        None | Some("") => found.push(required(
            &path.child("type"),
            "must not be empty at the root",
        )),
        Some("object") => {}
        Some(other) => found.push(invalid(
            &path.child("type"),
            &Value::from(other),
            "must be object at the root",
        )),
    }
    walk(schema, path, 0, found);
}

/// Reports columns, selectable fields and scale paths that cannot be read.
pub(super) fn check_columns(version: &Value, path: &Path, found: &mut Vec<FieldError>) {
    for list in ["additionalPrinterColumns", "selectableFields"] {
        let items = version[list]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            check_path(item, "jsonPath", &path.child(list).index(index), found);
        }
    }
    let scale = &version["subresources"]["scale"];
    if scale.is_object() {
        let place = path.child("subresources").child("scale");
        for key in ["specReplicasPath", "statusReplicasPath"] {
            check_path(scale, key, &place, found);
        }
    }
}

fn check_path(node: &Value, key: &str, path: &Path, found: &mut Vec<FieldError>) {
    let place = path.child(key);
    match node[key].as_str() {
        None | Some("") => found.push(required(&place, "")),
        Some(text) => {
            if let Err(error) = JsonPath::parse(text) {
                found.push(invalid(
                    &place,
                    &node[key],
                    &format!("is an invalid path: {error}"),
                ));
            }
        }
    }
}

fn required(path: &Path, detail: &str) -> FieldError {
    let message = if detail.is_empty() {
        "Required value".to_owned()
    } else {
        format!("Required value: {detail}")
    };
    FieldError {
        field: path.as_str().to_owned(),
        reason: "FieldValueRequired",
        message,
    }
}

fn invalid(path: &Path, value: &Value, detail: &str) -> FieldError {
    FieldError {
        field: path.as_str().to_owned(),
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {value}: {detail}"),
    }
}

fn forbidden(path: &Path, detail: &str) -> FieldError {
    FieldError {
        field: path.as_str().to_owned(),
        reason: "FieldValueForbidden",
        message: format!("Forbidden: {detail}"),
    }
}

fn walk(node: &Value, path: &Path, depth: usize, found: &mut Vec<FieldError>) {
    if depth > DEPTH_MAX {
        found.push(forbidden(
            path,
            &format!("schema is deeper than {DEPTH_MAX} levels"),
        ));
        return;
    }
    check_keywords(node, path, found);
    check_list(node, path, found);
    check_rules(node, path, found);
    check_default(node, path, found);
    if let Some(properties) = node["properties"].as_object() {
        for (name, child) in properties {
            let place = path.child("properties").key(name);
            check_type(
                child,
                &place,
                "must not be empty for specified object fields",
                found,
            );
            walk(child, &place, depth + 1, found);
        }
    }
    for (key, detail) in [
        ("items", "must not be empty for specified array items"),
        (
            "additionalProperties",
            "must not be empty for specified object fields",
        ),
    ] {
        if node[key].is_object() {
            let place = path.child(key);
            check_type(&node[key], &place, detail, found);
            walk(&node[key], &place, depth + 1, found);
        }
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        let conditions = node[key].as_array().map(Vec::as_slice).unwrap_or_default();
        for (index, child) in conditions.iter().enumerate() {
            condition(child, &path.child(key).index(index), depth + 1, found);
        }
    }
    if node["not"].is_object() {
        condition(&node["not"], &path.child("not"), depth + 1, found);
    }
}

fn check_type(node: &Value, path: &Path, missing: &str, found: &mut Vec<FieldError>) {
    let free = node["x-kubernetes-int-or-string"] == true
        || node["x-kubernetes-preserve-unknown-fields"] == true;
    match node["type"].as_str() {
        None | Some("") if free => {}
        None | Some("") => found.push(required(&path.child("type"), missing)),
        Some(_) => {}
    }
}

fn check_keywords(node: &Value, path: &Path, found: &mut Vec<FieldError>) {
    for key in FORBIDDEN {
        if !node[key].is_null() {
            found.push(forbidden(
                &path.child(key),
                &format!("{key} is not supported"),
            ));
        }
    }
    if let Some(kind) = node["type"].as_str()
        && !kind.is_empty()
        && !TYPES.contains(&kind)
    {
        let listed: Vec<String> = TYPES.iter().map(|it| format!("\"{it}\"")).collect();
        found.push(FieldError {
            field: path.child("type").as_str().to_owned(),
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: \"{kind}\": supported values: {}",
                listed.join(", ")
            ),
        });
    }
    if node["uniqueItems"] == true {
        let detail =
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        found.push(forbidden(&path.child("uniqueItems"), detail));
    }
    if let Some(pattern) = node["pattern"].as_str()
        && let Err(error) = compile_pattern(pattern)
    {
        let detail = format!("must be a valid regular expression, but isn't: {error}");
        found.push(invalid(&path.child("pattern"), &node["pattern"], &detail));
    }
    if node["properties"].is_object() && node["additionalProperties"].is_object() {
        let detail = "additionalProperties and properties are mutual exclusive";
        found.push(forbidden(&path.child("additionalProperties"), detail));
    }
    if node["additionalProperties"] == false {
        let detail = "additionalProperties cannot be set to false";
        found.push(forbidden(&path.child("additionalProperties"), detail));
    }
    if node["x-kubernetes-embedded-resource"] == true
        && node["properties"].is_null()
        && node["x-kubernetes-preserve-unknown-fields"] != true
    {
        let detail = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        found.push(required(&path.child("properties"), detail));
    }
}

fn check_list(node: &Value, path: &Path, found: &mut Vec<FieldError>) {
    if node["type"] == "array" && !node["items"].is_object() {
        found.push(required(&path.child("items"), "must be specified"));
    }
    let kind = &node["x-kubernetes-list-type"];
    let place = path.child("x-kubernetes-list-type");
    match kind.as_str() {
        None | Some("atomic") => {}
        Some("set" | "map") if node["type"] != "array" => {
            found.push(invalid(
                &path.child("type"),
                &node["type"],
                &format!(
                    "must be array if x-kubernetes-list-type is {}",
                    kind.as_str().unwrap_or_default()
                ),
            ));
        }
        Some("set") => {}
        Some("map") => check_map_keys(node, path, found),
        Some(_) => found.push(FieldError {
            field: place.as_str().to_owned(),
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {kind}: supported values: \"atomic\", \"map\", \"set\""
            ),
        }),
    }
}

fn check_map_keys(node: &Value, path: &Path, found: &mut Vec<FieldError>) {
    let keys = node["x-kubernetes-list-map-keys"].as_array();
    let place = path.child("x-kubernetes-list-map-keys");
    let items = &node["items"];
    match keys {
        Some(keys) if !keys.is_empty() => {
            for (index, key) in keys.iter().enumerate() {
                check_map_key(items, key, &place.index(index), path, found);
            }
        }
        _ => found.push(required(
            &place,
            "must not be empty if x-kubernetes-list-type is map",
        )),
    }
    if items["type"] != "object" {
        found.push(invalid(
            &path.child("items").child("type"),
            &items["type"],
            "must be object if parent array's x-kubernetes-list-type is map",
        ));
    }
}

/// Checks one key of a list map: it is a field that every item has.
fn check_map_key(
    items: &Value,
    key: &Value,
    place: &Path,
    path: &Path,
    found: &mut Vec<FieldError>,
) {
    let name = key.as_str().unwrap_or_default();
    let field = &items["properties"][name];
    if !field.is_object() {
        found.push(invalid(
            place,
            key,
            "must be defined as a property of the item type",
        ));
        return;
    }
    let required_names = items["required"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if field["default"].is_null() && !required_names.contains(key) {
        found.push(required(
            &path
                .child("items")
                .child("properties")
                .key(name)
                .child("default"),
            "this property is in x-kubernetes-list-map-keys, so it must have a default or be a \
             required property",
        ));
    }
}

fn check_rules(node: &Value, path: &Path, found: &mut Vec<FieldError>) {
    let Some(rules) = node["x-kubernetes-validations"].as_array() else {
        return;
    };
    let only = serde_json::json!({ "x-kubernetes-validations": rules });
    let schema = read_part(&only, &object_meta());
    let compiled = schema.rules.iter().flat_map(|it| &it.expressions);
    for (index, (expression, rule)) in compiled.zip(rules).enumerate() {
        let place = path.child("x-kubernetes-validations").index(index);
        if let Some(error) = expression.program.error() {
            let detail = format!("compilation failed: {error}");
            found.push(shown_rule(&place.child("rule"), rule, &detail));
        }
        if let Some(error) = expression
            .message_program
            .as_ref()
            .and_then(|it| it.error())
        {
            let detail = format!("messageExpression compilation failed: {error}");
            found.push(shown_rule(&place.child("messageExpression"), rule, &detail));
        }
    }
}

/// Returns a finding that shows the rule as Go's JSON does.
fn shown_rule(path: &Path, rule: &Value, detail: &str) -> FieldError {
    let text = |key: &str| Value::from(rule[key].as_str().unwrap_or_default());
    FieldError {
        field: path.as_str().to_owned(),
        reason: "FieldValueInvalid",
        message: format!(
            "Invalid value: {{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\
             \"Reason\":{},\"FieldPath\":{},\"OptionalOldSelf\":{}}}: {detail}",
            text("rule"),
            text("message"),
            text("messageExpression"),
            rule["reason"],
            text("fieldPath"),
            rule["optionalOldSelf"],
        ),
    }
}

fn check_default(node: &Value, path: &Path, found: &mut Vec<FieldError>) {
    let default = &node["default"];
    if default.is_null() {
        return;
    }
    let place = path.child("default");
    let schema = read_part(node, &object_meta());
    let mut pruned = default.clone();
    let unknown = prune(&schema, &mut pruned);
    if !unknown.is_empty() {
        let detail = format!("must not have unknown fields: {}", unknown.join(", "));
        found.push(invalid(&place, default, &detail));
    }
    for finding in validate(&schema, &pruned, None) {
        let field = if finding.field.is_empty() {
            place.clone()
        } else {
            place.child(&finding.field)
        };
        found.push(FieldError {
            field: field.as_str().to_owned(),
            ..finding
        });
    }
}

/// Checks a schema inside a condition, which must say nothing about structure.
fn condition(node: &Value, path: &Path, depth: usize, found: &mut Vec<FieldError>) {
    if depth > DEPTH_MAX {
        found.push(forbidden(
            path,
            &format!("schema is deeper than {DEPTH_MAX} levels"),
        ));
        return;
    }
    for key in [
        "additionalProperties",
        "default",
        "nullable",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
    ] {
        if !node[key].is_null() && node[key] != false {
            let detail = "must be undefined to be structural";
            found.push(forbidden(&path.child(key), detail));
        }
    }
    check_keywords(node, path, found);
    if let Some(properties) = node["properties"].as_object() {
        for (name, child) in properties {
            condition(child, &path.child("properties").key(name), depth + 1, found);
        }
    }
    for key in ["items", "not"] {
        if node[key].is_object() {
            condition(&node[key], &path.child(key), depth + 1, found);
        }
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        let children = node[key].as_array().map(Vec::as_slice).unwrap_or_default();
        for (index, child) in children.iter().enumerate() {
            condition(child, &path.child(key).index(index), depth + 1, found);
        }
    }
}
