//! ImagePolicy: chooses the latest tag of a stored scan, and looks its digest up where it is asked.
//!
//! Decide: is the policy one, is its ImageRepository there. Act: access, tags, choice, digest.
//! Report: the new reference, what it was before, Flux's message. A failure keeps the reference, and
//! so does a choice that would be older than it until a second scan confirms it (`downgrade`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use kube::{Client, ResourceExt};

use super::choices::{Choices, Question, Trouble};
use super::downgrade::{self, Downgrade, Scans, Verdict};
use super::image_access::{self, access};
use super::objects::World;
use super::{Failure, failed, image_repository, ready_note, secrets, wakes};
use crate::api::annotations::IMAGE_REFLECTOR;
use crate::api::{
    AccessFrom, DigestReflectionPolicy, ImagePolicy, ImagePolicyStatus, ImageRef, ImageRepository,
    reasons,
};
use crate::image::{Repository, Tag};
use crate::policy::{Policy, digest};
use crate::reconcile::{
    Change, Controller, Decision, Interval, Key, Note, Outcome, Progress, Report, Timestamp,
};
use crate::{registry, tags};

/// When to look again for what should have woken the policy, as Flux's `--requeue-dependency`.
const DEPENDENCY_RETRY: Duration = Duration::from_secs(30);
/// What Flux says when a policy has nothing to choose among yet.
const NO_TAGS: &str = "retrying in 30s error: no tags in database";

/// Chooses for ImagePolicies.
pub(super) struct ImagePolicies {
    pub client: Client,
    pub registry: Arc<registry::Client>,
    pub tags: Arc<tags::Store>,
    pub world: Arc<World>,
    pub choices: Arc<Choices>,
}

/// What to choose among, and how.
#[derive(Debug)]
pub(super) struct Plan {
    policy: Policy,
    repository: Arc<ImageRepository>,
    image: Repository,
    downgrade: Downgrade,
    /// When the digest is looked up again.
    interval: Option<Duration>,
}

/// What came of a plan.
pub(super) struct Done {
    interval: Option<Duration>,
    chosen: Result<Chosen, Trouble>,
}

/// What was chosen.
#[derive(Debug)]
enum Chosen {
    /// The latest tag.
    Latest {
        reference: ImageRef,
        /// The newer tag that was recorded and is gone.
        instead_of: Option<String>,
    },
    /// A tag that is older than the recorded one, which stays.
    Held { tag: String, newer: String },
}

impl Controller for ImagePolicies {
    type Object = ImagePolicy;
    type Plan = Plan;
    type Done = Done;
    const MANAGER: &'static str = IMAGE_REFLECTOR;

    fn decide(&self, object: &ImagePolicy, _: Timestamp) -> Decision<Plan, ImagePolicyStatus> {
        let key = repository_key(object);
        decide(object, &key, self.world.image_repositories.store.get(&key))
    }

    async fn act(&self, object: &Arc<ImagePolicy>, plan: Plan, _: &Progress) -> Done {
        let interval = plan.interval;
        let chosen = self.choose(object, plan).await;
        crate::failpoint::hit("policy.before_status");
        Done { interval, chosen }
    }

    fn report(&self, object: &ImagePolicy, done: Done, _: Timestamp) -> Report<ImagePolicyStatus> {
        report(object, done)
    }

    async fn finalize(&self, object: &Arc<ImagePolicy>) -> Result<(), String> {
        let key = Key::of(object.as_ref());
        self.choices.forget(&key);
        self.choices.set_waiting(&key, None);
        Ok(())
    }

    fn changed(&self, change: &Change<ImagePolicy>) {
        if wakes::choice_changed(change) {
            let automations = &self.world.image_update_automations;
            automations.wake_all(automations.store.of_namespace(&change.key.namespace));
            crate::failpoint::hit("policy.after_status");
        }
    }
}

impl ImagePolicies {
    async fn choose(&self, object: &ImagePolicy, plan: Plan) -> Result<Chosen, Trouble> {
        self.check_access(object, &plan.repository).await?;
        let Plan {
            policy,
            repository,
            image,
            downgrade,
            ..
        } = plan;
        let owner = image_repository::owner(&repository);
        let question = Question::new(owner.clone(), image.to_string(), &object.spec);
        let name = repository.spec.image.clone();
        let latest = object.status.as_ref().and_then(|s| s.latest_ref.as_ref());
        let guard = Guard {
            recorded: latest.cloned().filter(|_| downgrade == Downgrade::Confirm),
            name: name.clone(),
            last_scan: last_scan(&repository),
            // A repository whose interval does not read is never scanned again.
            interval: super::duration("spec.interval", &repository.spec.interval)
                .unwrap_or(Duration::MAX),
        };
        let (choices, store, key) = (self.choices.clone(), self.tags.clone(), Key::of(object));
        // A million tags take a while, and a store reads from disk.
        let chosen = tokio::task::spawn_blocking(move || {
            crate::failpoint::hit("policy.before_eval");
            let tag = choices.choose(&key, &question, &policy, &store)?.tag;
            let verdict = guard.judge(&tag, &policy, &question, &store)?;
            Ok::<_, Trouble>((tag, verdict))
        });
        let chosen = chosen.await;
        let chosen = chosen.map_err(|error| failed(reasons::FAILURE, error.to_string()))?;
        let is_held = matches!(chosen, Ok((_, Verdict::Held { .. })));
        let scanned = Key::of(repository.as_ref());
        let waits_for = is_held.then_some(&scanned);
        self.choices.set_waiting(&Key::of(object), waits_for);
        let (tag, instead_of) = match chosen? {
            (tag, Verdict::Held { newer }) => return Ok(Chosen::Held { tag, newer }),
            (tag, Verdict::Confirmed { newer }) => (tag, Some(newer)),
            (tag, Verdict::Taken) => (tag, None),
        };
        let reflection = object.spec.digest_reflection_policy;
        let digest = match digest::decide(reflection, latest, &name, &tag) {
            digest::Action::Clear => None,
            digest::Action::Keep(digest) => Some(digest.to_owned()),
            digest::Action::Fetch => {
                let digest = self.digest(&repository, &image, &tag).await?;
                self.record(owner, tag.clone(), digest.clone()).await?;
                Some(digest)
            }
        };
        let reference = ImageRef { name, tag, digest };
        Ok(Chosen::Latest {
            reference,
            instead_of,
        })
    }

    /// Stores the digest of a tag, so that its history has when it moved.
    async fn record(&self, owner: tags::Owner, tag: String, digest: String) -> Result<(), Trouble> {
        let store = self.tags.clone();
        let recorded = tokio::task::spawn_blocking(move || {
            store.keep_digest(&owner, &tag, &digest, Utc::now())
        });
        let recorded = recorded.await;
        recorded.map_err(|error| failed(reasons::FAILURE, error.to_string()))??;
        Ok(())
    }

    async fn check_access(
        &self,
        object: &ImagePolicy,
        repository: &ImageRepository,
    ) -> Result<(), Failure> {
        let own = object.namespace().unwrap_or_default();
        if repository.namespace().as_deref() == Some(&own) {
            return Ok(());
        }
        let name = Key::of(repository);
        let denied = |why: &str| {
            let message = format!("access denied: '{name}' can't be accessed due to {why}");
            failed(reasons::ACCESS_DENIED, message)
        };
        let Some(access_from) = &repository.spec.access_from else {
            return Err(denied("missing ACL labels on 'accessFrom'"));
        };
        let labels = secrets::namespace_labels(&self.client, &own).await;
        let labels = labels.map_err(|error| failed(reasons::ACCESS_DENIED, error.to_string()))?;
        if !admits(access_from, &labels) {
            return Err(denied(&format!("ACL labels mismatch on namespace '{own}'")));
        }
        Ok(())
    }

    async fn digest(
        &self,
        object: &ImageRepository,
        image: &Repository,
        tag: &str,
    ) -> Result<String, Failure> {
        let name = &object.spec.image;
        let failed = |why: String| {
            let message = format!("failed fetching digest of {name}:{tag}: {why}");
            failed(reasons::FAILED, message)
        };
        if let Some(why) = image_access::gated(&object.spec) {
            return Err(failed(why.to_owned()));
        }
        let timeout = image_access::timeout(&object.spec).map_err(failed)?;
        let access = access(&self.client, object, image, timeout).await;
        let access = access.map_err(|error| failed(error.to_string()))?;
        let tag = Tag::parse(tag).map_err(|error| failed(error.to_string()))?;
        let digest = self.registry.digest(image, &tag, &access).await;
        let digest = digest.map_err(|error| failed(error.to_string()))?;
        Ok(digest.to_string())
    }
}

/// What a choice is held against.
struct Guard {
    recorded: Option<ImageRef>,
    name: String,
    last_scan: Option<DateTime<Utc>>,
    interval: Duration,
}

impl Guard {
    /// Returns what becomes of a choice. Reads the history only where the choice is older.
    fn judge(
        &self,
        tag: &str,
        policy: &Policy,
        question: &Question,
        store: &tags::Store,
    ) -> Result<Verdict, tags::Error> {
        let recorded = downgrade::recorded(self.recorded.as_ref(), &self.name, tag);
        let Some(newer) = recorded.filter(|newer| policy.is_before(tag, newer)) else {
            return Ok(Verdict::Taken);
        };
        let absent_since = store.absent_since(&question.owner, &question.repository, newer)?;
        let scans = Scans {
            absent_since,
            last: self.last_scan,
            interval: self.interval,
        };
        Ok(downgrade::judge(newer, scans))
    }
}

/// Returns when the last complete scan was.
fn last_scan(repository: &ImageRepository) -> Option<DateTime<Utc>> {
    let last = repository.status.as_ref()?.last_scan_result.as_ref()?;
    DateTime::from_timestamp(last.scan_time.as_ref()?.0.as_second(), 0)
}

/// Returns the name of the ImageRepository that a policy chooses from.
fn repository_key(object: &ImagePolicy) -> Key {
    let reference = &object.spec.image_repository_ref;
    let namespace = reference.namespace.clone().or_else(|| object.namespace());
    Key::new(namespace.unwrap_or_default(), reference.name.clone())
}

/// Returns whether one of the selectors selects a namespace with these labels.
fn admits(access_from: &AccessFrom, labels: &BTreeMap<String, String>) -> bool {
    access_from.namespace_selectors.iter().any(|selector| {
        let mut wanted = selector.match_labels.iter();
        wanted.all(|(name, value)| labels.get(name) == Some(value))
    })
}

fn decide(
    object: &ImagePolicy,
    key: &Key,
    repository: Option<Arc<ImageRepository>>,
) -> Decision<Plan, ImagePolicyStatus> {
    let spec = &object.spec;
    let stalled = |reason, message: String| {
        let status = object.status.clone().unwrap_or_default();
        Decision::Report(Report::new(status, Outcome::stalled(reason, message)))
    };
    let interval = match (&spec.interval, spec.digest_reflection_policy) {
        (Some(interval), DigestReflectionPolicy::Always) => {
            match super::duration("spec.interval", interval) {
                Ok(interval) => Some(interval),
                Err(message) => return stalled(reasons::INVALID_OBJECT, message),
            }
        }
        (None, DigestReflectionPolicy::Always) => {
            let message =
                "spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'";
            return stalled(reasons::INTERVAL_NOT_CONFIGURED, message.to_owned());
        }
        (_, _) => None,
    };
    let downgrade = match Downgrade::of(object) {
        Ok(downgrade) => downgrade,
        Err(message) => return stalled(reasons::INVALID_OBJECT, message),
    };
    let Some(repository) = repository else {
        let message = format!(
            "failed to get the referred ImageRepository: referenced ImageRepository does not exist: \
             imagerepositories.image.toolkit.fluxcd.io \"{}\" not found",
            key.name
        );
        return Decision::Report(waiting(object, message));
    };
    let image = match Repository::parse_image_field(&repository.spec.image) {
        Ok(image) => image,
        Err(error) => return stalled(reasons::IMAGE_URL_INVALID, error.to_string()),
    };
    match Policy::from_spec(spec) {
        Err(error) => stalled(reasons::INVALID_POLICY, error.to_string()),
        Ok(policy) => Decision::Act(Plan {
            policy,
            repository,
            image,
            downgrade,
            interval,
        }),
    }
}

fn report(object: &ImagePolicy, done: Done) -> Report<ImagePolicyStatus> {
    let status = object.status.clone().unwrap_or_default();
    let next = done.interval.map_or(Interval::Woken, Interval::Exactly);
    match done.chosen {
        Ok(Chosen::Latest {
            reference,
            instead_of,
        }) => taken(object, reference, instead_of.as_deref(), next),
        Ok(Chosen::Held { tag, newer }) => held(object, &tag, &newer, next),
        Err(Trouble::NoTags) => waiting(object, NO_TAGS.to_owned()),
        Err(Trouble::Failed(failure)) => Report::new(status, failure.into()),
    }
}

/// Reports the latest tag.
fn taken(
    object: &ImagePolicy,
    chosen: ImageRef,
    instead_of: Option<&str>,
    next: Interval,
) -> Report<ImagePolicyStatus> {
    let mut status = object.status.clone().unwrap_or_default();
    let moved = status
        .latest_ref
        .as_ref()
        .and_then(|latest| moved_note(latest, &chosen));
    if let Some(latest) = status.latest_ref.take()
        && latest != chosen
    {
        status.observed_previous_ref = Some(latest);
    }
    let message = ready_message(&chosen, status.observed_previous_ref.as_ref());
    let confirmed = instead_of.map(|newer| {
        let ImageRef { name, tag, .. } = &chosen;
        let message = format!(
            "a second complete scan of {name} has confirmed that {newer} is gone; {tag}, which is \
             older, is the latest now"
        );
        Note::warning(reasons::DOWNGRADE_CONFIRMED, message)
    });
    status.latest_ref = Some(chosen);
    let note = ready_note(object, reasons::SUCCEEDED, &message);
    let outcome = Outcome::Ready {
        reason: reasons::SUCCEEDED,
        message,
        next,
    };
    let mut report = Report::new(status, outcome);
    report.notes.extend(confirmed);
    report.notes.extend(moved);
    report.notes.extend(note);
    report
}

/// Reports that the recorded tag stays although a scan has missed it.
fn held(object: &ImagePolicy, tag: &str, newer: &str, next: Interval) -> Report<ImagePolicyStatus> {
    let status = object.status.clone().unwrap_or_default();
    let name = status.latest_ref.as_ref().map_or("", |latest| &latest.name);
    let message = format!(
        "Latest image tag for {name} stays {newer}: {tag} is older, and only one complete scan has \
         missed {newer}"
    );
    let is_new = ready_note(object, reasons::DOWNGRADE_HELD, &message).is_some();
    let note = is_new.then(|| Note::warning(reasons::DOWNGRADE_HELD, &message));
    let outcome = Outcome::Ready {
        reason: reasons::DOWNGRADE_HELD,
        message,
        next,
    };
    let mut report = Report::new(status, outcome);
    report.notes.extend(note);
    report
}

/// Returns the event that the same tag has another digest than it had.
fn moved_note(latest: &ImageRef, chosen: &ImageRef) -> Option<Note> {
    let ImageRef { name, tag, digest } = chosen;
    let (from, to) = (latest.digest.as_ref()?, digest.as_ref()?);
    (latest.name == *name && latest.tag == *tag && from != to).then(|| {
        let message = format!("tag {tag} of {name} moved from {from} to {to}");
        Note::normal(reasons::TAG_MOVED, message)
    })
}

fn ready_message(latest: &ImageRef, previous: Option<&ImageRef>) -> String {
    let ImageRef { name, tag, digest } = latest;
    let mut message = format!("Latest image tag for {name} resolved to {tag}");
    if let Some(digest) = digest {
        message += &format!(" with digest {digest}");
    }
    if let Some(previous) = previous.filter(|previous| *previous != latest) {
        message += &format!(" (previously {previous})");
    }
    message
}

fn waiting(object: &ImagePolicy, message: String) -> Report<ImagePolicyStatus> {
    let reason = reasons::DEPENDENCY_NOT_READY;
    let note = Note::warning(reason, &message);
    let outcome = Outcome::Waiting {
        reason,
        message,
        retry: DEPENDENCY_RETRY,
    };
    let mut report = Report::new(object.status.clone().unwrap_or_default(), outcome);
    report.notes.push(note);
    report
}

#[cfg(test)]
mod tests;
