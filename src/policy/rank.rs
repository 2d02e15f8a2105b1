//! Where a value stands in the order of a policy, against the latest value so far.
//!
//! In: a rule, a value and a [`Rank`]. Out: a [`Place`]. Nothing is copied of a value that is not
//! the latest. Pure.

use std::cmp::Ordering;

use super::choose::{End, Rule};
use super::number::Number;
use crate::version::Parts;

/// What a rule compares of the latest value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rank {
    /// A version: its numbers and its pre-release.
    Version((u64, u64, u64), String),
    /// The value's bytes.
    Text(String),
    /// A number; never NaN.
    Number(Number),
}

/// Where a value stands.
pub(super) enum Place {
    /// It takes no part: no version, or outside of the range.
    Outside,
    /// Before the latest.
    Before,
    /// Where the latest does, written in another way.
    Beside,
    /// Behind the latest.
    Behind(Rank),
    /// Nowhere: it is no number, or NaN.
    Nowhere,
}

impl Rule {
    /// Returns where a value stands against the latest one, if there is one.
    pub fn place(&self, value: &str, latest: Option<&Rank>) -> Place {
        match self {
            Self::SemVer(constraint) => {
                let Ok(version) = Parts::read_tag(value) else {
                    return Place::Outside;
                };
                let order = match latest {
                    Some(Rank::Version(numbers, pre)) => cmp_version(&version, *numbers, pre),
                    _ => Ordering::Greater,
                };
                let rank = || Rank::Version(version.numbers(), version.pre.to_owned());
                match order {
                    Ordering::Less => Place::Before,
                    // The range admits all spellings of a version or none.
                    Ordering::Equal => Place::Beside,
                    Ordering::Greater if constraint.admits_parts(&version) => Place::Behind(rank()),
                    Ordering::Greater => Place::Outside,
                }
            }
            Self::Alphabetical(end) => {
                let order = match latest {
                    Some(Rank::Text(text)) => end.directed(value.cmp(text)),
                    _ => Ordering::Greater,
                };
                placed(order, || Rank::Text(value.to_owned()))
            }
            Self::Numerical(end) => {
                let number = match Number::parse(value) {
                    None | Some(Number::Nan) => return Place::Nowhere,
                    Some(number) => number,
                };
                let order = match latest {
                    Some(Rank::Number(latest)) => number.partial_cmp(latest),
                    _ => return Place::Behind(Rank::Number(number)),
                };
                let order = order.map_or(Ordering::Equal, |order| end.directed(order));
                placed(order, || Rank::Number(number))
            }
        }
    }

    /// Returns whether the first of equal values stays the latest; otherwise it depends on all the
    /// values before.
    pub fn keeps_first_of_equals(&self) -> bool {
        !matches!(self, Self::Numerical(_))
    }
}

impl End {
    /// Returns an order in which the latest is the greatest.
    fn directed(self, order: Ordering) -> Ordering {
        match self {
            Self::Greatest => order,
            Self::Smallest => order.reverse(),
        }
    }
}

fn placed(order: Ordering, rank: impl FnOnce() -> Rank) -> Place {
    match order {
        Ordering::Less => Place::Before,
        Ordering::Equal => Place::Beside,
        Ordering::Greater => Place::Behind(rank()),
    }
}

fn cmp_version(version: &Parts<'_>, numbers: (u64, u64, u64), pre: &str) -> Ordering {
    let (major, minor, patch) = numbers;
    version.cmp_precedence(&Parts {
        major,
        minor,
        patch,
        pre,
        build: "",
    })
}
