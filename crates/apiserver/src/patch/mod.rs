//! Patches other than apply: JSON merge patch, JSON patch, strategic merge patch.
//!
//! In come the live object and a decoded patch; out goes the patched object. Pure. Refusals carry
//! the codes and texts of Kubernetes.

mod json;
mod lists;
mod merge;
mod strategic;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::error::ApiError;

pub use json::{OPERATIONS_MAX, json_patch};
pub use merge::merge_patch;
pub use strategic::strategic_merge;

fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "BadRequest", message)
}

/// Returns the refusal of a patch that does not apply; Kubernetes says no more than this.
fn rejected() -> ApiError {
    let message = "the server rejected our request due to an error in our request";
    ApiError::new(422, "Invalid", message)
}

/// Returns what a JSON decoder of Go calls such a value.
fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
