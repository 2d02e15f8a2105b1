//! The small parts of a pattern: counts, escapes, named classes and single characters.
//!
//! In: the rest of a pattern. Out: what its front says, in the syntax of the `regex` crate, and
//! what follows it; or the error that Go gives. It keeps no state.

use super::parse::{Error, ErrorKind, REPEAT_MAX, Result};
use super::unicode;

/// A class without members.
pub(super) const NOTHING: &str = r"[^\x00-\x{10FFFF}]";

/// `{min}`, `{min,}` or `{min,max}`.
pub(super) struct Count<'p> {
    /// Nothing when the number has too many digits.
    min: Option<u32>,
    max: Max,
    pub rest: &'p str,
}

enum Max {
    Same,
    None,
    At(Option<u32>),
}

impl Count<'_> {
    pub fn is_valid(&self) -> bool {
        let in_bounds = |n: Option<u32>| n.is_some_and(|n| n <= REPEAT_MAX);
        in_bounds(self.min)
            && match self.max {
                Max::Same | Max::None => true,
                Max::At(max) => in_bounds(max) && self.min <= max,
            }
    }

    pub fn text(&self) -> String {
        let min = self.min.unwrap_or_default();
        match self.max {
            Max::Same => format!("{{{min}}}"),
            Max::None => format!("{{{min},}}"),
            Max::At(max) => format!("{{{min},{}}}", max.unwrap_or_default()),
        }
    }

    /// Returns how many copies of the item the repetition stands for. Go takes `{0,}` for one,
    /// as it does a star, and forgets what is inside of `{0}`.
    pub fn most(&self) -> u32 {
        match self.max {
            Max::Same => self.min.unwrap_or_default(),
            Max::None => self.min.unwrap_or_default().max(1),
            Max::At(max) => max.unwrap_or_default(),
        }
    }
}

/// Reads a counted repetition; nothing if the brace is a literal one.
pub(super) fn counted_repeat(text: &str) -> Option<Count<'_>> {
    let (min, rest) = decimal(text.strip_prefix('{')?)?;
    let (max, rest) = match rest.strip_prefix(',') {
        None => (Max::Same, rest),
        Some(rest) if rest.starts_with('}') => (Max::None, rest),
        Some(rest) => {
            let (max, rest) = decimal(rest)?;
            (Max::At(max), rest)
        }
    };
    let rest = rest.strip_prefix('}')?;
    Some(Count { min, max, rest })
}

/// Reads a number without a zero in front; it is nothing itself when it is too great.
fn decimal(text: &str) -> Option<(Option<u32>, &str)> {
    let n_digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(n_digits);
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().ok(), rest))
}

/// Reads `\d`, `\pN`, `\p{Greek}` and their like: the members of a class, and the rest.
pub(super) fn class_escape(text: &str) -> Result<Option<(String, &str)>> {
    let Some(after) = text.strip_prefix('\\') else {
        return Ok(None);
    };
    let members = match after.as_bytes().first() {
        Some(b'd') => "0-9",
        Some(b'D') => "[^0-9]",
        Some(b's') => r"\t\n\x0C\r\x20",
        Some(b'S') => r"[^\t\n\x0C\r\x20]",
        Some(b'w') => "0-9A-Z_a-z",
        Some(b'W') => "[^0-9A-Z_a-z]",
        Some(b'p' | b'P') => return property(text).map(Some),
        _ => return Ok(None),
    };
    Ok(Some((members.to_owned(), &after[1..])))
}

/// Reads `\pN`, `\p{^Greek}` and their like.
fn property(text: &str) -> Result<(String, &str)> {
    let mut negated = text.starts_with(r"\P");
    let after = &text[2..];
    let (length, name) = match after.chars().next() {
        Some('{') => {
            let Some(end) = text.find('}') else {
                return Err(Error::new(ErrorKind::CharRange, text));
            };
            (end + 1, &text[3..end])
        }
        Some(c) => (2 + c.len_utf8(), &after[..c.len_utf8()]),
        None => (2, ""),
    };
    let positive = name.strip_prefix('^');
    negated ^= positive.is_some();
    let Some(class) = unicode::class(positive.unwrap_or(name), negated) else {
        return Err(Error::new(ErrorKind::CharRange, &text[..length]));
    };
    Ok((class, &text[length..]))
}

/// Reads `[:alpha:]` and its like within a class.
pub(super) fn posix_class(text: &str) -> Result<Option<(String, &str)>> {
    let Some(end) = text.strip_prefix("[:").and_then(|t| t.find(":]")) else {
        return Ok(None);
    };
    let (whole, rest) = text.split_at(end + 4);
    let name = &whole[2..whole.len() - 2];
    let positive = name.strip_prefix('^').unwrap_or(name);
    let known = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
        "space", "upper", "word", "xdigit",
    ];
    if !known.contains(&positive) {
        return Err(Error::new(ErrorKind::CharRange, whole));
    }
    Ok(Some((whole.to_owned(), rest)))
}

/// Reads one character of a class, escaped or not.
pub(super) fn class_char<'p>(text: &'p str, whole: &str) -> Result<(u32, &'p str)> {
    match text.chars().next() {
        None => Err(Error::new(ErrorKind::MissingBracket, whole)),
        Some('\\') => escaped_char(text),
        Some(c) => Ok((u32::from(c), &text[c.len_utf8()..])),
    }
}

/// Reads an escaped character; it may be half of a surrogate pair.
pub(super) fn escaped_char(text: &str) -> Result<(u32, &str)> {
    let mut chars = text.chars();
    chars.next();
    let Some(c) = chars.next() else {
        return Err(Error::new(ErrorKind::TrailingBackslash, ""));
    };
    let is_octal = |c: char| ('0'..='7').contains(&c);
    let value = match c {
        '0'..='7' if c == '0' || chars.as_str().starts_with(is_octal) => {
            let mut value = u32::from(c) - u32::from('0');
            for _ in 0..2 {
                let Some(digit) = chars.clone().next().filter(|c| is_octal(*c)) else {
                    break;
                };
                chars.next();
                value = value * 8 + u32::from(digit) - u32::from('0');
            }
            Some(value)
        }
        'x' => hexadecimal(&mut chars),
        'a' => Some(0x07),
        'f' => Some(0x0c),
        'n' => Some(0x0a),
        'r' => Some(0x0d),
        't' => Some(0x09),
        'v' => Some(0x0b),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
        _ => None,
    };
    let rest = chars.as_str();
    match value {
        Some(value) => Ok((value, rest)),
        None => Err(Error::new(
            ErrorKind::Escape,
            &text[..text.len() - rest.len()],
        )),
    }
}

/// Reads `41` or `{1F600}`.
fn hexadecimal(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    let first = chars.next()?;
    if first != '{' {
        let second = chars.next()?;
        return Some(first.to_digit(16)? * 16 + second.to_digit(16)?);
    }
    let mut value = 0;
    let mut n_digits = 0;
    loop {
        match chars.next()? {
            '}' if n_digits > 0 => return Some(value),
            c => value = value * 16 + c.to_digit(16)?,
        }
        n_digits += 1;
        if value > u32::from(char::MAX) {
            return None;
        }
    }
}

pub(super) fn push_char(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() {
        out.push(c);
    } else {
        out.push_str(&format!("\\x{{{:X}}}", u32::from(c)));
    }
}

/// Writes a range, without the surrogates in it.
pub(super) fn push_range(members: &mut String, low: u32, high: u32) {
    let low = (low..=high).find(|c| char::from_u32(*c).is_some());
    let high = low.and_then(|low| (low..=high).rev().find(|c| char::from_u32(*c).is_some()));
    let as_char = |c: Option<u32>| c.and_then(char::from_u32);
    if let (Some(low), Some(high)) = (as_char(low), as_char(high)) {
        push_char(members, low);
        members.push('-');
        push_char(members, high);
    }
}
