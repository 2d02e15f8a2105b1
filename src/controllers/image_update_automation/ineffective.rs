//! Markers without effect, told once.
//!
//! In: what each making of an edit found. Out: the lines that an automation has not told yet. Kept in
//! memory: a restart tells them once more.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::reconcile::Key;

/// The markers without effect of all automations.
#[derive(Default)]
pub(in crate::controllers) struct IneffectiveMarkers(Mutex<HashMap<Key, Lines>>);

#[derive(Default)]
struct Lines {
    found: Vec<String>,
    told: Vec<String>,
}

impl IneffectiveMarkers {
    /// Keeps what was found last.
    pub fn put(&self, key: &Key, found: Vec<String>) {
        let mut all = self.lock();
        let lines = all.entry(key.clone()).or_default();
        // What is mended may be told again when it breaks again.
        lines.told.retain(|line| found.contains(line));
        lines.found = found;
    }

    /// Returns what was not told yet; it counts as told now.
    pub fn take_news(&self, key: &Key) -> Vec<String> {
        let mut all = self.lock();
        let Some(lines) = all.get_mut(key) else {
            return Vec::new();
        };
        let news = lines.found.iter().filter(|line| !lines.told.contains(line));
        let news: Vec<String> = news.cloned().collect();
        lines.told.extend(news.iter().cloned());
        news
    }

    /// Forgets an automation.
    pub fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Lines>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_told_once_until_it_was_gone() {
        let markers = IneffectiveMarkers::default();
        let key = Key::new("apps", "bot");
        let told = |lines: &[&str]| {
            markers.put(&key, lines.iter().map(|line| (*line).to_owned()).collect());
            markers.take_news(&key)
        };
        assert_eq!(told(&["a:1"]), ["a:1"]);
        assert_eq!(told(&["a:1", "b:2"]), ["b:2"]);
        assert!(told(&["a:1", "b:2"]).is_empty());
        assert!(told(&["b:2"]).is_empty());
        assert_eq!(told(&["a:1", "b:2"]), ["a:1"]);
    }
}
