//! The decisions and reports of an ImagePolicy, on objects in memory.

use serde_json::{Value, json};

use super::*;

fn policy(spec: Value, status: Value) -> ImagePolicy {
    let mut all = json!({
        "imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": "^1"}},
    });
    let spec = spec.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(spec);
    let metadata = json!({"name": "app", "namespace": "apps", "generation": 1});
    serde_json::from_value(json!({"metadata": metadata, "spec": all, "status": status})).unwrap()
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

fn done(reference: ImageRef, instead_of: Option<&str>) -> Done {
    let instead_of = instead_of.map(str::to_owned);
    Done {
        interval: None,
        chosen: Ok(Chosen::Latest {
            reference,
            instead_of,
        }),
    }
}

fn reported(object: &ImagePolicy, tag: &str, digest: Option<&str>) -> (Value, String) {
    let chosen = ImageRef {
        name: "alpine".to_owned(),
        tag: tag.to_owned(),
        digest: digest.map(str::to_owned),
    };
    let report = report(object, done(chosen, None));
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

/// Returns the events of a report, one a line.
fn told(report: &Report<ImagePolicyStatus>) -> Vec<String> {
    let notes = report.notes.iter();
    let told = notes.map(|note| format!("{} {}", note.severity.as_str(), note.reason));
    told.collect()
}

#[test]
fn rg8_an_older_choice_is_held_told_once_and_taken_when_it_is_confirmed() {
    let latest = json!({"latestRef": {"name": "alpine", "tag": "1.1.0"}});
    let object = policy(json!({}), latest.clone());
    let held = |object: &ImagePolicy| {
        let (tag, newer) = ("1.0.0".to_owned(), "1.1.0".to_owned());
        let chosen = Ok(Chosen::Held { tag, newer });
        let done = Done {
            interval: None,
            chosen,
        };
        report(object, done)
    };
    let first = held(&object);
    assert_eq!(Some(first.status.clone()), object.status);
    let Outcome::Ready {
        reason, message, ..
    } = &first.outcome
    else {
        panic!("{:?}", first.outcome);
    };
    assert_eq!(*reason, reasons::DOWNGRADE_HELD);
    assert_eq!(
        message,
        "Latest image tag for alpine stays 1.1.0: 1.0.0 is older, and only one complete scan \
         has missed 1.1.0"
    );
    assert_eq!(told(&first), ["Warning DowngradeHeld"]);
    let mut status = latest;
    status["conditions"] = json!([{"type": "Ready", "status": "True", "reason": reason,
        "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    let object = policy(json!({}), status);
    assert_eq!(told(&held(&object)), Vec::<String>::new());
    let older = ImageRef {
        name: "alpine".to_owned(),
        tag: "1.0.0".to_owned(),
        digest: None,
    };
    let taken = report(&object, done(older, Some("1.1.0")));
    assert_eq!(
        told(&taken),
        ["Warning DowngradeConfirmed", "Normal Succeeded"]
    );
    assert_eq!(
        taken.notes[0].message,
        "a second complete scan of alpine has confirmed that 1.1.0 is gone; 1.0.0, which is \
         older, is the latest now"
    );
    assert_eq!(
        taken.status.latest_ref.map(|latest| latest.tag),
        Some("1.0.0".to_owned())
    );
}

#[test]
fn rg9_a_tag_with_another_digest_is_told() {
    let reference = |tag: &str, digest: &str| ImageRef {
        name: "alpine".to_owned(),
        tag: tag.to_owned(),
        digest: Some(digest.to_owned()),
    };
    let latest = json!({"latestRef": {"name": "alpine", "tag": "1", "digest": "sha256:aa"}});
    let object = policy(json!({}), latest);
    let moved = |tag, digest| {
        let report = report(&object, done(reference(tag, digest), None));
        let notes = report.notes.into_iter();
        let mut moved = notes.filter(|note| note.reason == reasons::TAG_MOVED);
        moved.next().map(|note| note.message)
    };
    assert_eq!(
        moved("1", "sha256:bb").as_deref(),
        Some("tag 1 of alpine moved from sha256:aa to sha256:bb")
    );
    assert_eq!(moved("1", "sha256:aa"), None);
    assert_eq!(moved("2", "sha256:bb"), None);
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
