//! The YAML that most files are written in, read in one pass.
//!
//! In: a text. Out: the same node that the full parser gives, or nothing when the text has
//! anything but printable ASCII, mappings and sequences by indentation, collections in brackets on
//! one line, scalars on one line, and literal blocks. It never fails and never guesses: what it
//! does not know for sure is left to the full parser, which also finds the errors.

use crate::node::{Content, Layout, Node, Style, Text, push};

/// Deeper collections are left to the full parser.
const DEPTH_MAX: usize = 64;
/// Longer keys are left to the full parser.
const KEY_MAX: usize = 512;

/// Returns the only document of a text, if every part of it is of the simple kind.
pub(crate) fn read(text: &str) -> Option<Node> {
    let is_simple = |byte: u8| matches!(byte, b' '..=b'~' | b'\n');
    if !text.bytes().all(is_simple) || text.contains("# {") {
        return None;
    }
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        line: 1,
        line_start: 0,
        depth: 0,
    };
    if text.starts_with("---\n") {
        reader.at = 3;
        reader.finish_line()?;
    } else {
        reader.find_content()?;
    }
    let indent = reader.indent()?;
    let node = reader.block(indent)?;
    reader.is_at_end().then_some(node)
}

/// A line and a column.
type Position = (u32, u16);

struct Reader<'text> {
    text: &'text str,
    bytes: &'text [u8],
    at: usize,
    line: u32,
    line_start: usize,
    depth: usize,
}

/// A scalar on one line, and whether it is a key.
struct Word<'text> {
    text: &'text str,
    style: Style,
    at: usize,
    is_key: bool,
}

impl<'text> Reader<'text> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Returns whether a line or the text ends, or a space stands, at an offset.
    fn is_blank(&self, at: usize) -> bool {
        matches!(self.bytes.get(at), None | Some(b' ' | b'\n'))
    }

    fn is_dash(&self) -> bool {
        self.peek() == Some(b'-') && self.is_blank(self.at + 1)
    }

    /// Returns the column of the content that comes next; nothing at the end.
    fn indent(&self) -> Option<usize> {
        (!self.is_at_end()).then(|| self.at - self.line_start)
    }

    fn skip_spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    /// Goes to the next content after what ends here; nothing when the line holds more.
    fn finish_line(&mut self) -> Option<()> {
        let before = self.at;
        self.skip_spaces();
        match self.peek() {
            None => return Some(()),
            Some(b'\n') => {}
            Some(b'#') if self.at > before => self.skip_to_break(),
            _ => return None,
        }
        self.find_content()
    }

    fn skip_to_break(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    /// Goes to the next line that is neither empty nor a comment, from the start or end of a line;
    /// nothing when a document ends there.
    fn find_content(&mut self) -> Option<()> {
        loop {
            self.skip_spaces();
            match self.peek() {
                None => return Some(()),
                Some(b'\n') => {
                    self.at += 1;
                    self.line += 1;
                    self.line_start = self.at;
                }
                Some(b'#') => self.skip_to_break(),
                Some(_) => {
                    let rest = &self.bytes[self.at..];
                    let ends = rest.starts_with(b"---") || rest.starts_with(b"...");
                    return (!(ends && self.at == self.line_start)).then_some(());
                }
            }
        }
    }

    fn node(&self, content: Content, at: usize) -> Node {
        Node {
            line: self.line,
            column: column(at - self.line_start),
            ..Node::new(content)
        }
    }

    fn scalar(&self, word: &Word<'_>) -> Node {
        let content = Content::Scalar(word.text.into(), word.style);
        self.node(content, word.at)
    }

    /// Reads a collection that begins here, at the start of a line or after a dash.
    fn block(&mut self, indent: usize) -> Option<Node> {
        if self.is_dash() {
            return self.sequence(indent);
        }
        let key = self.word(false)?;
        if key.is_key {
            self.mapping(&key, indent)
        } else {
            None
        }
    }

    fn deeper(&mut self) -> Option<()> {
        self.depth += 1;
        (self.depth < DEPTH_MAX).then_some(())
    }

    fn sequence(&mut self, indent: usize) -> Option<Node> {
        let mut node = self.node(Content::Sequence(Vec::new(), Layout::Block), self.at);
        let (items, _) = self.items(indent)?;
        node.content = Content::Sequence(items, Layout::Block);
        Some(node)
    }

    /// Reads the items of a sequence; returns them and where the first one begins, if it stands on
    /// the line of its dash.
    fn items(&mut self, indent: usize) -> Option<(Vec<Node>, Option<Position>)> {
        self.deeper()?;
        let mut items = Vec::new();
        let mut first = None;
        loop {
            self.at += 1;
            self.skip_spaces();
            let is_below = self.peek()? == b'\n';
            if is_below {
                self.finish_line()?;
            } else if items.is_empty() {
                first = Some((self.line, column(self.at - self.line_start)));
            }
            let item = match self.peek()? {
                _ if is_below => {
                    let inner = self.indent().filter(|inner| *inner > indent)?;
                    self.block(inner)?
                }
                b'-' if self.is_dash() => self.sequence(self.at - self.line_start)?,
                b'[' | b'{' | b'|' => self.value(indent)?,
                _ => {
                    let inner = self.at - self.line_start;
                    let word = self.word(false)?;
                    if word.is_key {
                        self.mapping(&word, inner)?
                    } else {
                        let item = self.scalar(&word);
                        self.finish_line()?;
                        item
                    }
                }
            };
            push(&mut items, item);
            if self.has_ended(indent)? || !self.is_dash() {
                break;
            }
        }
        self.depth -= 1;
        Some((items, first))
    }

    /// Returns whether the next content belongs to an outer collection; nothing when it belongs
    /// nowhere.
    fn has_ended(&self, indent: usize) -> Option<bool> {
        match self.indent() {
            Some(next) if next > indent => None,
            next => Some(next != Some(indent)),
        }
    }

    /// Reads the rest of a mapping after its first key.
    fn mapping(&mut self, first: &Word<'text>, indent: usize) -> Option<Node> {
        self.deeper()?;
        let mut node = self.node(Content::Mapping(Vec::new(), Layout::Block), first.at);
        let mut entries = Vec::new();
        let mut key = self.scalar(first);
        loop {
            // The colon.
            self.at += 1;
            let after = self.at;
            self.skip_spaces();
            let value = match self.peek() {
                None | Some(b'\n' | b'#') => {
                    self.at = after;
                    self.below(indent)?
                }
                Some(_) => self.value(indent)?,
            };
            push(&mut entries, (key, value));
            if self.has_ended(indent)? {
                break;
            }
            let word = self.word(false)?;
            if !word.is_key {
                return None;
            }
            key = self.scalar(&word);
        }
        self.depth -= 1;
        node.content = Content::Mapping(entries, Layout::Block);
        Some(node)
    }

    /// Reads the value of a key that has nothing on its line.
    fn below(&mut self, indent: usize) -> Option<Node> {
        // What is missing stands where the colon does.
        let missing = self.node(Content::Scalar(Text::default(), Style::Plain), self.at - 1);
        self.finish_line()?;
        match self.indent() {
            Some(inner) if inner > indent => self.block(inner),
            Some(inner) if inner == indent && self.is_dash() => {
                // Such a sequence stands where its first item does, says the full parser.
                let (items, first) = self.items(indent)?;
                let (line, column) = first?;
                let content = Content::Sequence(items, Layout::Block);
                Some(Node {
                    line,
                    column,
                    ..Node::new(content)
                })
            }
            _ => Some(missing),
        }
    }

    /// Reads a value on the line of its key or dash, and goes to the next content.
    fn value(&mut self, indent: usize) -> Option<Node> {
        let node = match self.peek()? {
            b'[' | b'{' => self.flow()?,
            b'|' => return self.literal(indent),
            _ => {
                let word = self.word(false)?;
                if word.is_key {
                    return None;
                }
                self.scalar(&word)
            }
        };
        self.finish_line()?;
        Some(node)
    }

    /// Reads a scalar up to the end of the line, a comment, the colon of a key, or in brackets what
    /// ends an entry.
    fn word(&mut self, in_flow: bool) -> Option<Word<'text>> {
        let at = self.at;
        let (text, style) = match self.peek()? {
            quote @ (b'"' | b'\'') => (self.quoted(quote)?, style(quote)),
            _ => (self.plain(in_flow)?, Style::Plain),
        };
        let is_key = self.peek() == Some(b':') && self.is_blank(self.at + 1);
        if is_key && self.at - at > KEY_MAX {
            return None;
        }
        Some(Word {
            text,
            style,
            at,
            is_key,
        })
    }

    fn quoted(&mut self, quote: u8) -> Option<&'text str> {
        let start = self.at + 1;
        let length = self.bytes[start..]
            .iter()
            .position(|byte| *byte == quote || matches!(byte, b'\n' | b'\\'))?;
        let end = start + length;
        if self.bytes[end] != quote || self.bytes.get(end + 1) == Some(&quote) {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    fn plain(&mut self, in_flow: bool) -> Option<&'text str> {
        let start = self.at;
        let begins = match self.peek()? {
            b'-' => {
                matches!(self.bytes.get(start + 1), Some(next) if next.is_ascii_alphanumeric() || *next == b'-')
            }
            first => first.is_ascii_alphanumeric() || b"_/.$()+~<^;=".contains(&first),
        };
        if !begins {
            return None;
        }
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => break,
                b':' if self.is_blank(self.at + 1) => break,
                b'#' if self.bytes[self.at - 1] == b' ' => break,
                b',' | b']' | b'}' if in_flow => break,
                b'[' | b'{' | b':' | b'?' if in_flow => return None,
                _ => self.at += 1,
            }
        }
        let text = self.text.get(start..self.at)?.trim_end_matches(' ');
        if self.peek() != Some(b':') {
            self.at = start + text.len();
        }
        Some(text)
    }

    fn flow(&mut self) -> Option<Node> {
        self.deeper()?;
        let start = self.at;
        let is_mapping = self.peek() == Some(b'{');
        let close = if is_mapping { b'}' } else { b']' };
        let (mut items, mut entries) = (Vec::new(), Vec::new());
        self.at += 1;
        self.skip_spaces();
        if self.peek() == Some(close) {
            self.at += 1;
        } else {
            loop {
                if is_mapping {
                    let key = self.word(true).filter(|key| key.is_key)?;
                    let key = self.scalar(&key);
                    self.at += 1;
                    self.skip_spaces();
                    push(&mut entries, (key, self.flow_value()?));
                } else {
                    push(&mut items, self.flow_value()?);
                }
                self.skip_spaces();
                let end = self.peek()?;
                self.at += 1;
                if end == close {
                    break;
                }
                if end != b',' || self.peek() != Some(b' ') {
                    return None;
                }
                self.skip_spaces();
            }
        }
        self.depth -= 1;
        let content = if is_mapping {
            Content::Mapping(entries, Layout::Flow)
        } else {
            Content::Sequence(items, Layout::Flow)
        };
        Some(self.node(content, start))
    }

    fn flow_value(&mut self) -> Option<Node> {
        if matches!(self.peek()?, b'[' | b'{') {
            return self.flow();
        }
        let word = self.word(true).filter(|word| !word.is_key)?;
        Some(self.scalar(&word))
    }

    /// Reads a literal block whose first line has text, and goes to the next content.
    fn literal(&mut self, indent: usize) -> Option<Node> {
        self.at += 1;
        let strips = self.peek() == Some(b'-');
        self.at += usize::from(strips);
        if self.peek()? != b'\n' {
            return None;
        }
        let mut text = String::new();
        let (mut inner, line) = (0, self.line + 1);
        loop {
            // At the break before a line.
            let start = self.at + 1;
            let spaces = self.bytes[start..]
                .iter()
                .take_while(|byte| **byte == b' ')
                .count();
            match self.bytes.get(start + spaces) {
                Some(b'\n') if inner > 0 && spaces == 0 => {}
                None if inner > 0 && spaces == 0 => break,
                None | Some(b'\n') => return None,
                Some(_) if inner == 0 && spaces > indent => inner = spaces,
                Some(_) if inner == 0 => return None,
                Some(_) if spaces < inner => break,
                Some(_) => {}
            }
            let length = self.bytes[start..].iter().position(|byte| *byte == b'\n')?;
            text.push_str(
                self.text
                    .get(start..start + length)?
                    .get(inner.min(length)..)?,
            );
            text.push('\n');
            self.at = start + length;
            self.line += 1;
            self.line_start = start;
        }
        text.truncate(text.trim_end_matches('\n').len() + usize::from(!strips));
        self.find_content()?;
        Some(Node {
            line,
            column: column(inner),
            ..Node::new(Content::Scalar(text.into(), Style::Literal))
        })
    }
}

fn column(offset: usize) -> u16 {
    u16::try_from(offset + 1).unwrap_or(u16::MAX)
}

fn style(quote: u8) -> Style {
    if quote == b'"' {
        Style::Double
    } else {
        Style::Single
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::read_fully;

    /// Checks that the text is either left alone or read as the full parser does; returns which.
    fn check(text: &str) -> bool {
        let Some(node) = read(text) else {
            return false;
        };
        assert_eq!(read_fully(text), Ok(Some(node)), "{text}");
        true
    }

    #[test]
    fn the_usual_is_read_as_by_the_full_parser() {
        for text in [
            "a: b\n",
            "---\na: b\n",
            "# x\n\n---a: b\n",
            "a: b",
            "a:\n  b: c\n  d:\n  - e\n  - f: g\n    h: i\n  j: k\n",
            "a:\n- b\n-   c: d\n    e: f\n- - g\n  - h\n-\n  i: j\nk: l\n",
            "a:\nb:\n  c:\nd: ~\n",
            "a: # x\n  b: c # y\n# z\n  d: e\n",
            "a: \"b: c\"\n'd': 'e #'\n\"f g\": h\n",
            "a: {b: c, d: [e, f], g: {}}\nh: [{i: j}, k, []]\nl: []\n",
            "a: |\n  b\n   c\n\n  d\n\ne: |-\n  f\ng: h\n",
            "a:\n- |\n  b\n- c: |-\n    d\n",
            "<<: a\n.b: -c\nd e: f:g#h\n",
            "a :  b  \n",
            "- a: b\n  c: d\n- e\n",
        ] {
            check(text);
        }
    }

    const MANIFEST: &str = "# A workload
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, labels: {b: c}, list: [d, 'e']}
spec:
  replicas: 1
  template:
    spec:
      containers:
      - name: main
        image: nginx:1.25 # new
        args: [\"-c\", 'x']

        env:
          - name: A
            value: \"1\"
          -   name: B
      - - x
        - y
      emptyDir:
  data:
    script: |
      #!/bin/sh
        echo

      exit
    last: |-
      end
";

    #[test]
    fn usual_manifests_need_no_other_parser() {
        assert!(check(MANIFEST));
    }

    /// A small generator of numbers, the same on every run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % end as u64).unwrap_or(0)
        }
    }

    #[rustfmt::skip]
    const PIECES: [&str; 36] = [
        "a", "b: ", "\n", "\n  ", "\n    ", "- ", ": ", ":", "{", "}", "[", "]", ", ", ",", "\"", "'",
        "|\n", "|\n   x\n    y\n", "\n\n", "|-\n  x", "|-\n", "#", " # ", " ", "~", "<<", "-", "---",
        "...", "&x ", "*x", "!!str ", "? ", "1", ">", "\\",
    ];

    #[test]
    fn any_pieces_are_left_to_it_or_read_alike() {
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
        let mut n_read = 0;
        for _ in 0..20_000 {
            let n_pieces = 2 + numbers.below(12);
            let pieces = (0..n_pieces).map(|_| PIECES[numbers.below(PIECES.len())]);
            let text: String = pieces.collect();
            n_read += usize::from(check(&text));
        }
        assert!(n_read > 200, "{n_read}");
    }

    #[test]
    fn damaged_manifests_are_left_to_it_or_read_alike() {
        let rounds = std::env::var("YAML_ROUNDS").ok();
        let rounds = rounds.and_then(|text| text.parse().ok()).unwrap_or(3_000);
        let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
        let mut n_read = 0;
        for _ in 0..rounds {
            let mut text = MANIFEST.to_owned();
            for _ in 0..=numbers.below(3) {
                let at = numbers.below(text.len().max(1)).min(text.len());
                match numbers.below(4) {
                    0 => text.insert_str(at, PIECES[numbers.below(PIECES.len())]),
                    1 => text.replace_range(at..text.len().min(at + 1), ""),
                    2 => text.replace_range(at..text.len().min(at + numbers.below(12)), ""),
                    _ => text.truncate(at),
                }
            }
            n_read += usize::from(check(&text));
        }
        assert!(n_read > rounds / 20, "{n_read}");
    }
}
