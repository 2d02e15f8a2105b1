//! Says of every tag why a policy chose, kept or refused it.
//!
//! In: a policy and the tags in the order that a choice is made in. Out: the same choice or error
//! as [`Policy::choose`] gives, and a [`Verdict`] a tag in that order. It decides nothing anew.

use std::collections::HashMap;
use std::fmt;

use super::choose::Rule;
use super::number::Number;
use super::{Error, Policy, Selection};
use crate::version::Version;

/// What a policy makes of a list of tags.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The choice, as [`Policy::choose`] makes it.
    pub selection: Result<Selection, Error>,
    /// One verdict a tag, in the order of the tags.
    pub verdicts: Vec<Verdict>,
}

/// What a policy makes of one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The tag.
    pub tag: String,
    /// What the policy compares, unless the filter drops the tag.
    pub value: Option<String>,
    /// What becomes of it; `Display` gives the reason as a clause about the tag.
    pub outcome: Outcome,
}

/// What becomes of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is the latest.
    Chosen,
    /// It takes part and another tag is the latest, or none is.
    Kept,
    /// The filter's pattern does not match it.
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A later tag has the same value and stands for it.
    SameValue {
        /// The later tag.
        tag: String,
    },
    /// The value is not a version.
    NotAVersion,
    /// The value is a version outside of the range.
    OutOfRange {
        /// The range.
        range: String,
    },
    /// The value is a pre-release and the range names none.
    Prerelease {
        /// The range.
        range: String,
    },
    /// The value is not a number; no tag can be chosen while it takes part.
    NotANumber,
}

impl Outcome {
    /// Returns whether the policy refuses the tag.
    pub fn is_refused(&self) -> bool {
        !matches!(self, Self::Chosen | Self::Kept)
    }
}

impl Policy {
    /// Returns the choice among the tags and a verdict for each of them.
    pub fn explain<'a>(&self, tags: impl IntoIterator<Item = &'a str>) -> Explanation {
        let tags: Vec<&str> = tags.into_iter().collect();
        let selection = self.choose(tags.iter().copied());
        let value = |tag: &&str| match &self.filter {
            Some(filter) => filter.value(tag),
            None => Some((*tag).to_owned()),
        };
        let values: Vec<Option<String>> = tags.iter().map(value).collect();
        let mut last_of: HashMap<&str, usize> = HashMap::new();
        for (index, value) in values.iter().enumerate() {
            if let Some(value) = value {
                last_of.insert(value, index);
            }
        }
        let outcome = |index: usize| {
            let Some(value) = &values[index] else {
                return Outcome::NoMatch {
                    pattern: self.filter.as_ref().map_or("", |f| f.pattern()).to_owned(),
                };
            };
            let last = last_of.get(value.as_str()).copied().unwrap_or(index);
            if last != index {
                return Outcome::SameValue {
                    tag: tags[last].to_owned(),
                };
            }
            let is_chosen = |selection: &Selection| selection.tag == tags[index];
            if selection.as_ref().is_ok_and(is_chosen) {
                return Outcome::Chosen;
            }
            self.rule.judge(value)
        };
        let outcomes: Vec<Outcome> = (0..tags.len()).map(outcome).collect();
        let verdicts = tags.iter().zip(values).zip(outcomes);
        let verdict = |((tag, value), outcome): ((&&str, _), _)| Verdict {
            tag: (*tag).to_owned(),
            value,
            outcome,
        };
        Explanation {
            verdicts: verdicts.map(verdict).collect(),
            selection,
        }
    }
}

impl Rule {
    /// Returns what becomes of a value that is not chosen.
    fn judge(&self, value: &str) -> Outcome {
        match self {
            Self::Alphabetical(_) => Outcome::Kept,
            Self::Numerical(_) => match Number::parse(value) {
                Some(_) => Outcome::Kept,
                None => Outcome::NotANumber,
            },
            Self::SemVer(constraint) => {
                let range = constraint.as_str().to_owned();
                match Version::parse_tag(value) {
                    Err(_) => Outcome::NotAVersion,
                    Ok(version) if constraint.admits(&version) => Outcome::Kept,
                    Ok(version) if constraint.refuses_as_prerelease(&version) => {
                        Outcome::Prerelease { range }
                    }
                    Ok(_) => Outcome::OutOfRange { range },
                }
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("is the latest"),
            Self::Kept => f.write_str("takes part and is not the latest"),
            Self::NoMatch { pattern } => write!(f, "does not match the filter {pattern:?}"),
            Self::SameValue { tag } => write!(f, "has the same value as {tag}"),
            Self::NotAVersion => f.write_str("is not a version"),
            Self::OutOfRange { range } => write!(f, "is outside of the range {range:?}"),
            Self::Prerelease { range } => {
                write!(f, "is a pre-release, and the range {range:?} names none")
            }
            Self::NotANumber => f.write_str("is not a number"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::{Choice, Filter, Outcome, Policy};

    fn outcomes(policy: &Policy, tags: &[&str]) -> Vec<String> {
        let verdicts = policy.explain(tags.iter().copied()).verdicts;
        verdicts
            .iter()
            .map(|verdict| verdict.outcome.to_string())
            .collect()
    }

    #[test]
    fn each_refused_tag_has_its_reason() {
        let choice = Choice::SemVer {
            range: "^1".to_owned(),
        };
        let policy = Policy::new(&choice, None).unwrap();
        assert_eq!(
            outcomes(
                &policy,
                &["latest", "2.0.0", "1.3.0-rc.1", "1.2.0", "1.1.0"]
            ),
            [
                "is not a version",
                "is outside of the range \"^1\"",
                "is a pre-release, and the range \"^1\" names none",
                "is the latest",
                "takes part and is not the latest",
            ]
        );
    }

    #[test]
    fn a_tag_that_stops_a_numerical_policy_is_named() {
        let choice = Choice::Numerical {
            order: "asc".to_owned(),
        };
        let filter = Filter {
            pattern: "^b(.*)$".to_owned(),
            extract: "$1".to_owned(),
        };
        let policy = Policy::new(&choice, Some(&filter)).unwrap();
        let explanation = policy.explain(["bx", "b1", "main"]);
        assert!(explanation.selection.is_err());
        let stops = |outcome: &Outcome| *outcome == Outcome::NotANumber;
        let stopping: Vec<_> = (explanation.verdicts.iter())
            .filter(|verdict| stops(&verdict.outcome))
            .map(|verdict| verdict.tag.as_str())
            .collect();
        assert_eq!(stopping, ["bx"]);
    }
}
