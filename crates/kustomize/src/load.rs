//! Files and folders as one kustomization sees them.
//!
//! Paths are relative to the folder of the kustomization. By default a file must be in or below
//! that folder; a folder may be anywhere in the tree, but not one that the build came through.

use std::cell::Cell;
use std::rc::Rc;

use crate::error::Error;
use crate::files::{FileError, Files, Kind, join};
use crate::remote;

/// How many kustomizations may lead to one.
pub(crate) const DEPTH_MAX: usize = 64;
/// How many bytes one build may read, files read again included.
pub(crate) const BYTES_MAX: u64 = 256 << 20;

/// Which files a kustomization may load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadRestrictor {
    /// Those in or below its folder.
    #[default]
    RootOnly,
    /// All in the tree.
    None,
}

/// One kustomization's view of the files.
#[derive(Clone)]
pub(crate) struct Layer<'a> {
    pub files: &'a dyn Files,
    pub restrictions: LoadRestrictor,
    /// Its folder, all links followed.
    pub root: String,
    /// Its folder as the entries that led here name it.
    pub shown: String,
    /// The folders that the build came through, this one last.
    chain: Vec<String>,
    /// The bytes that the whole build has read.
    n_bytes: Rc<Cell<u64>>,
}

/// What an entry of `resources` leads to.
pub(crate) enum Entry<'a> {
    File(String),
    Folder(Layer<'a>),
}

impl<'a> Layer<'a> {
    /// Returns the view of the folder to build.
    ///
    /// Fails when it is not a folder.
    pub(crate) fn top(
        files: &'a dyn Files,
        path: &str,
        restrictions: LoadRestrictor,
    ) -> Result<Self, Error> {
        let read = |source| Error::Read {
            file: path.to_owned(),
            source,
        };
        let joined = join("", path).ok_or_else(|| read(FileError::Outside))?;
        let found = files.find(&joined).map_err(read)?;
        if found.kind == Kind::File {
            return Err(Error::invalid(format!(
                "must build at directory: '{path}' is a file"
            )));
        }
        let chain = vec![found.path.clone()];
        Ok(Self {
            files,
            restrictions,
            root: found.path,
            shown: String::new(),
            chain,
            n_bytes: Rc::default(),
        })
    }

    /// Returns what an entry leads to.
    ///
    /// Fails when nothing is there, it may not be loaded, or the build came through it.
    pub(crate) fn entry(&self, path: &str) -> Result<Entry<'a>, Error> {
        let joined = self.joined(path);
        match joined.map(|joined| self.files.find(&joined)) {
            Ok(Ok(found)) if found.kind == Kind::Folder => self.folder(path).map(Entry::Folder),
            Ok(Ok(_)) => self.text(path).map(Entry::File),
            Ok(Err(_)) | Err(_) if remote::is_remote(path) => Err(refuse_remote(path)),
            Ok(Err(source)) => Err(Error::Read {
                file: path.to_owned(),
                source,
            }),
            Err(error) => Err(error),
        }
    }

    /// Returns the view of a folder.
    ///
    /// Fails when it is not one, or the build came through it.
    pub(crate) fn folder(&self, path: &str) -> Result<Layer<'a>, Error> {
        let found = match self.joined(path) {
            Ok(joined) => self.files.find(&joined),
            Err(error) => {
                return Err(if remote::is_remote(path) {
                    refuse_remote(path)
                } else {
                    error
                });
            }
        };
        let found = match found {
            Err(_) if remote::is_remote(path) => return Err(refuse_remote(path)),
            found => found.map_err(|source| Error::Read {
                file: path.to_owned(),
                source,
            })?,
        };
        if found.kind == Kind::File {
            return Err(Error::invalid(format!(
                "must build at directory: '{path}' is a file"
            )));
        }
        for visited in &self.chain {
            if is_in_or_below(visited, &found.path) {
                return Err(Error::invalid(format!(
                    "cycle detected: candidate root '/{}' contains visited root '/{visited}'",
                    found.path
                )));
            }
        }
        if self.chain.len() >= DEPTH_MAX {
            return Err(Error::invalid("kustomizations are nested too deeply"));
        }
        let mut chain = self.chain.clone();
        chain.push(found.path.clone());
        Ok(Self {
            root: found.path,
            shown: join_shown(&self.shown, path),
            chain,
            ..self.clone()
        })
    }

    /// Returns the bytes of a file.
    ///
    /// Fails when there is none or it may not be loaded.
    pub(crate) fn bytes(&self, path: &str) -> Result<Vec<u8>, Error> {
        if remote::is_url(path) {
            return Err(refuse_remote(path));
        }
        let read = |source| Error::Read {
            file: path.to_owned(),
            source,
        };
        let joined = self.joined(path)?;
        let found = self.files.find(&joined).map_err(read)?;
        if found.kind == Kind::Folder {
            return Err(read(FileError::IsFolder));
        }
        if self.restrictions == LoadRestrictor::RootOnly && !is_in_or_below(&found.path, &self.root)
        {
            return Err(Error::invalid(format!(
                "security; file '/{}' is not in or below '/{}'",
                found.path, self.root
            )));
        }
        let bytes = self.files.read(&found.path).map_err(read)?;
        self.n_bytes.set(self.n_bytes.get() + bytes.len() as u64);
        if self.n_bytes.get() > BYTES_MAX {
            return Err(Error::invalid(format!(
                "the build reads more than {BYTES_MAX} bytes"
            )));
        }
        Ok(bytes)
    }

    /// Returns the text of a file.
    ///
    /// Fails as [`Layer::bytes`] does, and when the file is not UTF-8.
    pub(crate) fn text(&self, path: &str) -> Result<String, Error> {
        let not_text = |_| Error::Read {
            file: path.to_owned(),
            source: FileError::Other("is not UTF-8".into()),
        };
        String::from_utf8(self.bytes(path)?).map_err(not_text)
    }

    fn joined(&self, path: &str) -> Result<String, Error> {
        if path.is_empty() {
            return Err(Error::invalid("the path is empty"));
        }
        if path.starts_with('/') {
            return Err(Error::invalid(format!(
                "the path '{path}' cannot be absolute"
            )));
        }
        join(&self.root, path).ok_or_else(|| Error::Read {
            file: path.to_owned(),
            source: FileError::Outside,
        })
    }

    /// Returns the path of one of its files in the tree, for errors.
    pub(crate) fn tree_path(&self, name: &str) -> String {
        if self.root.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.root)
        }
    }

    /// Returns a path as the entries that led here name it.
    pub(crate) fn shown_path(&self, path: &str) -> String {
        join_shown(&self.shown, path)
    }
}

fn refuse_remote(path: &str) -> Error {
    Error::Unsupported(format!("'{path}' is an address: loading what is elsewhere"))
}

fn is_in_or_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Joins paths for show: `..` at the beginning stay.
fn join_shown(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
