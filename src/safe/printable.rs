//! [`printable`]: one line of text from outside, safe to show on a terminal, in a log or in a status.
//!
//! In: any text, such as a tag, a branch or what a server said. Out: the same text with what would
//! move the cursor, end the line or turn the reading direction written as an escape. Pure.

use std::fmt::Write as _;

/// Returns a text with every control character, line end and bidirectional or invisible formatting
/// character written as `\n`, `\t`, `\r` or `\u{..}`. Other text is as it was.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut out, c));
    out
}

/// Returns what a server says as one line of at most `chars_max` characters: blanks and line ends that
/// follow each other are one blank, other text is as [`printable`] writes it, and `…` stands for what
/// is cut off.
pub fn printable_line(text: &str, chars_max: usize) -> String {
    let (mut out, mut n_chars) = (String::new(), 0);
    for word in text.split_whitespace() {
        let blank = (!out.is_empty()).then_some(' ');
        for c in blank.into_iter().chain(word.chars()) {
            let n_bytes = out.len();
            push(&mut out, c);
            n_chars += out[n_bytes..].chars().count();
            if n_chars > chars_max {
                out.truncate(n_bytes);
                out.push('…');
                return out;
            }
        }
    }
    out
}

fn push(out: &mut String, c: char) {
    match c {
        '\n' => *out += "\\n",
        '\r' => *out += "\\r",
        '\t' => *out += "\\t",
        c if is_hostile(c) => {
            // Writing into a string does not fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// As [`printable`], keeping the line feeds of a text that has several lines.
pub fn printable_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

/// Whether a character acts on the text around it instead of being seen.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Line and paragraph separators.
            '\u{2028}' | '\u{2029}'
            // Marks, embeddings, overrides and isolates of direction.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // What has no width: it hides differences.
            | '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
            // Notes and tags that are never shown.
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::{printable, printable_line, printable_lines};

    #[test]
    fn hc9_what_acts_on_a_terminal_is_written_out() {
        for (text, want) in [
            (
                "\u{1b}[2J\u{1b}]0;title\u{7}",
                "\\u{1b}[2J\\u{1b}]0;title\\u{7}",
            ),
            ("a\r\nb\tc\0", "a\\r\\nb\\tc\\u{0}"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("v1\u{202e}0.2\u{2066}", "v1\\u{202e}0.2\\u{2066}"),
            (
                "a\u{200b}b\u{feff}\u{2028}",
                "a\\u{200b}b\\u{feff}\\u{2028}",
            ),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(printable(text), want);
        }
    }

    #[test]
    fn hc9_ordinary_text_of_any_script_stays() {
        for text in [
            "main-3f2a9c1",
            "größer ≥ 1.0 …",
            "עברית",
            "日本語 🚀",
            "\\n",
        ] {
            assert_eq!(printable(text), text);
        }
        assert_eq!(printable_lines("a\nb\u{1b}\n"), "a\nb\\u{1b}\n");
    }

    #[test]
    fn hc9_what_a_server_says_is_one_line_of_a_bounded_length() {
        for (text, want) in [
            ("not\r\n\tallowed  here\n", "not allowed here"),
            ("a\u{1b}[2J\u{2028}b", "a\\u{1b}[2J b"),
            ("\n", ""),
            ("0123456789abcdef", "0123456789abcdef"),
            ("0123456789abcdefg", "0123456789abcdef…"),
            ("0123456789\u{202e}", "0123456789…"),
        ] {
            assert_eq!(printable_line(text, 16), want, "{text:?}");
        }
        let long = printable_line(&"x".repeat(1 << 20), 100);
        assert_eq!(long.chars().count(), 101);
    }
}
