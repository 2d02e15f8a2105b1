//! Small ways to reach into JSON objects, for the tables of defaults and checks.

use serde_json::{Map, Value, json};

/// Returns the object under a field, which is made when it is not there.
pub(super) fn object<'a>(parent: &'a mut Value, field: &str) -> &'a mut Value {
    if !parent.is_object() {
        *parent = json!({});
    }
    let child = &mut parent[field];
    if !child.is_object() {
        *child = json!({});
    }
    child
}

/// Sets a field that is absent, null or empty text.
pub(super) fn default(parent: &mut Value, field: &str, value: impl Into<Value>) {
    let Some(map) = parent.as_object_mut() else {
        return;
    };
    let missing = match map.get(field) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    if missing {
        map.insert(field.to_owned(), value.into());
    }
}

/// Sets a number that is absent or zero, as Go's plain numbers are defaulted.
pub(super) fn default_number(parent: &mut Value, field: &str, value: i64) {
    if parent[field].as_i64().unwrap_or_default() == 0 && parent.is_object() {
        parent[field] = value.into();
    }
}

/// Calls `complete` with each item of a list.
pub(super) fn each(parent: &mut Value, field: &str, mut complete: impl FnMut(&mut Value)) {
    if let Some(items) = parent.get_mut(field).and_then(Value::as_array_mut) {
        items.iter_mut().for_each(&mut complete);
    }
}

/// Calls `complete` with an object, where there is one.
pub(super) fn with(parent: &mut Value, field: &str, complete: impl FnOnce(&mut Value)) {
    if let Some(child) = parent.get_mut(field).filter(|child| child.is_object()) {
        complete(child);
    }
}

/// Returns the text of a field; empty without one.
pub(super) fn text<'a>(parent: &'a Value, field: &str) -> &'a str {
    parent[field].as_str().unwrap_or_default()
}

/// Returns the items of a list; none without one.
pub(super) fn items<'a>(parent: &'a Value, field: &str) -> &'a [Value] {
    parent[field]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Returns the entries of a map; none without one.
pub(super) fn entries<'a>(parent: &'a Value, field: &str) -> Option<&'a Map<String, Value>> {
    parent[field].as_object()
}
