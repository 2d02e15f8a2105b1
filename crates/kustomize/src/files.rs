//! The files that a build reads: a tree that the caller provides.
//!
//! In: paths relative to the root of the tree, parts separated by `/`, no part `.` or `..`; the
//! root itself is the empty path. Out: bytes. An implementation follows links, refuses those that
//! leave the root, and bounds what it reads.

use std::collections::BTreeMap;

/// The largest file that a build reads.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// What a path is once every link in it is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The path without links.
    pub path: String,
    /// What stands there.
    pub kind: Kind,
}

/// Why a path cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Nothing stands at the path.
    #[error("no such file or folder")]
    NotFound,
    /// The path or a link in it leaves the root.
    #[error("the path leaves the root of the files")]
    Outside,
    /// The path is a folder.
    #[error("is a folder, not a file")]
    IsFolder,
    /// The path is a file.
    #[error("is a file, not a folder")]
    IsFile,
    /// The file has more bytes than allowed.
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    /// Links lead to links without end.
    #[error("too many links")]
    TooManyLinks,
    /// Whatever else the storage says.
    #[error("{0}")]
    Other(String),
}

/// A tree of files, read only.
pub trait Files {
    /// Returns what stands at the path, all links followed.
    ///
    /// Fails when nothing does, and when a link leaves the root.
    fn find(&self, path: &str) -> Result<Found, FileError>;

    /// Returns the bytes of the file at the path.
    ///
    /// Fails when there is no file, or it has more than [`FILE_BYTES_MAX`] bytes.
    fn read(&self, path: &str) -> Result<Vec<u8>, FileError>;

    /// Returns the names in the folder at the path, sorted.
    ///
    /// Fails when there is no folder.
    fn list(&self, path: &str) -> Result<Vec<String>, FileError>;
}

/// Files in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
enum Entry {
    File(Vec<u8>),
    Link(String),
}

/// How many links a path may lead through.
pub const LINKS_MAX: usize = 40;

impl MemoryFiles {
    /// Returns a tree without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file at a path, over one that is there.
    pub fn insert(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.entries.insert(path.into(), Entry::File(bytes.into()));
    }

    /// Puts a symbolic link at a path; the target is relative to the folder that holds it.
    pub fn insert_link(&mut self, path: impl Into<String>, target: impl Into<String>) {
        self.entries.insert(path.into(), Entry::Link(target.into()));
    }

    fn is_folder(&self, path: &str) -> bool {
        if path.is_empty() {
            return true;
        }
        let below = format!("{path}/");
        let next = self.entries.range(below.clone()..).next();
        next.is_some_and(|(name, _)| name.starts_with(&below))
    }
}

impl Files for MemoryFiles {
    fn find(&self, path: &str) -> Result<Found, FileError> {
        let mut waiting: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut done = String::new();
        let mut links = 0;
        while let Some(part) = waiting.pop() {
            let next = join(&done, &part).ok_or(FileError::Outside)?;
            if let Some(Entry::Link(target)) = self.entries.get(&next) {
                links += 1;
                if links > LINKS_MAX {
                    return Err(FileError::TooManyLinks);
                }
                if target.starts_with('/') {
                    return Err(FileError::Outside);
                }
                waiting.extend(target.split('/').rev().map(str::to_owned));
            } else {
                done = next;
            }
        }
        match self.entries.get(&done) {
            Some(Entry::File(_)) => Ok(Found {
                path: done,
                kind: Kind::File,
            }),
            _ if self.is_folder(&done) => Ok(Found {
                path: done,
                kind: Kind::Folder,
            }),
            _ => Err(FileError::NotFound),
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        let found = self.find(path)?;
        match self.entries.get(&found.path) {
            Some(Entry::File(bytes)) if bytes.len() as u64 > FILE_BYTES_MAX => {
                Err(FileError::TooLarge(FILE_BYTES_MAX))
            }
            Some(Entry::File(bytes)) => Ok(bytes.clone()),
            _ => Err(FileError::IsFolder),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        let found = self.find(path)?;
        if found.kind == Kind::File {
            return Err(FileError::IsFile);
        }
        let below = if found.path.is_empty() {
            String::new()
        } else {
            found.path + "/"
        };
        let mut names = Vec::new();
        for path in self.entries.range(below.clone()..).map(|(path, _)| path) {
            let Some(rest) = path.strip_prefix(&below) else {
                break;
            };
            let name = rest.split('/').next().unwrap_or(rest);
            if names.last().is_none_or(|last| last != name) {
                names.push(name.to_owned());
            }
        }
        names.dedup();
        Ok(names)
    }
}

/// Returns a path as seen from a folder, `.` and `..` resolved; nothing when it leaves the root.
pub(crate) fn join(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Returns the last part of a path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_and_held_to_the_root() {
        let mut files = MemoryFiles::new();
        files.insert("a/b/file", "x");
        files.insert_link("link", "a/b");
        files.insert_link("a/up", "../a/b/file");
        files.insert_link("out", "../etc");
        files.insert_link("absolute", "/etc");
        files.insert_link("loop", "loop");
        assert_eq!(files.read("link/file"), Ok(b"x".to_vec()));
        assert_eq!(
            files.find("a/up").map(|found| found.path),
            Ok("a/b/file".into())
        );
        assert_eq!(files.find("link").map(|found| found.kind), Ok(Kind::Folder));
        assert_eq!(files.find("out"), Err(FileError::Outside));
        assert_eq!(files.find("absolute"), Err(FileError::Outside));
        assert_eq!(files.find("loop"), Err(FileError::TooManyLinks));
        assert_eq!(files.find("none"), Err(FileError::NotFound));
        assert_eq!(files.list("a"), Ok(vec!["b".into(), "up".into()]));
    }
}
