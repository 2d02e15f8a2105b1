//! What happens without a request: the first objects, and the background workers.
//!
//! Workers act through the same rules as clients. Each ends when the server stops; one that ends
//! early is logged.

mod events;
mod garbage;
mod namespaces;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::api::Api;
use crate::error::ApiError;
use crate::kinds::TypeInfo;
use crate::objects;
use crate::rest::write::{self, Writing};
use crate::store::{Change, Entry, Key, StoreError};

/// The field manager of the workers.
const MANAGER: &str = "kube-controller-manager";

/// The namespaces that are always there.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Makes the objects that every server has.
pub(crate) async fn bootstrap(api: &Arc<Api>) -> Result<(), StoreError> {
    let mut fresh = false;
    for name in NAMESPACES {
        let object = json!({
            "metadata": {
                "name": name, "uid": api.uuid(), "creationTimestamp": api.timestamp(),
                "labels": { "kubernetes.io/metadata.name": name },
            },
            "spec": { "finalizers": ["kubernetes"] },
            "status": { "phase": "Active" },
        });
        let key = Key {
            resource: crate::api::NAMESPACES.into(),
            path: name.to_owned(),
        };
        if api.store.get(&key).is_some() {
            continue;
        }
        api.store
            .submit(Change {
                key,
                expected: None,
                object,
                remove: false,
            })
            .await?;
        fresh = true;
    }
    if fresh {
        // Nobody has seen the empty server, so nobody resumes from there.
        api.store.forget_history();
    }
    Ok(())
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
