//! What happens without a request: the first objects, and the background workers.

use std::sync::Arc;

use serde_json::json;

use crate::api::Api;
use crate::objects;
use crate::store::{Change, Key, StoreError};

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
    let _ = objects::meta_text;
    Ok(())
}

/// Starts the background workers; they end when the server stops.
pub(crate) fn start(_api: &Arc<Api>) {}
