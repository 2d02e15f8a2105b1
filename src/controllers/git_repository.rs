//! GitRepository: keeps an artifact of what a reference of a remote is.
//!
//! Decide: is the spec usable, what is wanted. Act: what does the remote have, fetch what is new,
//! publish it. A commit that an automation has just pushed is taken from its hands, without asking the
//! remote. Report: Flux's conditions and events. A failure keeps the artifact.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff;
use kube::Client;

use super::artifacts::Artifacts;
use super::git_access;
use super::objects::World;
use super::{Failure, failed, not_supported, wakes};
use crate::api::annotations::{EVENT_SOURCE_DIGEST, EVENT_SOURCE_REVISION, SOURCE_CONTROLLER};
use crate::api::conditions::{ARTIFACT_IN_STORAGE, FETCH_FAILED, READY, STORAGE_OPERATION_FAILED};
use crate::api::{
    Artifact, ConditionStatus, GitRepository, GitRepositorySpec, GitRepositoryStatus,
    KustomizationSourceKind, reasons,
};
use crate::git::{self, Checkout, Git, RemoteUrl, Selector};
use crate::reconcile::{
    Aspect, Change, Clock, Controller, Decision, Interval, Key, Kind, Note, Outcome, Progress,
    Report, Timestamp, kept_aspects,
};
use crate::source::Record;

/// Keeps artifacts for GitRepositories.
pub(super) struct GitRepositories {
    pub client: Client,
    pub clock: Clock,
    pub git: Git,
    pub artifacts: Arc<Artifacts>,
    pub world: Arc<World>,
}

/// What to look for, and how often.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    selector: Selector,
    interval: Duration,
}

/// What came of a plan.
pub(super) struct Done {
    interval: Duration,
    found: Result<Found, Trouble>,
}

enum Found {
    /// The artifact is of what the remote has; only its URL may be another, after a restart.
    Same { url: String },
    /// A new artifact.
    Stored {
        artifact: Artifact,
        /// The first line of the commit's message.
        subject: String,
    },
}

/// Why there is no new artifact.
struct Trouble {
    /// The condition that tells it beside Ready.
    aspect: &'static str,
    failure: Failure,
}

fn fetch_failed(reason: &'static str, message: String) -> Trouble {
    Trouble {
        aspect: FETCH_FAILED,
        failure: failed(reason, message),
    }
}

impl Controller for GitRepositories {
    type Object = GitRepository;
    type Plan = Plan;
    type Done = Done;
    const MANAGER: &'static str = SOURCE_CONTROLLER;
    const ASPECTS: &'static [&'static str] =
        &[ARTIFACT_IN_STORAGE, FETCH_FAILED, STORAGE_OPERATION_FAILED];

    fn decide(&self, object: &GitRepository, _: Timestamp) -> Decision<Plan, GitRepositoryStatus> {
        decide(object)
    }

    async fn act(&self, object: &Arc<GitRepository>, plan: Plan, progress: &Progress) -> Done {
        Done {
            interval: plan.interval,
            found: self.find(object, &plan.selector, progress).await,
        }
    }

    fn report(
        &self,
        object: &GitRepository,
        done: Done,
        _: Timestamp,
    ) -> Report<GitRepositoryStatus> {
        report(object, done)
    }

    async fn finalize(&self, object: &Arc<GitRepository>) -> Result<(), String> {
        let removed = self.artifacts.remove(object).await;
        removed.map_err(|error| error.to_string())
    }

    fn changed(&self, change: &Change<GitRepository>) {
        if wakes::source_spec_changed(change) {
            let automations = &self.world.image_update_automations;
            let named = |automation: &_| wakes::automation_names(automation, &change.key);
            automations.wake_all(automations.store.filter(named));
        }
        if wakes::artifact_changed(change) {
            let kustomizations = &self.world.kustomizations;
            let git = KustomizationSourceKind::GitRepository;
            let named = |object: &_| wakes::kustomization_names(object, git, &change.key);
            kustomizations.wake_all(kustomizations.store.filter(named));
        }
    }
}

impl GitRepositories {
    async fn find(
        &self,
        object: &GitRepository,
        selector: &Selector,
        progress: &Progress,
    ) -> Result<Found, Trouble> {
        let remote = git_access::remote(&self.client, object).await;
        let remote = remote.map_err(unreachable)?;
        let repository = self.git.repository(remote).await.map_err(checkout_failed)?;
        let artifact = object.status.as_ref().and_then(|s| s.artifact.as_ref());
        if let Some(checkout) = self.handed_over(object, &repository, selector, artifact) {
            return self.publish(object, &repository, &checkout).await;
        }
        progress.step("checking out the remote");
        let head = repository.head(selector).await.map_err(checkout_failed)?;
        if let Some(artifact) = artifact
            && artifact.revision == head.revision
            && is_made_as_asked(object)
            && let Some(record) = self.artifacts.at_hand(artifact)
        {
            let url = self.artifacts.url(&record);
            return Ok(Found::Same { url });
        }
        let checkout = repository.fetch(&head).await.map_err(checkout_failed)?;
        self.publish(object, &repository, &checkout).await
    }

    /// Returns the commit that was left for this object, if it follows on what the object has.
    fn handed_over(
        &self,
        object: &GitRepository,
        repository: &git::Repository,
        selector: &Selector,
        artifact: Option<&Artifact>,
    ) -> Option<Checkout> {
        let handover = self.artifacts.take_handover(&Key::of(object))?;
        if !matches!(selector, Selector::Branch(_)) {
            return None;
        }
        let parent = selector.revision(handover.parent?);
        let follows = artifact?.revision == parent
            && handover.url == repository.url()
            && handover.checkout.revision == selector.revision(handover.checkout.commit);
        follows.then_some(handover.checkout)
    }

    async fn publish(
        &self,
        object: &GitRepository,
        repository: &git::Repository,
        checkout: &Checkout,
    ) -> Result<Found, Trouble> {
        let now = self.clock.now();
        let published = self
            .artifacts
            .publish(object, repository, checkout, now)
            .await;
        let record = published.map_err(|error| Trouble {
            aspect: STORAGE_OPERATION_FAILED,
            failure: failed(
                reasons::ARCHIVE_OPERATION_FAILED,
                format!("unable to archive artifact to storage: {error}"),
            ),
        })?;
        Ok(Found::Stored {
            artifact: artifact(&record, self.artifacts.url(&record)),
            subject: checkout.subject(),
        })
    }
}

/// Returns the trouble of a remote whose Secrets or provider cannot be used.
fn unreachable(error: git_access::Error) -> Trouble {
    let message = error.to_string();
    match error {
        git_access::Error::Provider(_) | git_access::Error::Remote(git::Error::Provider { .. }) => {
            Trouble {
                aspect: FETCH_FAILED,
                failure: Failure {
                    reason: reasons::INVALID_PROVIDER_CONFIGURATION,
                    message,
                    stalls: true,
                },
            }
        }
        _ => fetch_failed(reasons::AUTHENTICATION_FAILED, message),
    }
}

fn checkout_failed(error: git::Error) -> Trouble {
    match error {
        git::Error::Empty => fetch_failed(reasons::EMPTY_GIT_REPOSITORY, error.to_string()),
        error => {
            let message = format!("failed to checkout and determine revision: {error}");
            fetch_failed(reasons::GIT_OPERATION_FAILED, message)
        }
    }
}

fn artifact(record: &Record, url: String) -> Artifact {
    let updated = record.updated.timestamp();
    Artifact {
        path: record.path.clone(),
        url,
        revision: record.revision.clone(),
        digest: record.digest.clone(),
        last_update_time: Time(jiff::Timestamp::from_second(updated).unwrap_or_default()),
        size: i64::try_from(record.size).ok(),
        metadata: std::collections::BTreeMap::new(),
    }
}

/// Returns the field of a spec that is not supported yet, if there is one.
fn unsupported(spec: &GitRepositorySpec) -> Option<&'static str> {
    let fields = [
        ("spec.verify", spec.verify.is_some()),
        ("spec.include", !spec.include.is_empty()),
        ("spec.recurseSubmodules", spec.recurse_submodules),
        ("spec.sparseCheckout", !spec.sparse_checkout.is_empty()),
    ];
    let set = fields.into_iter().find(|(_, is_set)| *is_set);
    git_access::unsupported(spec).or(set.map(|(field, _)| field))
}

/// Returns whether the artifact was made with the content options of the spec.
fn is_made_as_asked(object: &GitRepository) -> bool {
    let observed = object
        .status
        .as_ref()
        .and_then(|s| s.observed_ignore.as_ref());
    observed == object.spec.ignore.as_ref()
}

fn decide(object: &GitRepository) -> Decision<Plan, GitRepositoryStatus> {
    let spec = &object.spec;
    let stalled = |reason, message: String| {
        let status = object.status.clone().unwrap_or_default();
        let mut report = Report::new(status, Outcome::stalled(reason, message));
        report.aspects = kept_aspects(object.conditions(), &[ARTIFACT_IN_STORAGE]);
        Decision::Report(report)
    };
    if let Some(field) = unsupported(spec) {
        let status = object.status.clone().unwrap_or_default();
        let mut report = not_supported(status, field);
        report.aspects = kept_aspects(object.conditions(), &[ARTIFACT_IN_STORAGE]);
        return Decision::Report(report);
    }
    if let Some(reason) = git_access::misconfigured(spec) {
        return stalled(reasons::INVALID_PROVIDER_CONFIGURATION, reason.to_owned());
    }
    if let Err(error) = RemoteUrl::parse(&spec.url) {
        return stalled(reasons::URL_INVALID, error.to_string());
    }
    let interval = match super::duration("spec.interval", &spec.interval) {
        Ok(interval) => interval,
        Err(message) => return stalled(reasons::INVALID_OBJECT, message),
    };
    match git_access::selector(spec.reference.as_ref()) {
        Err(message) => stalled(reasons::GIT_OPERATION_FAILED, format!("spec.{message}")),
        Ok(selector) => Decision::Act(Plan { selector, interval }),
    }
}

fn report(object: &GitRepository, done: Done) -> Report<GitRepositoryStatus> {
    let mut status = object.status.clone().unwrap_or_default();
    let (stored, subject) = match done.found {
        Ok(Found::Stored { artifact, subject }) => (Some(artifact), Some(subject)),
        Ok(Found::Same { url }) => {
            let same = status.artifact.take();
            (same.map(|same| Artifact { url, ..same }), None)
        }
        Err(trouble) => return troubled(object, status, trouble),
    };
    let revision = stored.as_ref().map_or("", |artifact| &artifact.revision);
    let message = format!("stored artifact for revision '{revision}'");
    let note = stored.as_ref().and_then(|new| note(object, new, subject));
    status.artifact = stored;
    status.observed_ignore = object.spec.ignore.clone();
    let outcome = Outcome::Ready {
        reason: reasons::SUCCEEDED,
        message: message.clone(),
        next: Interval::Jittered(done.interval),
    };
    let mut report = Report::new(status, outcome);
    report.aspects.push(Aspect {
        type_: ARTIFACT_IN_STORAGE,
        status: ConditionStatus::True,
        reason: reasons::SUCCEEDED.to_owned(),
        message,
    });
    report.notes.extend(note);
    report
}

fn troubled(
    object: &GitRepository,
    status: GitRepositoryStatus,
    trouble: Trouble,
) -> Report<GitRepositoryStatus> {
    let Trouble { aspect, failure } = trouble;
    let mut aspects = kept_aspects(object.conditions(), &[ARTIFACT_IN_STORAGE]);
    aspects.push(Aspect {
        type_: aspect,
        status: ConditionStatus::True,
        reason: failure.reason.to_owned(),
        message: failure.message.clone(),
    });
    let mut report = Report::new(status, failure.into());
    report.aspects = aspects;
    report
}

/// Returns the event of an artifact: of new content, or of the recovery from a failure.
fn note(object: &GitRepository, new: &Artifact, subject: Option<String>) -> Option<Note> {
    let old = object.status.as_ref().and_then(|s| s.artifact.as_ref());
    let is_new = old.is_none_or(|old| old.digest != new.digest);
    let ready = object.conditions().iter().find(|c| c.type_ == READY);
    let was_failing = ready.is_some_and(|ready| ready.status == ConditionStatus::False);
    if !is_new && !was_failing {
        return None;
    }
    let reason = match is_new {
        true => reasons::NEW_ARTIFACT,
        false => reasons::SUCCEEDED,
    };
    let commit = subject.filter(|subject| !subject.is_empty());
    let commit = commit.unwrap_or_else(|| new.revision.clone());
    let note = Note::normal(reason, format!("stored artifact for commit '{commit}'"));
    Some(
        note.with(EVENT_SOURCE_REVISION, &new.revision)
            .with(EVENT_SOURCE_DIGEST, &new.digest),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const REVISION: &str = "main@sha1:b59a33ac2ab4d6a0c6b8c0c2e1f7b9c0d5e4f3a2";

    fn object(spec: Value, status: Value) -> GitRepository {
        let mut all = json!({"url": "https://example.com/fleet", "interval": "5m"});
        let spec = spec.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(spec);
        let metadata = json!({"name": "fleet", "namespace": "apps", "generation": 1});
        serde_json::from_value(json!({"metadata": metadata, "spec": all, "status": status}))
            .unwrap()
    }

    fn stored(digest: &str) -> Artifact {
        serde_json::from_value(json!({
            "path": "gitrepository/apps/fleet/b59a.tar.gz", "url": "http://x/y", "size": 7,
            "revision": REVISION, "digest": digest, "lastUpdateTime": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn specs_that_cannot_be_followed_stall_with_the_field() {
        let secret = json!({"secretRef": {"name": "k"}});
        for (spec, reason, message) in [
            (
                json!({"verify": secret}),
                "NotSupported",
                "spec.verify is not supported yet",
            ),
            (
                json!({"include": [{"repository": {"name": "x"}}]}),
                "NotSupported",
                "spec.include is not supported yet",
            ),
            (
                json!({"recurseSubmodules": true}),
                "NotSupported",
                "spec.recurseSubmodules is not supported yet",
            ),
            (
                json!({"provider": "github"}),
                "InvalidProviderConfiguration",
                "secretRef with github app data must be specified when provider is set to github",
            ),
            (
                json!({"url": "git://example.com/x"}),
                "URLInvalid",
                "git://",
            ),
            (
                json!({"ref": {"branch": "a..b"}}),
                "GitOperationFailed",
                "spec.ref.branch",
            ),
            (
                json!({"ref": {"semver": "latest"}}),
                "GitOperationFailed",
                "spec.ref.semver",
            ),
        ] {
            let decision = decide(&object(spec, json!({})));
            let Decision::Report(report) = decision else {
                panic!("{message}: {decision:?}");
            };
            let Outcome::Stalled {
                reason: r,
                message: m,
            } = report.outcome
            else {
                panic!("{message}: {:?}", report.outcome);
            };
            assert_eq!(r, reason, "{m}");
            assert!(m.contains(message), "{m}");
        }
    }

    fn reported(
        object: &GitRepository,
        found: Result<Found, Trouble>,
    ) -> Report<GitRepositoryStatus> {
        let interval = Duration::from_secs(300);
        report(object, Done { interval, found })
    }

    fn told(report: &Report<GitRepositoryStatus>) -> Vec<(&str, &str)> {
        let notes = report.notes.iter();
        notes
            .map(|note| (note.reason.as_str(), note.message.as_str()))
            .collect()
    }

    #[test]
    fn a_new_artifact_is_told_by_the_commit_and_an_old_one_is_not() {
        let found = || Found::Stored {
            artifact: stored("sha256:aa"),
            subject: "Add web".to_owned(),
        };
        let first = reported(&object(json!({}), json!({})), Ok(found()));
        assert_eq!(
            told(&first),
            [("NewArtifact", "stored artifact for commit 'Add web'")]
        );
        assert_eq!(first.notes[0].metadata[EVENT_SOURCE_REVISION], REVISION);
        assert_eq!(first.status.artifact, Some(stored("sha256:aa")));
        let message = format!("stored artifact for revision '{REVISION}'");
        assert_eq!(first.aspects[0].message, message);
        let status = serde_json::to_value(&first.status).unwrap();
        let again = object(json!({}), status);
        let url = "http://x/y".to_owned();
        for found in [Found::Same { url }, found()] {
            let again = reported(&again, Ok(found));
            assert_eq!(told(&again), []);
            assert_eq!(again.status, first.status);
            assert_eq!(again.outcome, first.outcome);
        }
    }

    #[test]
    fn a_failed_fetch_keeps_the_artifact_and_its_recovery_is_told() {
        let condition = |type_: &str, status: &str| {
            json!({"type": type_, "status": status, "reason": "Succeeded", "message": "stored",
                "lastTransitionTime": "2026-01-01T00:00:00Z"})
        };
        let status = |ready: &str| {
            json!({"artifact": stored("sha256:aa"),
                "conditions": [condition("Ready", ready), condition("ArtifactInStorage", "True")]})
        };
        let good = object(json!({}), status("True"));
        let trouble = fetch_failed(reasons::GIT_OPERATION_FAILED, "no route".to_owned());
        let report = reported(&good, Err(trouble));
        let types: Vec<_> = report.aspects.iter().map(|aspect| aspect.type_).collect();
        assert_eq!(types, [ARTIFACT_IN_STORAGE, FETCH_FAILED]);
        assert_eq!(
            report.outcome,
            Outcome::failed(reasons::GIT_OPERATION_FAILED, "no route")
        );
        assert_eq!(report.status.artifact, Some(stored("sha256:aa")));
        let bad = object(json!({}), status("False"));
        let url = "http://x/z".to_owned();
        let report = reported(&bad, Ok(Found::Same { url: url.clone() }));
        assert_eq!(report.status.artifact.as_ref().map(|a| &a.url), Some(&url));
        let recovered = format!("stored artifact for commit '{REVISION}'");
        assert_eq!(told(&report), [("Succeeded", recovered.as_str())]);
    }
}
