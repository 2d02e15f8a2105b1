//! Versions as image tags and charts spell them, and the constraints that choose among them.
//!
//! In: text such as `v1.2`, `01.2.3-rc.1` or `1.2.3+build`, read as leniently as Masterminds'
//! semver does. Out: a [`Version`] over `semver::Version` which keeps its spelling, and a
//! [`Constraint`] which admits some of them. Order is that of SemVer; build metadata has no part
//! in it. It never knows where a version came from.

mod constraint;
mod parts;

use std::cmp::Ordering;
use std::fmt;

pub use constraint::{Constraint, ConstraintError};
pub use parts::Parts;

/// The longest text that is read as a version.
const VERSION_BYTES_MAX: usize = 256;
/// The dots that an image tag must have to count as a version, wherever they stand in it.
const TAG_DOTS_MIN: usize = 2;

/// Dot-separated identifiers, as behind `-` and `+`.
const IDENTIFIERS: &str = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*";

/// A version and the way it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    text: String,
    parsed: semver::Version,
}

/// A text which is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text has not the shape of a version.
    #[error("invalid semantic version")]
    Shape,
    /// The text is longer than any version.
    #[error("version string is too long (max {VERSION_BYTES_MAX} bytes)")]
    TooLong,
    /// A number does not fit into 64 bits.
    #[error(
        "error parsing version segment: strconv.ParseUint: parsing \"{number}\": value out of range"
    )]
    TooGreat {
        /// The number as written.
        number: String,
    },
    /// A numeric identifier of the pre-release has a zero in front.
    #[error("version segment starts with 0")]
    LeadingZero,
}

impl Version {
    /// Reads a version as [`Parts::read`] does and keeps it. Fails with the upstream message.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts = Parts::read(text)?;
        let parsed = semver::Version {
            major: parts.major,
            minor: parts.minor,
            patch: parts.patch,
            pre: semver::Prerelease::new(parts.pre).map_err(|_| Error::LeadingZero)?,
            build: semver::BuildMetadata::new(parts.build).map_err(|_| Error::Shape)?,
        };
        Ok(Self {
            text: text.to_owned(),
            parsed,
        })
    }

    /// Reads an image tag as a version: it must have two dots at least, so that `2024` or `v1.2`
    /// are no versions. Fails as [`Version::parse`] does.
    pub fn parse_tag(tag: &str) -> Result<Self, Error> {
        Parts::read_tag(tag)?;
        Self::parse(tag)
    }

    /// Returns the version as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the version in numbers.
    pub fn as_semver(&self) -> &semver::Version {
        &self.parsed
    }

    /// Returns whether this is a pre-release.
    pub fn is_prerelease(&self) -> bool {
        !self.parsed.pre.is_empty()
    }

    /// Returns the parts of the version.
    pub fn parts(&self) -> Parts<'_> {
        Parts {
            major: self.parsed.major,
            minor: self.parsed.minor,
            patch: self.parsed.patch,
            pre: self.parsed.pre.as_str(),
            build: self.parsed.build.as_str(),
        }
    }

    /// Compares by precedence: two spellings of one version are equal, as are two builds of it.
    pub fn cmp_precedence(&self, other: &Self) -> Ordering {
        self.parts().cmp_precedence(&other.parts())
    }
}

/// Returns the tags that are versions, and satisfy the constraint if there is one, newest first;
/// equal versions stay in the order they came in.
pub fn newest_first<'a>(
    tags: impl IntoIterator<Item = &'a str>,
    constraint: Option<&Constraint>,
) -> Vec<Version> {
    let mut versions: Vec<_> = tags
        .into_iter()
        .filter_map(|tag| Version::parse_tag(tag).ok())
        .filter(|version| constraint.is_none_or(|constraint| constraint.admits(version)))
        .collect();
    versions.sort_by(|a, b| b.cmp_precedence(a));
    versions
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Version};

    #[test]
    fn a_version_keeps_its_spelling() {
        let version = Version::parse_tag("v01.2.3").unwrap();
        assert_eq!(version.to_string(), "v01.2.3");
        assert_eq!(version.as_semver().to_string(), "1.2.3");
    }

    #[test]
    fn a_tag_with_one_dot_is_no_version() {
        assert_eq!(Version::parse_tag("v1.2"), Err(Error::Shape));
        assert!(Version::parse("v1.2").is_ok());
    }

    #[test]
    fn a_text_of_more_than_256_bytes_is_no_version() {
        let text = |n| format!("1.2.3-{}", "a".repeat(n));
        assert!(Version::parse(&text(250)).is_ok());
        assert_eq!(Version::parse(&text(251)), Err(Error::TooLong));
    }
}
