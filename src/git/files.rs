//! A tree as the files of a build.
//!
//! In: paths below the root. Out: bytes, read from the mirror when asked for. Links are followed within
//! the tree only; submodules are not there. Each folder is read once.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use gix::ObjectId;
use kustomize::{FILE_BYTES_MAX, FileError, Files, Found, Kind, LINKS_MAX};

use super::{
    Error,
    tree::{Entry, EntryKind, Tree, TreeReader},
};

/// Folders remembered; above it they are read anew.
const FOLDERS_MAX: usize = 10_000;
/// Longest target of a link.
const TARGET_BYTES_MAX: usize = 4096;

/// The files of a [`Tree`], for one thread at a time.
pub struct TreeFiles {
    reader: TreeReader,
    folders: RefCell<HashMap<ObjectId, Arc<Vec<Entry>>>>,
}

impl Tree {
    /// Returns the tree as the files of a build.
    pub fn files(&self) -> TreeFiles {
        TreeFiles {
            reader: self.reader(),
            folders: RefCell::default(),
        }
    }
}

/// Where a path leads, all links followed.
struct Place {
    path: Vec<String>,
    kind: EntryKind,
    id: ObjectId,
}

impl TreeFiles {
    fn folder(&self, path: &[String], id: ObjectId) -> Result<Arc<Vec<Entry>>, FileError> {
        if let Some(entries) = self.folders.borrow().get(&id) {
            return Ok(Arc::clone(entries));
        }
        let entries = self.reader.entries_of(&path.join("/"), id).map_err(other)?;
        let entries = Arc::new(entries);
        let mut folders = self.folders.borrow_mut();
        if folders.len() >= FOLDERS_MAX {
            folders.clear();
        }
        folders.insert(id, Arc::clone(&entries));
        Ok(entries)
    }

    fn place(&self, path: &str) -> Result<Place, FileError> {
        let mut waiting: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        // The folders on the way and what stands at the end.
        let mut stack = vec![(String::new(), EntryKind::Folder, self.reader.root())];
        let mut n_links = 0;
        while let Some(part) = waiting.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." if stack.len() > 1 => {
                    stack.pop();
                    continue;
                }
                ".." => return Err(FileError::Outside),
                _ => {}
            }
            let at = stack.last().map(|(_, kind, id)| (*kind, *id));
            let Some((EntryKind::Folder, id)) = at else {
                return Err(FileError::NotFound);
            };
            let walked: Vec<String> = names(&stack);
            let entries = self.folder(&walked, id)?;
            let entry = entries.iter().find(|entry| entry.name == part);
            let entry = entry.ok_or(FileError::NotFound)?;
            match entry.kind {
                EntryKind::Submodule => return Err(FileError::NotFound),
                EntryKind::Link => {
                    n_links += 1;
                    if n_links > LINKS_MAX {
                        return Err(FileError::TooManyLinks);
                    }
                    let target = self.target(&part, entry.id())?;
                    waiting.extend(target.split('/').rev().map(str::to_owned));
                }
                kind => stack.push((part, kind, entry.id())),
            }
        }
        let path = names(&stack);
        let end = stack.pop().ok_or(FileError::NotFound)?;
        Ok(Place {
            path,
            kind: end.1,
            id: end.2,
        })
    }

    fn target(&self, name: &str, id: ObjectId) -> Result<String, FileError> {
        let bytes = self.reader.bytes(name, id).map_err(other)?;
        if bytes.len() > TARGET_BYTES_MAX {
            return Err(FileError::TooLarge(TARGET_BYTES_MAX as u64));
        }
        let target = String::from_utf8(bytes)
            .map_err(|_| FileError::Other("the target of the link is not UTF-8".to_owned()))?;
        match target.starts_with('/') {
            true => Err(FileError::Outside),
            false => Ok(target),
        }
    }
}

fn names(stack: &[(String, EntryKind, ObjectId)]) -> Vec<String> {
    stack
        .iter()
        .skip(1)
        .map(|(name, _, _)| name.clone())
        .collect()
}

fn other(cause: Error) -> FileError {
    FileError::Other(cause.to_string())
}

impl Files for TreeFiles {
    fn find(&self, path: &str) -> Result<Found, FileError> {
        let place = self.place(path)?;
        let kind = match place.kind {
            EntryKind::Folder => Kind::Folder,
            _ => Kind::File,
        };
        Ok(Found {
            path: place.path.join("/"),
            kind,
        })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        let place = self.place(path)?;
        if place.kind == EntryKind::Folder {
            return Err(FileError::IsFolder);
        }
        let bytes = self.reader.bytes(path, place.id).map_err(other)?;
        match bytes.len() as u64 > FILE_BYTES_MAX {
            true => Err(FileError::TooLarge(FILE_BYTES_MAX)),
            false => Ok(bytes),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        let place = self.place(path)?;
        if place.kind != EntryKind::Folder {
            return Err(FileError::IsFile);
        }
        let entries = self.folder(&place.path, place.id)?;
        let mut names: Vec<String> = entries
            .iter()
            .filter(|entry| entry.kind != EntryKind::Submodule)
            .map(|entry| entry.name.clone())
            .collect();
        names.sort();
        Ok(names)
    }
}
