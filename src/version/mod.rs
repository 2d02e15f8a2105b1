//! Versions as image tags and charts spell them, and the constraints that choose among them.
//!
//! In: text such as `v1.2`, `01.2.3-rc.1` or `1.2.3+build`, read as leniently as Masterminds'
//! semver does. Out: a [`Version`] over `semver::Version` which keeps its spelling, and a
//! [`Constraint`] which admits some of them. Order is that of SemVer; build metadata has no part
//! in it. It never knows where a version came from.

mod constraint;

use std::cmp::Ordering;
use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

pub use constraint::{Constraint, ConstraintError};

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

static SHAPE: LazyLock<Regex> = LazyLock::new(|| {
    let shape = format!(
        r"\Av?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-({IDENTIFIERS}))?(?:\+({IDENTIFIERS}))?\z"
    );
    Regex::new(&shape).expect("because the pattern is a constant that compiles")
});

impl Version {
    /// Reads a version: `v` in front, missing minor and patch numbers and zeros in front of the
    /// numbers are tolerated. Fails with the upstream message.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > VERSION_BYTES_MAX {
            return Err(Error::TooLong);
        }
        let parts = SHAPE.captures(text).ok_or(Error::Shape)?;
        let number = |group| match parts.get(group) {
            None => Ok(0),
            Some(digits) => digits.as_str().parse().map_err(|_| Error::TooGreat {
                number: digits.as_str().to_owned(),
            }),
        };
        let part = |group| parts.get(group).map_or("", |part| part.as_str());
        let parsed = semver::Version {
            major: number(1)?,
            minor: number(2)?,
            patch: number(3)?,
            // The shape is right, so only a zero in front can be wrong.
            pre: semver::Prerelease::new(part(4)).map_err(|_| Error::LeadingZero)?,
            build: semver::BuildMetadata::new(part(5)).map_err(|_| Error::Shape)?,
        };
        Ok(Self {
            text: text.to_owned(),
            parsed,
        })
    }

    /// Reads an image tag as a version: it must have two dots at least, so that `2024` or `v1.2`
    /// are no versions. Fails as [`Version::parse`] does.
    pub fn parse_tag(tag: &str) -> Result<Self, Error> {
        if tag.matches('.').take(TAG_DOTS_MIN).count() < TAG_DOTS_MIN {
            return Err(Error::Shape);
        }
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

    /// Compares by precedence: two spellings of one version are equal, as are two builds of it.
    pub fn cmp_precedence(&self, other: &Self) -> Ordering {
        let numbers = |v: &semver::Version| (v.major, v.minor, v.patch);
        let (a, b) = (&self.parsed, &other.parsed);
        numbers(a)
            .cmp(&numbers(b))
            .then_with(|| a.pre.is_empty().cmp(&b.pre.is_empty()))
            .then_with(|| {
                let a = a.pre.split('.').map(Identifier::read);
                a.cmp(b.pre.split('.').map(Identifier::read))
            })
    }
}

/// An identifier of a pre-release. Upstream takes a number that does not fit into 64 bits for a
/// word, where `semver` compares it as a number.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    Number(u64),
    Word(&'a str),
}

impl<'a> Identifier<'a> {
    fn read(text: &'a str) -> Self {
        let decimal = text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if decimal => Self::Number(number),
            _ => Self::Word(text),
        }
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
