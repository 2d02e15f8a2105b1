//! Compiles a definition to rows: one for each served version.

use std::sync::Arc;

use serde_json::Value;

use crate::error::FieldError;
use crate::kinds::{Column, Scale, TypeInfo, object_meta};
use crate::schema::read_structural;

/// Returns one row for each served version of a definition; fails with what is wrong.
pub fn compile(crd: &Value) -> Result<Vec<TypeInfo>, Vec<FieldError>> {
    let spec = &crd["spec"];
    let versions = spec["versions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let storage = versions.iter().find(|version| version["storage"] == true);
    let Some(storage) = storage.and_then(|version| version["name"].as_str()) else {
        return Err(vec![FieldError {
            field: "spec.versions".to_owned(),
            reason: "FieldValueInvalid",
            message: "Invalid value: null: must have exactly one version marked as storage version"
                .to_owned(),
        }]);
    };
    let served = versions.iter().filter(|version| version["served"] == true);
    Ok(served.map(|version| row(spec, version, storage)).collect())
}

fn row(spec: &Value, version: &Value, storage: &str) -> TypeInfo {
    let names = &spec["names"];
    let kind = text(&names["kind"]);
    let or_default =
        |value: String, default: String| if value.is_empty() { default } else { value };
    let mut schema = read_structural(&version["schema"]["openAPIV3Schema"], &object_meta());
    let scale = scale(&version["subresources"]["scale"]);
    if let Some(scale) = &scale {
        schema.scaled_fields = vec![scale.spec_replicas.clone(), scale.status_replicas.clone()];
    }
    TypeInfo {
        group: text(&spec["group"]),
        version: text(&version["name"]),
        list_kind: or_default(text(&names["listKind"]), format!("{kind}List")),
        plural: text(&names["plural"]),
        singular: or_default(text(&names["singular"]), kind.to_lowercase()),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        has_status: version["subresources"]["status"].is_object(),
        scale,
        tracks_generation: true,
        storage_version: storage.to_owned(),
        custom: true,
        deprecation_warning: warning(spec, version, &kind),
        selectable_fields: items(&version["selectableFields"])
            .iter()
            .map(|field| text(&field["jsonPath"]).trim_start_matches('.').to_owned())
            .collect(),
        columns: items(&version["additionalPrinterColumns"])
            .iter()
            .map(column)
            .collect(),
        schema: Arc::new(schema),
        kind,
    }
}

fn scale(node: &Value) -> Option<Scale> {
    node.is_object().then(|| Scale {
        spec_replicas: text(&node["specReplicasPath"]),
        status_replicas: text(&node["statusReplicasPath"]),
        label_selector: node["labelSelectorPath"].as_str().map(str::to_owned),
    })
}

fn warning(spec: &Value, version: &Value, kind: &str) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    let own = version["deprecationWarning"].as_str().map(str::to_owned);
    Some(own.unwrap_or_else(|| {
        let (group, name) = (text(&spec["group"]), text(&version["name"]));
        format!("{group}/{name} {kind} is deprecated")
    }))
}

fn column(node: &Value) -> Column {
    let path = text(&node["jsonPath"]);
    let description = match node["description"].as_str() {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => format!("Custom resource definition column (in JSONPath format): {path}"),
    };
    Column {
        name: text(&node["name"]),
        kind: text(&node["type"]),
        format: text(&node["format"]),
        description,
        priority: node["priority"]
            .as_i64()
            .and_then(|it| i32::try_from(it).ok())
            .unwrap_or(0),
        json_path: path,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    items(value).iter().map(text).collect()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
