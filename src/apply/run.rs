//! Applies stages: each is judged as a whole by dry runs before the first of its objects is written.
//!
//! Stages come in; what happened to each object goes out, also when a later object failed, so that
//! the caller keeps owning what was applied. An object that is as wanted is never written.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::client::{ApplyError, Write};
use super::wait::{Target, WaitOptions, wait};
use super::{Action, ChangeSet, Cluster, Error, ObjectRef, Stage, cleanup, control, drift};
use crate::failpoint;

/// How many objects of a stage are judged at the same time; upstream's `--concurrent-ssa`.
const CONCURRENT: usize = 4;
/// How long a stage of definitions and namespaces may take to be healthy; upstream's limit.
const STAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// How to apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApplyOptions {
    /// Whether objects with immutable changes are deleted and created again (`spec.force`).
    pub force: bool,
}

/// What is to be done with one object.
struct Verdict {
    object: ObjectRef,
    action: Action,
    manifest: Value,
}

/// Applies the stages in order and returns what happened to each object, with the first error if
/// there was one: a stage that a dry run refuses is not begun, and later stages are not tried.
pub async fn apply(
    cluster: &Cluster,
    stages: Vec<Stage>,
    options: ApplyOptions,
) -> (ChangeSet, Result<(), Error>) {
    let mut changes = ChangeSet::default();
    for stage in stages {
        if let Err(error) = apply_stage(cluster, stage, options, &mut changes).await {
            return (changes, Err(error));
        }
    }
    (changes, Ok(()))
}

async fn apply_stage(
    cluster: &Cluster,
    stage: Stage,
    options: ApplyOptions,
    changes: &mut ChangeSet,
) -> Result<(), Error> {
    let waits = stage.wait;
    let verdicts: Vec<Verdict> = stream::iter(stage.objects)
        .map(|manifest| judge(cluster, manifest, options))
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    let objects: Vec<ObjectRef> = verdicts.iter().map(|v| v.object.clone()).collect();
    for verdict in verdicts {
        let Verdict {
            object,
            action,
            manifest,
        } = verdict;
        if matches!(action, Action::Created | Action::Configured) {
            let live = cluster
                .apply(&object, &manifest, Write::Real)
                .await
                .map_err(|error| error.into_error(&object, "apply failed"))?;
            failpoint::hit("apply.after");
            cluster.remember(&object, hash(&manifest), &live);
        }
        changes.push(object, action);
    }
    if waits {
        let targets = objects.into_iter().map(Target::from).collect();
        let options = WaitOptions {
            timeout: STAGE_TIMEOUT,
            fail_fast: true,
        };
        wait(cluster, targets, options, &CancellationToken::new()).await?;
    }
    Ok(())
}

/// Decides what an object needs: a read, and a dry run unless it is known to be as wanted.
async fn judge(
    cluster: &Cluster,
    mut manifest: Value,
    options: ApplyOptions,
) -> Result<Verdict, Error> {
    let mut object = ObjectRef::of(&manifest)?;
    let served = cluster.served(&object).await?;
    if !served.namespaced && !object.namespace.is_empty() {
        object.namespace.clear();
        if let Some(metadata) = manifest["metadata"].as_object_mut() {
            metadata.remove("namespace");
        }
    }
    let live = cluster.get(&object).await?;
    let verdict = |action, manifest| {
        Ok(Verdict {
            object: object.clone(),
            action,
            manifest,
        })
    };
    if control::is_skipped(&manifest, live.as_ref()) {
        return verdict(Action::Skipped, manifest);
    }
    let wanted = hash(&manifest);
    if let Some(live) = &live
        && is_known(cluster, &object, wanted, live)
    {
        return verdict(Action::Unchanged, manifest);
    }
    let dry_run = match cluster.apply(&object, &manifest, Write::DryRun).await {
        Ok(dry_run) => dry_run,
        Err(error) => {
            let forced = options.force || control::is_forced(&manifest, live.as_ref());
            recreate(cluster, &object, &manifest, error, forced && live.is_some()).await?;
            return verdict(Action::Created, manifest);
        }
    };
    let Some(live) = live else {
        return verdict(Action::Created, manifest);
    };
    let cleaned = match cleanup::cleanup(&live) {
        Some(patch) if cluster.takes_over() && !control::is_merged(&manifest, &live) => {
            cluster.json_patch(&object, patch).await?;
            true
        }
        _ => false,
    };
    if cleaned || drift::is_drifted(&live, &dry_run) {
        return verdict(Action::Configured, manifest);
    }
    cluster.remember(&object, wanted, &live);
    verdict(Action::Unchanged, manifest)
}

/// Deletes an object whose immutable field changed, where that is allowed, and dry-runs it anew.
async fn recreate(
    cluster: &Cluster,
    object: &ObjectRef,
    manifest: &Value,
    error: ApplyError,
    allowed: bool,
) -> Result<(), Error> {
    match error {
        ApplyError::Server(error) if allowed && Error::is_immutable(&error) => {
            cluster.delete(object).await?;
            super::prune::terminated(cluster, std::slice::from_ref(object), STAGE_TIMEOUT).await?;
            let again = cluster.apply(object, manifest, Write::DryRun).await;
            again
                .map(|_| ())
                .map_err(|error| error.into_error(object, "dry-run failed"))
        }
        error => Err(error.into_error(object, "dry-run failed")),
    }
}

fn is_known(cluster: &Cluster, object: &ObjectRef, manifest: u64, live: &Value) -> bool {
    let text = |key: &str| live["metadata"][key].as_str().unwrap_or("");
    cluster.known(object).is_some_and(|known| {
        known.manifest == manifest
            && known.uid == text("uid")
            && known.resource_version == text("resourceVersion")
    })
}

/// A hash that lives as long as the process; it is compared with nothing outside of it.
fn hash(manifest: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    manifest.hash(&mut hasher);
    hasher.finish()
}
