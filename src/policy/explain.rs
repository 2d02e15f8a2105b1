//! Says of every tag why a policy chose, kept or refused it.
//!
//! In: a policy and the tags in the order that a choice is made in. Out: the same choice or error
//! as [`Policy::choose`] gives, and a [`Verdict`] a tag in that order. It decides nothing anew.

use std::collections::{BTreeMap, HashMap};
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

/// Helps when a filter leaves a moving tag to a semver policy.
const ADVICE_MOVING: &str = "semver compares versions, and what the filter leaves is none; to follow a \
    moving tag such as latest, choose alphabetically with digestReflectionPolicy: Always";
const ADVICE_NOT_A_VERSION: &str = "a version has three numbers, such as 1.2.3; for other tags use \
    filterTags.extract, or alphabetical or numerical";
const ADVICE_PRERELEASE: &str = "a range that names a pre-release, such as ^1.0.0-0, admits \
    pre-releases; for suffixes such as -alpine use filterTags with extract";
const ADVICE_NO_MATCH: &str = "the pattern matches none of the tags; it is RE2 and matches anywhere \
    unless ^ and $ hold it";
const ADVICE_NOT_A_NUMBER: &str =
    "a filterTags.pattern that matches numbers alone keeps other tags out";

impl Explanation {
    /// Returns how many tags each rule decided on, by the rule's code.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for verdict in &self.verdicts {
            *counts.entry(verdict.outcome.code()).or_default() += 1;
        }
        counts
    }

    /// Returns the newest tag when it is not the choice: the greatest version of all tags, or the last
    /// tag by its bytes where none is a version.
    pub fn newest_not_chosen(&self) -> Option<&Verdict> {
        let versions = self.verdicts.iter().filter_map(|verdict| {
            let version = Version::parse_tag(&verdict.tag).ok()?;
            Some((version, verdict))
        });
        let newest = versions.max_by(|(a, _), (b, _)| a.cmp_precedence(b));
        let newest = newest.map(|(_, verdict)| verdict);
        let by_bytes = || self.verdicts.iter().max_by(|a, b| a.tag.cmp(&b.tag));
        let newest = newest.or_else(by_bytes)?;
        let is_as_new = |chosen: &Selection| {
            let versions = (
                Version::parse_tag(&chosen.tag),
                Version::parse_tag(&newest.tag),
            );
            match versions {
                (Ok(chosen), Ok(newest)) => chosen.cmp_precedence(&newest).is_eq(),
                _ => chosen.tag == newest.tag,
            }
        };
        let is_chosen = self.selection.as_ref().is_ok_and(is_as_new);
        (!is_chosen).then_some(newest)
    }

    /// Returns what would help, if anything is known to: against an error first, else against the rule
    /// that refuses the newest tag.
    pub fn advice(&self) -> Option<&'static str> {
        let any = |wanted: fn(&Outcome) -> bool| {
            self.verdicts.iter().any(|verdict| wanted(&verdict.outcome))
        };
        let is_filtered = any(|outcome| matches!(outcome, Outcome::NoMatch { .. }));
        match &self.selection {
            Err(Error::NotANumber { .. }) => Some(ADVICE_NOT_A_NUMBER),
            Err(Error::NoCandidates) => is_filtered.then_some(ADVICE_NO_MATCH),
            Err(Error::NoneInRange)
                if any(|outcome| matches!(outcome, Outcome::Prerelease { .. })) =>
            {
                Some(ADVICE_PRERELEASE)
            }
            Err(Error::NoneInRange) if any(|outcome| *outcome == Outcome::NotAVersion) => {
                Some(if is_filtered {
                    ADVICE_MOVING
                } else {
                    ADVICE_NOT_A_VERSION
                })
            }
            Err(_) => None,
            Ok(_) => match self.newest_not_chosen()?.outcome {
                Outcome::Prerelease { .. } => Some(ADVICE_PRERELEASE),
                _ => None,
            },
        }
    }
}

impl Outcome {
    /// Returns the rule's code, for programs; codes never change their meaning.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Chosen => "CHOSEN",
            Self::Kept => "KEPT",
            Self::NoMatch { .. } => "FILTERED_REGEX",
            Self::SameValue { .. } => "EXTRACT_COLLISION",
            Self::NotAVersion => "NOT_SEMVER",
            Self::OutOfRange { .. } => "OUT_OF_RANGE",
            Self::Prerelease { .. } => "PRERELEASE",
            Self::NotANumber => "NOT_NUMERIC",
        }
    }

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
    use crate::policy::{Choice, Explanation, Filter, Outcome, Policy};

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

    fn explained(choice: Choice, pattern: Option<&str>, tags: &[&str]) -> Explanation {
        let filter = pattern.map(|pattern| Filter {
            pattern: pattern.to_owned(),
            extract: String::new(),
        });
        let policy = Policy::new(&choice, filter.as_ref()).unwrap();
        policy.explain(tags.iter().copied())
    }

    fn semver(range: &str) -> Choice {
        Choice::SemVer {
            range: range.to_owned(),
        }
    }

    #[test]
    fn the_newest_tag_is_named_with_its_rule_unless_it_is_chosen() {
        let newest = |range, tags: &[&str]| {
            let explanation = explained(semver(range), None, tags);
            let newest = explanation.newest_not_chosen();
            newest.map(|verdict| (verdict.tag.clone(), verdict.outcome.code()))
        };
        let named = |tag: &str, code| Some((tag.to_owned(), code));
        assert_eq!(
            newest("1.x", &["latest", "2.0.0", "1.0.0"]),
            named("2.0.0", "OUT_OF_RANGE")
        );
        assert_eq!(
            newest("1.x", &["1.1.0-rc.1", "1.0.0"]),
            named("1.1.0-rc.1", "PRERELEASE")
        );
        assert_eq!(newest("1.x", &["v1.0.0", "1.0.0"]), None);
        assert_eq!(
            newest("1.x", &["main", "edge"]),
            named("main", "NOT_SEMVER")
        );
        assert_eq!(newest("1.x", &[]), None);
    }

    #[test]
    fn a_moving_tag_under_semver_gets_the_advice_that_helps() {
        let explanation = explained(semver("1.x"), Some("^latest$"), &["latest", "1.0.0"]);
        let advice = explanation.advice().unwrap();
        assert!(
            advice.contains("digestReflectionPolicy: Always"),
            "{advice}"
        );
        let numerical = Choice::Numerical {
            order: "asc".to_owned(),
        };
        let advice = explained(numerical, None, &["1", "x"]).advice().unwrap();
        assert!(advice.contains("matches numbers alone"), "{advice}");
        let advice = explained(semver("1.x"), Some("^x$"), &["1.0.0"])
            .advice()
            .unwrap();
        assert!(advice.contains("matches none"), "{advice}");
        assert_eq!(explained(semver("1.x"), None, &["1.0.0"]).advice(), None);
    }

    #[test]
    fn codes_count_every_tag_once() {
        let tags = ["latest", "3.0.0", "1.3.0-rc.1", "1.2.0", "1.1.0", "x-1.0.0"];
        let counts = explained(semver("^1"), Some("^[l0-9]"), &tags).counts();
        let want = [
            ("CHOSEN", 1),
            ("FILTERED_REGEX", 1),
            ("KEPT", 1),
            ("NOT_SEMVER", 1),
            ("OUT_OF_RANGE", 1),
            ("PRERELEASE", 1),
        ];
        assert_eq!(counts, want.into());
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
