//! What can go wrong between here and a Git server.
//!
//! Every text names the URL (without userinfo), the field or the path. No text holds a credential.

use std::time::Duration;

use crate::safe::AddressError;

/// The room's error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL cannot be used.
    #[error("spec.url {url:?} {reason}")]
    Url {
        /// The URL, redacted.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The Secret cannot be used.
    #[error("secret {secret:?}: {reason}")]
    Secret {
        /// The Secret's name.
        secret: String,
        /// What is wrong with it; keys are named, values are not.
        reason: String,
    },
    /// The Secret is not one of the provider.
    #[error("secretRef '{secret}' {reason}: invalid source configuration")]
    Provider {
        /// The Secret's name.
        secret: String,
        /// What is wrong, in Flux's words.
        reason: &'static str,
    },
    /// A reference name or commit id is malformed.
    #[error("{field} {value:?} {reason}")]
    Reference {
        /// The field that holds it.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A range of versions is malformed, or no tag is in it.
    #[error("{reason}")]
    Range {
        /// The range.
        range: String,
        /// What is wrong.
        reason: String,
    },
    /// The server did not take the credentials.
    #[error("authentication required or refused by {url}: HTTP {status}{text}")]
    Authentication {
        /// The repository.
        url: String,
        /// 401 or 403.
        status: u16,
        /// What the server said, or empty.
        text: String,
    },
    /// The ssh server did not take the key.
    #[error("authentication refused by {url}: {cause}")]
    Login {
        /// The repository.
        url: String,
        /// Which key, and what the server wants.
        cause: String,
    },
    /// The ssh server's own key is not one that it may show.
    #[error("{url}: ssh: handshake failed: {reason}")]
    HostKey {
        /// The repository.
        url: String,
        /// What is wrong with it, in Flux's words.
        reason: String,
    },
    /// The host is at an address that may not be asked.
    #[error("{url}: {cause}")]
    Host {
        /// The repository, the proxy or the API.
        url: String,
        /// The rule.
        #[source]
        cause: AddressError,
    },
    /// There is no repository at the URL.
    #[error("repository not found at {url}: HTTP 404")]
    NotFound {
        /// The repository.
        url: String,
    },
    /// The server answered with another status.
    #[error("{url} answered HTTP {status}{text}")]
    Status {
        /// The repository.
        url: String,
        /// The status.
        status: u16,
        /// What the server said, or empty.
        text: String,
    },
    /// The connection failed or broke.
    #[error("{act} {url}: {cause}")]
    Connection {
        /// What was being done.
        act: &'static str,
        /// The repository.
        url: String,
        /// The chain of causes.
        cause: String,
    },
    /// A push was sent, and neither its answer came nor what the branch is now.
    #[error("the answer to the push was lost, it may have landed: {cause}")]
    AnswerLost {
        /// What went wrong first; it names the repository.
        cause: Box<Error>,
    },
    /// The time ran out.
    #[error("{url} did not answer within {after:?} (spec.timeout)")]
    Timeout {
        /// The repository.
        url: String,
        /// The time given.
        after: Duration,
    },
    /// The server broke the protocol.
    #[error("{url}: {what}")]
    Protocol {
        /// The repository.
        url: String,
        /// The rule that was broken.
        what: String,
    },
    /// The server offers only what is not supported here.
    #[error("{url}: {what} is not supported")]
    Unsupported {
        /// The repository.
        url: String,
        /// What is not supported.
        what: &'static str,
    },
    /// A bound was passed.
    #[error("{what} is larger than the bound of {max}")]
    TooLarge {
        /// What was read.
        what: String,
        /// The bound in bytes or entries.
        max: u64,
    },
    /// The remote has no commit at all.
    #[error("git repository is empty")]
    Empty,
    /// The remote has no such reference.
    #[error("{reference} not found at {url}")]
    ReferenceNotFound {
        /// The repository.
        url: String,
        /// The full name asked for.
        reference: String,
    },
    /// The reference would lose commits.
    #[error("non-fast-forward update: {reference}")]
    NotForward {
        /// Its full name.
        reference: String,
    },
    /// A path cannot be edited or read as asked.
    #[error("{path}: {reason}")]
    Path {
        /// The path below the tree's root.
        path: String,
        /// Why not.
        reason: String,
    },
    /// An object is missing or malformed.
    #[error("object {id}: {cause}")]
    Object {
        /// Its id.
        id: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The mirror on disk cannot be read or written.
    #[error("{act} {path}: {cause}")]
    Mirror {
        /// What was being done.
        act: &'static str,
        /// The file or folder.
        path: String,
        /// The cause.
        cause: String,
    },
    /// The caller's recomputation failed.
    #[error("{0}")]
    Recompute(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Returns whether doing the same again later may succeed without anybody changing the object.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection { .. }
            | Self::Timeout { .. }
            | Self::Protocol { .. }
            | Self::AnswerLost { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }
}

impl Error {
    /// Returns the error of a push that was sent with this one for an answer.
    pub(super) fn of_lost_answer(self) -> Self {
        match self.is_transient() {
            true => Self::AnswerLost {
                cause: Box::new(self),
            },
            false => self,
        }
    }
}

/// Returns an error and its causes as one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
