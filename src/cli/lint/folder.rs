//! The files that may carry markers: those that an update looks into, and those that look like them.
//!
//! In: a path. Out: files in the order of their names, and their bytes. Bounded; links are not followed.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// How many files and folders are looked at.
const ENTRIES_MAX: usize = 1_000_000;
/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// Returns the manifests below a path, in the order of their names, and JSON files. Links are not
/// followed, and Git's own folder is no part of a tree. Fails when a folder cannot be read.
pub(super) fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let about = || format!("read {}", path.display());
    if !std::fs::metadata(path).with_context(about)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let (mut files, mut waiting, mut n_entries) = (Vec::new(), vec![path.to_owned()], 0);
    while let Some(folder) = waiting.pop() {
        let about = || format!("read {}", folder.display());
        for entry in std::fs::read_dir(&folder).with_context(about)? {
            let entry = entry.with_context(about)?;
            n_entries += 1;
            anyhow::ensure!(
                n_entries <= ENTRIES_MAX,
                "{}: more than {ENTRIES_MAX} files",
                path.display()
            );
            let (kind, name) = (entry.file_type().with_context(about)?, entry.file_name());
            if kind.is_dir() && name != ".git" {
                waiting.push(entry.path());
            } else if kind.is_file() && is_alike(&name.to_string_lossy()) {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Whether somebody may believe that an update looks into a file of that name.
fn is_alike(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ends = [".yaml", ".yml", ".json", ".json5", ".jsonc"];
    name == "kustomization" || ends.iter().any(|end| name.ends_with(end))
}

/// Whether an update looks into a file.
pub(super) fn is_candidate(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    crate::update::is_candidate(&name.to_string_lossy())
}

/// Returns the bytes of a file. Fails when it is larger than its bound.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let about = || format!("read {}", file.display());
    let size = std::fs::metadata(file).with_context(about)?.len();
    anyhow::ensure!(
        size <= FILE_BYTES_MAX,
        "{}: larger than 32 MiB",
        file.display()
    );
    std::fs::read(file).with_context(about)
}
