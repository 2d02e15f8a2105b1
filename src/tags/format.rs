//! The format of the file: its first record says which one it is, and an old one is brought to
//! the present one in one transaction.
//!
//! In: an open database. Out: one of the present format, or what was found instead. A file is never
//! wiped: a later format than ours is refused.

use chrono::DateTime;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::Deserialize;

use super::commit::{CHANGES, DIGESTS, EPOCHS, LISTS, Row, put};
use super::record::{EpochRecord, encode, encode_list};
use super::scan::revision;
use super::{Epoch, Reading};
use crate::image::TagListBuilder;

/// What the records look like.
pub(super) const FORMAT: u64 = 2;

/// The first record: `version` and the number.
const FORMATS: TableDefinition<&str, u64> = TableDefinition::new("format");
/// Format 1: owner → summary as JSON.
const SCANS: TableDefinition<&str, &[u8]> = TableDefinition::new("scans");
/// Format 1: owner → tags, a newline between two.
const TAGS: TableDefinition<&str, &[u8]> = TableDefinition::new("tags");

/// The summary of format 1.
#[derive(Deserialize)]
struct Summary {
    repository: String,
    n_tags: usize,
    scanned_at_ms: i64,
}

/// A format that we do not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It is a later one.
    #[error("format {0}")]
    Later(u64),
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] redb::Error),
}

/// Brings a file to the present format; a new file gets its tables. Fails for a later format.
pub(super) fn check(database: &Database) -> Result<(), Error> {
    let found = found(database)?;
    match found {
        Some(FORMAT) => Ok(()),
        Some(later) if later > FORMAT => Err(Error::Later(later)),
        older => Ok(renew(database, older)?),
    }
}

fn found(database: &Database) -> Result<Option<u64>, redb::Error> {
    match database.begin_read()?.open_table(FORMATS) {
        Ok(formats) => Ok(formats.get("version")?.map(|version| version.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn renew(database: &Database, older: Option<u64>) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(FORMATS)?.insert("version", FORMAT)?;
    transaction.open_table(EPOCHS)?;
    transaction.open_table(LISTS)?;
    transaction.open_table(CHANGES)?;
    transaction.open_table(DIGESTS)?;
    if older == Some(1) {
        from_first(&transaction)?;
        transaction.delete_table(SCANS)?;
        transaction.delete_table(TAGS)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Writes the scans of format 1 as those of format 2. A scan that does not read is left behind: it
/// is due then, as one that was never made.
fn from_first(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let (scans, tags) = (
        transaction.open_table(SCANS)?,
        transaction.open_table(TAGS)?,
    );
    for row in scans.iter()? {
        let (owner, summary) = row?;
        let owner = owner.value();
        let text = tags.get(owner)?;
        let text = text.as_ref().map(|text| text.value());
        let Some(rows) = text.and_then(|text| rows_of(summary.value(), text)) else {
            tracing::warn!(owner, "Left a damaged scan of an older format behind.");
            continue;
        };
        put(transaction, owner, &rows)?;
    }
    Ok(())
}

fn rows_of(summary: &[u8], tags: &[u8]) -> Option<[Row; 2]> {
    let summary: Summary = serde_json::from_slice(summary).ok()?;
    let text = str::from_utf8(tags).ok()?;
    let mut tags = TagListBuilder::default();
    for tag in text.lines() {
        if !tags.push(tag) {
            return None;
        }
    }
    let tags = tags.sorted();
    if tags.len() != summary.n_tags {
        return None;
    }
    let at = DateTime::from_timestamp_millis(summary.scanned_at_ms)?;
    let epoch = Epoch {
        repository: summary.repository,
        revision: revision(&tags),
        n_tags: summary.n_tags,
        reading: Reading {
            started_at: at,
            finished_at: at,
            n_pages: 0,
        },
    };
    let list = encode_list(&tags);
    let mut record = EpochRecord::first(&epoch);
    record.list_bytes = list.len();
    Some([Row::Epoch(encode(&record)), Row::List(list)])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Says that a file is of a format.
    pub fn set_format(database: &Database, format: u64) {
        let transaction = database.begin_write().unwrap();
        let mut formats = transaction.open_table(FORMATS).unwrap();
        formats.insert("version", format).unwrap();
        drop(formats);
        transaction.commit().unwrap();
    }

    /// Writes a scan as format 1 did.
    pub fn write_first_format(database: &Database, owner: &str, summary: &str, tags: &str) {
        let transaction = database.begin_write().unwrap();
        let mut scans = transaction.open_table(SCANS).unwrap();
        scans.insert(owner, summary.as_bytes()).unwrap();
        let mut table = transaction.open_table(TAGS).unwrap();
        table.insert(owner, tags.as_bytes()).unwrap();
        drop((scans, table));
        transaction.commit().unwrap();
    }
}
