//! Cases of tables and OpenAPI documents: what `kubectl get` and `kubectl explain` read.

#![expect(clippy::unwrap_used, reason = "a test fails where it must not go on")]

use std::path::Path;
use std::sync::Arc;

use apiserver::kinds::{self, TypeInfo};
use apiserver::table::{self, Include};
use apiserver::{crd, openapi};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

const CREATED: &str = "2026-01-02T03:04:05Z";

/// Five minutes after the objects were made.
fn now() -> DateTime<Utc> {
    "2026-01-02T03:09:05Z".parse().unwrap()
}

fn data(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn builtin(object: &Value) -> TypeInfo {
    let is_kind = |row: &TypeInfo| {
        object["kind"] == row.kind.as_str() && object["apiVersion"] == row.api_version().as_str()
    };
    kinds::builtin().into_iter().find(is_kind).unwrap()
}

fn widgets() -> Vec<TypeInfo> {
    let mut definition = data("schema/widgets.json")[0].clone();
    crd::accept(&mut definition, None, CREATED).unwrap();
    crd::compile(&definition).unwrap()
}

fn one(kind: &TypeInfo, object: &Value) -> Value {
    let items = std::slice::from_ref(object);
    table::render(kind, items, json!({}), Include::None, now())
}

#[test]
fn builtin_kinds_have_the_recorded_columns_and_cells() {
    for case in data("table/builtin.json").as_array().unwrap() {
        let object = &case["object"];
        let table = one(&builtin(object), object);
        let columns: Vec<Value> = table["columnDefinitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| json!([it["name"], it["type"], it["format"], it["priority"]]))
            .collect();
        assert_eq!(Value::Array(columns), case["columns"], "{}", object["kind"]);
        let cells = table["rows"][0]["cells"].as_array().unwrap();
        let wanted = case["cells"].as_array().unwrap();
        assert_eq!(cells.len(), wanted.len(), "{}", object["kind"]);
        for (cell, want) in cells.iter().zip(wanted) {
            // The recording masks ages, and `<unknown>` with them.
            if want == "AGE" {
                assert!(
                    cell == "5m" || cell == "<unknown>",
                    "{}: {cell}",
                    object["kind"]
                );
            } else {
                assert_eq!(cell, want, "{}", object["kind"]);
            }
        }
    }
}

#[test]
fn columns_of_custom_kinds_follow_their_paths() {
    let kind = &widgets()[0];
    let object = json!({
        "metadata": { "name": "a", "creationTimestamp": CREATED },
        "spec": {
            "size": 5, "color": "red", "parts": [{ "name": "p" }, { "name": "q" }],
            "when": "2026-01-02T02:09:05Z",
        },
        "status": { "conditions": [
            { "type": "Other", "status": "No" }, { "type": "Ready", "status": "True" },
        ] },
    });
    let table = one(kind, &object);
    assert_eq!(
        table["rows"][0]["cells"],
        json!(["a", 5, "red", "True", "p", "60m", "5m"])
    );
    let bare = json!({ "metadata": { "name": "b", "creationTimestamp": CREATED }, "spec": {} });
    let table = one(kind, &bare);
    assert_eq!(
        table["rows"][0]["cells"],
        json!(["b", null, null, null, null, null, "5m"])
    );
    assert_eq!(
        table["columnDefinitions"][2]["description"],
        "Custom resource definition column (in JSONPath format): .spec.color"
    );
}

#[test]
fn rows_carry_what_was_asked_for() {
    let object = json!({ "metadata": { "name": "a" }, "data": {} });
    let kind = builtin(&json!({ "kind": "ConfigMap", "apiVersion": "v1" }));
    let items = [object.clone()];
    let carried = |include| {
        table::render(&kind, &items, json!({}), include, now())["rows"][0]["object"].clone()
    };
    assert_eq!(carried(Include::None), Value::Null);
    assert_eq!(carried(Include::Object), object);
    assert_eq!(
        carried(Include::Metadata),
        json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": { "name": "a" },
        })
    );
}

#[test]
fn every_reference_in_a_document_leads_somewhere() {
    let types: Vec<Arc<TypeInfo>> = kinds::builtin()
        .into_iter()
        .chain(widgets())
        .map(Arc::new)
        .collect();
    let index = openapi::index(&types);
    for path in index["paths"].as_object().unwrap().keys() {
        let parts: Vec<&str> = path.split('/').collect();
        let (group, version) = match parts.as_slice() {
            ["api", version] => ("", *version),
            ["apis", group, version] => (*group, *version),
            _ => panic!("{path}"),
        };
        let document = openapi::document(group, version, &types);
        assert!(!document["paths"].as_object().unwrap().is_empty(), "{path}");
        let known = document["components"]["schemas"].as_object().unwrap();
        let text = document.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(known.contains_key(name), "{path}: {name}");
        }
    }
}

#[test]
fn the_hash_of_a_document_follows_its_definitions() {
    let before: Vec<Arc<TypeInfo>> = widgets().into_iter().map(Arc::new).collect();
    let mut definition = data("schema/widgets.json")[0].clone();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        ["size"]["maximum"] = json!(7);
    let after: Vec<Arc<TypeInfo>> = crd::compile(&definition)
        .unwrap()
        .into_iter()
        .map(Arc::new)
        .collect();
    let place = "/paths/apis~1widgets.example.dev~1v1";
    let (old, new) = (openapi::index(&before), openapi::index(&after));
    assert_ne!(old.pointer(place), new.pointer(place));
    let same = "/paths/apis~1widgets.example.dev~1v1beta1";
    assert_eq!(old.pointer(same), new.pointer(same));
}

#[test]
fn kinds_are_described_and_can_be_patched() {
    let types: Vec<Arc<TypeInfo>> = widgets().into_iter().map(Arc::new).collect();
    let document = openapi::document("widgets.example.dev", "v1", &types);
    let schema = &document["components"]["schemas"]["dev.example.widgets.v1.Widget"];
    assert_eq!(
        schema["properties"]["spec"]["properties"]["size"]["default"],
        3
    );
    assert_eq!(
        schema["x-kubernetes-group-version-kind"][0]["kind"],
        "Widget"
    );
    let path = "/apis/widgets.example.dev/v1/namespaces/{namespace}/widgets/{name}";
    let patch = &document["paths"][path]["patch"];
    assert_eq!(patch["x-kubernetes-action"], "patch");
    let names: Vec<&Value> = patch["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(
        names,
        ["dryRun", "fieldManager", "fieldValidation", "force"]
    );
}

#[test]
fn the_scale_of_any_kind_has_its_own_columns() {
    let scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": { "name": "a", "creationTimestamp": CREATED },
        "spec": { "replicas": 4 }, "status": { "replicas": 2 },
    });
    for kind in [
        &builtin(&json!({ "kind": "Deployment", "apiVersion": "apps/v1" })),
        &widgets()[0],
    ] {
        let table = one(kind, &scale);
        assert_eq!(table["rows"][0]["cells"], json!(["a", 4, 2, "5m"]));
        assert_eq!(table["columnDefinitions"][1]["name"], "Desired");
    }
}
