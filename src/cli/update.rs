//! `towpath update`: the image half of the job once, without a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cli::hint::Hint;
use crate::cli::{output, progress};
use crate::cluster::{Cluster, Embedded};
use crate::controllers::{self, Chosen, FileUpdate, Updated};
use crate::reconcile::{Clock, Jitter, Key};
use crate::safe::SafePath;
use crate::update::{Kind, PolicyChoice, Setters};
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
    /// Shows what would change, and changes nothing.
    #[arg(long)]
    dry_run: bool,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t)]
    output: output::Format,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut manifests = serve::manifests(&arguments.files)?;
    manifests.retain(|object| KINDS.contains(&object["kind"].as_str().unwrap_or_default()));
    anyhow::ensure!(
        manifests
            .iter()
            .any(|object| object["kind"] == "ImagePolicy"),
        "the files hold no ImagePolicy"
    );
    let scratch = Scratch::new()?;
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
        registry: registry::Client::new(),
        tags: Arc::new(tags::Store::open(&scratch.0.join("tags"))?),
        git: git::Git::open(&scratch.0.join("git"))?,
        storage: source::Storage::open(&scratch.0.join("source"), "localhost")?,
    };
    let chosen = progress::during("scanning", controllers::choose(context))
        .await
        .hint("`towpath tags IMAGE` shows what a registry has, and why a policy refuses it")?;
    let updated = match (&arguments.path, arguments.dry_run) {
        (Some(folder), dry_run) => update_folder(&chosen, folder, dry_run)?,
        (None, true) => progress::during("reading branches", chosen.preview()).await?,
        (None, false) => progress::during("updating branches", chosen.push()).await?,
    };
    show(&updated, arguments.output)?;
    Ok(ExitCode::SUCCESS)
}

/// A folder that is gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("towpath-update-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in the folder for temporary files harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
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

/// Writes the choices into the marked files of a folder, or finds what would be written.
fn update_folder(chosen: &Chosen, folder: &Path, dry_run: bool) -> anyhow::Result<Vec<Updated>> {
    let choices = chosen.choices();
    let mut automations = chosen.automations();
    if automations.is_empty() {
        automations.push((Key::new("", "all policies"), String::new()));
    }
    let mut updated = Vec::new();
    for (automation, path) in automations {
        let own: BTreeMap<&Key, _> = choices
            .iter()
            .filter(|(key, _)| {
                automation.namespace.is_empty() || key.namespace == automation.namespace
            })
            .collect();
        let policies = own.iter().map(|(key, latest)| PolicyChoice {
            namespace: &key.namespace,
            name: &key.name,
            latest,
        });
        let files = Folder(folder.to_owned());
        let report = crate::update::run(&files, &path, &Setters::new(policies)?)
            .with_context(|| format!("update {}", folder.display()))?;
        let mut changed = Vec::new();
        for (file, bytes) in report.writes() {
            let target = folder.join(file.as_str());
            let before =
                std::fs::read(&target).with_context(|| format!("read {}", target.display()))?;
            if !dry_run {
                write(&target, bytes).with_context(|| format!("write {}", target.display()))?;
            }
            changed.push(FileUpdate {
                path: file.to_string(),
                before,
                after: bytes.to_vec(),
            });
        }
        for file in &report.files {
            for marker in &file.ineffective {
                eprintln!(
                    "{}:{}: {}: {}",
                    file.path, marker.line, marker.marker, marker.reason
                );
            }
        }
        updated.push(Updated {
            automation,
            path,
            commit: None,
            files: changed,
        });
    }
    Ok(updated)
}

/// Puts new content in place of a file, whole or not at all, with the mode that it has.
fn write(target: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".towpath");
    let temporary = target.with_file_name(name);
    std::fs::write(&temporary, bytes)?;
    std::fs::set_permissions(&temporary, std::fs::metadata(target)?.permissions())?;
    std::fs::rename(&temporary, target)
}

/// A folder on disk, as the update engine visits it.
struct Folder(PathBuf);

impl Folder {
    fn at(&self, path: &SafePath) -> PathBuf {
        self.0.join(path.as_str())
    }
}

fn kind_of(file_type: std::fs::FileType) -> Kind {
    if file_type.is_symlink() {
        Kind::Link
    } else if file_type.is_dir() {
        Kind::Folder
    } else {
        Kind::File
    }
}

impl crate::update::Files for Folder {
    type Error = std::io::Error;

    fn kind(&self, path: &SafePath) -> Result<Option<Kind>, Self::Error> {
        match std::fs::symlink_metadata(self.at(path)) {
            Ok(metadata) => Ok(Some(kind_of(metadata.file_type()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn entries(&self, folder: &SafePath) -> Result<Vec<(String, Kind)>, Self::Error> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(self.at(folder))? {
            let entry = entry?;
            // A name that is no text cannot be a manifest's; Git's own folder is no part of a tree.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name != ".git" {
                entries.push((name, kind_of(entry.file_type()?)));
            }
        }
        Ok(entries)
    }

    fn read(&self, file: &SafePath) -> Result<Vec<u8>, Self::Error> {
        std::fs::read(self.at(file))
    }

    fn target(&self, link: &SafePath) -> Result<String, Self::Error> {
        Ok(std::fs::read_link(self.at(link))?
            .to_string_lossy()
            .into_owned())
    }
}

fn show(updated: &[Updated], format: output::Format) -> anyhow::Result<()> {
    if format != output::Format::Table {
        let each = updated.iter().map(|updated| {
            let files = updated.files.iter().map(
                |file| json!({"path": file.path, "diff": difference(&file.before, &file.after)}),
            );
            json!({"automation": updated.automation.to_string(), "path": updated.path,
                "commit": updated.commit, "files": files.collect::<Vec<_>>()})
        });
        output::print(format, &Value::Array(each.collect()))?;
        return Ok(());
    }
    let mut text = String::new();
    for updated in updated {
        for FileUpdate {
            path,
            before,
            after,
        } in &updated.files
        {
            text += &format!("--- {path}\n+++ {path}\n{}", difference(before, after));
        }
        match &updated.commit {
            Some(commit) => text += &format!("{}: pushed {commit}\n", updated.automation),
            None if updated.files.is_empty() => {
                eprintln!("{}: up to date", updated.automation);
            }
            None => {}
        }
    }
    output::text_out(&text)?;
    Ok(())
}

/// Returns the lines that differ, with their numbers. Edits replace scalars within lines, so the lines
/// of both sides belong together.
fn difference(before: &[u8], after: &[u8]) -> String {
    let (before, after) = (
        String::from_utf8_lossy(before),
        String::from_utf8_lossy(after),
    );
    let lines = before.lines().zip(after.lines()).enumerate();
    let differing = lines.filter(|(_, (old, new))| old != new);
    differing
        .map(|(at, (old, new))| format!("@@ {} @@\n-{old}\n+{new}\n", at + 1))
        .collect()
}
