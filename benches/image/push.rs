//! A change of one line, from the look at the branch to the commit on it, with a warm mirror.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use towpath::controllers::{MarkerIndex, update_tree};
use towpath::git::{Pushed, Selector, Target};

use crate::Size;
use crate::figure::{print_amount, print_time};
use crate::repository::{Cost, Fleet, change, setters};

/// How often it is done.
const ROUNDS: usize = 5;
/// The one marked file that is updated.
const FOLDER: &str = "./apps/team-000/app-000000";

/// Prints the section.
pub fn print(size: Size) -> anyhow::Result<()> {
    let fleet = Fleet::new(size.n_files, size.n_branches)?;
    let index = Arc::new(MarkerIndex::default());
    // The first one learns what the server speaks.
    push(&fleet, &index, "1.0.1")?;
    let mut best: Option<(Duration, Cost)> = None;
    for n in 0..ROUNDS {
        fleet.take_cost();
        let began = Instant::now();
        push(&fleet, &index, &format!("1.1.{n}"))?;
        let (time, cost) = (began.elapsed(), fleet.take_cost());
        let ours = time.saturating_sub(cost.time);
        if best.is_none_or(|(least, _)| ours < least) {
            best = Some((ours, cost));
        }
    }
    let (ours, cost) = best.context("it was done")?;
    let floor = ("exchanges", floor(&fleet, cost.n_requests)?);
    let what = format!(
        "one line, {} files, {} branches",
        size.n_files, size.n_branches
    );
    print_time(&what, ours, Duration::from_millis(60), floor);
    print_amount("round trips", cost.n_requests as f64, "", 3.0);
    print_amount("sent in bodies", cost.n_bytes as f64 / 1024.0, "KiB", 2.0);
    Ok(())
}

/// Does what an automation does for a new choice.
fn push(fleet: &Fleet, index: &Arc<MarkerIndex>, tag: &str) -> anyhow::Result<()> {
    let (client, setters, index) = (&fleet.client, setters(tag)?, Arc::clone(index));
    let pushed = fleet.runtime.block_on(async {
        let main = Selector::Branch("main".to_owned());
        let target = Target {
            seen: Some(client.head(&main).await?.commit),
            ..Target::branch("main")
        };
        let edit = client.push_with(&target, move |basis| {
            let report = update_tree(&basis.tree, &index, FOLDER, &setters)?;
            let edits = report.writes();
            let edits = edits.map(|(path, bytes)| (path.to_string(), bytes.to_vec()));
            Ok(Some(change(edits.collect::<BTreeMap<_, _>>())))
        });
        edit.await
    })?;
    match pushed {
        Pushed::Landed(_) => Ok(()),
        other => bail!("it does not land: {other:?}"),
    }
}

/// Returns how long so many exchanges take that carry next to nothing, beyond the server's time.
fn floor(fleet: &Fleet, n: u64) -> anyhow::Result<Duration> {
    let main = Selector::Branch("main".to_owned());
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        fleet.take_cost();
        let began = Instant::now();
        for _ in 0..n {
            fleet.runtime.block_on(fleet.client.head(&main))?;
        }
        let time = began.elapsed();
        least = least.min(time.saturating_sub(fleet.take_cost().time));
    }
    Ok(least)
}
