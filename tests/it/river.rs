//! The main job as people run it: `towpath run` between a real registry and a real Git server.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use towpath::api::{
    GitRepository, ImagePolicy, ImageRepository, ImageUpdateAutomation, Kustomization,
};

use crate::world::fleet::{Fleet, MARKED, REPOSITORY, deployments, image_of};
use crate::world::process::Process;

/// The longest that `towpath run` takes to end.
const END_MAX: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_tag_is_committed_and_applied_once() {
    let fleet = Fleet::start().await;
    let process = Process::run(&fleet.data(), &fleet.objects(), &[]).await;
    let first = format!("{}:1.0.0", fleet.image());
    let is_first = |deployment: &_| image_of(deployment) == first;
    process
        .until(deployments(process.client()), "app", is_first)
        .await;
    let before = fleet.head();
    let kubeconfig = std::fs::metadata(fleet.data().join("kubeconfig"));
    let mode = kubeconfig.expect("it is written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the kubeconfig is its owner's");

    fleet.push_image("1.1.0").await;
    process.request::<ImageRepository>("app", "the tag").await;
    let second = format!("{}:1.1.0", fleet.image());
    let is_second = |deployment: &_| image_of(deployment) == second;
    for name in ["app", "worker"] {
        process
            .until(deployments(process.client()), name, is_second)
            .await;
    }
    check_commit(&fleet, &before);

    let settled = settle(&process, "settle").await;
    let head = fleet.head();
    assert_eq!(settle(&process, "again").await, settled);
    assert_eq!(fleet.head(), head, "a second request commits nothing");

    let began = Instant::now();
    let (status, said) = process.terminate().await;
    assert!(began.elapsed() < END_MAX, "{:?}", began.elapsed());
    assert_eq!(status.code(), Some(0), "{said}");

    let process = Process::run(&fleet.data(), &fleet.objects(), &[]).await;
    assert_eq!(settle(&process, "restarted").await, settled);
    assert_eq!(fleet.head(), head, "a restart commits nothing");
    let (status, said) = process.terminate().await;
    assert_eq!(status.code(), Some(0), "{said}");
}

/// Fails unless there is one commit more, which changed the marked scalars' bytes and nothing else.
fn check_commit(fleet: &Fleet, before: &str) {
    let head = fleet.head();
    assert_eq!(fleet.git(&["rev-parse", "main^"]), before);
    let changed = fleet.git(&["diff", "--name-only", before, &head]);
    assert_eq!(changed.lines().collect::<Vec<_>>(), MARKED);
    let image = fleet.image();
    for (path, quote) in MARKED.into_iter().zip(["'", ""]) {
        let old = String::from_utf8(fleet.blob(before, path)).expect("it is text");
        let marked = |tag: &str| format!("{quote}{image}:{tag}{quote} ");
        let wanted = old.replace(&marked("1.0.0"), &marked("1.1.0"));
        assert_ne!(wanted, old, "{path}: the test finds the marked scalar");
        let new = String::from_utf8(fleet.blob(&head, path)).expect("it is text");
        assert_eq!(new, wanted, "{path}");
    }
    fleet.git.check(REPOSITORY);
}

/// Reconciles everything and returns the versions of what is applied.
async fn settle(process: &Process, word: &str) -> Vec<Option<String>> {
    process.reconcile::<ImageRepository>("app", word).await;
    process.reconcile::<ImagePolicy>("app", word).await;
    process
        .reconcile::<ImageUpdateAutomation>("fleet", word)
        .await;
    process.reconcile::<GitRepository>("fleet", word).await;
    process.reconcile::<Kustomization>("apps", word).await;
    let mut versions = Vec::new();
    for name in ["app", "worker"] {
        let applied = deployments(process.client()).get(name).await;
        versions.push(applied.expect("it is applied").resource_version());
    }
    versions
}
