//! Filters tags by a pattern and extracts the part of them that a policy compares.
//!
//! In: `spec.filterTags` and the tags. Out: the value that the policy sees of a tag, or all
//! candidates, each a value with the tag it came from. Two tags may give one value: the later tag
//! stands for it, as in Flux.

use indexmap::IndexMap;

use super::Error;
use crate::pattern::{Expander, Pattern};

/// `spec.filterTags` as written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// The pattern that a tag must match somewhere; an empty one matches every tag.
    pub pattern: String,
    /// The template of the value; an empty one means the tag itself.
    pub extract: String,
}

/// A filter whose pattern is compiled.
#[derive(Debug, Clone)]
pub(super) struct TagFilter {
    pattern: Pattern,
    extract: String,
}

/// Makes values of tags, in memory that is used again.
pub(super) enum Values<'f> {
    /// Every tag is its value.
    Tags,
    /// Tags that match are their values.
    Matching(&'f Pattern),
    /// Values are made of tags that match.
    Expanded(Expander<'f>),
}

/// A tag and what the policy sees of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub value: String,
    pub tag: String,
}

impl TagFilter {
    /// Compiles a filter. Fails when the pattern does not.
    pub fn new(filter: &Filter) -> Result<Self, Error> {
        let pattern = Pattern::new(&filter.pattern).map_err(|source| Error::Pattern {
            pattern: filter.pattern.clone(),
            source,
        })?;
        Ok(Self {
            pattern,
            extract: filter.extract.clone(),
        })
    }

    /// Returns the pattern as it was written.
    pub fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    /// Returns the value of a tag, unless the pattern does not match it.
    pub fn value(&self, tag: &str) -> Option<String> {
        Values::new(Some(self)).of(tag).map(str::to_owned)
    }
}

impl<'f> Values<'f> {
    /// Returns what makes values by a filter; without one every tag is its value.
    pub fn new(filter: Option<&'f TagFilter>) -> Self {
        match filter {
            None => Self::Tags,
            Some(filter) if filter.extract.is_empty() => Self::Matching(&filter.pattern),
            Some(filter) => Self::Expanded(filter.pattern.expander(&filter.extract)),
        }
    }

    /// Returns the value of a tag, unless the pattern does not match it.
    pub fn of<'a>(&'a mut self, tag: &'a str) -> Option<&'a str> {
        match self {
            Self::Tags => Some(tag),
            Self::Matching(pattern) => pattern.is_match(tag).then_some(tag),
            Self::Expanded(expander) => expander.expand(tag),
        }
    }
}

/// Returns the candidates in the order of the tags, each value once.
pub(super) fn candidates<'a>(
    filter: Option<&TagFilter>,
    tags: impl IntoIterator<Item = &'a str>,
) -> Vec<Candidate> {
    let mut values = Values::new(filter);
    let mut by_value: IndexMap<String, &str> = IndexMap::new();
    for tag in tags {
        if let Some(value) = values.of(tag) {
            by_value.insert(value.to_owned(), tag);
        }
    }
    let candidate = |(value, tag): (String, &str)| Candidate {
        value,
        tag: tag.to_owned(),
    };
    by_value.into_iter().map(candidate).collect()
}
