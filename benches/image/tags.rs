//! Tags as registries have them, the same in every run.

use chrono::DateTime;
use towpath::image::{TagList, TagListBuilder};
use towpath::tags::{Reading, Scan};

/// The image that all tags are of.
pub const IMAGE: &str = "registry.example/team/app";

/// Returns versions: three numbers, every tenth a pre-release.
pub fn versions(n: usize) -> TagList {
    let version = |n: usize| {
        let pre = if n.is_multiple_of(10) { "-rc.1" } else { "" };
        format!("{}.{}.{}{pre}", mixed(n) % 30, n / 1000, n % 1000)
    };
    list((0..n).map(version))
}

/// Returns `main-<commit>-<time>`.
pub fn builds(n: usize) -> TagList {
    list((0..n).map(build))
}

/// Returns one of them.
pub fn build(n: usize) -> String {
    format!(
        "main-{:07x}-{}",
        mixed(n) & 0x0fff_ffff,
        1_700_000_000 + 37 * n
    )
}

/// Returns a scan of tags.
pub fn scan(tags: TagList) -> Scan {
    let reading = Reading {
        started_at: DateTime::UNIX_EPOCH,
        finished_at: DateTime::UNIX_EPOCH,
        n_pages: 1,
    };
    Scan::new(IMAGE, tags, reading)
}

/// Returns a list, its bytes in the order of the list, as one that was stored is read.
pub fn list(tags: impl IntoIterator<Item = String>) -> TagList {
    let mut tags: Vec<String> = tags.into_iter().collect();
    tags.sort_unstable_by(|a, b| b.cmp(a));
    let mut list = TagListBuilder::default();
    for tag in tags {
        assert!(
            list.push(&tag),
            "a list has room for the tags of a benchmark"
        );
    }
    list.sorted()
}

fn mixed(n: usize) -> usize {
    n.wrapping_mul(2_654_435_761)
}
