//! A YAML text as a tree of nodes, near enough to the text that meaning can be decided later.
//!
//! In: a text. Out: one [`Node`] a document: order, tags, scalar styles and source positions are
//! kept, aliases are replaced by bounded copies, merge keys stay as entries until
//! [`Node::expand_merges`]. It never decides what a plain scalar means; `resolve` does.

use std::collections::HashMap;

use compact_str::CompactString;
use granit_parser::{Event, Parser, Span, StructureStyle};

use crate::error::{Error, Problem};

/// How deep collections may nest, copies through aliases included.
pub const DEPTH_MAX: usize = 512;
/// How many nodes a document may copy through aliases.
pub const ALIAS_NODES_MAX: usize = 400_000;
/// How many bytes of scalar text a document may copy through aliases.
pub const ALIAS_BYTES_MAX: usize = 64 << 20;
/// How many characters a key on one line may have.
const KEY_MAX: usize = 1024;

/// The text of a scalar. Most are short and stand in the node itself, without memory of their own.
pub type Text = CompactString;

/// One value of a YAML document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What the node holds.
    pub content: Content,
    /// The tag, when one was written.
    pub tag: Tag,
    /// The source line, from 1; 0 for a node that was made by a program.
    pub line: u32,
    /// The source column, from 1, or the last that fits; 0 for a node that was made by a program.
    pub column: u16,
    /// Of a key: the JSON in a comment that ends its line, which tells some tools its type. It is
    /// rare, so that one word here must do: trees are large, and their size is time.
    pub note: Option<Box<Box<str>>>,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A scalar: its text after escapes, and how it was written.
    Scalar(Text, Style),
    /// A sequence.
    Sequence(Vec<Node>, Layout),
    /// A mapping, in the order of the text, duplicate keys included.
    Mapping(Vec<(Node, Node)>, Layout),
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
    /// As a `|` block.
    Literal,
    /// As a `>` block.
    Folded,
}

/// How a collection is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// By indentation.
    Block,
    /// In brackets or braces.
    Flow,
}

/// The tag that was written on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// No tag.
    None,
    /// `!!str`, or `!` on a scalar.
    Str,
    /// `!!int`
    Int,
    /// `!!float`
    Float,
    /// `!!bool`
    Bool,
    /// `!!null`
    Null,
    /// `!!timestamp`
    Timestamp,
    /// `!!binary`
    Binary,
    /// `!!merge`
    Merge,
    /// Any other: what it is makes no difference to what a node means.
    Other,
}

impl Tag {
    fn read(tag: &granit_parser::Tag) -> Self {
        match tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() {
            Some("str") => Self::Str,
            Some("int") => Self::Int,
            Some("float") => Self::Float,
            Some("bool") => Self::Bool,
            Some("null") => Self::Null,
            Some("timestamp") => Self::Timestamp,
            Some("binary") => Self::Binary,
            Some("merge") => Self::Merge,
            Some("map" | "seq") => Self::None,
            Some(_) => Self::Other,
            None if tag.suffix().is_empty() || tag.handle().is_empty() && tag.suffix() == "!" => {
                Self::Str
            }
            None => Self::Other,
        }
    }

    /// Returns the tag as a text writes it; empty without one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Str => "!!str",
            Self::Int => "!!int",
            Self::Float => "!!float",
            Self::Bool => "!!bool",
            Self::Null => "!!null",
            Self::Timestamp => "!!timestamp",
            Self::Binary => "!!binary",
            Self::Merge => "!!merge",
            Self::Other => "!",
        }
    }
}

impl Node {
    /// Returns a node that is in no text.
    pub fn new(content: Content) -> Self {
        Self {
            content,
            tag: Tag::None,
            line: 0,
            column: 0,
            note: None,
        }
    }

    /// Returns a plain scalar without a tag: its text decides what it means.
    pub fn plain(text: impl Into<Text>) -> Self {
        Self::new(Content::Scalar(text.into(), Style::Plain))
    }

    /// Returns a scalar that is a string whatever its text.
    pub fn string(text: impl Into<Text>) -> Self {
        Self {
            tag: Tag::Str,
            ..Self::plain(text)
        }
    }

    /// Returns an empty mapping.
    pub fn mapping() -> Self {
        Self::new(Content::Mapping(Vec::new(), Layout::Block))
    }

    /// Returns an empty sequence.
    pub fn sequence() -> Self {
        Self::new(Content::Sequence(Vec::new(), Layout::Block))
    }

    /// Returns the text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// Returns the elements of a sequence.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.content {
            Content::Sequence(items, _) => Some(items),
            _ => None,
        }
    }

    /// Returns the elements of a sequence, to change them.
    pub fn items_mut(&mut self) -> Option<&mut Vec<Node>> {
        match &mut self.content {
            Content::Sequence(items, _) => Some(items),
            _ => None,
        }
    }

    /// Returns the entries of a mapping.
    pub fn entries(&self) -> Option<&[(Node, Node)]> {
        match &self.content {
            Content::Mapping(entries, _) => Some(entries),
            _ => None,
        }
    }

    /// Returns the entries of a mapping, to change them.
    pub fn entries_mut(&mut self) -> Option<&mut Vec<(Node, Node)>> {
        match &mut self.content {
            Content::Mapping(entries, _) => Some(entries),
            _ => None,
        }
    }

    /// Returns the value of the first entry with this key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let entries = self.entries()?;
        position(entries, key).map(|at| &entries[at].1)
    }

    /// Returns the value of the first entry with this key, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let entries = self.entries_mut()?;
        position(entries, key).map(|at| &mut entries[at].1)
    }

    /// Returns whether this is a null: a scalar without quotes whose text is empty or says so.
    pub fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar(text, style) => match self.tag {
                Tag::Null => true,
                Tag::None => *style == Style::Plain && crate::resolve::is_null(text),
                _ => false,
            },
            _ => false,
        }
    }

    /// Returns whether this node, as a key, asks for a merge.
    pub fn is_merge_key(&self) -> bool {
        match (&self.content, &self.tag) {
            (Content::Scalar(_, _), Tag::Merge) => true,
            (Content::Scalar(text, Style::Plain), Tag::None) => text == "<<",
            _ => false,
        }
    }

    pub(crate) fn error(&self, problem: Problem) -> Error {
        Error::new(self.line, self.column.into(), problem)
    }
}

/// Returns the place of the first entry with this key.
///
/// Most of the time that is spent on trees is spent here: the ends of two texts tell most of them
/// apart, and cost less than a call to compare all their bytes.
#[inline]
pub fn position(entries: &[(Node, Node)], key: &str) -> Option<usize> {
    let key = key.as_bytes();
    let ends = (key.first(), key.last());
    entries.iter().position(|(own, _)| match &own.content {
        Content::Scalar(text, _) => {
            let text = text.as_bytes();
            text.len() == key.len() && (text.first(), text.last()) == ends && text == key
        }
        _ => false,
    })
}

/// Returns every document of a text. A document without content is a null node.
///
/// Fails at the first place that is not YAML or that goes over a limit of this module.
pub fn read(text: &str) -> Result<Vec<Node>, Error> {
    let mut reader = Reader::new(text)?;
    let mut documents = Vec::new();
    while let Some(node) = reader.document()? {
        documents.push(node);
    }
    Ok(documents)
}

/// Returns the first document of a text and reads no further; nothing when there is none.
///
/// Fails as [`read`] does, for the part that is read.
pub fn read_first(text: &str) -> Result<Option<Node>, Error> {
    match crate::quick::read(text) {
        Some(node) => Ok(Some(node)),
        None => read_fully(text),
    }
}

/// Returns what [`read_first`] does, whatever the text is like.
///
/// Fails as [`read`] does.
pub(crate) fn read_fully(text: &str) -> Result<Option<Node>, Error> {
    Reader::new(text)?.document()
}

/// A copy that an alias may ask for, and what copying it costs.
struct Anchored {
    node: Node,
    weight: Weight,
}

/// The size of a subtree.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

impl Weight {
    fn add(&mut self, child: Weight) {
        self.nodes += child.nodes;
        self.bytes += child.bytes;
        self.depth = self.depth.max(child.depth + 1);
    }
}

/// A collection whose end has not been read yet.
struct Open {
    node: Node,
    /// The key that waits for its value.
    key: Option<Node>,
    anchor: usize,
    weight: Weight,
}

struct Reader<'text> {
    text: &'text str,
    parser: Parser<'text, granit_parser::StrInput<'text>>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    copied: Weight,
}

impl<'text> Reader<'text> {
    fn new(text: &'text str) -> Result<Self, Error> {
        refuse_control_characters(text)?;
        let mut options = granit_parser::options! { simple_key_max_lookahead: KEY_MAX };
        // Comments cost time; only those that begin like JSON matter.
        options.set_emit_comments(text.contains("# {"));
        Ok(Self {
            text,
            parser: Parser::new_from_str_with_options(text, options),
            open: Vec::new(),
            anchors: HashMap::new(),
            copied: Weight::default(),
        })
    }

    fn document(&mut self) -> Result<Option<Node>, Error> {
        let mut root = None;
        while let Some(event) = self.parser.next() {
            let (event, span) = event.map_err(|error| {
                let mark = error.marker();
                let message = error.info();
                Error::new(
                    count(mark.line()),
                    count(mark.col() + 1),
                    Problem::Syntax(message),
                )
            })?;
            match event {
                Event::DocumentEnd => {
                    self.anchors.clear();
                    self.copied = Weight::default();
                    return Ok(root);
                }
                Event::StreamEnd => return Ok(None),
                event => {
                    if let Some(node) = self.step(event, &span)? {
                        root = Some(node);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Takes one event; returns the root node when it is complete.
    fn step(&mut self, event: Event<'text>, span: &Span) -> Result<Option<Node>, Error> {
        let (line, column) = (count(span.start.line()), count(span.start.col() + 1));
        let at = |content, tag: Option<std::borrow::Cow<'_, granit_parser::Tag>>| Node {
            content,
            tag: tag.map_or(Tag::None, |tag| Tag::read(&tag)),
            line,
            column: column.try_into().unwrap_or(u16::MAX),
            note: None,
        };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                // The parser writes `~` where there is nothing.
                // A block that the text breaks off has no line break at its end.
                let is_broken_off = matches!(
                    style,
                    granit_parser::ScalarStyle::Literal | granit_parser::ScalarStyle::Folded
                ) && !self.text.ends_with('\n')
                    && text.ends_with('\n')
                    && span
                        .slice(self.text)
                        .is_some_and(|own| self.text.ends_with(own));
                let is_missing = text == "~" && span.slice(self.text) != Some("~");
                let mut text = if is_missing && style == granit_parser::ScalarStyle::Plain {
                    String::new()
                } else {
                    text.into_owned()
                };
                if is_broken_off {
                    text.pop();
                }
                let weight = Weight {
                    nodes: 1,
                    bytes: text.len(),
                    depth: 1,
                };
                let node = at(Content::Scalar(text.into(), scalar_style(style)), tag);
                self.finish(node, anchor, weight)
            }
            Event::SequenceStart(layout, anchor, tag) => {
                let node = at(
                    Content::Sequence(Vec::new(), collection_layout(layout)),
                    tag,
                );
                self.start(node, anchor)
            }
            Event::MappingStart(layout, anchor, tag) => {
                let node = at(Content::Mapping(Vec::new(), collection_layout(layout)), tag);
                self.start(node, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop().expect("because an end follows its start");
                self.finish(open.node, open.anchor, open.weight)
            }
            Event::Alias(id) => {
                let Some(Anchored { node, weight }) = self.anchors.get(&id) else {
                    return Err(Error::new(line, column, Problem::RecursiveAlias));
                };
                let (node, weight) = (node.clone(), *weight);
                self.charge(weight, line, column)?;
                self.finish(node, 0, weight)
            }
            Event::Comment(text, granit_parser::Placement::Right) => {
                self.take_note(&text, line);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Gives a comment to the key that waits for its value on the same line.
    fn take_note(&mut self, text: &str, line: u32) {
        let text = text.trim();
        if !text.starts_with('{') {
            return;
        }
        // The collection that is the value may have begun already.
        let keys = self
            .open
            .iter_mut()
            .rev()
            .take(2)
            .filter_map(|open| open.key.as_mut());
        if let Some(key) = keys.into_iter().find(|key| key.line == line) {
            key.note = Some(Box::new(text.into()));
        }
    }

    fn start(&mut self, node: Node, anchor: usize) -> Result<Option<Node>, Error> {
        if self.open.len() >= DEPTH_MAX {
            return Err(node.error(Problem::TooDeep));
        }
        self.open.push(Open {
            node,
            key: None,
            anchor,
            weight: Weight {
                nodes: 1,
                bytes: 0,
                depth: 1,
            },
        });
        Ok(None)
    }

    /// Puts a complete node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize, weight: Weight) -> Result<Option<Node>, Error> {
        if self.open.len() + weight.depth > DEPTH_MAX {
            return Err(node.error(Problem::TooDeep));
        }
        if anchor > 0 {
            self.charge(weight, node.line, node.column.into())?;
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    weight,
                },
            );
        }
        let Some(open) = self.open.last_mut() else {
            return Ok(Some(node));
        };
        open.weight.add(weight);
        match &mut open.node.content {
            Content::Sequence(items, _) => push(items, node),
            Content::Mapping(entries, _) => match open.key.take() {
                None => open.key = Some(node),
                Some(key) => push(entries, (key, node)),
            },
            Content::Scalar(..) => {}
        }
        Ok(None)
    }

    fn charge(&mut self, weight: Weight, line: u32, column: u32) -> Result<(), Error> {
        self.copied.add(weight);
        if self.copied.nodes > ALIAS_NODES_MAX || self.copied.bytes > ALIAS_BYTES_MAX {
            return Err(Error::new(line, column, Problem::ExcessiveAliasing));
        }
        Ok(())
    }
}

/// Puts an element into a list that is mostly short: its room doubles from one, not from four.
pub(crate) fn push<T>(list: &mut Vec<T>, element: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len().max(1));
    }
    list.push(element);
}

fn refuse_control_characters(text: &str) -> Result<(), Error> {
    let Some(at) = text.find(|c| !is_allowed(c)) else {
        return Ok(());
    };
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |last| last.chars().count())
        + 1;
    Err(Error::new(
        count(line),
        count(column),
        Problem::ControlCharacter,
    ))
}

/// Returns whether a YAML text may contain this character.
pub fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{A0}'..='\u{D7FF}'
        | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Returns whether go-yaml prints a character as it is; others it escapes in double quotes.
pub fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}')
        && c != '\u{FEFF}'
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn scalar_style(style: granit_parser::ScalarStyle) -> Style {
    match style {
        granit_parser::ScalarStyle::Plain => Style::Plain,
        granit_parser::ScalarStyle::SingleQuoted => Style::Single,
        granit_parser::ScalarStyle::DoubleQuoted => Style::Double,
        granit_parser::ScalarStyle::Literal => Style::Literal,
        granit_parser::ScalarStyle::Folded => Style::Folded,
    }
}

fn collection_layout(style: StructureStyle) -> Layout {
    match style {
        StructureStyle::Block => Layout::Block,
        StructureStyle::Flow => Layout::Flow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_stays_small() {
        assert!(size_of::<Node>() <= 48);
    }

    #[test]
    fn nothing_and_a_tilde_are_told_apart() {
        let node = read_first("a:\nb: ~\nc: [~, ]\nd: {e: , f: ~}\ng: &x\n").expect("yaml");
        let node = node.expect("a document");
        let text = |path: &str| node.get(path).and_then(Node::text);
        assert_eq!(
            (text("a"), text("b"), text("g")),
            (Some(""), Some("~"), Some(""))
        );
        let flow = node.get("d").expect("a mapping");
        assert_eq!(flow.get("e").and_then(Node::text), Some(""));
        assert_eq!(flow.get("f").and_then(Node::text), Some("~"));
    }
}
