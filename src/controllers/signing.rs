//! The key that an automation signs its commits with.
//!
//! In: an automation. Out: the key that its Secret holds, or nothing when commits are not signed.
//! Which kind of key it is says the spec alone; the signature is the git room's.

use std::sync::Arc;

use kube::{Client, ResourceExt};

use super::secrets::{self, secret};
use crate::api::{ImageUpdateAutomation, SigningKeyType};
use crate::git::{self, SigningKey};

/// Why there is no key although the spec names one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The Secret could not be read.
    #[error("failed to get signing key: {0}")]
    Read(#[from] secrets::Error),
    /// The Secret's content is no key that signs.
    #[error("failed to get signing key: {0}")]
    Key(#[from] git::Error),
}

/// Returns the signing key of an automation, if its spec names one. Fails when it cannot be used.
pub(super) async fn key(
    client: &Client,
    object: &ImageUpdateAutomation,
) -> Result<Option<Arc<SigningKey>>, Error> {
    let git = object.spec.git.as_ref();
    let Some(named) = git.and_then(|git| git.commit.signing_key.as_ref()) else {
        return Ok(None);
    };
    let namespace = object.namespace().unwrap_or_default();
    let secret = secret(client, &namespace, &named.secret_ref.name).await?;
    let place = format!("{namespace}/{}", named.secret_ref.name);
    let value = |key: &str| secret.data.get(key).map(Vec::as_slice);
    let key = match named.type_ {
        Some(SigningKeyType::Ssh) => SigningKey::ssh(&place, value)?,
        Some(SigningKeyType::Gpg) | None => SigningKey::openpgp(&place, value)?,
    };
    Ok(Some(Arc::new(key)))
}
