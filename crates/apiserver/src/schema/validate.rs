//! Validates a value against its schema, with the texts of Kubernetes.
//!
//! On an update, what was wrong before and did not change is let through. The rules in CEL run
//! last, and only when nothing stands that would mislead them.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::cel::Expression;
use super::checks;
use super::path::Path;
use super::tree::{ListKind, Rules, Schema, Shape};
use crate::error::FieldError;

/// Findings that keep the rules in CEL from running.
const BLOCKING: [&str; 5] = [
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
];

/// What is reported instead of the rules that did not run.
const NOT_CHECKED: &str = "Invalid value: null: some validation rules were not checked because \
     the object was invalid; correct the existing errors to complete validation";

/// Returns what is wrong with `value`; `old` is the stored value on an update.
pub fn validate(schema: &Schema, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut found = Vec::new();
    walk(schema, value, old, &Path::root(), &mut found);
    let twins_before = old.is_some_and(|old| {
        let mut found = Vec::new();
        list_types(schema, old, &Path::root(), &mut found);
        !found.is_empty()
    });
    // Objects that had twins before the rule came can still be changed.
    if !twins_before {
        list_types(schema, value, &Path::root(), &mut found);
    }
    for path in &schema.scaled_fields {
        scaled_field(path, value, &mut found);
    }
    if !schema.has_expressions {
        return found;
    }
    if found.iter().any(|it| BLOCKING.contains(&it.reason)) {
        found.push(FieldError {
            field: "<nil>".to_owned(),
            reason: "FieldValueInvalid",
            message: NOT_CHECKED.to_owned(),
        });
        return found;
    }
    expressions(schema, value, old, &Path::root(), &mut found);
    found
}

/// Checks a number that the `scale` subresource reads.
fn scaled_field(path: &str, value: &Value, found: &mut Vec<FieldError>) {
    let steps = path.split('.').filter(|step| !step.is_empty());
    let target = steps.fold(value, |at, step| &at[step]);
    let place = Path::of(path);
    let (shown, kind) = match target {
        Value::Null => return,
        Value::Number(number) if number.is_i64() => {
            if number.as_i64().is_some_and(|it| it < 0) {
                found.push(checks::invalid(
                    &place,
                    target,
                    "should be a non-negative integer",
                ));
            }
            return;
        }
        Value::Number(number) => (number.to_string(), "float64"),
        Value::Bool(flag) => (flag.to_string(), "bool"),
        Value::String(text) => (text.clone(), "string"),
        Value::Array(_) => (target.to_string(), "[]interface {}"),
        Value::Object(_) => (target.to_string(), "map[string]interface {}"),
    };
    let detail = format!("{path} accessor error: {shown} is of the type {kind}, expected int64");
    found.push(checks::invalid(&place, &Value::from(0), &detail));
}

fn walk(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    path: &Path,
    found: &mut Vec<FieldError>,
) {
    if old == Some(value) {
        return;
    }
    if !checks::has_type(schema, value) {
        if !schema.untyped {
            found.extend(checks::wrong_type(schema, value, path));
        }
        return;
    }
    if value.is_null() {
        return;
    }
    found.extend(checks::own(schema, value, path));
    children(schema, value, old, path, found);
    if let Some(rules) = &schema.rules {
        conditions(rules, value, path, found);
    }
}

fn children(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    path: &Path,
    found: &mut Vec<FieldError>,
) {
    match (&schema.shape, value) {
        (Shape::Object { required, .. }, Value::Object(map)) => {
            for name in required.iter().filter(|name| !map.contains_key(*name)) {
                found.push(checks::finding(
                    &path.child(name),
                    "FieldValueRequired",
                    "Required value".to_owned(),
                ));
            }
            for (name, child) in map {
                if let Some(known) = schema.field(name) {
                    let old = old.and_then(|old| old.get(name));
                    walk(known, child, old, &path.child(name), found);
                }
            }
        }
        (Shape::List { items, kind }, Value::Array(list)) => {
            let earlier = correlate(kind, old);
            for (index, item) in list.iter().enumerate() {
                let old = earlier.get(&key_of(kind, item)).copied();
                walk(items, item, old, &path.index(index), found);
            }
        }
        _ => {}
    }
}

/// Returns the stored items by their keys; lists that are no maps have none.
fn correlate<'a>(kind: &ListKind, old: Option<&'a Value>) -> HashMap<String, &'a Value> {
    let (ListKind::Map(_), Some(Value::Array(items))) = (kind, old) else {
        return HashMap::new();
    };
    items
        .iter()
        .map(|item| (key_of(kind, item), item))
        .collect()
}

/// Returns the key fields of an item as text: compact JSON, sorted by name.
fn key_of(kind: &ListKind, item: &Value) -> String {
    let ListKind::Map(keys) = kind else {
        return String::new();
    };
    let fields: serde_json::Map<String, Value> = keys
        .iter()
        .filter_map(|key| Some((key.clone(), item.get(key)?.clone())))
        .collect();
    checks::json_text(&Value::Object(fields))
}

fn conditions(rules: &Rules, value: &Value, path: &Path, found: &mut Vec<FieldError>) {
    let holds = |schema: &Schema| findings_of(schema, value, path).is_empty();
    for schema in &rules.all_of {
        found.extend(findings_of(schema, value, path));
    }
    let place = if path.as_str().is_empty() {
        String::new()
    } else {
        path.as_str().to_owned()
    };
    if !rules.any_of.is_empty() && !rules.any_of.iter().any(|schema| holds(schema)) {
        found.push(checks::nowhere(&format!(
            "\"{place}\" must validate at least one schema (anyOf)"
        )));
        found.extend(closest(&rules.any_of, value, path));
    }
    if !rules.one_of.is_empty() {
        let count = rules.one_of.iter().filter(|schema| holds(schema)).count();
        let start = format!("\"{place}\" must validate one and only one schema (oneOf). Found");
        if count == 0 {
            found.push(checks::nowhere(&format!("{start} none valid")));
            found.extend(closest(&rules.one_of, value, path));
        } else if count > 1 {
            found.push(checks::nowhere(&format!(
                "{start} {count} valid alternatives"
            )));
        }
    }
    if let Some(schema) = &rules.not
        && holds(schema)
    {
        found.push(checks::nowhere(&format!(
            "\"{place}\" must not validate the schema (not)"
        )));
    }
}

fn findings_of(schema: &Schema, value: &Value, path: &Path) -> Vec<FieldError> {
    let mut found = Vec::new();
    walk(schema, value, None, path, &mut found);
    found
}

/// Returns the findings of the alternative that has the fewest.
fn closest(alternatives: &[std::sync::Arc<Schema>], value: &Value, path: &Path) -> Vec<FieldError> {
    let all = alternatives.iter().map(|it| findings_of(it, value, path));
    all.min_by_key(Vec::len).unwrap_or_default()
}

/// Reports the items of sets and maps that occur twice.
fn list_types(schema: &Schema, value: &Value, path: &Path, found: &mut Vec<FieldError>) {
    match (&schema.shape, value) {
        (Shape::Object { .. }, Value::Object(map)) => {
            for (name, child) in map {
                if let Some(known) = schema.field(name) {
                    list_types(known, child, &path.child(name), found);
                }
            }
        }
        (Shape::List { items, kind }, Value::Array(list)) => {
            duplicates(kind, list, path, found);
            for (index, item) in list.iter().enumerate() {
                list_types(items, item, &path.index(index), found);
            }
        }
        _ => {}
    }
}

fn duplicates(kind: &ListKind, list: &[Value], path: &Path, found: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (index, item) in list.iter().enumerate() {
        let place = path.index(index);
        let key = match kind {
            ListKind::Atomic => return,
            ListKind::Set => checks::json_text(item),
            ListKind::Map(_) if !item.is_object() => {
                let detail = "must be an object for an array of list-type map";
                found.push(checks::invalid(&place, item, detail));
                continue;
            }
            ListKind::Map(_) => key_of(kind, item),
        };
        if !seen.insert(key.clone()) {
            found.push(checks::finding(
                &place,
                "FieldValueDuplicate",
                format!("Duplicate value: {key}"),
            ));
        }
    }
}

fn expressions(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    path: &Path,
    found: &mut Vec<FieldError>,
) {
    if !schema.has_expressions {
        return;
    }
    let unchanged = old == Some(value);
    for rule in schema.rules.iter().flat_map(|rules| &rules.expressions) {
        if unchanged && !rule.transition {
            continue;
        }
        if let Some(message) = rule.check(schema, value, old) {
            found.push(violation(rule, message, value, path));
        }
    }
    match (&schema.shape, value) {
        (Shape::Object { .. }, Value::Object(map)) => {
            for (name, child) in map {
                if let Some(known) = schema.field(name) {
                    let old = old.and_then(|old| old.get(name));
                    expressions(known, child, old, &path.child(name), found);
                }
            }
        }
        (Shape::List { items, kind }, Value::Array(list)) => {
            let earlier = correlate(kind, old);
            for (index, item) in list.iter().enumerate() {
                let old = earlier.get(&key_of(kind, item)).copied();
                expressions(items, item, old, &path.index(index), found);
            }
        }
        _ => {}
    }
}

fn violation(rule: &Expression, message: String, value: &Value, path: &Path) -> FieldError {
    let place = match rule.field_path.strip_prefix('.') {
        Some(inner) => path.child(inner),
        None if !rule.field_path.is_empty() => path.child(&rule.field_path),
        None => path.clone(),
    };
    // Kubernetes leaves objects and lists out of the text, since they may be large.
    let shown = match value {
        Value::Object(_) | Value::Array(_) => String::new(),
        scalar => format!("{}: ", checks::json_text(scalar)),
    };
    let (reason, text) = match rule.reason.as_str() {
        "FieldValueRequired" => ("FieldValueRequired", format!("Required value: {message}")),
        "FieldValueForbidden" => ("FieldValueForbidden", format!("Forbidden: {message}")),
        "FieldValueDuplicate" => (
            "FieldValueDuplicate",
            format!("Duplicate value: {}", checks::json_text(value)),
        ),
        _ => (
            "FieldValueInvalid",
            format!("Invalid value: {shown}{message}"),
        ),
    };
    checks::finding(&place, reason, text)
}
