//! The policy itself: semver, alphabetical or numerical, and the errors in Flux's words.
//!
//! In: the choice as an object spells it and candidates in a fixed order. Out: the one chosen.
//! Equal versions: the first stays. Equal numbers: the last wins, as does whatever stands behind a
//! NaN.

use super::filter::{Candidate, Filter, TagFilter};
use super::number::Number;
use crate::api::{ImagePolicyChoice, ImagePolicySpec, Order};
use crate::pattern;
use crate::version::{Constraint, ConstraintError, Version};

/// `spec.policy` as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The greatest version of a range.
    SemVer {
        /// The range.
        range: String,
    },
    /// The last tag by its bytes, or the first.
    Alphabetical {
        /// `asc` or `desc`; empty means `asc`.
        order: String,
    },
    /// The greatest number, or the smallest.
    Numerical {
        /// `asc` or `desc`; empty means `asc`.
        order: String,
    },
}

/// A policy that can choose.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(super) rule: Rule,
    pub(super) filter: Option<TagFilter>,
}

#[derive(Debug, Clone)]
pub(super) enum Rule {
    SemVer(Constraint),
    Alphabetical(End),
    Numerical(End),
}

/// Which end of the order is the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Greatest,
    Smallest,
}

/// A policy that is not one, or a list of tags out of which it chooses none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// None of the three choices is given.
    #[error("invalid policy: given ImagePolicyChoice object is invalid")]
    NoChoice,
    /// The range does not parse.
    #[error("invalid policy: {0}")]
    Range(#[source] ConstraintError),
    /// The order is none.
    #[error(
        "invalid policy: invalid order argument provided: '{order}', must be one of: ASC, DESC"
    )]
    Order {
        /// The order in capitals.
        order: String,
    },
    /// The filter's pattern does not compile.
    #[error("failed to filter tags: invalid regular expression pattern '{pattern}': {source}")]
    Pattern {
        /// The pattern as written.
        pattern: String,
        /// Why it does not compile.
        source: pattern::Error,
    },
    /// There are no tags, or the filter leaves none.
    #[error("version list argument cannot be empty")]
    NoCandidates,
    /// No candidate is a version of the range.
    #[error("unable to determine latest version from provided list")]
    NoneInRange,
    /// A candidate of a numerical policy is not a number.
    #[error("failed to parse invalid numeric value '{value}'")]
    NotANumber {
        /// The value.
        value: String,
        /// The tag that it came from.
        tag: String,
    },
}

impl Error {
    /// Returns whether the policy itself is wrong, so that no new tag can help.
    pub fn is_invalid_policy(&self) -> bool {
        match self {
            Self::NoChoice | Self::Range(_) | Self::Order { .. } | Self::Pattern { .. } => true,
            Self::NoCandidates | Self::NoneInRange | Self::NotANumber { .. } => false,
        }
    }
}

impl Choice {
    /// Returns the choice of a spec; of several the first of semver, alphabetical and numerical
    /// counts. Fails when there is none.
    pub fn from_spec(choice: &ImagePolicyChoice) -> Result<Self, Error> {
        let spelled = |order| match order {
            Order::Asc => "asc".to_owned(),
            Order::Desc => "desc".to_owned(),
        };
        if let Some(semver) = &choice.semver {
            return Ok(Self::SemVer {
                range: semver.range.clone(),
            });
        }
        if let Some(alphabetical) = &choice.alphabetical {
            return Ok(Self::Alphabetical {
                order: spelled(alphabetical.order),
            });
        }
        let numerical = choice.numerical.as_ref().ok_or(Error::NoChoice)?;
        Ok(Self::Numerical {
            order: spelled(numerical.order),
        })
    }
}

impl Policy {
    /// Reads a choice and a filter. Fails when one of them is wrong, the choice first.
    pub fn new(choice: &Choice, filter: Option<&Filter>) -> Result<Self, Error> {
        let rule = match choice {
            Choice::SemVer { range } => {
                Rule::SemVer(Constraint::parse(range).map_err(Error::Range)?)
            }
            Choice::Alphabetical { order } => Rule::Alphabetical(End::parse(order)?),
            Choice::Numerical { order } => Rule::Numerical(End::parse(order)?),
        };
        let filter = filter.map(TagFilter::new).transpose()?;
        Ok(Self { rule, filter })
    }

    /// Reads the policy of an ImagePolicy. Fails as [`Policy::new`] does.
    pub fn from_spec(spec: &ImagePolicySpec) -> Result<Self, Error> {
        let choice = Choice::from_spec(&spec.policy)?;
        let filter = spec.filter_tags.as_ref().map(|filter| Filter {
            pattern: filter.pattern.clone().unwrap_or_default(),
            extract: filter.extract.clone().unwrap_or_default(),
        });
        Self::new(&choice, filter.as_ref())
    }
}

impl Rule {
    pub fn choose<'c>(&self, candidates: &'c [Candidate]) -> Result<&'c Candidate, Error> {
        if candidates.is_empty() {
            return Err(Error::NoCandidates);
        }
        match self {
            Self::SemVer(constraint) => greatest_version(constraint, candidates),
            Self::Alphabetical(end) => {
                // Strings compare by their bytes.
                let by_value = |a: &&Candidate, b: &&Candidate| a.value.cmp(&b.value);
                let chosen = match end {
                    End::Greatest => candidates.iter().max_by(by_value),
                    End::Smallest => candidates.iter().min_by(by_value),
                };
                chosen.ok_or(Error::NoCandidates)
            }
            Self::Numerical(end) => last_number(*end, candidates),
        }
    }
}

fn greatest_version<'c>(
    constraint: &Constraint,
    candidates: &'c [Candidate],
) -> Result<&'c Candidate, Error> {
    let mut greatest: Option<(Version, &Candidate)> = None;
    for candidate in candidates {
        let Ok(version) = Version::parse_tag(&candidate.value) else {
            continue;
        };
        let is_greater = greatest
            .as_ref()
            .is_none_or(|(other, _)| version.cmp_precedence(other).is_gt());
        if is_greater && constraint.admits(&version) {
            greatest = Some((version, candidate));
        }
    }
    greatest
        .map(|(_, candidate)| candidate)
        .ok_or(Error::NoneInRange)
}

fn last_number(end: End, candidates: &[Candidate]) -> Result<&Candidate, Error> {
    let mut last: Option<(Number, &Candidate)> = None;
    for candidate in candidates {
        let number = Number::parse(&candidate.value).ok_or_else(|| Error::NotANumber {
            value: candidate.value.clone(),
            tag: candidate.tag.clone(),
        })?;
        let yields = last.as_ref().is_some_and(|(other, _)| match end {
            End::Greatest => number < *other,
            End::Smallest => number > *other,
        });
        if !yields {
            last = Some((number, candidate));
        }
    }
    last.map(|(_, candidate)| candidate)
        .ok_or(Error::NoCandidates)
}

impl End {
    fn parse(order: &str) -> Result<Self, Error> {
        match order.to_uppercase().as_str() {
            "" | "ASC" => Ok(Self::Greatest),
            "DESC" => Ok(Self::Smallest),
            other => Err(Error::Order {
                order: other.to_owned(),
            }),
        }
    }
}
