//! A commit's tree, as the update engine visits it.
//!
//! In: a tree and the folder to look into. Out: what stands where, and the bytes of files that may
//! hold a marker. Everything below the folder is read in one walk, so that the work grows with the
//! number of files; what a link leads to elsewhere is read when it is asked for.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::git::{EntryKind, Error, Tree, TreeReader};
use crate::safe::SafePath;
use crate::update::{Files, Kind};

/// What every marker begins with; a file without it is kept as an empty one.
const TOKEN: &[u8] = b"$imagepolicy";

/// A commit's tree.
pub(super) struct MarkedFiles {
    reader: TreeReader,
    folders: HashMap<String, Vec<(String, Kind)>>,
    files: HashMap<String, Vec<u8>>,
    links: HashMap<String, String>,
}

impl MarkedFiles {
    /// Reads the files below a folder. Fails when an object cannot be read.
    pub fn read(tree: &Tree, folder: &SafePath) -> Result<Self, Error> {
        let reader = tree.reader();
        let mut all = Self {
            reader: tree.reader(),
            folders: HashMap::new(),
            files: HashMap::new(),
            links: HashMap::new(),
        };
        if reader.kind(folder)? == Some(EntryKind::Folder) {
            all.folders.insert(folder.as_str().to_owned(), Vec::new());
        }
        reader.walk(folder, &mut |visited| {
            let path = visited.path.to_owned();
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let siblings = all.folders.entry(parent.to_owned()).or_default();
            siblings.push((name.to_owned(), kind(visited.kind)));
            match visited.kind {
                EntryKind::Folder => {
                    all.folders.insert(path, Vec::new());
                }
                EntryKind::File { .. } => {
                    let mut bytes = visited.bytes()?;
                    if !may_be_marked(&bytes) {
                        bytes = Vec::new();
                    }
                    all.files.insert(path, bytes);
                }
                EntryKind::Link => {
                    let target = visited.bytes()?;
                    all.links.insert(path, text(&target));
                }
                EntryKind::Submodule => {}
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }
}

impl Files for MarkedFiles {
    type Error = Error;

    fn kind(&self, path: &SafePath) -> Result<Option<Kind>, Error> {
        Ok(self.reader.kind(path)?.map(kind))
    }

    fn entries(&self, folder: &SafePath) -> Result<Vec<(String, Kind)>, Error> {
        if let Some(entries) = self.folders.get(folder.as_str()) {
            return Ok(entries.clone());
        }
        let entries = self.reader.entries(folder)?.unwrap_or_default();
        let entries = entries.into_iter();
        Ok(entries
            .map(|entry| (entry.name, kind(entry.kind)))
            .collect())
    }

    fn read(&self, file: &SafePath) -> Result<Vec<u8>, Error> {
        if let Some(bytes) = self.files.get(file.as_str()) {
            return Ok(bytes.clone());
        }
        Ok(self.reader.read(file)?.unwrap_or_default())
    }

    fn target(&self, link: &SafePath) -> Result<String, Error> {
        if let Some(target) = self.links.get(link.as_str()) {
            return Ok(target.clone());
        }
        let parent = link
            .as_str()
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent);
        let parent = SafePath::parse(parent).map_err(|error| Error::Path {
            path: link.to_string(),
            reason: error.to_string(),
        })?;
        let mut target = String::new();
        self.reader.walk(&parent, &mut |visited| {
            if visited.path != link.as_str() {
                return Ok(ControlFlow::Continue(()));
            }
            target = text(&visited.bytes()?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(target)
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

fn may_be_marked(bytes: &[u8]) -> bool {
    bytes.windows(TOKEN.len()).any(|window| window == TOKEN)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
