//! The backend that keeps changes in one redb file, with a lock file beside it.
//!
//! Three tables: what the store is (`store`), the newest objects (`objects`) and the window of past
//! changes (`history`). One batch is one transaction with one flush. The format is the first record.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::DateTime;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::backend::{Backend, BackendError, Loaded};
use super::{Entry, Event};

/// The format that this program writes.
const FORMAT: u64 = 1;
/// The database's file name.
const FILE: &str = "objects.redb";
/// The lock's file name; it holds the process id.
const LOCK: &str = "lock";
/// How much the database may keep in memory: objects are all in memory already.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

const STORE: TableDefinition<&str, u64> = TableDefinition::new("store");
const OBJECTS: TableDefinition<&str, &[u8]> = TableDefinition::new("objects");
const HISTORY: TableDefinition<u64, &[u8]> = TableDefinition::new("history");

/// Keeps changes in a folder.
#[derive(Debug)]
pub struct RedbBackend {
    path: PathBuf,
    database: Option<Database>,
    floor: u64,
    _lock: File,
}

impl RedbBackend {
    /// Opens or creates the store in `folder`, readable by its owner only.
    ///
    /// Fails when another process has it or when it was written by a newer program.
    pub fn open(folder: &Path) -> Result<Self, BackendError> {
        let io = |act, path: &Path| {
            let path = path.display().to_string();
            move |source| BackendError::Io { act, path, source }
        };
        std::fs::create_dir_all(folder).map_err(io("create", folder))?;
        restrict(folder, 0o700).map_err(io("restrict", folder))?;
        let lock = lock(&folder.join(LOCK))?;
        let path = folder.join(FILE);
        let database = open(&path)?;
        restrict(&path, 0o600).map_err(io("restrict", &path))?;
        Ok(Self {
            path,
            database: Some(database),
            floor: 0,
            _lock: lock,
        })
    }

    fn failed(&self, act: &'static str, error: impl std::fmt::Display) -> BackendError {
        failed(act, &self.path, error)
    }

    fn corrupt(&self, what: impl Into<String>) -> BackendError {
        BackendError::Corrupt {
            path: self.path.display().to_string(),
            what: what.into(),
        }
    }

    /// Returns the open database; opens it again after a write has failed.
    fn database(&mut self) -> Result<&Database, BackendError> {
        if self.database.is_none() {
            self.database = Some(open(&self.path)?);
        }
        Ok(self.database.as_ref().expect("because it was just opened"))
    }

    fn write(&mut self, events: &[Arc<Event>], floor: u64) -> Result<(), BackendError> {
        let (path, old_floor) = (self.path.clone(), self.floor);
        let fail = |error: redb::Error| failed("write", &path, error);
        let txn = self.database()?.begin_write().map_err(|e| fail(e.into()))?;
        {
            let mut store = txn.open_table(STORE).map_err(|e| fail(e.into()))?;
            let mut objects = txn.open_table(OBJECTS).map_err(|e| fail(e.into()))?;
            let mut history = txn.open_table(HISTORY).map_err(|e| fail(e.into()))?;
            for event in events {
                let key = format!("{}\n{}", event.resource, event.object.path);
                if event.removed {
                    objects.remove(key.as_str()).map_err(|e| fail(e.into()))?;
                } else {
                    let mut value = event.object.revision.to_be_bytes().to_vec();
                    value.extend_from_slice(&event.object.body);
                    objects
                        .insert(key.as_str(), value.as_slice())
                        .map_err(|e| fail(e.into()))?;
                }
                let record = encode(event);
                history
                    .insert(event.revision, record.as_slice())
                    .map_err(|e| fail(e.into()))?;
            }
            if let Some(last) = events.last() {
                store
                    .insert("revision", last.revision)
                    .map_err(|e| fail(e.into()))?;
            }
            if floor > old_floor {
                history
                    .retain_in(..=floor, |_, _| false)
                    .map_err(|e| fail(e.into()))?;
                store.insert("floor", floor).map_err(|e| fail(e.into()))?;
            }
        }
        txn.commit().map_err(|e| fail(e.into()))?;
        self.floor = floor.max(old_floor);
        Ok(())
    }

    fn read(&mut self) -> Result<Loaded, BackendError> {
        let path = self.path.clone();
        let fail = |error: redb::Error| failed("read", &path, error);
        let txn = self.database()?.begin_read().map_err(|e| fail(e.into()))?;
        let store = txn.open_table(STORE).map_err(|e| fail(e.into()))?;
        let number = |name: &str| -> Result<u64, BackendError> {
            let found = store.get(name).map_err(|e| fail(e.into()))?;
            Ok(found.map_or(0, |v| v.value()))
        };
        let mut loaded = Loaded {
            revision: number("revision")?,
            floor: number("floor")?,
            ..Loaded::default()
        };
        let mut names = Interned::default();
        let objects = txn.open_table(OBJECTS).map_err(|e| fail(e.into()))?;
        for item in objects.iter().map_err(|e| fail(e.into()))? {
            let (key, value) = item.map_err(|e| fail(e.into()))?;
            let (resource, place) = key
                .value()
                .split_once('\n')
                .ok_or_else(|| self.corrupt("a key without a path"))?;
            let entry = entry(place, value.value())
                .ok_or_else(|| self.corrupt(format!("the object {resource} {place} is damaged")))?;
            loaded.objects.push((names.of(resource), Arc::new(entry)));
        }
        let history = txn.open_table(HISTORY).map_err(|e| fail(e.into()))?;
        for item in history.iter().map_err(|e| fail(e.into()))? {
            let (revision, value) = item.map_err(|e| fail(e.into()))?;
            let event = decode(revision.value(), value.value(), &mut names)
                .ok_or_else(|| self.corrupt(format!("change {} is damaged", revision.value())))?;
            loaded.history.push(Arc::new(event));
        }
        Ok(loaded)
    }
}

impl Backend for RedbBackend {
    fn load(&mut self) -> Result<Loaded, BackendError> {
        let loaded = self.read()?;
        self.floor = loaded.floor;
        Ok(loaded)
    }

    fn append(&mut self, events: &[Arc<Event>], floor: u64) -> Result<(), BackendError> {
        let written = self.write(events, floor);
        if written.is_err() {
            // After a failed write the database refuses further ones until it is opened again.
            self.database = None;
        }
        written.map_err(|error| self.failed("keep a batch in", error))
    }
}

fn failed(act: &'static str, path: &Path, error: impl std::fmt::Display) -> BackendError {
    BackendError::Database {
        act,
        path: path.display().to_string(),
        what: error.to_string(),
    }
}

fn lock(path: &Path) -> Result<File, BackendError> {
    let io = |source| BackendError::Io {
        act: "lock",
        path: path.display().to_string(),
        source,
    };
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(io)?;
    if file.try_lock().is_err() {
        let mut pid = String::new();
        // The pid only makes the message better.
        let _ = file.read_to_string(&mut pid);
        let pid = if pid.trim().is_empty() {
            "?".to_owned()
        } else {
            pid.trim().to_owned()
        };
        return Err(BackendError::InUse {
            path: path.display().to_string(),
            pid,
        });
    }
    file.set_len(0).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    writeln!(file, "{}", std::process::id()).map_err(io)?;
    restrict(path, 0o600).map_err(io)?;
    Ok(file)
}

fn restrict(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

fn open(path: &Path) -> Result<Database, BackendError> {
    let fail = |error: redb::Error| failed("open", path, error);
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(path)
        .map_err(|e| failed("open", path, e))?;
    let txn = database.begin_write().map_err(|e| fail(e.into()))?;
    {
        let mut store = txn.open_table(STORE).map_err(|e| fail(e.into()))?;
        let found = store
            .get("format")
            .map_err(|e| fail(e.into()))?
            .map(|v| v.value());
        match found {
            Some(found) if found > FORMAT => {
                let path = path.display().to_string();
                return Err(BackendError::Newer {
                    path,
                    found,
                    known: FORMAT,
                });
            }
            Some(_) => {}
            None => {
                store.insert("format", FORMAT).map_err(|e| fail(e.into()))?;
            }
        }
        txn.open_table(OBJECTS).map_err(|e| fail(e.into()))?;
        txn.open_table(HISTORY).map_err(|e| fail(e.into()))?;
    }
    txn.commit().map_err(|e| fail(e.into()))?;
    Ok(database)
}

/// Resource names, each kept once.
#[derive(Default)]
struct Interned(std::collections::HashSet<Arc<str>>);

impl Interned {
    fn of(&mut self, name: &str) -> Arc<str> {
        if let Some(found) = self.0.get(name) {
            return found.clone();
        }
        let new: Arc<str> = name.into();
        self.0.insert(new.clone());
        new
    }
}

fn entry(path: &str, value: &[u8]) -> Option<Entry> {
    let (revision, body) = value.split_at_checked(8)?;
    let revision = u64::from_be_bytes(revision.try_into().ok()?);
    Entry::stored(path, revision, Bytes::copy_from_slice(body)).ok()
}

/// Writes one change: removed, time, key, the object before (perhaps of length 0), the object.
fn encode(event: &Event) -> Vec<u8> {
    let mut out = vec![u8::from(event.removed)];
    out.extend(event.at.timestamp_millis().to_be_bytes());
    push(&mut out, event.resource.as_bytes());
    push(&mut out, event.object.path.as_bytes());
    let (revision, body) = match &event.previous {
        Some(previous) => (previous.revision, &previous.body[..]),
        None => (0, &[][..]),
    };
    out.extend(revision.to_be_bytes());
    push(&mut out, body);
    push(&mut out, &event.object.body);
    out
}

fn push(out: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).expect("because objects are far below 4 GiB");
    out.extend(length.to_be_bytes());
    out.extend_from_slice(part);
}

fn decode(revision: u64, record: &[u8], names: &mut Interned) -> Option<Event> {
    let (removed, rest) = record.split_first()?;
    let (at, rest) = rest.split_at_checked(8)?;
    let at = DateTime::from_timestamp_millis(i64::from_be_bytes(at.try_into().ok()?))?;
    let (resource, rest) = part(rest)?;
    let (path, rest) = part(rest)?;
    let (before, rest) = rest.split_at_checked(8)?;
    let before = u64::from_be_bytes(before.try_into().ok()?);
    let (old, rest) = part(rest)?;
    let (new, _) = part(rest)?;
    let path = std::str::from_utf8(path).ok()?;
    let stored = |revision, body: &[u8]| {
        Some(Arc::new(
            Entry::stored(path, revision, Bytes::copy_from_slice(body)).ok()?,
        ))
    };
    let previous = if old.is_empty() {
        None
    } else {
        Some(stored(before, old)?)
    };
    let resource = names.of(std::str::from_utf8(resource).ok()?);
    let object = stored(revision, new)?;
    Some(Event {
        revision,
        at,
        resource,
        previous,
        object,
        removed: *removed == 1,
    })
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(4)?;
    rest.split_at_checked(u32::from_be_bytes(length.try_into().ok()?) as usize)
}
