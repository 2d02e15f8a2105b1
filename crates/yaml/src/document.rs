//! A YAML text as documents of byte spans: what stands where, and which comment belongs to what.
//!
//! In: a text with any number of documents. Out: one [`Document`] for each, its scalars with the
//! bytes they take and the comments beside and above them; a document that is not YAML is
//! [`Broken`] and leaves its neighbours alone. Aliases are not followed and nothing is resolved.
//! The text itself is never rewritten here; `edit` does.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::error::{Error, Problem};
use crate::node::Style;

/// How deep collections may nest.
pub const NESTING_MAX: usize = 200;
/// How many characters a key on one line may have.
const KEY_CHARS_MAX: usize = 1024;
/// How many comments that touch a quoted scalar are tolerated in a document. Other readers take
/// them; each one costs another pass here.
const TOUCHING_COMMENTS_MAX: usize = 16;

/// One document of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The bytes of the document, from its `---` to the next one.
    pub span: Range<usize>,
    /// The line it starts in, from 1.
    pub line: u32,
    /// Whether a directive such as `%YAML` stands before it.
    pub has_directive: bool,
    /// What it holds; nothing when there are comments only.
    pub root: Option<SpanNode>,
    /// All scalars in the order of the text, keys among them.
    pub scalars: Vec<SpanScalar>,
    /// All comments in the order of the text.
    pub comments: Vec<Comment>,
}

/// A document that is not YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The bytes of the document.
    pub span: Range<usize>,
    /// What is wrong, by the lines of the whole text.
    pub error: Error,
}

/// A value of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanNode {
    /// The scalar of that index.
    Scalar(usize),
    /// An alias.
    Alias,
    /// A sequence.
    Sequence(Vec<SpanNode>),
    /// A mapping in the order of the text, duplicate keys included.
    Mapping(Vec<(SpanNode, SpanNode)>),
}

/// A scalar and its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanScalar {
    /// The text that it means.
    pub text: String,
    /// How it is written.
    pub style: Style,
    /// The bytes it takes, quotes included, tag and anchor not; the lines below the header of a
    /// block. Empty when no value is written.
    pub span: Range<usize>,
    /// The bytes of a block's header, such as `|+`.
    pub header: Option<Range<usize>>,
    /// The line it starts in, from 1.
    pub line: u32,
    /// The index of the comment behind it, on its last line or on the line of a block's header.
    pub beside: Option<usize>,
    /// The index of the comment that stands alone on the line above it.
    pub above: Option<usize>,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// The bytes from `#` to the end of the line.
    pub span: Range<usize>,
    /// The line, from 1.
    pub line: u32,
    /// Whether it is one of several comment lines that stand together.
    pub is_one_of_several: bool,
}

impl Document {
    /// Returns the scalar of a node, if it is one.
    pub fn scalar(&self, node: &SpanNode) -> Option<&SpanScalar> {
        match node {
            SpanNode::Scalar(index) => self.scalars.get(*index),
            _ => None,
        }
    }

    /// Returns the first value under a key of a mapping.
    pub fn get<'d>(&'d self, node: &'d SpanNode, key: &str) -> Option<&'d SpanNode> {
        let SpanNode::Mapping(entries) = node else {
            return None;
        };
        let is_key = |node: &SpanNode| self.scalar(node).is_some_and(|scalar| scalar.text == key);
        entries
            .iter()
            .find(|(name, _)| is_key(name))
            .map(|(_, value)| value)
    }
}

impl SpanScalar {
    /// Returns whether no value is written, as behind `key:`.
    pub fn is_missing(&self) -> bool {
        self.style == Style::Plain && self.span.is_empty()
    }
}

/// Reads all documents of a text.
pub fn read(text: &str) -> Vec<Result<Document, Broken>> {
    let mut documents = Vec::new();
    for chunk in chunks(text) {
        read_chunk(text, chunk, &mut documents);
    }
    documents
}

/// The bytes between two separators.
#[derive(Debug, Clone)]
struct Chunk {
    span: Range<usize>,
    /// The lines before it.
    n_lines: u32,
    has_directive: bool,
}

/// Splits a text at the lines that begin with `---`; no scalar can hold such a line. A separator
/// behind directives belongs to them.
fn chunks(text: &str) -> Vec<Chunk> {
    let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let mut chunks = Vec::new();
    let mut chunk = Chunk {
        span: start..start,
        n_lines: 0,
        has_directive: false,
    };
    let mut has_content = false;
    for (n_lines, line) in (0..).zip(text[start..].split_inclusive('\n')) {
        let rest = line.strip_prefix("---");
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            if has_content || !chunk.has_directive {
                let next = Chunk {
                    span: chunk.span.end..chunk.span.end,
                    n_lines,
                    has_directive: false,
                };
                chunks.push(std::mem::replace(&mut chunk, next));
            }
            has_content = true;
        } else if !has_content && line.starts_with('%') {
            chunk.has_directive = true;
        } else if !line.trim_start().is_empty() && !line.trim_start().starts_with('#') {
            has_content = true;
        }
        chunk.span.end += line.len();
    }
    chunks.push(chunk);
    chunks.retain(|chunk| !chunk.span.is_empty());
    chunks
}

/// Reads the documents of a chunk: one, or several parted by `...`.
fn read_chunk(text: &str, chunk: Chunk, documents: &mut Vec<Result<Document, Broken>>) {
    let mut patched = Patched {
        text: text[chunk.span.clone()].to_owned(),
        inserted: Vec::new(),
    };
    let n_before = documents.len();
    loop {
        let mut reader = Reader::new(text, &chunk, &patched);
        let Err((line, column, message)) = reader.read(documents) else {
            return;
        };
        let may_retry = patched.inserted.len() < TOUCHING_COMMENTS_MAX;
        if may_retry && patched.part_comment_from_quote(line, column) {
            documents.truncate(n_before);
            continue;
        }
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        let column = u32::try_from(column + 1).unwrap_or(u32::MAX);
        documents.push(Err(Broken {
            error: Error::new(line.saturating_add(chunk.n_lines), column, message),
            span: chunk.span,
        }));
        return;
    }
}

/// A chunk with blanks put between quoted scalars and the comments that touch them.
struct Patched {
    text: String,
    /// Where the blanks are, in order.
    inserted: Vec<usize>,
}

impl Patched {
    /// Puts a blank before a `#` that touches a quote at that place; says whether there is one.
    fn part_comment_from_quote(&mut self, line: usize, column: usize) -> bool {
        let Some(before) = line.checked_sub(1) else {
            return false;
        };
        let line_start: usize = (self.text.split_inclusive('\n').take(before))
            .map(str::len)
            .sum();
        let rest = &self.text[line_start..];
        let Some((in_line, '#')) = rest.char_indices().nth(column) else {
            return false;
        };
        let at = line_start + in_line;
        let touches = self.text[..at].ends_with(['\'', '"']);
        if touches {
            self.text.insert(at, ' ');
            self.inserted.push(at);
        }
        touches
    }

    /// Returns the place in the chunk as it was given.
    fn original(&self, at: usize) -> usize {
        at - self.inserted.partition_point(|blank| *blank < at)
    }
}

/// What the event before was, as far as a comment behind it may belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Previous {
    Value(usize),
    Other,
}

/// A comment alone on its line which may belong to the next scalar.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    comment: usize,
    /// Whether the start of a sequence came after it.
    in_sequence: bool,
}

struct Reader<'t> {
    text: &'t str,
    chunk: &'t Chunk,
    patched: &'t Patched,
    document: Document,
    open: Vec<(SpanNode, Option<SpanNode>)>,
    previous: Previous,
    /// The end of what was read last.
    end: usize,
    waiting: Option<Waiting>,
}

type ReadError = (usize, usize, Problem);

impl<'t> Reader<'t> {
    fn new(text: &'t str, chunk: &'t Chunk, patched: &'t Patched) -> Self {
        Self {
            text,
            chunk,
            patched,
            document: empty(chunk),
            open: Vec::new(),
            previous: Previous::Other,
            end: chunk.span.start,
            waiting: None,
        }
    }

    /// Reads to the end; a document without content is told only for its comments.
    fn read(&mut self, documents: &mut Vec<Result<Document, Broken>>) -> Result<(), ReadError> {
        let options = granit_parser::options! { simple_key_max_lookahead: KEY_CHARS_MAX };
        for event in Parser::new_from_str_with_options(&self.patched.text, options) {
            let (event, span) = event.map_err(|error| {
                let mark = error.marker();
                (mark.line(), mark.col(), Problem::Syntax(error.info()))
            })?;
            if matches!(event, Event::DocumentEnd) {
                let next = empty(self.chunk);
                documents.push(Ok(std::mem::replace(&mut self.document, next)));
                self.waiting = None;
                self.previous = Previous::Other;
                continue;
            }
            self.step(event, &span)?;
        }
        if !self.document.comments.is_empty() {
            documents.push(Ok(std::mem::replace(&mut self.document, empty(self.chunk))));
        }
        Ok(())
    }

    fn step(&mut self, event: Event<'_>, span: &Span) -> Result<(), ReadError> {
        let bytes = span.byte_range().unwrap_or(0..0);
        let place = |at| self.chunk.span.start + self.patched.original(at);
        let bytes = place(bytes.start)..place(bytes.end);
        let line = u32::try_from(span.start.line()).unwrap_or(u32::MAX);
        let line = line.saturating_add(self.chunk.n_lines);
        match event {
            Event::Comment(..) => self.comment(bytes, line),
            Event::Scalar(text, style, ..) => {
                self.scalar(text.into_owned(), style, bytes, line);
            }
            Event::Alias(_) => {
                self.end = bytes.end;
                self.finish(SpanNode::Alias);
            }
            Event::SequenceStart(..) => {
                self.begin(SpanNode::Sequence(Vec::new()), bytes, span)?;
            }
            Event::MappingStart(..) => {
                self.begin(SpanNode::Mapping(Vec::new()), bytes, span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.end = self.end.max(bytes.end);
                if let Some((node, _)) = self.open.pop() {
                    self.finish(node);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, node: SpanNode, bytes: Range<usize>, span: &Span) -> Result<(), ReadError> {
        if self.open.len() >= NESTING_MAX {
            return Err((span.start.line(), span.start.col(), Problem::TooDeep));
        }
        self.end = self.end.max(bytes.end);
        self.previous = Previous::Other;
        // The comment above a sequence belongs to its first item, above a mapping to the key.
        let is_sequence = matches!(node, SpanNode::Sequence(_));
        self.waiting = self
            .waiting
            .take()
            .filter(|w| is_sequence && !w.in_sequence);
        if let Some(waiting) = &mut self.waiting {
            waiting.in_sequence = true;
        }
        self.open.push((node, None));
        Ok(())
    }

    /// Puts a complete node where it belongs.
    fn finish(&mut self, node: SpanNode) {
        self.waiting = None;
        let value = match node {
            SpanNode::Scalar(index) => Previous::Value(index),
            _ => Previous::Other,
        };
        self.previous = value;
        match self.open.last_mut() {
            None => self.document.root = Some(node),
            Some((SpanNode::Sequence(items), _)) => items.push(node),
            Some((SpanNode::Mapping(entries), key)) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    *key = Some(node);
                    self.previous = Previous::Other;
                }
            },
            Some(_) => {}
        }
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, bytes: Range<usize>, line: u32) {
        let style = match style {
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
            ScalarStyle::Plain => Style::Plain,
        };
        let is_block = matches!(style, Style::Literal | Style::Folded);
        let header = if is_block { self.block_header() } else { None };
        let mut scalar = SpanScalar {
            text,
            style,
            span: bytes,
            header,
            line,
            beside: None,
            above: None,
        };
        if scalar.is_missing() {
            scalar.text.clear();
        }
        if let Some(header) = &scalar.header {
            // A carriage return alone ends a line as well.
            let rest = &self.text[header.end..];
            let below = rest.find(['\n', '\r']).map(|n| {
                let is_pair = rest[n..].starts_with("\r\n");
                header.end + n + if is_pair { 2 } else { 1 }
            });
            scalar.span.start = below.unwrap_or(scalar.span.end).min(scalar.span.end);
        }
        let is_key = matches!(self.open.last(), Some((SpanNode::Mapping(_), None)));
        if !is_key {
            scalar.above = self.comment_above(&scalar);
        }
        self.end = self.end.max(scalar.span.end);
        let index = self.document.scalars.len();
        self.document.scalars.push(scalar);
        self.finish(SpanNode::Scalar(index));
    }

    /// Finds the `|` or `>` of a block behind what was read last.
    fn block_header(&self) -> Option<Range<usize>> {
        let between = self.text.get(self.end..self.chunk.span.end)?;
        let mut at = 0;
        // Tag and anchor come first.
        loop {
            let rest = &between[at..];
            let blank = rest.len()
                - rest
                    .trim_start_matches([' ', '\t', '\r', '\n', ':', '-', '?'])
                    .len();
            at += blank;
            match between[at..].chars().next()? {
                '|' | '>' => break,
                _ => at += between[at..].find(char::is_whitespace)?,
            }
        }
        let sign = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-');
        let signs = &between[at + 1..];
        let n_signs = signs.find(|c| !sign(c)).unwrap_or(signs.len());
        Some(self.end + at..self.end + at + 1 + n_signs)
    }

    /// Returns the comment that waits, if the scalar stands on the very next line.
    fn comment_above(&self, scalar: &SpanScalar) -> Option<usize> {
        let waiting = self.waiting?;
        let comment = self.document.comments.get(waiting.comment)?;
        let start = scalar.header.as_ref().unwrap_or(&scalar.span).start;
        let between = self.text.get(comment.span.end..start)?;
        (between.matches('\n').count() == 1).then_some(waiting.comment)
    }

    fn comment(&mut self, bytes: Range<usize>, line: u32) {
        let index = self.document.comments.len();
        let line_start = self.text[..bytes.start].rfind('\n').map_or(0, |n| n + 1);
        let indent = self.text[line_start..bytes.start].trim_start_matches('\u{feff}');
        let stands_alone = indent.trim().is_empty();
        let mut is_one_of_several = false;
        if stands_alone
            && let Some(last) = self.document.comments.last_mut()
            && last.line + 1 == line
            && self
                .waiting
                .is_some_and(|waiting| waiting.comment + 1 == index)
        {
            last.is_one_of_several = true;
            is_one_of_several = true;
        }
        if let Previous::Value(scalar) = self.previous
            && let Some(scalar) = self.document.scalars.get_mut(scalar)
            && scalar.beside.is_none()
        {
            let from = scalar.header.as_ref().unwrap_or(&scalar.span).end;
            let between = self.text.get(from..bytes.start);
            if !stands_alone && between.is_some_and(|between| !between.contains('\n')) {
                scalar.beside = Some(index);
            }
        }
        self.waiting = stands_alone.then_some(Waiting {
            comment: index,
            in_sequence: false,
        });
        self.end = self.end.max(bytes.end);
        self.document.comments.push(Comment {
            span: bytes,
            line,
            is_one_of_several,
        });
    }
}

fn empty(chunk: &Chunk) -> Document {
    Document {
        span: chunk.span.clone(),
        line: chunk.n_lines + 1,
        has_directive: chunk.has_directive,
        root: None,
        scalars: Vec::new(),
        comments: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, TOUCHING_COMMENTS_MAX, read};

    fn documents(text: &str) -> Vec<Document> {
        read(text).into_iter().map(Result::unwrap).collect()
    }

    fn pairs(text: &str) -> Vec<(String, Option<String>, Option<String>)> {
        let mut pairs = Vec::new();
        for document in documents(text) {
            let comment = |index: Option<usize>| {
                index.map(|index| text[document.comments[index].span.clone()].to_owned())
            };
            for scalar in &document.scalars {
                if scalar.beside.is_some() || scalar.above.is_some() {
                    let written = text[scalar.span.clone()].to_owned();
                    pairs.push((written, comment(scalar.beside), comment(scalar.above)));
                }
            }
        }
        pairs
    }

    fn beside(value: &str, comment: &str) -> (String, Option<String>, Option<String>) {
        (value.to_owned(), Some(comment.to_owned()), None)
    }

    #[test]
    fn a_comment_belongs_to_the_value_it_stands_behind() {
        assert_eq!(
            pairs("\u{feff}a: 'x'   # one\r\nb: y\r\n"),
            [beside("'x'", "# one")]
        );
        assert_eq!(pairs("a: {b: x, # one\n c: y}\n"), [beside("x", "# one")]);
        assert_eq!(pairs("a: &b !!str x # one\n"), [beside("x", "# one")]);
        assert_eq!(
            pairs("a: |+ # one\n  x\n\nb: y\n"),
            [beside("  x\n\n", "# one")]
        );
    }

    #[test]
    fn a_comment_behind_a_key_a_collection_or_an_alias_belongs_to_nothing() {
        assert_eq!(pairs("a: # one\n  b: x\n"), []);
        assert_eq!(pairs("a: # one\n  x\n"), []);
        assert_eq!(pairs("a: [x, y] # one\n"), []);
        assert_eq!(pairs("a: &x 1\nb: *x # one\n"), []);
    }

    #[test]
    fn a_comment_above_belongs_to_an_item_or_to_a_value_on_its_own_line() {
        let above = |value: &str| (value.to_owned(), None, Some("# one".to_owned()));
        assert_eq!(pairs("a:\n# one\n- x\n- y\n"), [above("x")]);
        assert_eq!(pairs("a:\n  # one\n  x\n"), [above("x")]);
        assert_eq!(pairs("a:\n# one\n\n- x\n"), []);
        assert_eq!(pairs("# one\na: x\n"), []);
    }

    #[test]
    fn a_comment_that_touches_a_quote_is_still_a_comment() {
        assert_eq!(pairs("a: 'x'# one\n"), [beside("'x'", "# one")]);
        let text = |n| "- 'x'# one\n".repeat(n);
        assert!(read(&text(TOUCHING_COMMENTS_MAX))[0].is_ok());
        assert!(read(&text(TOUCHING_COMMENTS_MAX + 1))[0].is_err());
    }

    #[test]
    fn a_broken_document_leaves_its_neighbours_alone() {
        let text = "a: x\n---\nb: [\n---\nc: y\n";
        let read = read(text);
        assert!(read[0].is_ok() && read[2].is_ok());
        let broken = read[1].as_ref().unwrap_err();
        assert_eq!(&text[broken.span.clone()], "---\nb: [\n");
        assert!(broken.error.line >= 3);
    }

    #[test]
    fn a_document_that_nests_too_deeply_is_broken() {
        let text = |n: usize| format!("{}x", "- ".repeat(n));
        assert!(read(&text(super::NESTING_MAX))[0].is_ok());
        assert!(read(&text(super::NESTING_MAX + 1))[0].is_err());
    }

    #[test]
    fn a_directive_belongs_to_the_document_behind_it() {
        let documents = documents("%YAML 1.2\n---\na: x\n---\nb: y\n");
        let directives: Vec<_> = documents.iter().map(|d| d.has_directive).collect();
        assert_eq!(directives, [true, false]);
    }
}
