//! Trees of commits, read lazily.
//!
//! In: a tree's id in a mirror. Out: entries and bytes, by path. Blocking: callers in async code use
//! `spawn_blocking`. It follows neither links nor submodules, and refuses names that would leave a
//! folder once written to disk.

use std::{fmt, ops::ControlFlow, sync::Arc};

use gix::{
    ObjectId,
    objs::{
        Find, Kind, TreeRefIter,
        tree::{EntryMode, EntryRef},
    },
};
use serde::{Deserialize, Serialize};

use super::{
    Error,
    error::chain,
    mirror::Lease,
    objects::{HASH, OBJECT_BYTES_MAX, read},
};
use crate::safe::SafePath;

/// Deepest folder read.
pub const DEPTH_MAX: usize = 256;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A file, executable or not.
    File {
        /// Whether it has the executable bit.
        executable: bool,
    },
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A submodule.
    Submodule,
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name within the folder.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    id: ObjectId,
}

/// A commit's tree. Its objects stay on disk while it or a clone of it lives.
#[derive(Clone)]
pub struct Tree {
    repository: gix::ThreadSafeRepository,
    id: ObjectId,
    _lease: Option<Arc<Lease>>,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree({})", self.id)
    }
}

impl Tree {
    pub(super) fn new(
        repository: gix::ThreadSafeRepository,
        id: ObjectId,
        lease: Option<Arc<Lease>>,
    ) -> Self {
        Self {
            repository,
            id,
            _lease: lease,
        }
    }

    /// Returns the tree's id: equal ids mean equal content.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Returns a reader that keeps its caches between calls; for one thread.
    pub fn reader(&self) -> TreeReader {
        TreeReader {
            db: self.repository.to_thread_local(),
            root: self.id,
        }
    }
}

impl Entry {
    /// Returns an entry that was read before.
    pub fn new(name: String, kind: EntryKind, id: ObjectId) -> Self {
        Self { name, kind, id }
    }

    /// Returns the id of its object: equal ids mean equal content.
    pub fn id(&self) -> ObjectId {
        self.id
    }
}

/// One entry met on a walk.
pub struct Visited<'a> {
    /// Its path below the tree's root.
    pub path: &'a str,
    /// What it is.
    pub kind: EntryKind,
    id: ObjectId,
    reader: &'a TreeReader,
}

impl Visited<'_> {
    /// Returns a file's bytes, or the target of a link. Fails for folders and submodules.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        self.reader.bytes(self.path, self.id)
    }
}

/// Reads a [`Tree`] on one thread.
pub struct TreeReader {
    db: gix::Repository,
    root: ObjectId,
}

impl TreeReader {
    /// Returns the entries of the folder at `path` in Git's order, or nothing when there is no folder.
    pub fn entries(&self, path: &SafePath) -> Result<Option<Vec<Entry>>, Error> {
        match self.find(path)? {
            Some((EntryKind::Folder, id)) => entries(&self.db.objects, path.as_str(), id).map(Some),
            _ => Ok(None),
        }
    }

    /// Returns the bytes of the file at `path`, or nothing when there is no file.
    pub fn read(&self, path: &SafePath) -> Result<Option<Vec<u8>>, Error> {
        match self.find(path)? {
            Some((EntryKind::File { .. }, id)) => self.bytes(path.as_str(), id).map(Some),
            _ => Ok(None),
        }
    }

    /// Returns what is at `path`, or nothing.
    pub fn kind(&self, path: &SafePath) -> Result<Option<EntryKind>, Error> {
        Ok(self.find(path)?.map(|(kind, _)| kind))
    }

    /// Visits everything below the folder at `path` in lexical order of whole paths, a folder before
    /// its content. `visit` stops the walk by `Break`. Nothing is visited when there is no folder.
    pub fn walk(
        &self,
        path: &SafePath,
        visit: &mut dyn FnMut(Visited<'_>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let Some((EntryKind::Folder, id)) = self.find(path)? else {
            return Ok(());
        };
        self.walk_folder(path.as_str(), id, 0, visit).map(|_| ())
    }

    fn walk_folder(
        &self,
        path: &str,
        id: ObjectId,
        depth: usize,
        visit: &mut dyn FnMut(Visited<'_>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<ControlFlow<()>, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::TooLarge {
                what: format!("the depth of {path}"),
                max: DEPTH_MAX as u64,
            });
        }
        let mut entries = entries(&self.db.objects, path, id)?;
        // Git sorts a folder as if its name ended in `/`; walks of file systems do not.
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        for entry in entries {
            let below = join(path, &entry.name);
            let visited = Visited {
                path: &below,
                kind: entry.kind,
                id: entry.id,
                reader: self,
            };
            if visit(visited)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if entry.kind == EntryKind::Folder
                && self
                    .walk_folder(&below, entry.id, depth + 1, visit)?
                    .is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn find(&self, path: &SafePath) -> Result<Option<(EntryKind, ObjectId)>, Error> {
        let mut at = (EntryKind::Folder, self.root);
        let mut walked = String::new();
        for part in path.as_str().split('/').filter(|part| !part.is_empty()) {
            if at.0 != EntryKind::Folder {
                return Ok(None);
            }
            let found = entries(&self.db.objects, &walked, at.1)?
                .into_iter()
                .find(|entry| entry.name == part);
            let Some(entry) = found else {
                return Ok(None);
            };
            walked = join(&walked, part);
            at = (entry.kind, entry.id);
        }
        Ok(Some(at))
    }

    /// Returns the id of what is at `path`, or nothing.
    pub fn id(&self, path: &SafePath) -> Result<Option<ObjectId>, Error> {
        Ok(self.find(path)?.map(|(_, id)| id))
    }

    pub(super) fn root(&self) -> ObjectId {
        self.root
    }

    /// Returns the entries of the folder object `id`; `path` is for errors only.
    pub fn entries_of(&self, path: &str, id: ObjectId) -> Result<Vec<Entry>, Error> {
        entries(&self.db.objects, path, id)
    }

    /// Returns the bytes of the file object `id`; `path` is for errors only.
    pub fn bytes(&self, path: &str, id: ObjectId) -> Result<Vec<u8>, Error> {
        let (kind, bytes) = read(&self.db.objects, id)?;
        if kind != Kind::Blob {
            return Err(Error::Path {
                path: path.to_owned(),
                reason: format!("its object is a {kind}"),
            });
        }
        if bytes.len() > OBJECT_BYTES_MAX {
            return Err(Error::TooLarge {
                what: path.to_owned(),
                max: OBJECT_BYTES_MAX as u64,
            });
        }
        Ok(bytes)
    }
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}/{name}"),
    }
}

fn entries(db: &impl Find, path: &str, id: ObjectId) -> Result<Vec<Entry>, Error> {
    if id.is_empty_tree() {
        return Ok(Vec::new());
    }
    let (_, data) = read(db, id)?;
    let malformed = |cause: String| Error::Object {
        id: id.to_string(),
        cause,
    };
    let mut last: Option<EntryRef<'_>> = None;
    let mut entries = Vec::new();
    for entry in TreeRefIter::from_bytes(&data, HASH) {
        let entry = entry.map_err(|cause| malformed(chain(&cause)))?;
        if last.is_some_and(|last| last >= entry) {
            let name = join(path, &String::from_utf8_lossy(entry.filename));
            return Err(malformed(format!("{name} is there twice or out of order")));
        }
        last = Some(entry);
        let name = String::from_utf8(entry.filename.to_vec()).map_err(|_| Error::Path {
            path: join(path, &String::from_utf8_lossy(entry.filename)),
            reason: "the name is not UTF-8".to_owned(),
        })?;
        let below = join(path, &name);
        check_name(&below, &name)?;
        let kind = kind(entry.mode).ok_or_else(|| Error::Path {
            path: below,
            reason: format!(
                "has the mode {:o}, which is none of Git's",
                entry.mode.value()
            ),
        })?;
        let id = entry.oid.to_owned();
        entries.push(Entry { name, kind, id });
    }
    Ok(entries)
}

/// Returns what a mode makes of an entry, or nothing when it is none of Git's.
fn kind(mode: EntryMode) -> Option<EntryKind> {
    match mode.value() & 0o170_000 {
        0o040_000 => Some(EntryKind::Folder),
        0o120_000 => Some(EntryKind::Link),
        0o160_000 => Some(EntryKind::Submodule),
        0o100_000 => Some(EntryKind::File {
            executable: mode.is_executable(),
        }),
        _ => None,
    }
}

/// Fails when `name` would not stay an entry of its folder, or is Git's own.
pub(crate) fn check_name(path: &str, name: &str) -> Result<(), Error> {
    let reason = match name {
        "" | "." | ".." => "is no name of a file",
        name if name.contains(['/', '\\', '\0']) => "has a separator in a name",
        name if is_git_folder(name) => "is Git's own folder",
        _ => return Ok(()),
    };
    Err(Error::Path {
        path: path.to_owned(),
        reason: reason.to_owned(),
    })
}

/// Returns whether some file system takes a name for Git's own folder: without regard to case, what
/// HFS+ overlooks, what NTFS drops from the end, its streams and its short names.
fn is_git_folder(name: &str) -> bool {
    let seen = |c: &char| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let plain: String = name.chars().filter(seen).collect();
    let stem = plain.split(':').next().unwrap_or_default();
    let stem = stem.trim_end_matches(['.', ' ']);
    stem.eq_ignore_ascii_case(".git") || stem.eq_ignore_ascii_case("git~1")
}
