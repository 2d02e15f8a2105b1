//! One request: an apply, or another write whose changes of ownership are tracked.
//!
//! Around the core lie the rules of Kubernetes: the body's kind, owners that a client edits, the
//! manager `before-first-apply`, the last-applied annotation, times, and what is never owned.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::kinds::TypeInfo;

use super::check::check;
use super::last_applied;
use super::managed::{Identity, Managed, Operation, is_reset};
use super::update::{Refusal, Versions, apply_fields, update_fields};

/// The manager to whom an object's fields belong before anybody applied to it.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

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
/// The body is taken as it came: what the server adds to it would be owned. The namespace of a new
/// object is the caller's to fill in. Fails with 409 on conflicts without force, 400 on a body of
/// another kind or with managedFields, and 500 without a reason where the body does not fit the
/// schema.
pub fn apply(request: Apply<'_>) -> Result<Outcome, ApiError> {
    let applied = &request.applied;
    check_kind(applied, request.kind)?;
    let live = match request.live {
        Some(live) => Cow::Borrowed(live),
        None => Cow::Owned(empty_object(request.kind)),
    };
    let mut managed = Managed::decode(entries_of(&live))
        .map_err(|e| failure(format!("failed to decode managed fields: {e}")))?;
    let stored = managed.clone();
    let versions = Versions::new(request.kind, request.versions, request.subresource);
    if managed.0.is_empty() {
        take_all(&request, &versions, &live, &mut managed);
    }
    if entries_of(applied).is_some_and(|entries| !entries.is_null()) {
        let message = "metadata.managedFields must be nil";
        return Err(ApiError::new(400, "BadRequest", message));
    }
    check(versions.own_type(), applied).map_err(|misfits| {
        let what = describe(applied);
        failure(format!(
            "failed to create typed patch object ({what}): {misfits}"
        ))
    })?;
    let identity = Identity::new(
        request.manager,
        Operation::Apply,
        versions.api_version(),
        request.subresource,
    );
    let changed = merge_or_refuse(&request, &versions, &live, &mut managed, &identity)?;
    managed.strip(&identity);
    let changes = changed.is_some();
    let mut object = match changed {
        Some(object) => {
            if let Some(owned) = managed.0.get_mut(&identity) {
                owned.time = Some(request.now.to_owned());
            }
            object
        }
        None => live.into_owned(),
    };
    if request.manager == last_applied::KUBECTL {
        last_applied::follow(&mut object, applied);
    }
    if changes || managed != stored {
        set_entries(&mut object, managed.encode());
    }
    Ok(Outcome {
        object,
        changed: changes,
    })
}

/// Sets `metadata.managedFields` of `new`, which is complete (defaults included) but not yet stored.
///
/// Edits of managedFields in `new` are honoured where `subresource` is empty.
pub fn track_update(request: &Update<'_>, new: &mut Value) {
    let live = match request.live {
        Some(live) => Cow::Borrowed(live),
        None => Cow::Owned(empty_object(request.kind)),
    };
    let mut managed = owners_for_update(request, &live, new);
    if managed.0.is_empty() && request.live.is_some() {
        set_entries(new, None);
        return;
    }
    let versions = Versions::new(request.kind, request.versions, request.subresource);
    let identity = Identity::new(
        request.manager,
        Operation::Update,
        versions.api_version(),
        request.subresource,
    );
    if update_fields(&versions, &live, new, &mut managed, &identity)
        && let Some(owned) = managed.0.get_mut(&identity)
    {
        owned.time = Some(request.now.to_owned());
    }
    managed.cap_updates();
    set_entries(new, managed.encode());
}

/// Puts the live times back into `new` when nothing but times differs, so that nothing is written.
///
/// Runs after defaulting and before the caller prepares the object (drops a foreign status, counts
/// the generation). Returns whether `new` differs from `live` at that point.
pub fn keep_times(live: &Value, new: &mut Value) -> bool {
    let (Some(Value::Array(old_entries)), Some(Value::Array(entries))) =
        (entries_of(live), entries_of(new))
    else {
        return live != new;
    };
    let same_owners = old_entries.len() == entries.len()
        && old_entries
            .iter()
            .zip(entries)
            .all(|(a, b)| same_but_for(a, b, "time"));
    let same_rest = same_owners
        && same_but_for(live, new, "metadata")
        && match (live.get("metadata"), new.get("metadata")) {
            (Some(a), Some(b)) => same_but_for(a, b, "managedFields"),
            _ => false,
        };
    if !same_rest {
        return true;
    }
    let old_entries = Value::Array(old_entries.clone());
    set_entries(new, Some(old_entries));
    false
}

/// Returns whether two objects are equal when one key is left out of both.
fn same_but_for(a: &Value, b: &Value, key: &str) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else {
        return false;
    };
    let count = |map: &Map<String, Value>| map.len() - usize::from(map.contains_key(key));
    count(a) == count(b)
        && a.iter()
            .filter(|(name, _)| *name != key)
            .all(|(name, a)| b.get(name) == Some(a))
}

/// Fails where the body is not of the endpoint's kind and version.
fn check_kind(applied: &Value, kind: &TypeInfo) -> Result<(), ApiError> {
    let text = |name: &str| applied.get(name).and_then(Value::as_str).unwrap_or("");
    if text("apiVersion") == kind.api_version() && text("kind") == kind.kind {
        return Ok(());
    }
    let message = format!("invalid object type: {}", group_version_kind(applied));
    Err(ApiError::new(400, "BadRequest", message))
}

fn merge_or_refuse(
    request: &Apply<'_>,
    versions: &Versions<'_>,
    live: &Value,
    managed: &mut Managed,
    identity: &Identity,
) -> Result<Option<Value>, ApiError> {
    let is_kubectl = request.manager == last_applied::KUBECTL;
    let before = is_kubectl.then(|| managed.clone());
    let by = (identity, request.force);
    let conflicts = match apply_fields(versions, live, &request.applied, managed, by) {
        Ok(changed) => return Ok(changed),
        Err(Refusal::Merge(e)) => return Err(failure(format!("failed to merge config: {e}"))),
        Err(Refusal::Conflicts(conflicts)) => conflicts,
    };
    let Some(before) = before else {
        return Err(conflicts.to_error());
    };
    let Some(allowed) = last_applied::unchanged_fields(versions, live) else {
        return Err(conflicts.to_error());
    };
    if !conflicts.paths().difference(&allowed).is_empty() {
        return Err(conflicts.without(&allowed).to_error());
    }
    *managed = before;
    let by = (identity, true);
    apply_fields(versions, live, &request.applied, managed, by).map_err(|refusal| match refusal {
        Refusal::Merge(e) => failure(format!("failed to merge config: {e}")),
        Refusal::Conflicts(conflicts) => conflicts.to_error(),
    })
}

/// Gives all fields of an object without owners to the manager `before-first-apply`.
fn take_all(request: &Apply<'_>, versions: &Versions<'_>, live: &Value, managed: &mut Managed) {
    if request.live.is_none() {
        return;
    }
    let identity = Identity::new(
        BEFORE_FIRST_APPLY,
        Operation::Update,
        versions.api_version(),
        request.subresource,
    );
    let empty = empty_object(request.kind);
    if update_fields(versions, &empty, live, managed, &identity)
        && let Some(owned) = managed.0.get_mut(&identity)
    {
        owned.time = Some(request.now.to_owned());
    }
}

/// Returns the owners that a write starts from: those it names itself, or the stored ones.
fn owners_for_update(request: &Update<'_>, live: &Value, new: &Value) -> Managed {
    let stored = || Managed::decode(entries_of(live)).unwrap_or_default();
    if !request.subresource.is_empty() {
        return stored();
    }
    let entries = entries_of(new);
    if is_reset(entries) {
        return Managed::default();
    }
    match Managed::decode(entries) {
        Ok(managed) if !managed.0.is_empty() => managed,
        _ => stored(),
    }
}

fn entries_of(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields")
}

fn set_entries(object: &mut Value, entries: Option<Value>) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    match entries {
        Some(entries) => metadata.insert("managedFields".to_owned(), entries),
        None => metadata.remove("managedFields"),
    };
}

/// Returns the object that is there before anything is.
fn empty_object(kind: &TypeInfo) -> Value {
    json!({ "apiVersion": kind.api_version(), "kind": kind.kind })
}

/// Returns the refusal that Kubernetes answers with 500 and no reason.
fn failure(message: String) -> ApiError {
    ApiError::new(500, "", message)
}

fn describe(object: &Value) -> String {
    let text = |name: &str| {
        let metadata = object.get("metadata");
        let text = metadata.and_then(|m| m.get(name)).and_then(Value::as_str);
        text.unwrap_or("").to_owned()
    };
    let (namespace, name) = (text("namespace"), text("name"));
    format!("{namespace}/{name}; {}", group_version_kind(object))
}

fn group_version_kind(object: &Value) -> String {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or("");
    let api_version = text("apiVersion");
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    format!("{group}/{version}, Kind={}", text("kind"))
}
