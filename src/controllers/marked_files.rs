//! A commit's tree, as the update engine visits it.
//!
//! In: a tree and what is known of its markers. Out: the entries that matter, and the bytes of files
//! that are to change. What is not known yet is read once; what a link leads to is read when it is asked
//! for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::marker_index::MarkerIndex;
use crate::git::{EntryKind, Error, ObjectId, Tree, TreeReader};
use crate::safe::SafePath;
use crate::update::{self, Files, Kind, Report, Setters, Survey};

/// Rewrites the marked files below a folder of a commit's tree. Reads only what the index does not know,
/// and the files that change; the index keeps what it has learned. Fails when the folder is not there or an object cannot be read.
pub fn update_tree(
    tree: &Tree,
    index: &MarkerIndex,
    path: &str,
    setters: &Setters,
) -> Result<Report, update::Error> {
    let report = update::run(&MarkedFiles::new(tree, index), path, setters);
    index.keep();
    report
}

/// A commit's tree.
struct MarkedFiles<'i> {
    reader: TreeReader,
    index: &'i MarkerIndex,
    /// The ids of what the entries of visited folders are, by path.
    ids: RefCell<HashMap<String, ObjectId>>,
}

impl<'i> MarkedFiles<'i> {
    /// Returns the files of a tree. Nothing is read yet.
    fn new(tree: &Tree, index: &'i MarkerIndex) -> Self {
        Self {
            reader: tree.reader(),
            index,
            ids: RefCell::default(),
        }
    }

    fn id(&self, path: &SafePath) -> Result<Option<ObjectId>, Error> {
        if let Some(id) = self.ids.borrow().get(path.as_str()) {
            return Ok(Some(*id));
        }
        self.reader.id(path)
    }
}

impl Files for MarkedFiles<'_> {
    type Error = Error;

    fn kind(&self, path: &SafePath) -> Result<Option<Kind>, Error> {
        Ok(self.reader.kind(path)?.map(kind))
    }

    fn entries(&self, folder: &SafePath) -> Result<Vec<(String, Kind)>, Error> {
        let Some(id) = self.id(folder)? else {
            return Ok(Vec::new());
        };
        let entries = self.index.folder(&self.reader, folder.as_str(), id)?;
        let mut ids = self.ids.borrow_mut();
        let mut named = Vec::new();
        for entry in entries.iter().flat_map(|entries| entries.iter()) {
            ids.insert(below(folder, &entry.name), entry.id());
            named.push((entry.name.clone(), kind(entry.kind)));
        }
        Ok(named)
    }

    fn read(&self, file: &SafePath) -> Result<Vec<u8>, Error> {
        match self.id(file)? {
            Some(id) => self.reader.bytes(file.as_str(), id),
            None => Ok(Vec::new()),
        }
    }

    fn known(&self, file: &SafePath) -> Result<Option<Arc<Survey>>, Error> {
        let Some(id) = self.id(file)? else {
            return Ok(None);
        };
        // A file without a marker has nothing to tell.
        let known = self.index.file(&self.reader, file.as_str(), id)?;
        Ok(Some(known.unwrap_or_default()))
    }

    fn target(&self, link: &SafePath) -> Result<String, Error> {
        let target = match self.id(link)? {
            Some(id) => self.reader.bytes(link.as_str(), id)?,
            None => Vec::new(),
        };
        Ok(String::from_utf8_lossy(&target).into_owned())
    }
}

fn below(folder: &SafePath, name: &str) -> String {
    match folder.as_str() {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

fn kind(kind: EntryKind) -> Kind {
    match kind {
        EntryKind::File { .. } => Kind::File,
        EntryKind::Folder => Kind::Folder,
        EntryKind::Link => Kind::Link,
        EntryKind::Submodule => Kind::Other,
    }
}
