//! The index, the document of one group and version, and the one document of version 2.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::protobuf;
use super::schemas::{self, REFERENCE, Schemas};
use crate::kinds::TypeInfo;

/// The version in the documents.
const VERSION: &str = "v1.37.2";

/// Groups that hold only reviews, which are no rows: group, package, kind, resource, namespaced.
const REVIEWS: [(&str, &str, &str, &str, bool); 6] = [
    (
        "authentication.k8s.io",
        "io.k8s.api.authentication.v1.",
        "SelfSubjectReview",
        "selfsubjectreviews",
        false,
    ),
    (
        "authentication.k8s.io",
        "io.k8s.api.authentication.v1.",
        "TokenReview",
        "tokenreviews",
        false,
    ),
    (
        "authorization.k8s.io",
        "io.k8s.api.authorization.v1.",
        "LocalSubjectAccessReview",
        "localsubjectaccessreviews",
        true,
    ),
    (
        "authorization.k8s.io",
        "io.k8s.api.authorization.v1.",
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        false,
    ),
    (
        "authorization.k8s.io",
        "io.k8s.api.authorization.v1.",
        "SelfSubjectRulesReview",
        "selfsubjectrulesreviews",
        false,
    ),
    (
        "authorization.k8s.io",
        "io.k8s.api.authorization.v1.",
        "SubjectAccessReview",
        "subjectaccessreviews",
        false,
    ),
];

/// Returns the index: the path of each group and version, with a hash of its document.
pub fn index(types: &[Arc<TypeInfo>]) -> Value {
    let mut hashes: BTreeMap<String, Sha256> = BTreeMap::new();
    for (group, ..) in REVIEWS {
        hashes.entry(place(group, "v1")).or_default();
    }
    for kind in types {
        let hash = hashes.entry(place(&kind.group, &kind.version)).or_default();
        hash.update(kind.plural.as_bytes());
        hash.update([u8::from(kind.namespaced), u8::from(kind.custom)]);
        // Built-in schemas change with the crate alone.
        hash.update(env!("CARGO_PKG_VERSION"));
        if kind.custom {
            hash.update(schemas::write(&kind.schema).to_string());
        }
    }
    let paths: Map<String, Value> = hashes
        .into_iter()
        .map(|(path, hash)| {
            let digest: String = hash
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02X}"))
                .collect();
            let url = format!("/openapi/v3/{path}?hash={digest}");
            (path, json!({ "serverRelativeURL": url }))
        })
        .collect();
    json!({ "paths": paths })
}

fn place(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

/// Returns the document of one group and version.
pub fn document(group: &str, version: &str, types: &[Arc<TypeInfo>]) -> Value {
    let (mut paths, mut definitions) = (Map::new(), Schemas::new());
    for kind in types
        .iter()
        .filter(|it| it.group == group && it.version == version)
    {
        add_paths(kind, &mut paths);
        schemas::add(kind, &mut definitions);
    }
    if version == "v1" {
        add_reviews(group, &mut paths, &mut definitions);
    }
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": VERSION },
        "paths": paths,
        "components": { "schemas": definitions },
    })
}

/// Returns the one document of OpenAPI version 2.
pub fn swagger(types: &[Arc<TypeInfo>]) -> Value {
    let (mut paths, mut definitions) = (Map::new(), Schemas::new());
    for kind in types {
        add_paths(kind, &mut paths);
        schemas::add(kind, &mut definitions);
    }
    for (group, ..) in REVIEWS {
        add_reviews(group, &mut paths, &mut definitions);
    }
    let mut document = json!({
        "swagger": "2.0",
        "info": { "title": "Kubernetes", "version": VERSION },
        "paths": paths,
        "definitions": definitions,
    });
    lower(&mut document);
    document
}

/// Returns the one document of OpenAPI version 2 as protobuf, for `kubectl` before 1.27.
pub fn swagger_protobuf(types: &[Arc<TypeInfo>]) -> Vec<u8> {
    protobuf::encode(&swagger(types))
}

/// Turns the notations of version 3 into those of version 2.
fn lower(node: &mut Value) {
    if let Some(map) = node.as_object_mut() {
        lower_map(map);
        map.values_mut().for_each(lower);
    } else if let Some(items) = node.as_array_mut() {
        items.iter_mut().for_each(lower);
    }
}

fn lower_map(map: &mut Map<String, Value>) {
    // A lone reference in `allOf` stands beside its description in version 2.
    let only = match map
        .get("allOf")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    {
        Some([only]) => only.get("$ref").cloned(),
        _ => None,
    };
    if let Some(reference) = only {
        map.remove("allOf");
        map.insert("$ref".to_owned(), reference);
    }
    if map.contains_key("oneOf")
        && map
            .keys()
            .all(|key| matches!(key.as_str(), "oneOf" | "format" | "description"))
    {
        map.remove("oneOf");
        map.insert("type".to_owned(), "string".into());
    }
    if map.contains_key("x-kubernetes-group-version-kind") || map.contains_key("properties") {
        for key in ["oneOf", "anyOf", "allOf", "not", "nullable"] {
            map.remove(key);
        }
    }
    if let Some(Value::String(text)) = map.get_mut("$ref")
        && let Some(name) = text.strip_prefix(REFERENCE)
    {
        *text = format!("#/definitions/{name}");
    }
    if map.contains_key("in")
        && map.contains_key("name")
        && let Some(schema) = map.remove("schema")
    {
        map.insert("type".to_owned(), schema["type"].clone());
    }
    if let Some(content) = map.remove("content") {
        let schema = &content["application/json"]["schema"];
        map.insert("schema".to_owned(), schema.clone());
    }
}

fn add_paths(kind: &TypeInfo, paths: &mut Map<String, Value>) {
    let root = format!("/{}", place(&kind.group, &kind.version));
    let plural = &kind.plural;
    let definition = match &kind.schema.definition {
        Some(name) => name.clone(),
        None => schemas::custom_name(kind),
    };
    let mark = json!({ "group": kind.group, "version": kind.version, "kind": kind.kind });
    let operation = |action: &str| operation(action, &mark, &definition);
    let collection = if kind.namespaced {
        paths.insert(
            format!("{root}/{plural}"),
            json!({ "get": operation("list") }),
        );
        format!("{root}/namespaces/{{namespace}}/{plural}")
    } else {
        format!("{root}/{plural}")
    };
    paths.insert(
        format!("{collection}/{{name}}"),
        json!({
            "get": operation("get"), "put": operation("put"), "patch": operation("patch"),
            "delete": operation("delete"),
        }),
    );
    paths.insert(
        collection,
        json!({
            "get": operation("list"), "post": operation("post"),
            "delete": operation("deletecollection"),
        }),
    );
}

/// Returns an operation with the query parameters that clients look for.
fn operation(action: &str, mark: &Value, definition: &str) -> Value {
    let names: &[(&str, &str)] = match action {
        "patch" => &[
            ("dryRun", "string"),
            ("fieldManager", "string"),
            ("fieldValidation", "string"),
            ("force", "boolean"),
        ],
        "post" | "put" => &[
            ("dryRun", "string"),
            ("fieldManager", "string"),
            ("fieldValidation", "string"),
        ],
        _ => &[],
    };
    let parameters: Vec<Value> = names
        .iter()
        .map(|(name, kind)| json!({ "name": name, "in": "query", "schema": { "type": kind } }))
        .collect();
    let reference = json!({ "$ref": format!("{REFERENCE}{definition}") });
    let answer = json!({
        "description": "OK", "content": { "application/json": { "schema": reference } },
    });
    json!({
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": mark,
        "parameters": parameters,
        "responses": { "200": answer },
    })
}

fn add_reviews(group: &str, paths: &mut Map<String, Value>, definitions: &mut Schemas) {
    for (_, package, kind, plural, namespaced) in REVIEWS.iter().filter(|it| it.0 == group) {
        let name = format!("{package}{kind}");
        let mark = json!({ "group": group, "version": "v1", "kind": kind });
        let space = if *namespaced {
            "namespaces/{namespace}/"
        } else {
            ""
        };
        schemas::add_definition(&name, definitions);
        paths.insert(
            format!("/apis/{group}/v1/{space}{plural}"),
            json!({ "post": operation("post", &mark, &name) }),
        );
    }
}
