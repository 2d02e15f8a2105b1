//! [`Passes`]: how often objects of each kind had a pass.
//!
//! In: the kind of each pass that begins. Out: counts since the start, for those who want to know
//! that nothing was done. It holds nothing of the objects.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts passes by kind. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Passes(Arc<Mutex<BTreeMap<String, u64>>>);

impl Passes {
    /// Returns how many passes over objects of a kind have begun.
    pub fn of(&self, kind: &str) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(kind).copied().unwrap_or(0)
    }

    pub(super) fn count(&self, kind: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(counts.insert(kind.to_owned(), 1)),
        }
    }
}
