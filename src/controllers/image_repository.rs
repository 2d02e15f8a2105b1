//! ImageRepository: scans an image's tags when a scan is due and stores them whole.
//!
//! Decide: is the spec usable, is a scan due and why. Act: credentials, listing, storing. Report:
//! Flux's reasons and messages. A failed scan leaves the last good one in place, and stays due.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Client, ResourceExt};

use super::choices::Choices;
use super::image_access::{self, access};
use super::known_listings::{KnownListings, Subject};
use super::objects::World;
use super::{Failure, failed, ready_note, wakes};
use crate::api::annotations::{IMAGE_REFLECTOR, REQUESTED_AT};
use crate::api::conditions::READY;
use crate::api::{ConditionStatus, ImageRepository, ImageRepositoryStatus, ScanResult, reasons};
use crate::image::Repository;
use crate::pattern::Pattern;
use crate::reconcile::{
    Change, Controller, Decision, Interval, Kind, Note, Outcome, Progress, Report, Retry, Timestamp,
};
use crate::{registry, tags};

/// A rest of an interval below this is none.
const REST_MIN: Duration = Duration::from_secs(1);
/// A scan with fewer tags than the last one's by more than this factor is worth a warning.
const SHRINK_FACTOR: usize = 2;
/// What leaves tags out where the spec does not say: signatures.
const EXCLUSION_DEFAULT: &str = r"^.*\.sig$";

/// Scans for ImageRepositories.
pub(super) struct ImageRepositories {
    pub client: Client,
    pub registry: Arc<registry::Client>,
    pub tags: Arc<tags::Store>,
    pub world: Arc<World>,
    pub known: KnownListings,
    pub choices: Arc<Choices>,
}

/// What to do about an ImageRepository.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    repository: Repository,
    exclusions: Vec<String>,
    timeout: Duration,
    interval: Duration,
    due: Due,
}

/// Whether a scan is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// It is, for this reason.
    Now(&'static str),
    /// In so long.
    In(Duration),
}

/// What came of a plan.
pub(super) struct Done {
    plan: Plan,
    found: Result<Found, Ended>,
}

/// A pass that brought nothing.
struct Ended {
    failure: Failure,
    /// How long the registry wants to be left alone.
    wait: Option<Duration>,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            wait: None,
        }
    }
}

enum Found {
    /// All tags, which are stored now, and what that changed.
    Scan(tags::Scan, tags::Change),
    /// The registry says that the stored scan is what it would answer.
    Same,
    /// The stored scan is good for so long.
    Rest(Duration),
}

impl From<Ended> for Outcome {
    fn from(ended: Ended) -> Self {
        let Failure {
            reason,
            message,
            stalls,
        } = ended.failure;
        match ended.wait.filter(|wait| *wait >= REST_MIN && !stalls) {
            Some(wait) => Self::Failed {
                reason,
                message,
                retry: Retry::After(wait),
            },
            None => Failure {
                reason,
                message,
                stalls,
            }
            .into(),
        }
    }
}

impl Plan {
    /// Returns what a listing of this plan that brought a revision is of.
    fn subject(&self, revision: &str) -> Subject {
        Subject {
            repository: self.repository.to_string(),
            exclusions: self.exclusions.clone(),
            revision: revision.to_owned(),
        }
    }
}

impl Controller for ImageRepositories {
    type Object = ImageRepository;
    type Plan = Plan;
    type Done = Done;
    const MANAGER: &'static str = IMAGE_REFLECTOR;

    fn decide(
        &self,
        object: &ImageRepository,
        now: Timestamp,
    ) -> Decision<Plan, ImageRepositoryStatus> {
        decide(object, now)
    }

    async fn act(&self, object: &Arc<ImageRepository>, plan: Plan, progress: &Progress) -> Done {
        let found = self.find(object, &plan, progress).await;
        Done { plan, found }
    }

    fn report(
        &self,
        object: &ImageRepository,
        done: Done,
        now: Timestamp,
    ) -> Report<ImageRepositoryStatus> {
        report(object, done, now)
    }

    async fn finalize(&self, object: &Arc<ImageRepository>) -> Result<(), String> {
        let owner = owner(object);
        self.known.forget(&owner);
        let tags = self.tags.clone();
        let deleted = tokio::task::spawn_blocking(move || tags.delete(&owner)).await;
        let deleted = deleted.map_err(|error| error.to_string())?;
        deleted.map(drop).map_err(|error| error.to_string())
    }

    fn changed(&self, change: &Change<ImageRepository>) {
        let policies = &self.world.image_policies;
        if wakes::scan_changed(change) {
            let named = |policy: &_| wakes::policy_names(policy, &change.key);
            policies.wake_all(policies.store.filter(named));
        } else if wakes::scan_ended(change) {
            for policy in self.choices.waiting_for(&change.key) {
                policies.wake.wake(&policy);
            }
        }
    }
}

impl ImageRepositories {
    async fn find(
        &self,
        object: &ImageRepository,
        plan: &Plan,
        progress: &Progress,
    ) -> Result<Found, Ended> {
        // Before it is known whether a scan is due, so that a missing Secret shows at once.
        let access = access(&self.client, object, &plan.repository, plan.timeout).await;
        let access = access.map_err(|error| {
            let message = format!("failed to configure authentication options: {error}");
            failed(reasons::AUTHENTICATION_FAILED, message)
        })?;
        let why = match plan.due {
            Due::Now(why) => why,
            Due::In(rest) if self.is_stored(object, plan).await? => return Ok(Found::Rest(rest)),
            Due::In(_) => "no tags in database",
        };
        progress.step(format!("scanning: {why}"));
        let scan_failed = |message: String| {
            failed(
                reasons::READ_OPERATION_FAILED,
                format!("scan failed: {message}"),
            )
        };
        let exclusions = compile(&plan.exclusions).map_err(&scan_failed)?;
        let keep = |tag: &str| !exclusions.iter().any(|pattern| pattern.is_match(tag));
        let started_at = chrono::Utc::now();
        let known = self.known(object, plan);
        let listed =
            self.registry
                .tags_if_changed(&plan.repository, &access, &keep, known.as_ref());
        let listed = listed.await.map_err(|error| Ended {
            wait: error.retry_after(),
            failure: scan_failed(error.to_string()),
        })?;
        let Some(listing) = listed else {
            return Ok(Found::Same);
        };
        let reading = tags::Reading {
            started_at,
            finished_at: chrono::Utc::now(),
            n_pages: listing.n_pages,
        };
        let validator = listing.validator;
        let (store, stored_for) = (self.tags.clone(), owner(object));
        let name = plan.repository.to_string();
        let stored = tokio::task::spawn_blocking(move || {
            let scan = tags::Scan::new(&name, listing.tags, reading);
            crate::failpoint::hit("scan.before_store");
            let change = store.replace(&stored_for, &scan);
            let stored = change.map(|change| (scan, change));
            stored.map_err(|error| format!("failed to set tags for \"{name}\": {error}"))
        });
        let stored = stored
            .await
            .map_err(|error| scan_failed(error.to_string()))?;
        let (scan, change) = stored.map_err(scan_failed)?;
        let subject = plan.subject(&scan.epoch().revision);
        self.known.keep(owner(object), subject, validator);
        Ok(Found::Scan(scan, change))
    }

    /// Returns what this process knows of the listing that it stored and that the status shows. Only
    /// [`Controller::finalize`] deletes it, and forgets this first.
    fn known(&self, object: &ImageRepository, plan: &Plan) -> Option<registry::Validator> {
        let last = object.status.as_ref()?.last_scan_result.as_ref()?;
        let subject = plan.subject(last.revision.as_deref()?);
        self.known.find(&owner(object), &subject)
    }

    async fn is_stored(&self, object: &ImageRepository, plan: &Plan) -> Result<bool, Failure> {
        let (store, owner) = (self.tags.clone(), owner(object));
        let name = plan.repository.to_string();
        let read = tokio::task::spawn_blocking(move || store.epoch(&owner, &name)).await;
        let error = match read {
            Ok(Ok(epoch)) => return Ok(epoch.is_some()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let message = format!("failed to determine if it's scan time: {error}");
        Err(failed(reasons::FAILURE, message))
    }
}

fn decide(object: &ImageRepository, now: Timestamp) -> Decision<Plan, ImageRepositoryStatus> {
    let spec = &object.spec;
    let status = || object.status.clone().unwrap_or_default();
    let stalled = |reason, message| {
        Decision::Report(Report::new(status(), Outcome::stalled(reason, message)))
    };
    if let Some(why) = image_access::gated(spec) {
        return stalled(reasons::FEATURE_GATE_DISABLED, why.to_owned());
    }
    let repository = match Repository::parse_image_field(&spec.image) {
        Ok(repository) => repository,
        Err(error) => return stalled(reasons::IMAGE_URL_INVALID, error.to_string()),
    };
    let timeout = image_access::timeout(spec);
    let interval = super::duration("spec.interval", &spec.interval);
    let (timeout, interval) = match (timeout, interval) {
        (Ok(timeout), Ok(interval)) => (timeout, interval),
        (Err(message), _) | (_, Err(message)) => return stalled(reasons::INVALID_OBJECT, message),
    };
    let mut exclusions = spec.exclusion_list.clone();
    if exclusions.is_empty() {
        exclusions.push(EXCLUSION_DEFAULT.to_owned());
    }
    let due = due(object, &repository, &exclusions, interval, now);
    Decision::Act(Plan {
        repository,
        exclusions,
        timeout,
        interval,
        due,
    })
}

/// Returns whether a scan is due, by the first test that holds, in Flux's order.
fn due(
    object: &ImageRepository,
    repository: &Repository,
    exclusions: &[String],
    interval: Duration,
    now: Timestamp,
) -> Due {
    let status = object.status.as_ref();
    let Some(last) = status.and_then(|status| status.last_scan_result.as_ref()) else {
        return Due::Now("first scan");
    };
    let requested = object.annotations().get(REQUESTED_AT).map(String::as_str);
    if requested.is_some() && requested != object.handled_request() {
        return Due::Now("reconcile requested");
    }
    let name = status.and_then(|status| status.canonical_image_name.as_deref());
    if name != Some(repository.to_string().as_str()) {
        return Due::Now("new image name");
    }
    let observed = status.map_or(&[][..], |status| &status.observed_exclusion_list);
    let is_observed = |pattern| observed.contains(pattern);
    if observed.len() != exclusions.len() || !exclusions.iter().all(is_observed) {
        return Due::Now("updated exclusion list");
    }
    // A request is answered by the pass that fails; the scan that it asked for is still owed.
    let ready = object.conditions().iter().find(|c| c.type_ == READY);
    if ready.is_some_and(|ready| ready.status == ConditionStatus::False) {
        return Due::Now("last scan failed");
    }
    let since = last
        .scan_time
        .as_ref()
        .map(|time| now.duration_since(time.0));
    // A clock that was set back gives a negative time since; the interval then starts over.
    let since = since.map(|since| Duration::try_from(since).unwrap_or_default());
    let rest = since.map_or(Duration::ZERO, |since| interval.saturating_sub(since));
    if rest < REST_MIN {
        return Due::Now("triggered by interval");
    }
    Due::In(rest)
}

fn report(object: &ImageRepository, done: Done, now: Timestamp) -> Report<ImageRepositoryStatus> {
    let Done { plan, found } = done;
    let mut status = object.status.clone().unwrap_or_default();
    let mut shrunk = None;
    let next = match found {
        Err(ended) => return Report::new(status, ended.into()),
        Ok(Found::Rest(rest)) => rest,
        Ok(Found::Same) => {
            status.canonical_image_name = Some(plan.repository.to_string());
            status.observed_exclusion_list = plan.exclusions;
            if let Some(last) = &mut status.last_scan_result {
                last.scan_time = Some(Time(now));
            }
            plan.interval
        }
        Ok(Found::Scan(scan, change)) => {
            shrunk = shrink_note(&plan, scan.epoch(), change);
            status.canonical_image_name = Some(plan.repository.to_string());
            status.observed_exclusion_list = plan.exclusions;
            status.last_scan_result = Some(ScanResult {
                revision: Some(scan.epoch().revision.clone()),
                tag_count: i64::try_from(scan.epoch().n_tags).unwrap_or(i64::MAX),
                scan_time: Some(Time(now)),
                latest_tags: scan.latest().map(str::to_owned).collect(),
            });
            plan.interval
        }
    };
    let last = status.last_scan_result.as_ref();
    let message = format!(
        "successful scan: found {} tags with checksum {}",
        last.map_or(0, |last| last.tag_count),
        last.and_then(|last| last.revision.as_deref())
            .unwrap_or_default()
    );
    let note = ready_note(object, reasons::SUCCEEDED, &message);
    let outcome = Outcome::Ready {
        reason: reasons::SUCCEEDED,
        message,
        next: Interval::Exactly(next),
    };
    let mut report = Report::new(status, outcome);
    report.notes.extend(note);
    report.notes.extend(shrunk);
    report
}

/// Returns the warning that most of the tags are gone, which may be a registry's mistake.
fn shrink_note(plan: &Plan, epoch: &tags::Epoch, change: tags::Change) -> Option<Note> {
    let tags::Change::Replaced { n_before, .. } = change else {
        return None;
    };
    let n_after = epoch.n_tags;
    (n_before > SHRINK_FACTOR * n_after).then(|| {
        let message = format!(
            "the scan of {} found {n_after} tags, the one before {n_before}; policies keep a tag \
             that is gone until a second scan confirms it",
            plan.repository
        );
        Note::warning(reasons::TAGS_SHRUNK, message)
    })
}

fn compile(exclusions: &[String]) -> Result<Vec<Pattern>, String> {
    let compiled = exclusions.iter().map(|text| {
        Pattern::new(text).map_err(|error| format!("failed to compile regex {text}: {error}"))
    });
    compiled.collect()
}

/// Returns under which name an object's scans are stored.
pub(super) fn owner(object: &ImageRepository) -> tags::Owner {
    tags::Owner {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

#[cfg(test)]
mod tests;
