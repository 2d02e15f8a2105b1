//! Which commit is wanted, which one the remote has, and which one is here.
//!
//! In: the `ref` of an object. Out: full reference names and Flux's revision strings. Pure.

use gix::ObjectId;

use super::{Error, References, Tree};
use crate::{
    api::GitReference,
    version::{Constraint, newest_first},
};

/// The branch of an object without `ref`, whatever the remote's own default is: Flux's rule.
pub const DEFAULT_BRANCH: &str = "master";

/// What an object's `ref` selects. Choosing between its fields is the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// `branch`: the head of `refs/heads/<branch>`.
    Branch(String),
    /// `tag`: the commit of `refs/tags/<tag>`.
    Tag(String),
    /// `semver`: the commit of the greatest tag in a range; among equal ones, of the last by name.
    Semver(String),
    /// `name`: the commit of a full reference name.
    Name(String),
    /// `commit`, with the branch that its revision names, if any.
    Commit {
        /// Forty hex digits.
        commit: String,
        /// Shown in the revision only; a commit id is not looked for on it.
        branch: Option<String>,
    },
}

impl Selector {
    /// Returns what an object's `ref` selects: its commit, else name, tag, range, branch, in this
    /// order; branch `master` when there is none of them.
    pub fn from_reference(reference: Option<&GitReference>) -> Self {
        let given = |field: fn(&GitReference) -> &Option<String>| {
            let value = reference.and_then(|reference| field(reference).clone());
            value.filter(|value| !value.is_empty())
        };
        let branch = given(|reference| &reference.branch);
        if let Some(commit) = given(|reference| &reference.commit) {
            return Self::Commit { commit, branch };
        }
        given(|reference| &reference.name)
            .map(Self::Name)
            .or_else(|| given(|reference| &reference.tag).map(Self::Tag))
            .or_else(|| given(|reference| &reference.semver).map(Self::Semver))
            .unwrap_or_else(|| Self::Branch(branch.unwrap_or_else(|| DEFAULT_BRANCH.to_owned())))
    }

    /// Returns the tag that a range selects among the remote's. Fails when the range is malformed or
    /// no tag is in it.
    pub(super) fn choose(range: &str, references: &References) -> Result<Self, Error> {
        let error = |reason: String| Error::Range {
            range: range.to_owned(),
            reason,
        };
        let constraint =
            Constraint::parse(range).map_err(|cause| error(format!("semver: {cause}")))?;
        let mut tags: Vec<&str> = references.tags().map(|(name, _)| name).collect();
        tags.reverse();
        let newest = newest_first(tags, Some(&constraint)).into_iter().next();
        newest
            .map(|version| Self::Tag(version.as_str().to_owned()))
            .ok_or_else(|| error(format!("no match found for semver: {range}")))
    }

    /// Returns the full name of the reference, or nothing for a commit and a range. Fails when a name
    /// could not be one of Git's.
    pub fn reference(&self) -> Result<Option<String>, Error> {
        let (field, value, full) = match self {
            Self::Branch(branch) => ("ref.branch", branch, format!("refs/heads/{branch}")),
            Self::Tag(tag) => ("ref.tag", tag, format!("refs/tags/{tag}")),
            Self::Name(name) => {
                let plain = name.strip_suffix("^{}").unwrap_or(name);
                ("ref.name", name, plain.to_owned())
            }
            Self::Commit { .. } | Self::Semver(_) => return Ok(None),
        };
        let valid = full.starts_with("refs/")
            && full.len() <= REFERENCE_BYTES_MAX
            && gix::validate::reference::name(full.as_str().into()).is_ok();
        if !valid {
            return Err(Error::Reference {
                field,
                value: value.clone(),
                reason: "is no reference name",
            });
        }
        Ok(Some(full))
    }

    /// Returns the commit id of a commit selector. Fails when it has not forty hex digits.
    pub(super) fn commit(&self) -> Result<Option<ObjectId>, Error> {
        let Self::Commit { commit, .. } = self else {
            return Ok(None);
        };
        let id = ObjectId::from_hex(commit.as_bytes());
        id.map(Some).map_err(|_| Error::Reference {
            field: "ref.commit",
            value: commit.clone(),
            reason: "is no SHA-1 commit id of 40 hex digits",
        })
    }

    /// Returns Flux's revision of `commit` under this selector; a range is resolved to its tag first.
    pub fn revision(&self, commit: ObjectId) -> String {
        match self {
            Self::Branch(name)
            | Self::Tag(name)
            | Self::Semver(name)
            | Self::Commit {
                branch: Some(name), ..
            } => format!("{name}@sha1:{commit}"),
            Self::Name(name) => {
                let plain = name.strip_suffix("^{}").unwrap_or(name);
                format!("{plain}@sha1:{commit}")
            }
            Self::Commit { branch: None, .. } => format!("sha1:{commit}"),
        }
    }

    /// Returns what `references` has for this selector.
    pub(super) fn find(&self, references: &References, url: &str) -> Result<Head, Error> {
        if let Some(commit) = self.commit()? {
            return Ok(Head {
                revision: self.revision(commit),
                commit,
                want: commit,
                selector: self.clone(),
            });
        }
        let name = self.reference()?.unwrap_or_default();
        let reference = references.find(&name).ok_or(Error::ReferenceNotFound {
            url: url.to_owned(),
            reference: name,
        })?;
        Ok(Head {
            revision: self.revision(reference.commit()),
            commit: reference.commit(),
            want: reference.id,
            selector: self.clone(),
        })
    }
}

/// Longest reference name taken.
pub const REFERENCE_BYTES_MAX: usize = 1024;

/// What a remote has for a selector; nothing of it need be here yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Flux's revision, such as `main@sha1:…`.
    pub revision: String,
    /// The commit.
    pub commit: ObjectId,
    /// What is asked of the server: the commit, or the tag object that names it.
    pub(super) want: ObjectId,
    /// What it was found by; a range is its tag here.
    pub(super) selector: Selector,
}

/// A commit that is here, with its tree. Its objects stay while it or a clone of its tree lives.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// Flux's revision.
    pub revision: String,
    /// The commit.
    pub commit: ObjectId,
    /// Its message.
    pub message: String,
    /// Its tree.
    pub tree: Tree,
}

impl Checkout {
    /// Returns the first line of the message, at most 50 characters, as events show it.
    pub fn subject(&self) -> String {
        let line = self.message.lines().next().unwrap_or_default();
        line.chars().take(50).collect()
    }

    /// Returns the message without its last line, if that is a trailer of this key.
    pub fn message_without(&self, key: &str) -> &str {
        super::commit::without_trailer(&self.message, key)
    }

    /// Returns whether the message has the line `key: value`.
    pub fn has_trailer(&self, key: &str, value: &str) -> bool {
        super::commit::has_trailer(&self.message, key, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_spelled_as_flux_spells_them() {
        let id = ObjectId::from_hex(b"b59a33ac2ab4d6a0c6b8c0c2e1f7b9c0d5e4f3a2").unwrap();
        for (selector, want) in [
            (Selector::Branch("main".into()), "main@sha1:"),
            (Selector::Tag("app/v1".into()), "app/v1@sha1:"),
            (
                Selector::Name("refs/pull/420/head".into()),
                "refs/pull/420/head@sha1:",
            ),
            (
                Selector::Name("refs/tags/v1^{}".into()),
                "refs/tags/v1@sha1:",
            ),
            (
                Selector::Commit {
                    commit: id.to_string(),
                    branch: None,
                },
                "sha1:",
            ),
            (
                Selector::Commit {
                    commit: id.to_string(),
                    branch: Some("main".into()),
                },
                "main@sha1:",
            ),
        ] {
            assert_eq!(selector.revision(id), format!("{want}{id}"));
        }
    }

    #[test]
    fn names_that_git_refuses_are_refused_with_their_field() {
        for (selector, field) in [
            (Selector::Branch("a..b".into()), "ref.branch"),
            (Selector::Branch(String::new()), "ref.branch"),
            (Selector::Tag("a b".into()), "ref.tag"),
            (Selector::Name("/refs/heads/x".into()), "ref.name"),
            (Selector::Name("heads/x".into()), "ref.name"),
            (Selector::Name("refs/heads/x\n".into()), "ref.name"),
        ] {
            let text = selector.reference().unwrap_err().to_string();
            assert!(text.starts_with(field), "{text}");
        }
        let short = Selector::Commit {
            commit: "abc".into(),
            branch: None,
        };
        assert!(
            short
                .commit()
                .unwrap_err()
                .to_string()
                .starts_with("ref.commit")
        );
    }
}
