//! Who may push to a branch now: one writer of this process at a time.
//!
//! In: a URL and a reference. Out: a turn that ends when it is dropped. Others of the same branch wait
//! in order; other branches do not. Nothing is kept of branches that nobody pushes to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::mirror::lock;

/// A URL and the full name of a reference.
type Place = (String, String);

/// The turns of all branches.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Place, Weak<Semaphore>>>);

impl Turns {
    /// Waits for a branch's turn. Returns it, and whether others had it in between.
    pub(super) async fn take(&self, url: &str, reference: &str) -> (OwnedSemaphorePermit, bool) {
        let turn = {
            let mut turns = lock(&self.0);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let place = (url.to_owned(), reference.to_owned());
            let known = turns.get(&place).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turn = Arc::new(Semaphore::new(1));
                turns.insert(place, Arc::downgrade(&turn));
                turn
            })
        };
        if let Ok(taken) = Arc::clone(&turn).try_acquire_owned() {
            return (taken, false);
        }
        let taken = turn.acquire_owned().await;
        (taken.expect("because the semaphore is never closed"), true)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_branch_has_one_writer_and_others_do_not_wait() {
        let turns = Turns::default();
        let take = |branch| turns.take("https://host/r", branch).now_or_never();
        let first = take("refs/heads/main").expect("nobody has it");
        assert!(take("refs/heads/main").is_none());
        assert!(take("refs/heads/dev").is_some());
        assert!(
            turns
                .take("https://host/s", "refs/heads/main")
                .now_or_never()
                .is_some()
        );
        drop(first);
        assert!(take("refs/heads/main").is_some());
        assert_eq!(lock(&turns.0).len(), 1, "nothing is kept of the others");
    }
}
