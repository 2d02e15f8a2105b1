//! [`Expander`]: a pattern and a template, ready for many texts.
//!
//! In: a template as Go's `Expand` reads it, and texts. Out: for each text that matches what the
//! template makes of it, in memory that is used again. Pure.

use std::sync::LazyLock;

use regex::{CaptureLocations, Regex};

use super::Pattern;

/// Fills a template for one text after the other.
pub struct Expander<'p> {
    pattern: &'p Pattern,
    pieces: Vec<Piece>,
    locations: CaptureLocations,
    expanded: String,
}

/// A piece of a template.
pub(super) enum Piece {
    Text(String),
    /// The first of these groups that took part.
    Group(Vec<usize>),
}

impl Pattern {
    /// Returns what fills the template as [`Pattern::expand`] does.
    pub fn expander(&self, template: &str) -> Expander<'_> {
        Expander {
            pattern: self,
            pieces: pieces(self, template),
            locations: self.regex.capture_locations(),
            expanded: String::new(),
        }
    }
}

impl Expander<'_> {
    /// Returns what the template makes of a text, unless the pattern does not match it.
    pub fn expand<'a>(&'a mut self, text: &'a str) -> Option<&'a str> {
        let regex = &self.pattern.regex;
        regex.captures_read(&mut self.locations, text)?;
        let locations = &self.locations;
        let took = |group| {
            locations
                .get(group)
                .and_then(|(start, end)| text.get(start..end))
        };
        // Most templates are one group, which is a part of the text.
        if let [Piece::Group(groups)] = self.pieces.as_slice() {
            return Some(first(groups, took));
        }
        self.expanded.clear();
        for piece in &self.pieces {
            piece.push(&mut self.expanded, took);
        }
        Some(&self.expanded)
    }
}

impl Piece {
    /// Adds the piece, given what a group took.
    pub fn push<'t>(&self, out: &mut String, took: impl Fn(usize) -> Option<&'t str>) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Group(groups) => out.push_str(first(groups, took)),
        }
    }
}

fn first<'t>(groups: &[usize], took: impl Fn(usize) -> Option<&'t str>) -> &'t str {
    groups
        .iter()
        .find_map(|group| took(*group))
        .unwrap_or_default()
}

/// Returns the pieces of a template.
pub(super) fn pieces(pattern: &Pattern, template: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            text.push('$');
            rest = after;
        } else if let Some((name, after)) = GroupName::read(rest) {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Group(name.groups(pattern)));
            rest = after;
        } else {
            text.push('$');
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// A reference to a group in a template.
enum GroupName<'a> {
    Number(usize),
    Name(&'a str),
}

/// The letters, digits and underscores that Go takes for a name.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[\p{L}\p{Nd}_]+").expect("because the pattern is a constant that compiles")
});

impl<'a> GroupName<'a> {
    /// Reads `name` or `{name}` from the front and returns it with the rest of the text.
    fn read(text: &'a str) -> Option<(Self, &'a str)> {
        let inner = text.strip_prefix('{');
        let name = NAME.find(inner.unwrap_or(text))?.as_str();
        let rest = match inner {
            Some(inner) => inner[name.len()..].strip_prefix('}')?,
            None => &text[name.len()..],
        };
        Some((Self::classify(name), rest))
    }

    /// A number is at most nine digits, without a zero in front.
    fn classify(name: &'a str) -> Self {
        let decimal = name.bytes().all(|b| b.is_ascii_digit()) && name.len() <= 9;
        match name.parse() {
            Ok(number) if decimal && (name == "0" || !name.starts_with('0')) => {
                Self::Number(number)
            }
            _ => Self::Name(name),
        }
    }

    /// Returns the groups that it may mean. Several groups may have one name: the first that took
    /// part counts.
    fn groups(&self, pattern: &Pattern) -> Vec<usize> {
        match self {
            Self::Number(number) => vec![*number],
            Self::Name(name) => (pattern.names.iter().enumerate())
                .filter(|(_, other)| other == name)
                .map(|(number, _)| number)
                .collect(),
        }
    }
}
