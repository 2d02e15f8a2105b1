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

fn definition_with(spec: Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "things.example.dev" },
        "spec": {
            "group": "example.dev", "scope": "Namespaced",
            "names": { "plural": "things", "kind": "Thing" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": { "type": "object", "properties": { "spec": spec } },
            } }],
        },
    })
}

fn row_with(spec: Value) -> TypeInfo {
    let mut definition = definition_with(spec);
    crd::accept(&mut definition, None, NOW).unwrap();
    crd::compile(&definition).unwrap().remove(0)
}

#[test]
fn schemas_deeper_than_the_limit_are_refused() {
    let mut deep = json!({ "type": "string" });
    for _ in 0..120 {
        deep = json!({ "type": "object", "properties": { "a": deep } });
    }
    let found = crd::accept(&mut definition_with(deep), None, NOW).unwrap_err();
    assert!(
        found[0].message.contains("deeper than 100 levels"),
        "{}",
        found[0].message
    );
}

#[test]
fn patterns_that_need_look_around_or_too_much_memory_are_refused() {
    for pattern in ["(?=a)b", r"(a)\1", "((a{1000}){1000}){1000}"] {
        let spec = json!({ "type": "string", "pattern": pattern });
        let found = crd::accept(&mut definition_with(spec), None, NOW).unwrap_err();
        assert!(
            found[0].field.ends_with("properties[spec].pattern"),
            "{pattern}"
        );
    }
}

#[test]
fn webhook_conversion_is_refused() {
    let mut definition = definition_with(json!({ "type": "object" }));
    definition["spec"]["conversion"] = json!({ "strategy": "Webhook" });
    let found = crd::accept(&mut definition, None, NOW).unwrap_err();
    assert_eq!(found[0].field, "spec.conversion.strategy");
    assert_eq!(
        found[0].message,
        "Unsupported value: \"Webhook\": supported values: \"None\""
    );
}

#[test]
fn formats_accept_what_kubernetes_accepts() {
    let cases = [
        ("date-time", "2024-01-02T03:04:05Z", true),
        ("date-time", "2024-01-02T03:04:05.123456+02:00", true),
        ("date-time", "2024-01-02", false),
        ("date", "2024-02-30", false),
        ("duration", "1h30m", true),
        ("duration", "3 days", true),
        ("duration", "soon", false),
        ("byte", "YQ==", true),
        ("byte", "***", false),
        ("ipv4", "10.0.0.1", true),
        ("ipv4", "::1", false),
        ("ipv6", "::1", true),
        ("cidr", "10.0.0.0/8", true),
        ("cidr", "10.0.0.0/33", false),
        ("uri", "https://example.dev/x", true),
        ("uri", "not a uri", false),
        ("email", "a@example.dev", true),
        ("email", "a", false),
        ("hostname", "example.dev", true),
        ("hostname", "-a", false),
        ("mac", "01:02:03:04:05:06", true),
        ("uuid", "00000000-0000-4000-8000-000000000001", true),
        ("uuid4", "00000000-0000-3000-8000-000000000001", false),
        ("unknown-format", "anything", true),
    ];
    for (format, text, fits) in cases {
        let row = row_with(json!({ "type": "string", "format": format }));
        let found = schema::validate(&row.schema, &json!({ "spec": text }), None);
        assert_eq!(found.is_empty(), fits, "{format} {text}");
    }
}

#[test]
fn conditions_are_checked_and_named() {
    let row = row_with(json!({
        "type": "object",
        "properties": { "a": { "type": "string" }, "b": { "type": "string" } },
        "oneOf": [{ "required": ["a"] }, { "required": ["b"] }],
        "not": { "properties": { "a": { "enum": ["x"] } }, "required": ["a"] },
    }));
    let messages = |spec: Value| -> Vec<String> {
        let found = schema::validate(&row.schema, &json!({ "spec": spec }), None);
        found.into_iter().map(|it| it.message).collect()
    };
    assert!(messages(json!({ "a": "1" })).is_empty());
    let none = messages(json!({}));
    assert!(none[0].ends_with("must validate one and only one schema (oneOf). Found none valid"));
    let both = messages(json!({ "a": "1", "b": "2" }));
    assert!(both[0].ends_with("(oneOf). Found 2 valid alternatives"));
    let not = messages(json!({ "a": "x" }));
    assert!(not[0].ends_with("must not validate the schema (not)"));
}

#[test]
fn numbers_keep_their_json_type() {
    let row = row_with(json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true }));
    let text = r#"{"spec":{"big":9007199254740993,"float":1.0,"one":1}}"#;
    let mut object: Value = serde_json::from_str(text).unwrap();
    schema::prune(&row.schema, &mut object);
    schema::apply_defaults(&row.schema, &mut object);
    assert_eq!(object.to_string(), text);
}

#[test]
fn a_version_that_was_stored_stays() {
    let mut old = definition_with(json!({ "type": "object" }));
    crd::accept(&mut old, None, NOW).unwrap();
    let mut new = old.clone();
    new["spec"]["versions"][0]["name"] = json!("v2");
    let found = crd::accept(&mut new, Some(&old), NOW).unwrap_err();
    assert_eq!(found[0].field, "status.storedVersions[0]");
    assert!(
        found[0]
            .message
            .contains("v1 was previously a storage version")
    );
    let mut both = old.clone();
    let mut second = both["spec"]["versions"][0].clone();
    second["name"] = json!("v2");
    both["spec"]["versions"][0]["storage"] = json!(false);
    both["spec"]["versions"]
        .as_array_mut()
        .unwrap()
        .push(second);
    crd::accept(&mut both, Some(&old), NOW).unwrap();
    assert_eq!(both["status"]["storedVersions"], json!(["v1", "v2"]));
}

#[test]
fn every_item_of_a_list_map_has_its_keys() {
    let list = |item: Value| {
        json!({
            "type": "array", "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"], "items": item,
        })
    };
    let named = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let found = crd::accept(&mut definition_with(list(named.clone())), None, NOW).unwrap_err();
    assert!(
        found[0]
            .field
            .ends_with("properties[spec].items.properties[name].default")
    );
    let mut required = named.clone();
    required["required"] = json!(["name"]);
    crd::accept(&mut definition_with(list(required)), None, NOW).unwrap();
    let mut defaulted = named;
    defaulted["properties"]["name"]["default"] = json!("x");
    crd::accept(&mut definition_with(list(defaulted)), None, NOW).unwrap();
}
