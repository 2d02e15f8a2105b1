//! [`TagList`]: all tags of a repository in as little memory as their bytes need.
//!
//! In: tags in any order, one at a time. Out: a list descending by bytes, each tag once, as Flux
//! stores it. A million tags of 26 bytes take 34 MB, where a `Vec<String>` takes 72. Pure.

use std::fmt;

/// Bytes of all tags of a list together; positions are 32 bits wide.
pub const TAG_LIST_BYTES_MAX: usize = 1 << 30;

/// Tags that are sorted by numbers beside them.
const KEYED_MAX: usize = 100_000;
/// Bytes of one piece of the text: a long text that grew as one would be copied again and again.
const PIECE_BYTES: usize = 256 << 10;

/// Tags descending by bytes, each once.
#[derive(Clone, Default)]
pub struct TagList {
    pieces: Vec<String>,
    /// Bytes of all pieces together.
    n_bytes: usize,
    spans: Vec<Span>,
}

/// Where a tag stands in the text.
#[derive(Clone, Copy)]
struct Span {
    piece: u16,
    len: u16,
    start: u32,
}

/// A list that is being collected, in the order of its coming.
#[derive(Default)]
pub struct TagListBuilder(TagList);

impl TagListBuilder {
    /// Adds a tag. Returns false, and adds nothing, when the tag is longer than 65,535 bytes or
    /// the list is full.
    #[must_use]
    pub fn push(&mut self, tag: &str) -> bool {
        let TagList {
            pieces,
            n_bytes,
            spans,
        } = &mut self.0;
        let Ok(len) = u16::try_from(tag.len()) else {
            return false;
        };
        let last = pieces.last().map(String::len);
        if last.is_none_or(|bytes| bytes + tag.len() > PIECE_BYTES) {
            if pieces.len() >= TAG_LIST_BYTES_MAX / PIECE_BYTES {
                return false;
            }
            // The first one grows, since most lists are short.
            pieces.push(String::with_capacity(last.map_or(0, |_| PIECE_BYTES)));
        }
        let (n_before, Some(text)) = (pieces.len() - 1, pieces.last_mut()) else {
            return false;
        };
        let (Ok(piece), Ok(start)) = (u16::try_from(n_before), u32::try_from(text.len())) else {
            return false;
        };
        text.push_str(tag);
        *n_bytes += tag.len();
        spans.push(Span { piece, len, start });
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
        let TagList {
            pieces,
            n_bytes,
            spans,
        } = &mut self.0;
        if let Some(first) = spans.get(n_tags) {
            let piece = usize::from(first.piece);
            pieces.truncate(piece + 1);
            if let Some(last) = pieces.get_mut(piece) {
                last.truncate(first.start as usize);
            }
            spans.truncate(n_tags);
            *n_bytes = pieces.iter().map(String::len).sum();
        }
    }

    /// Returns the tags in order, each once.
    pub fn sorted(self) -> TagList {
        let TagList {
            pieces,
            n_bytes,
            mut spans,
        } = self.0;
        if spans.is_sorted_by(|a, b| a.in_text(&pieces) < b.in_text(&pieces)) {
            // Most registries send them so.
            spans.reverse();
        } else if !spans.is_sorted_by(|a, b| a.in_text(&pieces) > b.in_text(&pieces)) {
            spans = descending(&pieces, spans);
        }
        TagList {
            pieces,
            n_bytes,
            spans,
        }
    }
}

/// Sorts by what differs: the eight bytes behind the beginning that all tags share are compared as
/// one number, and whole tags only where these are equal.
///
/// A long list is sorted where it stands, which takes longer and no more memory.
fn descending(text: &[String], mut spans: Vec<Span>) -> Vec<Span> {
    if spans.len() > KEYED_MAX {
        spans.sort_unstable_by(|a, b| b.in_text(text).cmp(a.in_text(text)));
        spans.dedup_by(|a, b| a.in_text(text) == b.in_text(text));
        return spans;
    }
    let n_shared = n_shared(text, &spans);
    let mut keyed: Vec<(u64, Span)> = spans
        .into_iter()
        .map(|span| (key(&span.in_text(text).as_bytes()[n_shared..]), span))
        .collect();
    keyed.sort_unstable_by(|(a_key, a), (b_key, b)| {
        let by_key = b_key.cmp(a_key);
        by_key.then_with(|| b.in_text(text).cmp(a.in_text(text)))
    });
    keyed.dedup_by(|(_, a), (_, b)| a.in_text(text) == b.in_text(text));
    keyed.into_iter().map(|(_, span)| span).collect()
}

/// Returns with how many bytes all tags begin alike.
fn n_shared(text: &[String], spans: &[Span]) -> usize {
    let mut tags = spans.iter().map(|span| span.in_text(text).as_bytes());
    let mut shared = tags.next().unwrap_or_default();
    for tag in tags {
        if !tag.starts_with(shared) {
            let alike = shared.iter().zip(tag).take_while(|(a, b)| a == b);
            shared = &shared[..alike.count()];
        }
    }
    shared.len()
}

/// Returns the first bytes as a number that orders as they do; what is missing is 0.
fn key(bytes: &[u8]) -> u64 {
    let mut key = [0; 8];
    let n = bytes.len().min(key.len());
    key[..n].copy_from_slice(&bytes[..n]);
    u64::from_be_bytes(key)
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
        Some(span.in_text(&self.pieces))
    }

    /// Returns the tags, descending by bytes.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator + Clone {
        self.spans.iter().map(|span| span.in_text(&self.pieces))
    }

    /// Returns whether a tag is in the list.
    pub fn contains(&self, tag: &str) -> bool {
        let place = self
            .spans
            .binary_search_by(|span| tag.cmp(span.in_text(&self.pieces)));
        place.is_ok()
    }

    /// Returns how much memory the tags take.
    pub fn size_bytes(&self) -> usize {
        self.n_bytes + self.spans.len() * size_of::<Span>()
    }

    /// Returns the tags as strings of their own, for lists that are known to be short.
    pub fn to_strings(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }
}

impl Span {
    fn in_text(self, pieces: &[String]) -> &str {
        let start = self.start as usize;
        &pieces[usize::from(self.piece)][start..start + usize::from(self.len)]
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
    fn however_tags_come_they_are_ordered_as_strings_are() {
        let lists: [&[&str]; 7] = [
            &[],
            &["a"],
            &["1", "2", "3"],
            &["3", "2", "1"],
            &["1", "1"],
            &[
                "main-a",
                "main-",
                "main-a\0",
                "main-a\0\0b",
                "main-abcdefghi",
                "main-abcdefgh",
            ],
            &[
                "v1.10.0-rc.1",
                "v1.10.0-rc.10",
                "v1.10.0-rc.2",
                "v1.9",
                "v1.10.0-rc.2",
                "w",
            ],
        ];
        for list in lists {
            let mut builder = TagListBuilder::default();
            assert!(list.iter().all(|tag| builder.push(tag)));
            let mut want: Vec<&str> = list.to_vec();
            want.sort_unstable_by(|a, b| b.cmp(a));
            want.dedup();
            assert_eq!(builder.sorted().to_strings(), want, "{list:?}");
        }
    }

    #[test]
    fn a_long_list_is_ordered_as_a_short_one_is() {
        let mut builder = TagListBuilder::default();
        for n in 0..=KEYED_MAX {
            assert!(builder.push(&format!("{:06}", n * 7 % KEYED_MAX)));
        }
        let list = builder.sorted();
        assert_eq!(list.len(), KEYED_MAX, "the last tag was there");
        assert!(list.iter().is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn a_list_of_many_pieces_reads_as_one() {
        let tags: Vec<String> = (0..70).map(|n| format!("{n:060000}")).collect();
        let mut builder = TagListBuilder::default();
        assert!(tags.iter().all(|tag| builder.push(tag)));
        assert_eq!(builder.size_bytes(), 70 * 60_008);
        builder.truncate(40);
        assert_eq!(builder.size_bytes(), 40 * 60_008);
        assert!(builder.push("9"));
        let list = builder.sorted();
        assert_eq!((list.len(), list.get(0)), (41, Some("9")));
        assert!(list.iter().skip(1).eq(tags[..40].iter().rev()));
        assert!(list.contains(&tags[17]) && !list.contains(&tags[40]));
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
