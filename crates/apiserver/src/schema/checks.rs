//! The checks of one value against its own rules, with the texts of Kubernetes.
//!
//! Children are checked by the walk in `validate`; conditions such as `oneOf` call back into it.

use serde_json::{Number, Value};

use super::format;
use super::path::Path;
use super::tree::{Limits, Rules, Schema, Shape};
use crate::error::FieldError;

/// Returns a finding whose text begins with the value.
pub(super) fn invalid(path: &Path, value: &Value, detail: &str) -> FieldError {
    finding(
        path,
        "FieldValueInvalid",
        format!("Invalid value: {}: {detail}", json_text(value)),
    )
}

pub(super) fn finding(path: &Path, reason: &'static str, message: String) -> FieldError {
    FieldError {
        field: path.as_str().to_owned(),
        reason,
        message,
    }
}

/// Returns a finding that names no field, as Kubernetes reports conditions.
pub(super) fn nowhere(detail: &str) -> FieldError {
    finding(
        &Path::of("<nil>"),
        "FieldValueInvalid",
        format!("Invalid value: \"\": {detail}"),
    )
}

/// Returns the value as messages show it: compact JSON.
pub(crate) fn json_text(value: &Value) -> String {
    value.to_string()
}

/// Returns whether the value has the type that the schema asks for.
pub(super) fn has_type(schema: &Schema, value: &Value) -> bool {
    match (&schema.shape, value) {
        (_, Value::Null) => schema.nullable,
        (Shape::Any, _)
        | (Shape::String, Value::String(_))
        | (Shape::Number, Value::Number(_))
        | (Shape::Boolean, Value::Bool(_))
        | (Shape::IntOrString, Value::String(_))
        | (Shape::Object { .. }, Value::Object(_))
        | (Shape::List { .. }, Value::Array(_)) => true,
        (Shape::Integer | Shape::IntOrString, Value::Number(number)) => is_whole(number),
        _ => false,
    }
}

fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|it| it.fract() == 0.0)
}

/// Returns the findings of a value that has the wrong type.
pub(super) fn wrong_type(schema: &Schema, value: &Value, path: &Path) -> Vec<FieldError> {
    let want = match schema.shape {
        Shape::String => "string",
        Shape::Integer => "integer",
        Shape::Number => "number",
        Shape::Boolean => "boolean",
        Shape::IntOrString => "integer,string",
        Shape::Object { .. } => "object",
        Shape::List { .. } => "array",
        Shape::Any => "any",
    };
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if is_whole(number) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let mut found = vec![finding(
        path,
        "FieldValueTypeInvalid",
        format!("Invalid value: \"{got}\": {path} in body must be of type {want}: \"{got}\""),
    )];
    if matches!(schema.shape, Shape::Integer) && got == "number" {
        found.push(nowhere(&format!(
            "Checked value must be of type integer (default format) in {path}"
        )));
    }
    if let Some(rules) = &schema.rules {
        check_enumeration(rules, value, path, &mut found);
    }
    found
}

/// Returns the findings of one value, without its children and without conditions.
pub(super) fn own(schema: &Schema, value: &Value, path: &Path) -> Vec<FieldError> {
    let mut found = Vec::new();
    if !schema.format.is_empty() && !format::matches(&schema.format, value) {
        let shown = json_text(value);
        found.push(finding(
            path,
            "FieldValueTypeInvalid",
            format!(
                "Invalid value: {shown}: {path} in body must be of type {}: {shown}",
                schema.format
            ),
        ));
    }
    let Some(rules) = &schema.rules else {
        return found;
    };
    check_enumeration(rules, value, path, &mut found);
    match value {
        Value::Number(number) => check_number(&rules.limits, value, number, path, &mut found),
        Value::String(text) => check_text(rules, text, path, &mut found),
        Value::Array(items) => check_list(&rules.limits, items, path, &mut found),
        Value::Object(map) => check_count(&rules.limits, map.len() as u64, path, &mut found),
        Value::Null | Value::Bool(_) => {}
    }
    found
}

fn check_enumeration(rules: &Rules, value: &Value, path: &Path, found: &mut Vec<FieldError>) {
    let known = &rules.enumeration;
    if known.is_empty() || known.iter().any(|item| same(item, value)) {
        return;
    }
    let listed: Vec<String> = known.iter().map(json_text).collect();
    found.push(finding(
        path,
        "FieldValueNotSupported",
        format!(
            "Unsupported value: {}: supported values: {}",
            json_text(value),
            listed.join(", ")
        ),
    ));
}

/// Returns whether two values are equal; 1 and 1.0 are.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        _ => left == right,
    }
}

fn check_number(
    limits: &Limits,
    value: &Value,
    number: &Number,
    path: &Path,
    found: &mut Vec<FieldError>,
) {
    let number = number.as_f64().unwrap_or(f64::NAN);
    let mut say = |detail: String| {
        found.push(invalid(
            path,
            value,
            &format!("{path} in body should be {detail}"),
        ));
    };
    match limits.minimum {
        Some((bound, true)) if number <= bound => say(format!("greater than {bound}")),
        Some((bound, false)) if number < bound => {
            say(format!("greater than or equal to {bound}"));
        }
        _ => {}
    }
    match limits.maximum {
        Some((bound, true)) if number >= bound => say(format!("less than {bound}")),
        Some((bound, false)) if number > bound => say(format!("less than or equal to {bound}")),
        _ => {}
    }
    if let Some(factor) = limits.multiple_of
        && factor > 0.0
        && (number / factor).fract() != 0.0
    {
        say(format!("a multiple of {factor}"));
    }
}

fn check_text(rules: &Rules, text: &str, path: &Path, found: &mut Vec<FieldError>) {
    let value = Value::from(text);
    let length = text.chars().count() as u64;
    if let Some(max) = rules.limits.max_length
        && length > max
    {
        found.push(finding(
            path,
            "FieldValueTooLong",
            format!("Too long: may not be more than {max} bytes"),
        ));
    } else if let Some(min) = rules.limits.min_length
        && length < min
    {
        let detail = format!("{path} in body should be at least {min} chars long");
        found.push(invalid(path, &value, &detail));
    } else if let Some(pattern) = &rules.pattern
        && !pattern.is_match(text)
    {
        let detail = format!("{path} in body should match '{pattern}'");
        found.push(invalid(path, &value, &detail));
    }
}

fn check_list(limits: &Limits, items: &[Value], path: &Path, found: &mut Vec<FieldError>) {
    let count = items.len() as u64;
    if let Some(max) = limits.max_items
        && count > max
    {
        found.push(too_many(path, count, max));
    }
    if let Some(min) = limits.min_items
        && count < min
    {
        let detail = format!("{path} in body should have at least {min} items");
        found.push(invalid(path, &count.into(), &detail));
    }
    if limits.unique_items && has_twins(items) {
        found.push(nowhere(&format!(
            "{path} in body shouldn't contain duplicates"
        )));
    }
}

fn has_twins(items: &[Value]) -> bool {
    let mut seen: Vec<String> = items.iter().map(json_text).collect();
    seen.sort_unstable();
    seen.windows(2).any(|pair| pair[0] == pair[1])
}

fn check_count(limits: &Limits, count: u64, path: &Path, found: &mut Vec<FieldError>) {
    if let Some(max) = limits.max_properties
        && count > max
    {
        found.push(too_many(path, count, max));
    }
    if let Some(min) = limits.min_properties
        && count < min
    {
        let detail = format!("{path} in body should have at least {min} properties");
        found.push(invalid(path, &count.into(), &detail));
    }
}

fn too_many(path: &Path, count: u64, max: u64) -> FieldError {
    finding(
        path,
        "FieldValueTooMany",
        format!("Too many: {count}: must have at most {max} items"),
    )
}
