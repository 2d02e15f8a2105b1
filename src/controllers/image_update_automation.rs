//! ImageUpdateAutomation: writes what policies chose into a branch, as one commit.
//!
//! Decide: which policies, which source, where to push, and whether anything can have changed. Act: the
//! edit is made anew on whatever the branch's head is until it lands. Report: Flux's status and events.
//! A commit that landed is handed to its source, which need not fetch it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Client, ResourceExt};
use tracing::warn;

use super::artifacts::{Artifacts, Handover};
use super::edit::{Edit, EditError};
use super::git_access;
use super::objects::World;
use super::{Failure, failed, not_supported, ready_note, selector};
use crate::api::annotations::{IMAGE_AUTOMATION, REQUESTED_AT};
use crate::api::conditions::READY;
use crate::api::{
    ConditionStatus, GitReference, GitRepository, GitSpec, ImagePolicy, ImageRef,
    ImageUpdateAutomation, ImageUpdateAutomationStatus, reasons,
};
use crate::failpoint;
use crate::git::{self, Basis, Git, Landed, ObjectId, Pushed, Selector, Target};
use crate::reconcile::{
    Change, Clock, Controller, Decision, Interval, Key, Kind, Note, Outcome, Progress, Report,
    Timestamp,
};

/// What Ready says when there is nothing to do, and after a push as well.
const UP_TO_DATE: &str = "repository up-to-date";
/// How many digits of a commit an event shows.
const SHORT_COMMIT: usize = 7;

/// Updates for ImageUpdateAutomations.
pub(super) struct ImageUpdateAutomations {
    pub client: Client,
    pub clock: Clock,
    pub git: Git,
    pub artifacts: Arc<Artifacts>,
    pub world: Arc<World>,
}

/// What to write, and where.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    source: Arc<GitRepository>,
    checkout: Selector,
    branch: String,
    /// Whether the branch that is pushed to is another than the one that is checked out.
    switches: bool,
    policies: BTreeMap<String, ImageRef>,
    /// Whether a run is needed even if the remote stands still.
    full: bool,
    interval: Duration,
    started: Timestamp,
}

/// What a run would be made on.
pub(super) struct Preview {
    /// What the selected policies have chosen.
    pub policies: BTreeMap<String, ImageRef>,
    /// The head.
    pub basis: Basis,
}

/// What came of a plan.
pub(super) struct Done {
    plan: Plan,
    result: Result<Run, Failure>,
}

enum Run {
    /// Neither the policies nor the remote have changed.
    Skipped,
    /// Nothing to write at this revision.
    Unchanged { revision: String },
    /// A commit that landed.
    Pushed {
        commit: ObjectId,
        message: String,
        /// What the source's branch is now.
        revision: String,
    },
}

impl Controller for ImageUpdateAutomations {
    type Object = ImageUpdateAutomation;
    type Plan = Plan;
    type Done = Done;
    const MANAGER: &'static str = IMAGE_AUTOMATION;

    fn decide(
        &self,
        object: &ImageUpdateAutomation,
        now: Timestamp,
    ) -> Decision<Plan, ImageUpdateAutomationStatus> {
        let namespace = object.namespace().unwrap_or_default();
        let policies = self.world.image_policies.store.of_namespace(&namespace);
        let source = source_key(object);
        let source = self.world.git_repositories.store.get(&source);
        decide(object, &policies, source, now)
    }

    async fn act(
        &self,
        object: &Arc<ImageUpdateAutomation>,
        plan: Plan,
        progress: &Progress,
    ) -> Done {
        let result = self.run(object, &plan, progress).await;
        Done { plan, result }
    }

    fn report(
        &self,
        object: &ImageUpdateAutomation,
        done: Done,
        now: Timestamp,
    ) -> Report<ImageUpdateAutomationStatus> {
        report(object, done, now)
    }

    async fn finalize(&self, _: &Arc<ImageUpdateAutomation>) -> Result<(), String> {
        Ok(())
    }

    fn changed(&self, _: &Change<ImageUpdateAutomation>) {}
}

impl ImageUpdateAutomations {
    async fn run(
        &self,
        object: &ImageUpdateAutomation,
        plan: &Plan,
        progress: &Progress,
    ) -> Result<Run, Failure> {
        let remote = git_access::remote(&self.client, &plan.source).await;
        let remote = remote.map_err(source_failed)?;
        let repository = self.git.repository(remote).await.map_err(source_failed)?;
        progress.step("checking out the source");
        let checkout = self.checkout(&repository, object, plan).await?;
        let Some(head) = checkout else {
            return Ok(Run::Skipped);
        };
        let edit = Edit::new(object, &plan.policies, self.clock.now());
        let edit = edit.map_err(|error| {
            let message = format!("failed to apply policies: {error}");
            failed(reasons::UPDATE_FAILED, message)
        })?;
        let target = Target {
            branch: plan.branch.clone(),
            base: plan.switches.then(|| plan.checkout.clone()),
        };
        progress.step(format!("updating branch '{}'", plan.branch));
        let last = edit.last();
        let pushed = repository
            .push_with(&target, move |basis| edit.make(basis))
            .await;
        for line in last.take_ineffective() {
            let key = Key::of(object);
            warn!(%key, marker = %line, "A marker has no effect.");
        }
        match pushed.map_err(run_failed)? {
            Pushed::Landed(landed) => {
                self.hand_over(&repository, plan, &landed);
                failpoint::hit("update.before_status");
                let commit = landed.checkout.commit;
                Ok(Run::Pushed {
                    commit,
                    message: landed.checkout.message,
                    revision: match plan.switches {
                        true => head.revision,
                        false => plan.checkout.revision(commit),
                    },
                })
            }
            Pushed::Unchanged(basis) => Ok(Run::Unchanged {
                revision: match (plan.switches, basis.commit) {
                    (false, Some(commit)) => plan.checkout.revision(commit),
                    _ => head.revision,
                },
            }),
            Pushed::Refused(refusal) => {
                let mut why = format!("{}: {}", refusal.reference, refusal.reason);
                for message in &refusal.messages {
                    why += &format!("\n{message}");
                }
                Err(push_failed(&why))
            }
            Pushed::Beaten => Err(push_failed(&format!(
                "non-fast-forward update: refs/heads/{}: others were always faster",
                plan.branch
            ))),
        }
    }

    /// Returns what a run would be made on, without making it. Fails in Flux's words.
    pub async fn preview(&self, plan: Plan) -> Result<Preview, String> {
        let remote = git_access::remote(&self.client, &plan.source).await;
        let remote = remote.map_err(|error| error.to_string())?;
        let repository = self.git.repository(remote).await;
        let repository = repository.map_err(|error| error.to_string())?;
        let selector = match plan.switches {
            true => plan.checkout,
            false => Selector::Branch(plan.branch),
        };
        let checkout = repository.checkout(&selector).await;
        let checkout = checkout.map_err(|error| format!("failed to checkout source: {error}"))?;
        let basis = Basis {
            tree: checkout.tree,
            commit: Some(checkout.commit),
            message: checkout.message,
        };
        Ok(Preview {
            policies: plan.policies,
            basis,
        })
    }

    /// Returns what is checked out, or nothing when a run cannot bring anything new.
    async fn checkout(
        &self,
        repository: &git::Repository,
        object: &ImageUpdateAutomation,
        plan: &Plan,
    ) -> Result<Option<git::Head>, Failure> {
        let found = repository.head(&plan.checkout).await;
        let found = found.map_err(|error| {
            let message = format!("failed to checkout source: {error}");
            failed(reasons::GIT_OPERATION_FAILED, message)
        })?;
        let observed = object.status.as_ref();
        let observed = observed.and_then(|status| status.observed_source_revision.as_ref());
        let is_new = observed != Some(&found.revision);
        Ok((plan.full || is_new).then_some(found))
    }

    /// Gives a commit to the source of the branch, and a turn.
    fn hand_over(&self, repository: &git::Repository, plan: &Plan, landed: &Landed) {
        let key = Key::of(plan.source.as_ref());
        let handover = Handover {
            url: repository.url().to_owned(),
            parent: landed.parent,
            checkout: landed.checkout.clone(),
        };
        self.artifacts.hand_over(key.clone(), handover);
        self.world.git_repositories.wake.wake(&key);
    }
}

fn source_failed(error: impl std::fmt::Display) -> Failure {
    let message = format!("failed configuring source manager: {error}");
    failed(reasons::SOURCE_MANAGER_FAILED, message)
}

fn push_failed(why: &str) -> Failure {
    let message = format!("failed to update source: failed to push to remote: {why}");
    failed(reasons::GIT_OPERATION_FAILED, message)
}

fn run_failed(error: git::Error) -> Failure {
    let git::Error::Recompute(cause) = &error else {
        return push_failed(&error.to_string());
    };
    match cause.downcast_ref::<EditError>() {
        Some(EditError::Update(error)) => {
            let message = format!("failed to apply policies: {error}");
            failed(reasons::UPDATE_FAILED, message)
        }
        Some(EditError::Message(error)) if error.is_removed_field() => Failure {
            reason: reasons::REMOVED_TEMPLATE_FIELD,
            message: error.to_string(),
            stalls: true,
        },
        _ => {
            let message = format!("failed to update source: {cause}");
            failed(reasons::GIT_OPERATION_FAILED, message)
        }
    }
}

/// Returns the name of the source.
fn source_key(object: &ImageUpdateAutomation) -> Key {
    let reference = &object.spec.source_ref;
    let namespace = reference.namespace.clone().or_else(|| object.namespace());
    Key::new(namespace.unwrap_or_default(), reference.name.clone())
}

/// Returns the field that is not supported yet, if there is one.
fn unsupported(git: &GitSpec) -> Option<&'static str> {
    if git.commit.signing_key.is_some() {
        return Some("spec.git.commit.signingKey");
    }
    let push = git.push.as_ref()?;
    if push.refspec.is_some() {
        return Some("spec.git.push.refspec");
    }
    (!push.options.is_empty()).then_some("spec.git.push.options")
}

/// Where a run begins and ends.
struct Route {
    checkout: Selector,
    branch: String,
    switches: bool,
}

/// Returns what is checked out and what is pushed to. Fails in Flux's words.
fn route(git: &GitSpec, source: &GitRepository) -> Result<Route, Failure> {
    let checkout = git.checkout.as_ref().map(|checkout| &checkout.reference);
    let reference: Option<&GitReference> = checkout.or(source.spec.reference.as_ref());
    let is_set = |branch: &&String| !branch.is_empty();
    let own = reference.and_then(|reference| reference.branch.as_ref());
    let own = own.filter(is_set);
    let pushed = git.push.as_ref().and_then(|push| push.branch.as_ref());
    let pushed = pushed.filter(is_set);
    let branch = pushed.or(own).cloned().ok_or_else(|| {
        source_failed(
            "push spec not provided, and cannot be inferred from .spec.git.checkout.ref or \
             GitRepository .spec.ref",
        )
    })?;
    let checkout = git_access::selector(reference).map_err(source_failed)?;
    let switches = match &checkout {
        Selector::Branch(checkout) => *checkout != branch,
        _ => true,
    };
    Ok(Route {
        checkout,
        branch,
        switches,
    })
}

fn decide(
    object: &ImageUpdateAutomation,
    policies: &[Arc<ImagePolicy>],
    source: Option<Arc<GitRepository>>,
    now: Timestamp,
) -> Decision<Plan, ImageUpdateAutomationStatus> {
    let spec = &object.spec;
    let status = || ImageUpdateAutomationStatus {
        last_automation_run_time: Some(Time(now)),
        ..object.status.clone().unwrap_or_default()
    };
    let ended = |failure: Failure| Decision::Report(Report::new(status(), failure.into()));
    let stalled = |reason, message: String| {
        ended(Failure {
            reason,
            message,
            stalls: true,
        })
    };
    if let Some(selector) = &spec.policy_selector
        && let Err(error) = selector::check(selector)
    {
        let message = format!("failed to parse policy selector: {error}");
        return stalled(reasons::INVALID_POLICY_SELECTOR, message);
    }
    let Some(git) = &spec.git else {
        let message = "source kind 'GitRepository' necessitates field .spec.git: invalid source \
                       configuration";
        return stalled(reasons::INVALID_SOURCE_CONFIGURATION, message.to_owned());
    };
    if let Some(field) = unsupported(git) {
        return Decision::Report(not_supported(status(), field));
    }
    let interval = match super::duration("spec.interval", &spec.interval) {
        Ok(interval) => interval,
        Err(message) => return stalled(reasons::INVALID_OBJECT, message),
    };
    let Some(source) = source else {
        return ended(source_failed(format!(
            "referenced git repository does not exist: gitrepositories.source.toolkit.fluxcd.io \
             \"{}\" not found",
            spec.source_ref.name
        )));
    };
    if let Some(field) = git_access::unsupported(&source.spec) {
        let field = format!("{field} of GitRepository '{}'", Key::of(source.as_ref()));
        return Decision::Report(not_supported(status(), &field));
    }
    let Route {
        checkout,
        branch,
        switches,
    } = match route(git, &source) {
        Ok(route) => route,
        Err(failure) => return ended(failure),
    };
    let policies = chosen(object, policies);
    let full = switches || must_run(object, &policies);
    Decision::Act(Plan {
        source,
        checkout,
        branch,
        switches,
        policies,
        full,
        interval,
        started: now,
    })
}

/// Returns what the selected policies have chosen, by their names.
fn chosen(
    object: &ImageUpdateAutomation,
    policies: &[Arc<ImagePolicy>],
) -> BTreeMap<String, ImageRef> {
    let selector = object.spec.policy_selector.as_ref();
    let selected = policies
        .iter()
        .filter(|policy| selector::selects(selector, policy.metadata.labels.as_ref()));
    let chosen = selected.filter_map(|policy| {
        let latest = policy.status.as_ref()?.latest_ref.clone()?;
        Some((policy.name_any(), latest))
    });
    chosen.collect()
}

/// Returns whether a run is needed even if the remote stands still. A change of the spec and a request
/// are reasons too, which they are not in Flux.
fn must_run(object: &ImageUpdateAutomation, policies: &BTreeMap<String, ImageRef>) -> bool {
    let observed = object
        .status
        .as_ref()
        .map(|status| &status.observed_policies);
    let ready = object.conditions().iter().find(|c| c.type_ == READY);
    let requested = object.annotations().get(REQUESTED_AT).map(String::as_str);
    observed != Some(policies)
        || object.metadata.generation != Some(object.observed_generation())
        || ready.is_none_or(|ready| ready.status != ConditionStatus::True)
        || (requested.is_some() && requested != object.handled_request())
}

fn report(
    object: &ImageUpdateAutomation,
    done: Done,
    now: Timestamp,
) -> Report<ImageUpdateAutomationStatus> {
    let Done { plan, result } = done;
    let mut status = object.status.clone().unwrap_or_default();
    status.last_automation_run_time = Some(Time(plan.started));
    let run = match result {
        Ok(run) => run,
        Err(failure) => return Report::new(status, failure.into()),
    };
    let ready = ready_note(object, reasons::SUCCEEDED, UP_TO_DATE);
    let note = match run {
        Run::Skipped => ready,
        Run::Unchanged { revision } => {
            status.observed_policies = plan.policies;
            status.observed_source_revision = Some(revision);
            ready
        }
        Run::Pushed {
            commit,
            message,
            revision,
        } => {
            status.observed_policies = plan.policies;
            status.observed_source_revision = Some(revision);
            status.last_push_commit = Some(commit.to_string());
            status.last_push_time = Some(Time(now));
            Some(push_note(&commit.to_string(), &plan.branch, &message))
        }
    };
    let outcome = Outcome::Ready {
        reason: reasons::SUCCEEDED,
        message: UP_TO_DATE.to_owned(),
        next: Interval::Exactly(plan.interval),
    };
    let mut report = Report::new(status, outcome);
    report.notes.extend(note);
    report
}

fn push_note(commit: &str, branch: &str, message: &str) -> Note {
    let short = commit.get(..SHORT_COMMIT).unwrap_or(commit);
    let mut text = format!("pushed commit '{short}' to branch '{branch}'");
    if !message.is_empty() {
        text += &format!("\n{message}");
    }
    Note::normal(reasons::SUCCEEDED, text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-01T00:10:00Z";

    fn automation(change: Value, status: Value) -> ImageUpdateAutomation {
        let mut spec = json!({
            "interval": "5m", "sourceRef": {"kind": "GitRepository", "name": "fleet"},
            "git": {"commit": {"author": {"email": "bot@example.com"}}},
        });
        json_patch_merge(&mut spec, &change);
        let metadata = json!({"name": "bot", "namespace": "apps", "generation": 1});
        let object = json!({"metadata": metadata, "spec": spec, "status": status});
        serde_json::from_value(object).unwrap()
    }

    /// Merges as a merge patch does, for tests that take fields away.
    fn json_patch_merge(target: &mut Value, patch: &Value) {
        let Value::Object(fields) = patch else {
            *target = patch.clone();
            return;
        };
        for (name, patch) in fields {
            if patch.is_null() {
                target.as_object_mut().unwrap().remove(name);
            } else {
                if target[name].is_null() {
                    target[name] = json!({});
                }
                json_patch_merge(&mut target[name], patch);
            }
        }
    }

    fn source(spec: Value) -> Option<Arc<GitRepository>> {
        let mut all = json!({"url": "https://example.com/fleet", "interval": "1m"});
        json_patch_merge(&mut all, &spec);
        let metadata = json!({"name": "fleet", "namespace": "apps"});
        let object = json!({"metadata": metadata, "spec": all});
        Some(Arc::new(serde_json::from_value(object).unwrap()))
    }

    fn policy(name: &str, tag: Option<&str>, team: &str) -> Arc<ImagePolicy> {
        let latest = tag.map(|tag| json!({"name": "ghcr.io/acme/app", "tag": tag}));
        let object = json!({
            "metadata": {"name": name, "namespace": "apps", "labels": {"team": team}},
            "spec": {"imageRepositoryRef": {"name": "app"}, "policy": {}},
            "status": {"latestRef": latest},
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn planned(change: Value, status: Value, spec: Value) -> Plan {
        let policies = [
            policy("app", Some("1.0.0"), "a"),
            policy("other", Some("2.0.0"), "b"),
            policy("waiting", None, "a"),
        ];
        let object = automation(change, status);
        match decide(&object, &policies, source(spec), NOW.parse().unwrap()) {
            Decision::Act(plan) => plan,
            Decision::Report(report) => panic!("{:?}", report.outcome),
        }
    }

    fn refused(change: Value, source: Option<Arc<GitRepository>>) -> String {
        let object = automation(change, json!({}));
        match decide(&object, &[], source, NOW.parse().unwrap()) {
            Decision::Act(plan) => panic!("{plan:?}"),
            Decision::Report(report) => match report.outcome {
                Outcome::Stalled { reason, message } => format!("stalled {reason}: {message}"),
                Outcome::Failed {
                    reason, message, ..
                } => format!("failed {reason}: {message}"),
                outcome => panic!("{outcome:?}"),
            },
        }
    }

    #[test]
    fn what_cannot_be_written_says_why() {
        let main = || source(json!({"ref": {"branch": "main"}}));
        let push = |push: Value| json!({"git": {"push": push}});
        for (change, source, want) in [
            (
                json!({"git": null}),
                main(),
                "stalled InvalidSourceConfiguration: source kind 'GitRepository' necessitates field \
                 .spec.git: invalid source configuration",
            ),
            (
                json!({"git": {"commit": {"signingKey": {"secretRef": {"name": "k"}}}}}),
                main(),
                "stalled NotSupported: spec.git.commit.signingKey is not supported yet",
            ),
            (
                push(json!({"refspec": "refs/heads/a:refs/heads/b"})),
                main(),
                "stalled NotSupported: spec.git.push.refspec is not supported yet",
            ),
            (
                push(json!({"options": {"a": "b"}})),
                main(),
                "stalled NotSupported: spec.git.push.options is not supported yet",
            ),
            (
                json!({"policySelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}),
                main(),
                "stalled InvalidPolicySelector: failed to parse policy selector: \"Is\" is not a \
                 valid label selector operator",
            ),
            (
                json!({}),
                None,
                "failed SourceManagerFailed: failed configuring source manager: referenced git \
                 repository does not exist: gitrepositories.source.toolkit.fluxcd.io \"fleet\" not \
                 found",
            ),
            (
                json!({}),
                source(json!({})),
                "failed SourceManagerFailed: failed configuring source manager: push spec not \
                 provided, and cannot be inferred from .spec.git.checkout.ref or GitRepository \
                 .spec.ref",
            ),
            (
                json!({}),
                source(json!({"provider": "azure", "ref": {"branch": "main"}})),
                "stalled NotSupported: spec.provider: azure of GitRepository 'apps/fleet' is not \
                 supported yet",
            ),
        ] {
            assert_eq!(refused(change, source), want);
        }
    }

    #[test]
    fn a_branch_is_switched_when_another_is_pushed_to() {
        let branch = |name: &str| Selector::Branch(name.to_owned());
        let main = json!({"ref": {"branch": "main"}});
        let tag = json!({"git": {"checkout": {"ref": {"tag": "v1"}}, "push": {"branch": "bot"}}});
        for (change, source, checkout, pushed, switches) in [
            (json!({}), main.clone(), branch("main"), "main", false),
            (
                json!({"git": {"push": {"branch": "main"}}}),
                main.clone(),
                branch("main"),
                "main",
                false,
            ),
            (
                json!({"git": {"push": {"branch": "bot"}}}),
                main.clone(),
                branch("main"),
                "bot",
                true,
            ),
            (
                json!({"git": {"checkout": {"ref": {"branch": "dev"}}}}),
                main.clone(),
                branch("dev"),
                "dev",
                false,
            ),
            (
                json!({"git": {"push": {"branch": "master"}}}),
                json!({}),
                branch("master"),
                "master",
                false,
            ),
            (tag, main, Selector::Tag("v1".to_owned()), "bot", true),
        ] {
            let plan = planned(change, json!({}), source);
            assert_eq!(plan.checkout, checkout);
            assert_eq!((plan.branch.as_str(), plan.switches), (pushed, switches));
        }
    }

    #[test]
    fn a_run_is_full_when_anything_but_the_remote_may_have_changed() {
        let main = || json!({"ref": {"branch": "main"}});
        let status = |change: Value| {
            let ready = json!({"type": "Ready", "status": "True", "reason": "Succeeded",
                "message": UP_TO_DATE, "lastTransitionTime": NOW});
            let mut status = json!({
                "observedGeneration": 1, "conditions": [ready],
                "observedPolicies": {
                    "app": {"name": "ghcr.io/acme/app", "tag": "1.0.0"},
                    "other": {"name": "ghcr.io/acme/app", "tag": "2.0.0"},
                },
            });
            json_patch_merge(&mut status, &change);
            status
        };
        let other = json!({"observedPolicies": {"other": {"tag": "1.9.0"}}});
        for (change, status, want) in [
            (json!({}), status(json!({})), false),
            (json!({}), json!({}), true),
            (json!({}), status(json!({"observedGeneration": 0})), true),
            (json!({}), status(json!({"conditions": []})), true),
            (json!({}), status(other), true),
            (
                json!({"git": {"push": {"branch": "bot"}}}),
                status(json!({})),
                true,
            ),
        ] {
            assert_eq!(
                planned(change, status.clone(), main()).full,
                want,
                "{status}"
            );
        }
    }

    #[test]
    fn policies_are_those_that_are_selected_and_have_chosen() {
        let selector = json!({"policySelector": {"matchLabels": {"team": "a"}}});
        let plan = planned(selector, json!({}), json!({"ref": {"branch": "main"}}));
        assert_eq!(plan.policies.keys().collect::<Vec<_>>(), ["app"]);
    }

    #[test]
    fn a_push_is_told_with_the_whole_message() {
        let object = automation(json!({}), json!({}));
        let plan = planned(json!({}), json!({}), json!({"ref": {"branch": "main"}}));
        let id = "b59a33ac2ab4d6a0c6b8c0c2e1f7b9c0d5e4f3a2";
        let run = Run::Pushed {
            commit: ObjectId::from_hex(id.as_bytes()).unwrap(),
            message: "Update app\n\nto 1.0.0".to_owned(),
            revision: format!("main@sha1:{id}"),
        };
        let done = Done {
            plan,
            result: Ok(run),
        };
        let report = report(&object, done, NOW.parse().unwrap());
        assert_eq!(
            report.notes[0].message,
            "pushed commit 'b59a33a' to branch 'main'\nUpdate app\n\nto 1.0.0"
        );
        let status = serde_json::to_value(&report.status).unwrap();
        assert_eq!(status["lastPushCommit"], id);
        assert_eq!(status["observedSourceRevision"], format!("main@sha1:{id}"));
        assert_eq!(status["observedPolicies"]["app"]["tag"], "1.0.0");
        let Outcome::Ready { message, .. } = report.outcome else {
            panic!("not ready");
        };
        assert_eq!(message, UP_TO_DATE);
    }
}
