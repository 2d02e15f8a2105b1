//! The choice among many tags in one walk, and the choice after a few have come or gone.
//!
//! In: a policy, tags descending by bytes, what changed since. Out: a [`Selection`], which knows
//! enough to go on without a look at the other tags. Where that is not enough, it says so and all
//! tags are walked again. Pure.

use super::Error;
use super::choose::Policy;
use super::filter::{Values, candidates};
use super::rank::{Place, Rank};

/// What a policy chose.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The tag.
    pub tag: String,
    /// The value which the filter made of the tag and which the policy compared.
    pub value: String,
    /// Nothing where the choice depends on the order of all tags.
    standing: Option<Standing>,
}

/// What a later value is compared with.
#[derive(Debug, Clone, PartialEq)]
struct Standing {
    rank: Rank,
    /// The first tag that gave the value; `tag` is the last one.
    first: String,
}

impl Selection {
    fn standing(tag: &str, value: &str, rank: Rank) -> Self {
        Self {
            tag: tag.to_owned(),
            value: value.to_owned(),
            standing: Some(Standing {
                rank,
                first: tag.to_owned(),
            }),
        }
    }

    fn rank(&self) -> Option<&Rank> {
        self.standing.as_ref().map(|standing| &standing.rank)
    }
}

impl Policy {
    /// Chooses among tags. Their order breaks ties and says which of several errors is told; it
    /// should be the same in every pass. Fails when there is nothing to choose.
    pub fn choose<'a, T>(&self, tags: T) -> Result<Selection, Error>
    where
        T: IntoIterator<Item = &'a str>,
        T::IntoIter: Clone,
    {
        let tags = tags.into_iter();
        let mut values = Values::new(self.filter.as_ref());
        let mut selection: Option<Selection> = None;
        let mut is_empty = true;
        for tag in tags.clone() {
            let Some(value) = values.of(tag) else {
                continue;
            };
            is_empty = false;
            if let Some(selection) = &mut selection
                && selection.value == value
            {
                selection.tag.clear();
                selection.tag.push_str(tag);
                continue;
            }
            let latest = selection.as_ref().and_then(Selection::rank);
            match self.rule.place(value, latest) {
                Place::Outside | Place::Before => {}
                Place::Behind(rank) => selection = Some(Selection::standing(tag, value, rank)),
                Place::Beside if self.rule.keeps_first_of_equals() => {}
                Place::Beside | Place::Nowhere => return self.choose_among_all(tags),
            }
        }
        match is_empty {
            true => Err(Error::NoCandidates),
            false => selection.ok_or(Error::NoneInRange),
        }
    }

    /// Chooses after tags have come and gone, without a look at the others: those of `before` were
    /// descending by bytes. Returns nothing where all of them must be looked at again.
    pub fn choose_after<'a>(
        &self,
        before: &Selection,
        seen: impl IntoIterator<Item = &'a str>,
        vanished: impl IntoIterator<Item = &'a str>,
    ) -> Option<Selection> {
        let first = &before.standing.as_ref()?.first;
        let counts = |tag: &str| tag == before.tag || tag == first;
        if vanished.into_iter().any(counts) {
            return None;
        }
        let mut values = Values::new(self.filter.as_ref());
        let mut selection = before.clone();
        for tag in seen {
            let Some(value) = values.of(tag) else {
                continue;
            };
            if selection.value == value {
                selection.join(tag);
                continue;
            }
            match self.rule.place(value, selection.rank()) {
                Place::Outside | Place::Before => {}
                Place::Behind(rank) => selection = Selection::standing(tag, value, rank),
                Place::Beside | Place::Nowhere => return None,
            }
        }
        Some(selection)
    }

    /// Returns whether a tag stands before another in the policy's order. It does not when one of
    /// them takes no part.
    pub fn is_before(&self, tag: &str, other: &str) -> bool {
        let mut values = Values::new(self.filter.as_ref());
        let Some(other) = values.of(other) else {
            return false;
        };
        let Place::Behind(rank) = self.rule.place(other, None) else {
            return false;
        };
        let value = values.of(tag);
        value.is_some_and(|value| matches!(self.rule.place(value, Some(&rank)), Place::Before))
    }

    /// Chooses as [`Policy::choose`] does, where the order of all values counts.
    fn choose_among_all<'a>(
        &self,
        tags: impl Iterator<Item = &'a str>,
    ) -> Result<Selection, Error> {
        let candidates = candidates(self.filter.as_ref(), tags);
        let chosen = self.rule.choose(&candidates)?;
        Ok(Selection {
            tag: chosen.tag.clone(),
            value: chosen.value.clone(),
            standing: None,
        })
    }
}

impl Selection {
    /// Adds one more tag that gives the same value.
    fn join(&mut self, tag: &str) {
        if tag < self.tag.as_str() {
            tag.clone_into(&mut self.tag);
        }
        if let Some(standing) = &mut self.standing
            && tag > standing.first.as_str()
        {
            tag.clone_into(&mut standing.first);
        }
    }
}

#[cfg(test)]
mod tests;
