//! [`TagList`]: all tags of a repository in as little memory as their bytes need.
//!
//! In: tags in any order, one at a time. Out: a list descending by bytes, each tag once, as Flux
//! stores it. A million tags of 26 bytes take 34 MB, where a `Vec<String>` takes 72. Pure.

use std::fmt;

/// Bytes of all tags of a list together; positions are 32 bits wide.
pub const TAG_LIST_BYTES_MAX: usize = 1 << 30;

/// Tags descending by bytes, each once.
#[derive(Clone, Default)]
pub struct TagList {
    text: String,
    spans: Vec<Span>,
}

/// Where a tag stands in the text.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    len: u16,
}

/// A list that is being collected, in the order of its coming.
#[derive(Default)]
pub struct TagListBuilder(TagList);

impl TagListBuilder {
    /// Adds a tag. Returns false, and adds nothing, when the tag is longer than 65,535 bytes or
    /// the list is full.
    #[must_use]
    pub fn push(&mut self, tag: &str) -> bool {
        let TagList { text, spans } = &mut self.0;
        let is_full = text.len() + tag.len() > TAG_LIST_BYTES_MAX;
        let (Ok(start), Ok(len), false) =
            (u32::try_from(text.len()), u16::try_from(tag.len()), is_full)
        else {
            return false;
        };
        text.push_str(tag);
        spans.push(Span { start, len });
        true
    }

    /// Returns how many tags were added.
    pub fn len(&self) -> usize {
        self.0.spans.len()
    }

    /// Returns whether no tag was added.
    pub fn is_empty(&self) -> bool {
        self.0.spans.is_empty()
    }

    /// Returns how much memory the tags take.
    pub fn size_bytes(&self) -> usize {
        self.0.size_bytes()
    }

    /// Forgets all but the first `n_tags` that were added.
    pub fn truncate(&mut self, n_tags: usize) {
        let TagList { text, spans } = &mut self.0;
        if let Some(first) = spans.get(n_tags) {
            text.truncate(first.start as usize);
            spans.truncate(n_tags);
        }
    }

    /// Returns the tags in order, each once.
    pub fn sorted(self) -> TagList {
        let TagList { text, mut spans } = self.0;
        spans.sort_unstable_by(|a, b| b.in_text(&text).cmp(a.in_text(&text)));
        spans.dedup_by(|a, b| a.in_text(&text) == b.in_text(&text));
        TagList { text, spans }
    }
}

impl TagList {
    /// Returns how many tags there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns the tag at a place, the greatest at 0.
    pub fn get(&self, place: usize) -> Option<&str> {
        let span = self.spans.get(place)?;
        Some(span.in_text(&self.text))
    }

    /// Returns the tags, descending by bytes.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator + Clone {
        self.spans.iter().map(|span| span.in_text(&self.text))
    }

    /// Returns whether a tag is in the list.
    pub fn contains(&self, tag: &str) -> bool {
        let place = self
            .spans
            .binary_search_by(|span| tag.cmp(span.in_text(&self.text)));
        place.is_ok()
    }

    /// Returns how much memory the tags take.
    pub fn size_bytes(&self) -> usize {
        self.text.len() + self.spans.len() * size_of::<Span>()
    }

    /// Returns the tags as strings of their own, for lists that are known to be short.
    pub fn to_strings(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }
}

impl Span {
    fn in_text(self, text: &str) -> &str {
        let start = self.start as usize;
        &text[start..start + usize::from(self.len)]
    }
}

impl PartialEq for TagList {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for TagList {}

impl<const N: usize> PartialEq<[&str; N]> for TagList {
    fn eq(&self, other: &[&str; N]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

impl fmt::Debug for TagList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_descending_by_bytes_and_each_once() {
        let mut builder = TagListBuilder::default();
        for tag in ["10", "9", "a", "9", "A", "é"] {
            assert!(builder.push(tag));
        }
        let tags = builder.sorted();
        assert_eq!(tags, ["é", "a", "A", "9", "10"]);
        assert_eq!((tags.len(), tags.get(1), tags.get(5)), (5, Some("a"), None));
        assert!(
            ["é", "a", "A", "9", "10"]
                .iter()
                .all(|tag| tags.contains(tag))
        );
        assert!(!tags.contains("b") && !tags.contains("") && !tags.contains("1"));
        assert_eq!(tags.to_strings(), ["é", "a", "A", "9", "10"]);
    }

    #[test]
    fn a_tag_that_does_not_fit_is_not_taken() {
        let mut builder = TagListBuilder::default();
        assert!(builder.push("1"));
        assert!(!builder.push(&"x".repeat(usize::from(u16::MAX) + 1)));
        assert_eq!((builder.len(), builder.size_bytes()), (1, 9));
        assert!(builder.push("20") && builder.push("3"));
        builder.truncate(3);
        builder.truncate(1);
        assert!(builder.push("4"));
        assert_eq!(builder.sorted(), ["4", "1"]);
    }
}
