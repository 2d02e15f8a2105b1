//! Gives objects of one kind a turn.
//!
//! A shared [`Queue`] and a bell. The wake table of the controllers speaks to this; what rings twice
//! before it is heard is heard once.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Key;
use super::queue::Queue;

/// Wakes objects of one kind.
#[derive(Clone, Debug, Default)]
pub struct Wake {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    bell: Notify,
}

impl Wake {
    /// Gives an object a turn as soon as there is room.
    pub fn wake(&self, key: &Key) {
        self.queue().wake(key, Instant::now());
        self.shared.bell.notify_one();
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        let queue = self.shared.queue.lock();
        queue.expect("because no holder of the lock panics")
    }

    /// Waits until somebody was woken.
    pub(super) async fn rung(&self) {
        self.shared.bell.notified().await;
    }
}
