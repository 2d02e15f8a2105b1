//! `towpath demo`: the whole job on one machine, with nothing installed but the binary.
//!
//! A small registry and a Git server in this process are the world; the embedded API and all
//! controllers are the product, as they run everywhere. The parts are public for the benchmark and for
//! tests; nothing of the product uses them.

pub mod git_server;
pub mod hops;
mod objects;
pub mod registry;
mod stand_in;
mod story;
pub mod travel;
pub mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use self::world::World;
use super::signals;

/// Shows the whole job on this machine: a pushed image becomes a commit and then an applied object.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Keeps all files in this folder and keeps serving until interrupted.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let shutdown = signals::shutdown()?;
    let temporary = std::env::temp_dir().join(format!("towpath-demo-{}", std::process::id()));
    let folder = arguments.keep.clone().unwrap_or_else(|| temporary.clone());
    let result = tokio::select! {
        result = show(&folder, arguments.keep.is_some(), shutdown.clone()) => result,
        () = interrupted(&shutdown, arguments.keep.is_some()) => Ok(()),
    };
    if arguments.keep.is_none() {
        let removed = std::fs::remove_dir_all(&temporary);
        removed.with_context(|| format!("remove {}", temporary.display()))?;
    }
    result.map(|()| ExitCode::SUCCESS)
}

async fn show(
    folder: &std::path::Path,
    keep: bool,
    shutdown: tokio_util::sync::CancellationToken,
) -> anyhow::Result<()> {
    let world = World::start(folder, shutdown.clone()).await?;
    let told = story::tell(&world).await;
    if keep && told.is_ok() {
        println!("\nEverything keeps running in {}. Try:\n", folder.display());
        println!("{}", world.what_to_try());
        println!("Interrupt to end.");
    } else {
        shutdown.cancel();
    }
    let ended = world.running.ended().await;
    told.and(ended)
}

/// Without `--keep` there is nothing to end in order, since all files go.
async fn interrupted(shutdown: &tokio_util::sync::CancellationToken, keep: bool) {
    if keep {
        std::future::pending::<()>().await;
    }
    shutdown.cancelled().await;
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
}
