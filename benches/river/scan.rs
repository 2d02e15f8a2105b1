//! One scan in steady state: the processor time of our side for a list of a thousand tags.
//!
//! The registry serves one answer on loopback from other threads; what is counted is the thread that
//! asks, reads, filters and sorts, by the kernel's own clock of it.

use std::time::Duration;

use anyhow::Context;
use towpath::image::Repository;
use towpath::registry::{Access, Client};

use super::million;

const N_TAGS: usize = 1000;
const TARGET: Duration = Duration::from_micros(150);
/// The clock of the thread that reads it: nanoseconds on a processor come first.
const CLOCK: &str = "/proc/thread-self/schedstat";

/// Scans so often and prints what one scan takes.
pub async fn print(n_scans: u32) -> anyhow::Result<()> {
    if !std::path::Path::new(CLOCK).exists() {
        println!("\nScan: not measured, since this system has no {CLOCK}.");
        return Ok(());
    }
    let registry = million::serve(N_TAGS, N_TAGS).await?;
    let repository = Repository::parse(&format!("{}/acme/app", registry.0))?;
    let measured = std::thread::spawn(move || measure(&repository, n_scans));
    let measured = tokio::task::spawn_blocking(move || measured.join()).await?;
    let used = measured.map_err(|_| anyhow::anyhow!("the measuring thread was lost"))??;
    println!(
        "\nScan of {N_TAGS} tags, {n_scans} times\n  {:>6.1} us of a processor each   {:.2} of {} us",
        used.as_secs_f64() * 1e6,
        used.as_secs_f64() / TARGET.as_secs_f64(),
        TARGET.as_micros()
    );
    Ok(())
}

fn measure(repository: &Repository, n_scans: u32) -> anyhow::Result<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client = Client::new();
    let access = Access {
        insecure: true,
        ..Access::anonymous(Duration::from_secs(20))
    };
    let scan = || runtime.block_on(client.tags(repository, &access, &|tag| !tag.ends_with(".sig")));
    // The first scan meets the registry.
    scan()?;
    let before = on_processor()?;
    for _ in 0..n_scans {
        let listing = scan()?;
        anyhow::ensure!(listing.tags.len() == N_TAGS, "{} tags", listing.tags.len());
    }
    Ok((on_processor()? - before) / n_scans)
}

fn on_processor() -> anyhow::Result<Duration> {
    let clock = std::fs::read_to_string(CLOCK).with_context(|| format!("read {CLOCK}"))?;
    let nanoseconds = clock
        .split_whitespace()
        .next()
        .context("the clock is empty")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}
