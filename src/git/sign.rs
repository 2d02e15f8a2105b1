//! Keys that sign commits, in process.
//!
//! In: the data of a Secret, then the bytes of a commit object. Out: an armored signature for its
//! `gpgsig` header. The two kinds are OpenPGP and ssh; each has its file. It runs no program and never
//! prints what a Secret holds.

mod openpgp;
mod ssh;

use std::fmt;

use super::Error;

/// A key that signs commits.
pub enum SigningKey {
    /// `git.asc` and `passphrase`.
    OpenPgp(Box<openpgp::Key>),
    /// `identity` and `password`.
    Ssh(Box<ssh::Key>),
}

impl SigningKey {
    /// Returns the OpenPGP key that the Secret `secret` (`namespace/name`) holds; `value` returns the
    /// bytes of a key. Fails when it is missing, not exactly one, locked or cannot sign.
    pub fn openpgp<'a>(
        secret: &str,
        value: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, Error> {
        openpgp::Key::from_secret(secret, value).map(|key| Self::OpenPgp(Box::new(key)))
    }

    /// Returns the ssh key that the Secret holds. Fails when it is missing, locked or too weak.
    pub fn ssh<'a>(secret: &str, value: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, Error> {
        ssh::Key::from_secret(secret, value).map(|key| Self::Ssh(Box::new(key)))
    }

    /// Returns the armored signature of a commit's bytes, made at `time_s` since 1970.
    pub(super) fn sign(&self, commit: &[u8], time_s: i64) -> Result<String, Error> {
        match self {
            Self::OpenPgp(key) => key.sign(commit, time_s),
            Self::Ssh(key) => key.sign(commit),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenPgp(_) => "OpenPgp(***)",
            Self::Ssh(_) => "Ssh(***)",
        })
    }
}
