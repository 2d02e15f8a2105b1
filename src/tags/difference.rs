//! What came and what went between two lists of tags, and a list with that applied.
//!
//! In: lists descending by bytes, each tag once. Out: a [`Difference`], or the later list. Both
//! lists are walked once, side by side. Pure.

use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::iter::{Peekable, Rev};

use crate::image::{TAG_LIST_BYTES_MAX, TagList, TagListBuilder};

/// What came and what went, descending by bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Difference {
    pub seen: Vec<String>,
    pub vanished: Vec<String>,
}

/// Returns what leads from one list to another.
pub(super) fn between<'a>(
    before: impl Iterator<Item = &'a str>,
    after: impl Iterator<Item = &'a str>,
) -> Difference {
    let (mut before, mut after) = (before.peekable(), after.peekable());
    let mut difference = Difference::default();
    loop {
        // The greater tag stands first; a list that has ended stands behind everything.
        let order = match (before.peek(), after.peek()) {
            (None, None) => return difference,
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
            (Some(old), Some(new)) => old.cmp(new),
        };
        if order.is_eq() {
            before.next();
            after.next();
        } else if order.is_gt() {
            difference.vanished.extend(before.next().map(str::to_owned));
        } else {
            difference.seen.extend(after.next().map(str::to_owned));
        }
    }
}

/// Puts changes into a list while it is read: tags that are there now, and tags that are not.
pub(super) struct Merge<'c> {
    changes: Peekable<Rev<btree_map::Iter<'c, String, bool>>>,
    merged: TagListBuilder,
}

impl<'c> Merge<'c> {
    pub fn new(changes: &'c BTreeMap<String, bool>) -> Self {
        Self {
            changes: changes.iter().rev().peekable(),
            merged: TagListBuilder::default(),
        }
    }

    /// Takes the next tag of the list. Fails when all of them are too long together.
    pub fn take(&mut self, tag: &str) -> Result<(), TooLong> {
        let is_before = |(new, _): &(&String, &bool)| new.as_str() > tag;
        while let Some((new, is_there)) = self.changes.next_if(is_before) {
            self.keep(new, *is_there)?;
        }
        let change = self.changes.next_if(|(new, _)| new.as_str() == tag);
        self.keep(tag, change.is_none_or(|(_, is_there)| *is_there))
    }

    /// Returns the list with the changes. Fails when it is too long.
    pub fn finish(mut self) -> Result<TagList, TooLong> {
        while let Some((new, is_there)) = self.changes.next() {
            self.keep(new, *is_there)?;
        }
        Ok(self.merged.sorted())
    }

    fn keep(&mut self, tag: &str, is_there: bool) -> Result<(), TooLong> {
        if is_there && !self.merged.push(tag) {
            return Err(TooLong);
        }
        Ok(())
    }
}

/// A list that is longer than any list may be.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("tags are longer than {TAG_LIST_BYTES_MAX} bytes together")]
pub(super) struct TooLong;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_leads_from_one_list_to_the_other() {
        for (before, after) in [
            (&["c", "b", "a"][..], &["c", "b", "a"][..]),
            (&["c", "b", "a"], &["d", "b"]),
            (&[], &["b", "a"]),
            (&["b", "a"], &[]),
            (&["10", "1"], &["2", "10", "1.0", "0"]),
        ] {
            let difference = between(before.iter().copied(), after.iter().copied());
            let seen = difference.seen.iter().map(|tag| (tag.clone(), true));
            let vanished = difference.vanished.iter().map(|tag| (tag.clone(), false));
            let changes = seen.chain(vanished).collect();
            let mut merge = Merge::new(&changes);
            for tag in before {
                merge.take(tag).unwrap();
            }
            let got = merge.finish().unwrap().to_strings();
            assert_eq!(got, after, "{before:?} {difference:?}");
            let n_common = before.iter().filter(|tag| after.contains(tag)).count();
            assert_eq!(difference.seen.len(), after.len() - n_common);
            assert_eq!(difference.vanished.len(), before.len() - n_common);
        }
    }
}
