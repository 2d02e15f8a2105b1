//! Prints one number, text or truth by a verb, as Go's `fmt` does.
//!
//! In: a value and a verb with its flags. Out: text padded to the width; nothing where the verb is not
//! one of the value's. Widths and precisions are bounded where they are read. Pure.

use std::fmt::Write as _;

use super::format::Verb;
use crate::float::{binary_float, exponent_text, fixed_text, float_text, hex_float};

/// Prints a truth.
pub(super) fn bool_text(verb: &Verb, value: bool) -> Option<String> {
    matches!(verb.letter, 'v' | 't').then(|| verb.padded(&value.to_string()))
}

/// Prints a whole number.
pub(super) fn int_text(verb: &Verb, value: i64) -> Option<String> {
    let magnitude = value.unsigned_abs();
    let digits = match verb.letter {
        'v' | 'd' => magnitude.to_string(),
        'b' => format!("{magnitude:b}"),
        'o' | 'O' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        'c' => return Some(verb.padded(&char_of(value).to_string())),
        'q' => return Some(verb.padded(&quoted_by(&char_of(value).to_string(), '\'', verb.plus))),
        'U' => return Some(verb.blank_padded(&code_point(verb, value))),
        _ => return None,
    };
    let has_sign = value < 0 || verb.plus || verb.space;
    let n_digits = match (verb.precision, verb.width) {
        // Nothing at all is printed of a zero without digits, but its width.
        (Some(0), _) if value == 0 => return Some(verb.blank_padded("")),
        (Some(precision), _) => precision,
        (None, Some(width)) if verb.zero && !verb.minus => width - usize::from(has_sign).min(width),
        _ => 0,
    };
    let zeros = "0".repeat(n_digits.saturating_sub(digits.len()));
    let is_octal = matches!(verb.letter, 'o' | 'O');
    let needs_zero = is_octal && verb.sharp && zeros.is_empty() && !digits.starts_with('0');
    let prefix = match verb.letter {
        'O' if needs_zero => "0o0",
        'O' => "0o",
        'o' if needs_zero => "0",
        'b' if verb.sharp => "0b",
        'x' if verb.sharp => "0x",
        'X' if verb.sharp => "0X",
        _ => "",
    };
    let sign = match (value < 0, verb.plus, verb.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    };
    Some(verb.blank_padded(&format!("{sign}{prefix}{zeros}{digits}")))
}

fn char_of(value: i64) -> char {
    let c = u32::try_from(value).ok().and_then(char::from_u32);
    c.unwrap_or('\u{fffd}')
}

/// Returns `U+0041`, with the character itself where the flag asks for it.
fn code_point(verb: &Verb, value: i64) -> String {
    let n_digits = verb.precision.unwrap_or(0).max(4);
    let digits = format!("{value:X}");
    let zeros = "0".repeat(n_digits.saturating_sub(digits.len()));
    let shown = u32::try_from(value).ok().and_then(char::from_u32);
    match shown.filter(|c| verb.sharp && is_print(*c)) {
        Some(c) => format!("U+{zeros}{digits} '{c}'"),
        None => format!("U+{zeros}{digits}"),
    }
}

/// Prints a float.
pub(super) fn float_verb(verb: &Verb, value: f64) -> Option<String> {
    let precision = verb.precision;
    let text = match verb.letter {
        'v' | 'g' | 'G' | 'f' | 'F' | 'e' | 'E' | 'b' | 'x' | 'X' if !value.is_finite() => {
            return Some(verb.blank_padded(&infinite(verb, value)));
        }
        'v' | 'g' | 'G' => float_text(value, precision),
        'f' | 'F' => fixed_text(value, precision.unwrap_or(6)),
        'e' | 'E' => exponent_text(value, Some(precision.unwrap_or(6))),
        'b' => binary_float(value),
        'x' | 'X' => hex_float(value, precision),
        _ => return None,
    };
    let text = match verb.letter {
        'E' | 'G' | 'X' => text.to_uppercase(),
        _ => text,
    };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None if verb.plus => ("+", text.as_str()),
        None if verb.space => (" ", text.as_str()),
        None => ("", text.as_str()),
    };
    let digits = match verb.sharp && verb.letter != 'b' {
        true => with_point(verb, digits),
        false => digits.to_owned(),
    };
    let n_chars = sign.len() + digits.chars().count();
    match verb.width {
        Some(width) if verb.zero && !verb.minus && !sign.is_empty() && width > n_chars => {
            Some(format!("{sign}{}{digits}", "0".repeat(width - n_chars)))
        }
        _ => Some(verb.padded(&format!("{sign}{digits}"))),
    }
}

fn infinite(verb: &Verb, value: f64) -> String {
    let sign = match (verb.plus, verb.space) {
        (true, _) => "+",
        (false, true) => " ",
        (false, false) => "",
    };
    match (value.is_nan(), value > 0.0) {
        (true, _) => format!("{sign}NaN"),
        (false, true) => format!("{}Inf", if sign.is_empty() { "+" } else { sign }),
        (false, false) => "-Inf".to_owned(),
    }
}

/// Returns digits with a point in any case, and as many of them as a `%g` does not cut off.
fn with_point(verb: &Verb, text: &str) -> String {
    let is_hex = matches!(verb.letter, 'x' | 'X');
    let tail = text.find(|c: char| match is_hex {
        true => matches!(c, 'p' | 'P'),
        false => matches!(c, 'e' | 'E'),
    });
    let (body, tail) = text.split_at(tail.unwrap_or(text.len()));
    let wanted = match verb.letter {
        'v' | 'g' | 'G' | 'x' => verb.precision.unwrap_or(6),
        _ => 0,
    };
    let digits = body.chars().filter(|c| *c != '.');
    // The `0` and the letter of a hexadecimal prefix count as the others do.
    let n_digits = digits.skip_while(|c| *c == '0').count() + usize::from(body == "0");
    let point = if body.contains('.') { "" } else { "." };
    let zeros = "0".repeat(wanted.saturating_sub(n_digits));
    format!("{body}{point}{zeros}{tail}")
}

/// Prints a complex number.
pub(super) fn complex_text(verb: &Verb, real: f64, imaginary: f64) -> Option<String> {
    let real = float_verb(verb, real)?;
    let mut signed = verb.clone();
    signed.plus = true;
    let imaginary = float_verb(&signed, imaginary)?;
    Some(format!("({real}{imaginary}i)"))
}

/// Prints a text.
pub(super) fn text_verb(verb: &Verb, text: &str) -> Option<String> {
    let cut = || -> String {
        match verb.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.to_owned(),
        }
    };
    let shown = match verb.letter {
        'v' | 's' if !verb.is_source => cut(),
        'v' | 'q' => quoted_text(verb, &cut()),
        'x' => hex(text, verb),
        'X' => hex(text, verb).to_uppercase(),
        _ => return None,
    };
    Some(verb.padded(&shown))
}

fn quoted_text(verb: &Verb, text: &str) -> String {
    let is_raw = |c: char| c != '`' && c != '\u{feff}' && (c == '\t' || !c.is_ascii_control());
    match verb.sharp && text.chars().all(is_raw) {
        true => format!("`{text}`"),
        false => quoted_by(text, '"', verb.plus),
    }
}

fn hex(text: &str, verb: &Verb) -> String {
    let n_bytes = verb.precision.unwrap_or(text.len());
    let bytes = text.bytes().take(n_bytes).map(|byte| format!("{byte:02x}"));
    let bytes: Vec<String> = bytes.collect();
    let prefix = if verb.sharp && !bytes.is_empty() {
        "0x"
    } else {
        ""
    };
    match verb.space {
        true => format!("{prefix}{}", bytes.join(&format!(" {prefix}"))),
        false => format!("{prefix}{}", bytes.concat()),
    }
}

/// Returns text in quotes as Go's `%q` has it.
pub(crate) fn quoted(text: &str) -> String {
    quoted_by(text, '"', false)
}

fn quoted_by(text: &str, quote: char, is_ascii: bool) -> String {
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if is_print(c) && (c.is_ascii() || !is_ascii) => out.push(c),
            // Writing to a String cannot fail.
            c => {
                let _ = match u32::from(c) {
                    code @ (0..0x20 | 0x7f) => write!(out, "\\x{code:02x}"),
                    code @ 0..0x10000 => write!(out, "\\u{code:04x}"),
                    code => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
    out
}

/// Returns whether Go prints a character as itself: letters, marks, numbers, signs and the blank.
fn is_print(c: char) -> bool {
    match c.is_ascii() {
        true => !c.is_ascii_control(),
        // Behind another character a mark is one that is seen.
        false => format!("a{c}").escape_debug().count() == 2,
    }
}
