//! The process is killed at the worst moments; started again, it goes on as if nothing had happened.
//!
//! Every test has the name of its moment. Each is met once, or as often as `TOWPATH_CRASH_RUNS` says.

use std::os::unix::process::ExitStatusExt as _;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt as _};
use towpath::api::{ImageRepository, ImageUpdateAutomation, Kustomization};

use crate::world::cut::{Line, When};
use crate::world::fleet::{Fleet, REPOSITORY, deployments, image_of};
use crate::world::process::{Process, kill};

/// What a killed process ends by.
const SIGKILL: i32 = 9;

/// How the process dies.
#[derive(Clone, Copy)]
enum Death {
    /// By its own hand, at a moment of its code.
    Failpoint(&'static str),
    /// By ours, during its push.
    Push(When),
}

/// A moment, and how many commits a run has made when the process dies at it.
struct Moment {
    death: Death,
    n_commits: usize,
    /// Whether somebody else pushes meanwhile, so that there is something to fetch.
    is_shared: bool,
}

fn at(moment: &'static str, n_commits: usize) -> Moment {
    Moment {
        death: Death::Failpoint(moment),
        n_commits,
        is_shared: false,
    }
}

fn n_runs() -> usize {
    let runs = std::env::var("TOWPATH_CRASH_RUNS");
    runs.map_or(1, |runs| runs.parse().expect("it is a number"))
}

/// Kills the process at a moment of each of some runs, and starts it again.
async fn check(moment: Moment) {
    let fleet = Fleet::start().await;
    let port: u16 = fleet
        .git
        .url("")
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let line = Line::start(port).await;
    let objects = std::fs::read_to_string(fleet.objects()).unwrap();
    let through = objects.replace(
        &format!("localhost:{port}"),
        &format!("127.0.0.1:{}", line.port),
    );
    assert_ne!(through, objects);
    std::fs::write(fleet.objects(), through).unwrap();
    let process = Process::run(&fleet.data(), &fleet.objects(), &[]).await;
    applied(&fleet, &process, "1.0.0").await;
    let settings = version_of_settings(&process).await;
    let (status, said) = process.terminate().await;
    assert_eq!(status.code(), Some(0), "{said}");
    for run in 1..=n_runs() {
        once(&fleet, &line, &moment, run).await;
    }
    let process = Process::run(&fleet.data(), &fleet.objects(), &[]).await;
    assert_eq!(version_of_settings(&process).await, settings);
    println!(
        "{}: exactly one commit, {} of {}",
        name(&moment),
        n_runs(),
        n_runs()
    );
}

fn name(moment: &Moment) -> &'static str {
    match moment.death {
        Death::Failpoint(name) => name,
        Death::Push(When::MidPack) => "push.mid_pack",
        Death::Push(When::Answered) => "push.after_send_before_reply",
    }
}

async fn once(fleet: &Fleet, line: &Line, moment: &Moment, run: usize) {
    let (name, tag) = (name(moment), format!("1.{run}.0"));
    let mut n_before = fleet.n_commits();
    let variables = match moment.death {
        Death::Failpoint(name) => vec![("TOWPATH_FAILPOINT", name)],
        Death::Push(_) => Vec::new(),
    };
    let process = Process::run(&fleet.data(), &fleet.objects(), &variables).await;
    if let Death::Push(when) = moment.death {
        let id = process.id();
        line.arm(when, move || kill(id));
    }
    if moment.is_shared {
        fleet.git.commit(REPOSITORY, "main", &[("notes", &tag)]);
        n_before += 1;
    }
    let first = fleet.head();
    fleet.push_image(&tag).await;
    // What others pushed may be fetched, and the process killed, before the tag is known.
    let asked = process.ask::<ImageRepository>("app", &tag).await;
    assert!(asked || moment.is_shared, "{}", process.said());
    let (status, said) = process.ended().await;
    assert_eq!(status.signal(), Some(SIGKILL), "{said}");
    assert_eq!(
        fleet.n_commits(),
        n_before + moment.n_commits,
        "when it died at {name}"
    );

    let process = Process::run(&fleet.data(), &fleet.objects(), &[]).await;
    // A tag that was not stored is found by the next scan.
    process
        .request::<ImageRepository>("app", &format!("{tag}-again"))
        .await;
    applied(fleet, &process, &tag).await;
    let settled = process
        .reconcile::<ImageUpdateAutomation>("fleet", &tag)
        .await;
    process.reconcile::<Kustomization>("apps", &tag).await;
    assert_eq!(fleet.n_commits(), n_before + 1, "one commit after {name}");
    assert_eq!(fleet.git(&["rev-parse", "main^"]), first);
    let recorded = settled.status.and_then(|status| status.last_push_commit);
    assert_eq!(recorded, Some(fleet.head()), "it is recorded after {name}");
    fleet.git.check(REPOSITORY);
    for name in ["app", "worker"] {
        let deployment = deployments(process.client()).get(name).await;
        let generation = deployment.expect("it is applied").metadata.generation;
        assert_eq!(generation, Some(1 + i64::try_from(run).unwrap()), "{name}");
    }
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
async fn killed_at_scan_after_page() {
    check(at("scan.after_page", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_scan_before_store() {
    check(at("scan.before_store", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_store_before_fsync() {
    check(at("store.before_fsync", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_store_after_fsync() {
    check(at("store.after_fsync", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_policy_before_eval() {
    check(at("policy.before_eval@2", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_policy_before_status() {
    check(at("policy.before_status@2", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_policy_after_status() {
    check(at("policy.after_status@2", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_edit_after_blob() {
    check(at("edit.after_blob", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_commit_before_write_object() {
    check(at("commit.before_write_object", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_commit_after_write_object() {
    check(at("commit.after_write_object", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_push_before_send() {
    check(at("push.before_send", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_push_after_reply_before_record() {
    check(at("push.after_reply_before_record", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_update_before_status() {
    check(at("update.before_status", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_source_before_artifact_rename() {
    check(at("source.before_artifact_rename", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_apply_after() {
    check(at("apply.after", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_git_before_fetch() {
    let moment = at("git.before_fetch", 0);
    check(Moment {
        is_shared: true,
        ..moment
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_git_after_fetch_before_index() {
    let moment = at("git.after_fetch_before_index", 0);
    check(Moment {
        is_shared: true,
        ..moment
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_push_mid_pack() {
    let death = Death::Push(When::MidPack);
    let moment = at("", 0);
    check(Moment { death, ..moment }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_push_after_send_before_reply() {
    let death = Death::Push(When::Answered);
    let moment = at("", 1);
    check(Moment { death, ..moment }).await;
}
