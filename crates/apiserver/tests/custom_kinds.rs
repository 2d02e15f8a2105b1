//! Cases of custom kinds: what is pruned, defaulted and refused, and which definitions are refused.

#![expect(clippy::unwrap_used, reason = "a test fails where it must not go on")]

use std::path::Path;

use apiserver::{crd, kinds::TypeInfo, schema};
use serde_json::{Value, json};

const NOW: &str = "2026-01-02T03:04:05Z";

fn data(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn rows(fixture: &str) -> Vec<TypeInfo> {
    let definitions = data(fixture);
    let mut rows = Vec::new();
    for definition in definitions.as_array().unwrap() {
        let mut definition = definition.clone();
        crd::accept(&mut definition, None, NOW).unwrap();
        rows.extend(crd::compile(&definition).unwrap());
    }
    rows
}

fn causes(found: &[apiserver::error::FieldError]) -> Vec<[String; 3]> {
    let mut causes: Vec<[String; 3]> = found
        .iter()
        .map(|it| [it.field.clone(), it.reason.to_owned(), it.message.clone()])
        .collect();
    causes.sort();
    causes
}

fn wanted(case: &Value) -> Vec<[String; 3]> {
    let mut causes: Vec<[String; 3]> = serde_json::from_value(case["errors"].clone()).unwrap();
    causes.sort();
    causes
}

#[test]
fn widgets_are_pruned_defaulted_and_validated_as_recorded() {
    let rows = rows("schema/widgets.json");
    for case in data("schema/widget-cases.json").as_array().unwrap() {
        let name = &case["name"];
        let row = rows
            .iter()
            .find(|row| case["kind"] == row.kind.as_str() && row.version == "v1")
            .unwrap();
        let mut object = json!({
            "apiVersion": "widgets.example.dev/v1", "kind": case["kind"],
            "metadata": { "name": "w" },
        });
        if !case["spec"].is_null() {
            object["spec"] = case["spec"].clone();
        }
        assert_eq!(
            schema::unknown(&row.schema, &object),
            schema::prune(&row.schema, &mut object.clone())
        );
        let pruned = schema::prune(&row.schema, &mut object);
        schema::apply_defaults(&row.schema, &mut object);
        let found = schema::validate(&row.schema, &object, None);
        if case["errors"].is_array() {
            assert_eq!(causes(&found), wanted(case), "{name}");
            continue;
        }
        assert_eq!(found, [], "{name}");
        assert_eq!(json!(pruned), case["pruned"], "{name}");
        for part in ["spec", "status"] {
            let stored = case["stored"].get(part);
            assert_eq!(object.get(part), stored, "{name} {part}");
        }
    }
}

#[test]
fn an_unchanged_wrong_value_is_let_through_on_update() {
    let rows = rows("schema/widgets.json");
    let old = json!({ "spec": { "name": "TOO LONG FOR IT", "size": 3, "fixed": "a" } });
    let mut new = old.clone();
    new["spec"]["size"] = json!(4);
    assert_eq!(schema::validate(&rows[0].schema, &new, Some(&old)), []);
    new["spec"]["name"] = json!("STILL WRONG, AND OTHER");
    assert_eq!(schema::validate(&rows[0].schema, &new, Some(&old)).len(), 2);
    new = old.clone();
    new["spec"]["fixed"] = json!("b");
    let found = schema::validate(&rows[0].schema, &new, Some(&old));
    assert_eq!(found[0].message, "Invalid value: \"b\": fixed is immutable");
}

#[test]
fn definitions_that_cannot_be_served_are_refused_as_recorded() {
    for case in data("crd/refused.json").as_array().unwrap() {
        let mut definition = case["crd"].clone();
        let found = crd::accept(&mut definition, None, NOW).unwrap_err();
        let mut causes = causes(&found);
        for cause in &mut causes {
            // The rest is worded by the parser of the expression.
            if let Some(end) = cause[2].find("compilation failed") {
                cause[2].truncate(end + "compilation failed".len());
            }
        }
        assert_eq!(causes, wanted(case), "{}", case["name"]);
    }
}

#[test]
fn names_and_status_are_completed() {
    let mut definition = data("schema/widgets.json")[1].clone();
    definition["spec"]["names"] = json!({ "plural": "depots", "kind": "Depot" });
    crd::accept(&mut definition, None, NOW).unwrap();
    let names = json!({
        "plural": "depots", "singular": "depot", "kind": "Depot", "listKind": "DepotList",
    });
    assert_eq!(definition["spec"]["names"], names);
    assert_eq!(
        definition["spec"]["conversion"],
        json!({ "strategy": "None" })
    );
    assert_eq!(definition["status"]["acceptedNames"], names);
    assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
    let kinds: Vec<&Value> = definition["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["type"])
        .collect();
    assert_eq!(kinds, ["NamesAccepted", "Established"]);
}

#[test]
fn scope_group_plural_and_kind_never_change() {
    let mut old = data("schema/widgets.json")[1].clone();
    crd::accept(&mut old, None, NOW).unwrap();
    let mut new = old.clone();
    new["spec"]["scope"] = json!("Namespaced");
    let found = crd::accept(&mut new, Some(&old), NOW).unwrap_err();
    assert_eq!(found[0].field, "spec.scope");
    assert_eq!(
        found[0].message,
        "Invalid value: \"Namespaced\": field is immutable"
    );
}

/// The definitions are not part of this crate; the variable names the file that holds them.
#[test]
fn real_definitions_are_accepted_and_compile() {
    let Some(path) = std::env::var_os("TOWPATH_FLUX_CRDS") else {
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let definitions: Vec<Value> = serde_json::from_str(&text).unwrap();
    let start = std::time::Instant::now();
    for mut definition in definitions {
        let name = definition["metadata"]["name"].clone();
        crd::accept(&mut definition, None, NOW).unwrap_or_else(|it| panic!("{name}: {it:?}"));
        assert!(!crd::compile(&definition).unwrap().is_empty());
    }
    println!("{:?}", start.elapsed());
}
