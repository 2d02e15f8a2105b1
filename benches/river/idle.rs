//! What a running process costs while nothing is due.
//!
//! The ImageRepositories have been scanned, and their interval is a day. Measured twice: after their
//! first scans, and after a start that finds them scanned.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use tokio::time::{Instant, sleep, timeout};
use towpath::api::ImageRepository;
use towpath::cli::demo::registry::{self, Registry};

use super::child::{self, Child};

/// Images that the ImageRepositories share.
const N_IMAGES: usize = 10;
/// How long all first scans may take.
const SCANS_PATIENCE: Duration = Duration::from_secs(60);
/// A second with no more processor time than this is quiet.
const QUIET: Duration = Duration::from_millis(20);
/// Seconds in which a quiet one must come; what never becomes quiet is measured as it is.
const SETTLING_S_MAX: usize = 10;
const TARGET_SHARE: f64 = 0.01;
const TARGET_BYTES: u64 = 100_000_000;
const NAMESPACE: &str = "idle";

/// Scans so many ImageRepositories once and prints what the process costs then.
pub async fn print(n_repositories: usize, window: Duration) -> anyhow::Result<()> {
    if !Path::new("/proc/self/stat").exists() {
        println!("\nIdle: not measured, since this system has no /proc.");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (data, manifests) = (folder.path().join("data"), folder.path().join("all.yaml"));
    let registry = Registry::start().await?;
    for image in 0..N_IMAGES {
        registry::push(&name(&registry, image), "1.0.0", b"1.0.0").await?;
    }
    std::fs::write(&manifests, objects(&registry, n_repositories))?;

    let child = Child::start(&data, Some(&manifests)).await?;
    let applied = child.serves_after;
    let asked = Instant::now();
    all_scanned(&data, n_repositories).await?;
    let scanned = asked.elapsed();
    println!(
        "\nIdle with {n_repositories} ImageRepositories that are not due, {} s each, counted in 10 ms",
        window.as_secs()
    );
    println!(
        "  (applied and serving after {:.1} s, all scanned {:.1} s later)",
        applied.as_secs_f64(),
        scanned.as_secs_f64()
    );
    measure("after the first scans", &child, window).await?;
    child.end().await?;

    let child = Child::start(&data, None).await?;
    all_scanned(&data, n_repositories).await?;
    measure("after a start that finds them", &child, window).await?;
    child.end().await
}

fn name(registry: &Registry, image: usize) -> String {
    format!("{}/acme/app-{image}", registry.host())
}

fn objects(registry: &Registry, n_repositories: usize) -> String {
    let mut text = format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n");
    for number in 0..n_repositories {
        let image = name(registry, number % N_IMAGES);
        let _ = write!(
            text,
            "---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata:\n  \
             name: app-{number}\n  namespace: {NAMESPACE}\nspec:\n  image: {image}\n  \
             insecure: true\n  interval: 24h\n"
        );
    }
    text
}

/// Waits until every ImageRepository has a scan.
async fn all_scanned(data: &Path, n_repositories: usize) -> anyhow::Result<()> {
    let api: Api<ImageRepository> = Api::namespaced(child::client(data).await?, NAMESPACE);
    let mut scanned = BTreeSet::new();
    let all = async {
        let objects = watcher(api, watcher::Config::default());
        let mut objects = objects.default_backoff().applied_objects().boxed();
        while scanned.len() < n_repositories {
            let object = objects.try_next().await?.context("the watch ended")?;
            let status = object.status.as_ref();
            if status.is_some_and(|status| status.last_scan_result.is_some()) {
                scanned.insert(object.name_any());
            }
        }
        anyhow::Ok(())
    };
    let ended = timeout(SCANS_PATIENCE, all).await;
    ended.with_context(|| format!("{} of {n_repositories} are scanned", scanned.len()))?
}

/// Watches a child that settles for `window` and prints its costs.
async fn measure(when: &str, child: &Child, window: Duration) -> anyhow::Result<()> {
    for _ in 0..SETTLING_S_MAX {
        let before = child.used()?;
        sleep(Duration::from_secs(1)).await;
        if child.used()? - before <= QUIET {
            break;
        }
    }
    let (began, before) = (Instant::now(), child.used()?);
    sleep(window).await;
    let used = child.used()? - before;
    let share = used.as_secs_f64() / began.elapsed().as_secs_f64();
    let (now, most) = child.resident_bytes()?;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "  {when:<30} {:>6.2} % of a core   {:.2} of {:.0} %",
        share * 100.0,
        share / TARGET_SHARE,
        TARGET_SHARE * 100.0
    );
    println!(
        "  {:<30} {:>6.1} MB resident   {:.2} of {:.0} MB (at most {:.1} MB before)",
        "",
        megabytes(now),
        now as f64 / TARGET_BYTES as f64,
        megabytes(TARGET_BYTES),
        megabytes(most)
    );
    Ok(())
}
