//! Namespaces that are deleted: their objects go first, then they.
//!
//! The worker looks at a terminating Namespace whenever something in it changes. While objects wait
//! for finalizers the Namespace's conditions say so.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::change;
use crate::api::{Api, NAMESPACES};
use crate::error::ApiError;
use crate::objects::{self, meta_text};
use crate::rest::delete::{self, DeleteOptions, Propagation};
use crate::store::{Entry, Key, Scope};

/// How often work that met another write is tried before the next event about it.
const ATTEMPTS: u32 = 5;

/// Empties terminating Namespaces until the server stops.
pub(crate) async fn run(api: Arc<Api>) {
    while !api.stop.is_cancelled() {
        let mut everything = api.store.follow();
        let mut terminating = BTreeSet::new();
        for (resource, entry) in std::mem::take(&mut everything.objects) {
            if *resource == *NAMESPACES && is_terminating(&entry) {
                terminating.insert(entry.path.to_string());
            }
        }
        for name in terminating.clone() {
            empty(&api, &name).await;
        }
        loop {
            let event = tokio::select! {
                () = api.stop.cancelled() => return,
                event = everything.events.recv() => event,
            };
            // Without a channel there was too much to follow: begin again with what is there.
            let Some(event) = event else { break };
            let name = if *event.resource == *NAMESPACES {
                if event.removed || !is_terminating(&event.object) {
                    terminating.remove(&*event.object.path);
                    continue;
                }
                terminating.insert(event.object.path.to_string());
                event.object.path.to_string()
            } else {
                event.object.place().0.to_owned()
            };
            if terminating.contains(&name) {
                empty(&api, &name).await;
            }
        }
        tokio::task::yield_now().await;
    }
}

fn is_terminating(entry: &Entry) -> bool {
    !meta_text(&entry.value(), "deletionTimestamp").is_empty()
}

async fn empty(api: &Api, name: &str) {
    for _ in 0..ATTEMPTS {
        match empty_once(api, name).await {
            Ok(()) => return,
            Err(error) if matches!(error.code, 404 | 409) => {}
            Err(error) => {
                tracing::warn!(namespace = %name, %error, "A namespace could not be emptied.");
                return;
            }
        }
    }
}

/// What is left in a Namespace.
#[derive(Default)]
struct Left {
    /// Resources with the number of their objects.
    resources: Vec<(String, usize)>,
    /// Finalizers with the number of objects that have them.
    finalizers: Vec<(String, usize)>,
}

async fn empty_once(api: &Api, name: &str) -> Result<(), ApiError> {
    let left = delete_objects(api, name).await?;
    let key = Key {
        resource: NAMESPACES.into(),
        path: name.to_owned(),
    };
    let Some(entry) = api.store.get(&key) else {
        return Ok(());
    };
    let Some(kind) = api.served().stored_as(NAMESPACES).cloned() else {
        return Ok(());
    };
    let live = objects::served(&kind, &entry);
    if meta_text(&live, "deletionTimestamp").is_empty() {
        return Ok(());
    }
    let mut new = live.clone();
    if left.resources.is_empty() {
        let list = live.pointer("/spec/finalizers").and_then(Value::as_array);
        let others: Vec<Value> = list
            .into_iter()
            .flatten()
            .filter(|f| *f != "kubernetes")
            .cloned()
            .collect();
        new["spec"]["finalizers"] = others.into();
        return change(api, &kind, &entry, "finalize", new).await;
    }
    new["status"]["conditions"] = conditions(&left, &live, &api.timestamp());
    if new == live {
        return Ok(());
    }
    change(api, &kind, &entry, "status", new).await
}

/// Deletes what is in a Namespace; returns what waits.
async fn delete_objects(api: &Api, name: &str) -> Result<Left, ApiError> {
    let served = api.served();
    let scope = Scope {
        namespace: name.to_owned(),
        name: String::new(),
    };
    let options = DeleteOptions {
        propagation: Some(Propagation::Background),
        ..DeleteOptions::default()
    };
    let mut left = Left::default();
    for resource in api.store.resource_names() {
        let Some(kind) = served.stored_as(&resource).filter(|kind| kind.namespaced) else {
            continue;
        };
        for entry in api.store.list(&resource, &scope).entries {
            let value = entry.value();
            if meta_text(&value, "deletionTimestamp").is_empty() {
                match delete::delete(api, kind, name, entry.place().1, &options).await {
                    Err(error) if error.code != 404 => return Err(error),
                    _ => {}
                }
            }
        }
        let waiting = api.store.list(&resource, &scope).entries;
        if !waiting.is_empty() {
            left.resources.push((kind.resource_name(), waiting.len()));
        }
        for entry in waiting {
            let value = entry.value();
            let list = value
                .pointer("/metadata/finalizers")
                .and_then(Value::as_array);
            for finalizer in list.into_iter().flatten().filter_map(Value::as_str) {
                match left
                    .finalizers
                    .iter_mut()
                    .find(|(name, _)| name == finalizer)
                {
                    Some((_, count)) => *count += 1,
                    None => left.finalizers.push((finalizer.to_owned(), 1)),
                }
            }
        }
    }
    Ok(left)
}

fn conditions(left: &Left, live: &Value, now: &str) -> Value {
    let resources: Vec<String> = left
        .resources
        .iter()
        .map(|(resource, n)| format!("{resource} has {n} resource instances"))
        .collect();
    let finalizers: Vec<String> = left
        .finalizers
        .iter()
        .map(|(finalizer, n)| format!("{finalizer} in {n} resource instances"))
        .collect();
    let remain = format!("Some resources are remaining: {}", resources.join(", "));
    let held = format!(
        "Some content in the namespace has finalizers remaining: {}",
        finalizers.join(", ")
    );
    let is_held = !left.finalizers.is_empty();
    let rows = [
        (
            "NamespaceContentRemaining",
            true,
            "SomeResourcesRemain",
            remain.as_str(),
        ),
        (
            "NamespaceFinalizersRemaining",
            is_held,
            if is_held {
                "SomeFinalizersRemain"
            } else {
                "ContentHasNoFinalizers"
            },
            if is_held {
                held.as_str()
            } else {
                "All content-preserving finalizers finished"
            },
        ),
    ];
    let before = live.pointer("/status/conditions").and_then(Value::as_array);
    let row = |(kind, holds, reason, message): (&str, bool, &str, &str)| {
        let status = if holds { "True" } else { "False" };
        let old = before
            .into_iter()
            .flatten()
            .find(|c| c["type"] == kind && c["status"] == status);
        let since = old.map_or(json!(now), |c| c["lastTransitionTime"].clone());
        json!({
            "type": kind, "status": status, "lastTransitionTime": since,
            "reason": reason, "message": message,
        })
    };
    rows.map(row).to_vec().into()
}
