//! Decides: which policies count, whether anything can have changed, and what a run would be.
//!
//! In: an automation, the policies of its namespace, its source. Out: a [`Plan`], or the report of
//! what keeps it from running. Pure; texts as Flux writes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::super::edit::Policies;
use super::super::{Failure, git_access, not_supported, selector};
use super::route::{self, Route};
use super::source_failed;
use crate::api::annotations::REQUESTED_AT;
use crate::api::conditions::READY;
use crate::api::{
    ConditionStatus, GitRepository, ImagePolicy, ImageRef, ImageUpdateAutomation,
    ImageUpdateAutomationStatus, reasons,
};
use crate::reconcile::{Decision, Key, Kind, Report, Timestamp};

/// What to write, and where.
#[derive(Debug, Clone)]
pub(in crate::controllers) struct Plan {
    pub source: Arc<GitRepository>,
    pub route: Route,
    pub policies: Policies,
    /// Whether a run is needed even if the remote stands still.
    pub full: bool,
    pub interval: Duration,
    pub started: Timestamp,
}

/// Returns the name of the source.
pub(in crate::controllers) fn source_key(object: &ImageUpdateAutomation) -> Key {
    let reference = &object.spec.source_ref;
    let namespace = reference.namespace.clone().or_else(|| object.namespace());
    Key::new(namespace.unwrap_or_default(), reference.name.clone())
}

/// Returns the plan of a run, or the report of what keeps it from running.
pub(in crate::controllers) fn decide(
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
    let interval = match super::super::duration("spec.interval", &spec.interval) {
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
    let route = match route::route(git, &source) {
        Ok(route) => route,
        Err(failure) => return ended(failure),
    };
    let policies = selected(object, policies);
    // A branch that is not checked out may have moved unseen.
    let full = !route.stays() || must_run(object, &policies.chosen);
    Decision::Act(Plan {
        source,
        route,
        policies,
        full,
        interval,
        started: now,
    })
}

/// Returns the policies that a sound selector selects.
pub(in crate::controllers) fn selected(
    object: &ImageUpdateAutomation,
    policies: &[Arc<ImagePolicy>],
) -> Policies {
    let selector = object.spec.policy_selector.as_ref();
    let mut selected = Policies::default();
    for policy in policies {
        if !selector::selects(selector, policy.metadata.labels.as_ref()) {
            selected.left_out.insert(policy.name_any());
            continue;
        }
        let latest = policy.status.as_ref().and_then(|s| s.latest_ref.clone());
        match latest {
            Some(latest) => drop(selected.chosen.insert(policy.name_any(), latest)),
            None => drop(selected.waiting.insert(policy.name_any())),
        }
    }
    selected
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::done::UP_TO_DATE;
    use super::super::fixtures::{NOW, json_patch_merge, planned, refused, source};

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
                push(json!({"refspec": "refs/heads/a:refs/heads/b"})),
                main(),
                "failed SourceManagerFailed: failed configuring source manager: \
                 spec.git.push.refspec \"refs/heads/a:refs/heads/b\" has a source other than the \
                 pushed branch",
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
        assert_eq!(plan.policies.chosen.keys().collect::<Vec<_>>(), ["app"]);
    }
}
