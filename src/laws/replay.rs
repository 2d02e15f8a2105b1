//! Replays the seeds in `testdata/fuzz`: each whole, cut short at every place, and with every byte
//! of its beginning changed.
//!
//! A file holds the seeds of the law of its name, one JSON value a line: a text, or `{"bytes": [..]}`
//! for what is no text. `TOWPATH_SEEDS=DIR` writes each seed as a file into DIR/<law>, for a fuzzer
//! to begin with. `TOWPATH_LAWS_ROUNDS=N` hands N random changes of seeds to each law.

use std::fs;
use std::path::{Path, PathBuf};

use super::{ALL, Law};

/// How much of a seed is changed byte by byte.
const CHANGED_BYTES_MAX: usize = 96;
/// What a byte is changed to: ends, quotes, brackets, and what no text has.
const CHANGES: [u8; 6] = [b'\n', b' ', b'"', b'{', b'#', 0xff];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fuzz")
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let file = folder().join(format!("{name}.jsonl"));
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let seed = |line: &str| match serde_json::from_str(line).unwrap() {
        serde_json::Value::String(text) => text.into_bytes(),
        value => serde_json::from_value(value["bytes"].clone()).unwrap(),
    };
    text.lines().map(seed).collect()
}

/// Returns a seed and its neighbours.
fn neighbours(seed: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![seed.to_vec()];
    for at in 0..seed.len().min(CHANGED_BYTES_MAX) {
        all.push(seed[..at].to_vec());
        all.extend(CHANGES.map(|change| {
            let mut changed = seed.to_vec();
            changed[at] = change;
            changed
        }));
    }
    all
}

fn is_broken(law: Law, bytes: &[u8]) -> bool {
    std::panic::catch_unwind(|| law(bytes)).is_err()
}

#[test]
fn laws_hold_for_all_seeds_and_their_neighbours() {
    let mut broken = Vec::new();
    let unpacked = std::env::var_os("TOWPATH_SEEDS").map(PathBuf::from);
    for (name, law) in ALL {
        let seeds = seeds(name);
        assert!(seeds.len() >= 3, "{name} has {} seeds", seeds.len());
        for (number, seed) in seeds.iter().enumerate() {
            if let Some(folder) = &unpacked {
                let folder = folder.join(name);
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
            }
            let all = neighbours(seed);
            let found = all.iter().find(|bytes| is_broken(law, bytes));
            broken.extend(found.map(|bytes| format!("{name}: b\"{}\"", bytes.escape_ascii())));
        }
    }
    assert!(broken.is_empty(), "\n  {}", broken.join("\n  "));
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % bound.max(1)
    }
}

/// Returns a seed with a few changes: bytes set, cut out, doubled, or taken from another seed.
fn changed(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seeds[numbers.below(seeds.len())].clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let end = (at + numbers.below(12)).min(bytes.len());
        match numbers.below(4) {
            0 if at < bytes.len() => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let other = &seeds[numbers.below(seeds.len())];
                let from = numbers.below(other.len() + 1);
                let to = (from + numbers.below(24)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
    bytes
}

#[test]
fn laws_hold_for_random_changes_of_seeds() {
    let rounds = std::env::var("TOWPATH_LAWS_ROUNDS");
    let rounds = rounds.map_or(200, |rounds| rounds.parse().unwrap());
    let mut broken = Vec::new();
    for (name, law) in ALL {
        let (seeds, mut numbers) = (seeds(name), Numbers(0x9e37_79b9_7f4a_7c15));
        let mut tries = (0..rounds).map(|_| changed(&seeds, &mut numbers));
        let found = tries.find(|bytes| is_broken(law, bytes));
        broken.extend(found.map(|bytes| format!("{name}: b\"{}\"", bytes.escape_ascii())));
    }
    assert!(broken.is_empty(), "\n  {}", broken.join("\n  "));
}

#[test]
fn every_law_has_its_seeds_and_its_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    for (name, _) in ALL {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} in fuzz/Cargo.toml"
        );
        let target = root.join(format!("fuzz/targets/{name}.rs"));
        assert!(target.exists(), "{}", target.display());
    }
    let files = fs::read_dir(folder()).unwrap();
    assert_eq!(files.count(), ALL.len(), "seeds without a law");
}
