//! Strategic merge patch: objects by the strategies that Kubernetes declares for its own kinds.
//!
//! Maps are merged, lists replaced, unless the schema names `merge`. Directives in the patch: `$patch`
//! replaces or deletes, `$retainKeys` drops other keys, `$setElementOrder/…` orders a list, and
//! `$deleteFromPrimitiveList/…` takes items out of one.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::fields::show_plain;
use crate::schema::{Schema, Shape};

use super::lists::{ListPatch, holds_maps, merge_lists, reorder};
use super::{bad_request, json_kind};

pub(super) const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ORDER: &str = "$setElementOrder";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";

/// Returns `live` changed by a strategic merge patch with the strategies of `schema`.
///
/// Fails with 400 on malformed directives, and with 500 without a reason, as Kubernetes does, on
/// unknown ones and on list items without their key.
pub fn strategic_merge(live: &Value, patch: &Value, schema: &Schema) -> Result<Value, ApiError> {
    let patch = match patch {
        Value::Object(patch) => patch.clone(),
        Value::Null => Map::new(),
        other => {
            let kind = json_kind(other);
            return Err(bad_request(format!(
                "json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
            )));
        }
    };
    let live = live.as_object().cloned().unwrap_or_default();
    merge_maps(live, patch, Some(schema)).map(Value::Object)
}

/// Returns one object with a patch merged in.
pub(super) fn merge_maps(
    mut original: Map<String, Value>,
    mut patch: Map<String, Value>,
    schema: Option<&Schema>,
) -> Result<Map<String, Value>, ApiError> {
    match patch.get(DIRECTIVE) {
        None => {}
        Some(Value::String(directive)) if directive == "replace" => {
            patch.remove(DIRECTIVE);
            return Ok(patch);
        }
        Some(Value::String(directive)) if directive == "delete" => return Ok(Map::new()),
        Some(other) => return Err(unknown_directive(other, &patch)),
    }
    retain_keys(&mut original, &mut patch)?;
    set_orders(&mut original, &mut patch, schema)?;
    for (key, value) in patch {
        let (key, deletes) = match key.strip_prefix(DELETE_FROM) {
            Some(rest) => (list_name(rest, "primitive list")?, true),
            None => (key, false),
        };
        if value.is_null() {
            original.remove(&key);
            continue;
        }
        let Some(old) = original.get_mut(&key) else {
            if !deletes && let Some(new) = without_directives(without_nulls(value)) {
                original.insert(key, new);
            }
            continue;
        };
        let field = schema.and_then(|schema| member(schema, &key));
        match (old.take(), value) {
            (Value::Object(old_map), Value::Object(new)) if !deletes => {
                *old = Value::Object(if has_strategy(field, "replace") {
                    new
                } else {
                    merge_maps(old_map, new, field)?
                });
            }
            (Value::Array(items), Value::Array(new)) => {
                *old = Value::Array(if deletes || has_strategy(field, "merge") {
                    let list = list_patch(field, deletes);
                    merge_lists(items, new, &list)?
                } else {
                    new
                });
            }
            (taken, _) if deletes => *old = taken,
            (_, new) => match without_directives(without_nulls(new)) {
                Some(new) => *old = new,
                None => {
                    original.remove(&key);
                }
            },
        }
    }
    Ok(original)
}

/// Obeys `$retainKeys`: keys that it does not list leave the original.
fn retain_keys(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let malformed = || bad_request("invalid patch format of retainKeys");
    let keys = keys.as_array().ok_or_else(malformed)?;
    let keys: BTreeSet<&str> = keys.iter().filter_map(Value::as_str).collect();
    let is_directive = |key: &str| key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER);
    let is_listed = |key: &String| keys.contains(key.as_str());
    if !patch
        .iter()
        .all(|(key, value)| value.is_null() || is_directive(key) || is_listed(key))
    {
        return Err(malformed());
    }
    original.retain(|key, _| is_listed(key));
    Ok(())
}

/// Obeys each `$setElementOrder/…`, and merges the list that it orders.
fn set_orders(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    schema: Option<&Schema>,
) -> Result<(), ApiError> {
    let directives: Vec<String> = patch
        .keys()
        .filter(|key| key.starts_with(SET_ORDER))
        .cloned()
        .collect();
    for directive in directives {
        let order = match patch.remove(&directive) {
            Some(Value::Array(order)) => order,
            other => return Err(bad_type("[]interface {}", &other.unwrap_or_default())),
        };
        let rest = directive.strip_prefix(SET_ORDER).unwrap_or_default();
        let key = list_name(rest, "setElementOrder list")?;
        let as_list = |value: Option<&Value>| match value {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items.clone())),
            Some(other) => Err(bad_type("[]interface {}", other)),
        };
        let old = as_list(original.get(&key))?;
        let new = as_list(patch.get(&key))?;
        let field = schema.and_then(|schema| member(schema, &key));
        let list = list_patch(field, false);
        if let Some(new) = &new {
            list.check_order(new, &order)?;
        }
        let has_new = new.is_some();
        let kinds = (
            old.clone().unwrap_or_default(),
            new.clone().unwrap_or_default(),
        );
        let merged = match (old, new) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => new.into_iter().filter_map(without_directives).collect(),
            (Some(old), Some(new)) if has_strategy(field, "merge") => merge_lists(old, new, &list)?,
            (Some(_), Some(new)) => new,
        };
        holds_maps(&kinds.0, &kinds.1)?;
        let ordered = reorder(merged, &order, &kinds.0, &list)?;
        original.insert(key.clone(), Value::Array(ordered));
        if has_new {
            patch.remove(&key);
        }
    }
    Ok(())
}

/// Returns the list that a directive such as `$setElementOrder/containers` names.
fn list_name(rest: &str, what: &str) -> Result<String, ApiError> {
    match rest.strip_prefix('/') {
        Some(name) => Ok(name.to_owned()),
        None => Err(bad_request(format!("invalid patch format of {what}"))),
    }
}

fn list_patch(field: Option<&Schema>, deletes: bool) -> ListPatch<'_> {
    let items = match field.map(|field| &field.shape) {
        Some(Shape::List { items, .. }) => Some(&**items),
        _ => None,
    };
    ListPatch {
        key: field.and_then(|field| field.patch_merge_key.as_deref()),
        items,
        deletes,
    }
}

fn has_strategy(field: Option<&Schema>, strategy: &str) -> bool {
    field.is_some_and(|field| field.patch_strategy.iter().any(|s| s == strategy))
}

/// Returns the schema of a named field, or of other keys.
fn member<'a>(schema: &'a Schema, name: &str) -> Option<&'a Schema> {
    let Shape::Object {
        fields, additional, ..
    } = &schema.shape
    else {
        return None;
    };
    fields.get(name).or(additional.as_ref()).map(|s| &**s)
}

/// Returns a value without the null fields in it.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Returns a value without the objects that are directives; nothing where it is one itself.
pub(super) fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => Some(Value::Object(
            map.into_iter()
                .filter_map(|(key, value)| Some((key, without_directives(value)?)))
                .collect(),
        )),
        Value::Array(items) => Some(Value::Array(
            items.into_iter().filter_map(without_directives).collect(),
        )),
        other => Some(other),
    }
}

pub(super) fn unknown_directive(directive: &Value, patch: &Map<String, Value>) -> ApiError {
    let patch = show_plain(&Value::Object(patch.clone()));
    let directive = show_plain(directive);
    let message = format!("unknown patch type: {directive} in map: {patch}");
    ApiError::new(500, "", message)
}

pub(super) fn bad_type(expected: &str, value: &Value) -> ApiError {
    let got = match value {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    ApiError::new(
        500,
        "",
        format!("expected a {expected}, but received a {got}"),
    )
}
