//! POST, PUT and PATCH: from a request to a write, and its answer.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::accept::{Offers, accept};
use super::answer::{self, Answer};
use super::call::Call;
use super::query::{FieldValidation, WriteOptions, quote};
use super::route::Target;
use super::write::{self, PATCH_ATTEMPTS, Writing, Written};
use super::{body, decode, refuse, strategy};
use crate::api::Api;
use crate::apply::{self, Apply};
use crate::error::{ApiError, FieldError, UNSUPPORTED_PATCH};
use crate::kinds::TypeInfo;
use crate::objects::{self, meta_mut, meta_text};
use crate::{builtin, patch, schema};

/// The patch types of custom resources.
const CUSTOM_PATCHES: &str =
    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";

fn writing(kind: &Arc<TypeInfo>, target: &Target, call: &Call, options: &WriteOptions) -> Writing {
    Writing {
        kind: kind.clone(),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        subresource: target.subresource.clone(),
        manager: call.manager(options.field_manager.as_deref()),
        dry_run: options.dry_run,
        applied: false,
        patched: false,
    }
}

fn answer(
    api: &Api,
    kind: &Arc<TypeInfo>,
    call: &Call,
    written: Written,
) -> Result<Answer, ApiError> {
    let wanted = accept(&call.accept, Offers::Objects)?;
    let status = if written.created { 201 } else { 200 };
    let shown = answer::object(api, kind, &written.value, wanted, &call.query)?;
    Ok(Answer::json(status, &shown).warn(written.warnings))
}

/// Answers a POST to a collection.
pub(crate) async fn post(
    api: &Api,
    kind: &Arc<TypeInfo>,
    target: &Target,
    call: &Call,
    bytes: &Bytes,
) -> Result<Answer, ApiError> {
    accept(&call.accept, Offers::Objects)?;
    let options = call.query.write_options("CreateOptions")?;
    let decoded = decode::object(kind, call, bytes, options.field_validation)?;
    let mut writing = writing(kind, target, call, &options);
    writing.name = meta_text(&decoded.value, "name").to_owned();
    let written = write::create(api, &writing, decoded.value).await?;
    Ok(answer(api, kind, call, written)?.warn(decoded.warnings))
}

/// Answers a PUT to an object or its status.
pub(crate) async fn put(
    api: &Api,
    kind: &Arc<TypeInfo>,
    target: &Target,
    call: &Call,
    bytes: &Bytes,
) -> Result<Answer, ApiError> {
    accept(&call.accept, Offers::Objects)?;
    let options = call.query.write_options("UpdateOptions")?;
    let decoded = decode::object(kind, call, bytes, options.field_validation)?;
    let writing = writing(kind, target, call, &options);
    let mut object = decoded.value;
    if meta_text(&object, "name").is_empty() && strategy::is_namespace(kind) {
        meta_mut(&mut object).insert("name".to_owned(), target.name.clone().into());
    }
    let mut attempt = 1;
    let written = loop {
        let Some(entry) = api.store.get(&writing.key()) else {
            if target.subresource.is_empty() && strategy::creates_on_update(kind) {
                let name = meta_text(&object, "name");
                if name != target.name {
                    let at = &target.name;
                    let text = format!(
                        "the name of the object ({name}) does not match the name on the URL ({at})"
                    );
                    return Err(refuse::bad(text));
                }
                break write::create(api, &writing, object).await?;
            }
            return Err(refuse::missing(kind, &target.name));
        };
        let live = objects::served(kind, &entry);
        let done = write::update(api, &writing, &entry, &live, object.clone()).await;
        let free = meta_text(&object, "resourceVersion").is_empty();
        match done {
            Err(error) if error.reason == "Conflict" && free && attempt < PATCH_ATTEMPTS => {
                attempt += 1
            }
            done => break done?,
        }
    };
    Ok(answer(api, kind, call, written)?.warn(decoded.warnings))
}

/// A patch that was decoded.
enum Patch {
    Apply(Value),
    Merge(Value),
    Json(Value),
    Strategic(Value),
}

/// Answers a PATCH of an object or its status.
pub(crate) async fn patch(
    api: &Api,
    kind: &Arc<TypeInfo>,
    target: &Target,
    call: &Call,
    bytes: &Bytes,
) -> Result<Answer, ApiError> {
    accept(&call.accept, Offers::Objects)?;
    let options = call.query.write_options("PatchOptions")?;
    let (patch, mut warnings) = decode_patch(kind, call, bytes, &options)?;
    let mut writing = writing(kind, target, call, &options);
    writing.applied = matches!(patch, Patch::Apply(_));
    writing.patched = true;
    let mut attempt = 1;
    let written = loop {
        let done = match &patch {
            Patch::Apply(applied) => {
                apply_once(api, &writing, applied, options.force == Some(true)).await
            }
            other => {
                patch_once(
                    api,
                    &writing,
                    other,
                    options.field_validation,
                    &mut warnings,
                )
                .await
            }
        };
        match done {
            Err(error) if retries(&error, &patch) && attempt < PATCH_ATTEMPTS => attempt += 1,
            done => break done?,
        }
    };
    Ok(answer(api, kind, call, written)?.warn(warnings))
}

/// Returns whether a refusal only says that the object changed while the patch was made.
fn retries(error: &ApiError, patch: &Patch) -> bool {
    let raced = error.reason == "AlreadyExists"
        || (error.reason == "Conflict"
            && error.causes.is_empty()
            && error.message.contains("has been modified"));
    let pinned = match patch {
        Patch::Apply(v) | Patch::Merge(v) | Patch::Strategic(v) => {
            !meta_text(v, "resourceVersion").is_empty()
        }
        Patch::Json(v) => v.to_string().contains("/metadata/resourceVersion"),
    };
    raced && !pinned
}

fn decode_patch(
    kind: &TypeInfo,
    call: &Call,
    bytes: &Bytes,
    options: &WriteOptions,
) -> Result<(Patch, Vec<String>), ApiError> {
    let media = call.media_type();
    let apply = media == "application/apply-patch+yaml";
    match media {
        "application/strategic-merge-patch+json" if kind.custom => {
            return Err(refuse::media(CUSTOM_PATCHES));
        }
        "application/apply-patch+yaml"
        | "application/merge-patch+json"
        | "application/json-patch+json"
        | "application/strategic-merge-patch+json" => {}
        _ => {
            return Err(ApiError::new(
                415,
                "UnsupportedMediaType",
                UNSUPPORTED_PATCH,
            ));
        }
    }
    check_patch_options(options, apply)?;
    if apply {
        let (applied, warnings) = decode::applied(bytes, options.field_validation)?;
        return Ok((Patch::Apply(applied), warnings));
    }
    let decoded = body::json(bytes).map_err(|_| refuse::bad("invalid JSON patch"))?;
    let duplicates: Vec<String> = decoded
        .duplicates
        .iter()
        .map(|f| format!("duplicate field {f:?}"))
        .collect();
    let warnings = match options.field_validation {
        FieldValidation::Strict if !duplicates.is_empty() => {
            let text = format!("strict decoding error: {}", duplicates.join(", "));
            return Err(refuse::bad(text));
        }
        FieldValidation::Warn => duplicates,
        _ => Vec::new(),
    };
    let patch = match media {
        "application/merge-patch+json" => Patch::Merge(decoded.value),
        "application/json-patch+json" => Patch::Json(decoded.value),
        _ => Patch::Strategic(decoded.value),
    };
    Ok((patch, warnings))
}

/// Checks the options that go with a patch.
pub(crate) fn check_patch_options(options: &WriteOptions, apply: bool) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    if apply && options.field_manager.is_none() {
        errors.push(FieldError {
            field: "fieldManager".to_owned(),
            reason: "FieldValueRequired",
            message: "Required value: is required for apply patch".to_owned(),
        });
    }
    if !apply && options.force.is_some() {
        errors.push(FieldError {
            field: "force".to_owned(),
            reason: "FieldValueForbidden",
            message: "Forbidden: may not be specified for non-apply patch".to_owned(),
        });
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(refuse::invalid_options("PatchOptions", &errors))
    }
}

async fn apply_once(
    api: &Api,
    writing: &Writing,
    applied: &Value,
    force: bool,
) -> Result<Written, ApiError> {
    let kind = &writing.kind;
    let entry = api.store.get(&writing.key());
    if entry.is_none() && !writing.subresource.is_empty() {
        return Err(refuse::missing(kind, &writing.name));
    }
    let live = entry.as_ref().map(|e| objects::served(kind, e));
    if live.is_none() && applied.get("kind").is_some() && meta_text(applied, "name").is_empty() {
        let text = format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            writing.name
        );
        return Err(refuse::bad(text));
    }
    check_apply_place(writing, applied)?;
    let served = api.served();
    let outcome = apply::apply(Apply {
        live: live.as_ref(),
        applied: applied.clone(),
        manager: &writing.manager,
        force,
        subresource: &writing.subresource,
        kind,
        versions: served.versions(&kind.group, &kind.plural),
        now: &api.timestamp(),
    })?;
    if !kind.custom {
        builtin::decode(kind, &outcome.object).map_err(|why| unreadable(kind, applied, &why))?;
    }
    match (entry, live) {
        (Some(entry), Some(live)) => {
            write::update(api, writing, &entry, &live, outcome.object).await
        }
        _ => write::create(api, writing, outcome.object).await,
    }
}

/// Returns the refusal of a merged object that its kind's types cannot hold.
fn unreadable(kind: &TypeInfo, applied: &Value, why: &str) -> ApiError {
    let (namespace, name) = (meta_text(applied, "namespace"), meta_text(applied, "name"));
    let what = format!("{}/{}, Kind={}", kind.group, kind.version, kind.kind);
    let text = format!(
        "failed to convert new object ({namespace}/{name}; {what}) to proper version: unable to \
         convert unstructured object to {what}: error decoding from json: {why}"
    );
    ApiError::new(500, "", text)
}

/// Checks the name and namespace of an apply body against the path's.
fn check_apply_place(writing: &Writing, applied: &Value) -> Result<(), ApiError> {
    if !applied.is_object() {
        return Ok(());
    }
    let name = meta_text(applied, "name");
    if !name.is_empty() && name != writing.name {
        let at = &writing.name;
        let text =
            format!("the name of the object ({name}) does not match the name on the URL ({at})");
        return Err(refuse::bad(text));
    }
    let namespace = meta_text(applied, "namespace");
    if writing.kind.namespaced && !namespace.is_empty() && namespace != writing.namespace {
        let text =
            "the namespace of the provided object does not match the namespace sent on the request";
        return Err(refuse::bad(text));
    }
    Ok(())
}

async fn patch_once(
    api: &Api,
    writing: &Writing,
    patch: &Patch,
    validation: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<Written, ApiError> {
    let kind = &writing.kind;
    let entry = api
        .store
        .get(&writing.key())
        .ok_or_else(|| refuse::missing(kind, &writing.name))?;
    let live = objects::served(kind, &entry);
    let mut new = match patch {
        Patch::Merge(patch) => patch::merge_patch(&live, patch)?,
        Patch::Json(patch) => patch::json_patch(&live, patch)?,
        Patch::Strategic(patch) => patch::strategic_merge(&live, patch, &kind.schema)?,
        Patch::Apply(_) => unreachable!("because applies take another way"),
    };
    let patched = new.clone();
    if !kind.custom
        && let Err(why) = builtin::decode(kind, &new)
    {
        return Err(bad_patch(patch, &patched, &why));
    }
    let unknown = schema::prune(&kind.schema, &mut new);
    let faults: Vec<String> = unknown
        .iter()
        .map(|f| format!("unknown field {f:?}"))
        .collect();
    match validation {
        FieldValidation::Strict if !faults.is_empty() => {
            let why = format!("strict decoding error: {}", faults.join(", "));
            return Err(bad_patch(patch, &patched, &why));
        }
        FieldValidation::Warn => {
            for fault in faults {
                if !warnings.contains(&fault) {
                    warnings.push(fault);
                }
            }
        }
        _ => {}
    }
    write::update(api, writing, &entry, &live, new).await
}

/// Returns the refusal of a patch whose result the kind cannot hold.
fn bad_patch(patch: &Patch, patched: &Value, why: &str) -> ApiError {
    let shown = match patch {
        Patch::Strategic(patch) => go_text(patch),
        _ => patched.to_string(),
    };
    let error = FieldError {
        field: "patch".to_owned(),
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {}: {why}", quote(&shown)),
    };
    refuse::invalid_as("", "", "", &[error])
}

/// Returns a value as Go prints maps and slices.
fn go_text(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let fields = map.iter().map(|(k, v)| format!("{k}:{}", go_text(v)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
        Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(go_text).collect::<Vec<_>>().join(" ")
            )
        }
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}
