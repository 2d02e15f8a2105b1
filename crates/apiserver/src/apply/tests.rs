//! The cases of `testdata/apply`: sequences of writes, with what is merged and who owns what.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Apply, Outcome, Update, apply, keep_times, owners_after_scale, owners_of_scale};
use super::{managed, track_update};
use crate::error::ApiError;
use crate::kinds::{self, TypeInfo};

pub(super) const NOW: &str = "2026-01-02T03:04:05Z";

/// Returns the rows of a kind, all versions.
pub(super) fn rows(kind: &str) -> Vec<Arc<TypeInfo>> {
    let definition = include_str!("../../testdata/apply/samples.crd.json");
    let definition: Value = serde_json::from_str(definition).unwrap();
    let samples = crate::crd::compile(&definition).unwrap();
    let all = kinds::builtin().into_iter().chain(samples);
    let rows: Vec<_> = all.filter(|row| row.kind == kind).map(Arc::new).collect();
    assert!(!rows.is_empty(), "no kind {kind}");
    rows
}

/// Returns a body with the kind and a name, where it does not say them itself.
pub(super) fn body(row: &TypeInfo, part: &Value) -> Value {
    let mut body = json!({
        "apiVersion": row.api_version(), "kind": row.kind, "metadata": { "name": "s" },
    });
    for (key, value) in part.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// Returns owners by name; those of a subresource as `name/subresource`.
pub(super) fn owners(object: &Value) -> Value {
    let mut owners = Map::new();
    let entries = object["metadata"].get("managedFields");
    for entry in entries.and_then(Value::as_array).into_iter().flatten() {
        let mut name = entry["manager"].as_str().unwrap().to_owned();
        if let Some(subresource) = entry.get("subresource").and_then(Value::as_str) {
            name = format!("{name}/{subresource}");
        }
        owners.insert(name, entry["fieldsV1"].clone());
    }
    Value::Object(owners)
}

fn without_owners(object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    object
}

fn check(cases: &str) {
    let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    assert!(!cases.is_empty());
    for case in &cases {
        let rows = rows(case["kind"].as_str().unwrap());
        let mut live: Option<Value> = None;
        for (i, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            let place = format!("{} (step {i})", case["name"]);
            match (run(&rows, live.as_ref(), step), step.get("error")) {
                (Err(error), Some(want)) => {
                    assert_eq!(&json!([error.code, error.message]), want, "{place}");
                }
                (Ok(object), None) => {
                    check_result(&rows, step, &object, &place);
                    live = Some(object);
                }
                (got, want) => panic!("{place}: {got:?} is not {want:?}"),
            }
        }
    }
}

fn check_result(rows: &[Arc<TypeInfo>], step: &Value, object: &Value, place: &str) {
    if let Some(want) = step.get("want") {
        let row = row(rows, step);
        assert_eq!(without_owners(object), body(&row, want), "{place}");
    }
    if let Some(want) = step.get("owners") {
        assert_eq!(&owners(object), want, "{place}");
    }
}

/// Returns the row of a step's version; `schema` puts another version's schema into the first row.
fn row(rows: &[Arc<TypeInfo>], step: &Value) -> Arc<TypeInfo> {
    let named = |key: &str| rows.iter().find(|row| step[key] == row.version).cloned();
    if let Some(other) = named("schema") {
        let mut row = TypeInfo::clone(&rows[0]);
        row.schema = Arc::clone(&other.schema);
        return Arc::new(row);
    }
    named("version").unwrap_or_else(|| Arc::clone(&rows[0]))
}

fn run(rows: &[Arc<TypeInfo>], live: Option<&Value>, step: &Value) -> Result<Value, ApiError> {
    let row = row(rows, step);
    let live = live.map(|live| {
        let mut live = live.clone();
        live["apiVersion"] = json!(row.api_version());
        live
    });
    let manager = step["by"].as_str().unwrap();
    let subresource = step["at"].as_str().unwrap_or("");
    if let Some(applied) = step.get("apply") {
        let request = Apply {
            live: live.as_ref(),
            applied: body(&row, applied),
            manager,
            force: step["force"] == json!(true),
            subresource,
            kind: &row,
            versions: rows,
            now: NOW,
        };
        return apply(request).map(|outcome| outcome.object);
    }
    let mut new = body(&row, &step["update"]);
    let request = Update {
        live: live.as_ref(),
        manager,
        subresource,
        kind: &row,
        versions: rows,
        now: NOW,
    };
    track_update(&request, &mut new);
    Ok(new)
}

#[test]
fn merging_and_owning_follow_their_cases() {
    check(include_str!("../../testdata/apply/owners.json"));
}

#[test]
fn the_rules_around_merging_follow_their_cases() {
    check(include_str!("../../testdata/apply/rules.json"));
}

fn applied(live: Option<&Value>, part: &Value, manager: &str, now: &str) -> Outcome {
    let rows = rows("Sample");
    apply(Apply {
        live,
        applied: body(&rows[0], part),
        manager,
        force: false,
        subresource: "",
        kind: &rows[0],
        versions: &rows,
        now,
    })
    .unwrap()
}

#[test]
fn the_time_of_an_entry_moves_only_when_the_object_changes() {
    let later = "2026-01-02T03:05:00Z";
    let first = applied(None, &json!({ "spec": { "text": "a" } }), "alice", NOW);
    assert!(first.changed);
    let entry = |object: &Value, i: usize| object["metadata"]["managedFields"][i].clone();
    assert_eq!(entry(&first.object, 0)["time"], NOW);
    let part = json!({ "spec": { "text": "a" } });
    let again = applied(Some(&first.object), &part, "alice", later);
    assert!(!again.changed);
    assert_eq!(again.object, first.object);
    let shared = applied(Some(&first.object), &part, "bob", later);
    assert!(!shared.changed);
    assert_eq!(entry(&shared.object, 0)["manager"], "bob");
    assert_eq!(entry(&shared.object, 0).get("time"), None);
    let part = json!({ "spec": { "text": "a", "size": 1 } });
    let changed = applied(Some(&first.object), &part, "alice", later);
    assert_eq!(entry(&changed.object, 0)["time"], later);
}

#[test]
fn times_alone_are_put_back() {
    let object = |time: &str, text: &str| {
        json!({
            "metadata": { "name": "s", "managedFields": [
                { "manager": "a", "operation": "Apply", "apiVersion": "v1", "time": time,
                  "fieldsType": "FieldsV1", "fieldsV1": { "f:x": {} } } ] },
            "x": text,
        })
    };
    let live = object("2026-01-01T00:00:00Z", "1");
    let mut new = object(NOW, "1");
    assert!(!keep_times(&live, &mut new));
    assert_eq!(new, live);
    let mut new = object(NOW, "2");
    assert!(keep_times(&live, &mut new));
    assert_eq!(new, object(NOW, "2"));
}

#[test]
fn entries_are_written_appliers_first_then_by_time_then_by_name() {
    let entry = |manager: &str, operation: &str, second: u32| {
        json!({ "manager": manager, "operation": operation, "apiVersion": "v1",
            "time": format!("2026-01-01T00:00:{second:02}Z"),
            "fieldsType": "FieldsV1", "fieldsV1": { "f:x": {} } })
    };
    let sorted = [
        entry("z", "Apply", 1),
        entry("a", "Apply", 2),
        entry("b", "Apply", 2),
        entry("y", "Update", 1),
        entry("x", "Update", 3),
    ];
    let mut mixed = sorted.to_vec();
    mixed.reverse();
    let decoded = managed::Managed::decode(Some(&Value::Array(mixed))).unwrap();
    assert_eq!(decoded.encode(), Some(Value::Array(sorted.to_vec())));
}

#[test]
fn more_than_ten_updaters_become_ancient_changes() {
    let rows = rows("Sample");
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    let mut live: Option<Value> = None;
    for n in 0..12 {
        labels.insert(format!("k{n:02}"), "v".to_owned());
        let mut new = body(&rows[0], &json!({ "spec": { "labels": labels } }));
        let now = format!("2026-01-02T03:04:{n:02}Z");
        let manager = format!("m{n:02}");
        let request = Update {
            live: live.as_ref(),
            manager: &manager,
            subresource: "",
            kind: &rows[0],
            versions: &rows,
            now: &now,
        };
        track_update(&request, &mut new);
        live = Some(new);
    }
    let owners = owners(&live.unwrap());
    assert_eq!(
        owners.as_object().unwrap().len(),
        managed::UPDATE_MANAGERS_MAX
    );
    let ancient = &owners["ancient-changes"]["f:spec"]["f:labels"];
    let names: Vec<&String> = ancient.as_object().unwrap().keys().collect();
    assert_eq!(names, [".", "f:k00", "f:k01", "f:k02"]);
    assert!(owners.get("m03").is_some() && owners.get("m11").is_some());
}

#[test]
fn owners_at_versions_that_are_not_served_are_dropped() {
    let mut live = applied(None, &json!({ "spec": { "text": "a" } }), "alice", NOW).object;
    live["metadata"]["managedFields"][0]["apiVersion"] = json!("test.example/v0");
    let part = json!({ "spec": { "text": "b" } });
    let object = applied(Some(&live), &part, "bob", NOW).object;
    assert_eq!(
        owners(&object),
        json!({ "bob": { "f:spec": { "f:text": {} } } })
    );
}

#[test]
fn replicas_change_hands_through_the_scale() {
    let rows = rows("Sample");
    let part = json!({ "spec": { "text": "a", "size": 2 } });
    let object = applied(None, &part, "alice", NOW).object;
    let entries = object["metadata"].get("managedFields");
    let scale = owners_of_scale(entries, &rows).unwrap();
    assert_eq!(
        scale[0]["fieldsV1"],
        json!({ "f:spec": { "f:replicas": {} } })
    );
    assert_eq!(scale[0]["apiVersion"], "autoscaling/v1");
    let taken = json!([{ "manager": "hpa", "operation": "Update", "apiVersion": "autoscaling/v1",
        "subresource": "scale", "time": NOW, "fieldsType": "FieldsV1",
        "fieldsV1": { "f:spec": { "f:replicas": {} } } }]);
    let after = owners_after_scale(entries, Some(&taken), &rows[0], &rows).unwrap();
    let mut object = object.clone();
    object["metadata"]["managedFields"] = after;
    let want = json!({
        "alice": { "f:spec": { "f:text": {} } },
        "hpa/scale": { "f:spec": { "f:size": {} } },
    });
    assert_eq!(owners(&object), want);
    assert_eq!(
        object["metadata"]["managedFields"][1]["apiVersion"],
        "test.example/v1"
    );
}
