//! The wake table: which objects act on which changes of others.
//!
//! | a change of | wakes |
//! |---|---|
//! | an ImageRepository's scan, access or image | the ImagePolicies that name it |
//! | the end of a scan that changed nothing | those of them that wait for a second scan |
//! | an ImagePolicy's choice or labels | the ImageUpdateAutomations of its namespace |
//! | a GitRepository's spec | the ImageUpdateAutomations that name it |
//! | a GitRepository's artifact | the Kustomizations that name it |
//! | a Kustomization's readiness or applied revision | the Kustomizations that depend on it |
//!
//! Pure: changes and objects in, keys out.

use crate::api::conditions::READY;
use crate::api::{
    ConditionStatus, GitRepository, ImagePolicy, ImageRepository, ImageUpdateAutomation,
    Kustomization, KustomizationSourceKind,
};
use crate::reconcile::{Change, Key, Kind};

/// Returns whether policies must look at an ImageRepository again.
pub(super) fn scan_changed(change: &Change<ImageRepository>) -> bool {
    differs(change, |object| {
        let status = object.status.as_ref();
        let scan = status.and_then(|status| status.last_scan_result.as_ref());
        (
            scan.map(|scan| (scan.revision.clone(), scan.tag_count)),
            status.and_then(|status| status.canonical_image_name.clone()),
            object.spec.image.clone(),
            object.spec.access_from.clone(),
        )
    })
}

/// Returns whether a scan has ended, whatever it found.
pub(super) fn scan_ended(change: &Change<ImageRepository>) -> bool {
    differs(change, |object| {
        let scan = object.status.as_ref()?.last_scan_result.as_ref()?;
        scan.scan_time.clone()
    })
}

/// Returns whether a policy names an ImageRepository.
pub(super) fn policy_names(policy: &ImagePolicy, repository: &Key) -> bool {
    let reference = &policy.spec.image_repository_ref;
    let own = policy.metadata.namespace.as_deref().unwrap_or_default();
    reference.name == repository.name
        && reference.namespace.as_deref().unwrap_or(own) == repository.namespace
}

/// Returns whether automations must look at an ImagePolicy again.
pub(super) fn choice_changed(change: &Change<ImagePolicy>) -> bool {
    differs(change, |object| {
        let status = object.status.as_ref();
        let latest = status.and_then(|status| status.latest_ref.clone());
        // Labels select policies only when there is something to write.
        latest.map(|latest| (latest, object.metadata.labels.clone()))
    })
}

/// Returns whether automations must look at a GitRepository again.
pub(super) fn source_spec_changed(change: &Change<GitRepository>) -> bool {
    differs(change, |object| {
        (object.metadata.uid.clone(), object.metadata.generation)
    })
}

/// Returns whether an automation names a GitRepository.
pub(super) fn automation_names(automation: &ImageUpdateAutomation, source: &Key) -> bool {
    let reference = &automation.spec.source_ref;
    let own = automation.metadata.namespace.as_deref().unwrap_or_default();
    reference.name == source.name
        && reference.namespace.as_deref().unwrap_or(own) == source.namespace
}

/// Returns whether Kustomizations must look at a GitRepository again. The digest counts beside the
/// revision, because ignore rules change the content and not the commit.
pub(super) fn artifact_changed(change: &Change<GitRepository>) -> bool {
    differs(change, |object| {
        let artifact = object.status.as_ref()?.artifact.as_ref()?;
        Some((artifact.revision.clone(), artifact.digest.clone()))
    })
}

/// Returns whether a Kustomization names a source.
pub(super) fn kustomization_names(
    kustomization: &Kustomization,
    kind: KustomizationSourceKind,
    source: &Key,
) -> bool {
    let reference = &kustomization.spec.source_ref;
    let own = kustomization.metadata.namespace.as_deref();
    let own = own.unwrap_or_default();
    reference.kind == kind
        && reference.name == source.name
        && reference.namespace.as_deref().unwrap_or(own) == source.namespace
}

/// Returns whether Kustomizations that depend on this one must look again.
pub(super) fn readiness_changed(change: &Change<Kustomization>) -> bool {
    differs(change, |object| {
        let ready = object.conditions().iter().find(|c| c.type_ == READY);
        (
            ready.map(|ready| ready.status == ConditionStatus::True),
            object.observed_generation(),
            object
                .status
                .as_ref()
                .and_then(|status| status.last_applied_revision.clone()),
        )
    })
}

/// Returns whether a Kustomization depends on another.
pub(super) fn depends_on(kustomization: &Kustomization, other: &Key) -> bool {
    let own = kustomization.metadata.namespace.as_deref();
    let own = own.unwrap_or_default();
    kustomization.spec.depends_on.iter().any(|dependency| {
        dependency.name == other.name
            && dependency.namespace.as_deref().unwrap_or(own) == other.namespace
    })
}

/// Returns whether an aspect of an object differs before and after; a missing object has none.
fn differs<K, T: PartialEq>(change: &Change<K>, aspect: impl Fn(&K) -> T) -> bool {
    let before = change.old.as_deref().map(&aspect);
    let after = change.new.as_deref().map(&aspect);
    before != after
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn object<K: DeserializeOwned>(spec: Value, status: Value) -> K {
        let metadata = json!({"name": "it", "namespace": "apps", "generation": 1});
        let object = json!({"metadata": metadata, "spec": spec, "status": status});
        serde_json::from_value(object).unwrap()
    }

    fn change<K: DeserializeOwned>(spec: &Value, old: Value, new: Value) -> Change<K> {
        Change {
            key: Key::new("apps", "it"),
            old: Some(Arc::new(object(spec.clone(), old))),
            new: Some(Arc::new(object(spec.clone(), new))),
        }
    }

    #[test]
    fn a_scan_wakes_policies_when_its_tags_changed() {
        let spec = json!({"image": "ghcr.io/a/b", "interval": "1m"});
        let scan = |revision: &str, time: &str| json!({"lastScanResult": {"tagCount": 2, "revision": revision, "scanTime": time}});
        let (a, b) = ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z");
        assert!(!scan_changed(&change(&spec, scan("1", a), scan("1", b))));
        assert!(scan_changed(&change(&spec, scan("1", a), scan("2", b))));
        assert!(scan_changed(&change(&spec, json!({}), scan("2", b))));
    }

    #[test]
    fn the_end_of_a_scan_is_seen_without_news() {
        let spec = json!({"image": "ghcr.io/a/b", "interval": "1m"});
        let scan = |time: &str| json!({"lastScanResult": {"tagCount": 2, "revision": "1", "scanTime": time}});
        let (a, b) = ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z");
        assert!(scan_ended(&change(&spec, scan(a), scan(b))));
        assert!(!scan_ended(&change(&spec, scan(a), scan(a))));
    }

    #[test]
    fn a_choice_wakes_automations_and_a_failure_does_not() {
        let spec = json!({"imageRepositoryRef": {"name": "app"}, "policy": {}});
        let latest = |tag: &str, digest: Option<&str>| {
            json!({"latestRef": {"name": "a", "tag": tag, "digest": digest},
                "observedGeneration": 1})
        };
        let changed = |old, new| choice_changed(&change(&spec, old, new));
        assert!(changed(latest("1", None), latest("2", None)));
        assert!(changed(latest("1", None), latest("1", Some("sha256:0"))));
        assert!(!changed(json!({}), json!({"observedGeneration": 1})));
    }

    #[test]
    fn an_artifact_wakes_kustomizations_by_revision_or_digest() {
        let spec = json!({"url": "https://x/y", "interval": "1m"});
        let artifact = |revision: &str, digest: &str| {
            json!({"artifact": {"revision": revision, "digest": digest, "path": "p", "url": "u",
                "lastUpdateTime": "2026-01-01T00:00:00Z"}})
        };
        let changed = |old, new| artifact_changed(&change(&spec, old, new));
        assert!(changed(json!({}), artifact("main@sha1:0", "sha256:0")));
        assert!(changed(
            artifact("main@sha1:0", "sha256:0"),
            artifact("main@sha1:0", "sha256:1")
        ));
        assert!(!changed(
            artifact("main@sha1:0", "sha256:0"),
            artifact("main@sha1:0", "sha256:0")
        ));
    }

    #[test]
    fn references_default_to_the_own_namespace() {
        let policy: ImagePolicy = object(
            json!({"imageRepositoryRef": {"name": "app"}, "policy": {}}),
            json!({}),
        );
        assert!(policy_names(&policy, &Key::new("apps", "app")));
        assert!(!policy_names(&policy, &Key::new("other", "app")));
        let kustomization: Kustomization = object(
            json!({"interval": "1m", "prune": true,
                "sourceRef": {"kind": "GitRepository", "name": "app", "namespace": "flux-system"},
                "dependsOn": [{"name": "db"}, {"name": "mesh", "namespace": "infra"}]}),
            json!({}),
        );
        let git = KustomizationSourceKind::GitRepository;
        let source = Key::new("flux-system", "app");
        assert!(kustomization_names(&kustomization, git, &source));
        assert!(!kustomization_names(
            &kustomization,
            KustomizationSourceKind::Bucket,
            &source
        ));
        assert!(depends_on(&kustomization, &Key::new("apps", "db")));
        assert!(depends_on(&kustomization, &Key::new("infra", "mesh")));
        assert!(!depends_on(&kustomization, &Key::new("apps", "mesh")));
    }
}
