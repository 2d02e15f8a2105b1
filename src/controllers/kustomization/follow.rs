//! Watches what was applied and gives its Kustomization a turn when somebody changed it.
//!
//! One task a Kustomization, ended when its inventory changes or it goes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::apply::{self, Drift, ObjectRef};
use crate::reconcile::{Key, Wake};

/// Changes that come together are repaired together.
const SETTLE: Duration = Duration::from_millis(20);
/// How long until a watch that could not begin is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// The tasks, one for each Kustomization that applied something.
pub(super) struct Follows {
    cluster: Arc<apply::Cluster>,
    wake: Wake,
    tasks: Mutex<HashMap<Key, Follow>>,
}

struct Follow {
    objects: Vec<ObjectRef>,
    task: AbortOnDropHandle<()>,
}

impl Follows {
    pub fn new(cluster: Arc<apply::Cluster>, wake: Wake) -> Self {
        Self {
            cluster,
            wake,
            tasks: Mutex::default(),
        }
    }

    /// Follows these objects for a Kustomization, in place of those that it followed before.
    pub fn follow(&self, key: Key, objects: Vec<ObjectRef>) {
        let mut tasks = self.tasks();
        let same = |follow: &Follow| follow.objects == objects && !follow.task.is_finished();
        if tasks.get(&key).is_some_and(same) {
            return;
        }
        let task = tokio::spawn(run(
            self.cluster.clone(),
            self.wake.clone(),
            key.clone(),
            objects.clone(),
        ));
        let task = AbortOnDropHandle::new(task);
        tasks.insert(key, Follow { objects, task });
    }

    /// Ends the following for a Kustomization.
    pub fn forget(&self, key: &Key) {
        self.tasks().remove(key);
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<Key, Follow>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(cluster: Arc<apply::Cluster>, wake: Wake, key: Key, objects: Vec<ObjectRef>) {
    loop {
        match apply::follow(cluster.clone(), objects.clone()).await {
            Ok(mut drifts) => {
                while let Some(drift) = drifts.next().await {
                    let (Drift::Changed(object) | Drift::Vanished(object)) = &drift;
                    info!(%key, %object, "An applied object was changed by somebody else.");
                    tokio::time::sleep(SETTLE).await;
                    wake.wake(&key);
                }
            }
            Err(error) => warn!(%key, %error, "Could not follow the applied objects."),
        }
        tokio::time::sleep(RETRY).await;
    }
}
