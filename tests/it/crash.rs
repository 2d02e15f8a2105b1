//! The process is killed at the worst moments; started again, it goes on as if nothing had happened.

use std::os::unix::process::ExitStatusExt as _;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt as _};
use towpath::api::{ImageRepository, ImageUpdateAutomation, Kustomization};

use crate::world::fleet::{Fleet, REPOSITORY, deployments, image_of};
use crate::world::process::Process;

/// What a process that aborts is killed by.
const SIGABRT: i32 = 6;

/// Where the process dies, and how many commits are in Git then.
async fn check(moment: &str, n_commits: usize) {
    let fleet = Fleet::start().await;
    let process = Process::run(&fleet.data(), &fleet.objects(), &[]).await;
    applied(&fleet, &process, "1.0.0").await;
    let first = fleet.head();
    let settings = version_of_settings(&process).await;
    let (status, said) = process.terminate().await;
    assert_eq!(status.code(), Some(0), "{said}");

    let variables = [("TOWPATH_FAILPOINT", moment)];
    let process = Process::run(&fleet.data(), &fleet.objects(), &variables).await;
    fleet.push_image("1.1.0").await;
    process.request::<ImageRepository>("app", "the tag").await;
    let (status, said) = process.ended().await;
    assert_eq!(status.signal(), Some(SIGABRT), "{said}");
    assert!(said.contains(moment), "{said}");
    assert_eq!(fleet.n_commits(), n_commits, "when it died at {moment}");

    let process = Process::run(&fleet.data(), &fleet.objects(), &[]).await;
    applied(&fleet, &process, "1.1.0").await;
    process
        .reconcile::<ImageUpdateAutomation>("fleet", "settle")
        .await;
    process.reconcile::<Kustomization>("apps", "settle").await;
    assert_eq!(fleet.n_commits(), 2, "one commit after {moment}");
    assert_eq!(fleet.git(&["rev-parse", "main^"]), first);
    fleet.git.check(REPOSITORY);
    for name in ["app", "worker"] {
        let deployment = deployments(process.client()).get(name).await;
        let deployment = deployment.expect("it is applied");
        assert_eq!(deployment.metadata.generation, Some(2), "{name}");
    }
    assert_eq!(version_of_settings(&process).await, settings);
    let (status, said) = process.terminate().await;
    assert_eq!(status.code(), Some(0), "{said}");
}

/// Waits until both Deployments have the tag and the Kustomization says that the head is applied.
async fn applied(fleet: &Fleet, process: &Process, tag: &str) {
    let image = format!("{}:{tag}", fleet.image());
    for name in ["app", "worker"] {
        let is_so = |deployment: &_| image_of(deployment) == image;
        process
            .until(deployments(process.client()), name, is_so)
            .await;
    }
    let revision = format!("main@sha1:{}", fleet.head());
    let is_so = |kustomization: &Kustomization| {
        let status = kustomization.status.as_ref();
        status.and_then(|status| status.last_applied_revision.as_deref()) == Some(&revision)
    };
    process.until(process.flux(), "apps", is_so).await;
}

async fn version_of_settings(process: &Process) -> Option<String> {
    let maps: Api<ConfigMap> = Api::namespaced(process.client(), "apps");
    let settings = maps.get("settings").await;
    settings.expect("it is applied").resource_version()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_commit_and_push() {
    check("push.before_send", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_push_and_its_handover() {
    check("push.after_reply_before_record", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_push_and_status() {
    check("update.before_status", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_apply() {
    check("apply.after", 2).await;
}
