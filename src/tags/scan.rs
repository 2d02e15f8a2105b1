//! [`Scan`]: the tags of one repository at one time, and its [`Epoch`], what is known of them.
//!
//! In: a list of tags and how it was read. Out: both, with a revision that is equal for equal lists. There is no incomplete scan: what is cut short is an
//! error of the registry room and never becomes one. Pure.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::image::TagList;

/// Tags are hashed in pieces of about so many bytes.
const HASHED_BYTES: usize = 4096;
/// The most tags of a scan that its status shows.
const LATEST_MAX: usize = 10;

/// A complete scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    epoch: Epoch,
    tags: TagList,
}

/// What is known of a complete scan without its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// The canonical image name that was scanned.
    pub repository: String,
    /// `sha256:` and the digest of the tags, one a line; equal for equal lists.
    pub revision: String,
    /// How many tags there are.
    pub n_tags: usize,
    /// How the list was read. Later scans that bring the same list do not change it.
    pub reading: Reading,
}

/// How a complete list was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// When the scan began, to the millisecond.
    pub started_at: DateTime<Utc>,
    /// When its last page had come, to the millisecond.
    pub finished_at: DateTime<Utc>,
    /// How many pages there were.
    pub n_pages: usize,
}

impl Scan {
    /// Makes a scan from a complete list.
    pub fn new(repository: &str, tags: TagList, reading: Reading) -> Self {
        let epoch = Epoch {
            repository: repository.to_owned(),
            revision: revision(&tags),
            n_tags: tags.len(),
            reading: Reading {
                started_at: to_the_millisecond(reading.started_at),
                finished_at: to_the_millisecond(reading.finished_at),
                n_pages: reading.n_pages,
            },
        };
        Self { epoch, tags }
    }

    /// Puts together what was stored; the parts were made by [`Scan::new`].
    pub(super) fn stored(epoch: Epoch, tags: TagList) -> Self {
        Self { epoch, tags }
    }

    /// Returns what is known of the scan without its tags.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Returns the tags, descending by bytes.
    pub fn tags(&self) -> &TagList {
        &self.tags
    }

    /// Returns the first tags as `status.lastScanResult.latestTags` has them: ten at most.
    pub fn latest(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().take(LATEST_MAX)
    }
}

/// Returns what identifies a list of tags.
pub(super) fn revision(tags: &TagList) -> String {
    let mut hash = Sha256::new();
    let mut lines = Vec::with_capacity(2 * HASHED_BYTES);
    for tag in tags.iter() {
        lines.extend_from_slice(tag.as_bytes());
        lines.push(b'\n');
        if lines.len() >= HASHED_BYTES {
            hash.update(&lines);
            lines.clear();
        }
    }
    hash.update(&lines);
    let mut revision = String::from("sha256:");
    for byte in hash.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(revision, "{byte:02x}");
    }
    revision
}

fn to_the_millisecond(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::image::TagListBuilder;

    /// A reading of one page that began at the epoch of Unix.
    pub fn reading() -> Reading {
        Reading {
            started_at: DateTime::UNIX_EPOCH,
            finished_at: DateTime::UNIX_EPOCH,
            n_pages: 1,
        }
    }

    pub fn list<'a>(tags: impl IntoIterator<Item = &'a str>) -> TagList {
        let mut list = TagListBuilder::default();
        for tag in tags {
            assert!(list.push(tag));
        }
        list.sorted()
    }

    pub fn scan(tags: &[&str]) -> Scan {
        Scan::new("r.io/app", list(tags.iter().copied()), reading())
    }

    #[test]
    fn equal_lists_have_equal_revisions() {
        let revision = |tags| scan(tags).epoch().revision.clone();
        assert_eq!(revision(&["a", "b"]), revision(&["b", "a", "a"]));
        assert_ne!(revision(&["ab"]), revision(&["a", "b"]));
        assert_eq!(
            revision(&[]),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_revision_is_the_digest_of_the_tags_one_a_line() {
        let tags: Vec<String> = (0..2000).map(|n| format!("{n:06}")).collect();
        let list = list(tags.iter().map(String::as_str));
        let lines: String = tags.iter().rev().map(|tag| format!("{tag}\n")).collect();
        let want: String = Sha256::digest(lines.as_bytes())
            .iter()
            .fold("sha256:".to_owned(), |text, byte| {
                text + &format!("{byte:02x}")
            });
        assert_eq!(revision(&list), want);
    }

    #[test]
    fn latest_are_the_first_ten() {
        let tags: Vec<String> = (0..12).map(|n| format!("{n:02}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let scan = scan(&tags);
        let latest: Vec<&str> = scan.latest().collect();
        assert_eq!((latest.len(), latest[0]), (LATEST_MAX, "11"));
        assert_eq!(self::scan(&[]).latest().count(), 0);
    }
}
