//! Patterns in the syntax of Go's `regexp` (RE2), run by the `regex` crate.
//!
//! In: a pattern, the text to search, an expansion template. Out: what Go's `MatchString`,
//! `FindStringSubmatchIndex` and `Expand` give for valid UTF-8, and Go's words for a pattern which
//! it refuses. Patterns are translated first, since the two syntaxes accept different texts and
//! read some of them differently. It never backtracks, so no pattern is slow.

mod expander;
mod items;
mod parse;
mod unicode;

use std::ops::Range;

use regex::{Regex, RegexBuilder};

pub use expander::Expander;
pub use parse::{Error, ErrorKind};

/// The memory that one compiled pattern may take; Go refuses patterns of about this size too.
const COMPILED_BYTES_MAX: usize = 64 << 20;
/// The compiler below recurses with the nesting of a pattern. Past this many levels it gets a
/// stack of its own, large enough for the deepest pattern that Go takes.
const NESTING_ON_OUR_STACK_MAX: u32 = 40;
const COMPILER_STACK_BYTES: usize = 64 << 20;
/// How deep the translated text may nest: a few levels for each of Go's own.
const TRANSLATED_NESTING_MAX: u32 = 4 * parse::NESTING_MAX;

/// A compiled pattern. It matches anywhere in a text unless it is anchored.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
    names: Vec<String>,
}

/// The leftmost match of a pattern in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match<'t> {
    text: &'t str,
    groups: Vec<Option<Range<usize>>>,
}

impl Pattern {
    /// Compiles a pattern. Fails with Go's message where Go refuses it.
    pub fn new(text: &str) -> Result<Self, Error> {
        let translated = parse::translate(text)?;
        let regex = if translated.nesting > NESTING_ON_OUR_STACK_MAX {
            compile_with_room(&translated.text)
        } else {
            compile(&translated.text)
        };
        let regex = regex.ok_or_else(|| Error::new(ErrorKind::TooLarge, text))?;
        Ok(Self {
            text: text.to_owned(),
            regex,
            names: translated.names,
        })
    }

    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the names of the groups; the whole match and unnamed groups have an empty one.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns whether the pattern matches anywhere in the text.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Returns the leftmost match.
    pub fn find<'t>(&self, text: &'t str) -> Option<Match<'t>> {
        let captures = self.regex.captures(text)?;
        // A group that the engine dropped because it can never take part is still counted.
        let groups = (0..self.names.len())
            .map(|group| captures.get(group).map(|found| found.range()))
            .collect();
        Some(Match { text, groups })
    }

    /// Returns the template with `$1`, `${1}`, `$name` and `${name}` replaced by what the groups
    /// took and `$$` by a dollar sign. Unknown groups are empty, what is no group stays as it is.
    pub fn expand(&self, template: &str, found: &Match<'_>) -> String {
        let mut out = String::with_capacity(template.len());
        for piece in expander::pieces(self, template) {
            piece.push(&mut out, |group| found.group(group));
        }
        out
    }
}

fn compile(translated: &str) -> Option<Regex> {
    RegexBuilder::new(translated)
        .nest_limit(TRANSLATED_NESTING_MAX)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .ok()
}

fn compile_with_room(translated: &str) -> Option<Regex> {
    std::thread::scope(|scope| {
        let compiler = std::thread::Builder::new()
            .stack_size(COMPILER_STACK_BYTES)
            .spawn_scoped(scope, || compile(translated));
        compiler.ok()?.join().ok()?
    })
}

impl<'t> Match<'t> {
    /// Returns the bytes that a group took; group 0 is the whole match.
    pub fn range(&self, group: usize) -> Option<Range<usize>> {
        self.groups.get(group).cloned().flatten()
    }

    /// Returns the text that a group took, if it took part.
    pub fn group(&self, group: usize) -> Option<&'t str> {
        self.text.get(self.range(group)?)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_pattern_which_compiles_to_too_much_is_refused() {
        let error = Pattern::new(r"(\pL{100}){10}\pL{1000}\pL{1000}\pL{1000}").unwrap_err();
        assert!(
            error.to_string().contains("expression too large"),
            "{error}"
        );
    }

    #[test]
    fn an_open_repetition_keeps_the_repeats_inside() {
        let error = Pattern::new("(?:(a{1000}){0,}){1,3}").unwrap_err();
        let text = error.to_string();
        assert_eq!(text, "error parsing regexp: invalid repeat count: `{1,3}`");
        assert!(Pattern::new("(?:(a{1000}){0}){1,3}").is_ok());
    }

    #[test]
    fn the_deepest_pattern_does_not_exhaust_the_stack() {
        for (open, close) in [("(", ")"), ("(?:", ")?"), ("(?:a|", ")*"), ("(b", ")")] {
            let pattern = |depth| format!("{}x{}", open.repeat(depth), close.repeat(depth));
            let accepted = [300, 600, 1100].map(|depth| Pattern::new(&pattern(depth)).is_ok());
            assert!(accepted[0] && !accepted[2], "{open}…{close}: {accepted:?}");
        }
    }
}
