//! Deletes what left the build, and waits for deletions where that is asked.
//!
//! Only objects that still carry the owner's labels are deleted, in the reverse order of their
//! creation; one failure does not keep the others. Upstream's rule.

use std::time::Duration;

use futures::StreamExt;
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event};

use super::{
    Action, ChangeSet, Cluster, Error, Inventory, ObjectRef, Owner, control, reverse_order,
};

/// What pruning did, and what it could not do.
#[derive(Debug, Default)]
pub struct PruneResult {
    /// Deleted and skipped objects.
    pub changes: ChangeSet,
    /// The objects that are still there although they should not be: they stay owned.
    pub failed: Inventory,
    /// Why, where there are any.
    pub error: Option<Error>,
}

/// Deletes the objects of `stale`, which are those that the owner no longer builds.
pub async fn prune(cluster: &Cluster, stale: &Inventory, owner: &Owner) -> PruneResult {
    let mut objects = stale.objects();
    reverse_order(&mut objects);
    let mut result = PruneResult::default();
    let mut errors = Vec::new();
    for object in objects {
        match prune_one(cluster, &object, owner).await {
            Ok(action) => result.changes.push(object, action),
            Err(error) => {
                result.failed.entries.push(super::Entry::of(&object));
                errors.push(error);
            }
        }
    }
    result.error = (!errors.is_empty()).then_some(Error::Prune(errors));
    result
}

async fn prune_one(cluster: &Cluster, object: &ObjectRef, owner: &Owner) -> Result<Action, Error> {
    let live = match cluster.get(object).await {
        Ok(Some(live)) => live,
        Ok(None) => return Ok(Action::Deleted),
        Err(error) => return Err(error),
    };
    if !owner.owns(&live) || control::is_kept(&live) {
        cluster.forget(object);
        return Ok(Action::Skipped);
    }
    cluster.delete(object).await?;
    Ok(Action::Deleted)
}

/// Waits until none of the objects is there any more. Fails after `timeout`, naming the first that
/// still is.
pub async fn terminated(
    cluster: &Cluster,
    objects: &[ObjectRef],
    timeout: Duration,
) -> Result<(), Error> {
    let deadline = tokio::time::Instant::now() + timeout;
    for object in objects {
        let gone = tokio::time::timeout_at(deadline, gone(cluster, object));
        match gone.await {
            Ok(result) => result?,
            Err(_) => return Err(Error::Timeout(format!("{object} status: 'Terminating'"))),
        }
    }
    Ok(())
}

async fn gone(cluster: &Cluster, object: &ObjectRef) -> Result<(), Error> {
    let Some(live) = cluster.get(object).await? else {
        return Ok(());
    };
    let uid = live["metadata"]["uid"].as_str().map(str::to_owned);
    let served = cluster.served(object).await?;
    let api = cluster.api::<DynamicObject>(&served, &object.namespace);
    let only = watcher::Config::default().fields(&format!("metadata.name={}", object.name));
    let mut events = Box::pin(watcher::watcher(api, only));
    let mut seen = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::InitApply(found) | Event::Apply(found)) => {
                seen = found.metadata.uid == uid;
                if !seen {
                    return Ok(());
                }
            }
            Ok(Event::InitDone) if !seen => return Ok(()),
            Ok(Event::Delete(_)) => return Ok(()),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}
