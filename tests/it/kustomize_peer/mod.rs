//! Generated overlays, built here and by the real kustomize 5.8.1 in kubectl: equal bytes, or both refuse.
//!
//! A seed makes every overlay. `TOWPATH_PEER_SEED` and `TOWPATH_PEER_OVERLAYS` ask for others and for
//! more; `TOWPATH_PEER_KEEP` names a folder that keeps what differs, made as small as it gets.

mod fields;
mod objects;
mod overlay;
mod patches;
mod plugins;
mod random;
mod shrink;
mod values;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use kustomize::{FolderFiles, Options, Order};

use crate::world::kubectl::kubectl;

use overlay::Overlay;
use shrink::Tree;

/// Overlays of the ordinary run.
const N_OVERLAYS: u64 = 60;
/// The seed of the ordinary run.
const SEED: u64 = 20_261_124;
/// How many peers run at a time.
const N_THREADS: u64 = 2;

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("it is a number"))
}

/// How the two builds of an overlay compare.
enum Outcome {
    Same,
    BothRefuse,
    /// Both build it, and not alike.
    Differ(String),
    RefusedHere(String),
    RefusedThere(String),
}

impl Outcome {
    fn problem(&self) -> Option<String> {
        match self {
            Self::Same | Self::BothRefuse => None,
            Self::Differ(text) => Some(text.clone()),
            Self::RefusedHere(error) => Some(format!("only refused here: {error}")),
            Self::RefusedThere(error) => Some(format!("only refused by the peer: {error}")),
        }
    }

    /// Returns whether this is the same sort of difference.
    fn is_like(&self, other: &Self) -> bool {
        // The last clause names the object or the text; the one before it the problem.
        let problem = |text: &str| text.rsplit(": ").nth(1).map(str::to_owned);
        match (self, other) {
            (Self::Differ(_), Self::Differ(_)) => true,
            (Self::RefusedHere(one), Self::RefusedHere(two))
            | (Self::RefusedThere(one), Self::RefusedThere(two)) => problem(one) == problem(two),
            _ => false,
        }
    }
}

fn write(files: &Tree, folder: &Path) {
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Builds the folder `top` of the files by the peer and by this engine.
fn compare(kubectl: &Path, files: &Tree, top: &str) -> Outcome {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write(files, folder.path());
    let theirs = Command::new(kubectl)
        .arg("kustomize")
        .arg(folder.path().join(top))
        .stdin(Stdio::null())
        .output()
        .expect("kubectl starts");
    let tree = FolderFiles::new(folder.path()).unwrap();
    let options = Options {
        order: Order::Legacy,
        ..Options::default()
    };
    let ours = kustomize::build(&tree, top, &options);
    let ours = ours.map(|objects| kustomize::render(&objects));
    match (theirs.status.success(), ours) {
        (true, Ok(ours)) if ours.as_bytes() == theirs.stdout.as_slice() => Outcome::Same,
        (true, Ok(ours)) => {
            let theirs = String::from_utf8_lossy(&theirs.stdout).into_owned();
            let mut lines = theirs.lines().zip(ours.lines()).enumerate();
            let first = lines.find(|(_, (theirs, ours))| theirs != ours);
            let (at, (wanted, got)) = first.unwrap_or((0, ("(one is longer)", "")));
            Outcome::Differ(format!("line {}: peer {wanted:?}, here {got:?}", at + 1))
        }
        (false, Err(_)) => Outcome::BothRefuse,
        (true, Err(error)) => Outcome::RefusedHere(error.to_string()),
        (false, Ok(_)) => {
            let text = String::from_utf8_lossy(&theirs.stderr);
            let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            let text = lines
                .join(" ")
                .replace(&*folder.path().to_string_lossy(), "");
            let text = text.split(" goroutine ").next().unwrap_or_default();
            Outcome::RefusedThere(format!("{text:.300}"))
        }
    }
}

/// Returns what differs between the peer and this engine, and whether both built the overlay.
fn check(kubectl: &Path, seed: u64) -> Result<bool, String> {
    let (files, top) = Overlay::make(seed);
    let outcome = compare(kubectl, &files, &top);
    let Some(problem) = outcome.problem() else {
        return Ok(matches!(outcome, Outcome::Same));
    };
    if let Some(kept) = std::env::var_os("TOWPATH_PEER_KEEP") {
        let differs = |files: &Tree| compare(kubectl, files, &top).is_like(&outcome);
        let small = shrink::shrink(&files, &differs);
        write(&small, &PathBuf::from(kept).join(seed.to_string()));
    }
    Err(format!("seed {seed}, folder {top}: {problem}"))
}

#[test]
fn generated_overlays_build_as_the_real_kustomize_builds_them() {
    let kubectl = kubectl();
    let (seed, n_overlays) = (
        number("TOWPATH_PEER_SEED", SEED),
        number("TOWPATH_PEER_OVERLAYS", N_OVERLAYS),
    );
    let (next, n_built) = (AtomicU64::new(0), AtomicU64::new(0));
    let run = || {
        let mut wrong = Vec::new();
        loop {
            let at = next.fetch_add(1, Relaxed);
            if at >= n_overlays {
                return wrong;
            }
            match check(&kubectl, seed.wrapping_add(at)) {
                Ok(is_built) => {
                    n_built.fetch_add(u64::from(is_built), Relaxed);
                }
                Err(problem) => wrong.push(problem),
            }
        }
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..N_THREADS).map(|_| scope.spawn(run)).collect();
        let found = threads.into_iter().map(|thread| thread.join().unwrap());
        found.flatten().collect()
    });
    let n_built = n_built.into_inner();
    println!(
        "seed {seed}: {n_overlays} overlays, {n_built} built alike, {} refused by both, {} differ",
        n_overlays - n_built - wrong.len() as u64,
        wrong.len()
    );
    assert!(
        wrong.is_empty(),
        "seed {seed}: {} of {n_overlays} differ:\n  {}",
        wrong.len(),
        wrong.join("\n  ")
    );
    assert!(
        n_built * 2 > n_overlays,
        "only {n_built} of {n_overlays} were built"
    );
}
