//! Events have two views on one stored object: that of the core group and that of
//! `events.k8s.io`. Objects are stored in the core form.

use serde_json::{Map, Value};

/// Fields that have another name in the two views: core first.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// Returns the core form of an Event of `events.k8s.io`.
pub fn to_core_event(event: &Value) -> Value {
    renamed(event, "v1", |name| {
        let found = RENAMED.iter().find(|(_, other)| *other == name);
        found.map(|(core, _)| *core)
    })
}

/// Returns the form that an Event of the core group has in `events.k8s.io`.
pub fn from_core_event(event: &Value) -> Value {
    renamed(event, "events.k8s.io/v1", |name| {
        let found = RENAMED.iter().find(|(core, _)| *core == name);
        found.map(|(_, other)| *other)
    })
}

fn renamed(event: &Value, version: &str, new_name: impl Fn(&str) -> Option<&'static str>) -> Value {
    let mut out = Map::new();
    for (name, value) in event.as_object().into_iter().flatten() {
        let key = new_name(name).unwrap_or(name);
        out.insert(key.to_owned(), value.clone());
    }
    if out.contains_key("apiVersion") {
        out.insert("apiVersion".to_owned(), version.into());
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_reads_the_same_after_both_turns() {
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e" },
            "involvedObject": { "kind": "Pod" }, "message": "m", "count": 2,
            "reportingComponent": "c", "source": { "component": "s" }, "type": "Normal",
        });
        let other = from_core_event(&event);
        assert_eq!(other["apiVersion"], "events.k8s.io/v1");
        assert_eq!(other["note"], "m");
        assert_eq!(other["deprecatedCount"], 2);
        assert_eq!(other["regarding"]["kind"], "Pod");
        assert!(other.get("message").is_none());
        assert_eq!(to_core_event(&other), event);
    }
}
