//! What can go wrong with the store, with the file and whose record it is about.

use std::path::PathBuf;
use std::sync::Arc;

use super::Owner;
use super::format::FORMAT;

/// A store that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be made.
    #[error("cannot make folder {}: {source}", folder.display())]
    Folder {
        /// The room's folder.
        folder: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be opened, read or written.
    #[error("{}: {act}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What was tried.
        act: &'static str,
        /// The cause, which all have in common whose writes were one transaction.
        #[source]
        source: Arc<redb::Error>,
    },
    /// The file is from a later version.
    #[error("{} has format {found}, this version reads {FORMAT} and older ones", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u64,
    },
    /// A record that we did not write so.
    #[error("{}: record of {owner} is damaged: {reason}", file.display())]
    Record {
        /// The file.
        file: PathBuf,
        /// Whose record.
        owner: Owner,
        /// What is wrong with it.
        reason: String,
    },
}
