//! `towpath build PATH`: what `kustomize build` prints.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use kustomize::{FolderFiles, LoadRestrictor, Options, Order};

use crate::cli::hint::Hint;

/// Builds a kustomization and prints the objects; a drop-in for `kustomize build`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The folder with the kustomization file.
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,
    /// Writes the objects to this file, or one file each into this folder, instead of stdout.
    #[arg(short, long, value_name = "FILE|FOLDER")]
    output: Option<PathBuf>,
    /// Which files a kustomization may read.
    #[arg(long, value_enum, default_value = "LoadRestrictionsRootOnly")]
    load_restrictor: Restrictor,
    /// The order of the objects, where the kustomization file has no sortOptions.
    #[arg(long, value_enum, default_value = "legacy")]
    reorder: Reorder,
    /// Adds the label `app.kubernetes.io/managed-by` to every object.
    #[arg(long)]
    enable_managedby_label: bool,
    #[command(flatten)]
    refused: Refused,
}

/// Flags of `kustomize build` that are known and refused, unless they say `false`.
#[derive(clap::Args)]
struct Refused {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    enable_helm: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    helm_command: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    helm_api_versions: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    helm_kube_version: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    helm_debug: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    enable_alpha_plugins: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    enable_exec: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    network: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    network_name: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    mount: Option<String>,
    #[arg(short, long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    env: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    as_current_user: Option<String>,
}

impl Refused {
    /// Fails at the first flag that is there.
    fn check(&self) -> anyhow::Result<()> {
        const HELM: &str = "charts are not inflated; render them first";
        const PROGRAM: &str = "no program or container is run";
        let flags = [
            ("--enable-helm", &self.enable_helm, HELM),
            ("--helm-command", &self.helm_command, HELM),
            ("--helm-api-versions", &self.helm_api_versions, HELM),
            ("--helm-kube-version", &self.helm_kube_version, HELM),
            ("--helm-debug", &self.helm_debug, HELM),
            (
                "--enable-alpha-plugins",
                &self.enable_alpha_plugins,
                PROGRAM,
            ),
            ("--enable-exec", &self.enable_exec, PROGRAM),
            ("--network", &self.network, PROGRAM),
            ("--network-name", &self.network_name, PROGRAM),
            ("--mount", &self.mount, PROGRAM),
            ("--env", &self.env, PROGRAM),
            ("--as-current-user", &self.as_current_user, PROGRAM),
        ];
        for (flag, value, why) in flags {
            if value.as_deref().is_some_and(|value| value != "false") {
                anyhow::bail!("{flag} is not supported: {why}");
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Restrictor {
    /// Files below the folder of the kustomization file.
    #[value(name = "LoadRestrictionsRootOnly", alias = "rootOnly")]
    RootOnly,
    /// All files.
    #[value(name = "LoadRestrictionsNone", alias = "none")]
    None,
}

#[derive(Clone, Copy, ValueEnum)]
enum Reorder {
    /// Namespaces and definitions first, webhooks last.
    Legacy,
    /// As the files have it.
    None,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    arguments.refused.check()?;
    let path = &arguments.path;
    let folder = path
        .canonicalize()
        .with_context(|| format!("find {}", path.display()))
        .hint("name a folder with a kustomization.yaml; what is remote must be fetched first")?;
    // A base may stand beside the folder, so the tree is the whole disk and the restrictor decides.
    let files = FolderFiles::new("/").context("open the file system")?;
    let relative = folder.strip_prefix("/").unwrap_or(&folder);
    let relative = relative
        .to_str()
        .with_context(|| format!("{}: the path is not UTF-8", path.display()))?;
    let options = Options {
        load_restrictor: match arguments.load_restrictor {
            Restrictor::RootOnly => LoadRestrictor::RootOnly,
            Restrictor::None => LoadRestrictor::None,
        },
        order: match arguments.reorder {
            Reorder::Legacy => Order::Legacy,
            Reorder::None => Order::Fifo,
        },
        managed_by_label: arguments.enable_managedby_label,
    };
    let objects = kustomize::build(&files, relative, &options);
    let is_there = ["kustomization.yaml", "kustomization.yml", "Kustomization"]
        .iter()
        .any(|name| folder.join(name).exists());
    let objects = match is_there {
        true => objects?,
        false => objects.hint("name the folder that has one, such as `towpath build apps`")?,
    };
    match &arguments.output {
        Some(folder) if folder.is_dir() => {
            for (name, text) in kustomize::render_files(&objects)? {
                write(&folder.join(name), &text)?;
            }
        }
        Some(file) => write(file, &kustomize::render(&objects))?,
        None => super::output::text_out(&kustomize::render(&objects))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("write {}", file.display()))
}
