//! `towpath update`: the image half of the job once, without a cluster.
//!
//! In: manifests. Out: commits on branches, or changed files in a folder; with --dry-run the diff alone.
//! Nothing stays on this machine but the folder, and what --data asks to keep.

mod diff;
pub(super) mod folder;
mod show;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cli::hint::Hint;
use crate::cli::scratch::Scratch;
use crate::cli::{output, progress};
use crate::cluster::{Cluster, Embedded};
use crate::controllers;
use crate::reconcile::{Clock, Jitter, Passes};
use crate::{git, registry, serve, source, tags};

/// The kinds that take part; others are passed over.
const KINDS: [&str; 7] = [
    "ImageRepository",
    "ImagePolicy",
    "GitRepository",
    "ImageUpdateAutomation",
    "Secret",
    "ServiceAccount",
    "Namespace",
];

/// Scans, chooses, and commits what changes, once and without a cluster.
///
/// ImageRepositories, ImagePolicies, GitRepositories, ImageUpdateAutomations and Secrets are read from
/// files as a cluster would hold them; other kinds are passed over. A second run does nothing.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Manifests, or folders of them.
    #[arg(short, long = "filename", value_name = "FILE|DIR", required = true)]
    files: Vec<PathBuf>,
    /// Updates this folder instead of the remote branch; nothing is committed.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Prints what would change as a diff that `git apply` takes, and changes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Keeps what is fetched and found in this folder, for the next time.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The form of the output.
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t)]
    output: output::Format,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut manifests = serve::manifests(&arguments.files)?;
    manifests.retain(|object| KINDS.contains(&object["kind"].as_str().unwrap_or_default()));
    let mut kinds = manifests.iter().map(|object| &object["kind"]);
    if !kinds.any(|kind| kind == "ImagePolicy") {
        return Err(anyhow::anyhow!("the files hold no ImagePolicy")).hint(
            "-f names the manifests of policies and automations; --path the folder to update",
        );
    }
    let scratch = Scratch::new("update")?;
    let data = arguments.data.as_deref().unwrap_or(scratch.path());
    std::fs::create_dir_all(data)
        .with_context(|| format!("create the data folder {}", data.display()))?;
    let cluster = Cluster::embedded(Embedded::default()).await?;
    let namespaces = namespaces(&manifests);
    serve::prepare(
        &cluster.client(),
        namespaces.chain(manifests.clone()).collect(),
    )
    .await?;
    let context = controllers::Context {
        client: cluster.client(),
        clock: Clock::system(),
        jitter: Jitter::new(0),
        passes: Passes::default(),
        registry: registry::Client::new(),
        tags: Arc::new(tags::Store::open(&data.join("tags"))?),
        git: git::Git::open(&data.join("git"))?,
        markers: Arc::new(controllers::MarkerIndex::open(&data.join("markers"))?),
        storage: source::Storage::open(&data.join("source"), "localhost")?,
    };
    let chosen = progress::during("scanning", controllers::choose(context))
        .await
        .hint("`towpath tags IMAGE` shows what a registry has, and why a policy refuses it")?;
    let updated = match (&arguments.path, arguments.dry_run) {
        (Some(folder), dry_run) => folder::update(&chosen, folder, dry_run)?,
        (None, true) => progress::during("reading branches", chosen.preview()).await?,
        (None, false) => progress::during("updating branches", chosen.push()).await?,
    };
    show::show(&updated, arguments.output)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the namespaces that the objects are in: a cluster that holds them has them.
fn namespaces(objects: &[Value]) -> impl Iterator<Item = Value> + use<> {
    let names = objects
        .iter()
        .filter_map(|object| object["metadata"]["namespace"].as_str());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    names
        .into_iter()
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
}
