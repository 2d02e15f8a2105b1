//! What happens without a request: the first objects, and the background workers.
//!
//! Workers act through the same rules as clients. Each ends when the server stops; one that ends
//! early is logged.

mod events;
mod garbage;
mod namespaces;
mod roles;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::api::{Api, DEFINITIONS};
use crate::error::ApiError;
use crate::kinds::TypeInfo;
use crate::objects;
use crate::rest::definitions;
use crate::rest::write::{self, Writing};
use crate::store::{Change, Entry, Key, Scope, StoreError};

/// The field manager of the workers.
const MANAGER: &str = "kube-controller-manager";

/// The namespaces that are always there.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Makes the objects that every server has and takes up what a stop interrupted.
pub(crate) async fn bootstrap(api: &Arc<Api>) -> Result<(), StoreError> {
    let fresh = api.store.revision() == 0;
    for name in NAMESPACES {
        let object = json!({
            "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
            "spec": { "finalizers": ["kubernetes"] },
            "status": { "phase": "Active" },
        });
        make(api, crate::api::NAMESPACES, object).await?;
    }
    if fresh {
        for (resource, object) in roles::first() {
            make(api, resource, object).await?;
        }
        // Nobody has seen the empty server, so nobody resumes from there.
        api.store.forget_history();
    }
    if let Some(kind) = api.served().stored_as(DEFINITIONS).cloned() {
        for entry in api.store.list(DEFINITIONS, &Scope::default()).entries {
            definitions::establish(api, &kind, &entry.path).await;
            definitions::clean_up(api, &entry.path).await;
        }
    }
    Ok(())
}

/// Makes a cluster-scoped object unless it is there.
async fn make(api: &Api, resource: &str, mut object: Value) -> Result<(), StoreError> {
    let path = objects::meta_text(&object, "name").to_owned();
    let key = Key {
        resource: resource.into(),
        path,
    };
    if api.store.get(&key).is_some() {
        return Ok(());
    }
    let meta = objects::meta_mut(&mut object);
    meta.insert("uid".to_owned(), api.uuid().into());
    meta.insert("creationTimestamp".to_owned(), api.timestamp().into());
    let change = Change {
        key,
        expected: None,
        object,
        remove: false,
    };
    api.store.submit(change).await.map(drop)
}

/// Starts the background workers; they end when the server stops.
pub(crate) fn start(api: &Arc<Api>) {
    watch_over(
        "garbage collection",
        tokio::spawn(garbage::run(api.clone())),
    );
    watch_over("namespaces", tokio::spawn(namespaces::run(api.clone())));
    watch_over("expiry of events", tokio::spawn(events::run(api.clone())));
}

/// Logs a worker that ends by a panic; the others and the requests go on.
fn watch_over(name: &'static str, worker: JoinHandle<()>) {
    tokio::spawn(async move {
        if let Err(error) = worker.await {
            tracing::error!(worker = name, %error, "A background worker ended.");
        }
    });
}

/// Changes an object as a worker: by the rules of a patch, as its own field manager.
async fn change(
    api: &Api,
    kind: &Arc<TypeInfo>,
    entry: &Entry,
    subresource: &str,
    new: Value,
) -> Result<(), ApiError> {
    let (namespace, name) = entry.place();
    let writing = Writing {
        kind: kind.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
        manager: MANAGER.to_owned(),
        dry_run: false,
        applied: false,
        patched: true,
    };
    let live = objects::served(kind, entry);
    write::update(api, &writing, entry, &live, new)
        .await
        .map(drop)
}
