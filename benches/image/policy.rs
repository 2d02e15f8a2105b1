//! Choosing among a million tags, and after one more has come.

use std::time::Duration;

use anyhow::Context;
use regex::Regex;
use towpath::image::TagList;
use towpath::policy::{Choice, Filter, Policy};
use towpath::tags::{Owner, Store};

use crate::Size;
use crate::figure::{best, print_time};
use crate::tags::{IMAGE, build, builds, list, scan, versions};

/// What takes a build's time out of its tag.
const PATTERN: &str = "^main-[a-f0-9]+-(?P<ts>[0-9]+)$";

/// Prints the section.
pub fn print(size: Size) -> anyhow::Result<()> {
    let (versions, builds) = (versions(size.n_tags), builds(size.n_tags));
    let semver = Choice::SemVer {
        range: ">=1.0.0 <29".to_owned(),
    };
    let semver = Policy::new(&semver, None)?;
    let choose = |policy: &Policy, tags: &TagList| policy.choose(tags.iter()).map(|it| it.tag);
    let (time, chosen) = best(|| choose(&semver, &versions));
    let floor = ("reading the bytes", best(|| sum(&versions)).0);
    let what = format!("semver, {} tags: {}", size.n_tags, chosen?);
    print_time(&what, time, Duration::from_millis(150), floor);

    let numerical = numerical()?;
    let regex = Regex::new(PATTERN)?;
    let (time, chosen) = best(|| choose(&numerical, &builds));
    let floor = ("the regex alone", best(|| captured(&regex, &builds)).0);
    let what = format!("numerical with regex: {}", chosen?);
    print_time(&what, time, Duration::from_millis(400), floor);

    let alphabetical = Choice::Alphabetical {
        order: "asc".to_owned(),
    };
    let alphabetical = Policy::new(&alphabetical, None)?;
    let (time, chosen) = best(|| choose(&alphabetical, &builds));
    let floor = ("reading the bytes", best(|| sum(&builds)).0);
    let what = format!("alphabetical: {}", chosen?);
    print_time(&what, time, Duration::from_millis(150), floor);
    print_step(&numerical, builds)
}

/// Prints the time from a stored new tag to the choice, the store's part included.
fn print_step(policy: &Policy, tags: TagList) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path())?;
    let owner = Owner {
        namespace: "apps".to_owned(),
        name: "app".to_owned(),
    };
    let before = policy.choose(tags.iter())?;
    let newest = build(tags.len());
    let more = tags.iter().map(str::to_owned).chain([newest.clone()]);
    let more = scan(list(more));
    store.replace(&owner, &scan(tags))?;
    let stored = store.scan(&owner, IMAGE)?;
    let (_, position) = stored.context("because it was stored")?;
    store.replace(&owner, &more)?;
    let step = || {
        let changes = store.since(&owner, IMAGE, position)?;
        let changes = changes.context("because the store is the same")?;
        let seen = changes.seen.iter().map(String::as_str);
        let chosen =
            policy.choose_after(&before, seen, changes.vanished.iter().map(String::as_str));
        anyhow::Ok(chosen.context("because one tag is a step")?.tag)
    };
    let (time, chosen) = best(step);
    anyhow::ensure!(chosen? == newest, "the new tag is the latest");
    let read = || store.epoch(&owner, IMAGE).map(|epoch| epoch.is_some());
    let floor = ("reading one record", best(read).0);
    let what = format!("one new tag among {}", more.epoch().n_tags);
    print_time(&what, time, Duration::from_micros(100), floor);
    Ok(())
}

fn numerical() -> anyhow::Result<Policy> {
    let choice = Choice::Numerical {
        order: "asc".to_owned(),
    };
    let filter = Filter {
        pattern: PATTERN.to_owned(),
        extract: "$ts".to_owned(),
    };
    Ok(Policy::new(&choice, Some(&filter))?)
}

fn sum(tags: &TagList) -> u64 {
    tags.iter().flat_map(str::bytes).map(u64::from).sum()
}

fn captured(regex: &Regex, tags: &TagList) -> usize {
    let mut locations = regex.capture_locations();
    tags.iter()
        .filter(|tag| regex.captures_read(&mut locations, tag).is_some())
        .count()
}
