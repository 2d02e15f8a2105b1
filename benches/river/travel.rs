//! How long an image travels, hop by hop, from its tag in the registry to the healthy object.
//!
//! The demo's world: registry, Git server, embedded API and all controllers in this process, over
//! loopback and on disk. Somebody asks for the scan by annotation, as a webhook does.

use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use towpath::cli::demo::hops::{Hop, milliseconds};
use towpath::cli::demo::travel::{self, Travel};
use towpath::cli::demo::world::World;

use super::{of_target, percentile};

const TARGET_P50: Duration = Duration::from_millis(150);
const TARGET_P99: Duration = Duration::from_millis(500);
/// No travel begins after this.
const TIME_MAX: Duration = Duration::from_secs(40);
/// The minor version of the first image. All have as many digits, so that the newest is also first
/// among the tags that a status shows, which are in the order of their bytes.
const MINOR_FIRST: usize = 100;

/// Lets so many images travel, one after another, and prints each hop's times.
pub async fn print(n_travels: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let shutdown = CancellationToken::new();
    let world = World::start(folder.path(), shutdown.clone()).await?;
    travel::first(&world).await?;
    let began = Instant::now();
    let mut travels = Vec::with_capacity(n_travels);
    for minor in (MINOR_FIRST..).take(n_travels) {
        if began.elapsed() > TIME_MAX {
            break;
        }
        let tag = format!("1.{minor}.0");
        let travelled = travel::follow(&world, &tag).await;
        travels.push(travelled.with_context(|| format!("image {tag}"))?);
    }
    shutdown.cancel();
    world.running.ended().await?;
    show(&travels)
}

fn show(travels: &[Travel]) -> anyhow::Result<()> {
    println!(
        "\nFrom a tag in the registry to the applied object, by requestedAt, {} images",
        travels.len()
    );
    println!("  {:<18} {:>10} {:>10} {:>7}", "hop", "p50", "p99", "share");
    let whole: Duration = travels
        .iter()
        .filter_map(|travel| until(travel, "healthy"))
        .sum();
    let first = travels.first().context("no image travelled")?;
    for (place, Hop { name, .. }) in first.hops.iter().enumerate().skip(1) {
        let own: Vec<Duration> = travels
            .iter()
            .filter_map(|travel| own(travel, place))
            .collect();
        let share = own.iter().sum::<Duration>().as_secs_f64() / whole.as_secs_f64();
        let figure = |percent| percentile(&own, percent).context("no hop");
        println!(
            "  {name:<18} {:>10} {:>10} {:>5.0} %",
            milliseconds(figure(50)?),
            milliseconds(figure(99)?),
            share * 100.0
        );
    }
    for (name, last) in [
        ("until applied", "build and apply"),
        ("until healthy", "healthy"),
    ] {
        let times: Vec<Duration> = travels
            .iter()
            .filter_map(|travel| until(travel, last))
            .collect();
        let figure = |percent| percentile(&times, percent).context("no image was applied");
        let (p50, p99) = (figure(50)?, figure(99)?);
        println!(
            "  {name:<18} {:>10} {:>10}           p50 {}, p99 {}",
            milliseconds(p50),
            milliseconds(p99),
            of_target(p50, TARGET_P50),
            of_target(p99, TARGET_P99)
        );
    }
    println!("  (a rollout is reported 20 ms after the apply, since no container runs)");
    Ok(())
}

/// Returns how long a hop took after all hops before it; the first is the push of the image itself.
fn own(travel: &Travel, place: usize) -> Option<Duration> {
    let before = travel.hops.get(..place)?.iter().map(|hop| hop.at).max()?;
    let hop = travel.hops.get(place)?;
    Some(hop.at.saturating_duration_since(before))
}

/// Returns the time from the tag in the registry to the end of a hop.
fn until(travel: &Travel, name: &str) -> Option<Duration> {
    let pushed = travel.hops.first()?;
    let hop = travel.hops.iter().find(|hop| hop.name == name)?;
    Some(hop.at.saturating_duration_since(pushed.at))
}
