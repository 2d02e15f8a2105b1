//! One page of a tag list: its body, read as it comes.
//!
//! In: pieces of the body of `GET /v2/<repository>/tags/list`. Out: the tags that are kept, cut out
//! of the stream so that neither a page nor a refused tag is ever held. Names are compared as Go
//! compares them, without case; a name that is there twice is refused. Pure.

use super::json::{Event, Reader};
use crate::image::{TagList, TagListBuilder};

/// Tags of one repository that are kept at most.
pub const TAGS_MAX: usize = 2_000_000;

/// Bytes of memory that the kept tags of one repository take at most.
pub const TAGS_BYTES_MAX: usize = 64 << 20;

/// Pages of one scan: as many tags as are kept, where a registry gives the fewest in a page that were
/// seen, about fifty.
pub const PAGES_MAX: usize = 40_000;

/// Bytes of one tag; a tag that can be pulled has at most 128.
pub const TAG_BYTES_MAX: usize = 1024;

/// Collects tags over the pages of a scan.
pub(super) struct Tags<'a> {
    keep: &'a (dyn Fn(&str) -> bool + Send + Sync),
    kept: TagListBuilder,
    n_dropped: usize,
    tags_max: usize,
    /// Which bound was met; it is no fault of the page's form.
    bound: Option<String>,
}

/// How much was collected at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    n_kept: usize,
    n_dropped: usize,
}

impl<'a> Tags<'a> {
    pub(super) fn new(keep: &'a (dyn Fn(&str) -> bool + Send + Sync), tags_max: usize) -> Self {
        Self {
            keep,
            kept: TagListBuilder::default(),
            n_dropped: 0,
            tags_max,
            bound: None,
        }
    }

    /// Returns how much was collected so far.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            n_kept: self.kept.len(),
            n_dropped: self.n_dropped,
        }
    }

    /// Goes back to a mark, so that a page that broke off can be read again.
    pub(super) fn go_back(&mut self, mark: Mark) {
        self.kept.truncate(mark.n_kept);
        self.n_dropped = mark.n_dropped;
    }

    /// Returns the kept tags, newest first by bytes (as Flux stores them), each once, and the
    /// number of dropped ones.
    pub(super) fn finish(self) -> (TagList, usize) {
        (self.kept.sorted(), self.n_dropped)
    }

    fn take(&mut self, tag: &str) -> Result<(), String> {
        if tag.is_empty() || tag.len() > TAG_BYTES_MAX || has_control(tag) {
            return Err(format!(
                "a tag of {} bytes is empty, too long or holds control characters",
                tag.len()
            ));
        }
        if !(self.keep)(tag) {
            self.n_dropped += 1;
            return Ok(());
        }
        let what = if self.kept.len() == self.tags_max {
            format!("more than {} tags", self.tags_max)
        } else if self.kept.size_bytes() + tag.len() > TAGS_BYTES_MAX || !self.kept.push(tag) {
            format!("tags of more than {TAGS_BYTES_MAX} bytes")
        } else {
            return Ok(());
        };
        let bound = format!(
            "{what}, which is the limit of one repository; spec.exclusionList can leave some out"
        );
        self.bound = Some(bound.clone());
        Err(bound)
    }
}

/// One page that is being read: the object `{"name": …, "tags": […]}`.
#[derive(Default)]
pub(super) struct Page {
    reader: Reader,
    object: Object,
}

#[derive(Default)]
struct Object {
    name: Name,
    has_name: bool,
    has_tags: bool,
}

/// The name whose value is being read.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Name {
    Tags,
    #[default]
    Other,
}

impl Page {
    /// Takes the tags of a piece. Fails with a reason when the body is no tag list.
    pub(super) fn read(&mut self, piece: &[u8], tags: &mut Tags<'_>) -> Result<(), String> {
        let Self { reader, object } = self;
        let read = reader.read(piece, &mut |depth, event| object.take(depth, event, tags));
        read.map_err(|reason| tags.bound.take().unwrap_or_else(|| not_a_list(reason)))
    }

    /// Ends the page. Fails with a reason when it is not whole, or names neither list nor
    /// repository: a login page or a list of errors with status 200 must not read as "no tags".
    pub(super) fn end(self) -> Result<(), String> {
        let Self { reader, object } = self;
        reader.end().map_err(not_a_list)?;
        match object.has_name || object.has_tags {
            true => Ok(()),
            false => Err(not_a_list("neither \"name\" nor \"tags\" in it".into())),
        }
    }
}

/// Returns whether control characters are in a text; in one of plain ASCII none is looked for.
fn has_control(text: &str) -> bool {
    // Without an early end, so that many bytes are looked at together.
    let is_plain = text.bytes().fold(true, |is_plain, byte| {
        is_plain & matches!(byte, b' '..=b'~')
    });
    !is_plain && text.chars().any(char::is_control)
}

fn not_a_list(reason: String) -> String {
    format!("is not a tag list: {reason}")
}

impl Object {
    fn take(&mut self, depth: u32, event: Event<'_>, tags: &mut Tags<'_>) -> Result<(), String> {
        let fail = |reason: &str| Err(reason.to_owned());
        match (depth, self.name, event) {
            (0, _, Event::Object | Event::Close) => Ok(()),
            (0, ..) => fail("it is no object with \"name\" and \"tags\""),
            (1, _, Event::Key(key)) => self.key(key.unwrap_or_default()),
            (1, Name::Tags, Event::Array | Event::Null | Event::Close) => Ok(()),
            (1, Name::Tags, _) => fail("\"tags\" is not a list of tags"),
            (2, Name::Tags, Event::Text(Some(tag))) => tags.take(tag),
            (2, Name::Tags, Event::Text(None)) => fail("a tag is too long"),
            (2, Name::Tags, _) => fail("one of the list is not a tag"),
            _ => Ok(()),
        }
    }

    fn key(&mut self, key: &str) -> Result<(), String> {
        self.name = Name::Other;
        let known = if key.eq_ignore_ascii_case("tags") {
            self.name = Name::Tags;
            &mut self.has_tags
        } else if key.eq_ignore_ascii_case("name") {
            &mut self.has_name
        } else {
            return Ok(());
        };
        match std::mem::replace(known, true) {
            true => Err(format!("{:?} is in it twice", key.to_ascii_lowercase())),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body in pieces of every small size and whole, which must not make a difference.
    fn read(body: impl AsRef<[u8]>) -> Result<Vec<String>, String> {
        let body = body.as_ref();
        let in_pieces = |n: usize| {
            let keep = |tag: &str| !tag.ends_with(".sig");
            let mut tags = Tags::new(&keep, 4);
            let mut page = Page::default();
            for piece in body.chunks(n) {
                page.read(piece, &mut tags)?;
            }
            page.end()?;
            Ok(tags.finish().0.to_strings())
        };
        let whole = in_pieces(body.len().max(1));
        for n in 1..body.len().min(5) {
            assert_eq!(in_pieces(n), whole, "in pieces of {n}");
        }
        whole
    }

    #[test]
    fn tag_lists_are_read_filtered_and_sorted_descending() {
        for (body, want) in [
            (
                r#"{"name":"a","tags":["1","3","2","3"]}"#,
                &["3", "2", "1"][..],
            ),
            (r#"{"tags":["a.sig","b"],"x":{"tags":["z"]}}"#, &["b"]),
            (r#"{"x":[["1"],{"tags":1}],"Tags":["b"]}"#, &["b"]),
            (r#"{"name":"a","tags":null}"#, &[]),
            (r#"{"name":null,"tags":[]}"#, &[]),
            (r#"{"name":"a"}"#, &[]),
            (r#"{"tags":["A","\u0041\/"]}"#, &["A/", "A"]),
        ] {
            let tags = read(body);
            assert_eq!(tags.as_deref(), Ok(&*owned(want)), "{body}");
        }
    }

    fn owned(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    #[test]
    fn rg5_what_is_no_tag_list_is_refused() {
        let huge = format!(r#"{{"tags":["{}"]}}"#, "x".repeat(1 << 20));
        let long = format!(r#"{{"tags":["{}"]}}"#, "x".repeat(TAG_BYTES_MAX + 1));
        let deep = format!(r#"{{"x":{}"#, "[".repeat(100_000));
        let cases: [(&[u8], &str); 21] = [
            (b"", "EOF"),
            (br#"{"tags":["a""#, "EOF"),
            (b"<html>", "expected value"),
            (br#"{"errors":[]}"#, "neither"),
            (br#"{}"#, "neither"),
            (br#"[]"#, "it is no object"),
            (br#"null"#, "it is no object"),
            (br#"{"tags":"a"}"#, "is not a list of tags"),
            (br#"{"tags":{"a":1}}"#, "is not a list of tags"),
            (br#"{"tags":[1]}"#, "is not a tag"),
            (br#"{"tags":[null]}"#, "is not a tag"),
            (br#"{"tags":[["a"]]}"#, "is not a tag"),
            (br#"{"tags":[""]}"#, "0 bytes"),
            (br#"{"tags":["a\nb"]}"#, "control characters"),
            (br#"{"tags":["1"],"TAGS":["2"]}"#, "\"tags\" is in it twice"),
            (br#"{"name":"a","name":"b"}"#, "\"name\" is in it twice"),
            (br#"{"tags":[]}x"#, "trailing"),
            (b"{\"tags\":[\"a\xff\"]}", "not UTF-8"),
            (long.as_bytes(), "too long"),
            (huge.as_bytes(), "too long"),
            (deep.as_bytes(), "more than 64 levels"),
        ];
        for (body, want) in cases {
            let error = read(body).unwrap_err();
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
            assert!(error.contains(want), "{shown}: {error}");
            assert!(error.starts_with("is not a tag list: "), "{error}");
        }
    }

    #[test]
    fn rg5_a_list_beyond_the_bound_is_refused_as_such() {
        let error = read(r#"{"tags":["1","2","3","4","5"]}"#).unwrap_err();
        assert_eq!(
            error,
            "more than 4 tags, which is the limit of one repository; spec.exclusionList can leave \
             some out"
        );
    }
}
