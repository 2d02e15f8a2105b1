//! What can go wrong around a pass: the API server, and the driver's own tasks.
//!
//! What goes wrong in a pass is an outcome, not an error.

/// What can go wrong around a pass.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused or did not answer.
    #[error("{act}: {source}")]
    Kube {
        /// What was tried.
        act: &'static str,
        /// What came back.
        #[source]
        source: Box<kube::Error>,
    },
    /// Other writers were always faster.
    #[error("write the object: it kept changing")]
    Conflict,
    /// An object that is being deleted could not be cleaned up after.
    #[error("clean up before deletion: {message}")]
    Finalize {
        /// Why not.
        message: String,
    },
    /// A watch came to an end, which watches do not.
    #[error("a watch ended")]
    WatchEnded,
    /// A task of the driver panicked.
    #[error("a task of the driver ended: {0}")]
    Task(#[source] tokio::task::JoinError),
}

impl Error {
    pub(super) fn kube(act: &'static str) -> impl Fn(kube::Error) -> Self {
        move |source| Self::Kube {
            act,
            source: Box::new(source),
        }
    }
}
