//! A file that a command writes: whole or not at all.

use std::path::Path;

/// Puts new content in place of a file, with the mode that it has. Fails when its folder is not
/// writable; the file is as it was then.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".towpath");
    let temporary = file.with_file_name(name);
    std::fs::write(&temporary, bytes)?;
    std::fs::set_permissions(&temporary, std::fs::metadata(file)?.permissions())?;
    std::fs::rename(&temporary, file)
}
