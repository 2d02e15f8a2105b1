//! The `scale` subresource: an `autoscaling/v1` Scale over an object's replicas.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::call::Call;
use super::route::Target;
use super::write::{self, PATCH_ATTEMPTS, Writing};
use super::{body, decode, refuse};
use crate::api::Api;
use crate::error::{ApiError, FieldError, UNSUPPORTED_PATCH};
use crate::kinds::{Scale, TypeInfo};
use crate::objects::{self, meta_mut, meta_text};
use crate::patch;

/// Answers a request to `scale`.
pub(crate) async fn answer(
    api: &Api,
    kind: &Arc<TypeInfo>,
    target: &Target,
    call: &Call,
    bytes: &Bytes,
) -> Result<Answer, ApiError> {
    let scale = kind.scale.as_ref().ok_or_else(refuse::unserved)?;
    let options = call.query.write_options(match call.method.as_str() {
        "PATCH" => "PatchOptions",
        _ => "UpdateOptions",
    })?;
    let writing = Writing {
        kind: kind.clone(),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        subresource: "scale".to_owned(),
        manager: call.manager(options.field_manager.as_deref()),
        dry_run: options.dry_run,
        applied: false,
        patched: call.method == http::Method::PATCH,
    };
    let mut attempt = 1;
    loop {
        let found = api.store.get(&writing.key());
        let entry = found.ok_or_else(|| refuse::missing(kind, &target.name))?;
        let live = objects::served(kind, &entry);
        let now = view(kind, scale, &live);
        let wanted = match call.method.as_str() {
            "GET" | "HEAD" => return Ok(Answer::json(200, &now)),
            "PUT" => decode::value(call, bytes, false)?.value,
            "PATCH" => patched(call, &now, bytes)?,
            _ => return Err(refuse::method()),
        };
        let new = with_replicas(kind, scale, &live, &wanted)?;
        match write::update(api, &writing, &entry, &live, new).await {
            Err(error)
                if error.reason == "Conflict" && writing.patched && attempt < PATCH_ATTEMPTS =>
            {
                attempt += 1;
            }
            done => {
                let written = done?;
                return Ok(
                    Answer::json(200, &view(kind, scale, &written.value)).warn(written.warnings)
                );
            }
        }
    }
}

fn patched(call: &Call, now: &Value, bytes: &Bytes) -> Result<Value, ApiError> {
    let decoded = body::json(bytes).map_err(|e| refuse::bad(format!("error decoding patch: {e}")));
    match call.media_type() {
        "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
            patch::merge_patch(now, &decoded?.value)
        }
        "application/json-patch+json" => patch::json_patch(now, &decoded?.value),
        "application/apply-patch+yaml" => Err(refuse::media(
            "application/json-patch+json, application/merge-patch+json",
        )),
        _ => Err(ApiError::new(
            415,
            "UnsupportedMediaType",
            UNSUPPORTED_PATCH,
        )),
    }
}

/// Returns the Scale of an object.
fn view(kind: &TypeInfo, scale: &Scale, object: &Value) -> Value {
    let mut meta = Map::new();
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(value) = object.get("metadata").and_then(|m| m.get(field)) {
            meta.insert(field.to_owned(), value.clone());
        }
    }
    let number = |path: &str| at(object, path).and_then(Value::as_i64);
    let mut spec = Map::new();
    if let Some(replicas) = number(&scale.spec_replicas).filter(|n| *n != 0) {
        spec.insert("replicas".to_owned(), replicas.into());
    }
    let mut status = json!({ "replicas": number(&scale.status_replicas).unwrap_or(0) });
    let selector = match &scale.label_selector {
        Some(path) => at(object, path).and_then(Value::as_str).map(str::to_owned),
        None if kind.custom => None,
        None => object.pointer("/spec/selector").map(selector_text),
    };
    if let Some(selector) = selector.filter(|s| !s.is_empty()) {
        status["selector"] = selector.into();
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec, "status": status,
    })
}

fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .filter(|p| !p.is_empty())
        .try_fold(object, |value, part| value.get(part))
}

/// Returns a LabelSelector, or a plain map of labels, as text.
fn selector_text(selector: &Value) -> String {
    let structured =
        selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some();
    let labels = if structured {
        selector.get("matchLabels")
    } else {
        Some(selector)
    };
    let mut parts: Vec<String> = labels
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(k, v)| Some(format!("{k}={}", v.as_str()?)))
        .collect();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    for expression in expressions.into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values = expression["values"].as_array();
        let values: Vec<&str> = values
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        parts.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

/// Returns the object with the replicas of a Scale; 422 when there are fewer than none.
fn with_replicas(
    kind: &TypeInfo,
    scale: &Scale,
    live: &Value,
    wanted: &Value,
) -> Result<Value, ApiError> {
    let replicas = wanted
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    if replicas < 0 {
        let error = FieldError {
            field: "spec.replicas".to_owned(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {replicas}: must be greater than or equal to 0"),
        };
        return Err(refuse::invalid_as(
            "autoscaling",
            "Scale",
            meta_text(live, "name"),
            &[error],
        ));
    }
    let revision = meta_text(wanted, "resourceVersion");
    if !revision.is_empty() && revision != meta_text(live, "resourceVersion") {
        return Err(refuse::modified(kind, meta_text(live, "name")));
    }
    let mut new = live.clone();
    let mut place = &mut new;
    for part in scale.spec_replicas.split('.').filter(|p| !p.is_empty()) {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[part];
    }
    *place = replicas.into();
    meta_mut(&mut new);
    Ok(new)
}
