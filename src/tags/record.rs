//! The records of the file as bytes: an epoch, a list of tags, and what a scan changed.
//!
//! In: values. Out: bytes, and values again with the reason why they are none. Epochs and changes
//! are JSON, so that a person can read them; lists are deflated, since tags have much in common.
//! Pure.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, IntoInnerError, Read, Write};

use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use super::difference::Merge;
use super::{Epoch, Reading};
use crate::image::TagList;

/// The longest line that is read back: a tag and its newline.
const LINE_BYTES_MAX: u64 = 1 << 16;

/// A tag's history, one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When the scan or the look-up ended that noticed it.
    pub at: DateTime<Utc>,
    /// What happened.
    pub what: Happening,
}

/// What happened to a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// It came.
    Seen,
    /// Its digest became another.
    Moved {
        /// The digest before.
        from: String,
        /// The digest since.
        to: String,
    },
    /// It went.
    Vanished,
}

/// The head of what is kept for one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EpochRecord {
    pub repository: String,
    pub revision: String,
    pub n_tags: usize,
    pub n_pages: usize,
    pub started_ms: i64,
    pub finished_ms: i64,
    /// When the first scan of the repository ended: which row of changes this is.
    pub first_ms: i64,
    /// From when on changes are recorded; later than the first scan when old ones were dropped.
    pub since_ms: i64,
    /// The number of the last change.
    pub last: u64,
    /// The number of the last change that the list has in it.
    pub listed: u64,
    /// The bytes of the list as it is stored.
    pub list_bytes: usize,
    /// The bytes of the changes behind it.
    pub change_bytes: usize,
}

/// What one scan or look-up changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct ChangeRecord {
    pub at_ms: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vanished: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Moved>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moved {
    pub tag: String,
    pub from: String,
    pub to: String,
}

impl EpochRecord {
    /// Returns the record of a repository's first scan.
    pub fn first(epoch: &Epoch) -> Self {
        let finished_ms = epoch.reading.finished_at.timestamp_millis();
        let record = Self {
            repository: epoch.repository.clone(),
            revision: String::new(),
            n_tags: 0,
            n_pages: 0,
            started_ms: 0,
            finished_ms,
            first_ms: finished_ms,
            since_ms: finished_ms,
            last: 0,
            listed: 0,
            list_bytes: 0,
            change_bytes: 0,
        };
        record.with(epoch)
    }

    /// Returns the record with another epoch of the repository.
    pub fn with(mut self, epoch: &Epoch) -> Self {
        self.revision.clone_from(&epoch.revision);
        self.n_tags = epoch.n_tags;
        self.n_pages = epoch.reading.n_pages;
        self.started_ms = epoch.reading.started_at.timestamp_millis();
        self.finished_ms = epoch.reading.finished_at.timestamp_millis();
        self
    }

    /// Returns the epoch. Fails when a time is none.
    pub fn epoch(&self) -> Result<Epoch, String> {
        Ok(Epoch {
            repository: self.repository.clone(),
            revision: self.revision.clone(),
            n_tags: self.n_tags,
            reading: Reading {
                started_at: time(self.started_ms)?,
                finished_at: time(self.finished_ms)?,
                n_pages: self.n_pages,
            },
        })
    }
}

impl ChangeRecord {
    /// Returns what the change says of a tag, in the order in which it happened. Fails when its
    /// time is none.
    pub fn about(&self, tag: &str) -> Result<Vec<Event>, String> {
        let at = time(self.at_ms)?;
        let has = |tags: &[String]| tags.iter().any(|other| other == tag);
        let mut events = Vec::new();
        if has(&self.vanished) {
            events.push(Happening::Vanished);
        }
        if has(&self.seen) {
            events.push(Happening::Seen);
        }
        let moved = self.moved.iter().filter(|moved| moved.tag == tag);
        events.extend(moved.map(|moved| Happening::Moved {
            from: moved.from.clone(),
            to: moved.to.clone(),
        }));
        Ok(events.into_iter().map(|what| Event { at, what }).collect())
    }
}

/// Returns a point in time. Fails when there is no such one.
pub(super) fn time(milliseconds: i64) -> Result<DateTime<Utc>, String> {
    DateTime::from_timestamp_millis(milliseconds)
        .ok_or_else(|| "its time is out of range".to_owned())
}

/// Returns a record as bytes.
pub(super) fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("because a record of texts and numbers is always JSON")
}

/// Reads a record. Fails with the reason why it is none.
pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// Returns a list of tags as bytes.
pub(super) fn encode_list(tags: &TagList) -> Vec<u8> {
    let encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    let mut lines = BufWriter::new(encoder);
    let mut write = || {
        for tag in tags.iter() {
            lines.write_all(tag.as_bytes())?;
            lines.write_all(b"\n")?;
        }
        lines.flush()
    };
    write().expect("because writing to memory does not fail");
    let encoder = lines.into_inner().map_err(IntoInnerError::into_error);
    let finished = encoder.and_then(DeflateEncoder::finish);
    finished.expect("because writing to memory does not fail")
}

/// Reads a list of tags, with changes put into it. Fails with the reason why it is none.
pub(super) fn decode_list(
    bytes: &[u8],
    changes: &BTreeMap<String, bool>,
) -> Result<TagList, String> {
    let mut lines = BufReader::new(DeflateDecoder::new(bytes));
    let mut merge = Merge::new(changes);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line);
        read.map_err(|error| format!("tags are no text: {error}"))?;
        let Some(tag) = line.strip_suffix(b"\n") else {
            break;
        };
        let tag = str::from_utf8(tag).map_err(|error| format!("tags are no text: {error}"))?;
        merge.take(tag).map_err(|error| error.to_string())?;
    }
    if !line.is_empty() {
        return Err("tags are cut off".to_owned());
    }
    merge.finish().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::scan::tests::list;
    use super::*;

    fn decoded(bytes: &[u8]) -> Result<TagList, String> {
        decode_list(bytes, &BTreeMap::new())
    }

    fn deflated(text: &str) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_list_comes_back_as_it_was() {
        for tags in [&[][..], &["a"], &["main-1234567-2", "main-1234567-1"]] {
            let list = list(tags.iter().copied());
            assert_eq!(decoded(&encode_list(&list)).unwrap(), list);
        }
        let error = decoded(b"\xff\xff\xff").unwrap_err();
        assert!(error.starts_with("tags are no text: "), "{error}");
        assert_eq!(decoded(&deflated("2\n1")).unwrap_err(), "tags are cut off");
    }

    #[test]
    fn a_line_longer_than_its_bound_is_refused() {
        let line = |n: u64| "x".repeat(usize::try_from(n).unwrap()) + "\n";
        assert!(decoded(&deflated(&line(LINE_BYTES_MAX - 1))).is_ok());
        assert!(decoded(&deflated(&line(LINE_BYTES_MAX))).is_err());
    }
}
