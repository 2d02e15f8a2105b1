//! JSON patches as kustomize applies them, which is not quite RFC 6902.
//!
//! In: operations and an object. Out: the object changed. `replace` creates a missing member,
//! negative indexes count from the end, a path need not begin with `/`, whole numbers beyond 2^53
//! lose their last digits.

use serde_json::{Map, Value};

use crate::decode::{Decode, Unknown, record};
use crate::growth::Growth;

/// The operations of a patch.
#[derive(Debug, Clone)]
pub(crate) struct JsonPatch(Vec<Operation>);

record! {
    /// One operation; its value is looked up apart, since null is a value.
    OperationRecord {
        op: String = "op",
        path: String = "path",
        from: String = "from",
        value: Value = "value",
    }
}

#[derive(Debug, Clone)]
struct Operation {
    op: String,
    path: String,
    from: String,
    value: Value,
}

impl JsonPatch {
    /// Returns the patch of a text: JSON when it begins with `[`, else YAML.
    ///
    /// Fails when the text is neither, or is not a list of operations.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let value = if text.starts_with('[') {
            match serde_json::from_str(text) {
                Ok(value) => value,
                Err(error) => return Err(error.to_string()),
            }
        } else {
            let node = yaml::node::read_first(text).map_err(|error| error.to_string())?;
            let node = node.ok_or("the patch is empty")?;
            yaml::json::to_value(&node).map_err(|error| error.to_string())?
        };
        let Value::Array(items) = &value else {
            return Err("a JSON patch is a list of operations".into());
        };
        let operations = items.iter().map(|item| {
            let record = OperationRecord::decode(item, Unknown::Ignored)?;
            let mut value = record.value;
            to_floats(&mut value);
            Ok(Operation {
                op: record.op,
                path: record.path,
                from: record.from,
                value,
            })
        });
        operations.collect::<Result<_, String>>().map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies the operations in order.
    ///
    /// Fails at the first that does not fit the object.
    pub(crate) fn apply(&self, mut document: Value, growth: &Growth) -> Result<Value, String> {
        to_floats(&mut document);
        for operation in &self.0 {
            operation.apply(&mut document, growth).map_err(|problem| {
                format!("{} operation does not apply: {problem}", operation.op)
            })?;
        }
        Ok(document)
    }
}

/// Numbers are floats to the library that kustomize uses.
#[expect(clippy::cast_precision_loss, reason = "so does kustomize")]
fn to_floats(value: &mut Value) {
    const EXACT_MAX: u64 = 1 << 53;
    match value {
        Value::Number(number) => {
            let float = match (number.as_i64(), number.as_u64()) {
                (Some(int), _) if int.unsigned_abs() > EXACT_MAX => int as f64,
                (None, Some(int)) => int as f64,
                _ => return,
            };
            *value = yaml::json::json_number(float).map_or(Value::Null, Value::Number);
        }
        Value::Array(items) => items.iter_mut().for_each(to_floats),
        Value::Object(object) => object.values_mut().for_each(to_floats),
        _ => {}
    }
}

impl Operation {
    fn apply(&self, document: &mut Value, growth: &Growth) -> Result<(), String> {
        let depth = self.path.matches('/').count();
        match self.op.as_str() {
            "add" => {
                growth.add_value(&self.value, depth)?;
                add(document, &self.path, self.value.clone())
            }
            "remove" => remove(document, &self.path).map(drop),
            "replace" => {
                growth.add_value(&self.value, depth)?;
                replace(document, &self.path, self.value.clone())
            }
            "move" => {
                let value = remove(document, &self.from)?;
                growth.add_value(&value, depth)?;
                add(document, &self.path, value)
            }
            "copy" => {
                let value = get(document, &self.from)?.cloned().unwrap_or(Value::Null);
                growth.add_value(&value, depth)?;
                add(document, &self.path, value)
            }
            "test" => {
                let value = get(document, &self.path)?.cloned().unwrap_or(Value::Null);
                if value == self.value {
                    return Ok(());
                }
                Err(format!("testing value {} failed: test failed", self.path))
            }
            other => Err(format!("unexpected kind: {other}")),
        }
    }
}

/// Returns the parts of a path; what stands before the first `/` does not count.
fn parts(path: &str) -> Vec<String> {
    let parts = path.split('/').skip(1);
    parts
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect()
}

/// Returns what holds the last part of the path, and that part.
fn holder<'a>(document: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), String> {
    let mut parts = parts(path);
    let missing = || format!("doc is missing path: {path:?}: missing value");
    let last = parts.pop().ok_or_else(missing)?;
    let mut node = document;
    for part in parts {
        node = match node {
            Value::Object(object) => object.get_mut(&part).ok_or_else(missing)?,
            Value::Array(items) => {
                let at = existing(items.len(), &part)?;
                &mut items[at]
            }
            _ => return Err(missing()),
        };
    }
    if node.is_object() || node.is_array() {
        Ok((node, last))
    } else {
        Err(missing())
    }
}

/// Returns the index of an element that must be there.
fn existing(length: usize, part: &str) -> Result<usize, String> {
    let index: i64 = part
        .parse()
        .map_err(|_| format!("{part:?} is not an index"))?;
    let invalid = || format!("unable to access invalid index: {index}: invalid index referenced");
    let at = match usize::try_from(index) {
        Ok(at) => at,
        Err(_) => {
            let back = usize::try_from(index.unsigned_abs()).map_err(|_| invalid())?;
            length.checked_sub(back).ok_or_else(invalid)?
        }
    };
    if at < length { Ok(at) } else { Err(invalid()) }
}

fn get<'a>(document: &'a mut Value, path: &str) -> Result<Option<&'a Value>, String> {
    if path.is_empty() {
        return Ok(Some(document));
    }
    let (holder, last) = holder(document, path)?;
    match holder {
        Value::Object(object) => Ok(object.get(&last)),
        Value::Array(items) => existing(items.len(), &last).map(|at| items.get(at)),
        _ => Ok(None),
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let (holder, last) = holder(document, path)?;
    match holder {
        Value::Object(object) => {
            object.insert(last, value);
        }
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => {
            // One more than there are elements: the end is an index too.
            let at = existing(items.len() + 1, &last)?;
            items.insert(at, value);
        }
        _ => {}
    }
    Ok(())
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err("only an object or a list can replace the document".into());
        }
        *document = value;
        return Ok(());
    }
    let (holder, last) = holder(document, path)?;
    match holder {
        Value::Object(object) => {
            object.insert(last, value);
        }
        Value::Array(items) => {
            let at = existing(items.len(), &last)
                .map_err(|_| format!("doc is missing key: {path}: missing value"))?;
            items[at] = value;
        }
        _ => {}
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Value, String> {
    let (holder, last) = holder(document, path)?;
    match holder {
        Value::Object(object) => remove_member(object, &last),
        Value::Array(items) => existing(items.len(), &last).map(|at| items.remove(at)),
        _ => Ok(Value::Null),
    }
}

fn remove_member(object: &mut Map<String, Value>, key: &str) -> Result<Value, String> {
    let missing = || format!("unable to remove nonexistent key: {key}: missing value");
    object.remove(key).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(patch: &str, want: &Value) {
        let patch = JsonPatch::read(patch).expect(patch);
        let document = json!({"a": {"b": 1}, "l": [1, 2, 3]});
        assert_eq!(
            patch.apply(document, &Growth::default()).as_ref(),
            Ok(want),
            "{patch:?}"
        );
    }

    fn refuses(patch: &str, problem: &str) {
        let patch = JsonPatch::read(patch).expect(patch);
        let error = patch
            .apply(json!({"a": {"b": 1}, "l": [1, 2, 3]}), &Growth::default())
            .expect_err("an error");
        assert!(error.contains(problem), "{error}");
    }

    #[test]
    fn operations_are_lenient_where_kustomize_is() {
        check(
            "[{op: replace, path: /a/c, value: 2}]"
                .replace("[{", "- {")
                .trim_end_matches(']'),
            &json!({"a": {"b": 1, "c": 2}, "l": [1, 2, 3]}),
        );
        check(
            "- {op: remove, path: /l/-1}",
            &json!({"a": {"b": 1}, "l": [1, 2]}),
        );
        check(
            "- {op: add, path: /l/-1, value: 9}",
            &json!({"a": {"b": 1}, "l": [1, 2, 3, 9]}),
        );
        check(
            "- {op: add, path: /l/-, value: 9}",
            &json!({"a": {"b": 1}, "l": [1, 2, 3, 9]}),
        );
        check(
            "- {op: add, path: x/n, value: 9}",
            &json!({"a": {"b": 1}, "l": [1, 2, 3], "n": 9}),
        );
        check(
            "- {op: add, path: /n}",
            &json!({"a": {"b": 1}, "l": [1, 2, 3], "n": null}),
        );
        check(
            "- {op: test, path: /none}",
            &json!({"a": {"b": 1}, "l": [1, 2, 3]}),
        );
        check(
            "- {op: move, from: /a/b, path: /c}",
            &json!({"a": {}, "l": [1, 2, 3], "c": 1}),
        );
    }

    #[test]
    fn operations_that_do_not_fit_fail() {
        refuses("- {op: replace, path: /l/9, value: 1}", "missing key");
        refuses("- {op: add, path: /x/y, value: 1}", "missing path");
        refuses("- {op: add, path: /l/5, value: 1}", "invalid index");
        refuses("- {op: remove, path: /x}", "nonexistent key");
        refuses("- {op: test, path: /a/b, value: 2}", "test failed");
        refuses("- {op: explode, path: /a}", "unexpected kind");
    }
}
