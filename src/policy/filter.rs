//! Filters tags by a pattern and extracts the part of them that a policy compares.
//!
//! In: `spec.filterTags` and the tags. Out: candidates, each the value that the policy sees with
//! the tag it came from. Two tags may give one value: the later tag stands for it, as in Flux.

use indexmap::IndexMap;

use super::Error;
use crate::pattern::Pattern;

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
        let found = self.pattern.find(tag)?;
        if self.extract.is_empty() {
            return Some(tag.to_owned());
        }
        Some(self.pattern.expand(&self.extract, &found))
    }
}

/// Returns the candidates in the order of the tags, each value once.
pub(super) fn candidates<'a>(
    filter: Option<&TagFilter>,
    tags: impl IntoIterator<Item = &'a str>,
) -> Vec<Candidate> {
    let mut by_value: IndexMap<String, &str> = IndexMap::new();
    for tag in tags {
        let value = match filter {
            Some(filter) => filter.value(tag),
            None => Some(tag.to_owned()),
        };
        if let Some(value) = value {
            by_value.insert(value, tag);
        }
    }
    let candidate = |(value, tag): (String, &str)| Candidate {
        value,
        tag: tag.to_owned(),
    };
    by_value.into_iter().map(candidate).collect()
}
