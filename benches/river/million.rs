//! A registry with a million tags: what one scan takes of time and of memory beyond rest, and that
//! ten million are refused with a condition that says so.
//!
//! The registry makes its pages as they are asked for, on loopback.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, api::PostParams};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use towpath::api::{ConditionStatus, ImageRepository};
use towpath::registry::TAGS_MAX;

use super::child::{self, Child};

const NAMESPACE: &str = "million";
/// Tags of a page of the registry that has pages.
const PAGE_TAGS: usize = 1000;
/// How many times more tags than a scan may take are refused.
const REFUSED_FACTOR: usize = 10;
/// How long the process rests before what it holds is called its rest.
const REST: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);
const TARGET_BYTES: u64 = 64 << 20;

/// Scans so many tags, in pages and in one answer, and prints what each took.
pub async fn print(n_tags: usize) -> anyhow::Result<()> {
    if !Path::new("/proc/self/status").exists() {
        println!("\nMillion: not measured, since this system has no /proc.");
        return Ok(());
    }
    println!("\nOne scan of {n_tags} tags such as main-00f4240-1700000000");
    for (name, page_tags) in [("in pages of 1000", PAGE_TAGS), ("in one answer", n_tags)] {
        let registry = serve(n_tags, page_tags).await?;
        measure(name, &registry.0, n_tags).await?;
    }
    let n_refused = n_tags * REFUSED_FACTOR;
    if n_refused <= TAGS_MAX {
        return Ok(());
    }
    let registry = serve(n_refused, PAGE_TAGS).await?;
    refused(&registry.0, n_refused).await
}

async fn measure(name: &str, host: &str, n_tags: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (child, rest) = at_rest(folder.path()).await?;
    let began = Instant::now();
    let object = scanned(folder.path(), host).await?;
    let took = began.elapsed();
    let status = object.status.unwrap_or_default();
    let count = status.last_scan_result.map(|last| last.tag_count);
    anyhow::ensure!(
        count == i64::try_from(n_tags).ok(),
        "{count:?} tags were found"
    );
    let (_, most) = child.resident_bytes()?;
    let above = most.saturating_sub(rest);
    println!(
        "  {name:<20} {:>6.2} s   {:>6.1} MiB above {:.1} MiB at rest   {:.2} of {} MiB",
        took.as_secs_f64(),
        mebibytes(above),
        mebibytes(rest),
        above as f64 / TARGET_BYTES as f64,
        TARGET_BYTES >> 20
    );
    child.end().await
}

async fn refused(host: &str, n_tags: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (child, rest) = at_rest(folder.path()).await?;
    let object = scanned(folder.path(), host).await?;
    let conditions = object.status.unwrap_or_default().conditions;
    let ready = conditions.iter().find(|c| c.type_ == "Ready");
    let ready = ready.filter(|ready| ready.status == ConditionStatus::False);
    let message = &ready.context("the scan was not refused")?.message;
    anyhow::ensure!(
        message.contains("which is the limit of one repository"),
        "{message}"
    );
    let (_, most) = child.resident_bytes()?;
    println!(
        "  {n_tags} tags are refused, {:.1} MiB above rest:\n    {message}",
        mebibytes(most.saturating_sub(rest))
    );
    child.end().await
}

/// Starts a process without objects and returns it with what it holds at rest.
async fn at_rest(folder: &Path) -> anyhow::Result<(Child, u64)> {
    let manifests = folder.join("namespace.yaml");
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n");
    std::fs::write(&manifests, namespace)?;
    let child = Child::start(&folder.join("data"), Some(&manifests)).await?;
    sleep(REST).await;
    child.forget_peak()?;
    let (rest, _) = child.resident_bytes()?;
    Ok((child, rest))
}

/// Creates an ImageRepository and returns it when its first scan has ended.
async fn scanned(folder: &Path, host: &str) -> anyhow::Result<ImageRepository> {
    let client = child::client(&folder.join("data")).await?;
    let api: Api<ImageRepository> = Api::namespaced(client, NAMESPACE);
    let object: ImageRepository = serde_json::from_value(json!({
        "apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImageRepository",
        "metadata": {"name": "app", "namespace": NAMESPACE},
        "spec": {"image": format!("{host}/acme/app"), "insecure": true, "interval": "24h"},
    }))?;
    api.create(&PostParams::default(), &object).await?;
    let ended = async {
        let objects = watcher(api, watcher::Config::default());
        let mut objects = objects.default_backoff().applied_objects().boxed();
        loop {
            let object = objects.try_next().await?.context("the watch ended")?;
            let conditions = object.status.iter().flat_map(|status| &status.conditions);
            let mut ready = conditions.filter(|c| c.type_ == "Ready");
            if ready.any(|ready| ready.status != ConditionStatus::Unknown) {
                return anyhow::Ok(object);
            }
        }
    };
    timeout(PATIENCE, ended)
        .await
        .context("the scan has not ended")?
}

/// A registry's answers: how many tags there are, and how many in a page.
#[derive(Clone, Copy)]
struct Pages {
    n_tags: usize,
    page_tags: usize,
}

/// Serves a registry and returns its host; it ends with the value.
async fn serve(
    n_tags: usize,
    page_tags: usize,
) -> anyhow::Result<(String, AbortOnDropHandle<std::io::Result<()>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let host = listener.local_addr()?.to_string();
    let pages = Pages { n_tags, page_tags };
    let router = Router::new().fallback(page).with_state(pages);
    let serving = tokio::spawn(axum::serve(listener, router).into_future());
    Ok((host, AbortOnDropHandle::new(serving)))
}

async fn page(State(pages): State<Pages>, OriginalUri(url): OriginalUri) -> Response {
    if url.path() == "/v2/" {
        return Response::new(Body::from("{}"));
    }
    let at = url.query().and_then(|query| query.rsplit_once("at="));
    let first: usize = at.and_then(|(_, at)| at.parse().ok()).unwrap_or(0);
    let end = (first + pages.page_tags).min(pages.n_tags);
    // Written in pieces, so that the server holds no page either.
    let pieces = (first..end).step_by(PAGE_TAGS).map(move |from| {
        let tags = (from..end.min(from + PAGE_TAGS)).map(|n| {
            let comma = if n == first { "" } else { "," };
            format!("{comma}\"main-{n:07x}-{}\"", 1_700_000_000 + n)
        });
        Bytes::from(tags.collect::<String>())
    });
    let start = std::iter::once(Bytes::from_static(b"{\"name\":\"acme/app\",\"tags\":["));
    let all = start
        .chain(pieces)
        .chain(std::iter::once(Bytes::from_static(b"]}")));
    let body = Body::from_stream(stream::iter(all.map(Ok::<_, std::io::Error>)));
    let mut response = Response::new(body);
    if end < pages.n_tags {
        let link = format!("</v2/acme/app/tags/list?at={end}>; rel=\"next\"");
        if let Ok(link) = link.parse() {
            response.headers_mut().insert("link", link);
        }
    }
    response
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
