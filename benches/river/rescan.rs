//! What scans leave behind that find nothing new: the writes of the store and the passes of policies.
//!
//! All controllers run in this process on the embedded API; each ImageRepository has an ImagePolicy.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use towpath::api::annotations::REQUESTED_AT;
use towpath::api::{ImagePolicy, ImageRepository};
use towpath::cli::demo::registry::{self, Registry};
use towpath::cluster::{Cluster, Embedded};
use towpath::reconcile::{Clock, Jitter, Kind, Passes};
use towpath::{controllers, git, serve, source, tags};

/// Images that the ImageRepositories share.
const N_IMAGES: usize = 10;
/// Requests that are under way at once.
const REQUESTS_MAX: usize = 16;
/// How long a round of scans may take.
const PATIENCE: Duration = Duration::from_secs(60);
const NAMESPACE: &str = "rescan";

/// Scans so many ImageRepositories again and again and prints what that wrote and woke.
pub async fn print(n_repositories: usize) -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    for image in 0..N_IMAGES {
        registry::push(&name(&registry, image), "1.0.0", b"1.0.0").await?;
    }
    let cluster = Cluster::embedded(Embedded::default()).await?;
    let client = cluster.client();
    serve::prepare(&client, objects(&registry, n_repositories)).await?;

    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let tags = Arc::new(tags::Store::open(&folder.join("tags"))?);
    let passes = Passes::default();
    let context = controllers::Context {
        client: client.clone(),
        clock: Clock::system(),
        jitter: Jitter::new(1),
        passes: passes.clone(),
        registry: towpath::registry::Client::new(),
        tags: tags.clone(),
        git: git::Git::open(&folder.join("git"))?,
        markers: Arc::new(controllers::MarkerIndex::open(&folder.join("markers"))?),
        storage: source::Storage::open(&folder.join("source"), "localhost")?,
    };
    let run = controllers::run(context, CancellationToken::new());
    let _running = AbortOnDropHandle::new(tokio::spawn(run));

    let has_chosen = |policy: &ImagePolicy| {
        let status = policy.status.as_ref();
        status.is_some_and(|status| status.latest_ref.is_some())
    };
    all(&client, n_repositories, has_chosen).await?;
    // What the first scans have woken is done by the end of these.
    scan_all(&client, n_repositories, "first").await?;
    let before = (tags.written(), passes.of("ImagePolicy"));
    let began = Instant::now();
    // Policies that the second scans woke would run beside the third ones.
    scan_all(&client, n_repositories, "second").await?;
    scan_all(&client, n_repositories, "third").await?;
    let took = began.elapsed();
    let (written, n_passes) = (tags.written(), passes.of("ImagePolicy"));
    println!(
        "\n{} scans of {n_repositories} ImageRepositories with nothing new, in {:.1} s with their requests",
        2 * n_repositories,
        took.as_secs_f64()
    );
    let n_transactions = written.n_transactions - before.0.n_transactions;
    println!("  writes of the store   {n_transactions:>6}   target 0");
    let n_passes = n_passes - before.1;
    println!("  passes of policies    {n_passes:>6}   target 0");
    anyhow::ensure!((n_transactions, n_passes) == (0, 0), "rest is not rest");
    Ok(())
}

fn name(registry: &Registry, image: usize) -> String {
    format!("{}/acme/app-{image}", registry.host())
}

fn objects(registry: &Registry, n_repositories: usize) -> Vec<Value> {
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE},
    });
    let both = |number: usize| {
        let metadata = json!({"name": format!("app-{number}"), "namespace": NAMESPACE});
        let image = name(registry, number % N_IMAGES);
        let repository = json!({
            "apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImageRepository",
            "metadata": metadata,
            "spec": {"image": image, "insecure": true, "interval": "24h"},
        });
        let policy = json!({
            "apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImagePolicy",
            "metadata": metadata,
            "spec": {
                "imageRepositoryRef": {"name": metadata["name"]},
                "policy": {"semver": {"range": "*"}},
            },
        });
        [repository, policy]
    };
    let objects = (0..n_repositories).flat_map(both);
    std::iter::once(namespace).chain(objects).collect()
}

/// Asks for a scan of each, and waits until all have ended.
async fn scan_all(client: &Client, n_repositories: usize, at: &str) -> anyhow::Result<()> {
    let api: Api<ImageRepository> = Api::namespaced(client.clone(), NAMESPACE);
    let patch = json!({"metadata": {"annotations": {REQUESTED_AT: at}}});
    let request = |number: usize| {
        let (api, patch) = (api.clone(), Patch::Merge(patch.clone()));
        let name = format!("app-{number}");
        async move { api.patch(&name, &PatchParams::default(), &patch).await }
    };
    let requests = stream::iter(0..n_repositories).map(request);
    let mut requests = requests.buffer_unordered(REQUESTS_MAX);
    while requests.try_next().await?.is_some() {}
    let is_handled = |object: &ImageRepository| object.handled_request() == Some(at);
    all(client, n_repositories, is_handled).await
}

/// Waits until so many objects of a kind are so.
async fn all<K>(client: &Client, n: usize, is_so: impl Fn(&K) -> bool) -> anyhow::Result<()>
where
    K: Kind + Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let api: Api<K> = Api::namespaced(client.clone(), NAMESPACE);
    let mut done = BTreeSet::new();
    let wait = async {
        let objects = watcher(api, watcher::Config::default());
        let mut objects = objects.default_backoff().applied_objects().boxed();
        while done.len() < n {
            let object = objects.try_next().await?.context("the watch ended")?;
            if is_so(&object) {
                done.insert(object.name_any());
            }
        }
        anyhow::Ok(())
    };
    let ended = timeout(PATIENCE, wait).await;
    ended.with_context(|| format!("{} of {n} are done", done.len()))?
}
