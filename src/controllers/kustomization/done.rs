//! What a pass came to, as status, conditions and events in Flux's words. Pure.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

use super::plan::{Plan, failed, report as keep};
use crate::api::annotations::{EVENT_KUSTOMIZATION_REVISION, ORIGIN_REVISION};
use crate::api::conditions::HEALTHY;
use crate::api::{
    ConditionStatus, InventoryEntry, Kustomization, KustomizationStatus, Snapshot, reasons,
};
use crate::apply::{ChangeSet, Inventory};
use crate::duration;
use crate::reconcile::{Aspect, Interval, Note, Outcome, Report, Timestamp};

/// Snapshots that the history keeps; upstream's number.
const HISTORY_MAX: usize = 5;
/// The annotation of the event that tells the end of a good pass.
const COMMIT_STATUS: &str = "kustomize.toolkit.fluxcd.io/commit_status";

/// What a pass did, and where it ended.
#[derive(Debug)]
pub(in crate::controllers) struct Done {
    pub plan: Plan,
    pub started: Instant,
    pub took: Duration,
    /// Whether the artifact was there and held the path.
    pub attempted: bool,
    /// The digest of the build; nothing before there was one.
    pub digest: Option<String>,
    pub changes: ChangeSet,
    pub pruned: ChangeSet,
    /// What is owned from now on; nothing where nothing was applied.
    pub inventory: Option<Inventory>,
    /// How long health was waited for; nothing where it was not.
    pub health: Option<Duration>,
    pub failure: Option<Failure>,
}

/// Why a pass ended early.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::controllers) struct Failure {
    pub reason: &'static str,
    pub message: String,
}

impl Failure {
    pub fn new(reason: &'static str, message: String) -> Self {
        Self { reason, message }
    }

    /// Returns what makes a failure for `reason` of an error.
    pub fn with<E: Display>(reason: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::new(reason, error.to_string())
    }
}

impl Done {
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            started: Instant::now(),
            took: Duration::ZERO,
            attempted: false,
            digest: None,
            changes: ChangeSet::default(),
            pruned: ChangeSet::default(),
            inventory: None,
            health: None,
            failure: None,
        }
    }
}

/// Returns the report of a pass.
pub(super) fn report(
    object: &Kustomization,
    done: Done,
    now: Timestamp,
) -> Report<KustomizationStatus> {
    let revision = &done.plan.artifact.revision;
    let outcome = match &done.failure {
        // Not a failure: the news that ended the wait have their pass at once.
        Some(failure) if failure.reason == reasons::HEALTH_CHECK_CANCELED => Outcome::Waiting {
            reason: failure.reason,
            message: failure.message.clone(),
            retry: Duration::ZERO,
        },
        Some(failure) => failed(failure.reason, failure.message.clone(), done.plan.timing),
        None => Outcome::Ready {
            reason: reasons::RECONCILIATION_SUCCEEDED,
            message: format!("Applied revision: {revision}"),
            next: Interval::Jittered(done.plan.timing.interval),
        },
    };
    let mut report = keep(object, outcome);
    report.notes = notes(object, &done);
    if done
        .failure
        .as_ref()
        .is_none_or(|f| f.reason == reasons::HEALTH_CHECK_FAILED)
    {
        report.aspects = health(&done).into_iter().collect();
    }
    record(&mut report.status, &done, now);
    report
}

fn record(status: &mut KustomizationStatus, done: &Done, now: Timestamp) {
    let revision = &done.plan.artifact.revision;
    let origin = done.plan.artifact.metadata.get(ORIGIN_REVISION);
    if done.attempted {
        status.last_attempted_revision = Some(revision.clone());
    }
    if let Some(inventory) = &done.inventory {
        let entries = inventory.entries.iter().map(|entry| InventoryEntry {
            id: entry.id.clone(),
            v: entry.version.clone(),
        });
        status.inventory = Some(crate::api::Inventory {
            entries: entries.collect(),
        });
    }
    if done.failure.is_none() {
        status.last_applied_revision = Some(revision.clone());
        status.last_applied_origin_revision = origin.cloned();
    }
    let failure = done.failure.as_ref();
    let is_canceled = failure.is_some_and(|f| f.reason == reasons::HEALTH_CHECK_CANCELED);
    if let Some(digest) = &done.digest
        && !is_canceled
    {
        let word = failure.map_or(reasons::RECONCILIATION_SUCCEEDED, |failure| failure.reason);
        let mut metadata = BTreeMap::from([("revision".to_owned(), revision.clone())]);
        if let Some(origin) = origin {
            metadata.insert("originRevision".to_owned(), origin.clone());
        }
        let snapshot = Snapshot {
            digest: digest.clone(),
            first_reconciled: Time(now),
            last_reconciled: Time(now),
            last_reconciled_duration: go(done.took).to_string(),
            last_reconciled_status: word.to_owned(),
            total_reconciliations: 1,
            metadata,
        };
        upsert(&mut status.history, snapshot);
    }
}

/// Puts a snapshot in front; one of the same build and end is counted on instead.
fn upsert(history: &mut Vec<Snapshot>, mut snapshot: Snapshot) {
    let same = |old: &Snapshot| {
        old.digest == snapshot.digest
            && old.last_reconciled_status == snapshot.last_reconciled_status
    };
    if let Some(at) = history.iter().position(same) {
        let old = history.remove(at);
        snapshot.first_reconciled = old.first_reconciled;
        snapshot.total_reconciliations = old.total_reconciliations + 1;
    }
    history.insert(0, snapshot);
    history.truncate(HISTORY_MAX);
}

fn health(done: &Done) -> Option<Aspect> {
    let took = done.health?;
    let (status, reason, message) = match &done.failure {
        None => {
            let message = format!("Health check passed in {}", rounded(took));
            (ConditionStatus::True, reasons::SUCCEEDED, message)
        }
        Some(failure) => {
            let message = failure.message.clone();
            (
                ConditionStatus::False,
                reasons::HEALTH_CHECK_FAILED,
                message,
            )
        }
    };
    Some(Aspect {
        type_: HEALTHY,
        status,
        reason: reason.to_owned(),
        message,
    })
}

fn notes(object: &Kustomization, done: &Done) -> Vec<Note> {
    let revision = &done.plan.artifact.revision;
    let failure = done.failure.as_ref();
    let reason = failure.map_or(reasons::RECONCILIATION_SUCCEEDED, |failure| failure.reason);
    let note = |message: String| {
        Note::normal(reason, message).with(EVENT_KUSTOMIZATION_REVISION, revision)
    };
    let reports = [done.changes.report(), done.pruned.report()];
    let mut notes: Vec<Note> = reports
        .into_iter()
        .filter(|r| !r.is_empty())
        .map(note)
        .collect();
    if done.failure.is_some() {
        return notes;
    }
    let status = object.status.as_ref();
    let last = status.and_then(|status| status.last_applied_revision.as_ref());
    let was_healthy = crate::reconcile::Kind::conditions(object)
        .iter()
        .any(|c| c.type_ == HEALTHY && c.status == ConditionStatus::True);
    if let Some(took) = done.health
        && (!was_healthy || (last != Some(revision) && done.changes.is_changed()))
    {
        notes.push(note(format!("Health check passed in {}", rounded(took))));
    }
    let (took, next) = (rounded(done.took), go(done.plan.timing.interval));
    let finished = format!("Reconciliation finished in {took}, next run in {next}");
    notes.push(note(finished).with(COMMIT_STATUS, "update"));
    notes
}

fn go(duration: Duration) -> duration::Duration {
    let nanoseconds = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    duration::Duration::from_nanoseconds(nanoseconds)
}

/// Returns a duration as messages print it: to the millisecond.
pub(super) fn rounded(took: Duration) -> duration::Duration {
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    go(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(digest: &str, status: &str) -> Snapshot {
        let time = Time("2026-01-01T00:00:00Z".parse().unwrap());
        Snapshot {
            digest: digest.into(),
            first_reconciled: time.clone(),
            last_reconciled: time,
            last_reconciled_duration: "1s".into(),
            last_reconciled_status: status.into(),
            total_reconciliations: 1,
            metadata: BTreeMap::new(),
        }
    }

    #[test]
    fn history_counts_equal_ends_and_keeps_five() {
        let mut history = Vec::new();
        for digest in ["a", "b", "c", "d", "e", "f", "b"] {
            upsert(&mut history, snapshot(digest, "ReconciliationSucceeded"));
        }
        let kept: Vec<_> = history
            .iter()
            .map(|s| (s.digest.as_str(), s.total_reconciliations))
            .collect();
        assert_eq!(kept, [("b", 2), ("f", 1), ("e", 1), ("d", 1), ("c", 1)]);
        upsert(&mut history, snapshot("b", "HealthCheckFailed"));
        assert_eq!(history[0].total_reconciliations, 1);
    }
}
