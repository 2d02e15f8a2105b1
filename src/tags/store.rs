//! The [`Store`]: one file with the last complete scan of each ImageRepository and its history.
//!
//! In: an [`Owner`] and a [`Scan`]. Out: what was stored. The calls block for a disk's time: a read
//! is a few look-ups, a write a part of one synced transaction. Of an owner there are an epoch, a
//! list of tags, the numbered changes since, and digests by tag. A change is appended and never
//! altered; once the changes behind a list are a quarter of it, the list is written anew. The file
//! opens after a crash with the last transaction that ended.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use redb::{Database, ReadableDatabase, ReadableTable};

use super::commit::{CHANGES, Commits, DIGESTS, EPOCHS, LISTS, Row, Written, locked};
use super::difference::{Difference, between};
use super::format;
use super::record::{
    ChangeRecord, EpochRecord, Moved, decode, decode_list, encode, encode_list, time,
};
use super::{Epoch, Error, Event, Happening, Scan};
use crate::image::TagList;

/// The file in the room's folder.
const FILE: &str = "tags.redb";

/// Memory for pages of the file.
const CACHE_BYTES: usize = 16 << 20;

/// A list is written anew when the changes behind it have more bytes than this part of it, and
/// more than [`CHANGE_BYTES_MIN`].
const CHANGE_PART: usize = 4;
/// Changes of so few bytes are no reason to write a list anew.
const CHANGE_BYTES_MIN: usize = 4096;

/// Changes of one owner that are kept behind those of the list; older ones are dropped when a list is
/// written anew.
const CHANGES_MAX: u64 = 10_000;

/// Owners are spread over so many locks.
const LOCKS: usize = 64;

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
    Replaced {
        /// How many tags there were before.
        n_before: usize,
        /// How many came.
        n_seen: usize,
        /// How many went.
        n_vanished: usize,
    },
    /// The list was the same; nothing was written.
    Unchanged,
}

/// What storing a digest did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DigestChange {
    /// None was known.
    First,
    /// Another was known: the tag moved.
    Moved {
        /// The digest before.
        from: String,
    },
    /// Nothing was written.
    Unchanged,
}

/// A place in the changes of one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    first_ms: i64,
    number: u64,
}

/// What changed since a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Tags that are there now and were not.
    pub seen: Vec<String>,
    /// Tags that were there and are not.
    pub vanished: Vec<String>,
    /// The place where these changes end.
    pub position: Position,
}

/// The file of scans.
pub struct Store {
    file: PathBuf,
    database: Database,
    commits: Commits,
    /// One of these is held while an owner's records are read, compared and written.
    owners: [Mutex<()>; LOCKS],
}

impl Store {
    /// Opens the store in a folder, and makes both where they are missing. Fails when another
    /// process has it, or its format is a later one.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|source| Error::Folder {
            folder: folder.to_owned(),
            source,
        })?;
        let file = folder.join(FILE);
        let failed = |source: redb::Error| Error::File {
            file: file.clone(),
            act: "open",
            source: Arc::new(source),
        };
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(&file)
            .map_err(|source| failed(source.into()))?;
        match format::check(&database) {
            Ok(()) => {}
            Err(format::Error::File(source)) => return Err(failed(source)),
            Err(format::Error::Later(found)) => return Err(Error::Format { file, found }),
        }
        Ok(Self {
            file,
            database,
            commits: Commits::new(),
            owners: std::array::from_fn(|_| Mutex::new(())),
        })
    }

    /// Stores a complete scan in place of the owner's last one. Fails when it cannot be written;
    /// then the last one stays.
    pub fn replace(&self, owner: &Owner, scan: &Scan) -> Result<Change, Error> {
        let _own = self.lock(owner);
        let epoch = scan.epoch();
        let last = self.epoch_record(owner)?;
        let Some(last) = last.filter(|last| last.repository == epoch.repository) else {
            self.write(owner, first_rows(scan))?;
            return Ok(Change::First);
        };
        if last.revision == epoch.revision {
            return Ok(Change::Unchanged);
        }
        let n_before = last.n_tags;
        let before = self.list(owner, &last)?;
        let difference = between(before.iter(), scan.tags().iter());
        drop(before);
        let (n_seen, n_vanished) = (difference.seen.len(), difference.vanished.len());
        self.write(owner, self.changed_rows(owner, last, scan, difference)?)?;
        Ok(Change::Replaced {
            n_before,
            n_seen,
            n_vanished,
        })
    }

    /// Returns the owner's last scan of this repository, and the place in its changes.
    pub fn scan(&self, owner: &Owner, repository: &str) -> Result<Option<(Scan, Position)>, Error> {
        let _own = self.lock(owner);
        let Some(record) = self.epoch_record_of(owner, repository)? else {
            return Ok(None);
        };
        let tags = self.list(owner, &record)?;
        let epoch = record.epoch();
        let epoch = epoch.map_err(|reason| self.damaged(owner, reason))?;
        Ok(Some((Scan::stored(epoch, tags), record.position())))
    }

    /// Returns what is known of the owner's last scan of this repository, without reading tags.
    pub fn epoch(&self, owner: &Owner, repository: &str) -> Result<Option<Epoch>, Error> {
        let record = self.epoch_record_of(owner, repository)?;
        let epoch = record.map(|record| record.epoch()).transpose();
        epoch.map_err(|reason| self.damaged(owner, reason))
    }

    /// Returns what changed since a position, without reading the list; nothing when that is not
    /// known any more.
    pub fn since(
        &self,
        owner: &Owner,
        repository: &str,
        position: Position,
    ) -> Result<Option<Changes>, Error> {
        let _own = self.lock(owner);
        let Some(record) = self.epoch_record_of(owner, repository)? else {
            return Ok(None);
        };
        let now = record.position();
        if now.first_ms != position.first_ms || now.number < position.number {
            return Ok(None);
        }
        let changes = self.changes(owner, position.number + 1, now.number)?;
        if changes.len() as u64 != now.number - position.number {
            return Ok(None);
        }
        let (there, gone) = net(changes)
            .into_iter()
            .partition(|(_, is_there)| *is_there);
        let tags = |tags: BTreeMap<String, bool>| tags.into_keys().rev().collect();
        Ok(Some(Changes {
            seen: tags(there),
            vanished: tags(gone),
            position: now,
        }))
    }

    /// Returns what is recorded of a tag, oldest first; nothing of a tag that was there at the
    /// first scan and since.
    pub fn history(&self, owner: &Owner, repository: &str, tag: &str) -> Result<Vec<Event>, Error> {
        let _own = self.lock(owner);
        let Some(record) = self.epoch_record_of(owner, repository)? else {
            return Ok(Vec::new());
        };
        let mut events = Vec::new();
        for change in self.changes(owner, 0, record.last)? {
            let about = change.about(tag);
            events.extend(about.map_err(|reason| self.damaged(owner, reason))?);
        }
        Ok(events)
    }

    /// Returns since when a tag that is not in the owner's last scan is known to be absent: since it
    /// vanished, or since changes are recorded.
    pub fn absent_since(
        &self,
        owner: &Owner,
        repository: &str,
        tag: &str,
    ) -> Result<Option<DateTime<Utc>>, Error> {
        let events = self.history(owner, repository, tag)?;
        let vanished = events
            .iter()
            .rev()
            .find(|event| event.what == Happening::Vanished);
        if let Some(event) = vanished {
            return Ok(Some(event.at));
        }
        let record = self.epoch_record_of(owner, repository)?;
        let since = record.map(|record| time(record.since_ms)).transpose();
        since.map_err(|reason| self.damaged(owner, reason))
    }

    /// Stores the digest of a tag, and in its history whether it moved. Writes nothing for an owner
    /// that has no scan.
    pub fn keep_digest(
        &self,
        owner: &Owner,
        tag: &str,
        digest: &str,
        now: DateTime<Utc>,
    ) -> Result<DigestChange, Error> {
        let _own = self.lock(owner);
        let known = self.digest(owner, tag)?;
        if known.as_deref() == Some(digest) {
            return Ok(DigestChange::Unchanged);
        }
        let Some(mut record) = self.epoch_record(owner)? else {
            return Ok(DigestChange::Unchanged);
        };
        let mut rows = vec![Row::Digest(tag.to_owned(), digest.to_owned())];
        if let Some(from) = &known {
            let change = ChangeRecord {
                at_ms: now.timestamp_millis(),
                moved: vec![Moved {
                    tag: tag.to_owned(),
                    from: from.clone(),
                    to: digest.to_owned(),
                }],
                ..ChangeRecord::default()
            };
            rows.push(record.append(&change));
            rows.push(Row::Epoch(encode(&record)));
        }
        self.write(owner, rows)?;
        Ok(match known {
            Some(from) => DigestChange::Moved { from },
            None => DigestChange::First,
        })
    }

    /// Returns the digest that is known of a tag.
    pub fn digest(&self, owner: &Owner, tag: &str) -> Result<Option<String>, Error> {
        let key = owner.to_string();
        self.read(|transaction| {
            let digests = transaction.open_table(DIGESTS)?;
            let digest = digests.get((key.as_str(), tag))?;
            Ok(digest.map(|digest| digest.value().to_owned()))
        })
    }

    /// Forgets an owner. Writes nothing and returns false when it is not known.
    pub fn delete(&self, owner: &Owner) -> Result<bool, Error> {
        let _own = self.lock(owner);
        if self.epoch_record(owner)?.is_none() {
            return Ok(false);
        }
        self.write(owner, vec![Row::Nothing])?;
        Ok(true)
    }

    /// Returns all owners that have a scan, in order.
    pub fn owners(&self) -> Result<Vec<Owner>, Error> {
        self.read(|transaction| {
            let epochs = transaction.open_table(EPOCHS)?;
            let mut owners = Vec::new();
            for row in epochs.iter()? {
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

    /// Returns what was written since the store was opened.
    pub fn written(&self) -> Written {
        self.commits.written()
    }

    fn changed_rows(
        &self,
        owner: &Owner,
        last: EpochRecord,
        scan: &Scan,
        difference: Difference,
    ) -> Result<Vec<Row>, Error> {
        let vanished = difference.vanished.iter().cloned();
        let mut rows: Vec<Row> = vanished.map(Row::NoDigest).collect();
        let mut record = last.with(scan.epoch());
        let change = ChangeRecord {
            at_ms: record.finished_ms,
            seen: difference.seen,
            vanished: difference.vanished,
            moved: Vec::new(),
        };
        rows.push(record.append(&change));
        if record.change_bytes > CHANGE_BYTES_MIN.max(record.list_bytes / CHANGE_PART) {
            rows.push(record.relist(scan));
            rows.extend(self.forget_old(owner, &mut record)?);
        }
        rows.push(Row::Epoch(encode(&record)));
        Ok(rows)
    }

    /// Returns the write which drops what is too old to be kept, and says so in the record.
    fn forget_old(&self, owner: &Owner, record: &mut EpochRecord) -> Result<Option<Row>, Error> {
        let Some(oldest_kept) = record.last.checked_sub(CHANGES_MAX) else {
            return Ok(None);
        };
        let dropped = self.changes(owner, oldest_kept, oldest_kept)?;
        if let Some(dropped) = dropped.first() {
            record.since_ms = record.since_ms.max(dropped.at_ms);
        }
        Ok(Some(Row::NoChangesBefore(oldest_kept + 1)))
    }

    /// Returns the tags of the owner's last scan.
    fn list(&self, owner: &Owner, record: &EpochRecord) -> Result<TagList, Error> {
        let changes = net(self.changes(owner, record.listed + 1, record.last)?);
        let key = owner.to_string();
        let tags = self.read(|transaction| {
            let lists = transaction.open_table(LISTS)?;
            let list = lists.get(key.as_str())?;
            Ok(list.map(|list| decode_list(list.value(), &changes)))
        })?;
        let tags = tags.unwrap_or_else(|| Err("its tags are missing".to_owned()));
        let tags = tags.and_then(|tags| match (tags.len(), record.n_tags) {
            (found, wanted) if found != wanted => Err(format!("{found} tags instead of {wanted}")),
            _ => Ok(tags),
        });
        tags.map_err(|reason| self.damaged(owner, reason))
    }

    /// Returns the changes with these numbers, both included, as far as they are kept.
    fn changes(&self, owner: &Owner, from: u64, to: u64) -> Result<Vec<ChangeRecord>, Error> {
        if from > to {
            return Ok(Vec::new());
        }
        let key = owner.to_string();
        let read = self.read(|transaction| {
            let table = transaction.open_table(CHANGES)?;
            let mut changes = Vec::new();
            for row in table.range((key.as_str(), from)..=(key.as_str(), to))? {
                changes.push(decode(row?.1.value()));
            }
            Ok(changes)
        })?;
        let changes: Result<Vec<ChangeRecord>, String> = read.into_iter().collect();
        changes.map_err(|reason| self.damaged(owner, reason))
    }

    fn epoch_record_of(
        &self,
        owner: &Owner,
        repository: &str,
    ) -> Result<Option<EpochRecord>, Error> {
        let record = self.epoch_record(owner)?;
        Ok(record.filter(|record| record.repository == repository))
    }

    fn epoch_record(&self, owner: &Owner) -> Result<Option<EpochRecord>, Error> {
        let key = owner.to_string();
        let record = self.read(|transaction| {
            let epochs = transaction.open_table(EPOCHS)?;
            Ok(epochs
                .get(key.as_str())?
                .map(|record| decode(record.value())))
        })?;
        let record = record.transpose();
        record.map_err(|reason| self.damaged(owner, reason))
    }

    fn lock(&self, owner: &Owner) -> std::sync::MutexGuard<'_, ()> {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let lock = usize::try_from(hasher.hash_one(owner) % LOCKS as u64);
        let lock = lock.ok().and_then(|lock| self.owners.get(lock));
        locked(lock.expect("because the rest of a division by their number is one of them"))
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
        read().map_err(|source| self.failed("read", Arc::new(source)))
    }

    fn write(&self, owner: &Owner, rows: Vec<Row>) -> Result<(), Error> {
        let written = self.commits.write(&self.database, owner.to_string(), rows);
        written.map_err(|source| self.failed("write", source))
    }

    fn failed(&self, act: &'static str, source: Arc<redb::Error>) -> Error {
        Error::File {
            file: self.file.clone(),
            act,
            source,
        }
    }
}

impl EpochRecord {
    fn position(&self) -> Position {
        Position {
            first_ms: self.first_ms,
            number: self.last,
        }
    }

    /// Returns the write of one more change, and counts it.
    fn append(&mut self, change: &ChangeRecord) -> Row {
        let bytes = encode(change);
        self.last += 1;
        self.change_bytes += bytes.len();
        Row::Change(self.last, bytes)
    }

    /// Returns the write of the whole list.
    fn relist(&mut self, scan: &Scan) -> Row {
        let list = encode_list(scan.tags());
        self.listed = self.last;
        self.list_bytes = list.len();
        self.change_bytes = 0;
        Row::List(list)
    }
}

fn first_rows(scan: &Scan) -> Vec<Row> {
    let mut record = EpochRecord::first(scan.epoch());
    let list = record.relist(scan);
    vec![Row::Nothing, list, Row::Epoch(encode(&record))]
}

/// Returns what many changes come to: which tags are there after them, and which are not.
fn net(changes: Vec<ChangeRecord>) -> BTreeMap<String, bool> {
    let mut net = BTreeMap::new();
    for change in changes {
        net.extend(change.vanished.into_iter().map(|tag| (tag, false)));
        net.extend(change.seen.into_iter().map(|tag| (tag, true)));
    }
    net
}

#[cfg(test)]
mod tests;
