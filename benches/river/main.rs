//! The river's figures: how fast an image travels, how soon the product serves, what it costs idle.
//!
//! In: `cargo bench --bench river`, with `travel`, `start`, `idle`, `rescan` or `million` for one
//! part only. Out: a table a part, each figure beside its target. It fails when something does not
//! work, never because it is slow. Without `--bench`, as `cargo test --benches` runs it, each part is
//! done once and small.
#![forbid(unsafe_code)]

mod child;
mod idle;
mod million;
mod rescan;
mod start;
mod travel;

use std::time::Duration;

use anyhow::Context;

/// The product's allocator: what is measured here is what runs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long everything may take.
const TIME_MAX: Duration = Duration::from_secs(115);

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Images that travel.
    n_travels: usize,
    /// Starts on an empty folder.
    n_starts: usize,
    /// ImageRepositories that are not due.
    n_repositories: usize,
    /// How long an idle process is watched.
    idle: Duration,
    /// Tags of one repository.
    n_tags: usize,
}

const FULL: Size = Size {
    n_travels: 60,
    n_starts: 10,
    n_repositories: 1000,
    idle: Duration::from_secs(10),
    n_tags: 1_000_000,
};
const SMALL: Size = Size {
    n_travels: 1,
    n_starts: 1,
    n_repositories: 10,
    idle: Duration::from_secs(1),
    n_tags: 10_000,
};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_full = arguments.iter().any(|argument| argument == "--bench");
    let size = if is_full { FULL } else { SMALL };
    let parts: Vec<String> = arguments
        .into_iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    // An error means that the process has chosen its provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let all = runtime.block_on(async { tokio::time::timeout(TIME_MAX, run(size, &parts)).await });
    all.with_context(|| format!("not done within {} s", TIME_MAX.as_secs()))?
}

async fn run(size: Size, parts: &[String]) -> anyhow::Result<()> {
    let is_wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    if is_wanted("travel") {
        travel::print(size.n_travels).await.context("travel")?;
    }
    if is_wanted("start") {
        start::print(size.n_starts).await.context("start")?;
    }
    if is_wanted("idle") {
        idle::print(size.n_repositories, size.idle)
            .await
            .context("idle")?;
    }
    if is_wanted("rescan") {
        rescan::print(size.n_repositories).await.context("rescan")?;
    }
    if is_wanted("million") {
        million::print(size.n_tags).await.context("million")?;
    }
    Ok(())
}

/// Returns the value below or at which a share of all values lies, by the nearest rank.
fn percentile<T: Copy + Ord>(values: &[T], percent: usize) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Returns a figure's part of its target, for people.
fn of_target(figure: Duration, target: Duration) -> String {
    let share = figure.as_secs_f64() / target.as_secs_f64();
    format!("{share:.2} of {} ms", target.as_millis())
}
