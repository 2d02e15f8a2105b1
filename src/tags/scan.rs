//! [`Scan`]: the tags of one repository at one time, and [`Summary`], what is known of them.
//!
//! In: tags in any order. Out: tags descending by bytes, each once, with a revision that is equal
//! for equal lists. Pure.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

/// A complete scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    summary: Summary,
    tags: Vec<String>,
}

/// What is known of a scan without its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The canonical image name that was scanned.
    pub repository: String,
    /// `sha256:` and the digest of the tags, one a line; equal for equal lists.
    pub revision: String,
    /// How many tags there are.
    pub n_tags: usize,
    /// When the scan that brought this list ended, to the millisecond.
    pub scanned_at: DateTime<Utc>,
}

impl Scan {
    /// Makes a scan from a complete list; sorts it and drops repetitions.
    pub fn new(repository: &str, mut tags: Vec<String>, scanned_at: DateTime<Utc>) -> Self {
        if !tags.is_sorted_by(|a, b| a > b) {
            tags.sort_unstable_by(|a, b| b.cmp(a));
            tags.dedup();
        }
        let milliseconds = scanned_at.timestamp_millis();
        let summary = Summary {
            repository: repository.to_owned(),
            revision: revision(&tags),
            n_tags: tags.len(),
            scanned_at: DateTime::from_timestamp_millis(milliseconds).unwrap_or(scanned_at),
        };
        Self { summary, tags }
    }

    /// Puts together what was stored; the parts were made by [`Scan::new`].
    pub(super) fn stored(summary: Summary, tags: Vec<String>) -> Self {
        Self { summary, tags }
    }

    /// Returns what is known of the scan without its tags.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Returns the tags, descending by bytes.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Returns the first tags as `status.lastScanResult.latestTags` has them: ten at most.
    pub fn latest(&self) -> &[String] {
        &self.tags[..self.tags.len().min(10)]
    }
}

fn revision(tags: &[String]) -> String {
    let mut hash = Sha256::new();
    for tag in tags {
        hash.update(tag.as_bytes());
        hash.update(b"\n");
    }
    let mut text = String::from("sha256:");
    for byte in hash.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(tags: &[&str]) -> Scan {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        Scan::new("r.io/app", tags, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn tags_are_sorted_by_bytes_and_kept_once() {
        assert_eq!(scan(&["10", "9", "a", "9"]).tags(), ["a", "9", "10"]);
        assert_eq!(scan(&["b", "b"]).tags(), ["b"]);
    }

    #[test]
    fn equal_lists_have_equal_revisions() {
        let revision = |tags| scan(tags).summary().revision.clone();
        assert_eq!(revision(&["a", "b"]), revision(&["b", "a", "a"]));
        assert_ne!(revision(&["ab"]), revision(&["a", "b"]));
        assert_eq!(
            revision(&[]),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn latest_are_the_first_ten() {
        let tags: Vec<String> = (0..12).map(|n| format!("{n:02}")).collect();
        let scan = Scan::new("r.io/app", tags, DateTime::UNIX_EPOCH);
        assert_eq!(scan.latest().len(), 10);
        assert_eq!(scan.latest()[0], "11");
        assert!(self::scan(&[]).latest().is_empty());
    }
}
