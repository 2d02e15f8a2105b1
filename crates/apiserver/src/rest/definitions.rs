//! The life of a CustomResourceDefinition: established after it is stored, emptied before it goes.
//!
//! A definition is first stored as its author sent it; then the server, as its own field manager,
//! writes the status. A deleted one waits until its objects are gone.

use serde_json::{Value, json};

use super::delete::{self, DeleteOptions};
use super::refuse;
use crate::api::{Api, DEFINITIONS};
use crate::apply::{self, Update};
use crate::crd;
use crate::error::{ApiError, FieldError};
use crate::kinds::TypeInfo;
use crate::objects::{self, meta_mut, meta_text};
use crate::store::{Change, Entry, Key, Scope, StoreError};

/// The finalizer that holds a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
/// The field manager that writes the status of definitions.
const MANAGER: &str = "kube-apiserver";
/// How often a write that met another one is tried.
const ATTEMPTS: usize = 5;

/// Returns whether a kind is CustomResourceDefinition.
pub(crate) fn is_definition(kind: &TypeInfo) -> bool {
    kind.group == "apiextensions.k8s.io" && kind.plural == "customresourcedefinitions"
}

/// Completes names and conversion, if the definition is sound.
pub(crate) fn complete(api: &Api, object: &mut Value, old: Option<&Value>) {
    let mut accepted = object.clone();
    if crd::accept(&mut accepted, old, &api.timestamp()).is_ok() {
        object["spec"] = accepted["spec"].take();
    }
}

/// Checks a definition; a new one gets the status of one that is not yet accepted.
pub(crate) fn check(
    api: &Api,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<(), Vec<FieldError>> {
    let mut accepted = object.clone();
    crd::accept(&mut accepted, old, &api.timestamp())?;
    object["spec"] = accepted["spec"].take();
    if old.is_none() {
        object["status"] = json!({
            "conditions": null, "acceptedNames": { "plural": "", "kind": "" },
            "storedVersions": accepted["status"]["storedVersions"],
        });
    }
    Ok(())
}

/// Writes the status of a definition whose spec was written, and serves what it defines.
pub(crate) async fn establish(api: &Api, kind: &TypeInfo, name: &str) {
    for _ in 0..ATTEMPTS {
        let key = Key {
            resource: DEFINITIONS.into(),
            path: name.to_owned(),
        };
        let Some(entry) = api.store.get(&key) else {
            break;
        };
        let live = objects::served(kind, &entry);
        let Some(new) = established(api, kind, &live) else {
            break;
        };
        match put(api, kind, &entry, new).await {
            Ok(()) => break,
            Err(StoreError::Changed) => {}
            Err(error) => {
                tracing::warn!(%name, %error, "The status of a definition could not be written.");
                break;
            }
        }
    }
    api.reload();
}

/// Returns the definition with the status it should have; nothing when it has it.
fn established(api: &Api, kind: &TypeInfo, live: &Value) -> Option<Value> {
    let mut new = live.clone();
    crd::accept(&mut new, Some(live), &api.timestamp()).ok()?;
    if new["status"] == live["status"] {
        return None;
    }
    track(api, kind, live, &mut new);
    Some(new)
}

fn track(api: &Api, kind: &TypeInfo, live: &Value, new: &mut Value) {
    let served = api.served();
    let update = Update {
        live: Some(live),
        manager: MANAGER,
        subresource: "status",
        kind,
        versions: served.versions(&kind.group, &kind.plural),
        now: &api.timestamp(),
    };
    apply::track_update(&update, new);
}

async fn put(api: &Api, kind: &TypeInfo, entry: &Entry, new: Value) -> Result<(), StoreError> {
    let change = Change {
        key: Key {
            resource: DEFINITIONS.into(),
            path: entry.path.to_string(),
        },
        expected: Some(entry.revision),
        object: api.stored(kind, new),
        remove: false,
    };
    api.store.submit(change).await.map(drop)
}

/// Marks a definition as terminating.
pub(crate) fn mark(api: &Api, new: &mut Value) {
    let now = api.timestamp();
    let meta = meta_mut(new);
    meta.insert("deletionTimestamp".to_owned(), now.clone().into());
    let finalizers = meta.entry("finalizers").or_insert_with(|| json!([]));
    if let Some(list) = finalizers.as_array_mut()
        && !list.iter().any(|f| f == CLEANUP)
    {
        list.push(CLEANUP.into());
    }
    let condition = json!({
        "type": "Terminating", "status": "True", "lastTransitionTime": now,
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    });
    match new
        .pointer_mut("/status/conditions")
        .and_then(Value::as_array_mut)
    {
        Some(list) => {
            list.retain(|c| c["type"] != "Terminating");
            list.push(condition);
        }
        None => new["status"]["conditions"] = json!([condition]),
    }
}

/// Returns the stored definition of a custom kind, if it is terminating.
fn terminating(api: &Api, kind: &TypeInfo) -> Option<(String, Value)> {
    let name = format!("{}.{}", kind.plural, kind.group);
    let key = Key {
        resource: DEFINITIONS.into(),
        path: name.clone(),
    };
    let definition = api.store.get(&key)?.value();
    (!meta_text(&definition, "deletionTimestamp").is_empty()).then_some((name, definition))
}

/// Refuses new objects of a kind whose definition is terminating.
pub(crate) fn check_create(api: &Api, kind: &TypeInfo, name: &str) -> Result<(), ApiError> {
    if kind.custom && terminating(api, kind).is_some() {
        let why = "create not allowed while custom resource definition is terminating";
        return Err(refuse::forbidden(kind, name, why));
    }
    Ok(())
}

/// Deletes the objects of a terminating definition and lets it go when none is left.
pub(crate) async fn clean_up(api: &Api, name: &str) {
    let key = Key {
        resource: DEFINITIONS.into(),
        path: name.to_owned(),
    };
    let Some(entry) = api.store.get(&key) else {
        return;
    };
    let definition = entry.value();
    if meta_text(&definition, "deletionTimestamp").is_empty() {
        return;
    }
    let (group, plural) = (
        &definition["spec"]["group"],
        &definition["spec"]["names"]["plural"],
    );
    let (group, plural) = (
        group.as_str().unwrap_or_default(),
        plural.as_str().unwrap_or_default(),
    );
    let served = api.served();
    let resource = format!("{group}/{plural}");
    if let Some(kind) = served.versions(group, plural).first() {
        for object in api.store.list(&resource, &Scope::default()).entries {
            let (namespace, name) = object.place();
            let options = DeleteOptions::default();
            let gone = Box::pin(delete::delete(api, kind, namespace, name, &options));
            if let Err(error) = gone.await
                && error.code != 404
            {
                tracing::warn!(%name, %error, "An object of a terminating definition could not be deleted.");
            }
        }
    }
    release(api, &key, &resource).await;
}

/// Looks again at the definition of a kind one of whose objects has changed.
pub(crate) async fn instance_changed(api: &Api, kind: &TypeInfo) {
    if let Some((name, _)) = terminating(api, kind) {
        let key = Key {
            resource: DEFINITIONS.into(),
            path: name,
        };
        release(api, &key, &objects::resource(kind)).await;
    }
}

/// Takes the finalizer from a terminating definition without objects; without others it is gone.
async fn release(api: &Api, key: &Key, resource: &str) {
    for _ in 0..ATTEMPTS {
        if !api
            .store
            .list(resource, &Scope::default())
            .entries
            .is_empty()
        {
            return;
        }
        let Some(entry) = api.store.get(key) else {
            return;
        };
        let mut definition = entry.value();
        let meta = meta_mut(&mut definition);
        let mut empty = true;
        if let Some(list) = meta.get_mut("finalizers").and_then(Value::as_array_mut) {
            list.retain(|f| f != CLEANUP);
            empty = list.is_empty();
        }
        if empty {
            meta.remove("finalizers");
        }
        let change = Change {
            key: key.clone(),
            expected: Some(entry.revision),
            object: definition,
            remove: empty,
        };
        match api.store.submit(change).await {
            Err(StoreError::Changed) => {}
            Err(error) => {
                tracing::warn!(name = %key.path, %error, "A definition could not be let go.");
                return;
            }
            Ok(_) => {
                api.reload();
                return;
            }
        }
    }
}
