//! Takes over fields that people and older tools own, so that what left Git leaves the cluster.
//!
//! One JSON patch on the live object: obsolete annotations and labels are removed, and the managed
//! fields of kubectl, of `before-first-apply` and of our own updates are folded into our apply entry.
//! Upstream's rule, with its list of managers.

use serde_json::{Map, Value, json};

use super::FIELD_MANAGER;

const ANNOTATIONS: [&str; 3] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/checksum",
    "fluxcd.io/sync-checksum",
];
const LABELS: [&str; 1] = ["fluxcd.io/sync-gc-mark"];

/// Manager name prefix and operation of the entries that are folded in.
const FOLDED: [(&str, &str); 4] = [
    ("kubectl", "Apply"),
    ("kubectl", "Update"),
    ("before-first-apply", "Update"),
    (FIELD_MANAGER, "Update"),
];

/// Returns the JSON patch that cleans a live object up, or nothing where it is clean.
pub(super) fn cleanup(live: &Value) -> Option<Value> {
    let mut patch = Vec::new();
    for (place, keys) in [("annotations", &ANNOTATIONS[..]), ("labels", &LABELS[..])] {
        let Some(map) = live.pointer(&format!("/metadata/{place}")) else {
            continue;
        };
        for key in keys.iter().filter(|key| map.get(**key).is_some()) {
            let key = key.replace('~', "~0").replace('/', "~1");
            patch.push(json!({"op": "remove", "path": format!("/metadata/{place}/{key}")}));
        }
    }
    let entries = live
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    if let Some(folded) = entries.and_then(|entries| fold(entries)) {
        patch.push(json!({"op": "replace", "path": "/metadata/managedFields", "value": folded}));
    }
    (!patch.is_empty()).then_some(Value::Array(patch))
}

/// Returns the entries with all foreign ones folded into our own, or nothing where none is foreign.
fn fold(entries: &[Value]) -> Option<Vec<Value>> {
    let (foreign, mut kept): (Vec<&Value>, Vec<&Value>) =
        entries.iter().partition(|entry| is_folded(entry));
    let first = *foreign.first()?;
    let own = kept
        .iter()
        .position(|entry| is_own(entry))
        .map(|at| kept.remove(at));
    let mut merged = own.unwrap_or(first).clone();
    merged["manager"] = json!(FIELD_MANAGER);
    merged["operation"] = json!("Apply");
    let mut fields = merged["fieldsV1"].as_object().cloned().unwrap_or_default();
    for entry in &foreign {
        if let Some(other) = entry["fieldsV1"].as_object() {
            union(&mut fields, other);
        }
    }
    merged["fieldsV1"] = Value::Object(fields);
    let mut result: Vec<Value> = kept.into_iter().cloned().collect();
    result.push(merged);
    Some(result)
}

fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry.get(key).and_then(Value::as_str).unwrap_or("")
}

fn is_own(entry: &Value) -> bool {
    text(entry, "manager") == FIELD_MANAGER
        && text(entry, "operation") == "Apply"
        && text(entry, "subresource").is_empty()
}

fn is_folded(entry: &Value) -> bool {
    text(entry, "subresource").is_empty()
        && FOLDED.iter().any(|(manager, operation)| {
            text(entry, "manager").starts_with(manager) && text(entry, "operation") == *operation
        })
}

fn union(fields: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (key, value) in other {
        match (fields.get_mut(key), value) {
            (Some(Value::Object(mine)), Value::Object(theirs)) => union(mine, theirs),
            (Some(_), _) => {}
            (None, value) => {
                fields.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn fields_of_kubectl_are_taken_over() {
        let live = json!({"metadata": {
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "managedFields": [
            entry("kubectl-edit", "Update", json!({"f:data": {"f:x": {}}})),
            entry(FIELD_MANAGER, "Apply", json!({"f:data": {"f:a": {}}})),
            entry("other", "Update", json!({"f:data": {"f:y": {}}})),
        ]}});
        let want = json!([
            {"op": "remove",
             "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"},
            {"op": "replace", "path": "/metadata/managedFields", "value": [
                entry("other", "Update", json!({"f:data": {"f:y": {}}})),
                entry(FIELD_MANAGER, "Apply", json!({"f:data": {"f:a": {}, "f:x": {}}})),
            ]},
        ]);
        assert_eq!(cleanup(&live), Some(want));
    }

    #[test]
    fn a_clean_object_is_left_alone() {
        let mut status = entry("kubectl", "Update", json!({"f:status": {}}));
        status["subresource"] = json!("status");
        let own = entry(FIELD_MANAGER, "Apply", json!({}));
        assert_eq!(
            cleanup(&json!({"metadata": {"managedFields": [own, status]}})),
            None
        );
    }
}
