//! CustomResourceDefinitions of all kinds, generated from the types beside this file.
//!
//! kube's derive gives names, columns and schemas; what it cannot say is put right here, on the
//! generated tree: structural schemas without `nullable`, the root's own fields, the list's kind,
//! the status' default, and an older version of the image kinds.
//! The committed copies in `crds/` are for people and are renewed by the test `crds`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::Schema;
use serde_json::{Value, json};

use super::{GitRepository, ImagePolicy, ImageRepository, ImageUpdateAutomation, Kustomization};

/// The group whose kinds are served in an older version as well.
const IMAGE_GROUP: &str = "image.toolkit.fluxcd.io";
/// That version. Its specs are those of `v1`, so converting an object is renaming its `apiVersion`;
/// `status.latestImage`, which it had once, has become `status.latestRef` long ago.
const IMAGE_VERSION_BEFORE: &str = "v1beta2";

const API_VERSION_DESCRIPTION: &str = "The version of the schema that this object is written in: its group, a slash, and the version.";
const KIND_DESCRIPTION: &str = "The kind of this object.";

/// Returns the CustomResourceDefinitions of every kind, in the order of the river.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [
        ImageRepository::crd(),
        ImagePolicy::crd(),
        ImageUpdateAutomation::crd(),
        GitRepository::crd(),
        Kustomization::crd(),
    ]
    .into_iter()
    .map(finish)
    .collect()
}

/// Removes a number's `format`, where Flux leaves the size of an integer open.
pub(super) fn without_format(schema: &mut Schema) {
    schema.remove("format");
}

/// Says what the derive cannot: see the top of this file.
fn finish(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut crd = serde_json::to_value(crd).expect("because a CRD is plain data");
    let names = &mut crd["spec"]["names"];
    names["listKind"] = format!("{}List", names["kind"].as_str().unwrap_or_default()).into();
    for version in crd["spec"]["versions"].as_array_mut().into_iter().flatten() {
        let root = &mut version["schema"]["openAPIV3Schema"];
        finish_schema(root);
        finish_root(root);
    }
    if crd["spec"]["group"] == IMAGE_GROUP {
        add_version_before(&mut crd);
    }
    serde_json::from_value(crd).expect("because the changes keep to the shape of a CRD")
}

/// Adds the older version: served with a warning, stored as `v1`.
fn add_version_before(crd: &mut Value) {
    let kind = crd["spec"]["names"]["kind"].clone();
    let kind = kind.as_str().unwrap_or_default();
    let Some(versions) = crd["spec"]["versions"].as_array_mut() else {
        return;
    };
    let Some(mut before) = versions.first().cloned() else {
        return;
    };
    before["name"] = IMAGE_VERSION_BEFORE.into();
    before["storage"] = false.into();
    before["deprecated"] = true.into();
    let warning = format!("{IMAGE_VERSION_BEFORE} {kind} is deprecated, upgrade to v1");
    before["deprecationWarning"] = warning.into();
    versions.push(before);
}

fn finish_root(root: &mut Value) {
    if let Some(root) = root.as_object_mut() {
        root.remove("required");
        root.remove("title");
    }
    let properties = &mut root["properties"];
    properties["apiVersion"] = json!({"type": "string", "description": API_VERSION_DESCRIPTION});
    properties["kind"] = json!({"type": "string", "description": KIND_DESCRIPTION});
    properties["metadata"] = json!({"type": "object"});
    properties["status"]["default"] = json!({"observedGeneration": -1});
}

/// An optional field is one that may be left out, never one that may be null: Go's types have no null,
/// and an API server drops nulls where `nullable` is not said.
fn finish_schema(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("nullable");
            if let Some(Value::String(description)) = fields.get_mut("description") {
                *description = description.replace('\n', " ");
            }
            fields.values_mut().for_each(finish_schema);
        }
        Value::Array(items) => items.iter_mut().for_each(finish_schema),
        _ => {}
    }
}
