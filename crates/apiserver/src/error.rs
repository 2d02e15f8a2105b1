//! What an API server answers when it refuses: a `Status` with code, reason, message and causes.
//!
//! Pure data. Every room of this crate returns [`ApiError`] or a list of [`FieldError`]; the HTTP
//! room turns them into bodies. It never holds values of Secrets.

use serde_json::{Map, Value, json};

/// The detail that goes out as `metadata.continue`: where an expired list can go on.
pub const CONTINUE: &str = "continue";
/// The message that refuses a patch of a type that no kind has.
pub const UNSUPPORTED_PATCH: &str = "415: Unsupported Media Type";

/// A refusal, as the `Status` object of Kubernetes' meta/v1 carries it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status code, 400 to 599.
    pub code: u16,
    /// The machine-readable reason, such as `NotFound`; empty where upstream leaves it out.
    pub reason: String,
    /// The text for people, worded as upstream words it.
    pub message: String,
    /// `details` without `causes`: name, group, kind, uid, retryAfterSeconds.
    pub details: Map<String, Value>,
    /// One entry for each wrong field or conflict.
    pub causes: Vec<Cause>,
}

/// One cause within a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Such as `FieldValueInvalid` or `FieldManagerConflict`.
    pub reason: String,
    /// The text for people.
    pub message: String,
    /// The field's path, such as `spec.replicas`; may be empty.
    pub field: String,
}

/// One wrong field, found by validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field's path, such as `spec.containers[0].name`.
    pub field: String,
    /// The cause's reason: `FieldValueRequired`, `FieldValueInvalid`, `FieldValueNotSupported`…
    pub reason: &'static str,
    /// The text after the field, such as `Required value` or `Invalid value: 0: must be positive`.
    pub message: String,
}

impl ApiError {
    /// Returns a refusal without details.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
            message: message.into(),
            details: Map::new(),
            causes: Vec::new(),
        }
    }

    /// Returns the `Status` body that goes on the wire.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        let mut details = self.details.clone();
        if let Some(token) = details.remove(CONTINUE) {
            status["metadata"][CONTINUE] = token;
        }
        if !self.causes.is_empty() {
            let causes = self.causes.iter().map(Cause::to_json).collect();
            details.insert("causes".to_owned(), Value::Array(causes));
        }
        // Upstream's refusals of a whole request carry details without anything in them.
        let generic = matches!(self.code, 404 | 405) || self.message == UNSUPPORTED_PATCH;
        if generic || !details.is_empty() {
            status["details"] = Value::Object(details);
        }
        status
    }
}

impl Cause {
    fn to_json(&self) -> Value {
        let mut cause = json!({ "reason": self.reason, "message": self.message });
        if !self.field.is_empty() {
            cause["field"] = json!(self.field);
        }
        cause
    }
}
