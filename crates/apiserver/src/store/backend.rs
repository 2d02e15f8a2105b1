//! What keeps the changes: memory alone, or a file.
//!
//! A backend takes batches of changes and gives back, at the start, what it kept. A batch is kept
//! as a whole or not at all.

use std::sync::Arc;

use super::{Entry, Event};

/// What a backend kept from an earlier run.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The last revision given out.
    pub revision: u64,
    /// The newest revision whose change is not in `history`.
    pub floor: u64,
    /// Every object, with its resource.
    pub objects: Vec<(Arc<str>, Arc<Entry>)>,
    /// The past changes, oldest first.
    pub history: Vec<Arc<Event>>,
}

/// Why a backend could not do its part.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Another process has the store.
    #[error("{path} is in use by process {pid}")]
    InUse {
        /// The file or folder.
        path: String,
        /// The process that holds it, or `?`.
        pid: String,
    },
    /// The store was written by a newer program.
    #[error("{path} has format {found}; this program reads up to {known}")]
    Newer {
        /// The file.
        path: String,
        /// Its format.
        found: u64,
        /// The newest format that is known.
        known: u64,
    },
    /// The store holds something that cannot be read.
    #[error("{path}: {what}")]
    Corrupt {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// The system refused.
    #[error("{act} {path}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// The file or folder.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The database refused.
    #[error("{act} {path}: {what}")]
    Database {
        /// What was tried.
        act: &'static str,
        /// The file.
        path: String,
        /// The cause.
        what: String,
    },
}

/// Keeps changes.
pub trait Backend: Send + 'static {
    /// Returns what was kept; called once, first.
    fn load(&mut self) -> Result<Loaded, BackendError>;

    /// Keeps a batch and forgets the changes up to and including `floor`.
    fn append(&mut self, events: &[Arc<Event>], floor: u64) -> Result<(), BackendError>;
}
