//! What a Kustomization asks for, and whether it can be given now. Pure.
//!
//! In: the object, its source and its dependencies as last seen. Out: a plan, or why there is none.

use std::sync::Arc;
use std::time::Duration;

use crate::api::conditions::READY;
use crate::api::{
    Artifact, ConditionStatus, DeletionPolicy, GitRepository, Kustomization,
    KustomizationSourceKind, KustomizationStatus, reasons,
};
use crate::controllers::objects::World;
use crate::duration;
use crate::reconcile::{Decision, Key, Kind, Outcome, Report, Retry};

/// How long a missing artifact or dependency is waited for when no wake comes; upstream's.
pub(super) const DEPENDENCY_RETRY: Duration = Duration::from_secs(30);
/// The shortest wait for health.
const TIMEOUT_MIN: Duration = Duration::from_secs(30);

/// One pass.
#[derive(Debug)]
pub(in crate::controllers) struct Plan {
    /// The source.
    pub source: Arc<GitRepository>,
    /// What of the source is built.
    pub artifact: Artifact,
    /// When the next pass is due.
    pub timing: Timing,
}

/// The times of a spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::controllers) struct Timing {
    /// Until the next pass after a good one.
    pub interval: Duration,
    /// Until the next try after a failure.
    pub retry: Duration,
    /// How long health is waited for.
    pub timeout: Duration,
}

type Ended = Report<KustomizationStatus>;

/// Returns the plan of a pass, or the report of a pass that cannot be made.
pub(super) fn plan(object: &Kustomization, world: &World) -> Decision<Plan, KustomizationStatus> {
    match try_plan(object, world) {
        Ok(plan) => Decision::Act(plan),
        Err(report) => Decision::Report(*report),
    }
}

fn try_plan(object: &Kustomization, world: &World) -> Result<Plan, Box<Ended>> {
    let end = |outcome| Box::new(report(object, outcome));
    if let Some(field) = unsupported(object) {
        let message = format!("{field} is not supported yet");
        return Err(end(Outcome::stalled(reasons::NOT_SUPPORTED, message)));
    }
    let timing = timing(object)
        .map_err(|message| end(Outcome::stalled(reasons::INVALID_OBJECT, message)))?;
    let reference = &object.spec.source_ref;
    let namespace = reference
        .namespace
        .as_deref()
        .unwrap_or(own_namespace(object));
    let waiting = |reason, message, retry| {
        end(Outcome::Waiting {
            reason,
            message,
            retry,
        })
    };
    let Some(source) = world.git_repositories.get(namespace, &reference.name) else {
        let name = &reference.name;
        let message =
            format!("gitrepositories.source.toolkit.fluxcd.io \"{namespace}/{name}\" not found");
        return Err(waiting(reasons::ARTIFACT_FAILED, message, timing.retry));
    };
    let artifact = source.status.as_ref().and_then(|s| s.artifact.clone());
    let Some(artifact) = artifact else {
        let message = "Source artifact not found, retrying in 30s".to_owned();
        return Err(waiting(reasons::ARTIFACT_FAILED, message, DEPENDENCY_RETRY));
    };
    dependencies(object, world, &artifact)
        .map_err(|message| waiting(reasons::DEPENDENCY_NOT_READY, message, DEPENDENCY_RETRY))?;
    Ok(Plan {
        source,
        artifact,
        timing,
    })
}

/// Returns a report that keeps what the status says of what was applied.
pub(super) fn report(object: &Kustomization, outcome: Outcome) -> Ended {
    let status = object.status.clone().unwrap_or_default();
    let mut report = Report::new(status, outcome);
    report.aspects = crate::reconcile::kept_aspects(object.conditions(), super::ASPECTS);
    report
}

/// Returns the outcome of a failed pass: tried again after the retry interval, never with back-off.
pub(super) fn failed(reason: &'static str, message: String, timing: Timing) -> Outcome {
    Outcome::Failed {
        reason,
        message,
        retry: Retry::After(timing.retry),
    }
}

pub(super) fn own_namespace(object: &Kustomization) -> &str {
    object.metadata.namespace.as_deref().unwrap_or_default()
}

/// Returns the first field that asks for what is not built yet.
fn unsupported(object: &Kustomization) -> Option<&'static str> {
    let spec = &object.spec;
    let source = spec.source_ref.kind;
    let expressions = spec.depends_on.iter().any(|d| d.ready_expr.is_some());
    let asked = [
        (
            source != KustomizationSourceKind::GitRepository,
            "spec.sourceRef.kind",
        ),
        (spec.decryption.is_some(), "spec.decryption"),
        (
            spec.service_account_name.is_some(),
            "spec.serviceAccountName",
        ),
        (spec.kube_config.is_some(), "spec.kubeConfig"),
        (!spec.health_check_exprs.is_empty(), "spec.healthCheckExprs"),
        (!spec.ignore.is_empty(), "spec.ignore"),
        (expressions, "spec.dependsOn[].readyExpr"),
    ];
    asked
        .into_iter()
        .find_map(|(asked, field)| asked.then_some(field))
}

fn timing(object: &Kustomization) -> Result<Timing, String> {
    let parse = |field: &str, text: &str| {
        let parsed = duration::Duration::parse(text);
        parsed
            .map(duration::Duration::as_std)
            .map_err(|error| format!("spec.{field}: {error}"))
    };
    let spec = &object.spec;
    let interval = parse("interval", &spec.interval)?;
    let retry = match &spec.retry_interval {
        Some(text) => parse("retryInterval", text)?,
        None => interval,
    };
    let timeout = match &spec.timeout {
        Some(text) => parse("timeout", text)?,
        None => interval.saturating_sub(Duration::from_secs(30)),
    };
    Ok(Timing {
        interval,
        retry,
        timeout: timeout.max(TIMEOUT_MIN),
    })
}

/// Checks that all dependencies are ready, as upstream's built-in check does.
fn dependencies(object: &Kustomization, world: &World, artifact: &Artifact) -> Result<(), String> {
    let own = own_namespace(object);
    for dependency in &object.spec.depends_on {
        let namespace = dependency.namespace.as_deref().unwrap_or(own);
        let name = format!("{namespace}/{}", dependency.name);
        let Some(found) = world.kustomizations.get(namespace, &dependency.name) else {
            return Err(format!("dependency '{name}' not found"));
        };
        let ready = found.conditions().iter().find(|c| c.type_ == READY);
        let is_ready = ready.is_some_and(|ready| ready.status == ConditionStatus::True)
            && found.metadata.generation == Some(found.observed_generation());
        if !is_ready {
            return Err(format!("dependency '{name}' is not ready"));
        }
        let status = found.status.as_ref();
        let applied = status.and_then(|s| s.last_applied_revision.as_deref());
        if source_key(&found) == source_key(object) && applied != Some(&artifact.revision) {
            return Err(format!("dependency '{name}' revision is not up to date"));
        }
    }
    Ok(())
}

fn source_key(object: &Kustomization) -> (KustomizationSourceKind, Key) {
    let reference = &object.spec.source_ref;
    let own = own_namespace(object);
    let namespace = reference.namespace.as_deref().unwrap_or(own);
    (reference.kind, Key::new(namespace, &reference.name))
}

/// Whether the applied objects go when the Kustomization goes.
pub(super) fn deletes_on_finalize(object: &Kustomization) -> bool {
    if object.spec.suspend {
        return false;
    }
    let policy = object.spec.deletion_policy;
    match policy.unwrap_or(DeletionPolicy::MirrorPrune) {
        DeletionPolicy::MirrorPrune => object.spec.prune,
        DeletionPolicy::Delete | DeletionPolicy::WaitForTermination => true,
        DeletionPolicy::Orphan => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn kustomization(spec: Value) -> Kustomization {
        let mut full = json!({"interval": "10m", "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": "fleet"}});
        let fields = spec.as_object().unwrap().clone();
        full.as_object_mut().unwrap().extend(fields);
        serde_json::from_value(json!({
            "metadata": {"name": "apps", "namespace": "flux-system", "generation": 1},
            "spec": full}))
        .unwrap()
    }

    fn world(artifact: bool) -> World {
        let mut source = json!({"apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "fleet", "namespace": "flux-system", "uid": "1",
                "resourceVersion": "1"},
            "spec": {"url": "https://x/y", "interval": "1m"}});
        if artifact {
            source["status"] = json!({"artifact": {"revision": "main@sha1:1",
                "digest": "sha256:1", "path": "p", "url": "u",
                "lastUpdateTime": "2026-01-01T00:00:00Z"}});
        }
        let world = World::default();
        let source = serde_json::from_value(source).unwrap();
        world.git_repositories.store.put(source);
        world
    }

    fn outcome(spec: Value, world: &World) -> Option<Outcome> {
        match plan(&kustomization(spec), world) {
            Decision::Report(report) => Some(report.outcome),
            Decision::Act(_) => None,
        }
    }

    #[test]
    fn what_is_not_built_yet_stalls_by_field() {
        let cases = [
            (
                json!({"decryption": {"provider": "sops"}}),
                "spec.decryption",
            ),
            (
                json!({"serviceAccountName": "x"}),
                "spec.serviceAccountName",
            ),
            (
                json!({"sourceRef": {"kind": "Bucket", "name": "x"}}),
                "spec.sourceRef.kind",
            ),
            (json!({"ignore": [{"paths": ["/spec"]}]}), "spec.ignore"),
        ];
        for (spec, field) in cases {
            let want = Outcome::stalled("NotSupported", format!("{field} is not supported yet"));
            assert_eq!(outcome(spec, &world(true)), Some(want));
        }
    }

    #[test]
    fn a_missing_source_or_artifact_is_waited_for() {
        let text = |outcome| match outcome {
            Some(Outcome::Waiting {
                reason: "ArtifactFailed",
                message,
                ..
            }) => message,
            other => panic!("{other:?}"),
        };
        let message = text(outcome(json!({}), &World::default()));
        assert!(
            message.contains("\"flux-system/fleet\" not found"),
            "{message}"
        );
        let message = text(outcome(json!({}), &world(false)));
        assert_eq!(message, "Source artifact not found, retrying in 30s");
        assert_eq!(outcome(json!({}), &world(true)), None);
    }

    #[test]
    fn a_dependency_is_named_when_it_is_missing() {
        let spec = json!({"dependsOn": [{"name": "db"}]});
        let Some(Outcome::Waiting {
            reason, message, ..
        }) = outcome(spec, &world(true))
        else {
            panic!("a missing dependency is waited for");
        };
        assert_eq!(reason, "DependencyNotReady");
        assert_eq!(message, "dependency 'flux-system/db' not found");
    }

    #[test]
    fn timeouts_are_never_below_thirty_seconds() {
        let of = |spec| timing(&kustomization(spec)).unwrap();
        assert_eq!(of(json!({})).timeout, Duration::from_secs(570));
        assert_eq!(
            of(json!({"timeout": "5s"})).timeout,
            Duration::from_secs(30)
        );
        assert_eq!(
            of(json!({"retryInterval": "1m"})).retry,
            Duration::from_secs(60)
        );
        assert_eq!(of(json!({})).retry, Duration::from_secs(600));
    }
}
