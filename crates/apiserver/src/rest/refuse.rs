//! The refusals that a request can meet, worded as kube-apiserver words them.
//!
//! Pure: a kind, a name and what is wrong come in, an [`ApiError`] goes out.

use serde_json::json;

use crate::error::{ApiError, Cause, FieldError};
use crate::kinds::TypeInfo;
use crate::store::StoreError;

/// Returns the refusal of a request to something that is not served.
pub(crate) fn unserved() -> ApiError {
    ApiError::new(
        404,
        "NotFound",
        "the server could not find the requested resource",
    )
}

/// Returns the refusal of a method that the resource does not have.
pub(crate) fn method() -> ApiError {
    let text = "the server does not allow this method on the requested resource";
    ApiError::new(405, "MethodNotAllowed", text)
}

/// Returns the refusal of a request that makes no sense.
pub(crate) fn bad(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "BadRequest", message)
}

/// Returns the refusal of a body type.
pub(crate) fn media(accepted: &str) -> ApiError {
    let text = format!(
        "the body of the request was in an unknown format - accepted media types include: {accepted}"
    );
    ApiError::new(415, "UnsupportedMediaType", text)
}

/// Returns the refusal of an object that is not there.
pub(crate) fn missing(kind: &TypeInfo, name: &str) -> ApiError {
    let text = format!("{} \"{name}\" not found", kind.resource_name());
    about(ApiError::new(404, "NotFound", text), kind, name)
}

/// Returns the refusal of a second object of the same name.
pub(crate) fn exists(kind: &TypeInfo, name: &str) -> ApiError {
    let text = format!("{} \"{name}\" already exists", kind.resource_name());
    about(ApiError::new(409, "AlreadyExists", text), kind, name)
}

/// Returns the refusal of a write that rests on an older state.
pub(crate) fn conflict(kind: &TypeInfo, name: &str, why: &str) -> ApiError {
    let text = format!(
        "Operation cannot be fulfilled on {} \"{name}\": {why}",
        kind.resource_name()
    );
    about(ApiError::new(409, "Conflict", text), kind, name)
}

/// Returns the refusal of a write to an object that has changed since it was read.
pub(crate) fn modified(kind: &TypeInfo, name: &str) -> ApiError {
    let why = "the object has been modified; please apply your changes to the latest version and \
               try again";
    conflict(kind, name, why)
}

/// Returns the refusal of something that must not be done.
pub(crate) fn forbidden(kind: &TypeInfo, name: &str, why: &str) -> ApiError {
    let text = format!("{} \"{name}\" is forbidden: {why}", kind.resource_name());
    about(ApiError::new(403, "Forbidden", text), kind, name)
}

/// Returns the refusal of an object with wrong fields.
pub(crate) fn invalid(kind: &TypeInfo, name: &str, errors: &[FieldError]) -> ApiError {
    // Events of both groups are one kind to upstream's validation.
    let group = if kind.kind == "Event" {
        ""
    } else {
        &kind.group
    };
    invalid_as(group, &kind.kind, name, errors)
}

/// Returns the refusal of request options with wrong values.
pub(crate) fn invalid_options(options: &str, errors: &[FieldError]) -> ApiError {
    invalid_as("meta.k8s.io", options, "", errors)
}

/// Returns the refusal of something with wrong fields, by group and kind.
pub(crate) fn invalid_as(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> ApiError {
    let mut parts: Vec<String> = Vec::new();
    for error in errors {
        let part = if error.field.is_empty() {
            error.message.clone()
        } else {
            format!("{}: {}", error.field, error.message)
        };
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    let list = if parts.len() == 1 {
        parts.remove(0)
    } else {
        format!("[{}]", parts.join(", "))
    };
    let full = if group.is_empty() {
        kind.to_owned()
    } else {
        format!("{kind}.{group}")
    };
    let mut error = ApiError::new(
        422,
        "Invalid",
        format!("{full} \"{name}\" is invalid: {list}"),
    );
    details(&mut error, group, kind, name);
    error.causes = errors
        .iter()
        .map(|e| Cause {
            reason: e.reason.to_owned(),
            message: e.message.clone(),
            field: e.field.clone(),
        })
        .collect();
    error
}

/// Returns the refusal of a read that waited for a revision in vain.
pub(crate) fn future_revision(asked: u64, now: u64) -> ApiError {
    let text = format!("Timeout: Too large resource version: {asked}, current: {now}");
    let mut error = ApiError::new(504, "Timeout", text);
    error
        .details
        .insert("retryAfterSeconds".to_owned(), json!(1));
    error.causes.push(Cause {
        reason: "ResourceVersionTooLarge".to_owned(),
        message: "Too large resource version".to_owned(),
        field: String::new(),
    });
    error
}

/// Returns the refusal of a read below the window of past changes.
pub(crate) fn too_old(asked: u64, oldest: u64) -> ApiError {
    ApiError::new(
        410,
        "Expired",
        format!("too old resource version: {asked} ({oldest})"),
    )
}

/// Returns what a failed write to the store means for one object.
pub(crate) fn store(kind: &TypeInfo, name: &str, error: &StoreError) -> ApiError {
    match error {
        StoreError::Exists => exists(kind, name),
        StoreError::Missing => missing(kind, name),
        StoreError::Changed => modified(kind, name),
        StoreError::TooLarge(_) => ApiError::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: {error}"),
        ),
        StoreError::Closed => {
            ApiError::new(503, "ServiceUnavailable", "the server is shutting down")
        }
        StoreError::Backend(_) => ApiError::new(
            500,
            "InternalError",
            format!("Internal error occurred: {error}"),
        ),
    }
}

fn about(mut error: ApiError, kind: &TypeInfo, name: &str) -> ApiError {
    details(&mut error, &kind.group, &kind.plural, name);
    error
}

fn details(error: &mut ApiError, group: &str, kind: &str, name: &str) {
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            error.details.insert(key.to_owned(), json!(value));
        }
    }
}
