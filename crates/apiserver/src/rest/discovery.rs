//! Discovery: which groups, versions and resources there are, in the old form and in one document.

use std::sync::Arc;

use serde_json::{Value, json};

use super::accept::{Offers, Shape, accept};
use super::answer::Answer;
use super::{refuse, reviews, strategy};
use crate::api::Api;
use crate::error::ApiError;
use crate::kinds::TypeInfo;
use crate::objects;
use crate::served::{Group, Served};

const OBJECT_VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
/// The order in which upstream writes the verbs of custom resources.
const CUSTOM_VERBS: [&str; 8] = [
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];
const PART_VERBS: [&str; 3] = ["get", "patch", "update"];

/// One subresource as discovery names it.
struct Part {
    name: &'static str,
    group: String,
    version: String,
    kind: String,
    verbs: Vec<&'static str>,
}

/// Answers `/api` and `/apis`.
pub(crate) fn root(api: &Api, core: bool, header: &str) -> Result<Answer, ApiError> {
    let wanted = accept(header, Offers::Discovery)?;
    let served = api.served();
    if let Shape::Discovery(version) = wanted.shape {
        return Ok(aggregated(&served, core, version));
    }
    if core {
        let address = json!([{ "clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1" }]);
        let body = json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address });
        return Ok(Answer::json(200, &body));
    }
    let groups = served.groups();
    let groups: Vec<Value> = groups
        .iter()
        .filter(|g| !g.name.is_empty())
        .map(|g| group_json(g, false))
        .collect();
    Ok(Answer::json(
        200,
        &json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }),
    ))
}

/// Answers `/apis/{group}`; plain 404 text for an unknown group.
pub(crate) fn group(api: &Api, name: &str) -> Answer {
    let groups = api.served().groups();
    match groups.iter().find(|g| g.name == name && !name.is_empty()) {
        Some(group) => Answer::json(200, &group_json(group, true)),
        None => Answer::text(404, super::NOT_FOUND),
    }
}

fn group_json(group: &Group, alone: bool) -> Value {
    let version = |v: &str| json!({ "groupVersion": format!("{}/{v}", group.name), "version": v });
    let versions: Vec<Value> = group.versions.iter().map(|(v, _)| version(v)).collect();
    let preferred = versions.first().cloned();
    let mut body =
        json!({ "name": group.name, "versions": versions, "preferredVersion": preferred });
    if alone {
        body["kind"] = "APIGroup".into();
        body["apiVersion"] = "v1".into();
    }
    body
}

/// Answers `/api/v1` and `/apis/{group}/{version}`.
pub(crate) fn group_version(api: &Api, group: &str, version: &str) -> Result<Answer, ApiError> {
    let served = api.served();
    let mut rows: Vec<&Arc<TypeInfo>> = served
        .rows()
        .iter()
        .filter(|r| r.group == group && r.version == version)
        .collect();
    if rows.is_empty() {
        return if group.is_empty() || served.has_group(group) {
            Err(refuse::unserved())
        } else {
            Ok(Answer::text(404, super::NOT_FOUND))
        };
    }
    rows.sort_by(|a, b| a.plural.cmp(&b.plural));
    let mut resources = Vec::new();
    for row in rows {
        resources.push(resource_json(row));
        for part in parts(row) {
            let mut value = json!({
                "name": format!("{}/{}", row.plural, part.name), "singularName": "",
                "namespaced": row.namespaced, "kind": part.kind, "verbs": part.verbs,
            });
            if part.group != row.group || part.version != row.version {
                value["group"] = part.group.into();
                value["version"] = part.version.into();
            }
            resources.push(value);
        }
    }
    let name = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    let body = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources,
    });
    Ok(Answer::json(200, &body))
}

fn verbs(row: &TypeInfo) -> Vec<&'static str> {
    if row.custom {
        return CUSTOM_VERBS.to_vec();
    }
    if reviews::is_review(row) {
        return vec!["create"];
    }
    let all = OBJECT_VERBS.iter().copied();
    // Namespaces have no way to delete many at once.
    all.filter(|verb| !(strategy::is_namespace(row) && *verb == "deletecollection"))
        .collect()
}

fn resource_json(row: &TypeInfo) -> Value {
    let mut value = json!({
        "name": row.plural, "singularName": row.singular, "namespaced": row.namespaced,
        "kind": row.kind, "verbs": verbs(row),
    });
    if !row.short_names.is_empty() {
        value["shortNames"] = json!(row.short_names);
    }
    if !row.categories.is_empty() {
        value["categories"] = json!(row.categories);
    }
    value
}

fn parts(row: &TypeInfo) -> Vec<Part> {
    let own = |name, kind: &str, verbs: &[&'static str]| Part {
        name,
        group: row.group.clone(),
        version: row.version.clone(),
        kind: kind.to_owned(),
        verbs: verbs.to_vec(),
    };
    let mut parts = Vec::new();
    if strategy::is_namespace(row) {
        parts.push(own("finalize", "Namespace", &["update"]));
    }
    if row.group.is_empty() && row.plural == "serviceaccounts" {
        parts.push(Part {
            name: "token",
            group: "authentication.k8s.io".to_owned(),
            version: "v1".to_owned(),
            kind: "TokenRequest".to_owned(),
            verbs: vec!["create"],
        });
    }
    if row.has_status {
        parts.push(own("status", &row.kind, &PART_VERBS));
    }
    if row.scale.is_some() {
        parts.push(Part {
            name: "scale",
            group: "autoscaling".to_owned(),
            version: "v1".to_owned(),
            kind: "Scale".to_owned(),
            verbs: PART_VERBS.to_vec(),
        });
    }
    parts
}

fn aggregated(served: &Served, core: bool, version: &'static str) -> Answer {
    let groups = served.groups();
    let items: Vec<Value> = groups
        .iter()
        .filter(|group| group.name.is_empty() == core)
        .map(|group| {
            let versions: Vec<Value> = group.versions.iter().map(|(v, rows)| {
                let resources: Vec<Value> = rows.iter().map(|row| aggregated_resource(row)).collect();
                json!({ "version": v, "resources": resources, "freshness": "Current" })
            }).collect();
            json!({ "metadata": { "name": group.name, "creationTimestamp": null }, "versions": versions })
        })
        .collect();
    let body = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items,
    });
    let content_type = match version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    };
    Answer::bytes(200, content_type, objects::to_bytes(&body))
}

fn aggregated_resource(row: &TypeInfo) -> Value {
    // Upstream leaves the group and version of built-in kinds empty, as they are the entry's own.
    let response = |group: &str, version: &str, kind: &str| {
        if !row.custom && group == row.group && version == row.version {
            json!({ "group": "", "version": "", "kind": kind })
        } else {
            json!({ "group": group, "version": version, "kind": kind })
        }
    };
    let mut value = json!({
        "resource": row.plural,
        "responseKind": response(&row.group, &row.version, &row.kind),
        "scope": if row.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": row.singular,
        "verbs": verbs(row),
    });
    if !row.short_names.is_empty() {
        value["shortNames"] = json!(row.short_names);
    }
    if !row.categories.is_empty() {
        value["categories"] = json!(row.categories);
    }
    let parts: Vec<Value> = parts(row)
        .into_iter()
        .map(|part| {
            json!({
                "subresource": part.name,
                "responseKind": response(&part.group, &part.version, &part.kind),
                "verbs": part.verbs,
            })
        })
        .collect();
    if !parts.is_empty() {
        value["subresources"] = parts.into();
    }
    value
}
