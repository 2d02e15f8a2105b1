//! Whether a branch has moved on, or was set back or rewritten.
//!
//! In: the head that a branch had and the one that it has. Out: whether the former is below the latter.
//! A commit's parents are here and cost nothing; further ones are asked for without their files where
//! the server can leave those out. It looks so far and no further, and decides nothing.

use std::sync::Arc;

use gix::ObjectId;

use super::{
    Error,
    repository::{HISTORY_MAX, Repository, blocking},
    upload::Parts,
};

/// Commits looked through where the server sends them without their files; otherwise it is
/// `HISTORY_MAX`.
pub const ANCESTORS_MAX: usize = 1000;

impl Repository {
    /// Returns whether `earlier` is `head` or among the newest commits below it. Asks the remote only
    /// when it is neither `head` nor a parent.
    pub async fn has_moved_on(&self, earlier: ObjectId, head: ObjectId) -> Result<bool, Error> {
        if earlier == head || self.is_below(earlier, head, HISTORY_MAX).await? {
            return Ok(true);
        }
        let _turn = self.mirror.turn.acquire().await;
        // Commits may come alone only where the head's own files are here.
        if self.stored(head).await?.is_none() {
            self.fetch_pack(head, 1).await?;
        }
        let filters = self.timed(self.offer()).await?.filters();
        let (parts, n_max) = match filters {
            true => (Parts::Commits, ANCESTORS_MAX),
            false => (Parts::All, HISTORY_MAX),
        };
        let depth = u32::try_from(n_max).unwrap_or(u32::MAX);
        self.timed(self.fetch_once(head, depth, parts)).await?;
        self.is_below(earlier, head, n_max).await
    }

    async fn is_below(
        &self,
        wanted: ObjectId,
        head: ObjectId,
        n_max: usize,
    ) -> Result<bool, Error> {
        let mirror = Arc::clone(&self.mirror);
        blocking(&self.permits, move || mirror.is_below(wanted, head, n_max)).await
    }
}
