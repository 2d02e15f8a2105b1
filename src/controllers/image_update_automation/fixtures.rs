//! Objects for the tests of this controller.

use std::sync::Arc;

use serde_json::{Value, json};

use super::plan::{Plan, decide};
use crate::api::{GitRepository, ImagePolicy, ImageUpdateAutomation};
use crate::reconcile::{Decision, Outcome};

pub const NOW: &str = "2026-01-01T00:10:00Z";

/// Returns an automation of `fleet`, with changes to its spec.
pub fn automation(change: Value, status: Value) -> ImageUpdateAutomation {
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
pub fn json_patch_merge(target: &mut Value, patch: &Value) {
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

/// Returns the source `fleet`, with changes to its spec.
pub fn source(spec: Value) -> Option<Arc<GitRepository>> {
    let mut all = json!({"url": "https://example.com/fleet", "interval": "1m"});
    json_patch_merge(&mut all, &spec);
    let metadata = json!({"name": "fleet", "namespace": "apps"});
    let object = json!({"metadata": metadata, "spec": all});
    Some(Arc::new(serde_json::from_value(object).unwrap()))
}

/// Returns a policy, and what it has chosen.
pub fn policy(name: &str, tag: Option<&str>, team: &str) -> Arc<ImagePolicy> {
    let latest = tag.map(|tag| json!({"name": "ghcr.io/acme/app", "tag": tag}));
    let object = json!({
        "metadata": {"name": name, "namespace": "apps", "labels": {"team": team}},
        "spec": {"imageRepositoryRef": {"name": "app"}, "policy": {}},
        "status": {"latestRef": latest},
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

/// Returns the plan of an automation with two policies that have chosen and one that has not.
pub fn planned(change: Value, status: Value, spec: Value) -> Plan {
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

/// Returns how an automation without policies ends before it acts.
pub fn refused(change: Value, source: Option<Arc<GitRepository>>) -> String {
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
