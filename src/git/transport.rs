//! How a remote is spoken to: the one protocol of packet lines over http or ssh.
//!
//! In: a service, then bodies of requests. Out: packet lines. What they mean is said elsewhere.

use super::{
    Error,
    http::Http,
    lines::Lines,
    remote::{Remote, redact_values},
    ssh::Ssh,
};

/// The two services of a Git server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Fetching.
    UploadPack,
    /// Pushing.
    ReceivePack,
}

impl Service {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

/// One remote and the way to it.
#[derive(Debug, Clone)]
pub(super) enum Transport {
    /// Smart HTTP.
    Http(Http),
    /// Git's programs over ssh.
    Ssh(Ssh),
}

impl Transport {
    /// Returns the remote.
    pub(super) fn remote(&self) -> &Remote {
        match self {
            Self::Http(http) => &http.remote,
            Self::Ssh(ssh) => &ssh.remote,
        }
    }

    /// Returns the error of a server that said why it does not go on, without secrets.
    pub(super) fn says(&self, lines: &Lines, text: &str) -> Error {
        let text = redact_values(text, &self.remote().secrets());
        lines.broken(format!("the server says: {text}"))
    }

    /// Returns the lines of what a service offers, at most `max` bytes, and where requests go.
    pub(super) async fn advertisement(
        &self,
        service: Service,
        max: u64,
    ) -> Result<(String, Lines), Error> {
        match self {
            Self::Http(http) => http.advertisement(service, max).await,
            Self::Ssh(ssh) => Ok((String::new(), ssh.advertisement(service, max).await?)),
        }
    }

    /// Sends `body` to a service and returns the lines of its answer, at most `max` bytes.
    pub(super) async fn post(
        &self,
        base: &str,
        service: Service,
        body: Vec<u8>,
        bound: (&'static str, u64),
    ) -> Result<Lines, Error> {
        match self {
            Self::Http(http) => http.post(base, service, body, bound).await,
            Self::Ssh(ssh) => ssh.post(service, body, bound).await,
        }
    }

    /// Makes sure that the next answer tells what the server has now.
    pub(super) fn renew(&self) {
        match self {
            // Each request is answered anew.
            Self::Http(_) => {}
            Self::Ssh(ssh) => ssh.renew(),
        }
    }

    /// Takes an answer that was read up to its last line: what carried it may carry the next one.
    pub(super) fn keep(&self, service: Service, lines: Lines) {
        match self {
            // The client keeps connections by itself.
            Self::Http(_) => drop(lines),
            Self::Ssh(ssh) => ssh.keep(service, lines),
        }
    }
}
