//! The two ways an object gets into the store: as a new one, or over the one that is there.
//!
//! An object comes in decoded (or merged by a patch), goes through defaults, field managers, what
//! the kind prepares, validation and the store. Dry runs stop before the store.

use std::sync::Arc;

use serde_json::{Value, json};

use super::query::quote;
use super::{definitions, metadata, refuse, strategy};
use crate::api::Api;
use crate::apply::{self, Update};
use crate::error::{ApiError, FieldError};
use crate::kinds::TypeInfo;
use crate::objects::{self, meta_mut, meta_text};
use crate::store::{Change, Entry, Key};
use crate::{builtin, schema};

/// How often a generated name that is taken is replaced by another.
const NAME_ATTEMPTS: usize = 8;
/// How often a patch is made anew on an object that changed in the meantime.
pub(crate) const PATCH_ATTEMPTS: usize = 5;

/// What a write needs to know beside the object.
#[derive(Debug, Clone)]
pub(crate) struct Writing {
    pub(crate) kind: Arc<TypeInfo>,
    /// Empty for cluster-scoped kinds.
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    pub(crate) manager: String,
    pub(crate) dry_run: bool,
    /// Whether the object comes from an apply, which has its field managers already.
    pub(crate) applied: bool,
    /// Whether the object comes from a patch of the one that is there.
    pub(crate) patched: bool,
}

/// What a write led to.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) value: Value,
    pub(crate) created: bool,
    pub(crate) warnings: Vec<String>,
}

impl Writing {
    pub(crate) fn key(&self) -> Key {
        Key::new(objects::resource(&self.kind), &self.namespace, &self.name)
    }

    fn track(&self, api: &Api, live: Option<&Value>, new: &mut Value) {
        let served = api.served();
        let update = Update {
            live,
            manager: &self.manager,
            subresource: &self.subresource,
            kind: &self.kind,
            versions: served.versions(&self.kind.group, &self.kind.plural),
            now: &api.timestamp(),
        };
        apply::track_update(&update, new);
    }
}

/// Stores a new object.
pub(crate) async fn create(
    api: &Api,
    writing: &Writing,
    object: Value,
) -> Result<Written, ApiError> {
    let kind = &writing.kind;
    let given = meta_text(&object, "name").to_owned();
    let base = meta_text(&object, "generateName").to_owned();
    let mut writing = writing.clone();
    for attempt in 1.. {
        let mut object = object.clone();
        if given.is_empty() && !base.is_empty() {
            writing.name = generated(api, &base);
            meta_mut(&mut object).insert("name".to_owned(), writing.name.clone().into());
        }
        match create_once(api, &writing, object).await {
            Err(error) if error.reason == "AlreadyExists" && given.is_empty() => {
                if attempt == NAME_ATTEMPTS {
                    let name = &writing.name;
                    let mut error = refuse::exists(kind, name);
                    error.message.push_str(
                        ", the server was not able to generate a unique name for the object",
                    );
                    return Err(error);
                }
            }
            done => return done,
        }
    }
    unreachable!("because the loop above returns")
}

/// Returns a name made of a base, cut where it is too long, and random letters.
fn generated(api: &Api, base: &str) -> String {
    const BASE_BYTES_MAX: usize = 63 - 5;
    let mut base = base.to_owned();
    while base.len() > BASE_BYTES_MAX {
        base.pop();
    }
    base + &api.name_end()
}

async fn create_once(api: &Api, writing: &Writing, mut object: Value) -> Result<Written, ApiError> {
    let kind = &writing.kind;
    system_fields(api, writing, &mut object)?;
    let mut warnings: Vec<String> = metadata::drop_duplicate_owners(&mut object)
        .into_iter()
        .collect();
    let drops_status = strategy::drops_status(kind);
    let managed = managed_fields(&object);
    if kind.custom {
        schema::apply_defaults(&kind.schema, &mut object);
    }
    if drops_status {
        drop_field(&mut object, "status");
    }
    if !kind.custom {
        builtin::declare_defaults(kind, &mut object, None);
    }
    strategy::complete(api, kind, &mut object, None);
    keep_managed_fields(&mut object, managed);
    if !writing.applied {
        writing.track(api, None, &mut object);
    }
    if kind.tracks_generation || kind.custom {
        meta_mut(&mut object).insert("generation".to_owned(), 1.into());
    }
    check_namespace(api, writing)?;
    let _allocation = strategy::prepare_create(api, kind, &mut object)
        .await
        .map_err(|errors| refuse::invalid(kind, &writing.name, &errors))?;
    definitions::check_create(api, kind, &writing.name)?;
    strategy::warn(kind, &object, None, &mut warnings);
    validate(writing, &object, None)?;
    strategy::accept(api, kind, &mut object, None)
        .map_err(|errors| refuse::invalid(kind, &writing.name, &errors))?;
    store_new(api, writing, object, warnings).await
}

/// Checks what a new object must not say and sets what only the server says.
fn system_fields(api: &Api, writing: &Writing, object: &mut Value) -> Result<(), ApiError> {
    let kind = &writing.kind;
    check_place(writing, object)?;
    if !writing.applied && !meta_text(object, "resourceVersion").is_empty() {
        let text = "resourceVersion should not be set on objects to be created";
        return Err(ApiError::new(500, "", text));
    }
    if writing.applied && !meta_text(object, "uid").is_empty() {
        let uid = meta_text(object, "uid");
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(refuse::conflict(kind, &writing.name, &why));
    }
    let meta = meta_mut(object);
    for field in [
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "generation",
    ] {
        meta.remove(field);
    }
    meta.insert("uid".to_owned(), api.uuid().into());
    meta.insert("creationTimestamp".to_owned(), api.timestamp().into());
    Ok(())
}

async fn store_new(
    api: &Api,
    writing: &Writing,
    object: Value,
    warnings: Vec<String>,
) -> Result<Written, ApiError> {
    let kind = &writing.kind;
    let key = writing.key();
    if writing.dry_run {
        if api.store.get(&key).is_some() {
            return Err(refuse::exists(kind, &writing.name));
        }
        let value = objects::complete(kind, api.stored(kind, object));
        return Ok(Written {
            value,
            created: true,
            warnings,
        });
    }
    let change = Change {
        key,
        expected: None,
        object: api.stored(kind, object),
        remove: false,
    };
    let entry = submit(api, writing, change).await?;
    Ok(Written {
        value: objects::served(kind, &entry),
        created: true,
        warnings,
    })
}

/// Makes a change and lets what follows from it take effect before the client hears of it.
pub(crate) async fn submit(
    api: &Api,
    writing: &Writing,
    change: Change,
) -> Result<Arc<Entry>, ApiError> {
    let stored = api.store.submit(change).await;
    let entry = stored.map_err(|e| refuse::store(&writing.kind, &writing.name, &e))?;
    strategy::stored(api, &writing.kind, &writing.name).await;
    Ok(entry)
}

fn managed_fields(object: &Value) -> Option<Value> {
    object.pointer("/metadata/managedFields").cloned()
}

/// Puts back the managedFields as the client sent them: an empty list means something.
fn keep_managed_fields(object: &mut Value, managed: Option<Value>) {
    if let Some(managed) = managed {
        meta_mut(object).insert("managedFields".to_owned(), managed);
    }
}

fn drop_field(object: &mut Value, field: &str) {
    if let Some(map) = object.as_object_mut() {
        map.remove(field);
    }
}

/// Checks the namespace that a body names against the one of the path.
fn check_place(writing: &Writing, object: &mut Value) -> Result<(), ApiError> {
    let namespace = meta_text(object, "namespace");
    if !writing.kind.namespaced {
        meta_mut(object).remove("namespace");
        return Ok(());
    }
    if !namespace.is_empty() && namespace != writing.namespace {
        let text =
            "the namespace of the provided object does not match the namespace sent on the request";
        return Err(refuse::bad(text));
    }
    meta_mut(object).insert("namespace".to_owned(), writing.namespace.clone().into());
    Ok(())
}

fn check_namespace(api: &Api, writing: &Writing) -> Result<(), ApiError> {
    if !writing.kind.namespaced {
        return Ok(());
    }
    let namespace = &writing.namespace;
    let Some(found) = api.namespace(namespace) else {
        let mut error = ApiError::new(
            404,
            "NotFound",
            format!("namespaces {namespace:?} not found"),
        );
        error
            .details
            .insert("name".to_owned(), namespace.clone().into());
        error.details.insert("kind".to_owned(), "namespaces".into());
        return Err(error);
    };
    if meta_text(&found, "deletionTimestamp").is_empty() {
        return Ok(());
    }
    let why = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    let mut error = refuse::forbidden(&writing.kind, &writing.name, &why);
    error.causes.push(crate::error::Cause {
        reason: "NamespaceTerminating".to_owned(),
        message: format!("namespace {namespace} is being terminated"),
        field: "metadata.namespace".to_owned(),
    });
    Err(error)
}

fn validate(writing: &Writing, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let kind = &writing.kind;
    let mut errors = metadata::validate(kind, object, old);
    if kind.custom {
        errors.extend(schema::validate(&kind.schema, object, old));
    } else {
        errors.extend(builtin::validate(kind, object, old));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(refuse::invalid(kind, meta_text(object, "name"), &errors))
    }
}

/// Stores an object over the one that is there.
///
/// What the client may not change comes from the live object. An object that ends up equal to it is
/// not written. A terminating object without finalizers is removed.
pub(crate) async fn update(
    api: &Api,
    writing: &Writing,
    live_entry: &Entry,
    live: &Value,
    mut new: Value,
) -> Result<Written, ApiError> {
    let kind = &writing.kind;
    check_place(writing, &mut new)?;
    check_identity(writing, live, &new)?;
    carry_over(live, &mut new);
    let mut warnings: Vec<String> = metadata::drop_duplicate_owners(&mut new)
        .into_iter()
        .collect();
    strategy::keep_other_parts(kind, &writing.subresource, live, &mut new);
    let managed = managed_fields(&new);
    if kind.custom {
        schema::apply_defaults(&kind.schema, &mut new);
    } else {
        builtin::declare_defaults(kind, &mut new, Some(live));
    }
    strategy::complete(api, kind, &mut new, Some(live));
    keep_managed_fields(&mut new, managed);
    if !writing.applied {
        writing.track(api, Some(live), &mut new);
    }
    apply::keep_times(live, &mut new);
    let _allocation = strategy::prepare_update(api, kind, live, &mut new)
        .await
        .map_err(|errors| refuse::invalid(kind, &writing.name, &errors))?;
    if writing.subresource != "status" {
        bump_generation(kind, live, &mut new);
    }
    strategy::warn(kind, &new, Some(live), &mut warnings);
    validate(writing, &new, Some(live))?;
    strategy::accept(api, kind, &mut new, Some(live))
        .map_err(|errors| refuse::invalid(kind, &writing.name, &errors))?;
    if strategy::is_finished(kind, &new) {
        return remove(api, writing, live_entry, new, warnings).await;
    }
    let object = api.stored(kind, new.clone());
    // What is read can hold defaults that were never stored; only stored objects are compared.
    if writing.dry_run || object == live_entry.value() {
        return Ok(Written {
            value: new,
            created: false,
            warnings,
        });
    }
    let change = Change {
        key: writing.key(),
        expected: Some(live_entry.revision),
        object,
        remove: false,
    };
    let entry = submit(api, writing, change).await?;
    Ok(Written {
        value: objects::served(kind, &entry),
        created: false,
        warnings,
    })
}

/// Removes an object that was only waiting for its last finalizer.
async fn remove(
    api: &Api,
    writing: &Writing,
    live_entry: &Entry,
    new: Value,
    warnings: Vec<String>,
) -> Result<Written, ApiError> {
    if !writing.dry_run {
        let change = Change {
            key: writing.key(),
            expected: Some(live_entry.revision),
            object: api.stored(&writing.kind, new.clone()),
            remove: true,
        };
        submit(api, writing, change).await?;
    }
    Ok(Written {
        value: new,
        created: false,
        warnings,
    })
}

fn check_identity(writing: &Writing, live: &Value, new: &Value) -> Result<(), ApiError> {
    let kind = &writing.kind;
    let name = meta_text(new, "name");
    if name != writing.name && !(writing.applied && name.is_empty()) {
        let text = format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            writing.name
        );
        return Err(refuse::bad(text));
    }
    let (uid, live_uid) = (meta_text(new, "uid"), meta_text(live, "uid"));
    if !uid.is_empty() && uid != live_uid {
        if !writing.patched && !writing.applied {
            let resource = objects::resource(kind);
            let key = format!(
                "/registry/{}/{}",
                resource.trim_start_matches('/'),
                writing.key().path
            );
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, \
                 AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {live_uid}"
            );
            return Err(refuse::conflict(kind, &writing.name, &why));
        }
        let error = FieldError {
            field: "metadata.uid".to_owned(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {}: field is immutable", quote(uid)),
        };
        return Err(refuse::invalid(kind, &writing.name, &[error]));
    }
    check_revision(writing, live, meta_text(new, "resourceVersion"))
}

fn check_revision(writing: &Writing, live: &Value, revision: &str) -> Result<(), ApiError> {
    let kind = &writing.kind;
    if revision.is_empty() || revision == "0" {
        if !kind.custom || writing.patched || writing.applied {
            return Ok(());
        }
        let error = FieldError {
            field: "metadata.resourceVersion".to_owned(),
            reason: "FieldValueInvalid",
            message: "Invalid value: 0: must be specified for an update".to_owned(),
        };
        return Err(refuse::invalid_as(
            &kind.group,
            &kind.plural,
            &writing.name,
            &[error],
        ));
    }
    if revision.parse::<u64>().is_err() {
        let text = format!("strconv.ParseUint: parsing {revision:?}: invalid syntax");
        return Err(ApiError::new(500, "", text));
    }
    if revision != meta_text(live, "resourceVersion") {
        return Err(refuse::modified(kind, &writing.name));
    }
    Ok(())
}

/// Puts back what only the server sets.
fn carry_over(live: &Value, new: &mut Value) {
    const FIELDS: [&str; 7] = [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "selfLink",
    ];
    let meta = meta_mut(new);
    for field in FIELDS {
        match live.get("metadata").and_then(|m| m.get(field)) {
            Some(value) => meta.insert(field.to_owned(), value.clone()),
            None => meta.remove(field),
        };
    }
}

fn bump_generation(kind: &TypeInfo, live: &Value, new: &mut Value) {
    if !(kind.tracks_generation || kind.custom) || !strategy::spec_differs(kind, live, new) {
        return;
    }
    let generation = live
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    meta_mut(new).insert("generation".to_owned(), json!(generation + 1));
}
