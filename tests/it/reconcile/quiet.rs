//! Repositories that are scanned again and have nothing new: nothing is written, nobody is woken.

use futures::future::join_all;
use serde_json::json;
use towpath::api::{ImagePolicy, ImageRepository};

use super::stage::{Registry, Stage};

/// ImageRepositories, and as many ImagePolicies.
const N_OBJECTS: usize = 20;

fn names() -> impl Iterator<Item = String> {
    (0..N_OBJECTS).map(|n| format!("app-{n}"))
}

/// Has every repository scanned once more.
async fn scan_all(stage: &Stage, at: &str) {
    let scan = async |name: String| {
        stage.request::<ImageRepository>(&name, at).await;
        let is_handled = |object: &ImageRepository| {
            let status = object.status.as_ref();
            status.and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some(at)
        };
        stage.until(&name, is_handled).await;
    };
    join_all(names().map(scan)).await;
}

async fn policies(stage: &Stage) -> Vec<Option<String>> {
    let policy = async |name: String| {
        let policy: ImagePolicy = stage.until_says(&name, "Ready=True").await;
        policy.metadata.resource_version
    };
    join_all(names().map(policy)).await
}

#[tokio::test]
async fn scans_that_find_nothing_new_write_no_store_and_run_no_policy() {
    let registry = Registry::with_tags(&["1.0.0", "1.1.0"]).await;
    let mut stage = Stage::start().await;
    for name in names() {
        let spec = json!({"image": registry.image(), "interval": "1h", "insecure": true});
        stage.create::<ImageRepository>(&name, spec).await;
        let policy =
            json!({"imageRepositoryRef": {"name": name}, "policy": {"semver": {"range": "*"}}});
        stage.create::<ImagePolicy>(&name, policy).await;
    }
    let chosen = policies(&stage).await;
    // What the first scans have woken is done by the end of these.
    scan_all(&stage, "first").await;
    let (written, n_passes) = (stage.tags().written(), stage.passes.of("ImagePolicy"));
    let n_scanned = stage.passes.of("ImageRepository");
    assert_eq!(written.n_transactions.min(1), 1, "{written:?}");

    // Policies that the second scans woke would run beside the third ones.
    scan_all(&stage, "second").await;
    scan_all(&stage, "third").await;
    assert!(stage.passes.of("ImageRepository") >= n_scanned + 2 * N_OBJECTS as u64);
    assert_eq!(stage.tags().written(), written);
    assert_eq!(stage.passes.of("ImagePolicy"), n_passes);
    assert_eq!(policies(&stage).await, chosen);

    // The counts do move when there is something new.
    registry.push("1.2.0");
    scan_all(&stage, "fourth").await;
    for name in names() {
        stage
            .until_says::<ImagePolicy>(&name, "resolved to 1.2.0")
            .await;
    }
    assert!(stage.passes.of("ImagePolicy") >= n_passes + N_OBJECTS as u64);
    assert_ne!(stage.tags().written(), written);
    stage.end().await;
}
