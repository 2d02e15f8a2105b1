//! The archive of a tree: a `tar.gz` that is the same bytes for the same tree and rules.
//!
//! In: a walk over the tree in lexical order and ignore rules. Out: bytes, their digest and size.
//! Times, owners and whatever else differs between machines are zero; links are left out, as Flux
//! leaves them out. Blocking.

use std::{io::Write, sync::Arc};

use sha2::{Digest as _, Sha256};

use super::{Error, IgnoreRules};

/// Most bytes of all files of one artifact, unpacked.
pub const UNPACKED_BYTES_MAX: u64 = 1 << 30;
/// Most files and folders of one tree.
pub const ENTRIES_MAX: usize = 500_000;
/// Changes whenever the same tree would become other bytes, so that old digests are not trusted.
pub(super) const FORMAT: u32 = 1;

/// A file or folder of a tree; whatever else a tree holds is not visited.
pub struct Entry<'a> {
    /// Its path below the root.
    pub path: &'a str,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Whether a file has the executable bit.
    pub executable: bool,
    /// Reads a file's bytes.
    pub read: &'a dyn Fn() -> Result<Vec<u8>, String>,
}

impl Entry<'_> {
    /// Returns a file's bytes.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        (self.read)().map_err(|cause| Error::Contents {
            path: self.path.to_owned(),
            cause,
        })
    }
}

/// What [`Contents`] calls for every file and folder.
pub type Visit<'a> = dyn FnMut(Entry<'_>) -> Result<(), Error> + 'a;

/// Walks a tree in lexical order, a folder before its content. It must be the same tree each time.
pub type Contents = Arc<dyn Fn(&mut Visit<'_>) -> Result<(), Error> + Send + Sync>;

/// The digest and size of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// `sha256:` and hex digits.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// Returns the digest and size that the archive has, without keeping it.
pub fn summarise(contents: &Contents, rules: &IgnoreRules) -> Result<Summary, Error> {
    write(contents, rules, std::io::sink()).map(|(summary, _)| summary)
}

/// Writes the archive.
pub(super) fn write<W: Write>(
    contents: &Contents,
    rules: &IgnoreRules,
    out: W,
) -> Result<(Summary, W), Error> {
    let hashed = Hashed {
        out,
        hasher: Sha256::new(),
        size: 0,
    };
    // Neither time nor name nor system goes into the header.
    let gzip = flate2::GzBuilder::new()
        .operating_system(255)
        .write(hashed, flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    append(&mut tar, ".", Kind::Folder, &[])?;
    let mut n_bytes = 0;
    contents(&mut |entry| {
        if rules.excludes(entry.path, entry.is_folder) {
            return Ok(());
        }
        if entry.is_folder {
            return append(&mut tar, entry.path, Kind::Folder, &[]);
        }
        let bytes = entry.bytes()?;
        n_bytes += bytes.len() as u64;
        if n_bytes > UNPACKED_BYTES_MAX {
            return Err(Error::TooLarge {
                what: "the sum of all files of the artifact".to_owned(),
                max: UNPACKED_BYTES_MAX,
            });
        }
        let kind = match entry.executable {
            true => Kind::Program,
            false => Kind::File,
        };
        append(&mut tar, entry.path, kind, &bytes)
    })?;
    let hashed = tar
        .into_inner()
        .and_then(flate2::write::GzEncoder::finish)
        .map_err(|cause| failed("the archive", cause))?;
    let digest: String = hashed
        .hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let summary = Summary {
        digest: format!("sha256:{digest}"),
        size: hashed.size,
    };
    Ok((summary, hashed.out))
}

#[derive(Clone, Copy)]
enum Kind {
    Folder,
    File,
    Program,
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    path: &str,
    kind: Kind,
    bytes: &[u8],
) -> Result<(), Error> {
    let mut header = tar::Header::new_gnu();
    let (entry_type, mode) = match kind {
        Kind::Folder => (tar::EntryType::Directory, 0o750),
        Kind::File => (tar::EntryType::Regular, 0o600),
        Kind::Program => (tar::EntryType::Regular, 0o700),
    };
    header.set_entry_type(entry_type);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(bytes.len() as u64);
    tar.append_data(&mut header, path, bytes)
        .map_err(|cause| failed(path, cause))
}

fn failed(path: &str, cause: std::io::Error) -> Error {
    Error::Storage {
        act: "archive",
        path: path.to_owned(),
        cause,
    }
}

/// Counts and hashes what passes.
struct Hashed<W> {
    out: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.out.write(bytes)?;
        let (written, _) = bytes.split_at(n);
        self.hasher.update(written);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
