//! The files of an artifact, as who unpacks its archive would find them.
//!
//! In: the files of a tree and its ignore rules. Out: the same files without those left out. Links are
//! not there, since archives hold none.

use std::sync::Arc;

use kustomize::{FileError, Files, Found, Kind};

use super::IgnoreRules;

/// Deepest folder looked into for a file that makes an excluded folder appear.
pub const DEPTH_MAX: usize = 256;

/// Files less what an artifact leaves out.
pub struct ArtifactFiles<F> {
    files: F,
    rules: Arc<IgnoreRules>,
}

impl<F: Files> ArtifactFiles<F> {
    /// Returns the files that the rules leave.
    pub fn new(files: F, rules: Arc<IgnoreRules>) -> Self {
        Self { files, rules }
    }

    /// Returns whether what stands at the plain path is in the archive, itself or by something below.
    fn holds(&self, path: &str, kind: Kind, depth: usize) -> Result<bool, FileError> {
        let is_folder = kind == Kind::Folder;
        if path.is_empty() || !self.rules.excludes(path, is_folder) {
            return Ok(true);
        }
        if !is_folder {
            return Ok(false);
        }
        if depth > DEPTH_MAX {
            return Err(FileError::Other(format!(
                "{path} is more than {DEPTH_MAX} folders deep"
            )));
        }
        for name in self.files.list(path)? {
            let below = format!("{path}/{name}");
            if let Some(kind) = self.plain(&below)?
                && self.holds(&below, kind, depth + 1)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns what stands at a plain path, and nothing when a link leads there or nowhere.
    fn plain(&self, path: &str) -> Result<Option<Kind>, FileError> {
        match self.files.find(path) {
            Ok(found) if found.path == path => Ok(Some(found.kind)),
            Ok(_) | Err(FileError::NotFound | FileError::Outside | FileError::TooManyLinks) => {
                Ok(None)
            }
            Err(cause) => Err(cause),
        }
    }
}

impl<F: Files> Files for ArtifactFiles<F> {
    fn find(&self, path: &str) -> Result<Found, FileError> {
        let path = plain_path(path)?;
        let kind = self.plain(&path)?.ok_or(FileError::NotFound)?;
        match self.holds(&path, kind, 0)? {
            true => Ok(Found { path, kind }),
            false => Err(FileError::NotFound),
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        let found = self.find(path)?;
        match found.kind {
            Kind::Folder => Err(FileError::IsFolder),
            Kind::File => self.files.read(&found.path),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        let found = self.find(path)?;
        if found.kind == Kind::File {
            return Err(FileError::IsFile);
        }
        let mut names = self.files.list(&found.path)?;
        let mut kept = Vec::with_capacity(names.len());
        for name in names.drain(..) {
            let below = match found.path.as_str() {
                "" => name.clone(),
                path => format!("{path}/{name}"),
            };
            if let Some(kind) = self.plain(&below)?
                && self.holds(&below, kind, 0)?
            {
                kept.push(name);
            }
        }
        Ok(kept)
    }
}

/// Returns a path without `.`, `..` and empty parts.
fn plain_path(path: &str) -> Result<String, FileError> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or(FileError::Outside)?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(ignore: &str) -> ArtifactFiles<kustomize::MemoryFiles> {
        let mut files = kustomize::MemoryFiles::new();
        for path in [
            "README.md",
            "apps/web/a.yaml",
            "apps/db/b.yaml",
            "docs/c.md",
            "x/y.png",
        ] {
            files.insert(path, path);
        }
        files.insert_link("link", "apps/web");
        files.insert_link("apps/web/up", "../../README.md");
        let rules = IgnoreRules::new(&[], Some(ignore)).unwrap();
        ArtifactFiles::new(files, Arc::new(rules))
    }

    #[test]
    fn what_is_left_out_is_not_there() {
        let files = files("/*\n!/apps/web\n");
        assert_eq!(files.list("").unwrap(), ["apps"]);
        assert_eq!(files.list("apps").unwrap(), ["web"]);
        assert_eq!(files.read("apps/./web/a.yaml").unwrap(), b"apps/web/a.yaml");
        for path in ["README.md", "apps/db", "apps/db/b.yaml", "docs"] {
            assert_eq!(files.find(path), Err(FileError::NotFound), "{path}");
        }
        assert_eq!(files.find("../x"), Err(FileError::Outside));
    }

    #[test]
    fn links_are_not_there_since_archives_hold_none() {
        let files = files("# nothing\n*.none\n");
        assert_eq!(files.list("").unwrap(), ["README.md", "apps", "docs", "x"]);
        assert_eq!(files.list("apps/web").unwrap(), ["a.yaml"]);
        assert_eq!(files.read("link/a.yaml"), Err(FileError::NotFound));
        assert_eq!(files.read("apps/web/up"), Err(FileError::NotFound));
        assert_eq!(files.read("apps"), Err(FileError::IsFolder));
        assert_eq!(files.list("README.md"), Err(FileError::IsFile));
    }
}
