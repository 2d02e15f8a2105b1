//! Constraints on versions: `>=1.2 <2.0 || ^3`, `1.2 - 1.4`, `~1.2.3`, `1.x`.
//!
//! In: the text of a range. Out: a [`Constraint`] that admits versions or refuses them. Groups
//! joined by `||` are alternatives, the clauses of a group hold together. A pre-release is
//! admitted only by a group in which some clause names a pre-release.

use std::fmt;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{IDENTIFIERS, Parts, Version};

/// The longest text that is read as a constraint.
const CONSTRAINT_BYTES_MAX: usize = 512;
/// The most alternatives of a constraint.
const GROUPS_MAX: usize = 32;

/// Blanks as upstream knows them.
const BLANK: &str = r"[\t\n\x0C\r ]";
/// What stands in front of a version; nothing is an operator, too.
const OPERATOR: &str = r"(?:!=|>=|=>|<=|=<|~>|[=<>~^]|)";

/// Which versions are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    text: String,
    groups: Vec<Group>,
}

/// A text which is not a constraint; the message is upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// The text is longer than any constraint.
    #[error("constraint string is too long (max {CONSTRAINT_BYTES_MAX} bytes)")]
    TooLong,
    /// There are too many alternatives.
    #[error("too many constraint groups (max {GROUPS_MAX})")]
    TooManyGroups,
    /// A group has not the shape of clauses.
    #[error("improper constraint: {}", quote(.group))]
    Shape {
        /// The group as written, a hyphen range rewritten.
        group: String,
    },
    /// A clause has the shape but not the meaning of a version, as `1x` or `1.2.3-01`.
    #[error("constraint parser error")]
    Clause,
}

/// Clauses which hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    clauses: Vec<Clause>,
    /// Whether some clause names a pre-release.
    admits_prereleases: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    operator: Operator,
    bound: Version,
    width: Width,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// How much of a clause's version is written out; the rest is zero in its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    /// `*`
    Nothing,
    /// `1` or `1.x`
    Major,
    /// `1.2` or `1.2.x`
    Minor,
    /// `1.2.3`
    Patch,
}

/// A version of which parts may be missing or `x`, `X`, `*`. `|` is taken for a digit here, as it
/// is upstream, and refused when the number is read.
fn partial() -> String {
    let part = r"[0-9|xX*]+";
    format!(r"v?{part}(?:\.{part})?(?:\.{part})?(?:-{IDENTIFIERS})?(?:\+{IDENTIFIERS})?")
}

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("because the pattern is a constant that compiles")
}

static HYPHEN_RANGE: LazyLock<Regex> = LazyLock::new(|| {
    let partial = partial();
    compile(&format!(
        r"{BLANK}*({partial}){BLANK}+-{BLANK}+({partial}){BLANK}*"
    ))
});

static GROUP: LazyLock<Regex> = LazyLock::new(|| {
    let clause = format!(r"{OPERATOR}{BLANK}*{}", partial());
    compile(&format!(
        r"\A{BLANK}*{clause}(?:(?:{BLANK}+|{BLANK}*,{BLANK}*){clause})*{BLANK}*\z"
    ))
});

static CLAUSE: LazyLock<Regex> = LazyLock::new(|| {
    let part = r"[0-9|xX*]+";
    compile(&format!(
        r"({OPERATOR}){BLANK}*v?({part})(?:\.({part}))?(?:\.({part}))?(-{IDENTIFIERS})?(?:\+{IDENTIFIERS})?"
    ))
});

impl Constraint {
    /// Reads a constraint. Fails with the upstream message.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > CONSTRAINT_BYTES_MAX {
            return Err(ConstraintError::TooLong);
        }
        let plain = HYPHEN_RANGE.replace_all(text, ">= $1, <= $2 ");
        if plain.matches("||").take(GROUPS_MAX).count() == GROUPS_MAX {
            return Err(ConstraintError::TooManyGroups);
        }
        let groups = plain.split("||").map(Group::parse);
        Ok(Self {
            text: text.to_owned(),
            groups: groups.collect::<Result<_, _>>()?,
        })
    }

    /// Returns the constraint as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the version satisfies one of the groups.
    pub fn admits(&self, version: &Version) -> bool {
        self.admits_parts(&version.parts())
    }

    /// Returns whether a version that was only read satisfies one of the groups.
    pub fn admits_parts(&self, version: &Parts<'_>) -> bool {
        self.groups.iter().any(|group| group.admits(version))
    }

    /// Returns whether the version is refused for nothing but being a pre-release.
    pub fn refuses_as_prerelease(&self, version: &Version) -> bool {
        let parts = version.parts();
        let in_range = |group: &Group| group.clauses.iter().all(|clause| clause.holds(&parts));
        !self.admits(version) && self.groups.iter().any(in_range)
    }
}

impl Group {
    fn parse(text: &str) -> Result<Self, ConstraintError> {
        if !GROUP.is_match(text) {
            return Err(ConstraintError::Shape {
                group: text.to_owned(),
            });
        }
        let clauses: Vec<_> = CLAUSE
            .captures_iter(text)
            .map(|parts| Clause::parse(&parts))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            admits_prereleases: clauses.iter().any(|clause| clause.bound.is_prerelease()),
            clauses,
        })
    }

    fn admits(&self, version: &Parts<'_>) -> bool {
        (self.admits_prereleases || !version.is_prerelease())
            && self.clauses.iter().all(|clause| clause.holds(version))
    }
}

impl Clause {
    fn parse(parts: &Captures<'_>) -> Result<Self, ConstraintError> {
        let part = |group| parts.get(group).map_or("", |part| part.as_str());
        let is_open = |part: &str| matches!(part, "" | "x" | "X" | "*");
        let (major, minor, patch, pre) = (part(2), part(3), part(4), part(5));
        let (width, bound) = if is_open(major) {
            (Width::Nothing, format!("0.0.0{pre}"))
        } else if is_open(minor) {
            (Width::Major, format!("{major}.0.0{pre}"))
        } else if is_open(patch) {
            (Width::Minor, format!("{major}.{minor}.0{pre}"))
        } else {
            (Width::Patch, format!("{major}.{minor}.{patch}{pre}"))
        };
        let operator = match part(1) {
            "!=" => Operator::NotEqual,
            ">" => Operator::Greater,
            "<" => Operator::Less,
            ">=" | "=>" => Operator::GreaterOrEqual,
            "<=" | "=<" => Operator::LessOrEqual,
            "~" | "~>" => Operator::Tilde,
            "^" => Operator::Caret,
            _ => Operator::Equal,
        };
        Ok(Self {
            operator,
            bound: Version::parse(&bound).map_err(|_| ConstraintError::Clause)?,
            width,
        })
    }

    /// Returns whether a version satisfies the clause, pre-releases compared as any other.
    fn holds(&self, v: &Parts<'_>) -> bool {
        let bound = self.bound.parts();
        let order = v.cmp_precedence(&bound);
        let above_block = match self.width {
            Width::Nothing | Width::Patch => order.is_gt(),
            Width::Major => v.major > bound.major,
            Width::Minor => (v.major, v.minor) > (bound.major, bound.minor),
        };
        match (self.operator, self.width) {
            (Operator::Equal, Width::Patch) => order.is_eq(),
            (Operator::Equal | Operator::Tilde, _) => self.holds_as_tilde(v),
            (Operator::NotEqual, _) => self.differs(v),
            (Operator::Greater, _) => above_block,
            (Operator::Less, _) => order.is_lt(),
            (Operator::GreaterOrEqual, _) => order.is_ge(),
            (Operator::LessOrEqual, Width::Patch) => order.is_le(),
            // Upstream takes `<=*` for `<=0.0`.
            (Operator::LessOrEqual, Width::Nothing) => (v.major, v.minor) == (0, 0),
            (Operator::LessOrEqual, _) => !above_block,
            (Operator::Caret, _) => self.holds_as_caret(v),
        }
    }

    /// The versions of the bound's minor version, or of its major one.
    fn holds_as_tilde(&self, v: &Parts<'_>) -> bool {
        let bound = self.bound.parts();
        if v.cmp_precedence(&bound).is_lt() {
            return false;
        }
        // Upstream takes `~0.0.0` for `*`.
        let zero = (bound.major, bound.minor, bound.patch) == (0, 0, 0);
        if zero && matches!(self.width, Width::Nothing | Width::Patch) {
            return true;
        }
        v.major == bound.major && (self.width == Width::Major || v.minor == bound.minor)
    }

    /// The versions up to a change of the first number of the bound that is not zero.
    fn holds_as_caret(&self, v: &Parts<'_>) -> bool {
        let bound = self.bound.parts();
        if v.cmp_precedence(&bound).is_lt() || v.major != bound.major {
            return false;
        }
        if bound.major > 0 || self.width == Width::Major {
            return true;
        }
        let same_minor = v.minor == bound.minor;
        if bound.minor > 0 || self.width == Width::Minor {
            return same_minor;
        }
        same_minor && v.patch == bound.patch
    }

    /// The versions outside of the bound's block.
    fn differs(&self, v: &Parts<'_>) -> bool {
        let bound = self.bound.parts();
        match self.width {
            Width::Patch | Width::Nothing => v.cmp_precedence(&bound).is_ne(),
            Width::Major => v.major != bound.major,
            Width::Minor => (v.major, v.minor) != (bound.major, bound.minor) || v.pre != bound.pre,
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Quotes a text as Go's `%q` does.
fn quote(text: &str) -> String {
    static PRINTABLE: LazyLock<Regex> = LazyLock::new(|| compile(r"\A[\pL\pM\pN\pP\pS ]\z"));
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\x07' => out.push_str(r"\a"),
            '\x08' => out.push_str(r"\b"),
            '\x0c' => out.push_str(r"\f"),
            '\n' => out.push_str(r"\n"),
            '\r' => out.push_str(r"\r"),
            '\t' => out.push_str(r"\t"),
            '\x0b' => out.push_str(r"\v"),
            c if PRINTABLE.is_match(c.encode_utf8(&mut [0; 4])) => out.push(c),
            c if c.is_ascii() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) <= 0xffff => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::{CONSTRAINT_BYTES_MAX, Constraint, ConstraintError, GROUPS_MAX};
    use crate::version::Version;

    #[test]
    fn a_constraint_longer_than_its_bound_is_refused() {
        let text = format!("1.0.0{}", " ".repeat(CONSTRAINT_BYTES_MAX - 5));
        assert!(Constraint::parse(&text).is_ok());
        let longer = Constraint::parse(&(text + " "));
        assert_eq!(longer, Err(ConstraintError::TooLong));
    }

    #[test]
    fn a_constraint_of_more_groups_than_its_bound_is_refused() {
        let text = |n| vec!["1"; n].join("||");
        assert!(Constraint::parse(&text(GROUPS_MAX)).is_ok());
        let more = Constraint::parse(&text(GROUPS_MAX + 1));
        assert_eq!(more, Err(ConstraintError::TooManyGroups));
    }

    #[test]
    fn a_release_candidate_is_refused_for_being_one() {
        let constraint = Constraint::parse(">=1.0.0").unwrap();
        let refused = |text| constraint.refuses_as_prerelease(&Version::parse(text).unwrap());
        assert!(refused("1.2.3-rc.1"));
        assert!(!refused("0.2.3-rc.1"));
    }
}
