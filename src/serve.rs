//! Everything together: the cluster, its definitions, the first objects, all controllers.
//!
//! What `towpath run` and `towpath demo` serve. One owner for all tasks: when one ends, all end.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use kube::Client;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, Embedded};
use crate::outbound::Hosts;
use crate::reconcile::{Clock, Jitter, Passes};
use crate::safe::AddressRule;
use crate::{api, apply, controllers, git, registry, source, tags};

/// The field manager of definitions and of what `-f` names.
const FIELD_MANAGER: &str = "towpath";
/// The largest manifest file that is read.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// What is served.
#[derive(Debug, Default)]
pub struct Options {
    /// The folder that keeps everything.
    pub data: PathBuf,
    /// Somebody's cluster; the embedded API without it.
    pub kubeconfig: Option<PathBuf>,
    /// Where the embedded API's kubeconfig is written; `kubeconfig` in the data folder by default.
    pub kubeconfig_file: Option<PathBuf>,
    /// Manifests, or folders of them, that are applied first.
    pub files: Vec<PathBuf>,
    /// Which addresses may be behind hosts that objects name.
    pub addresses: AddressRule,
    /// Token services that may have the credentials of registries of other sites.
    pub registry_token_hosts: Vec<String>,
}

/// Everything, running.
pub struct Running {
    client: Client,
    description: String,
    shutdown: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Running {
    /// Returns a client of the cluster.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns where the cluster is, for people.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Waits for the end. Fails when a part ended by itself.
    pub async fn ended(mut self) -> anyhow::Result<()> {
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.context("a task was lost").and_then(|ended| ended);
            if result.is_ok() {
                result = ended;
            }
            self.shutdown.cancel();
        }
        result
    }
}

/// Starts everything; it ends when `shutdown` is cancelled. Fails when a file cannot be read, the
/// cluster cannot be reached, or it refuses an object.
pub async fn start(options: Options, shutdown: CancellationToken) -> anyhow::Result<Running> {
    let manifests = manifests(&options.files)?;
    std::fs::create_dir_all(&options.data)
        .with_context(|| format!("create the data folder {}", options.data.display()))?;
    let kubeconfig_file = options.kubeconfig_file.clone();
    let kubeconfig_file = kubeconfig_file.unwrap_or_else(|| options.data.join("kubeconfig"));
    let cluster = match &options.kubeconfig {
        Some(kubeconfig) => Cluster::from_kubeconfig(kubeconfig).await?,
        None => {
            let embedded = Embedded {
                data: Some(options.data.join("api")),
                listen: None,
                kubeconfig: Some(kubeconfig_file),
            };
            Cluster::embedded(embedded).await?
        }
    };
    let (client, description) = (cluster.client(), cluster.description().to_owned());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.context("listen for those who want artifacts")?;
    let advertised = listener.local_addr()?.to_string();
    let storage = source::Storage::open(&options.data.join("source"), &advertised)?;
    let folder = options.data.join("markers");
    let markers = controllers::MarkerIndex::open(&folder)
        .with_context(|| format!("open the index of markers in {}", folder.display()))?;
    let hosts = Hosts::new(options.addresses);
    let context = controllers::Context {
        client: client.clone(),
        clock: Clock::system(),
        jitter: Jitter::new(u64::from(std::process::id())),
        passes: Passes::default(),
        registry: registry::Client::new()
            .with_hosts(hosts.clone())
            .with_realms(options.registry_token_hosts.into_iter().collect()),
        tags: Arc::new(tags::Store::open(&options.data.join("tags"))?),
        git: git::Git::open_for(&options.data.join("git"), hosts)?,
        markers: Arc::new(markers),
        storage: storage.clone(),
    };
    let mut tasks = JoinSet::new();
    // The cluster ends last, so that the controllers' last words are kept.
    let after = CancellationToken::new();
    let artifacts = axum::serve(listener, source::router(storage))
        .with_graceful_shutdown(after.clone().cancelled_owned());
    tasks.spawn(async move { artifacts.await.context("serve artifacts") });
    let serving = cluster.serve(after.clone());
    tasks.spawn(async move {
        serving.await;
        Ok(())
    });
    if let Err(error) = prepare(&client, manifests).await {
        after.cancel();
        while tasks.join_next().await.is_some() {}
        return Err(error);
    }
    let ending = shutdown.clone();
    tasks.spawn(async move {
        let _last = after.drop_guard();
        controllers::run(context, ending)
            .await
            .context("run the controllers")
    });
    Ok(Running {
        client,
        description,
        shutdown,
        tasks,
    })
}

/// Installs the definitions of Flux's kinds and applies manifests, harmlessly again and again. Fails when
/// the cluster refuses one of them.
pub async fn prepare(client: &Client, manifests: Vec<Value>) -> anyhow::Result<()> {
    let cluster = apply::Cluster::with_manager(client.clone(), FIELD_MANAGER);
    let definitions = api::crds().into_iter().map(serde_json::to_value);
    let definitions: Vec<Value> = definitions.collect::<Result<_, _>>()?;
    let foreign = foreign_definitions(&cluster, &definitions).await?;
    let own = definitions.into_iter().filter(|definition| {
        !foreign.contains(definition["metadata"]["name"].as_str().unwrap_or_default())
    });
    let (_, applied) = apply_all(&cluster, own.collect()).await?;
    applied.context("install the definitions of Flux's kinds")?;
    let (_, applied) = apply_all(&cluster, manifests).await?;
    applied.context("apply the manifests")
}

async fn apply_all(
    cluster: &apply::Cluster,
    objects: Vec<Value>,
) -> anyhow::Result<(apply::ChangeSet, Result<(), apply::Error>)> {
    let stages = apply::plan(objects)?;
    Ok(apply::apply(cluster, stages, apply::ApplyOptions::default()).await)
}

/// Returns the names of definitions that somebody else installed: a cluster that has Flux keeps
/// Flux's own.
async fn foreign_definitions(
    cluster: &apply::Cluster,
    definitions: &[Value],
) -> anyhow::Result<BTreeSet<String>> {
    let mut foreign = BTreeSet::new();
    for definition in definitions {
        let reference = apply::ObjectRef::of(definition)?;
        let Some(live) = cluster.read(&reference).await? else {
            continue;
        };
        let entries = live
            .pointer("/metadata/managedFields")
            .and_then(Value::as_array);
        let ours = entries
            .into_iter()
            .flatten()
            .any(|entry| entry["manager"] == FIELD_MANAGER && entry["operation"] == "Apply");
        if !ours {
            foreign.insert(reference.name);
        }
    }
    Ok(foreign)
}

/// Reads manifests from files and folders, in the order of their names.
pub fn manifests(paths: &[PathBuf]) -> anyhow::Result<Vec<Value>> {
    let mut objects = Vec::new();
    for path in paths {
        let mut files = Vec::new();
        find(path, &mut files)?;
        for file in files {
            objects.extend(read(&file)?);
        }
    }
    Ok(objects)
}

fn find(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("read {}", path.display()))?;
    let mut entries: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        let extension = entry.extension().and_then(|extension| extension.to_str());
        if entry.is_dir() || matches!(extension, Some("yaml" | "yml" | "json")) {
            find(&entry, files)?;
        }
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Vec<Value>> {
    let about = || format!("read {}", file.display());
    let size = std::fs::metadata(file).with_context(about)?.len();
    anyhow::ensure!(
        size <= MANIFEST_BYTES_MAX,
        "{}: larger than 16 MiB",
        file.display()
    );
    let text = std::fs::read_to_string(file).with_context(about)?;
    let values = yaml::to_values(&text).with_context(about)?;
    let mut objects = Vec::new();
    for value in values {
        if value["kind"] == "List" {
            objects.extend(value["items"].as_array().into_iter().flatten().cloned());
        } else {
            objects.push(value);
        }
    }
    for object in &objects {
        apply::ObjectRef::of(object).with_context(about)?;
    }
    Ok(objects)
}
