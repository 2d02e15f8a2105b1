//! The CustomResourceDefinitions: the committed copies, and the comparison with Flux's.
//!
//! `UPDATE=1 cargo test --test it crds` renews the copies. `TOWPATH_FLUX_CRDS` names a JSON list of
//! Flux's definitions; without it nothing is compared, and the test says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What Flux's files carry and a definition of ours rightly does not.
const FOREIGN_ANNOTATION: &str = "controller-gen.kubebuilder.io/version";

/// Versions that Flux has left behind and we still serve, by name of the definition.
const VERSIONS_LEFT_OUT: &[(&str, &str)] = &[
    ("imagepolicies.image.toolkit.fluxcd.io", "v1beta2"),
    ("imagerepositories.image.toolkit.fluxcd.io", "v1beta2"),
    ("imageupdateautomations.image.toolkit.fluxcd.io", "v1beta2"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/crds")
}

fn generated() -> BTreeMap<String, Value> {
    towpath::api::crds()
        .into_iter()
        .map(|crd| {
            let name = crd.metadata.name.clone().expect("because derives name it");
            (
                name,
                serde_json::to_value(crd).expect("because a CRD is plain data"),
            )
        })
        .collect()
}

#[test]
fn committed_definitions_are_the_generated_ones() {
    let mut stale = Vec::new();
    for (name, crd) in generated() {
        let path = folder().join(format!("{name}.yaml"));
        let text = format!(
            "# Generated from src/api; renew it with UPDATE=1 cargo test --test it crds\n{}",
            serde_yaml::to_string(&crd).unwrap()
        );
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        if std::fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            stale.push(path.display().to_string());
        }
    }
    assert!(
        stale.is_empty(),
        "stale definitions (renew with UPDATE=1): {}",
        stale.join(", ")
    );
}

#[test]
fn every_field_is_described() {
    for (name, crd) in generated() {
        for version in crd["spec"]["versions"].as_array().unwrap() {
            let root = &version["schema"]["openAPIV3Schema"];
            for part in ["spec", "status"] {
                let path = format!("{name} {part}");
                assert_described(&path, &root["properties"][part]);
            }
        }
    }
}

fn assert_described(path: &str, schema: &Value) {
    let description = schema["description"].as_str().unwrap_or_default();
    assert!(!description.is_empty(), "{path} has no description");
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        assert_described(&format!("{path}.{field}"), schema);
    }
}

#[test]
fn definitions_are_those_of_flux_descriptions_aside() {
    let Some(path) = std::env::var_os("TOWPATH_FLUX_CRDS") else {
        println!("not compared with Flux: TOWPATH_FLUX_CRDS names no file");
        return;
    };
    let text = std::fs::read_to_string(&path).expect("TOWPATH_FLUX_CRDS names a file");
    let theirs: Vec<Value> = serde_json::from_str(&text).expect("TOWPATH_FLUX_CRDS is a JSON list");
    let theirs: BTreeMap<&str, &Value> = theirs
        .iter()
        .filter_map(|crd| Some((crd["metadata"]["name"].as_str()?, crd)))
        .collect();
    let mut differences = Vec::new();
    for (name, ours) in generated() {
        let Some(theirs) = theirs.get(name.as_str()) else {
            differences.push(format!("{name}: Flux has no such definition"));
            continue;
        };
        let theirs = comparable(&name, theirs);
        differ(&name, &comparable(&name, &ours), &theirs, &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    println!("compared {} definitions with Flux's", generated().len());
}

/// Returns what is compared: everything but descriptions, the generator's name and left out versions.
fn comparable(name: &str, crd: &Value) -> Value {
    let mut crd = without_descriptions(crd);
    if let Some(annotations) = crd["metadata"]["annotations"].as_object_mut() {
        annotations.remove(FOREIGN_ANNOTATION);
        if annotations.is_empty() {
            crd["metadata"]
                .as_object_mut()
                .expect("because annotations are in it")
                .remove("annotations");
        }
    }
    if let Some(versions) = crd["spec"]["versions"].as_array_mut() {
        versions.retain(|version| {
            let version = version["name"].as_str().unwrap_or_default();
            !VERSIONS_LEFT_OUT.contains(&(name, version))
        });
    }
    crd
}

/// Removes the keyword `description`, which is text; a field of that name is an object and stays.
fn without_descriptions(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, value)| !(*key == "description" && value.is_string()))
            .map(|(key, value)| {
                let mut value = without_descriptions(value);
                if key == "required"
                    && let Some(names) = value.as_array_mut()
                {
                    names.sort_by_key(ToString::to_string);
                }
                (key.clone(), value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(without_descriptions).collect(),
        value => value.clone(),
    }
}

fn differ(path: &str, ours: &Value, theirs: &Value, differences: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            for key in keys {
                let null = Value::Null;
                let (ours, theirs) = (ours.get(key), theirs.get(key));
                let path = format!("{path}.{key}");
                differ(
                    &path,
                    ours.unwrap_or(&null),
                    theirs.unwrap_or(&null),
                    differences,
                );
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (n, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                differ(&format!("{path}[{n}]"), ours, theirs, differences);
            }
        }
        (Value::Number(ours), Value::Number(theirs)) if ours.as_f64() == theirs.as_f64() => {}
        _ if ours == theirs => {}
        _ => differences.push(format!("{path}: ours {ours}, Flux's {theirs}")),
    }
}
