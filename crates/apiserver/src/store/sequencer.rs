//! The one writer: orders changes, checks them, has each batch kept, then shows it.
//!
//! Changes that arrive while a batch is being written form the next one, so one flush of the disk
//! serves many writers. A writer hears of its change only after it is kept.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

use super::backend::{Backend, BackendError};
use super::state::{Everything, Scope, Snapshot, State, Subscription, TooOld};
use super::{BATCH_CHANGES_MAX, Change, Entry, Event, Key, OBJECT_BYTES_MAX, StoreError};
use crate::clock::Clock;

type Reply = oneshot::Sender<Result<Arc<Entry>, StoreError>>;

/// The store. Reads are immediate; changes go through one thread.
#[derive(Debug)]
pub struct Store {
    state: Arc<RwLock<State>>,
    changes: Mutex<Option<Sender<(Change, Reply)>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    revisions: watch::Receiver<u64>,
}

struct Sequencer {
    state: Arc<RwLock<State>>,
    backend: Box<dyn Backend>,
    clock: Arc<dyn Clock>,
    revisions: watch::Sender<u64>,
}

impl Store {
    /// Opens the store over a backend; fails when what it kept cannot be read.
    pub fn open(
        mut backend: Box<dyn Backend>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BackendError> {
        let mut state = State::default();
        state.load(backend.load()?);
        let (revision_sender, revisions) = watch::channel(state.revision);
        let state = Arc::new(RwLock::new(state));
        let (sender, receiver) = channel();
        let sequencer = Sequencer {
            state: state.clone(),
            backend,
            clock,
            revisions: revision_sender,
        };
        let thread = std::thread::Builder::new()
            .name("apiserver-store".to_owned())
            .spawn(move || sequencer.run(&receiver))
            .map_err(|source| BackendError::Io {
                act: "start the writer of",
                path: "the store".to_owned(),
                source,
            })?;
        Ok(Self {
            state,
            changes: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            revisions,
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the newest revision.
    pub fn revision(&self) -> u64 {
        self.read().revision
    }

    /// Returns an object.
    pub fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.read().get(key).cloned()
    }

    /// Returns the newest objects of a resource.
    pub fn list(&self, resource: &str, scope: &Scope) -> Snapshot {
        self.read().list(resource, scope)
    }

    /// Returns the objects of a resource as they were at a revision.
    pub fn list_at(&self, resource: &str, scope: &Scope, at: u64) -> Result<Snapshot, TooOld> {
        self.read().list_at(resource, scope, at)
    }

    /// Returns the resources that have objects.
    pub fn resource_names(&self) -> Vec<Arc<str>> {
        self.read().resource_names()
    }

    /// Begins a watch after a revision, or with the present objects when it is absent.
    pub fn watch(
        &self,
        resource: &Arc<str>,
        scope: Scope,
        from: Option<u64>,
    ) -> Result<Subscription, TooOld> {
        self.write().watch(resource, scope, from)
    }

    /// Returns every object and every change to come.
    pub fn follow(&self) -> Everything {
        self.write().follow()
    }

    /// Waits until the store has reached a revision.
    pub async fn reached(&self, revision: u64) {
        let mut revisions = self.revisions.clone();
        // The sender lives as long as the writer; after that nothing more will come.
        let _ = revisions.wait_for(|now| *now >= revision).await;
    }

    /// Forgets the past: watches can begin from now on only.
    pub fn forget_history(&self) {
        let mut state = self.write();
        let revision = state.revision;
        state.trim(revision);
    }

    /// Ends the watches of a resource that is no longer served.
    pub fn end_watches(&self, resource: &str) {
        self.write().end_watches(resource);
    }

    /// Makes a change; returns what is now stored, or the last state of what is gone.
    pub async fn submit(&self, change: Change) -> Result<Arc<Entry>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let sent = match &*self.changes.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(sender) => sender.send((change, reply)).is_ok(),
            None => false,
        };
        if !sent {
            return Err(StoreError::Closed);
        }
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Ends all watches, lets the queued changes finish and stops the writer.
    pub fn close(&self) {
        self.write().close();
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("The store's writer ended by a panic.");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl Sequencer {
    fn run(mut self, changes: &Receiver<(Change, Reply)>) {
        while let Ok(first) = changes.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH_CHANGES_MAX
                && let Ok(next) = changes.try_recv()
            {
                batch.push(next);
            }
            self.commit(batch);
        }
    }

    fn commit(&mut self, batch: Vec<(Change, Reply)>) {
        let now = self.clock.now();
        let mut staged: HashMap<Key, Option<Arc<Entry>>> = HashMap::new();
        let mut events = Vec::with_capacity(batch.len());
        let mut replies = Vec::with_capacity(batch.len());
        let (mut revision, floor) = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            for (change, _) in &batch {
                if !staged.contains_key(&change.key) {
                    staged.insert(change.key.clone(), state.get(&change.key).cloned());
                }
            }
            (state.revision, state.floor_at(now))
        };
        for (change, reply) in batch {
            let current = staged.get(&change.key).and_then(Option::as_ref);
            match stage(change, current, revision + 1, now) {
                Err(error) => replies.push((reply, Err(error))),
                Ok((key, event)) => {
                    revision += 1;
                    staged.insert(key, (!event.removed).then(|| event.object.clone()));
                    replies.push((reply, Ok(event.object.clone())));
                    events.push(Arc::new(event));
                }
            }
        }
        if let Err(error) = self.keep(events, floor) {
            for (_, answer) in &mut replies {
                if answer.is_ok() {
                    *answer = Err(StoreError::Backend(error.to_string()));
                }
            }
        }
        for (reply, answer) in replies {
            // A writer that no longer waits has given up its request; the change stands.
            let _ = reply.send(answer);
        }
    }

    fn keep(&mut self, events: Vec<Arc<Event>>, floor: u64) -> Result<(), BackendError> {
        if events.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.backend.append(&events, floor) {
            tracing::error!(%error, "The store could not be written.");
            return Err(error);
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            state.apply(event);
        }
        state.trim(floor);
        self.revisions.send_replace(state.revision);
        Ok(())
    }
}

/// Checks a change against what is there and returns it as an event.
fn stage(
    change: Change,
    current: Option<&Arc<Entry>>,
    revision: u64,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<(Key, Event), StoreError> {
    match (change.expected, current) {
        (None, Some(_)) => return Err(StoreError::Exists),
        (Some(_), None) => return Err(StoreError::Missing),
        (Some(expected), Some(entry)) if expected != entry.revision => {
            return Err(StoreError::Changed);
        }
        _ => {}
    }
    let entry = Entry::of(&change.key.path, revision, change.object);
    if entry.body.len() > OBJECT_BYTES_MAX {
        return Err(StoreError::TooLarge(entry.body.len()));
    }
    let event = Event {
        revision,
        at,
        resource: change.key.resource.clone(),
        previous: current.cloned(),
        object: Arc::new(entry),
        removed: change.remove,
    };
    Ok((change.key, event))
}
