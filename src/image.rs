//! Image references as registries' clients in Go read them: `[registry/]repository[:tag][@digest]`.
//!
//! In: text, read weakly (registry, `library/` and `latest` are filled in) or strictly (nothing
//! is). Out: a [`Reference`] with its [`Repository`] and [`Identifier`], or the canonical
//! repository of an `ImageRepository`'s `spec.image`. It never asks a registry.

mod tag_list;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

pub use tag_list::{TAG_LIST_BYTES_MAX, TagList, TagListBuilder};

/// The registry that is meant where none is written.
pub const DEFAULT_REGISTRY: &str = "index.docker.io";
/// The usual name of the default registry.
const DEFAULT_REGISTRY_ALIAS: &str = "docker.io";
/// The namespace of the default registry's own images.
const DEFAULT_NAMESPACE: &str = "library";
/// The tag that is meant where none is written.
pub const DEFAULT_TAG: &str = "latest";

/// The bounds that registries set.
const TAG_CHARS_MAX: usize = 128;
const REPOSITORY_CHARS: std::ops::RangeInclusive<usize> = 2..=255;
const SHA256_HEX_CHARS: usize = 64;

/// A text which is not the reference or name that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither a tag nor a digest reference.
    #[error("could not parse reference: {text}")]
    Reference {
        /// The text as given.
        text: String,
    },
    /// `spec.image` begins with a scheme.
    #[error("image '{text}' should not include URL scheme; remove '{scheme}://'")]
    Scheme {
        /// The text as given.
        text: String,
        /// The scheme.
        scheme: String,
    },
    /// `spec.image` has a tag or a digest.
    #[error("image '{text}' should not include a tag; remove ':{tag}'")]
    Tagged {
        /// The text as given.
        text: String,
        /// What stands after the first colon.
        tag: String,
    },
    /// Not a tag of 1 to 128 letters, digits, `_`, `-` and `.`.
    #[error("invalid tag {text:?}")]
    Tag {
        /// The text as given.
        text: String,
    },
    /// Not `sha256:` and 64 lower-case hexadecimal digits.
    #[error("invalid digest {text:?}")]
    Digest {
        /// The text as given.
        text: String,
    },
}

/// How much of a reference must be written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Registry, namespace and tag are filled in.
    Weak,
    /// Everything must be there.
    Strict,
}

/// How a registry is spoken to when nobody says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP may be tried: the host is this machine or a private address.
    Http,
    /// HTTPS only.
    Https,
}

/// A tag: 1 to 128 characters out of letters, digits, `_`, `-` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

/// A digest, `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

/// A registry's host with its port, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Registry(String);

/// A registry and a repository in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: Registry,
    path: String,
}

/// What singles out one image of a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identifier {
    /// The image that the tag points to.
    Tag(Tag),
    /// The image itself; a tag written before a digest is dropped.
    Digest(Digest),
}

/// One image of one repository, with the text it was read from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    text: String,
    repository: Repository,
    identifier: Identifier,
}

impl Tag {
    /// Reads a tag. Fails when a character or the length is not a tag's.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if !(1..=TAG_CHARS_MAX).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err(Error::Tag {
                text: text.to_owned(),
            });
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Digest {
    /// Reads a digest. Fails on any algorithm but sha256.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let hex = text.strip_prefix("sha256:").unwrap_or("");
        let allowed = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if hex.len() != SHA256_HEX_CHARS || !hex.bytes().all(allowed) {
            return Err(Error::Digest {
                text: text.to_owned(),
            });
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the digest's text, algorithm included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the hexadecimal digits alone.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or(&self.0)
    }
}

impl Registry {
    /// Reads a host and its port; nothing if a URL could not have it as its authority.
    fn parse(text: &str) -> Option<Self> {
        if !is_host(text) {
            return None;
        }
        let name = if text == DEFAULT_REGISTRY_ALIAS {
            DEFAULT_REGISTRY
        } else {
            text
        };
        Some(Self(name.to_owned()))
    }

    /// Returns the host and port.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns HTTP for this machine and private addresses, HTTPS otherwise.
    pub fn scheme(&self) -> Scheme {
        let name = self.0.as_str();
        let (host, port) = match name.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
            _ => (name, None),
        };
        let before_colon = name.split(':').next().unwrap_or(name);
        let private = Ipv4Addr::from_str(before_colon).is_ok_and(|ip| ip.is_private());
        let short_port = port.is_none_or(|port| (1..=5).contains(&port.len()));
        if private
            || name.starts_with("localhost:")
            || (host.ends_with(".localhost") && short_port)
            || name.contains("127.0.0.1")
            || name.contains("::1")
        {
            return Scheme::Http;
        }
        Scheme::Https
    }
}

impl Repository {
    /// Reads `[registry/]path`, filling in registry and namespace. Fails as a reference does.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text, Reading::Weak).ok_or_else(|| Error::Reference {
            text: text.to_owned(),
        })
    }

    fn read(text: &str, reading: Reading) -> Option<Self> {
        // The first part is a registry only if it could not be a part of a Docker Hub name.
        let (registry, path) = match text.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) => (first, rest),
            _ => ("", text),
        };
        let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'/');
        if !REPOSITORY_CHARS.contains(&path.len()) || !path.bytes().all(allowed) {
            return None;
        }
        if registry.is_empty() && reading == Reading::Strict {
            return None;
        }
        let registry = if registry.is_empty() {
            Registry(DEFAULT_REGISTRY.to_owned())
        } else {
            Registry::parse(registry)?
        };
        let bare = registry.as_str() == DEFAULT_REGISTRY && !path.contains('/');
        let path = match (bare, reading) {
            (false, _) => path.to_owned(),
            (true, Reading::Weak) => format!("{DEFAULT_NAMESPACE}/{path}"),
            (true, Reading::Strict) => return None,
        };
        Some(Self { registry, path })
    }

    /// Reads an `ImageRepository`'s `spec.image`: a repository without scheme, tag and digest.
    /// Fails with the message that the object's condition shows.
    pub fn parse_image_field(text: &str) -> Result<Self, Error> {
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(Error::Scheme {
                text: text.to_owned(),
                scheme: scheme.to_owned(),
            });
        }
        let repository = Reference::parse(text)?.repository;
        let name = text
            .strip_prefix(repository.registry.as_str())
            .unwrap_or(text);
        if let Some(tag) = name.split(':').nth(1) {
            return Err(Error::Tagged {
                text: text.to_owned(),
                tag: tag.to_owned(),
            });
        }
        Ok(repository)
    }

    /// Returns the registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the path within the registry, `library/` included.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the reference to a tag of this repository.
    pub fn with_tag(&self, tag: Tag) -> Reference {
        Reference {
            text: format!("{self}:{tag}"),
            repository: self.clone(),
            identifier: Identifier::Tag(tag),
        }
    }

    /// Returns the reference to a digest of this repository.
    pub fn with_digest(&self, digest: Digest) -> Reference {
        Reference {
            text: format!("{self}@{digest}"),
            repository: self.clone(),
            identifier: Identifier::Digest(digest),
        }
    }
}

impl Reference {
    /// Reads a reference weakly. Fails with the text that could not be read.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::parse_as(text, Reading::Weak)
    }

    /// Reads a reference. Fails with the text that could not be read.
    pub fn parse_as(text: &str, reading: Reading) -> Result<Self, Error> {
        let (repository, identifier) = read_tagged(text, reading)
            .map(|(repository, tag)| (repository, Identifier::Tag(tag)))
            .or_else(|| read_digested(text, reading))
            .ok_or_else(|| Error::Reference {
                text: text.to_owned(),
            })?;
        Ok(Self {
            text: text.to_owned(),
            repository,
            identifier,
        })
    }

    /// Returns the text that was read; `Display` gives the full name.
    pub fn as_written(&self) -> &str {
        &self.text
    }

    /// Returns the repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Returns the tag or digest.
    pub fn identifier(&self) -> &Identifier {
        &self.identifier
    }
}

/// Splits at the last colon, unless a slash follows it: then it belongs to a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((base, tag)) if !tag.contains('/') => (base, Some(tag)),
        _ => (text, None),
    }
}

fn read_tagged(text: &str, reading: Reading) -> Option<(Repository, Tag)> {
    let (base, tag) = split_tag(text);
    let tag = match (tag, reading) {
        (Some(tag), _) => Tag::parse(tag).ok()?,
        (None, Reading::Weak) => Tag(DEFAULT_TAG.to_owned()),
        (None, Reading::Strict) => return None,
    };
    Some((Repository::read(base, reading)?, tag))
}

fn read_digested(text: &str, reading: Reading) -> Option<(Repository, Identifier)> {
    let (base, digest) = text.split_once('@')?;
    let digest = Digest::parse(digest).ok()?;
    let repository = match read_tagged(base, reading) {
        Some((repository, _)) => repository,
        None => Repository::read(base, reading)?,
    };
    Some((repository, Identifier::Digest(digest)))
}

/// Returns whether Go's URL reader would take the whole text for a host and port.
fn is_host(text: &str) -> bool {
    let port_end = |port: &str| {
        port.strip_prefix(':').map_or(port.is_empty(), |port| {
            port.bytes().all(|b| b.is_ascii_digit())
        })
    };
    if text.contains('[') {
        let Some((address, port)) = text.strip_prefix('[').and_then(|t| t.rsplit_once(']')) else {
            return false;
        };
        return Ipv6Addr::from_str(address).is_ok() && port_end(port);
    }
    let allowed =
        |b: u8| !b.is_ascii() || b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:]<>\"".contains(&b);
    let port = text.rfind(':').map_or("", |colon| &text[colon..]);
    text.bytes().all(allowed) && port_end(port)
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// The full name: registry, repository and tag or digest.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = match self.identifier {
            Identifier::Tag(_) => ':',
            Identifier::Digest(_) => '@',
        };
        write!(f, "{}{separator}{}", self.repository, self.identifier)
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, Reference, Repository, Scheme, Tag};

    #[test]
    fn a_bare_name_is_an_image_of_the_default_registry() {
        let reference = Reference::parse("alpine").unwrap();
        assert_eq!(
            reference.to_string(),
            "index.docker.io/library/alpine:latest"
        );
        assert_eq!(reference.as_written(), "alpine");
    }

    #[test]
    fn an_image_field_with_a_tag_says_what_to_remove() {
        let error = Repository::parse_image_field("ghcr.io/a/b:1.0").unwrap_err();
        assert_eq!(
            error.to_string(),
            "image 'ghcr.io/a/b:1.0' should not include a tag; remove ':1.0'"
        );
    }

    #[test]
    fn a_tag_of_more_than_128_characters_is_refused() {
        assert!(Tag::parse(&"t".repeat(128)).is_ok());
        assert!(Tag::parse(&"t".repeat(129)).is_err());
    }

    #[test]
    fn only_sha256_digests_are_read() {
        let hex = "a".repeat(64);
        assert_eq!(Digest::parse(&format!("sha256:{hex}")).unwrap().hex(), hex);
        assert!(Digest::parse(&format!("sha512:{hex}")).is_err());
    }

    #[test]
    fn this_machine_may_be_spoken_to_in_the_clear() {
        let scheme = |text| Repository::parse(text).unwrap().registry().scheme();
        assert_eq!(scheme("localhost:5000/ab"), Scheme::Http);
        assert_eq!(scheme("ghcr.io/ab"), Scheme::Https);
    }
}
