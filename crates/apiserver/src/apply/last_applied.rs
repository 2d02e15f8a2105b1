//! The annotation that `kubectl apply` leaves: fields in it do not conflict with manager `kubectl`.
//!
//! Objects made by client-side apply can so be taken over by server-side apply, and the annotation
//! follows as long as it is there.

use serde_json::{Map, Value};

use crate::fields::FieldSet;

use super::compare::compare;
use super::owned::field_set;
use super::update::Versions;

/// The manager for whom the annotation counts.
pub(super) const KUBECTL: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Kubernetes' limit of all annotations of an object, keys and values together.
const ANNOTATIONS_MAX_BYTES: usize = 256 * 1024;

/// Returns the fields that the annotation holds with their live values, if there is one.
pub(super) fn unchanged_fields(versions: &Versions<'_>, live: &Value) -> Option<FieldSet> {
    let text = annotation(live)?;
    let last: Value = serde_json::from_str(text).ok()?;
    if last.get("apiVersion").and_then(Value::as_str) != Some(versions.api_version()) {
        return None;
    }
    let kind = versions.own_type();
    super::check::check(kind, &last).ok()?;
    let comparison = compare(kind, &last, live);
    let set = field_set(kind, &last);
    let set = set.difference(&comparison.modified);
    let set = set.difference(&comparison.added);
    Some(set.difference(&comparison.removed))
}

/// Writes the applied object into the annotation, where the object has one.
pub(super) fn follow(object: &mut Value, applied: &Value) {
    if annotation(object).is_none() {
        return;
    }
    let Some(annotations) = annotations_mut(object) else {
        return;
    };
    let text = describe(applied);
    let others = annotations.iter().filter(|(key, _)| *key != ANNOTATION);
    let size: usize = others
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size + ANNOTATION.len() + text.len() > ANNOTATIONS_MAX_BYTES {
        annotations.remove(ANNOTATION);
    } else {
        annotations.insert(ANNOTATION.to_owned(), Value::String(text));
    }
}

fn annotation(object: &Value) -> Option<&str> {
    let text = object
        .get("metadata")?
        .get("annotations")?
        .get(ANNOTATION)?;
    text.as_str().filter(|text| !text.is_empty())
}

fn annotations_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object
        .get_mut("metadata")?
        .get_mut("annotations")?
        .as_object_mut()
}

/// Returns the object as one line of JSON with sorted keys, the annotation left out.
fn describe(applied: &Value) -> String {
    let mut applied = applied.clone();
    if let Some(annotations) = annotations_mut(&mut applied) {
        annotations.remove(ANNOTATION);
    }
    let mut text = String::new();
    crate::fields::write_go_json(&applied, &mut text);
    text.push('\n');
    text
}
