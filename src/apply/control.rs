//! What an object's own labels and annotations ask of the reconciler.
//!
//! Keys of the group `kustomize.toolkit.fluxcd.io`, honoured as a label or as an annotation and
//! compared without regard to case, as upstream does.

use serde_json::Value;

use super::GROUP;

/// Returns the value of a control key of an object, in lower case.
fn control(object: &Value, key: &str) -> Option<String> {
    let key = format!("{GROUP}/{key}");
    ["labels", "annotations"].iter().find_map(|place| {
        let value = object.get("metadata")?.get(place)?.get(&key)?.as_str()?;
        Some(value.to_lowercase())
    })
}

fn is(object: Option<&Value>, key: &str, value: &str) -> bool {
    object
        .and_then(|object| control(object, key))
        .is_some_and(|found| found == value)
}

/// Whether the object is left alone by the apply.
pub(super) fn is_skipped(desired: &Value, live: Option<&Value>) -> bool {
    let either = |key, value| is(Some(desired), key, value) || is(live, key, value);
    either("reconcile", "disabled")
        || either("ssa", "ignore")
        || (live.is_some() && is(Some(desired), "ssa", "ifnotpresent"))
}

/// Whether the object may be deleted and recreated when a field is immutable.
pub(super) fn is_forced(desired: &Value, live: Option<&Value>) -> bool {
    is(Some(desired), "force", "enabled") || is(live, "force", "enabled")
}

/// Whether fields of other managers are left as they are.
pub(super) fn is_merged(desired: &Value, live: &Value) -> bool {
    is(Some(desired), "ssa", "merge") || is(Some(live), "ssa", "merge")
}

/// Whether the live object is kept although it left the build.
pub(super) fn is_kept(live: &Value) -> bool {
    is(Some(live), "prune", "disabled")
        || is(Some(live), "reconcile", "disabled")
        || is(Some(live), "ssa", "ignore")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn annotated(key: &str, value: &str) -> Value {
        json!({"metadata": {"annotations": {format!("{GROUP}/{key}"): value}}})
    }

    #[test]
    fn create_once_skips_only_what_exists() {
        let desired = annotated("ssa", "IfNotPresent");
        assert!(!is_skipped(&desired, None));
        assert!(is_skipped(&desired, Some(&json!({}))));
        assert!(!is_skipped(&json!({}), Some(&desired)));
    }

    #[test]
    fn labels_count_as_annotations_do_and_case_does_not() {
        let label = json!({"metadata": {"labels": {format!("{GROUP}/reconcile"): "Disabled"}}});
        assert!(is_skipped(&json!({}), Some(&label)));
        assert!(is_kept(&label));
        assert!(is_kept(&annotated("prune", "disabled")));
        assert!(!is_kept(&annotated("prune", "enabled")));
    }
}
