//! A registry that loses tags: what policies keep, for how long, and what is told.

use serde_json::json;
use towpath::api::annotations::DOWNGRADE;
use towpath::api::{ImagePolicy, ImageRepository};

use super::stage::{Registry, Stage, lines, says};

/// More than the interval of the scans below, in seconds.
const LATER: i64 = 2 * 60 * 60;

/// Returns a stage on which a policy has chosen 1.1.0 of three tags.
async fn chosen(registry: &Registry) -> Stage {
    let stage = Stage::start().await;
    let spec = json!({"image": registry.image(), "interval": "1h", "insecure": true});
    stage.create::<ImageRepository>("app", spec).await;
    let policy =
        json!({"imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": "^1"}}});
    stage.create::<ImagePolicy>("app", policy).await;
    stage
        .until_says::<ImagePolicy>("app", "resolved to 1.1.0")
        .await;
    stage
}

/// Asks for a scan and waits until it is made.
async fn scan(stage: &Stage, at: &str) {
    stage.request::<ImageRepository>("app", at).await;
    let is_made = |object: &ImageRepository| {
        let status = object.status.as_ref();
        status.and_then(|s| s.last_handled_reconcile_at.as_deref()) == Some(at)
    };
    stage.until("app", is_made).await;
}

fn tag(policy: &ImagePolicy) -> Option<&str> {
    let latest = policy.status.as_ref()?.latest_ref.as_ref()?;
    Some(&latest.tag)
}

#[tokio::test]
async fn rg8_an_older_tag_is_taken_only_after_a_second_scan_an_interval_later() {
    let registry = Registry::with_tags(&["1.0.0", "1.0.1", "1.1.0"]).await;
    let mut stage = chosen(&registry).await;
    registry.set(&["1.0.0"]);
    scan(&stage, "one").await;
    let held: ImagePolicy = stage.until_says("app", "Ready=True DowngradeHeld").await;
    let message = format!(
        "Latest image tag for {} stays 1.1.0: 1.0.0 is older, and only one complete scan has missed \
         1.1.0",
        registry.image()
    );
    assert!(says(&held, &message), "{:?}", lines(&held));
    assert_eq!(tag(&held), Some("1.1.0"));
    let event = stage.event(&message).await;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    let shrunk = format!(
        "the scan of {} found 1 tags, the one before 3",
        registry.image()
    );
    let event = stage.event(&shrunk).await;
    assert_eq!(event.reason.as_deref(), Some("TagsShrunk"));
    // Neither a second scan at once nor a restart confirms it.
    scan(&stage, "two").await;
    stage.restart().await;
    stage.request::<ImagePolicy>("app", "two").await;
    let handled = |policy: &ImagePolicy| {
        let status = policy.status.as_ref();
        status.and_then(|s| s.last_handled_reconcile_at.as_deref()) == Some("two")
    };
    let held: ImagePolicy = stage.until("app", handled).await;
    assert_eq!(tag(&held), Some("1.1.0"));
    // The scan that confirms it brings the same list, and wakes the policy nevertheless.
    stage.set_ahead(LATER);
    scan(&stage, "three").await;
    let before = format!("resolved to 1.0.0 (previously {}:1.1.0)", registry.image());
    stage.until_says::<ImagePolicy>("app", &before).await;
    let confirmed = format!(
        "a second complete scan of {} has confirmed that 1.1.0 is gone; 1.0.0, which is older, is \
         the latest now",
        registry.image()
    );
    let event = stage.event(&confirmed).await;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    stage.end().await;
}

#[tokio::test]
async fn rg8_a_tag_that_comes_back_was_never_lost() {
    let registry = Registry::with_tags(&["1.0.0", "1.1.0"]).await;
    let mut stage = chosen(&registry).await;
    registry.set(&["1.0.0"]);
    scan(&stage, "one").await;
    stage
        .until_says::<ImagePolicy>("app", "Ready=True DowngradeHeld")
        .await;
    registry.push("1.1.0");
    scan(&stage, "two").await;
    let back: ImagePolicy = stage.until_says("app", "Ready=True Succeeded").await;
    assert_eq!(tag(&back), Some("1.1.0"));
    let status = back.status.expect("because it is ready");
    assert_eq!(status.observed_previous_ref, None);
    stage.end().await;
}

#[tokio::test]
async fn rg8_an_older_tag_is_taken_at_once_where_the_annotation_allows_it() {
    let registry = Registry::with_tags(&["1.0.0", "1.1.0"]).await;
    let mut stage = chosen(&registry).await;
    let annotations = json!({"metadata": {"annotations": {DOWNGRADE: "allow"}}});
    stage.patch::<ImagePolicy>("app", annotations).await;
    registry.set(&["1.0.0"]);
    scan(&stage, "one").await;
    stage
        .until_says::<ImagePolicy>("app", "resolved to 1.0.0")
        .await;
    stage.end().await;
}

#[tokio::test]
async fn a_narrower_range_is_no_downgrade() {
    let registry = Registry::with_tags(&["1.0.0", "1.1.0"]).await;
    let mut stage = chosen(&registry).await;
    let spec = json!({"spec": {"policy": {"semver": {"range": "1.0.x"}}}});
    stage.patch::<ImagePolicy>("app", spec).await;
    stage
        .until_says::<ImagePolicy>("app", "resolved to 1.0.0")
        .await;
    stage.end().await;
}
