//! Signatures by ssh keys: the armor of `ssh-keygen -Y sign` in the namespace `git`.
//!
//! In: a Secret with `identity` and `password`. Out: signatures over SHA-512. Pure.

use russh::keys::{HashAlg, PrivateKey, ssh_key::LineEnding};

use super::super::{Error, private_key::private_key};

/// The namespace that Git gives its signatures.
const NAMESPACE: &str = "git";

/// An unlocked ssh key.
pub struct Key {
    secret: String,
    key: PrivateKey,
}

impl Key {
    pub(super) fn from_secret<'a>(
        secret: &str,
        value: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, Error> {
        Ok(Self {
            secret: secret.to_owned(),
            key: private_key(secret, value)?,
        })
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> Result<String, Error> {
        self.key
            .sign(NAMESPACE, HashAlg::Sha512, bytes)
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(|cause| Error::Secret {
                secret: self.secret.clone(),
                reason: format!("the ssh key cannot sign: {cause}"),
            })
    }
}
