//! How a GitRepository's remote is reached, and which of its commits is wanted.
//!
//! In: a GitRepository, a `ref`. Out: a remote with credentials, a head. Used by the source itself and
//! by automations that push to it. Chooses among fields; the protocol is the git room's.

use kube::{Client, ResourceExt};

use super::secrets::{self, secret};
use crate::api::{GitProvider, GitReference, GitRepository, GitRepositorySpec};
use crate::git::{self, Head, Remote, Selector};
use crate::version::{Constraint, newest_first};

/// The branch that is meant where no reference is given; Flux's, not the remote's own choice.
pub(super) const BRANCH_DEFAULT: &str = "master";

/// Why a remote cannot be reached as the spec says.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The Secret could not be read.
    #[error("{0}")]
    Read(#[from] secrets::Error),
    /// The Secret's content or the URL cannot be used.
    #[error("{0}")]
    Remote(#[from] git::Error),
    /// The timeout does not read as a duration.
    #[error("{0}")]
    Timeout(String),
}

/// What a `ref` wants.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wanted {
    /// What one reference or commit is.
    One(Selector),
    /// The newest tag that is a version in a range.
    Newest(Constraint),
}

/// Why a remote does not have what is wanted.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoHead {
    /// No tag is in the range.
    #[error("no match found for semver: {range}")]
    NoMatch { range: String },
    /// The remote says so, or says nothing.
    #[error("{0}")]
    Git(#[from] git::Error),
}

/// Returns the field of a spec that is not supported yet and is needed to reach the remote.
pub(super) fn unsupported(spec: &GitRepositorySpec) -> Option<&'static str> {
    match spec.provider {
        None | Some(GitProvider::Generic) => {}
        Some(GitProvider::Aws) => return Some("spec.provider: aws"),
        Some(GitProvider::Azure) => return Some("spec.provider: azure"),
        Some(GitProvider::Github) => return Some("spec.provider: github"),
    }
    if spec.service_account_name.is_some() {
        return Some("spec.serviceAccountName");
    }
    spec.proxy_secret_ref
        .as_ref()
        .map(|_| "spec.proxySecretRef")
}

/// Returns the remote of an object with its Secret's credentials. Fails when they cannot be used.
pub(super) async fn remote(client: &Client, object: &GitRepository) -> Result<Remote, Error> {
    let spec = &object.spec;
    let mut remote = Remote::anonymous(&spec.url)?;
    let timeout = super::duration("spec.timeout", &spec.timeout);
    remote.timeout = timeout.map_err(Error::Timeout)?;
    let Some(reference) = &spec.secret_ref else {
        return Ok(remote);
    };
    let namespace = object.namespace().unwrap_or_default();
    let secret = secret(client, &namespace, &reference.name).await?;
    let identity = identity(object);
    let value = |key: &str| secret.data.get(key).map(Vec::as_slice);
    Ok(remote.with_secret(&identity, value)?)
}

/// Returns who asks: the name of the Secret, or nothing. Objects of one URL and identity share a mirror.
pub(super) fn identity(object: &GitRepository) -> String {
    let namespace = object.namespace().unwrap_or_default();
    let secret = object.spec.secret_ref.as_ref();
    secret.map_or_else(String::new, |secret| format!("{namespace}/{}", secret.name))
}

/// Returns what a `ref` wants: the first of commit, name, tag, semver and branch that is set, or
/// branch `master`. Fails when the range or a name is none.
pub(super) fn wanted(reference: Option<&GitReference>) -> Result<Wanted, String> {
    let is_set = |field: &Option<String>| field.clone().filter(|value| !value.is_empty());
    let none = GitReference::default();
    let reference = reference.unwrap_or(&none);
    let branch = is_set(&reference.branch);
    let selector = if let Some(commit) = is_set(&reference.commit) {
        Selector::Commit { commit, branch }
    } else if let Some(name) = is_set(&reference.name) {
        Selector::Name(name)
    } else if let Some(tag) = is_set(&reference.tag) {
        Selector::Tag(tag)
    } else if let Some(range) = is_set(&reference.semver) {
        let constraint = Constraint::parse(&range);
        let constraint = constraint.map_err(|error| format!("spec.ref.semver: {error}"))?;
        return Ok(Wanted::Newest(constraint));
    } else {
        Selector::Branch(branch.unwrap_or_else(|| BRANCH_DEFAULT.to_owned()))
    };
    let checked = selector
        .reference()
        .map_err(|error| format!("spec.{error}"));
    checked.map(|_| Wanted::One(selector))
}

/// Returns what the remote has of what is wanted, without fetching it.
pub(super) async fn head(
    repository: &git::Repository,
    wanted: &Wanted,
) -> Result<(Selector, Head), NoHead> {
    let selector = match wanted {
        Wanted::One(selector) => selector.clone(),
        Wanted::Newest(constraint) => {
            let references = repository.references(&["refs/tags/"]).await?;
            let tags = references.tags().map(|(name, _)| name);
            let newest = newest_first(tags, Some(constraint)).into_iter().next();
            let newest = newest.ok_or_else(|| NoHead::NoMatch {
                range: constraint.as_str().to_owned(),
            })?;
            Selector::Tag(newest.as_str().to_owned())
        }
    };
    let head = repository.head(&selector).await?;
    Ok((selector, head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_telling_field_of_a_ref_counts() {
        let all = GitReference {
            branch: Some("main".to_owned()),
            tag: Some("v1".to_owned()),
            semver: Some("^1".to_owned()),
            name: Some("refs/pull/1/head".to_owned()),
            commit: Some("0".repeat(40)),
        };
        let one = |reference: &GitReference| match wanted(Some(reference)) {
            Ok(Wanted::One(selector)) => selector,
            wanted => panic!("{wanted:?}"),
        };
        let mut reference = all.clone();
        let commit = Selector::Commit {
            commit: "0".repeat(40),
            branch: Some("main".to_owned()),
        };
        assert_eq!(one(&reference), commit);
        reference.commit = None;
        assert_eq!(
            one(&reference),
            Selector::Name("refs/pull/1/head".to_owned())
        );
        reference.name = None;
        assert_eq!(one(&reference), Selector::Tag("v1".to_owned()));
        reference.tag = Some(String::new());
        assert!(matches!(wanted(Some(&reference)), Ok(Wanted::Newest(_))));
        reference.semver = None;
        assert_eq!(one(&reference), Selector::Branch("main".to_owned()));
        let master = Wanted::One(Selector::Branch("master".to_owned()));
        assert_eq!(wanted(None), Ok(master));
    }

    #[test]
    fn a_name_that_is_none_is_told_with_its_field() {
        let reference = GitReference {
            branch: Some("a..b".to_owned()),
            ..GitReference::default()
        };
        let error = wanted(Some(&reference)).unwrap_err();
        assert!(error.starts_with("spec.ref.branch"), "{error}");
    }
}
