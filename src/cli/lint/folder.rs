//! The files that may carry markers: found as an update finds them, read whole, replaced at once.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// How many files and folders are looked at.
const ENTRIES_MAX: usize = 1_000_000;
/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// Returns the manifests below a path, in the order of their names. Links are not followed, and Git's
/// own folder is no part of a tree. Fails when a folder cannot be read.
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
            } else if kind.is_file() && is_candidate(&name.to_string_lossy()) {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Whether an update looks into a file of that name.
fn is_candidate(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml") || name == "Kustomization"
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

/// Puts new content in place of a file, whole or not at all, with the mode that it has.
pub(super) fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".towpath");
    let temporary = file.with_file_name(name);
    std::fs::write(&temporary, bytes)?;
    std::fs::set_permissions(&temporary, std::fs::metadata(file)?.permissions())?;
    std::fs::rename(&temporary, file)
}
