//! Whether a live object differs from what a dry run would make of it.
//!
//! Labels, annotations and everything outside `metadata` and `status` are compared; the rest of the
//! metadata belongs to the server and to other controllers. Upstream's rule.

use serde_json::Value;

/// Whether the two differ in what the reconciler manages.
pub(super) fn is_drifted(live: &Value, dry_run: &Value) -> bool {
    let metadata = |object: &Value, part: &str| {
        let value = object
            .get("metadata")
            .and_then(|metadata| metadata.get(part))
            .cloned();
        value.filter(|value| value.as_object().is_none_or(|map| !map.is_empty()))
    };
    ["labels", "annotations"]
        .iter()
        .any(|part| metadata(live, part) != metadata(dry_run, part))
        || managed(live).ne(managed(dry_run))
}

fn managed(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let fields = object.as_object().into_iter().flatten();
    fields.filter(|(key, _)| *key != "metadata" && *key != "status")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_and_server_metadata_are_no_drift() {
        let live = json!({"metadata": {"resourceVersion": "7", "labels": {}}, "status": {"a": 1},
            "spec": {"replicas": 1}});
        let dry = json!({"metadata": {"resourceVersion": "7"}, "spec": {"replicas": 1}});
        assert!(!is_drifted(&live, &dry));
    }

    #[test]
    fn a_label_or_a_field_is_drift() {
        let live = json!({"metadata": {"labels": {"a": "b"}}, "data": {"x": "1"}});
        assert!(is_drifted(
            &live,
            &json!({"metadata": {}, "data": {"x": "1"}})
        ));
        assert!(is_drifted(
            &live,
            &json!({"metadata": {"labels": {"a": "b"}}, "data": {}})
        ));
    }
}
