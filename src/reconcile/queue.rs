//! Which object of a kind has its turn, and when.
//!
//! An object is in the queue at most once, so its size is bounded by the number of objects; an object
//! that is woken while it is being worked on comes back afterwards. Times come in from outside. Pure.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Key;

/// The objects of one kind and their next turns.
#[derive(Debug, Default)]
pub struct Queue {
    entries: HashMap<Key, Entry>,
    due: BTreeSet<(Instant, u64, Key)>,
    turns: u64,
}

#[derive(Debug, Default)]
struct Entry {
    /// When the next turn is; also the object's place in `due`.
    due: Option<(Instant, u64)>,
    running: bool,
    /// Woken while running.
    again: bool,
    /// Gone while running.
    gone: bool,
    /// Cancelled by the first wake in the turn.
    superseded: CancellationToken,
    /// How many turns there were.
    turns: u64,
    /// Failures in a row.
    failures: u32,
}

/// What comes after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another turn at a time.
    At(Instant),
    /// None until the object is woken.
    Woken,
}

impl Queue {
    /// Gives an object a turn as soon as there is room, or again when it has one now.
    pub fn wake(&mut self, key: &Key, now: Instant) {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry.running {
            entry.again = true;
            entry.gone = false;
            entry.superseded.cancel();
            return;
        }
        match entry.due {
            Some((due, _)) if due <= now => {}
            _ => self.put(key, now),
        }
    }

    /// Returns an object whose turn it is, longest due first, and what is cancelled when it is woken
    /// in its turn.
    pub fn take(&mut self, now: Instant) -> Option<(Key, CancellationToken)> {
        let (due, _, _) = self.due.first()?;
        if *due > now {
            return None;
        }
        let (_, _, key) = self.due.pop_first()?;
        let entry = self.entries.get_mut(&key)?;
        entry.due = None;
        entry.running = true;
        entry.turns += 1;
        entry.superseded = CancellationToken::new();
        Some((key, entry.superseded.clone()))
    }

    /// Returns when the next turn is.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _, _)| *due)
    }

    /// Ends an object's turn. `failed` counts failures in a row; anything else starts over.
    pub fn done(&mut self, key: &Key, now: Instant, next: Next) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.running = false;
        let again = std::mem::take(&mut entry.again);
        if entry.gone {
            self.entries.remove(key);
            return;
        }
        match next {
            _ if again => self.put(key, now),
            Next::At(due) => self.put(key, due),
            Next::Woken => {}
        }
    }

    /// Counts a failure and returns how many there are in a row.
    pub fn failed(&mut self, key: &Key) -> u32 {
        let Some(entry) = self.entries.get_mut(key) else {
            return 1;
        };
        entry.failures = entry.failures.saturating_add(1);
        entry.failures
    }

    /// Returns how many turns an object has had.
    pub fn turns(&self, key: &Key) -> u64 {
        self.entries.get(key).map_or(0, |entry| entry.turns)
    }

    /// Ends a row of failures.
    pub fn succeeded(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.failures = 0;
        }
    }

    /// Drops an object that is gone; one that has its turn now goes at the end of it.
    pub fn forget(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        if let Some((due, turn)) = entry.due.take() {
            self.due.remove(&(due, turn, key.clone()));
        }
        entry.again = false;
        entry.gone = true;
        entry.superseded.cancel();
        if !entry.running {
            self.entries.remove(key);
        }
    }

    fn put(&mut self, key: &Key, due: Instant) {
        self.turns += 1;
        let turn = self.turns;
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        if let Some((due, turn)) = entry.due.replace((due, turn)) {
            self.due.remove(&(due, turn, key.clone()));
        }
        self.due.insert((due, turn, key.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(name: &str) -> Key {
        Key::new("apps", name)
    }

    fn take(queue: &mut Queue, now: Instant) -> Option<Key> {
        queue.take(now).map(|(key, _)| key)
    }

    #[test]
    fn a_wake_in_a_turn_supersedes_it() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.wake(&key("a"), now);
        let (_, superseded) = queue.take(now).unwrap();
        assert!(!superseded.is_cancelled());
        queue.wake(&key("a"), now);
        assert!(superseded.is_cancelled());
        queue.done(&key("a"), now, Next::Woken);
        let (_, superseded) = queue.take(now).unwrap();
        assert!(!superseded.is_cancelled());
    }

    #[test]
    fn an_object_has_one_turn_however_often_it_is_woken() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for _ in 0..3 {
            queue.wake(&key("a"), now);
        }
        assert_eq!(take(&mut queue, now), Some(key("a")));
        assert_eq!(take(&mut queue, now), None);
    }

    #[test]
    fn an_object_woken_in_its_turn_comes_again() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.wake(&key("a"), now);
        assert_eq!(take(&mut queue, now), Some(key("a")));
        queue.wake(&key("a"), now);
        assert_eq!(take(&mut queue, now), None);
        queue.done(&key("a"), now, Next::Woken);
        assert_eq!(take(&mut queue, now), Some(key("a")));
        queue.done(&key("a"), now, Next::Woken);
        assert_eq!(take(&mut queue, now), None);
    }

    #[test]
    fn a_wake_comes_before_the_interval() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let later = now + Duration::from_secs(60);
        queue.wake(&key("a"), now);
        assert_eq!(take(&mut queue, now), Some(key("a")));
        queue.done(&key("a"), now, Next::At(later));
        assert_eq!(take(&mut queue, now), None);
        assert_eq!(queue.next_due(), Some(later));
        queue.wake(&key("a"), now);
        assert_eq!(take(&mut queue, now), Some(key("a")));
        queue.done(&key("a"), now, Next::At(later));
        assert_eq!(take(&mut queue, later), Some(key("a")));
    }

    #[test]
    fn the_longest_due_goes_first() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for name in ["b", "a", "c"] {
            queue.wake(&key(name), now);
        }
        let order: Vec<_> = std::iter::from_fn(|| take(&mut queue, now)).collect();
        assert_eq!(order, [key("b"), key("a"), key("c")]);
    }

    #[test]
    fn a_forgotten_object_has_no_turn() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.wake(&key("a"), now);
        queue.wake(&key("b"), now);
        assert_eq!(take(&mut queue, now), Some(key("a")));
        queue.forget(&key("a"));
        queue.forget(&key("b"));
        queue.done(&key("a"), now, Next::At(now));
        assert_eq!(take(&mut queue, now), None);
        assert_eq!(queue.next_due(), None);
    }

    #[test]
    fn an_object_made_again_in_its_turn_waits_for_the_end_of_it() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.wake(&key("a"), now);
        assert_eq!(take(&mut queue, now), Some(key("a")));
        queue.forget(&key("a"));
        queue.wake(&key("a"), now);
        assert_eq!(take(&mut queue, now), None);
        queue.done(&key("a"), now, Next::Woken);
        assert_eq!(take(&mut queue, now), Some(key("a")));
    }

    #[test]
    fn failures_are_counted_in_a_row() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.wake(&key("a"), now);
        assert_eq!(queue.failed(&key("a")), 1);
        assert_eq!(queue.failed(&key("a")), 2);
        queue.succeeded(&key("a"));
        assert_eq!(queue.failed(&key("a")), 1);
    }
}
