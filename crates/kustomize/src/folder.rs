//! A folder on disk as the files of a build: the only part of this crate that touches a disk.
//!
//! In: a folder, held as root. Out: its files. Links are followed only within the root; a path
//! that leads outside is refused before anything is read.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::files::{FILE_BYTES_MAX, FileError, Files, Found, Kind};

/// The number that the system gives a path with too many links (`ELOOP`).
const LOOP: i32 = if cfg!(target_os = "linux") { 40 } else { 62 };

/// A folder on disk, read only.
#[derive(Debug, Clone)]
pub struct FolderFiles {
    root: PathBuf,
}

impl FolderFiles {
    /// Returns the files of a folder.
    ///
    /// Fails when the folder does not exist.
    pub fn new(root: impl AsRef<Path>) -> std::io::Result<Self> {
        Ok(Self {
            root: root.as_ref().canonicalize()?,
        })
    }

    fn real(&self, path: &str) -> Result<PathBuf, FileError> {
        let path = crate::files::join("", path).ok_or(FileError::Outside)?;
        let real = self
            .root
            .join(path)
            .canonicalize()
            .map_err(|error| from_io(&error))?;
        if real.starts_with(&self.root) {
            Ok(real)
        } else {
            Err(FileError::Outside)
        }
    }
}

impl Files for FolderFiles {
    fn find(&self, path: &str) -> Result<Found, FileError> {
        let real = self.real(path)?;
        let kind = if real.is_dir() {
            Kind::Folder
        } else {
            Kind::File
        };
        let relative = real
            .strip_prefix(&self.root)
            .map_err(|_| FileError::Outside)?;
        let parts = relative.components().map(|part| part.as_os_str().to_str());
        let Some(parts) = parts.collect::<Option<Vec<_>>>() else {
            return Err(FileError::Other("the path is not UTF-8".into()));
        };
        Ok(Found {
            path: parts.join("/"),
            kind,
        })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        let real = self.real(path)?;
        if real.is_dir() {
            return Err(FileError::IsFolder);
        }
        let file = std::fs::File::open(real).map_err(|error| from_io(&error))?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| from_io(&error))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(FileError::TooLarge(FILE_BYTES_MAX));
        }
        Ok(bytes)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        let real = self.real(path)?;
        if !real.is_dir() {
            return Err(FileError::IsFile);
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(real).map_err(|error| from_io(&error))? {
            let entry = entry.map_err(|error| from_io(&error))?;
            names.extend(entry.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }
}

fn from_io(error: &std::io::Error) -> FileError {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => FileError::NotFound,
        _ if error.raw_os_error() == Some(LOOP) => FileError::TooManyLinks,
        _ => FileError::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_out_of_the_folder_is_refused() {
        let outer = std::env::temp_dir().join(format!("kustomize-folder-{}", std::process::id()));
        let root = outer.join("root");
        std::fs::create_dir_all(root.join("a")).expect("a temporary folder");
        std::fs::write(outer.join("secret"), "x").expect("a file");
        std::fs::write(root.join("a/file"), "y").expect("a file");
        std::os::unix::fs::symlink("../secret", root.join("link")).expect("a link");
        std::os::unix::fs::symlink("a/file", root.join("inside")).expect("a link");
        let files = FolderFiles::new(&root).expect("a folder");
        assert_eq!(files.read("link"), Err(FileError::Outside));
        assert_eq!(files.read("../secret"), Err(FileError::Outside));
        assert_eq!(files.read("inside"), Ok(b"y".to_vec()));
        assert_eq!(
            files.find("inside").map(|found| found.path),
            Ok("a/file".into())
        );
        assert_eq!(files.read("a"), Err(FileError::IsFolder));
        assert_eq!(files.read("none"), Err(FileError::NotFound));
        std::fs::remove_dir_all(outer).expect("the temporary folder");
    }
}
