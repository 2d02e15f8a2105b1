//! The store: every object as bytes, one revision counter for all, a window of past changes.
//!
//! Changes come in with what the writer believes to be there; one sequencer orders them, gives each
//! a revision, writes a batch at a time to the backend and only then shows them to readers and
//! watchers. Objects are kept without `apiVersion` and `kind`: the row they are read by gives both.
//! Nothing here knows a schema.

mod backend;
mod memory;
mod redb;
mod sequencer;
mod state;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;

pub use backend::{Backend, BackendError, Loaded};
pub use memory::MemoryBackend;
pub use redb::RedbBackend;
pub use sequencer::Store;
pub use state::{Everything, Scope, Snapshot, Subscription, TooOld};

/// The largest object that is stored.
pub const OBJECT_BYTES_MAX: usize = 1_572_864;
/// The fewest past changes kept, however old they are.
pub const HISTORY_EVENTS_MIN: usize = 1_000;
/// The most past changes kept.
pub const HISTORY_EVENTS_MAX: usize = 100_000;
/// The most bytes of past objects kept.
pub const HISTORY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Past changes younger than this are kept within the two limits above.
pub const HISTORY_SECONDS_MIN: i64 = 300;
/// How many changes may wait for one watcher before its stream is ended.
pub const WATCH_BUFFER_EVENTS: usize = 1_024;
/// How many changes may wait for one follower of everything before it has to begin again.
pub const FOLLOWER_BUFFER_EVENTS: usize = 65_536;
/// How many changes one batch writes at most.
pub const BATCH_CHANGES_MAX: usize = 512;

/// Where an object is: `group/plural` and `namespace/name`, or the name alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// `group/plural`; the group is empty for core.
    pub resource: Arc<str>,
    /// `namespace/name`, or the name of a cluster-scoped object.
    pub path: String,
}

/// One stored object at one revision.
#[derive(Debug)]
pub struct Entry {
    /// `namespace/name`, or the name alone.
    pub path: Box<str>,
    /// The revision that wrote it.
    pub revision: u64,
    /// The JSON object without `apiVersion` and `kind`.
    pub body: Bytes,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// The text in which a reader last showed it, and for what; the store does not look at it.
    pub shown: OnceLock<(Arc<dyn Any + Send + Sync>, Bytes)>,
}

/// One change that happened.
#[derive(Debug)]
pub struct Event {
    /// Its revision.
    pub revision: u64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// `group/plural`.
    pub resource: Arc<str>,
    /// The object before; absent when it was created.
    pub previous: Option<Arc<Entry>>,
    /// The object after; for a removal the last state, with the revision of the removal.
    pub object: Arc<Entry>,
    /// Whether the object is gone.
    pub removed: bool,
}

/// One change that is asked for.
#[derive(Debug)]
pub struct Change {
    /// Where.
    pub key: Key,
    /// The revision that must be there now; absent where there must be nothing.
    pub expected: Option<u64>,
    /// The new object, or the last state of one that goes; without `apiVersion` and `kind`.
    pub object: Value,
    /// Whether the object goes.
    pub remove: bool,
}

/// Why a change was not made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is an object where there was to be none.
    #[error("the object exists")]
    Exists,
    /// There is no object where there was to be one.
    #[error("the object is not there")]
    Missing,
    /// The object has another revision.
    #[error("the object has been modified")]
    Changed,
    /// The object is too large.
    #[error("the object has {0} bytes, more than {OBJECT_BYTES_MAX}")]
    TooLarge(usize),
    /// The backend could not write.
    #[error("write the store: {0}")]
    Backend(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl Key {
    /// Returns the key of an object; `namespace` is empty for cluster-scoped ones.
    pub fn new(resource: Arc<str>, namespace: &str, name: &str) -> Self {
        let path = if namespace.is_empty() {
            name.to_owned()
        } else {
            format!("{namespace}/{name}")
        };
        Self { resource, path }
    }
}

impl Entry {
    /// Returns the entry of an object; sets its `metadata.resourceVersion`.
    pub fn of(path: &str, revision: u64, mut object: Value) -> Self {
        if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.insert(
                "resourceVersion".to_owned(),
                Value::String(revision.to_string()),
            );
        }
        let body = serde_json::to_vec(&object).expect("because a JSON value always has a text");
        Self {
            path: path.into(),
            revision,
            body: body.into(),
            labels: labels_of(&object),
            shown: OnceLock::new(),
        }
    }

    /// Returns the entry of stored bytes; fails when they are not JSON.
    pub fn stored(path: &str, revision: u64, body: Bytes) -> Result<Self, serde_json::Error> {
        #[derive(serde::Deserialize)]
        struct Outer {
            metadata: Option<Meta>,
        }
        #[derive(serde::Deserialize)]
        struct Meta {
            labels: Option<BTreeMap<String, String>>,
        }
        let outer: Outer = serde_json::from_slice(&body)?;
        let labels = outer.metadata.and_then(|m| m.labels).unwrap_or_default();
        Ok(Self {
            path: path.into(),
            revision,
            body,
            labels,
            shown: OnceLock::new(),
        })
    }

    /// Returns the object.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).expect("because only JSON is stored")
    }

    /// Returns the namespace (empty for cluster-scoped objects) and the name.
    pub fn place(&self) -> (&str, &str) {
        self.path.split_once('/').unwrap_or(("", &self.path))
    }
}

fn labels_of(object: &Value) -> BTreeMap<String, String> {
    let Some(labels) = object
        .pointer("/metadata/labels")
        .and_then(Value::as_object)
    else {
        return BTreeMap::new();
    };
    let text = |(k, v): (&String, &Value)| Some((k.clone(), v.as_str()?.to_owned()));
    labels.iter().filter_map(text).collect()
}
