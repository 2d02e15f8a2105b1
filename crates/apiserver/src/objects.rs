//! Between stored objects and served ones: `apiVersion` and `kind`, defaults on read, two views of
//! events.
//!
//! Objects are stored without `apiVersion` and `kind`, so a version is a matter of reading. Pure.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::kinds::TypeInfo;
use crate::store::Entry;
use crate::{builtin, schema};

/// The group whose Events are a second view of core's.
const EVENTS_GROUP: &str = "events.k8s.io";

/// Returns the name under which a kind's objects are stored.
pub(crate) fn resource(kind: &TypeInfo) -> Arc<str> {
    if is_event_view(kind) {
        "/events".into()
    } else {
        format!("{}/{}", kind.group, kind.plural).into()
    }
}

fn is_event_view(kind: &TypeInfo) -> bool {
    kind.group == EVENTS_GROUP && kind.plural == "events"
}

/// Returns whether stored bytes can be served as they are.
fn is_verbatim(kind: &TypeInfo) -> bool {
    !kind.custom && !is_event_view(kind)
}

/// Returns an object as it is served at a version.
pub(crate) fn served(kind: &TypeInfo, entry: &Entry) -> Value {
    complete(kind, entry.value())
}

/// Returns a stored value as it is served at a version.
pub(crate) fn complete(kind: &TypeInfo, mut value: Value) -> Value {
    if is_event_view(kind) {
        value = builtin::from_core_event(&value);
    }
    let Some(map) = value.as_object_mut() else {
        return value;
    };
    map.insert("apiVersion".to_owned(), kind.api_version().into());
    map.insert("kind".to_owned(), kind.kind.clone().into());
    if kind.custom {
        // Another version, or a definition that has changed, can know fewer fields.
        schema::prune(&kind.schema, &mut value);
        schema::apply_defaults(&kind.schema, &mut value);
    }
    value
}

/// Returns an object as it is stored.
pub(crate) fn stored(kind: &TypeInfo, mut value: Value) -> Value {
    if is_event_view(kind) {
        value = builtin::to_core_event(&value);
    }
    if let Some(map) = value.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
    }
    value
}

/// Returns the JSON text of an object as it is served, `apiVersion` and `kind` included.
pub(crate) fn text(kind: &Arc<TypeInfo>, entry: &Entry) -> Bytes {
    if !is_verbatim(kind) {
        return completed_text(kind, entry);
    }
    let head = format!(
        "{{\"kind\":\"{}\",\"apiVersion\":\"{}\"",
        kind.kind,
        kind.api_version()
    );
    let rest = entry.body.get(1..).unwrap_or_default();
    let comma = if rest == b"}" { "" } else { "," };
    Bytes::from([head.as_bytes(), comma.as_bytes(), rest].concat())
}

/// Returns the text of an object that is completed on reading; made once for each row.
fn completed_text(kind: &Arc<TypeInfo>, entry: &Entry) -> Bytes {
    let mine =
        |row: &Arc<dyn Any + Send + Sync>| std::ptr::addr_eq(Arc::as_ptr(row), Arc::as_ptr(kind));
    if let Some((_, text)) = entry.shown.get().filter(|(row, _)| mine(row)) {
        return text.clone();
    }
    let text = to_bytes(&served(kind, entry));
    // The first row that shows the object keeps its place; another version is made each time.
    let _ = entry.shown.set((kind.clone(), text.clone()));
    text
}

/// Returns the JSON text of an object as an item of a list: built-in ones leave out their kind.
pub(crate) fn item_text(kind: &Arc<TypeInfo>, entry: &Entry) -> Bytes {
    if is_verbatim(kind) {
        return entry.body.clone();
    }
    if kind.custom {
        return completed_text(kind, entry);
    }
    let mut value = served(kind, entry);
    if let Some(map) = value.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
    }
    to_bytes(&value)
}

/// Returns the metadata of an object alone, as `PartialObjectMetadata` of a version of meta.k8s.io.
pub(crate) fn partial(value: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": value.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

/// Returns the JSON text of a value.
pub(crate) fn to_bytes(value: &Value) -> Bytes {
    serde_json::to_vec(value)
        .expect("because a JSON value always has a text")
        .into()
}

/// Returns a text field of `metadata`, or nothing.
pub(crate) fn meta_text<'a>(value: &'a Value, field: &str) -> &'a str {
    value
        .get("metadata")
        .and_then(|m| m.get(field))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Returns `metadata` for changing; makes one where there is none.
pub(crate) fn meta_mut(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    let map = value
        .as_object_mut()
        .expect("because it was just made an object");
    let meta = map.entry("metadata").or_insert_with(|| json!({}));
    if !meta.is_object() {
        *meta = json!({});
    }
    meta.as_object_mut()
        .expect("because it was just made an object")
}
