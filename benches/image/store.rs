//! The store of many repositories: its size, its memory in a process of its own, what one new tag
//! writes, and what nothing new costs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use towpath::tags::{Change, Owner, Store};

use crate::Size;
use crate::figure::{best, print_amount, print_time};
use crate::process::peak_bytes;
use crate::tags::{build, list, scan};

/// Tags of each repository.
const N_TAGS: usize = 1_000;
/// Repositories that are scanned at one time.
const N_WORKERS: usize = 4;
/// Repositories that get one more tag, and in which nothing is new.
const N_AGAIN: usize = 1_000;
/// The folder that a child stores into.
const FOLDER: &str = "TOWPATH_BENCH_STORE";
/// How many repositories it stores.
const REPOSITORIES: &str = "TOWPATH_BENCH_STORE_REPOSITORIES";

const MIB: f64 = (1 << 20) as f64;

/// Returns the folder that this process is to store into, if it is a child.
pub fn child_folder() -> Option<OsString> {
    std::env::var_os(FOLDER)
}

/// Prints the section.
pub fn print(size: Size) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let status = Command::new(std::env::current_exe()?)
        .env(FOLDER, folder.path())
        .env(REPOSITORIES, size.n_repositories.to_string())
        .status();
    anyhow::ensure!(
        status.context("start a child")?.success(),
        "the child fails"
    );
    print_opening(folder.path(), size.n_repositories.min(N_AGAIN))
}

/// Fills a store in a process of its own and prints what that took.
pub fn child(folder: &OsString) -> anyhow::Result<()> {
    let folder = PathBuf::from(folder);
    let n_repositories: usize = std::env::var(REPOSITORIES)?.parse()?;
    let store = Store::open(&folder)?;
    let fill = |worker: usize| -> anyhow::Result<()> {
        for repository in (worker..n_repositories).step_by(N_WORKERS) {
            let change =
                store.replace(&owner(repository), &scan(list(tags(repository, N_TAGS))))?;
            anyhow::ensure!(change == Change::First, "{repository}: {change:?}");
        }
        Ok(())
    };
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        let fill = &fill;
        let workers: Vec<_> = (0..N_WORKERS)
            .map(|worker| scope.spawn(move || fill(worker)))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .map_err(|_| anyhow::anyhow!("a worker panics"))?
        })
    })?;
    let took = began.elapsed();
    let written = store.written();
    drop(store);
    println!(
        "  {n_repositories} × {N_TAGS} tags in {:.1} s and {} transactions",
        took.as_secs_f64(),
        written.n_transactions
    );
    print_amount(
        "on the disk",
        disk_bytes(&folder)? as f64 / MIB,
        "MiB",
        400.0,
    );
    print_amount("most memory", peak_bytes()? as f64 / MIB, "MiB", 150.0);
    Ok(())
}

fn print_opening(folder: &Path, n_again: usize) -> anyhow::Result<()> {
    let (time, store) = best(|| Store::open(folder).map(|store| store.owners().map(|it| it.len())));
    store??;
    let floor = ("reading a byte of the file", best(|| first_byte(folder)).0);
    print_time(
        "opening and all names",
        time,
        Duration::from_millis(100),
        floor,
    );
    let store = Store::open(folder)?;
    let scans: Vec<_> = (0..n_again).map(|n| scan(list(tags(n, N_TAGS)))).collect();
    let before = store.written();
    let (time, all) = best(|| {
        scans.iter().enumerate().try_for_each(|(n, scan)| {
            let change = store.replace(&owner(n), scan)?;
            anyhow::ensure!(change == Change::Unchanged, "{n}: {change:?}");
            Ok(())
        })
    });
    all?;
    anyhow::ensure!(store.written() == before, "nothing new is written");
    let read = || {
        (0..n_again)
            .filter(|n| store.digest(&owner(*n), "1").is_ok())
            .count()
    };
    let floor = ("one look-up each", best(read).0);
    let what = format!("{n_again} repositories, nothing new, no write");
    print_time(&what, time, Duration::from_millis(50), floor);

    let mut largest = 0;
    for n in 0..n_again {
        let before = store.written().value_bytes;
        store.replace(&owner(n), &scan(list(tags(n, N_TAGS + 1))))?;
        largest = largest.max(store.written().value_bytes - before);
    }
    let written = store.written();
    let mean = (written.value_bytes - before.value_bytes) as f64 / n_again as f64;
    print_amount("one new tag writes", mean, "B", 1024.0);
    print_amount("one new tag writes at most", largest as f64, "B", 1024.0);
    Ok(())
}

fn owner(n: usize) -> Owner {
    Owner {
        namespace: format!("team-{}", n % 50),
        name: format!("repository-{n:05}"),
    }
}

/// Returns the tags of a repository: each has others.
fn tags(repository: usize, n_tags: usize) -> impl Iterator<Item = String> {
    (0..n_tags).map(move |n| build(repository * 10_007 + n))
}

fn disk_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

fn first_byte(folder: &Path) -> std::io::Result<usize> {
    use std::io::Read;
    let mut files = std::fs::read_dir(folder)?;
    let file = files.next().transpose()?.map(|entry| entry.path());
    std::fs::File::open(file.unwrap_or_default())?.read(&mut [0])
}
