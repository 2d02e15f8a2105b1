//! Garbage collection: dependents go after, before or without their owners.
//!
//! The worker keeps an index from an owner's uid to its dependents, made at the start and kept up by
//! every change. An object all of whose owners are gone is deleted. An owner that waits for its
//! dependents loses its finalizer when they are gone, one that orphans them when they forgot it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::change;
use crate::api::Api;
use crate::error::ApiError;
use crate::kinds::TypeInfo;
use crate::objects::{self, meta_mut, meta_text};
use crate::rest::delete::{self, DeleteOptions, FOREGROUND, ORPHAN, Propagation};
use crate::store::{Entry, Event, Key};

/// How often work that met another write is tried before the next event about it.
const ATTEMPTS: u32 = 5;

/// Collects garbage until the server stops.
pub(crate) async fn run(api: Arc<Api>) {
    while !api.stop.is_cancelled() {
        let mut everything = api.store.follow();
        let mut graph = Graph {
            revision: everything.revision,
            ..Graph::default()
        };
        let mut queue = VecDeque::new();
        for (resource, entry) in std::mem::take(&mut everything.objects) {
            let key = Key {
                resource,
                path: entry.path.to_string(),
            };
            graph.learn(&key, &entry);
            queue.push_back(key);
        }
        loop {
            while let Some(key) = queue.pop_front() {
                work(&api, &graph, &key, &mut queue).await;
            }
            let event = tokio::select! {
                () = api.stop.cancelled() => return,
                event = everything.events.recv() => event,
            };
            // Without a channel there was too much to follow: begin again with what is there.
            let Some(event) = event else { break };
            graph.take(&event, &mut queue);
        }
        tokio::task::yield_now().await;
    }
}

/// One reference from a dependent to an owner.
#[derive(Debug, Clone)]
struct Owner {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
    blocks: bool,
}

/// Who depends on whom.
#[derive(Default)]
struct Graph {
    /// The last change that the graph knows.
    revision: u64,
    dependents: HashMap<String, BTreeSet<Key>>,
    owners: HashMap<Key, Vec<Owner>>,
    /// Owners that wait for their dependents, by uid.
    waiting: HashMap<String, Key>,
}

fn mentions(entry: &Entry, word: &str) -> bool {
    // Stored bodies are JSON, which is UTF-8.
    std::str::from_utf8(&entry.body).is_ok_and(|body| body.contains(word))
}

fn owners_of(entry: &Entry) -> Vec<Owner> {
    if !mentions(entry, "\"ownerReferences\"") {
        return Vec::new();
    }
    let value = entry.value();
    let list = value
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    let text = |owner: &Value, field: &str| owner[field].as_str().unwrap_or_default().to_owned();
    list.into_iter()
        .flatten()
        .map(|owner| Owner {
            api_version: text(owner, "apiVersion"),
            kind: text(owner, "kind"),
            name: text(owner, "name"),
            uid: text(owner, "uid"),
            blocks: owner["blockOwnerDeletion"] == true,
        })
        .collect()
}

impl Graph {
    fn learn(&mut self, key: &Key, entry: &Entry) {
        let owners = owners_of(entry);
        self.forget(key);
        for owner in &owners {
            self.dependents
                .entry(owner.uid.clone())
                .or_default()
                .insert(key.clone());
        }
        if !owners.is_empty() {
            self.owners.insert(key.clone(), owners);
        }
        if mentions(entry, "\"deletionTimestamp\"") && mentions(entry, "\"foregroundDeletion\"") {
            let uid = meta_text(&entry.value(), "uid").to_owned();
            self.waiting.insert(uid, key.clone());
        }
    }

    fn forget(&mut self, key: &Key) {
        for owner in self.owners.remove(key).unwrap_or_default() {
            if let Some(set) = self.dependents.get_mut(&owner.uid) {
                set.remove(key);
                if set.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
    }

    fn of(&self, uid: &str) -> Vec<Key> {
        self.dependents
            .get(uid)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    fn take(&mut self, event: &Event, queue: &mut VecDeque<Key>) {
        self.revision = event.revision;
        let key = Key {
            resource: event.resource.clone(),
            path: event.object.path.to_string(),
        };
        // The owners of before wait for this object, if they wait.
        for owner in self.owners.get(&key).into_iter().flatten() {
            queue.extend(self.waiting.get(&owner.uid).cloned());
        }
        if !event.removed {
            self.learn(&key, &event.object);
            queue.push_back(key);
            return;
        }
        self.forget(&key);
        if !self.dependents.is_empty() || !self.waiting.is_empty() {
            let value = event.object.value();
            let uid = meta_text(&value, "uid");
            self.waiting.remove(uid);
            queue.extend(self.of(uid));
        }
    }
}

async fn work(api: &Api, graph: &Graph, key: &Key, queue: &mut VecDeque<Key>) {
    for _ in 0..ATTEMPTS {
        match work_once(api, graph, key, queue).await {
            Ok(()) => return,
            Err(error) if error.code == 404 => return,
            Err(error) if error.code == 409 => {}
            Err(error) => {
                tracing::warn!(resource = %key.resource, path = %key.path, %error, "Garbage collection met an error.");
                return;
            }
        }
    }
}

async fn work_once(
    api: &Api,
    graph: &Graph,
    key: &Key,
    queue: &mut VecDeque<Key>,
) -> Result<(), ApiError> {
    let Some(entry) = api.store.get(key) else {
        return Ok(());
    };
    let Some(kind) = api.served().stored_as(&key.resource).cloned() else {
        return Ok(());
    };
    if entry.revision > graph.revision {
        // The graph may not know its dependents yet. The change that wrote it will come by.
        return Ok(());
    }
    let terminating = mentions(&entry, "\"deletionTimestamp\"");
    if terminating && mentions(&entry, "\"foregroundDeletion\"") {
        return foreground(api, graph, &kind, &entry, queue).await;
    }
    if terminating && mentions(&entry, "\"orphan\"") {
        return orphan(api, graph, &kind, &entry).await;
    }
    let owners = graph.owners.get(key);
    match owners {
        Some(owners) if !terminating => dependent(api, &kind, &entry, owners).await,
        _ => Ok(()),
    }
}

/// What is known about an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnerState {
    There,
    /// It waits for its dependents to go.
    Waiting,
    Gone,
    /// Its kind is not served; nothing is concluded from that.
    Unknown,
}

fn owner_state(api: &Api, owner: &Owner, namespace: &str) -> OwnerState {
    let served = api.served();
    let Some(kind) = served.find_kind(&owner.api_version, &owner.kind) else {
        return OwnerState::Unknown;
    };
    if kind.namespaced && namespace.is_empty() {
        return OwnerState::Unknown;
    }
    let namespace = if kind.namespaced { namespace } else { "" };
    let key = Key::new(objects::resource(kind), namespace, &owner.name);
    let Some(entry) = api.store.get(&key) else {
        return OwnerState::Gone;
    };
    let value = entry.value();
    if meta_text(&value, "uid") != owner.uid {
        return OwnerState::Gone;
    }
    let waits =
        !meta_text(&value, "deletionTimestamp").is_empty() && has_finalizer(&value, FOREGROUND);
    if waits {
        OwnerState::Waiting
    } else {
        OwnerState::There
    }
}

fn has_finalizer(value: &Value, name: &str) -> bool {
    let list = value
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|f| f == name))
}

/// Deletes an object all of whose owners are gone, or forgets those that are.
async fn dependent(
    api: &Api,
    kind: &Arc<TypeInfo>,
    entry: &Entry,
    owners: &[Owner],
) -> Result<(), ApiError> {
    let (namespace, name) = entry.place();
    let states: Vec<OwnerState> = owners
        .iter()
        .map(|o| owner_state(api, o, namespace))
        .collect();
    if states.contains(&OwnerState::Unknown) {
        return Ok(());
    }
    let ends = |state: &OwnerState| matches!(state, OwnerState::Gone | OwnerState::Waiting);
    if !states.iter().any(ends) {
        return Ok(());
    }
    if states.contains(&OwnerState::There) {
        let dead: Vec<&str> = owners
            .iter()
            .zip(&states)
            .filter(|(_, state)| ends(state))
            .map(|(owner, _)| owner.uid.as_str())
            .collect();
        return change(
            api,
            kind,
            entry,
            "",
            without_owners(&objects::served(kind, entry), &dead),
        )
        .await;
    }
    let value = entry.value();
    let propagation = if has_finalizer(&value, ORPHAN) {
        Propagation::Orphan
    } else if has_finalizer(&value, FOREGROUND) || states.contains(&OwnerState::Waiting) {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    let options = DeleteOptions {
        propagation: Some(propagation),
        uid: Some(meta_text(&value, "uid").to_owned()),
        revision: Some(entry.revision.to_string()),
        ..DeleteOptions::default()
    };
    delete::delete(api, kind, namespace, name, &options)
        .await
        .map(drop)
}

fn without_owners(value: &Value, uids: &[&str]) -> Value {
    let mut new = value.clone();
    let meta = meta_mut(&mut new);
    let mut left = 0;
    if let Some(list) = meta
        .get_mut("ownerReferences")
        .and_then(Value::as_array_mut)
    {
        list.retain(|o| !uids.contains(&o["uid"].as_str().unwrap_or_default()));
        left = list.len();
    }
    if left == 0 {
        meta.remove("ownerReferences");
    }
    new
}

fn without_finalizer(value: &Value, name: &str) -> Value {
    let mut new = value.clone();
    let meta = meta_mut(&mut new);
    let mut left = json!([]);
    if let Some(list) = meta.get("finalizers").and_then(Value::as_array) {
        left = list.iter().filter(|f| *f != name).cloned().collect();
    }
    if left.as_array().is_some_and(Vec::is_empty) {
        meta.remove("finalizers");
    } else {
        meta.insert("finalizers".to_owned(), left);
    }
    new
}

/// Lets an owner go once none of the dependents that block it is left.
async fn foreground(
    api: &Api,
    graph: &Graph,
    kind: &Arc<TypeInfo>,
    entry: &Entry,
    queue: &mut VecDeque<Key>,
) -> Result<(), ApiError> {
    let value = objects::served(kind, entry);
    let uid = meta_text(&value, "uid");
    let mut blocked = false;
    for key in graph.of(uid) {
        let blocks = graph
            .owners
            .get(&key)
            .into_iter()
            .flatten()
            .any(|o| o.uid == uid && o.blocks);
        if let Some(dependent) = api.store.get(&key) {
            blocked |= blocks;
            if !mentions(&dependent, "\"deletionTimestamp\"") {
                queue.push_back(key);
            }
        }
    }
    if blocked {
        return Ok(());
    }
    change(api, kind, entry, "", without_finalizer(&value, FOREGROUND)).await
}

/// Has all dependents forget an owner, then lets it go.
async fn orphan(
    api: &Api,
    graph: &Graph,
    kind: &Arc<TypeInfo>,
    entry: &Entry,
) -> Result<(), ApiError> {
    let value = objects::served(kind, entry);
    let uid = meta_text(&value, "uid").to_owned();
    for key in graph.of(&uid) {
        let Some(dependent) = api.store.get(&key) else {
            continue;
        };
        let Some(kind) = api.served().stored_as(&key.resource).cloned() else {
            continue;
        };
        let new = without_owners(&objects::served(&kind, &dependent), &[&uid]);
        change(api, &kind, &dependent, "", new).await?;
    }
    change(api, kind, entry, "", without_finalizer(&value, ORPHAN)).await
}
