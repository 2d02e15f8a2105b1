//! `towpath build PATH`: what `kustomize build` prints.

use std::path::PathBuf;
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
    /// Writes the objects to this file instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which files a kustomization may read.
    #[arg(long, value_enum, default_value = "LoadRestrictionsRootOnly")]
    load_restrictor: Restrictor,
    /// The order of the objects, where the kustomization file has no sortOptions.
    #[arg(long, value_enum, default_value = "legacy")]
    reorder: Reorder,
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
        ..Options::default()
    };
    let objects = kustomize::build(&files, relative, &options)?;
    let text = kustomize::render(&objects);
    match &arguments.output {
        Some(file) => {
            std::fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
        }
        None => super::output::text_out(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}
