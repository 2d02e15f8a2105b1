//! The `scale` subresource: an `autoscaling/v1` Scale over an object's replicas.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::accept::{Offers, accept};
use super::answer::{self, Answer};
use super::call::Call;
use super::query::FieldValidation;
use super::route::Target;
use super::write::{self, PATCH_ATTEMPTS, Writing};
use super::{body, decode, refuse, verbs};
use crate::api::Api;
use crate::apply::{self, Apply, Update};
use crate::error::{ApiError, FieldError, UNSUPPORTED_PATCH};
use crate::kinds::{Scale, TypeInfo};
use crate::objects::{self, meta_mut, meta_text};
use crate::patch;
use crate::schema::{Schema, Shape};

/// The media type of an apply.
const APPLY: &str = "application/apply-patch+yaml";

/// Answers a request to `scale`.
pub(crate) async fn answer(
    api: &Api,
    kind: &Arc<TypeInfo>,
    target: &Target,
    call: &Call,
    bytes: &Bytes,
) -> Result<Answer, ApiError> {
    let scale = kind.scale.as_ref().ok_or_else(refuse::unserved)?;
    let options = match call.method.as_str() {
        "PATCH" => {
            let options = call.query.write_options("PatchOptions")?;
            verbs::check_patch_options(&options, call.media_type() == APPLY)?;
            options
        }
        _ => call.query.write_options("UpdateOptions")?,
    };
    let writing = Writing {
        kind: kind.clone(),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        subresource: "scale".to_owned(),
        manager: call.manager(options.field_manager.as_deref()),
        dry_run: options.dry_run,
        // The owners come from the Scale.
        applied: true,
        patched: call.method == http::Method::PATCH,
    };
    let mut attempt = 1;
    loop {
        let found = api.store.get(&writing.key());
        let entry = found.ok_or_else(|| refuse::missing(kind, &target.name))?;
        let live = objects::served(kind, &entry);
        let mut now = view(kind, scale, &live);
        if matches!(call.method.as_str(), "GET" | "HEAD") {
            let wanted = accept(&call.accept, Offers::Objects)?;
            let shown = answer::object(api, kind, &now, wanted, &call.query)?;
            return Ok(Answer::json(200, &shown));
        }
        let served = api.served();
        let versions = served.versions(&kind.group, &kind.plural);
        let owners = live.pointer("/metadata/managedFields");
        set_owners(&mut now, apply::owners_of_scale(owners, versions));
        let force = options.force == Some(true);
        let wanted = wanted(api, &writing, (call, bytes, force), &now)?;
        let mut new = with_replicas(kind, scale, &live, &wanted)?;
        let scale_owners = wanted.pointer("/metadata/managedFields");
        set_owners(
            &mut new,
            apply::owners_after_scale(owners, scale_owners, kind, versions),
        );
        match write::update(api, &writing, &entry, &live, new).await {
            Err(error) if retries(&error, &writing) && attempt < PATCH_ATTEMPTS => attempt += 1,
            done => {
                let written = done?;
                let shown = view(kind, scale, &written.value);
                return Ok(Answer::json(200, &shown).warn(written.warnings));
            }
        }
    }
}

fn set_owners(object: &mut Value, owners: Option<Value>) {
    let meta = meta_mut(object);
    match owners {
        Some(owners) => meta.insert("managedFields".to_owned(), owners),
        None => meta.remove("managedFields"),
    };
}

/// Returns the Scale that a request asks for, with its owners.
fn wanted(
    api: &Api,
    writing: &Writing,
    (call, bytes, force): (&Call, &Bytes, bool),
    now: &Value,
) -> Result<Value, ApiError> {
    let time = api.timestamp();
    if call.media_type() == APPLY {
        let (applied, _) = decode::applied(bytes, FieldValidation::Warn)?;
        let outcome = apply::apply(Apply {
            live: Some(now),
            applied,
            manager: &writing.manager,
            force,
            subresource: "scale",
            kind: &ROW,
            versions: std::slice::from_ref(&ROW),
            now: &time,
        })?;
        return Ok(outcome.object);
    }
    let mut wanted = match call.method.as_str() {
        "PUT" => decode::value(call, bytes, false)?.value,
        "PATCH" => patched(call, now, bytes)?,
        _ => return Err(refuse::method()),
    };
    let update = Update {
        live: Some(now),
        manager: &writing.manager,
        subresource: "scale",
        kind: &ROW,
        versions: std::slice::from_ref(&ROW),
        now: &time,
    };
    let owners = now.pointer("/metadata/managedFields").cloned();
    set_owners(&mut wanted, owners);
    if let Some(spec) = wanted.get_mut("spec").and_then(Value::as_object_mut)
        && spec.get("replicas").is_some_and(|n| *n == 0)
    {
        // A Scale does not carry zero replicas, so nobody owns them.
        spec.remove("replicas");
    }
    apply::track_update(&update, &mut wanted);
    Ok(wanted)
}

/// The row of `autoscaling/v1` Scale, which is never stored.
static ROW: LazyLock<Arc<TypeInfo>> = LazyLock::new(|| {
    let object = |fields: Vec<(&str, Shape)>| {
        let field = |(name, shape): (&str, Shape)| {
            (
                name.to_owned(),
                Arc::new(Schema {
                    shape,
                    ..Schema::default()
                }),
            )
        };
        Shape::Object {
            fields: fields.into_iter().map(field).collect(),
            additional: None,
            required: Vec::new(),
            atomic: false,
        }
    };
    let shape = object(vec![
        ("apiVersion", Shape::String),
        ("kind", Shape::String),
        ("metadata", Shape::Any),
        ("spec", object(vec![("replicas", Shape::Integer)])),
        (
            "status",
            object(vec![
                ("replicas", Shape::Integer),
                ("selector", Shape::String),
            ]),
        ),
    ]);
    Arc::new(TypeInfo {
        group: "autoscaling".to_owned(),
        version: "v1".to_owned(),
        kind: "Scale".to_owned(),
        list_kind: String::new(),
        plural: "scales".to_owned(),
        singular: "scale".to_owned(),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced: true,
        has_status: false,
        scale: None,
        tracks_generation: false,
        storage_version: "v1".to_owned(),
        custom: false,
        deprecation_warning: None,
        selectable_fields: Vec::new(),
        columns: Vec::new(),
        schema: Arc::new(Schema {
            shape,
            ..Schema::default()
        }),
    })
});

fn retries(error: &ApiError, writing: &Writing) -> bool {
    error.reason == "Conflict" && error.causes.is_empty() && writing.patched
}

fn patched(call: &Call, now: &Value, bytes: &Bytes) -> Result<Value, ApiError> {
    let decoded = body::json(bytes).map_err(|e| refuse::bad(format!("error decoding patch: {e}")));
    match call.media_type() {
        "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
            patch::merge_patch(now, &decoded?.value)
        }
        "application/json-patch+json" => patch::json_patch(now, &decoded?.value),
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
