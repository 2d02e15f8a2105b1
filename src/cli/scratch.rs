//! A folder for what a command needs while it runs.

use std::path::{Path, PathBuf};

/// A folder that is gone at the end.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder of a command. Fails when the folder for temporary files is not writable.
    pub(super) fn new(command: &str) -> std::io::Result<Self> {
        let name = format!("towpath-{command}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// Returns its path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in the folder for temporary files harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
