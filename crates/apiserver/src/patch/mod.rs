//! Patches other than apply: JSON merge patch, JSON patch, strategic merge patch.
//!
//! In come the live object and a decoded patch; out goes the patched object. Pure.

use serde_json::Value;

use crate::error::ApiError;
use crate::schema::Schema;

/// Returns `live` changed by a JSON merge patch (RFC 7386).
pub fn merge_patch(live: &Value, patch: &Value) -> Result<Value, ApiError> {
    let _ = (live, patch);
    Err(ApiError::new(501, "", "merge patch is not built yet"))
}

/// Returns `live` changed by a JSON patch (RFC 6902).
///
/// Fails with 400 where the patch is not one, 413 where it is too long, 422 where it does not apply.
pub fn json_patch(live: &Value, patch: &Value) -> Result<Value, ApiError> {
    let _ = (live, patch);
    Err(ApiError::new(501, "", "JSON patch is not built yet"))
}

/// Returns `live` changed by a strategic merge patch with the strategies of `schema`.
pub fn strategic_merge(live: &Value, patch: &Value, schema: &Schema) -> Result<Value, ApiError> {
    let _ = (live, patch, schema);
    Err(ApiError::new(501, "", "strategic merge is not built yet"))
}
