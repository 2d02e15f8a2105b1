//! What readers see: the newest objects, the window of past changes, and who is watching.
//!
//! The sequencer is the only writer. Objects are shared; a reader holds the lock only while it
//! gathers pointers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;

use super::{
    Entry, Event, FOLLOWER_BUFFER_EVENTS, HISTORY_BYTES_MAX, HISTORY_EVENTS_MAX,
    HISTORY_EVENTS_MIN, HISTORY_SECONDS_MIN, Key, WATCH_BUFFER_EVENTS,
};

/// Which objects of a resource are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// One namespace; empty for all, and for cluster-scoped objects.
    pub namespace: String,
    /// One name; empty for all.
    pub name: String,
}

/// Objects at one revision, in order of their paths.
#[derive(Debug)]
pub struct Snapshot {
    /// The revision.
    pub revision: u64,
    /// The objects.
    pub entries: Vec<Arc<Entry>>,
}

/// The revision is below the window of past changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOld {
    /// The oldest revision that can still be asked for.
    pub oldest: u64,
}

/// A watch that has begun.
#[derive(Debug)]
pub struct Subscription {
    /// The revision at which it begins; `events` come after it.
    pub revision: u64,
    /// The objects at that revision, when asked for.
    pub initial: Vec<Arc<Entry>>,
    /// The changes that had already happened.
    pub backlog: Vec<Arc<Event>>,
    /// The changes to come; it ends when the watcher is too slow or the resource is gone.
    pub events: mpsc::Receiver<Arc<Event>>,
}

/// Every object and every change to come.
#[derive(Debug)]
pub struct Everything {
    /// The revision at which the objects were taken; the changes come after it.
    pub revision: u64,
    /// The objects, with their resources.
    pub objects: Vec<(Arc<str>, Arc<Entry>)>,
    /// The changes; it ends when the follower is too slow or the store is closed.
    pub events: mpsc::Receiver<Arc<Event>>,
}

#[derive(Debug)]
struct Watcher {
    scope: Scope,
    sender: mpsc::Sender<Arc<Event>>,
}

/// Everything readers see.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) revision: u64,
    pub(super) floor: u64,
    resources: HashMap<Arc<str>, BTreeMap<Box<str>, Arc<Entry>>>,
    history: VecDeque<Arc<Event>>,
    history_bytes: usize,
    watchers: HashMap<Arc<str>, Vec<Watcher>>,
    followers: Vec<mpsc::Sender<Arc<Event>>>,
    closed: bool,
}

impl Scope {
    fn holds(&self, entry: &Entry) -> bool {
        let (namespace, name) = entry.place();
        (self.namespace.is_empty() || self.namespace == namespace)
            && (self.name.is_empty() || self.name == name)
    }
}

impl State {
    pub(super) fn load(&mut self, loaded: super::Loaded) {
        self.revision = loaded.revision;
        self.floor = loaded.floor;
        for (resource, entry) in loaded.objects {
            self.resources
                .entry(resource)
                .or_default()
                .insert(entry.path.clone(), entry);
        }
        for event in loaded.history {
            self.history_bytes += weight(&event);
            self.history.push_back(event);
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Entry>> {
        self.resources.get(&key.resource)?.get(key.path.as_str())
    }

    pub(super) fn resource_names(&self) -> Vec<Arc<str>> {
        let full = self
            .resources
            .iter()
            .filter(|(_, objects)| !objects.is_empty());
        full.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn list(&self, resource: &str, scope: &Scope) -> Snapshot {
        let entries = match self.resources.get(resource) {
            Some(objects) => select(objects, scope),
            None => Vec::new(),
        };
        Snapshot {
            revision: self.revision,
            entries,
        }
    }

    /// Returns the objects as they were right after `revision`, by taking the newest ones and
    /// undoing the later changes.
    pub(super) fn list_at(
        &self,
        resource: &str,
        scope: &Scope,
        revision: u64,
    ) -> Result<Snapshot, TooOld> {
        self.check(revision)?;
        let mut past: BTreeMap<Box<str>, Arc<Entry>> = BTreeMap::new();
        for entry in self.list(resource, scope).entries {
            past.insert(entry.path.clone(), entry);
        }
        for event in self
            .history
            .iter()
            .rev()
            .take_while(|e| e.revision > revision)
        {
            if &*event.resource != resource || !scope.holds(&event.object) {
                continue;
            }
            match &event.previous {
                Some(previous) => past.insert(previous.path.clone(), previous.clone()),
                None => past.remove(&event.object.path),
            };
        }
        Ok(Snapshot {
            revision,
            entries: past.into_values().collect(),
        })
    }

    fn check(&self, revision: u64) -> Result<(), TooOld> {
        if revision < self.floor {
            Err(TooOld { oldest: self.floor })
        } else {
            Ok(())
        }
    }

    /// Begins a watch after `from`, or with the present objects when it is absent.
    pub(super) fn watch(
        &mut self,
        resource: &Arc<str>,
        scope: Scope,
        from: Option<u64>,
    ) -> Result<Subscription, TooOld> {
        let (sender, events) = mpsc::channel(WATCH_BUFFER_EVENTS);
        let mut subscription = Subscription {
            revision: self.revision,
            initial: vec![],
            backlog: vec![],
            events,
        };
        match from {
            None => subscription.initial = self.list(resource, &scope).entries,
            Some(revision) => {
                self.check(revision)?;
                subscription.revision = revision;
                let start = self.history.partition_point(|e| e.revision <= revision);
                let later = self.history.range(start..);
                let mine = later.filter(|e| e.resource == *resource && scope.holds(&e.object));
                subscription.backlog = mine.cloned().collect();
            }
        }
        if !self.closed {
            let list = self.watchers.entry(resource.clone()).or_default();
            list.retain(|w| !w.sender.is_closed());
            list.push(Watcher { scope, sender });
        }
        Ok(subscription)
    }

    /// Returns every change from now on, and the objects that are there, with their resources.
    pub(super) fn follow(&mut self) -> Everything {
        let (sender, events) = mpsc::channel(FOLLOWER_BUFFER_EVENTS);
        if !self.closed {
            self.followers.push(sender);
        }
        let objects = self.resources.iter().flat_map(|(resource, objects)| {
            let one = |entry: &Arc<Entry>| (resource.clone(), entry.clone());
            objects.values().map(one)
        });
        Everything {
            revision: self.revision,
            objects: objects.collect(),
            events,
        }
    }

    /// Shows one change to readers and watchers.
    pub(super) fn apply(&mut self, event: Arc<Event>) {
        self.revision = event.revision;
        let objects = self.resources.entry(event.resource.clone()).or_default();
        if event.removed {
            objects.remove(&event.object.path);
        } else {
            objects.insert(event.object.path.clone(), event.object.clone());
        }
        if let Some(list) = self.watchers.get_mut(&event.resource) {
            // A full or closed channel ends the watch; the client resumes from its last revision.
            list.retain(|w| {
                !w.scope.holds(&event.object) || w.sender.try_send(event.clone()).is_ok()
            });
        }
        // A follower that lost its channel begins again with all objects.
        self.followers
            .retain(|follower| follower.try_send(event.clone()).is_ok());
        self.history_bytes += weight(&event);
        self.history.push_back(event);
    }

    /// Returns the floor that the window should have now.
    pub(super) fn floor_at(&self, now: DateTime<Utc>) -> u64 {
        let mut floor = self.floor;
        let (mut events, mut bytes) = (self.history.len(), self.history_bytes);
        let young = now - TimeDelta::seconds(HISTORY_SECONDS_MIN);
        for event in &self.history {
            let too_many = events > HISTORY_EVENTS_MAX || bytes > HISTORY_BYTES_MAX;
            if !too_many && (events <= HISTORY_EVENTS_MIN || event.at >= young) {
                break;
            }
            events -= 1;
            bytes -= weight(event);
            floor = event.revision;
        }
        floor
    }

    pub(super) fn trim(&mut self, floor: u64) {
        while self.history.front().is_some_and(|e| e.revision <= floor) {
            if let Some(event) = self.history.pop_front() {
                self.history_bytes -= weight(&event);
            }
        }
        self.floor = self.floor.max(floor);
    }

    pub(super) fn end_watches(&mut self, resource: &str) {
        self.watchers.remove(resource);
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.followers.clear();
        self.watchers.clear();
    }
}

fn select(objects: &BTreeMap<Box<str>, Arc<Entry>>, scope: &Scope) -> Vec<Arc<Entry>> {
    if scope.namespace.is_empty() {
        let mine = objects
            .values()
            .filter(|e| scope.name.is_empty() || scope.holds(e));
        return mine.cloned().collect();
    }
    if !scope.name.is_empty() {
        let path = format!("{}/{}", scope.namespace, scope.name);
        return objects.get(path.as_str()).cloned().into_iter().collect();
    }
    let prefix = format!("{}/", scope.namespace);
    let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
    let range = objects
        .range::<str, _>(from)
        .take_while(|(path, _)| path.starts_with(&prefix));
    range.map(|(_, entry)| entry.clone()).collect()
}

fn weight(event: &Event) -> usize {
    event.object.body.len() + event.previous.as_ref().map_or(0, |p| p.body.len()) + 256
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(count: usize, at: DateTime<Utc>, body_bytes: usize) -> State {
        let mut state = State::default();
        let data = json!({ "data": "x".repeat(body_bytes) });
        let object = Arc::new(Entry::of("default/a", 1, data));
        let resource: Arc<str> = "/configmaps".into();
        for revision in 1..=u64::try_from(count).expect("a small number") {
            state.apply(Arc::new(Event {
                revision,
                at,
                resource: resource.clone(),
                previous: None,
                object: object.clone(),
                removed: false,
            }));
        }
        state
    }

    #[test]
    fn old_changes_leave_the_window_but_for_the_fewest() {
        let now = Utc::now();
        let old = now - TimeDelta::seconds(HISTORY_SECONDS_MIN + 1);
        assert_eq!(filled(HISTORY_EVENTS_MIN + 5, old, 1).floor_at(now), 5);
        assert_eq!(filled(HISTORY_EVENTS_MIN + 5, now, 1).floor_at(now), 0);
    }

    #[test]
    fn young_changes_leave_the_window_when_they_are_too_many_or_too_large() {
        let now = Utc::now();
        assert_eq!(filled(HISTORY_EVENTS_MAX + 7, now, 1).floor_at(now), 7);
        let size = 1024 * 1024;
        let state = filled(HISTORY_BYTES_MAX / size + 3, now, size);
        assert!(state.floor_at(now) >= 3);
    }

    #[test]
    fn a_trimmed_window_refuses_what_is_below_it() {
        let mut state = filled(10, Utc::now(), 1);
        state.trim(4);
        let scope = Scope::default();
        assert_eq!(
            state.list_at("/configmaps", &scope, 3).err(),
            Some(TooOld { oldest: 4 })
        );
        assert!(state.list_at("/configmaps", &scope, 4).is_ok());
        assert!(state.watch(&"/configmaps".into(), scope, Some(3)).is_err());
    }
}
