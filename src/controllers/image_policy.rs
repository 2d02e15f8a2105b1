//! ImagePolicy: chooses the latest tag of a stored scan, and looks its digest up where it is asked.
//!
//! Decide: is the policy one, is its ImageRepository there. Act: access, tags, choice, digest.
//! Report: the new reference, what it was before, Flux's message. A failure keeps the reference.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::{Client, ResourceExt};

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
}

/// What to choose among, and how.
#[derive(Debug)]
pub(super) struct Plan {
    policy: Policy,
    repository: Arc<ImageRepository>,
    image: Repository,
    /// When the digest is looked up again.
    interval: Option<Duration>,
}

/// What came of a plan.
pub(super) struct Done {
    interval: Option<Duration>,
    chosen: Result<ImageRef, Trouble>,
}

/// Why there is no choice.
#[derive(Debug)]
enum Trouble {
    /// No scan is stored yet.
    NoTags,
    /// Something went wrong.
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
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
        Done {
            interval: plan.interval,
            chosen: self.choose(object, plan).await,
        }
    }

    fn report(&self, object: &ImagePolicy, done: Done, _: Timestamp) -> Report<ImagePolicyStatus> {
        report(object, done)
    }

    async fn finalize(&self, _: &Arc<ImagePolicy>) -> Result<(), String> {
        Ok(())
    }

    fn changed(&self, change: &Change<ImagePolicy>) {
        if wakes::choice_changed(change) {
            let automations = &self.world.image_update_automations;
            automations.wake_all(automations.store.of_namespace(&change.key.namespace));
        }
    }
}

impl ImagePolicies {
    async fn choose(&self, object: &ImagePolicy, plan: Plan) -> Result<ImageRef, Trouble> {
        self.check_access(object, &plan.repository).await?;
        let (store, policy) = (self.tags.clone(), plan.policy);
        let owner = image_repository::owner(&plan.repository);
        let name = plan.image.to_string();
        // A million tags take a while, and a store reads from disk.
        let chosen = tokio::task::spawn_blocking(move || {
            let scan = store.scan(&owner, &name);
            let scan = scan.map_err(|error| failed(reasons::FAILURE, error.to_string()))?;
            let Some((scan, _)) = scan.filter(|(scan, _)| scan.epoch().n_tags > 0) else {
                return Err(Trouble::NoTags);
            };
            let chosen = policy.choose(scan.tags().iter());
            let failure = chosen.map_err(|error| failed(reasons::FAILURE, error.to_string()));
            Ok(failure?.tag)
        });
        let chosen = chosen.await;
        let tag = chosen.map_err(|error| failed(reasons::FAILURE, error.to_string()))??;
        let name = plan.repository.spec.image.clone();
        let latest = object.status.as_ref().and_then(|s| s.latest_ref.as_ref());
        let reflection = object.spec.digest_reflection_policy;
        let digest = match digest::decide(reflection, latest, &name, &tag) {
            digest::Action::Clear => None,
            digest::Action::Keep(digest) => Some(digest.to_owned()),
            digest::Action::Fetch => Some(self.digest(&plan.repository, &plan.image, &tag).await?),
        };
        Ok(ImageRef { name, tag, digest })
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
            interval,
        }),
    }
}

fn report(object: &ImagePolicy, done: Done) -> Report<ImagePolicyStatus> {
    let mut status = object.status.clone().unwrap_or_default();
    let chosen = match done.chosen {
        Ok(chosen) => chosen,
        Err(Trouble::NoTags) => return waiting(object, NO_TAGS.to_owned()),
        Err(Trouble::Failed(failure)) => return Report::new(status, failure.into()),
    };
    if let Some(latest) = status.latest_ref.take()
        && latest != chosen
    {
        status.observed_previous_ref = Some(latest);
    }
    let message = ready_message(&chosen, status.observed_previous_ref.as_ref());
    status.latest_ref = Some(chosen);
    let note = ready_note(object, reasons::SUCCEEDED, &message);
    let outcome = Outcome::Ready {
        reason: reasons::SUCCEEDED,
        message,
        next: done.interval.map_or(Interval::Woken, Interval::Exactly),
    };
    let mut report = Report::new(status, outcome);
    report.notes.extend(note);
    report
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
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn policy(spec: Value, status: Value) -> ImagePolicy {
        let mut all = json!({
            "imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": "^1"}},
        });
        let spec = spec.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(spec);
        let metadata = json!({"name": "app", "namespace": "apps", "generation": 1});
        serde_json::from_value(json!({"metadata": metadata, "spec": all, "status": status}))
            .unwrap()
    }

    fn repository(image: &str) -> Option<Arc<ImageRepository>> {
        let object = json!({
            "metadata": {"name": "app", "namespace": "apps"},
            "spec": {"image": image, "interval": "1m"},
        });
        Some(Arc::new(serde_json::from_value(object).unwrap()))
    }

    fn decided(spec: Value, repository: Option<Arc<ImageRepository>>) -> Outcome {
        let object = policy(spec, json!({}));
        match decide(&object, &repository_key(&object), repository) {
            Decision::Report(report) => report.outcome,
            Decision::Act(plan) => panic!("acts: {plan:?}"),
        }
    }

    #[test]
    fn what_cannot_be_chosen_says_why() {
        let good = "ghcr.io/acme/app";
        let stalled = |spec, image: &str| match decided(spec, repository(image)) {
            Outcome::Stalled { reason, message } => format!("{reason}: {message}"),
            outcome => panic!("{outcome:?}"),
        };
        assert_eq!(
            stalled(json!({"digestReflectionPolicy": "Always"}), good),
            "IntervalNotConfigured: spec.interval must be set when spec.digestReflectionPolicy is \
             set to 'Always'"
        );
        assert_eq!(
            stalled(json!({}), "ghcr.io/acme/app:1"),
            "ImageURLInvalid: image 'ghcr.io/acme/app:1' should not include a tag; remove ':1'"
        );
        assert_eq!(
            stalled(json!({"policy": {}}), good),
            "InvalidPolicy: invalid policy: given ImagePolicyChoice object is invalid"
        );
        assert_eq!(
            decided(json!({}), None),
            Outcome::Waiting {
                reason: reasons::DEPENDENCY_NOT_READY,
                message: "failed to get the referred ImageRepository: referenced ImageRepository \
                    does not exist: imagerepositories.image.toolkit.fluxcd.io \"app\" not found"
                    .to_owned(),
                retry: DEPENDENCY_RETRY,
            }
        );
    }

    fn reported(object: &ImagePolicy, tag: &str, digest: Option<&str>) -> (Value, String) {
        let chosen = ImageRef {
            name: "alpine".to_owned(),
            tag: tag.to_owned(),
            digest: digest.map(str::to_owned),
        };
        let done = Done {
            interval: None,
            chosen: Ok(chosen),
        };
        let report = report(object, done);
        let Outcome::Ready { message, .. } = report.outcome else {
            panic!("not ready");
        };
        (serde_json::to_value(report.status).unwrap(), message)
    }

    #[test]
    fn a_choice_is_told_with_what_it_was_before() {
        let (status, message) = reported(&policy(json!({}), json!({})), "1.0.0", None);
        assert_eq!(message, "Latest image tag for alpine resolved to 1.0.0");
        assert_eq!(
            status,
            json!({"latestRef": {"name": "alpine", "tag": "1.0.0"}})
        );
        let before = policy(json!({}), status);
        let (status, message) = reported(&before, "1.1.0", Some("sha256:aa"));
        assert_eq!(
            message,
            "Latest image tag for alpine resolved to 1.1.0 with digest sha256:aa \
             (previously alpine:1.0.0)"
        );
        assert_eq!(
            status,
            json!({
                "latestRef": {"name": "alpine", "tag": "1.1.0", "digest": "sha256:aa"},
                "observedPreviousRef": {"name": "alpine", "tag": "1.0.0"},
            })
        );
        // The same choice again changes nothing.
        let again = policy(json!({}), status.clone());
        assert_eq!(
            reported(&again, "1.1.0", Some("sha256:aa")),
            (status, message)
        );
    }

    #[test]
    fn a_failure_keeps_the_choice() {
        let latest = json!({"latestRef": {"name": "alpine", "tag": "1.0.0"}});
        let object = policy(json!({}), latest);
        for chosen in [
            Err(Trouble::NoTags),
            Err(failed(reasons::FAILURE, "no match").into()),
        ] {
            let done = Done {
                interval: None,
                chosen,
            };
            assert_eq!(Some(report(&object, done).status), object.status);
        }
    }

    #[test]
    fn access_is_given_to_namespaces_that_a_selector_selects() {
        let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        for (selectors, want) in [
            (json!([]), false),
            (json!([{}]), true),
            (json!([{"matchLabels": {"team": "b"}}]), false),
            (
                json!([{"matchLabels": {"team": "b"}}, {"matchLabels": {"team": "a"}}]),
                true,
            ),
            (json!([{"matchLabels": {"team": "a", "tier": "1"}}]), false),
        ] {
            let access = json!({"namespaceSelectors": selectors});
            let access: AccessFrom = serde_json::from_value(access).unwrap();
            assert_eq!(admits(&access, &labels), want, "{access:?}");
        }
    }
}
