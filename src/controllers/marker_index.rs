//! What is known of the markers below a tree, by the ids of Git's objects.
//!
//! In: the reader of a commit's tree. Out: for each folder the entries that matter, for each file its
//! survey. An id stands for its content for ever, so a file that was looked through once, in whichever
//! commit or repository, is not read for that again, and of a new commit only what changed is read. Held
//! in memory and, when it was opened with a folder, in a file for the next start. Bounded: when it is
//! full it begins anew.

mod log;
mod record;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::log::Log;
use self::record::Record;
use crate::git::{Entry, EntryKind, Error, ObjectId, TreeReader};
use crate::update::{self, Survey};

/// Most objects that something is known of; each takes about fifty bytes and what its markers take.
const OBJECTS_MAX: usize = 500_000;
/// Most bytes of what is known, as the file holds it; its header takes some of [`log::BYTES_MAX`].
const BYTES_MAX: usize = log::BYTES_MAX - 1024;

/// What is known of objects.
#[derive(Default)]
pub struct MarkerIndex {
    known: Mutex<Known>,
    log: Option<Mutex<Log>>,
    n_read: AtomicU64,
}

#[derive(Default)]
struct Known {
    /// Files; nothing for those without a marker.
    files: HashMap<ObjectId, Option<Arc<Survey>>>,
    /// Folders; nothing for those with no marker below.
    folders: HashMap<ObjectId, Option<Arc<[Entry]>>>,
    /// Bytes of the frames of all of them.
    n_bytes: usize,
    /// Frames that the file does not hold yet.
    unkept: Vec<u8>,
    /// Whether what the file holds is known no more.
    has_begun_anew: bool,
}

impl MarkerIndex {
    /// Opens the index of a folder, which is made when missing. A file there that is torn, foreign or of
    /// other rules is begun anew. Fails when the folder or the file cannot be used.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut known = Known::default();
        let log = Log::open(folder, |record, n_bytes| known.put(record, n_bytes))?;
        Ok(Self {
            known: Mutex::new(known),
            log: Some(Mutex::new(log)),
            n_read: AtomicU64::new(0),
        })
    }

    /// Returns how many files were read so far.
    pub fn n_read(&self) -> u64 {
        self.n_read.load(Ordering::Relaxed)
    }

    /// Returns the survey of a file; nothing when it has no marker. Fails when it has to be read and
    /// cannot be.
    pub fn file(
        &self,
        reader: &TreeReader,
        path: &str,
        id: ObjectId,
    ) -> Result<Option<Arc<Survey>>, Error> {
        if let Some(known) = self.known().files.get(&id) {
            return Ok(known.clone());
        }
        self.n_read.fetch_add(1, Ordering::Relaxed);
        let survey = update::survey(&reader.bytes(path, id)?).map(Arc::new);
        if let Some(frame) = record::of_file(id, survey.as_deref()) {
            self.known_with(&frame).files.insert(id, survey.clone());
        }
        Ok(survey)
    }

    /// Returns the entries of a folder that have a marker, or have one below, or are links that may
    /// lead to one; nothing when there are none. Fails when something has to be read and cannot be.
    pub fn folder(
        &self,
        reader: &TreeReader,
        path: &str,
        id: ObjectId,
    ) -> Result<Option<Arc<[Entry]>>, Error> {
        if let Some(known) = self.known().folders.get(&id) {
            return Ok(known.clone());
        }
        let mut kept = Vec::new();
        for entry in reader.entries_of(path, id)? {
            let below = match path {
                "" => entry.name.clone(),
                path => format!("{path}/{}", entry.name),
            };
            let matters = match entry.kind {
                EntryKind::Folder => self.folder(reader, &below, entry.id())?.is_some(),
                EntryKind::Submodule => false,
                _ if !update::is_candidate(&entry.name) => false,
                EntryKind::Link => true,
                EntryKind::File { .. } => self.file(reader, &below, entry.id())?.is_some(),
            };
            if matters {
                kept.push(entry);
            }
        }
        let kept: Option<Arc<[Entry]>> = (!kept.is_empty()).then(|| kept.into());
        if let Some(frame) = record::of_folder(id, kept.as_deref()) {
            self.known_with(&frame).folders.insert(id, kept.clone());
        }
        Ok(kept)
    }

    /// Writes what is new into the file; nothing when nothing is. What cannot be written is told in the
    /// log and read again after the next start, which is all that is lost.
    pub fn keep(&self) {
        let Some(log) = &self.log else {
            return;
        };
        // Taken first, so that frames come into the file in the order in which they were made.
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        let (unkept, has_begun_anew) = {
            let mut known = self.known();
            let unkept = std::mem::take(&mut known.unkept);
            (unkept, std::mem::take(&mut known.has_begun_anew))
        };
        if unkept.is_empty() {
            return;
        }
        let kept = match has_begun_anew {
            true => log.begin_anew().and_then(|()| log.append(&unkept)),
            false => log.append(&unkept),
        };
        if let Err(error) = kept {
            tracing::warn!(file = %log.path().display(), %error, "Cannot keep what is known of markers.");
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is known, with room for one object more, whose frame is to be kept.
    fn known_with(&self, frame: &[u8]) -> MutexGuard<'_, Known> {
        let mut known = self.known();
        known.make_room(frame.len());
        if self.log.is_some() {
            known.unkept.extend_from_slice(frame);
        }
        known
    }
}

impl Known {
    /// Counts one object more, and begins anew when that is too much.
    fn make_room(&mut self, n_bytes: usize) {
        let n_objects = self.files.len() + self.folders.len();
        if n_objects >= OBJECTS_MAX || self.n_bytes + n_bytes > BYTES_MAX {
            *self = Self {
                has_begun_anew: true,
                ..Self::default()
            };
        }
        self.n_bytes += n_bytes;
    }

    fn put(&mut self, record: Record, n_bytes: usize) {
        self.make_room(n_bytes);
        match record {
            Record::File(id, survey) => drop(self.files.insert(id, survey.map(Arc::new))),
            Record::Folder(id, entries) => {
                self.folders.insert(id, entries.map(Into::into));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> ObjectId {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        ObjectId::from_bytes_or_panic(&bytes)
    }

    fn put_file(index: &MarkerIndex, n: usize) {
        let frame = record::of_file(id(n), None).unwrap();
        index.known_with(&frame).files.insert(id(n), None);
    }

    #[test]
    fn a_full_index_begins_anew_and_so_does_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let index = MarkerIndex::open(folder.path()).unwrap();
        put_file(&index, 0);
        index.keep();
        let others = (1..OBJECTS_MAX).map(|n| (id(n), None));
        index.known().files.extend(others);
        put_file(&index, OBJECTS_MAX);
        assert_eq!(index.known().files.len(), 1);
        index.keep();
        let again = MarkerIndex::open(folder.path()).unwrap();
        let ids: Vec<ObjectId> = again.known().files.keys().copied().collect();
        assert_eq!(ids, [id(OBJECTS_MAX)]);
    }

    #[test]
    fn an_index_with_too_many_bytes_begins_anew() {
        let index = MarkerIndex::default();
        put_file(&index, 0);
        index.known().n_bytes = BYTES_MAX;
        put_file(&index, 1);
        assert_eq!(index.known().files.len(), 1);
    }

    #[test]
    fn an_index_without_a_folder_keeps_nothing_for_later() {
        let index = MarkerIndex::default();
        put_file(&index, 1);
        index.keep();
        assert!(index.known().unkept.is_empty());
    }
}
