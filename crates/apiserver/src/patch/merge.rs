//! JSON merge patch (RFC 7386).
//!
//! Objects are merged key by key, null deletes, everything else replaces. As in Kubernetes, nulls
//! in what is new are left out.

use serde_json::{Map, Value};

use crate::error::ApiError;

use super::{bad_request, json_kind};

/// Returns `live` changed by a JSON merge patch; fails with 400 where the patch is not an object.
pub fn merge_patch(live: &Value, patch: &Value) -> Result<Value, ApiError> {
    let patch = match patch {
        Value::Object(patch) => patch,
        Value::Null => return Err(bad_request("invalid JSON patch")),
        other => {
            let kind = json_kind(other);
            return Err(bad_request(format!(
                "error decoding patch: json: cannot unmarshal {kind} into Go value of type \
                 map[string]interface {{}}"
            )));
        }
    };
    let mut object = live.as_object().cloned().unwrap_or_default();
    merge(&mut object, patch);
    Ok(Value::Object(object))
}

fn merge(object: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match (object.get_mut(key), value) {
            (_, Value::Null) => {
                object.remove(key);
            }
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (Some(old @ Value::Object(_)), new) => *old = new.clone(),
            (_, new) => {
                object.insert(key.clone(), without_nulls(new));
            }
        }
    }
}

/// Returns a value without the null fields of its objects; null items of lists stay.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}
