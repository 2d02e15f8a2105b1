//! Server-side apply and the tracking of field managers: structured merge by schema and field sets.
//!
//! In come the live object, what a client sent and the kind's row; out goes the merged object with
//! its `metadata.managedFields`. Defaulting, validation and storage are the caller's work. Pure: the
//! time comes in as text.
//!
//! The order for one apply: [`apply`], then the caller's defaulting, then [`keep_times`], then the
//! caller's preparation (generation, dropped status), validation and store. The order for create,
//! PUT, other patches and status writes: defaulting, then [`track_update`], then [`keep_times`].

use std::sync::Arc;

use serde_json::Value;

use crate::error::ApiError;
use crate::kinds::TypeInfo;

/// One apply request.
#[derive(Debug)]
pub struct Apply<'a> {
    /// The stored object at this kind's version; absent on create.
    pub live: Option<&'a Value>,
    /// The body, decoded.
    pub applied: Value,
    /// The field manager's name.
    pub manager: &'a str,
    /// Whether conflicts are won instead of refused.
    pub force: bool,
    /// Such as `status`; empty for the object itself.
    pub subresource: &'a str,
    /// The row of the endpoint's kind and version.
    pub kind: &'a TypeInfo,
    /// The rows of all served versions of the kind; entries of managers at versions that are
    /// neither here nor `kind` are dropped.
    pub versions: &'a [Arc<TypeInfo>],
    /// RFC 3339, whole seconds, UTC.
    pub now: &'a str,
}

/// What an apply leads to.
#[derive(Debug)]
pub struct Outcome {
    /// The merged object with managedFields, before defaulting.
    pub object: Value,
    /// Whether the merge changed the live object (managedFields aside).
    pub changed: bool,
}

/// One write that is not an apply.
#[derive(Debug)]
pub struct Update<'a> {
    /// The stored object at this kind's version; absent on create.
    pub live: Option<&'a Value>,
    /// The field manager's name.
    pub manager: &'a str,
    /// Such as `status` or `scale`; empty for the object itself.
    pub subresource: &'a str,
    /// The row of the endpoint's kind and version.
    pub kind: &'a TypeInfo,
    /// As in [`Apply::versions`].
    pub versions: &'a [Arc<TypeInfo>],
    /// RFC 3339, whole seconds, UTC.
    pub now: &'a str,
}

/// Returns the live object with the applied one merged in, and who owns what.
///
/// Fails with 409 on conflicts without force, 400 on a body of another kind or with managedFields,
/// and 500 without a reason where the body does not fit the schema.
pub fn apply(request: Apply<'_>) -> Result<Outcome, ApiError> {
    let _ = request;
    Err(ApiError::new(501, "", "server-side apply is not built yet"))
}

/// Sets `metadata.managedFields` of `new`, which is complete (defaults included) but not yet stored.
///
/// Edits of managedFields in `new` are honoured where `subresource` is empty.
pub fn track_update(request: &Update<'_>, new: &mut Value) {
    let _ = (request, new);
}

/// Puts the live times back into `new` when nothing but times differs, so that nothing is written.
///
/// Returns whether `new` differs from `live`.
pub fn keep_times(live: &Value, new: &mut Value) -> bool {
    live != new
}
