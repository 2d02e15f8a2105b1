//! JSON patch (RFC 6902): add, remove, replace, move, copy, test.
//!
//! Negative list indices count from the end, as in Kubernetes. The number of operations is bounded,
//! and so is what copies may add.

use serde_json::{Map, Value};

use crate::error::ApiError;

use super::{bad_request, json_kind, rejected};

/// The most operations that one patch may have.
pub const OPERATIONS_MAX: usize = 10_000;
/// The most that copies of one patch may add, in bytes of text; an object is no larger anyway.
const COPIED_MAX_BYTES: usize = 3 * 1024 * 1024;

/// Returns `live` changed by a JSON patch.
///
/// Fails with 400 where the patch is not one, 413 where it has too many operations, 422 where it
/// does not apply.
pub fn json_patch(live: &Value, patch: &Value) -> Result<Value, ApiError> {
    let Value::Array(operations) = patch else {
        let kind = json_kind(patch);
        return Err(bad_request(format!(
            "error decoding patch: json: cannot unmarshal {kind} into Go value of type \
             []handlers.jsonPatchOp"
        )));
    };
    if operations.len() > OPERATIONS_MAX {
        let got = operations.len();
        let message = format!(
            "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {got}"
        );
        return Err(ApiError::new(413, "RequestEntityTooLarge", message));
    }
    let mut run = Run {
        document: live.clone(),
        copied_bytes: 0,
    };
    for operation in operations {
        let Value::Object(operation) = operation else {
            let kind = json_kind(operation);
            return Err(bad_request(format!(
                "error decoding patch: json: cannot unmarshal {kind} into Go value of type \
                 handlers.jsonPatchOp"
            )));
        };
        run.apply(operation).ok_or_else(rejected)?;
    }
    Ok(run.document)
}

struct Run {
    document: Value,
    copied_bytes: usize,
}

impl Run {
    /// Applies one operation; gives nothing where it does not apply.
    fn apply(&mut self, operation: &Map<String, Value>) -> Option<()> {
        let text = |name: &str| operation.get(name)?.as_str();
        let path = text("path")?;
        let value = || operation.get("value").cloned();
        match text("op")? {
            "add" => self.add(path, value()?),
            "remove" => self.take(path).map(drop),
            "replace" => self.replace(path, value()?),
            "move" => {
                let moved = self.take(text("from")?)?;
                self.add(path, moved)
            }
            "copy" => {
                let copied = self.get(text("from")?)?;
                self.copied_bytes += copied.to_string().len();
                if self.copied_bytes > COPIED_MAX_BYTES {
                    return None;
                }
                self.add(path, copied)
            }
            "test" => {
                let wanted = operation.get("value").unwrap_or(&Value::Null);
                let found = match path {
                    "" => self.document.clone(),
                    path => self.get(path)?,
                };
                (found == *wanted).then_some(())
            }
            _ => None,
        }
    }

    /// Returns a copy of what is at a path; as in Kubernetes, a key that is not there holds null.
    fn get(&self, path: &str) -> Option<Value> {
        let (parents, last) = split(path)?;
        let parent = parents
            .iter()
            .try_fold(&self.document, |value, key| child(value, key))?;
        match parent {
            Value::Object(map) => Some(map.get(&last).cloned().unwrap_or_default()),
            other => child(other, &last).cloned(),
        }
    }

    fn parent(&mut self, parents: &[String]) -> Option<&mut Value> {
        parents
            .iter()
            .try_fold(&mut self.document, |value, key| match value {
                Value::Object(map) => map.get_mut(key),
                Value::Array(items) => {
                    let at = index(key, items.len())?;
                    items.get_mut(at)
                }
                _ => None,
            })
    }

    fn add(&mut self, path: &str, value: Value) -> Option<()> {
        let (parents, last) = split(path)?;
        match self.parent(&parents)? {
            Value::Object(map) => {
                map.insert(last, value);
            }
            Value::Array(items) if last == "-" => items.push(value),
            Value::Array(items) => {
                let at = index(&last, items.len() + 1)?;
                items.insert(at, value);
            }
            _ => return None,
        }
        Some(())
    }

    fn take(&mut self, path: &str) -> Option<Value> {
        let (parents, last) = split(path)?;
        match self.parent(&parents)? {
            Value::Object(map) => map.remove(&last),
            Value::Array(items) => {
                let at = index(&last, items.len())?;
                Some(items.remove(at))
            }
            _ => None,
        }
    }

    fn replace(&mut self, path: &str, value: Value) -> Option<()> {
        if path.is_empty() {
            self.document = value;
            return Some(());
        }
        let (parents, last) = split(path)?;
        let place = match self.parent(&parents)? {
            // As in Kubernetes, replacing a key that is not there adds it.
            Value::Object(map) => map.entry(last).or_insert(Value::Null),
            Value::Array(items) => {
                let at = index(&last, items.len())?;
                items.get_mut(at)?
            }
            _ => return None,
        };
        *place = value;
        Some(())
    }
}

fn child<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(index(key, items.len())?),
        _ => None,
    }
}

/// Returns the steps to a path's parent and the last step; the root has none.
fn split(path: &str) -> Option<(Vec<String>, String)> {
    let mut steps = path
        .strip_prefix('/')?
        .split('/')
        .map(|step| step.replace("~1", "/").replace("~0", "~"));
    let last = steps.next_back()?;
    Some((steps.collect(), last))
}

/// Returns the place that a step names in a list of this length.
fn index(step: &str, length: usize) -> Option<usize> {
    let index: i64 = step.parse().ok()?;
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index).ok().filter(|_| index < length)
}
