//! How go-yaml writes one scalar: which style it may have, and its bytes in that style.
//!
//! In: a text and the column it stands under. Out: the text plain, quoted or as a literal block,
//! folded at 80 columns. [`Writer`] keeps the state that folding needs: the column, and whether
//! the line so far is only indentation or ends in a space.

use std::fmt::Write;

use crate::node::is_printable;

/// Lines longer than this are folded at the next space.
const WIDTH: usize = 80;
/// Columns of one level of indentation.
const INDENT: usize = 2;

/// What a text contains that forbids one style or the other.
pub(crate) struct Analysis {
    multiline: bool,
    plain_allowed: bool,
    single_allowed: bool,
    block_allowed: bool,
    is_string: bool,
}

impl Analysis {
    pub(crate) fn new(text: &str) -> Self {
        if text.is_empty() {
            return Self {
                multiline: false,
                plain_allowed: true,
                single_allowed: true,
                block_allowed: false,
                is_string: false,
            };
        }
        if is_simple(text) {
            return Self {
                multiline: false,
                plain_allowed: true,
                single_allowed: true,
                block_allowed: true,
                is_string: crate::resolve::is_string(text),
            };
        }
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut breaks) = (false, false);
        let (mut break_space, mut space_break) = (false, false);
        let (mut previous_space, mut previous_break) = (false, false);
        let mut after_blank = true;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let before_blank = chars
                .peek()
                .is_none_or(|(_, next)| matches!(next, ' ' | '\t'));
            indicators |= match c {
                '#' if after_blank => true,
                ':' => before_blank,
                '?' | '-' => at == 0 && before_blank,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
                | '@' | '`' => at == 0,
                _ => false,
            };
            special |= !is_printable(c);
            let (space, is_break) = (c == ' ', is_break(c));
            break_space |= space && previous_break;
            space_break |= is_break && previous_space;
            breaks |= is_break;
            (previous_space, previous_break) = (space, is_break);
            after_blank = space || is_break || c == '\t';
        }
        let outer = |c: char| c == ' ' || is_break(c);
        let edges = text.starts_with(outer) || text.ends_with(outer);
        let odd = space_break || special;
        Self {
            multiline: breaks,
            plain_allowed: !(edges || break_space || odd || breaks || indicators),
            single_allowed: !(break_space || odd),
            block_allowed: !(text.ends_with(' ') || odd),
            is_string: crate::resolve::is_string(text),
        }
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.is_string && self.plain_allowed
    }

    pub(crate) fn is_multiline(&self) -> bool {
        self.multiline
    }
}

/// Returns whether a text holds only what needs no quotes and no folding anywhere in it: most do.
fn is_simple(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-:".contains(&byte);
    let first = text.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().all(inner)
        && !text.ends_with(':')
}

/// The text so far and where it stands.
pub(crate) struct Writer {
    out: String,
    column: usize,
    /// The last thing written was a space or a line break.
    whitespace: bool,
    /// The line so far holds nothing but indentation and indicators.
    indention: bool,
}

impl Writer {
    /// Returns a writer that adds a document to a text.
    pub(crate) fn new(out: String) -> Self {
        Self {
            out,
            column: 0,
            whitespace: true,
            indention: true,
        }
    }

    pub(crate) fn finish(mut self) -> String {
        if self.column > 0 {
            self.out.push('\n');
        }
        self.out
    }

    /// Starts a new line at this column, unless the line so far is indentation up to it.
    pub(crate) fn break_to(&mut self, indent: usize) {
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.newline();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    pub(crate) fn indicator(&mut self, text: &str, need_whitespace: bool, is_indention: bool) {
        if need_whitespace && !self.whitespace {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.whitespace = false;
        self.indention = self.indention && is_indention;
    }

    /// Writes a word that needs no quoting and cannot be folded.
    pub(crate) fn word(&mut self, text: &str) {
        self.indicator(text, true, false);
    }

    /// Writes a string in the style that its content asks for.
    pub(crate) fn string(&mut self, text: &str, analysis: &Analysis, indent: usize, is_key: bool) {
        if text.contains('\n') {
            if analysis.block_allowed && !is_key {
                self.literal(text, indent);
            } else {
                self.double(text, indent, is_key);
            }
        } else if !analysis.is_string {
            self.double(text, indent, is_key);
        } else if analysis.plain_allowed {
            self.plain(text, indent, is_key);
        } else if analysis.single_allowed && !(is_key && analysis.multiline) {
            self.single(text, indent, is_key);
        } else {
            self.double(text, indent, is_key);
        }
    }

    fn plain(&mut self, text: &str, indent: usize, is_key: bool) {
        if !self.whitespace {
            self.put(' ');
        }
        if is_simple(text) {
            self.out.push_str(text);
            self.column += text.len();
            self.whitespace = false;
            self.indention = false;
            return;
        }
        let mut spaces = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == ' ' {
                let fold = !is_key && !spaces && self.column > WIDTH && chars.peek() != Some(&' ');
                if fold {
                    self.break_to(indent);
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                self.indention = false;
                spaces = false;
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn single(&mut self, text: &str, indent: usize, is_key: bool) {
        self.indicator("'", true, false);
        let (mut spaces, mut breaks) = (false, false);
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == ' ' {
                let next = chars.peek().map(|(_, next)| *next);
                let inside = at > 0 && next.is_some();
                let fold = !is_key && !spaces && self.column > WIDTH && inside && next != Some(' ');
                if fold {
                    self.break_to(indent);
                } else {
                    self.put(c);
                }
                spaces = true;
            } else if is_break(c) {
                self.put_break(c);
                breaks = true;
            } else {
                if breaks {
                    self.break_to(indent);
                }
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
        }
        self.indicator("'", false, false);
    }

    fn double(&mut self, text: &str, indent: usize, is_key: bool) {
        self.indicator("\"", true, false);
        let mut spaces = false;
        // The emitter asks at each place whether the whole text begins with a mark.
        let is_marked = text.starts_with('\u{feff}');
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if is_marked || !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                self.escape(c);
                spaces = false;
            } else if c == ' ' {
                let next = chars.peek().map(|(_, next)| *next);
                let inside = at > 0 && next.is_some();
                if !is_key && !spaces && self.column > WIDTH && inside {
                    self.break_to(indent);
                    if next == Some(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
        }
        self.indicator("\"", false, false);
    }

    fn escape(&mut self, c: char) {
        let short = match c {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{B}' => 'v',
            '\u{C}' => 'f',
            '\r' => 'r',
            '\u{1B}' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{A0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let code = u32::from(c);
                let before = self.out.len();
                let written = match code {
                    0..=0xFF => write!(self.out, "\\x{code:02X}"),
                    0x100..=0xFFFF => write!(self.out, "\\u{code:04X}"),
                    _ => write!(self.out, "\\U{code:08X}"),
                };
                written.expect("because writing to a string cannot fail");
                self.column += self.out.len() - before;
                return;
            }
        };
        self.put('\\');
        self.put(short);
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.indicator("|", true, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.indicator(&INDENT.to_string(), false, false);
        }
        let mut backwards = text.chars().rev();
        if !backwards.next().is_some_and(is_break) {
            self.indicator("-", false, false);
        } else if backwards.next().is_none_or(is_break) {
            self.indicator("+", false, false);
        }
        self.newline();
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for c in text.chars() {
            if is_break(c) {
                self.put_break(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.break_to(indent);
                }
                self.put(c);
                self.indention = false;
                breaks = false;
            }
        }
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn put_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
    }

    fn newline(&mut self) {
        self.put_break('\n');
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_text_that_begins_with_a_mark_is_escaped_throughout() {
        let text = crate::to_yaml(&"\u{feff}b m\n".into());
        assert_eq!(text, "\"\\uFEFF\\x62\\x20\\x6D\\n\"\n");
    }
}
