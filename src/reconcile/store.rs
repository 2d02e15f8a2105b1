//! The objects of one kind as last seen, from the watch and from the answers to our own writes.
//!
//! What comes in is kept when it is newer than what is there, and told as a [`Change`]; so a status
//! that was just written is seen by the next pass at once, and wakes others once. Never talks to a
//! server.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use kube::ResourceExt;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use tokio::sync::watch;

use super::{Key, Kind};

/// An object before and after a change; one of the two at least.
#[derive(Clone, Debug)]
pub struct Change<K> {
    /// The object's name.
    pub key: Key,
    /// Before; nothing when it is new.
    pub old: Option<Arc<K>>,
    /// After; nothing when it is gone.
    pub new: Option<Arc<K>>,
}

/// The objects of one kind as last seen.
#[derive(Debug)]
pub struct Store<K> {
    objects: RwLock<BTreeMap<Key, Seen<K>>>,
    /// Whether a first complete list is in.
    complete: watch::Sender<bool>,
}

#[derive(Debug, Clone)]
enum Seen<K> {
    Read(Arc<K>),
    /// It does not read as its kind, which an API server with another schema may allow.
    Unreadable(Arc<InvalidObject>),
}

impl<K> Seen<K> {
    fn object(&self) -> Option<&Arc<K>> {
        match self {
            Self::Read(object) => Some(object),
            Self::Unreadable(_) => None,
        }
    }
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self {
            objects: RwLock::default(),
            complete: watch::Sender::new(false),
        }
    }
}

impl<K: Kind> Store<K> {
    /// Returns an object by name.
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read().get(key)?.object().cloned()
    }

    /// Returns why an object does not read as its kind, if it does not.
    pub fn unreadable(&self, key: &Key) -> Option<Arc<InvalidObject>> {
        match self.read().get(key)? {
            Seen::Read(_) => None,
            Seen::Unreadable(error) => Some(error.clone()),
        }
    }

    /// Returns the objects of a namespace in the order of their names.
    pub fn of_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let objects = self.read();
        let from = Key::new(namespace, "");
        let of_namespace = objects
            .range(from..)
            .take_while(|(key, _)| key.namespace == namespace);
        of_namespace
            .filter_map(|(_, seen)| seen.object().cloned())
            .collect()
    }

    /// Returns all objects for which `wanted` holds.
    pub fn filter(&self, wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        let objects = self.read();
        let objects = objects.values().filter_map(Seen::object);
        objects.filter(|object| wanted(object)).cloned().collect()
    }

    /// Waits for the first complete list.
    pub async fn completed(&self) {
        let mut complete = self.complete.subscribe();
        // The sender lives as long as the store, which the caller holds.
        let _ = complete.wait_for(|complete| *complete).await;
    }

    /// Keeps the answer to a write when the object is still there and older; returns what changed.
    pub fn update(&self, object: DeserializeGuard<K>) -> Option<Change<K>> {
        // An answer may come in after the watch has told that the object is gone.
        let is_known = self.read().contains_key(&Key::of(&object));
        is_known.then(|| self.put(object)).flatten()
    }

    /// Keeps an object when it is newer than what is there; returns what changed.
    pub fn put(&self, object: DeserializeGuard<K>) -> Option<Change<K>> {
        let key = Key::of(&object);
        let version = object.resource_version();
        let new = match object.0 {
            Ok(mut object) => {
                // Nobody reads it, and it is often the larger half of an object.
                object.meta_mut().managed_fields = None;
                Seen::Read(Arc::new(object))
            }
            Err(error) => Seen::Unreadable(Arc::new(error)),
        };
        let mut objects = self.write();
        let old = objects.get(&key).cloned();
        if let Some(old) = &old
            && !is_newer(version.as_deref(), old)
        {
            return None;
        }
        objects.insert(key.clone(), new.clone());
        Some(Change {
            key,
            old: old.and_then(|old| old.object().cloned()),
            new: new.object().cloned(),
        })
    }

    /// Removes an object; returns what changed.
    pub fn remove(&self, key: &Key) -> Option<Change<K>> {
        let old = self.write().remove(key)?;
        Some(Change {
            key: key.clone(),
            old: old.object().cloned(),
            new: None,
        })
    }

    /// Takes in a complete list: objects that are not in it are gone. Returns all changes.
    pub fn replace(&self, objects: Vec<DeserializeGuard<K>>) -> Vec<Change<K>> {
        let listed: std::collections::BTreeSet<Key> = objects.iter().map(Key::of).collect();
        let gone: Vec<Key> = {
            let known = self.read();
            known
                .keys()
                .filter(|key| !listed.contains(*key))
                .cloned()
                .collect()
        };
        let mut changes: Vec<_> = gone.iter().filter_map(|key| self.remove(key)).collect();
        changes.extend(objects.into_iter().filter_map(|object| self.put(object)));
        self.complete.send_replace(true);
        changes
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<Key, Seen<K>>> {
        self.objects
            .read()
            .expect("because no holder of the lock panics")
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<Key, Seen<K>>> {
        self.objects
            .write()
            .expect("because no holder of the lock panics")
    }
}

/// Returns whether a version is newer than what is there. Kubernetes promises that the versions of one
/// kind can be compared as numbers; should one not be a number, what comes in counts as newer.
fn is_newer<K: Kind>(version: Option<&str>, old: &Seen<K>) -> bool {
    let old = match old {
        Seen::Read(old) => old.meta().resource_version.as_deref(),
        Seen::Unreadable(old) => old.metadata.resource_version.as_deref(),
    };
    let number = |version: Option<&str>| version.and_then(|version| version.parse::<u64>().ok());
    match (number(version), number(old)) {
        (Some(version), Some(old)) => version > old,
        _ => true,
    }
}
