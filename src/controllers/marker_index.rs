//! What is known of the markers below a tree, by the ids of Git's objects.
//!
//! In: the reader of a commit's tree. Out: for each folder the entries that matter, for each file its
//! survey. An id stands for its content for ever, so a file that was looked through once, in whichever
//! commit or repository, is not read for that again, and of a new commit only what changed is read. Held
//! in memory and bounded: when it is full it begins anew.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::git::{Entry, EntryKind, Error, ObjectId, TreeReader};
use crate::update::{self, Survey};

/// Most objects that something is known of; each takes about fifty bytes and what its markers take.
const OBJECTS_MAX: usize = 500_000;

/// What is known of objects.
#[derive(Default)]
pub struct MarkerIndex {
    known: Mutex<Known>,
    n_read: AtomicU64,
}

#[derive(Default)]
struct Known {
    /// Files; nothing for those without a marker.
    files: HashMap<ObjectId, Option<Arc<Survey>>>,
    /// Folders; nothing for those with no marker below.
    folders: HashMap<ObjectId, Option<Arc<[Entry]>>>,
}

impl MarkerIndex {
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
        if let Some(known) = self.lock().files.get(&id) {
            return Ok(known.clone());
        }
        self.n_read.fetch_add(1, Ordering::Relaxed);
        let survey = update::survey(&reader.bytes(path, id)?).map(Arc::new);
        self.room().files.insert(id, survey.clone());
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
        if let Some(known) = self.lock().folders.get(&id) {
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
        self.room().folders.insert(id, kept.clone());
        Ok(kept)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is known, with room for one object more.
    fn room(&self) -> MutexGuard<'_, Known> {
        let mut known = self.lock();
        if known.files.len() + known.folders.len() >= OBJECTS_MAX {
            *known = Known::default();
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_index_begins_anew() {
        let index = MarkerIndex::default();
        for n in 0..OBJECTS_MAX {
            let mut bytes = [0; 20];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            index
                .room()
                .files
                .insert(ObjectId::from_bytes_or_panic(&bytes), None);
        }
        assert_eq!(index.lock().files.len(), OBJECTS_MAX);
        assert!(index.room().files.is_empty());
    }
}
