//! [`Parts`]: a version as it stands in a text, read without a copy.
//!
//! In: text. Out: its numbers, pre-release and build metadata, or upstream's message. A million
//! tags are read in a tenth of a second, so nothing here allocates.

use std::cmp::Ordering;

use super::{Error, TAG_DOTS_MIN, VERSION_BYTES_MAX};

/// The parts of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The first number.
    pub major: u64,
    /// The second number, 0 when it is left out.
    pub minor: u64,
    /// The third number, 0 when it is left out.
    pub patch: u64,
    /// What stands behind `-`, empty for a release.
    pub pre: &'a str,
    /// What stands behind `+`.
    pub build: &'a str,
}

impl<'a> Parts<'a> {
    /// Reads a version: `v` in front, missing minor and patch numbers and zeros in front of the
    /// numbers are tolerated. Fails with the upstream message.
    pub fn read(text: &'a str) -> Result<Self, Error> {
        if text.len() > VERSION_BYTES_MAX {
            return Err(Error::TooLong);
        }
        let mut rest = text.strip_prefix('v').unwrap_or(text);
        // The shape comes first, the numbers' size second: so do the messages upstream.
        let major = digits(&mut rest).ok_or(Error::Shape)?;
        let minor = number_behind_dot(&mut rest)?;
        let patch = match minor {
            Some(_) => number_behind_dot(&mut rest)?,
            None => None,
        };
        let pre = identifiers_behind('-', &mut rest)?;
        let build = identifiers_behind('+', &mut rest)?;
        if !rest.is_empty() {
            return Err(Error::Shape);
        }
        let parts = Self {
            major: number(major)?,
            minor: minor.map_or(Ok(0), number)?,
            patch: patch.map_or(Ok(0), number)?,
            pre,
            build,
        };
        match pre.split('.').any(starts_with_zero) {
            true => Err(Error::LeadingZero),
            false => Ok(parts),
        }
    }

    /// Reads an image tag as a version: it must have two dots at least, so that `2024` or `v1.2`
    /// are no versions. Fails as [`Parts::read`] does.
    pub fn read_tag(tag: &'a str) -> Result<Self, Error> {
        let dots = tag.bytes().filter(|byte| *byte == b'.');
        if dots.take(TAG_DOTS_MIN).count() < TAG_DOTS_MIN {
            return Err(Error::Shape);
        }
        Self::read(tag)
    }

    /// Returns whether this is a pre-release.
    pub fn is_prerelease(&self) -> bool {
        !self.pre.is_empty()
    }

    /// Returns the three numbers.
    pub fn numbers(&self) -> (u64, u64, u64) {
        (self.major, self.minor, self.patch)
    }

    /// Compares by precedence: two spellings of one version are equal, as are two builds of it.
    pub fn cmp_precedence(&self, other: &Parts<'_>) -> Ordering {
        self.numbers()
            .cmp(&other.numbers())
            .then_with(|| self.pre.is_empty().cmp(&other.pre.is_empty()))
            .then_with(|| {
                let own = self.pre.split('.').map(Identifier::read);
                own.cmp(other.pre.split('.').map(Identifier::read))
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

/// Takes the digits in front; nothing if there are none.
fn digits<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, behind) = rest.split_at(n_digits);
    *rest = behind;
    (n_digits > 0).then_some(digits)
}

/// Takes a dot and digits, if there is a dot.
fn number_behind_dot<'a>(rest: &mut &'a str) -> Result<Option<&'a str>, Error> {
    let Some(behind) = rest.strip_prefix('.') else {
        return Ok(None);
    };
    *rest = behind;
    digits(rest).map(Some).ok_or(Error::Shape)
}

/// Takes a sign and dot-separated identifiers, if the sign is there.
fn identifiers_behind<'a>(sign: char, rest: &mut &'a str) -> Result<&'a str, Error> {
    let Some(behind) = rest.strip_prefix(sign) else {
        return Ok("");
    };
    let is_of_them = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let (identifiers, behind) = behind.split_at(behind.bytes().take_while(is_of_them).count());
    *rest = behind;
    match identifiers.split('.').any(str::is_empty) {
        true => Err(Error::Shape),
        false => Ok(identifiers),
    }
}

fn number(digits: &str) -> Result<u64, Error> {
    digits.parse().map_err(|_| Error::TooGreat {
        number: digits.to_owned(),
    })
}

fn starts_with_zero(identifier: &str) -> bool {
    identifier.len() > 1
        && identifier.starts_with('0')
        && identifier.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_read() {
        let parts = |text| Parts::read(text).unwrap();
        let version = parts("v01.2.3-rc.1-x+b.01");
        assert_eq!(version.numbers(), (1, 2, 3));
        assert_eq!((version.pre, version.build), ("rc.1-x", "b.01"));
        assert_eq!(parts("7").numbers(), (7, 0, 0));
        assert_eq!(parts("7.1+x").numbers(), (7, 1, 0));
    }

    #[test]
    fn what_is_no_version_says_why() {
        for text in [
            "",
            "v",
            "vv1",
            "V1",
            "1.",
            "1.2.",
            "1.2.3.4",
            "1.2.3-",
            "1.2.3-a..b",
            "1.2.3+",
            "1 ",
            "1.2.3-é",
            "-1",
            "1.2.3+a+b",
            "1.2.3+a_b",
            "99999999999999999999.",
        ] {
            assert_eq!(Parts::read(text), Err(Error::Shape), "{text}");
        }
        let number = "99999999999999999999".to_owned();
        let too_great = Parts::read("1.99999999999999999999.1-01");
        assert_eq!(too_great, Err(Error::TooGreat { number }));
        assert_eq!(Parts::read("1.2.3-a.01"), Err(Error::LeadingZero));
        assert!(Parts::read("1.2.3-0.a01").is_ok());
    }
}
