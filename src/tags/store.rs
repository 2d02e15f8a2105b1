//! The [`Store`]: one file with the last complete scan of each ImageRepository.
//!
//! In: an [`Owner`] and a [`Scan`]. Out: what was stored. The calls block for a disk's time:
//! a read is one look-up, a write one synced transaction. Records are an owner's summary, its tags
//! (one value, so that reading a million is one copy) and digests by tag; a further record by tag,
//! such as when it was first seen, is a further table. The file opens after a crash with the last
//! transaction that ended.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use chrono::DateTime;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::{Scan, Summary};

/// The file in the room's folder.
const FILE: &str = "tags.redb";

/// What the records look like; a file of another format is refused, never wiped.
const FORMAT: u64 = 1;

/// Memory for pages of the file.
const CACHE_BYTES: usize = 16 << 20;

/// The first record: `version` and the number.
const FORMATS: TableDefinition<&str, u64> = TableDefinition::new("format");
/// Owner → summary as JSON.
const SCANS: TableDefinition<&str, &[u8]> = TableDefinition::new("scans");
/// Owner → tags, one a line, descending.
const TAGS: TableDefinition<&str, &[u8]> = TableDefinition::new("tags");
/// Owner, tag → digest.
const DIGESTS: TableDefinition<(&str, &str), &str> = TableDefinition::new("digests");

/// The ImageRepository that a scan belongs to. Two of them never share a scan, even of one image:
/// each sees what its own credential may see.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What storing a scan did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There was none, or one of another repository.
    First,
    /// The list was different.
    Replaced,
    /// The list was the same; nothing was written.
    Unchanged,
}

/// A store that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be made.
    #[error("cannot make folder {}: {source}", folder.display())]
    Folder {
        /// The room's folder.
        folder: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be opened, read or written.
    #[error("{}: {act}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What was tried.
        act: &'static str,
        /// The cause.
        #[source]
        source: Box<redb::Error>,
    },
    /// The file is from another version.
    #[error("{} has format {found}, this version reads {FORMAT}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u64,
    },
    /// A record that we did not write so.
    #[error("{}: record of {owner} is damaged: {reason}", file.display())]
    Record {
        /// The file.
        file: PathBuf,
        /// Whose record.
        owner: Owner,
        /// What is wrong with it.
        reason: String,
    },
}

/// The file of scans.
pub struct Store {
    file: PathBuf,
    database: Database,
}

#[derive(Serialize, Deserialize)]
struct SummaryRecord {
    repository: String,
    revision: String,
    n_tags: usize,
    scanned_at_ms: i64,
}

impl Store {
    /// Opens the store in a folder, and makes both where they are missing. Fails when another
    /// process has it, or its format is another.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|source| Error::Folder {
            folder: folder.to_owned(),
            source,
        })?;
        let file = folder.join(FILE);
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(&file)
            .map_err(|source| Error::File {
                file: file.clone(),
                act: "open",
                source: Box::new(source.into()),
            })?;
        let store = Self { file, database };
        store.check_format()?;
        Ok(store)
    }

    /// Stores a complete scan in place of the owner's last one. Fails when it cannot be written;
    /// then the last one stays.
    pub fn replace(&self, owner: &Owner, scan: &Scan) -> Result<Change, Error> {
        let summary = scan.summary();
        let change = match self.read_summary(owner)? {
            Some(last) if last.repository != summary.repository => Change::First,
            Some(last) if last.revision == summary.revision => return Ok(Change::Unchanged),
            Some(_) => Change::Replaced,
            None => Change::First,
        };
        let record = serde_json::to_vec(&SummaryRecord {
            repository: summary.repository.clone(),
            revision: summary.revision.clone(),
            n_tags: summary.n_tags,
            scanned_at_ms: summary.scanned_at.timestamp_millis(),
        })
        .expect("because a record of texts and numbers is always JSON");
        let keep: HashSet<&str> = match change {
            Change::Replaced => scan.tags().iter().map(String::as_str).collect(),
            _ => HashSet::new(),
        };
        self.written(|transaction| {
            let key = owner.to_string();
            let text = scan.tags().join("\n");
            let mut scans = transaction.open_table(SCANS)?;
            scans.insert(key.as_str(), record.as_slice())?;
            let mut tags = transaction.open_table(TAGS)?;
            tags.insert(key.as_str(), text.as_bytes())?;
            let mut digests = transaction.open_table(DIGESTS)?;
            let after = after(&key);
            digests.retain_in((key.as_str(), "")..(after.as_str(), ""), |(_, tag), _| {
                keep.contains(tag)
            })?;
            Ok(())
        })?;
        Ok(change)
    }

    /// Returns the owner's last scan of this repository.
    pub fn scan(&self, owner: &Owner, repository: &str) -> Result<Option<Scan>, Error> {
        let key = owner.to_string();
        let read = self.read(|transaction| {
            let scans = transaction.open_table(SCANS)?;
            let tags = transaction.open_table(TAGS)?;
            let (summary, tags) = (scans.get(key.as_str())?, tags.get(key.as_str())?);
            Ok(summary
                .zip(tags)
                .map(|(summary, tags)| (summary.value().to_vec(), tags.value().to_vec())))
        })?;
        let Some((summary, text)) = read else {
            return Ok(None);
        };
        let summary = self.summary_of(owner, &summary)?;
        if summary.repository != repository {
            return Ok(None);
        }
        let text = String::from_utf8(text)
            .map_err(|error| self.damaged(owner, format!("tags are no text: {error}")))?;
        let tags: Vec<String> = text.lines().map(str::to_owned).collect();
        if tags.len() != summary.n_tags {
            let reason = format!("{} tags instead of {}", tags.len(), summary.n_tags);
            return Err(self.damaged(owner, reason));
        }
        Ok(Some(Scan::stored(summary, tags)))
    }

    /// Returns what is known of the owner's last scan of this repository, without reading tags.
    pub fn summary(&self, owner: &Owner, repository: &str) -> Result<Option<Summary>, Error> {
        let summary = self.read_summary(owner)?;
        Ok(summary.filter(|summary| summary.repository == repository))
    }

    /// Stores digests of tags beside those that are known. Writes nothing when all are known.
    pub fn keep_digests(
        &self,
        owner: &Owner,
        digests: &BTreeMap<String, String>,
    ) -> Result<Change, Error> {
        let known = self.digests(owner)?;
        let is_known = |(tag, digest): (&String, &String)| known.get(tag) == Some(digest);
        if digests.iter().all(is_known) {
            return Ok(Change::Unchanged);
        }
        self.written(|transaction| {
            let key = owner.to_string();
            let mut table = transaction.open_table(DIGESTS)?;
            for (tag, digest) in digests {
                table.insert((key.as_str(), tag.as_str()), digest.as_str())?;
            }
            Ok(())
        })?;
        Ok(if known.is_empty() {
            Change::First
        } else {
            Change::Replaced
        })
    }

    /// Returns the digests that are known of the owner's tags.
    pub fn digests(&self, owner: &Owner) -> Result<BTreeMap<String, String>, Error> {
        let key = owner.to_string();
        self.read(|transaction| {
            let table = transaction.open_table(DIGESTS)?;
            let mut found = BTreeMap::new();
            let after = after(&key);
            for row in table.range((key.as_str(), "")..(after.as_str(), ""))? {
                let (at, digest) = row?;
                let (_, tag) = at.value();
                found.insert(tag.to_owned(), digest.value().to_owned());
            }
            Ok(found)
        })
    }

    /// Forgets an owner. Writes nothing when it is not known.
    pub fn delete(&self, owner: &Owner) -> Result<Change, Error> {
        if self.read_summary(owner)?.is_none() {
            return Ok(Change::Unchanged);
        }
        self.written(|transaction| {
            let key = owner.to_string();
            transaction.open_table(SCANS)?.remove(key.as_str())?;
            transaction.open_table(TAGS)?.remove(key.as_str())?;
            let mut digests = transaction.open_table(DIGESTS)?;
            let after = after(&key);
            digests.retain_in((key.as_str(), "")..(after.as_str(), ""), |_, _| false)?;
            Ok(())
        })?;
        Ok(Change::Replaced)
    }

    /// Returns all owners that have a scan, in order.
    pub fn owners(&self) -> Result<Vec<Owner>, Error> {
        self.read(|transaction| {
            let scans = transaction.open_table(SCANS)?;
            let mut owners = Vec::new();
            for row in scans.iter()? {
                let (key, _) = row?;
                if let Some((namespace, name)) = key.value().split_once('/') {
                    owners.push(Owner {
                        namespace: namespace.to_owned(),
                        name: name.to_owned(),
                    });
                }
            }
            Ok(owners)
        })
    }

    /// Reads the first record, or writes it and the empty tables into a new file.
    fn check_format(&self) -> Result<(), Error> {
        let found = self.read(|transaction| match transaction.open_table(FORMATS) {
            Ok(formats) => Ok(formats.get("version")?.map(|version| version.value())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        })?;
        match found {
            Some(FORMAT) => Ok(()),
            Some(found) => Err(Error::Format {
                file: self.file.clone(),
                found,
            }),
            None => self.written(|transaction| {
                transaction.open_table(FORMATS)?.insert("version", FORMAT)?;
                transaction.open_table(SCANS)?;
                transaction.open_table(TAGS)?;
                transaction.open_table(DIGESTS)?;
                Ok(())
            }),
        }
    }

    fn read_summary(&self, owner: &Owner) -> Result<Option<Summary>, Error> {
        let key = owner.to_string();
        let record = self.read(|transaction| {
            let scans = transaction.open_table(SCANS)?;
            Ok(scans
                .get(key.as_str())?
                .map(|record| record.value().to_vec()))
        })?;
        record
            .map(|record| self.summary_of(owner, &record))
            .transpose()
    }

    fn summary_of(&self, owner: &Owner, record: &[u8]) -> Result<Summary, Error> {
        let record: SummaryRecord = serde_json::from_slice(record)
            .map_err(|error| self.damaged(owner, error.to_string()))?;
        let scanned_at = DateTime::from_timestamp_millis(record.scanned_at_ms)
            .ok_or_else(|| self.damaged(owner, "its time is out of range".to_owned()))?;
        Ok(Summary {
            repository: record.repository,
            revision: record.revision,
            n_tags: record.n_tags,
            scanned_at,
        })
    }

    fn damaged(&self, owner: &Owner, reason: String) -> Error {
        Error::Record {
            file: self.file.clone(),
            owner: owner.clone(),
            reason,
        }
    }

    fn read<T>(
        &self,
        act: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        let read = || act(&self.database.begin_read()?);
        read().map_err(|source| self.failed("read", source))
    }

    /// Runs one transaction; it is on the disk when this returns.
    fn written(
        &self,
        act: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), Error> {
        let write = || {
            let transaction = self.database.begin_write()?;
            act(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|source| self.failed("write", source))
    }

    fn failed(&self, act: &'static str, source: redb::Error) -> Error {
        Error::File {
            file: self.file.clone(),
            act,
            source: Box::new(source),
        }
    }
}

/// Returns the least text after `key`, so that a range of one owner ends before the next.
fn after(key: &str) -> String {
    format!("{key}\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "r.io/app";

    fn owner(name: &str) -> Owner {
        Owner {
            namespace: "apps".to_owned(),
            name: name.to_owned(),
        }
    }

    fn scan(tags: &[&str]) -> Scan {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let scanned_at = DateTime::from_timestamp_millis(1_764_000_000_123).unwrap();
        Scan::new(IMAGE, tags, scanned_at)
    }

    fn digests(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(tag, digest)| ((*tag).to_owned(), (*digest).to_owned()))
            .collect()
    }

    #[test]
    fn a_scan_is_replaced_as_a_whole_and_only_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let a = owner("a");
        assert_eq!(store.scan(&a, IMAGE).unwrap(), None);
        for (tags, change) in [
            (&["1", "2"][..], Change::First),
            (&["2", "1"], Change::Unchanged),
            (&["3"], Change::Replaced),
            (&[], Change::Replaced),
            (&[], Change::Unchanged),
        ] {
            assert_eq!(store.replace(&a, &scan(tags)).unwrap(), change, "{tags:?}");
            assert_eq!(store.scan(&a, IMAGE).unwrap(), Some(scan(tags)), "{tags:?}");
            let summary = store.summary(&a, IMAGE).unwrap().unwrap();
            assert_eq!(&summary, scan(tags).summary());
        }
    }

    #[test]
    fn nothing_is_written_when_nothing_changed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.replace(&owner("a"), &scan(&["1"])).unwrap();
        let file = folder.path().join(FILE);
        let before = std::fs::read(&file).unwrap();
        store.replace(&owner("a"), &scan(&["1"])).unwrap();
        store.delete(&owner("b")).unwrap();
        store.keep_digests(&owner("a"), &digests(&[])).unwrap();
        assert!(std::fs::read(&file).unwrap() == before);
    }

    #[test]
    fn owners_of_one_image_do_not_share_a_scan() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.replace(&owner("a"), &scan(&["1"])).unwrap();
        store.replace(&owner("a-b"), &scan(&["2"])).unwrap();
        assert_eq!(store.scan(&owner("a"), IMAGE).unwrap(), Some(scan(&["1"])));
        assert_eq!(store.owners().unwrap(), [owner("a"), owner("a-b")]);
        store.delete(&owner("a")).unwrap();
        assert_eq!(store.owners().unwrap(), [owner("a-b")]);
        assert_eq!(store.scan(&owner("a"), IMAGE).unwrap(), None);
    }

    #[test]
    fn a_scan_of_another_image_is_not_given_out() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.replace(&owner("a"), &scan(&["1"])).unwrap();
        assert_eq!(store.scan(&owner("a"), "r.io/other").unwrap(), None);
        assert_eq!(store.summary(&owner("a"), "r.io/other").unwrap(), None);
    }

    #[test]
    fn digests_go_with_their_tags() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (a, b) = (owner("a"), owner("b"));
        store.replace(&a, &scan(&["1", "2"])).unwrap();
        let both = digests(&[("1", "sha256:1"), ("2", "sha256:2")]);
        assert_eq!(store.keep_digests(&a, &both).unwrap(), Change::First);
        assert_eq!(store.keep_digests(&a, &both).unwrap(), Change::Unchanged);
        store.keep_digests(&b, &both).unwrap();
        store.replace(&a, &scan(&["2", "3"])).unwrap();
        assert_eq!(store.digests(&a).unwrap(), digests(&[("2", "sha256:2")]));
        assert_eq!(store.digests(&b).unwrap(), both);
        store.delete(&a).unwrap();
        assert!(store.digests(&a).unwrap().is_empty());
    }

    #[test]
    fn the_file_opens_after_a_crash_with_what_was_stored() {
        let folder = tempfile::tempdir().unwrap();
        let crashed = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.replace(&owner("a"), &scan(&["1", "2"])).unwrap();
        // The file of a store that was never closed is what a killed process leaves behind.
        std::fs::copy(folder.path().join(FILE), crashed.path().join(FILE)).unwrap();
        let again = Store::open(crashed.path()).unwrap();
        let found = again.scan(&owner("a"), IMAGE).unwrap();
        assert_eq!(found, Some(scan(&["1", "2"])));
    }

    /// The folder that a child of the test below writes to until it is killed.
    const WRITER: &str = "TOWPATH_TEST_TAGS_WRITER";

    #[test]
    fn a_killed_writer_leaves_a_whole_scan() {
        use std::io::BufRead;
        use std::process::{Command, Stdio};

        let of_size = |n: usize| {
            let tags = (0..n).map(|at| format!("{n}-{at}")).collect();
            Scan::new(IMAGE, tags, DateTime::UNIX_EPOCH)
        };
        if let Some(folder) = std::env::var_os(WRITER) {
            let store = Store::open(Path::new(&folder)).unwrap();
            for n in 1.. {
                store.replace(&owner("a"), &of_size(n)).unwrap();
                println!("stored {n}");
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["a_killed_writer_leaves_a_whole_scan", "--nocapture"])
            .env(WRITER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(writer.stdout.take().unwrap()).lines();
        let stored = lines.map_while(Result::ok);
        let n_stored = stored
            .filter(|line| line.contains("stored"))
            .take(20)
            .count();
        writer.kill().unwrap();
        writer.wait().unwrap();
        assert_eq!(n_stored, 20);
        let store = Store::open(folder.path()).unwrap();
        let found = store.scan(&owner("a"), IMAGE).unwrap().unwrap();
        assert!(found.tags().len() >= 20, "{} tags", found.tags().len());
        assert_eq!(found, of_size(found.tags().len()));
    }

    #[test]
    fn a_second_process_and_another_format_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let error = Store::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("tags.redb: open: "), "{error}");
        store
            .written(|transaction| {
                transaction.open_table(FORMATS)?.insert("version", 2)?;
                Ok(())
            })
            .unwrap();
        drop(store);
        let error = Store::open(folder.path()).err().unwrap().to_string();
        assert!(
            error.ends_with("has format 2, this version reads 1"),
            "{error}"
        );
    }

    #[test]
    fn a_damaged_record_is_told_and_not_read_as_no_tags() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.replace(&owner("a"), &scan(&["1", "2"])).unwrap();
        store
            .written(|transaction| {
                transaction
                    .open_table(TAGS)?
                    .insert("apps/a", b"1".as_slice())?;
                Ok(())
            })
            .unwrap();
        let error = store.scan(&owner("a"), IMAGE).unwrap_err().to_string();
        let want = "record of apps/a is damaged: 1 tags instead of 2";
        assert!(error.ends_with(want), "{error}");
    }
}
