//! What a plain scalar means, as the two Go libraries decide it.
//!
//! In: a text without quotes. Out: null, a boolean, a number, a timestamp or a string. Version 2
//! (API objects, configuration files) knows the booleans of YAML 1.1, version 3 (kyaml) only
//! `true` and `false`. It never looks at tags or styles; the callers do.

use crate::node::Tag;

/// The longest word that is not a string: `false`.
const WORD_MAX: usize = 5;

/// Whose rules decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// go-yaml version 2, as sigs.k8s.io/yaml uses it.
    V2,
    /// go-yaml version 3, as kyaml uses it.
    V3,
}

/// What a plain scalar means.
#[derive(Debug, Clone, PartialEq)]
pub enum Plain {
    /// Nothing, `~` or `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer that fits a signed 64-bit number.
    Int(i64),
    /// A larger integer that fits an unsigned 64-bit number.
    Uint(u64),
    /// A floating point number, infinities and not-a-number included.
    Float(f64),
    /// A point in time, as RFC 3339 prints it.
    Timestamp(String),
    /// The text itself.
    Str,
}

impl Plain {
    /// Returns the tag of what has this meaning.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Null => Tag::Null,
            Self::Bool(_) => Tag::Bool,
            Self::Int(_) | Self::Uint(_) => Tag::Int,
            Self::Float(_) => Tag::Float,
            Self::Timestamp(_) => Tag::Timestamp,
            Self::Str => Tag::Str,
        }
    }
}

/// Returns what a scalar without quotes and without a tag means.
pub fn resolve(text: &str, rules: Rules) -> Plain {
    let Some(first) = text.bytes().next() else {
        return Plain::Null;
    };
    match first {
        b'0'..=b'9' | b'+' | b'-' => {
            if let Some(infinity) = infinity(text) {
                return infinity;
            }
            if let Some(time) = timestamp(text) {
                return Plain::Timestamp(time);
            }
            number(text)
        }
        b'.' => infinity(text).or_else(|| float(text)).unwrap_or(Plain::Str),
        _ if text.len() > WORD_MAX => Plain::Str,
        _ if is_null(text) => Plain::Null,
        _ => boolean(text, rules).map_or(Plain::Str, Plain::Bool),
    }
}

/// Returns whether a scalar without quotes and with this text is a string for every reader:
/// by the rules of version 2 and 3, and for readers of YAML 1.1 that know base-60 numbers.
///
/// It does not say whether the text may be written without quotes.
pub fn is_string(text: &str) -> bool {
    resolve(text, Rules::V2) == Plain::Str && !is_base_60(text)
}

/// Returns whether the text is null.
pub fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn boolean(text: &str, rules: Rules) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ if rules == Rules::V3 => None,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn infinity(text: &str) -> Option<Plain> {
    let float = match text {
        ".nan" | ".NaN" | ".NAN" => f64::NAN,
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => f64::INFINITY,
        "-.inf" | "-.Inf" | "-.INF" => f64::NEG_INFINITY,
        _ => return None,
    };
    Some(Plain::Float(float))
}

fn number(text: &str) -> Plain {
    let cleaned;
    let text = if text.contains('_') {
        cleaned = text.replace('_', "");
        &cleaned
    } else {
        text
    };
    integer(text).or_else(|| float(text)).unwrap_or(Plain::Str)
}

fn integer(text: &str) -> Option<Plain> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|b| char::from(b).is_digit(radix)) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(size).map(Plain::Int);
    }
    // An explicit plus is read only as a signed number.
    match i64::try_from(size) {
        Ok(int) => Some(Plain::Int(int)),
        Err(_) if text.starts_with('+') => None,
        Err(_) => Some(Plain::Uint(size)),
    }
}

fn float(text: &str) -> Option<Plain> {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return None;
    }
    if let Some(exponent) = exponent {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if exponent.is_empty() || !digits(exponent) {
            return None;
        }
    }
    text.parse()
        .ok()
        .filter(|float: &f64| float.is_finite())
        .map(Plain::Float)
}

/// `^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`
fn is_base_60(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let Some((first, rest)) = text.split_once(':') else {
        return false;
    };
    let (rest, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let part = |part: &str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
        _ => false,
    };
    first.starts_with(|c: char| c.is_ascii_digit())
        && first.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && rest.split(':').all(part)
}

/// Returns a timestamp as RFC 3339 prints it. The text must begin with four digits and a dash.
fn timestamp(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes[4] != b'-' || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut cursor = Cursor { rest: text };
    let year = cursor.digits(4, 4)?;
    cursor.expect('-')?;
    let month = cursor.digits(1, 2)?;
    cursor.expect('-')?;
    let day = cursor.digits(1, 2)?;
    let days = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if day == 0 || day > days {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    if cursor.rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let zoned = match cursor.next()? {
        'T' | 't' => true,
        ' ' => false,
        _ => return None,
    };
    let (time, zone) = clock(&mut cursor, zoned)?;
    cursor
        .rest
        .is_empty()
        .then(|| format!("{date}T{time}{zone}"))
}

fn clock(cursor: &mut Cursor<'_>, zoned: bool) -> Option<(String, String)> {
    let hour = cursor.digits(1, 2)?;
    cursor.expect(':')?;
    let minute = cursor.digits(2, 2)?;
    cursor.expect(':')?;
    let second = cursor.digits(2, 2)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut time = format!("{hour:02}:{minute:02}:{second:02}");
    if cursor.rest.starts_with(['.', ',']) {
        cursor.next();
        let length = cursor.rest.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return None;
        }
        let fraction = cursor.rest[..length.min(9)].trim_end_matches('0');
        if !fraction.is_empty() {
            time = format!("{time}.{fraction}");
        }
        cursor.rest = &cursor.rest[length..];
    }
    if !zoned {
        return Some((time, "Z".into()));
    }
    let sign = match cursor.next()? {
        'Z' => return Some((time, "Z".into())),
        sign @ ('+' | '-') => sign,
        _ => return None,
    };
    let hours = cursor.digits(2, 2)?;
    cursor.expect(':')?;
    let minutes = cursor.digits(2, 2)?;
    if hours > 24 || minutes > 60 {
        return None;
    }
    let zone = match (hours, minutes) {
        (0, 0) => "Z".into(),
        _ => format!("{sign}{hours:02}:{minutes:02}"),
    };
    Some((time, zone))
}

struct Cursor<'a> {
    rest: &'a str,
}

impl Cursor<'_> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    fn expect(&mut self, c: char) -> Option<()> {
        (self.next()? == c).then_some(())
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<u32> {
        let length = self
            .rest
            .bytes()
            .take(most)
            .take_while(u8::is_ascii_digit)
            .count();
        if length < least {
            return None;
        }
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        digits.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, v2: &Plain, v3: &Plain) {
        assert_eq!(&resolve(text, Rules::V2), v2, "{text} by version 2");
        assert_eq!(&resolve(text, Rules::V3), v3, "{text} by version 3");
    }

    #[test]
    fn only_version_2_knows_the_old_booleans() {
        for text in ["on", "Yes", "y", "Y", "ON"] {
            check(text, &Plain::Bool(true), &Plain::Str);
        }
        for text in ["off", "No", "n", "N", "OFF"] {
            check(text, &Plain::Bool(false), &Plain::Str);
        }
        check("nO", &Plain::Str, &Plain::Str);
        check("True", &Plain::Bool(true), &Plain::Bool(true));
    }

    #[test]
    fn numbers_are_read_alike() {
        let both = |text, plain: Plain| check(text, &plain, &plain);
        both("0777", Plain::Int(511));
        both("0o17", Plain::Int(15));
        both("0x1F", Plain::Int(31));
        both("-0b11", Plain::Int(-3));
        both("1_000", Plain::Int(1000));
        both("08", Plain::Float(8.0));
        both("1e3", Plain::Float(1000.0));
        both(".5", Plain::Float(0.5));
        both("1.", Plain::Float(1.0));
        both("1e400", Plain::Str);
        both("18446744073709551615", Plain::Uint(u64::MAX));
        both("-9223372036854775808", Plain::Int(i64::MIN));
        both(
            "18446744073709551616",
            Plain::Float(18_446_744_073_709_551_616.0),
        );
        both("1d", Plain::Str);
        both("1.2.3", Plain::Str);
        both("-", Plain::Str);
        both("+", Plain::Str);
        both("12:30:45", Plain::Str);
        both("-.inf", Plain::Float(f64::NEG_INFINITY));
    }

    #[test]
    fn timestamps_are_printed_in_full() {
        let time = |text, printed: &str| {
            check(
                text,
                &Plain::Timestamp(printed.into()),
                &Plain::Timestamp(printed.into()),
            )
        };
        time("2020-01-01", "2020-01-01T00:00:00Z");
        time("2020-1-2", "2020-01-02T00:00:00Z");
        time("2020-01-01T10:00:00+02:00", "2020-01-01T10:00:00+02:00");
        time("2020-01-01 1:00:00.50", "2020-01-01T01:00:00.5Z");
        check("2020-13-01", &Plain::Str, &Plain::Str);
        check("2021-02-29", &Plain::Str, &Plain::Str);
        check("2020-01-01 10:00", &Plain::Str, &Plain::Str);
    }

    #[test]
    fn a_string_is_one_for_every_reader() {
        for text in [
            "",
            "~",
            "yes",
            "n",
            "1",
            "0x1",
            "1:30",
            "2020-01-01",
            ".nan",
            "1e3",
        ] {
            assert!(!is_string(text), "{text}");
        }
        for text in ["a", "v1.2.3", "1.2.3", "nO", "1:99", "-", "a: b"] {
            assert!(is_string(text), "{text}");
        }
    }
}
