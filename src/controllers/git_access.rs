//! How a GitRepository's remote is reached, and which of its commits is wanted.
//!
//! In: a GitRepository, a `ref`. Out: a remote with credentials, a selector. Used by the source itself and
//! by automations that push to it. Chooses among fields; the protocol is the git room's.

use kube::{Client, ResourceExt};

use super::secrets::{self, secret};
use crate::api::{GitProvider, GitReference, GitRepository, GitRepositorySpec};
use crate::git::{self, Proxy, Remote, Selector};
use crate::version::Constraint;

/// Why a remote cannot be reached as the spec says.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The Secret could not be read.
    #[error("{0}")]
    Read(#[from] secrets::Error),
    /// The Secret's content or the URL cannot be used.
    #[error("{0}")]
    Remote(#[from] git::Error),
    /// The provider lacks its Secret.
    #[error("{0}")]
    Provider(&'static str),
    /// The timeout does not read as a duration.
    #[error("{0}")]
    Timeout(String),
}

/// Returns the field of a spec that is not supported yet and is needed to reach the remote.
pub(super) fn unsupported(spec: &GitRepositorySpec) -> Option<&'static str> {
    match spec.provider {
        None | Some(GitProvider::Generic | GitProvider::Github) => {}
        Some(GitProvider::Aws) => return Some("spec.provider: aws"),
        Some(GitProvider::Azure) => return Some("spec.provider: azure"),
    }
    spec.service_account_name
        .as_ref()
        .map(|_| "spec.serviceAccountName")
}

/// Returns what makes a spec's provider unusable whatever its Secret holds, in Flux's words.
pub(super) fn misconfigured(spec: &GitRepositorySpec) -> Option<&'static str> {
    let needs_secret = spec.provider == Some(GitProvider::Github) && spec.secret_ref.is_none();
    needs_secret.then_some(
        "secretRef with github app data must be specified when provider is set to github: invalid \
         source configuration",
    )
}

/// Returns the remote of an object with its Secret's credentials. Fails when they cannot be used.
pub(super) async fn remote(client: &Client, object: &GitRepository) -> Result<Remote, Error> {
    let spec = &object.spec;
    let mut remote = Remote::anonymous(&spec.url)?;
    let timeout = super::duration("spec.timeout", &spec.timeout);
    remote.timeout = timeout.map_err(Error::Timeout)?;
    let namespace = object.namespace().unwrap_or_default();
    if let Some(reference) = &spec.proxy_secret_ref {
        let secret = secret(client, &namespace, &reference.name).await?;
        let place = format!("{namespace}/{}", reference.name);
        let value = |key: &str| secret.data.get(key).map(Vec::as_slice);
        remote = remote.through(Proxy::from_secret(&place, value)?)?;
    }
    let Some(reference) = &spec.secret_ref else {
        return match misconfigured(spec) {
            Some(reason) => Err(Error::Provider(reason)),
            None => Ok(remote),
        };
    };
    let secret = secret(client, &namespace, &reference.name).await?;
    let identity = identity(object);
    let value = |key: &str| secret.data.get(key).map(Vec::as_slice);
    Ok(match spec.provider {
        Some(GitProvider::Github) => remote.with_github_app(&identity, value)?,
        _ => remote.with_secret(&identity, value)?,
    })
}

/// Returns who asks: the name of the Secret, or nothing. Objects of one URL and identity share a mirror.
pub(super) fn identity(object: &GitRepository) -> String {
    let namespace = object.namespace().unwrap_or_default();
    let secret = object.spec.secret_ref.as_ref();
    secret.map_or_else(String::new, |secret| format!("{namespace}/{}", secret.name))
}

/// Returns what a `ref` selects. Fails when a name or a range in it is none.
pub(super) fn selector(reference: Option<&GitReference>) -> Result<Selector, String> {
    let selector = Selector::from_reference(reference);
    if let Selector::Semver(range) = &selector {
        let range = Constraint::parse(range);
        range.map_err(|error| format!("ref.semver: {error}"))?;
    }
    selector.reference().map_err(|error| error.to_string())?;
    Ok(selector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_that_is_none_is_told_with_its_field() {
        let text = |text: &str| Some(text.to_owned());
        for (reference, want) in [
            (
                GitReference {
                    branch: text("a..b"),
                    ..GitReference::default()
                },
                "ref.branch",
            ),
            (
                GitReference {
                    semver: text("latest"),
                    ..GitReference::default()
                },
                "ref.semver",
            ),
            (
                GitReference {
                    name: text("main"),
                    ..GitReference::default()
                },
                "ref.name",
            ),
        ] {
            let error = selector(Some(&reference)).unwrap_err();
            assert!(error.starts_with(want), "{error}");
        }
        assert_eq!(selector(None), Ok(Selector::Branch("master".to_owned())));
    }
}
