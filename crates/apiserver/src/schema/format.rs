//! The `format` of strings and numbers.
//!
//! Unknown formats let everything through, as Kubernetes does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Duration, FixedOffset, NaiveDate};
use serde_json::Value;

/// Nanoseconds in each unit of a duration.
const UNITS: [(&str, f64); 24] = [
    ("ns", 1.0),
    ("nano", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("micro", 1e3),
    ("ms", 1e6),
    ("milli", 1e6),
    ("s", 1e9),
    ("sec", 1e9),
    ("secs", 1e9),
    ("second", 1e9),
    ("seconds", 1e9),
    ("m", 6e10),
    ("min", 6e10),
    ("minute", 6e10),
    ("minutes", 6e10),
    ("h", 3.6e12),
    ("hr", 3.6e12),
    ("hour", 3.6e12),
    ("hours", 3.6e12),
    ("d", 8.64e13),
    ("day", 8.64e13),
    ("days", 8.64e13),
    ("week", 6.048e14),
];

/// Returns whether a value has the format.
pub(super) fn matches(format: &str, value: &Value) -> bool {
    match (format, value) {
        ("int32", Value::Number(number)) => number
            .as_i64()
            .is_none_or(|whole| i32::try_from(whole).is_ok()),
        (_, Value::String(text)) => matches_text(format, text),
        _ => true,
    }
}

fn matches_text(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => date_time(text).is_some(),
        "date" => NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok(),
        "duration" => duration(text).is_some(),
        "byte" => STANDARD.decode(text).is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_cidr(text),
        "uri" => is_uri(text),
        "email" => is_email(text),
        "hostname" => is_hostname(text),
        "mac" => is_mac(text),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => is_uuid(format, text),
        "hexcolor" => is_hex_color(text),
        "k8s-short-name" => is_label(text),
        "k8s-long-name" => text.len() <= 253 && text.split('.').all(is_label_part),
        _ => true,
    }
}

/// Returns the time written in RFC 3339.
pub(super) fn date_time(text: &str) -> Option<DateTime<FixedOffset>> {
    // Go takes neither a blank for the `T` nor a small `z`.
    let marked = text.as_bytes().get(10) == Some(&b'T') && !text.ends_with('z');
    if !marked {
        return None;
    }
    DateTime::parse_from_rfc3339(text).ok()
}

/// Returns the duration, such as `1h30m` or `3 days`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(Duration::zero());
    }
    let mut nanoseconds = 0.0;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?.trim_start();
        let letters = rest
            .find(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')
            .unwrap_or(rest.len());
        let unit = rest.get(..letters)?.to_lowercase();
        nanoseconds += amount * UNITS.iter().find(|(name, _)| *name == unit)?.1;
        rest = rest.get(letters..)?.trim_start();
        parts += 1;
    }
    if parts == 0 || nanoseconds > i64::MAX as f64 {
        return None;
    }
    let signed = if negative { -nanoseconds } else { nanoseconds };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range was checked above"
    )]
    let whole = signed as i64;
    Some(Duration::nanoseconds(whole))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let max = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= max)
}

/// Returns whether the text is an absolute URI or an absolute path, which Go takes as well.
fn is_uri(text: &str) -> bool {
    if text.chars().any(|c| c.is_control() || c == ' ') {
        return false;
    }
    if text.starts_with('/') {
        return true;
    }
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

fn is_email(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && !host.is_empty() && !text.contains(char::is_whitespace)
    })
}

fn is_hostname(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    !name.is_empty()
        && text.len() <= 255
        && name.split('.').all(|part| {
            !part.is_empty()
                && part.len() <= 63
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    matches!(parts.len(), 6 | 8 | 20)
        && parts
            .iter()
            .all(|part| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit()))
}

fn is_uuid(format: &str, text: &str) -> bool {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let well_formed = digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit());
    let version = digits.chars().nth(12);
    well_formed
        && match format {
            "uuid3" => version == Some('3'),
            "uuid4" => version == Some('4'),
            "uuid5" => version == Some('5'),
            _ => true,
        }
}

fn is_hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    matches!(digits.len(), 3 | 6) && digits.chars().all(|c| c.is_ascii_hexdigit())
}

fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_label_part(text)
}

fn is_label_part(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(inner) && text.ends_with(inner) && text.chars().all(|c| inner(c) || c == '-')
}
