//! What can go wrong while an artifact is made, kept or served.

/// The room's error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tree could not be read.
    #[error("read {path}: {cause}")]
    Contents {
        /// The path within the tree.
        path: String,
        /// The cause.
        cause: String,
    },
    /// A bound was passed.
    #[error("{what} is larger than the bound of {max}")]
    TooLarge {
        /// What was read.
        what: String,
        /// The bound in bytes or entries.
        max: u64,
    },
    /// A part of an artifact's path is no plain name.
    #[error("{field} {value:?} is no name of a file")]
    Name {
        /// The part.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// The archive of a record became other bytes than the record says.
    #[error("the archive of {path} has the digest {found}, its record says {expected}")]
    Digest {
        /// The artifact's path.
        path: String,
        /// What the record says.
        expected: String,
        /// What came out.
        found: String,
    },
    /// A file of the storage cannot be read or written.
    #[error("{act} {path}: {cause}")]
    Storage {
        /// What was being done.
        act: &'static str,
        /// The file or folder.
        path: String,
        /// The cause.
        cause: std::io::Error,
    },
}
