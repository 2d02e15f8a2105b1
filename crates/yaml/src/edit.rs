//! Writes new text into scalars and touches no other byte.
//!
//! In: a text, a scalar that `document` found in it, and what the scalar shall mean. Out: edits of
//! byte ranges, and the text with edits applied. Quotes stay what they are, a plain scalar gets
//! double quotes if it would not be read as a string without them, a block keeps its header and
//! gets one line.

use std::ops::Range;

use crate::document::SpanScalar;
use crate::node::Style;
use crate::resolve::{Plain, Rules, is_string, resolve};

/// The indentation of a block whose header has no text below it, relative to its line.
const BLOCK_INDENT: usize = 2;

/// Bytes to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Which bytes.
    pub span: Range<usize>,
    /// What they become.
    pub text: String,
}

/// Returns the edits after which the scalar means `new`; in the order of the text.
pub fn replace(text: &str, scalar: &SpanScalar, new: &str) -> Vec<Edit> {
    let whole = |text| Edit {
        span: scalar.span.clone(),
        text,
    };
    match (scalar.style, &scalar.header) {
        (Style::Literal | Style::Folded, Some(header)) if !new.contains(char::is_control) => {
            replace_block(text, scalar, header, new)
        }
        (Style::Single, _) if !new.contains(char::is_control) => {
            vec![whole(format!("'{}'", new.replace('\'', "''")))]
        }
        (Style::Plain, _) if is_plain(new) => vec![whole(new.to_owned())],
        (_, None) => vec![whole(double_quoted(new))],
        // What a block cannot hold on one line: it becomes one quoted line itself.
        (_, Some(header)) => vec![
            Edit {
                span: header.clone(),
                text: double_quoted(new),
            },
            whole(String::new()),
        ],
    }
}

/// Returns the text with the edits made. They must be in order and must not overlap.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        out.push_str(text.get(at..edit.span.start).unwrap_or_default());
        out.push_str(&edit.text);
        at = edit.span.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// A block gets the sign that strips line ends, and one line in place of its lines.
fn replace_block(text: &str, scalar: &SpanScalar, header: &Range<usize>, new: &str) -> Vec<Edit> {
    let old = &text[scalar.span.clone()];
    // A digit says where the text begins. Without a text it would be wrong for the new one.
    let is_empty = old.trim().is_empty();
    let is_dropped = |c: &char| matches!(c, '+' | '-') || is_empty && c.is_ascii_digit();
    let sign = text[header.clone()].chars();
    let sign: String = sign.filter(|c| !is_dropped(c)).collect();
    let header_edit = Edit {
        span: header.clone(),
        text: format!("{sign}-"),
    };
    let indent = block_indent(text, scalar, header, old);
    // Blanks beyond the indentation are text.
    let is_blank = |line: &str| {
        let line = line.trim_end_matches(['\r', '\n']);
        line.trim_matches([' ', '\t']).is_empty() && line.len() <= indent.len()
    };
    let n_kept = old
        .split_inclusive('\n')
        .scan(0, |end, line| {
            *end += line.len();
            Some((*end, line))
        })
        .filter(|(_, line)| !is_blank(line))
        .last()
        .map_or(0, |(end, _)| end);
    let lines = &old[..n_kept];
    let line_end = if lines.ends_with("\r\n") {
        "\r\n"
    } else if lines.ends_with('\n') {
        "\n"
    } else if lines.ends_with('\r') {
        "\r"
    } else {
        ""
    };
    let mut text_edit = Edit {
        span: scalar.span.start..scalar.span.start + n_kept,
        text: String::new(),
    };
    if !new.is_empty() {
        text_edit.text = format!("{indent}{new}{line_end}");
        if lines.is_empty() {
            // Without a line of its own the block ends where the header's line does, which may be the
            // end of the text.
            let before = &text[..scalar.span.start];
            let line_end = if before.ends_with("\r\n") {
                "\r\n"
            } else {
                "\n"
            };
            if before.ends_with(['\n', '\r']) {
                text_edit.text.push_str(line_end);
            } else {
                text_edit.text.insert_str(0, line_end);
            }
        }
    }
    vec![header_edit, text_edit]
}

/// Returns the blanks that stand before each line of a block and do not belong to its text.
fn block_indent(text: &str, scalar: &SpanScalar, header: &Range<usize>, lines: &str) -> String {
    let n_blanks = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let mut each = lines.split(['\n', '\r']);
    let first = each.find(|line| !line.trim().is_empty());
    let first_text = scalar.text.lines().find(|line| !line.trim().is_empty());
    if let Some(first) = first {
        let indent = n_blanks(first).saturating_sub(first_text.map_or(0, n_blanks));
        return " ".repeat(indent);
    }
    let line_start = text[..header.start].rfind(['\n', '\r']);
    let line_start = line_start.map_or(0, |n| n + 1);
    let before = &text[line_start..header.start];
    // Signs of a collection that begins on this line count as its indentation.
    let column = before.len() - before.trim_start_matches([' ', '-', '?', ':']).len();
    " ".repeat(column + BLOCK_INDENT)
}

/// Returns whether a text may stand without quotes, within brackets too, and is a string then.
fn is_plain(text: &str) -> bool {
    let first = text.chars().next();
    let harmless = |c: char| c.is_ascii_alphanumeric() || "/._-+@:=%~".contains(c);
    first.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_'))
        && text.chars().all(harmless)
        && !text.ends_with(':')
        && is_string(text)
        && resolve(text, Rules::V3) == Plain::Str
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::{apply, replace};
    use crate::document;

    /// Replaces the last scalar of the first document.
    fn replaced(text: &str, new: &str) -> String {
        let document = document::read(text).remove(0).unwrap();
        let scalar = document.scalars.last().unwrap();
        apply(text, &replace(text, scalar, new))
    }

    #[test]
    fn quotes_stay_what_they_are() {
        assert_eq!(replaced("a:  'x' # c\r\n", "it's"), "a:  'it''s' # c\r\n");
        assert_eq!(replaced("a: \"x\"", "say \"y\""), "a: \"say \\\"y\\\"\"");
        assert_eq!(replaced("a: x", "y:1"), "a: y:1");
    }

    #[test]
    fn a_plain_scalar_is_quoted_if_it_would_not_be_a_string() {
        for text in [
            "1.10",
            "on",
            "null",
            "0x1F",
            "2024-01-02",
            "1_000",
            "",
            "12:30",
            "- x",
            "a: b",
        ] {
            assert_eq!(replaced("a: x\n", text), format!("a: \"{text}\"\n"));
        }
    }

    #[test]
    fn a_block_without_lines_gets_one_wherever_the_text_ends() {
        assert_eq!(replaced("a: |+", "x"), "a: |-\n  x");
        assert_eq!(replaced("a: |\n", "x"), "a: |-\n  x\n");
        assert_eq!(replaced("- >2-\n     ", "x"), "- >-\n    x");
        assert_eq!(replaced("a: >1-", "x"), "a: >-\n  x");
        assert_eq!(replaced("? a\n: - |-\n", "x"), "? a\n: - |-\n      x\n");
        let text = "a: |\r  y\rb: c";
        let document = document::read(text).remove(0).unwrap();
        let edits = replace(text, &document.scalars[1], "x");
        assert_eq!(apply(text, &edits), "a: |-\r  x\rb: c");
    }

    #[test]
    fn a_block_keeps_its_header_and_gets_one_line() {
        assert_eq!(
            replaced("a: |+ # c\n  x\n  y\n\n", "z"),
            "a: |- # c\n  z\n\n"
        );
        assert_eq!(replaced("a: >\r\n    x\r\n", "z"), "a: >-\r\n    z\r\n");
        assert_eq!(replaced("a: |2\n    x\n", "z"), "a: |2-\n  z\n");
        assert_eq!(replaced("a: |\n  x", "z"), "a: |-\n  z");
        assert_eq!(replaced("a: |\n  x\n", ""), "a: |-\n");
        assert_eq!(replaced("- a: |\n", "z"), "- a: |-\n    z\n");
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for written in [
            "a: x",
            "a: 'x'",
            "a: \"x\"",
            "a: |\n  x\n",
            "a: >+\n  x\n",
            "a: >1-",
            "- |3\n",
            "a: |1\n   x\n",
        ] {
            for new in ["1.0", "it's", "é", "tab\there", "a\nb", "#x", "", "\u{7}"] {
                let text = replaced(written, new);
                let document = document::read(&text).remove(0).unwrap();
                assert_eq!(document.scalars.last().unwrap().text, new, "{text:?}");
            }
        }
    }
}
