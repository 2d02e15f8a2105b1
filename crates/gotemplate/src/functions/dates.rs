//! sprig's functions on times that need no clock.
//!
//! In: text, Go layouts. Out: times and durations as text. Pure; what asks for the time of day is
//! refused elsewhere.

use chrono::format::{Parsed, StrftimeItems, parse};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, Utc};

use super::{Called, Row, any_at, text, text_at};
use crate::exec::Memory;
use crate::value::{Value, Whole};

/// Pieces of a layout and what they are to chrono, longer ones first where one begins another.
const PIECES: [(&str, &str); 22] = [
    ("2006", "%Y"),
    ("January", "%B"),
    ("Monday", "%A"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("Z07:00", "%#z"),
    ("-07:00", "%:z"),
    ("-0700", "%z"),
    ("01", "%m"),
    ("02", "%d"),
    ("_2", "%e"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("PM", "%p"),
    ("1", "%m"),
    ("2", "%d"),
    ("3", "%I"),
    ("4", "%M"),
    ("5", "%S"),
];

pub(super) const FUNCTIONS: &[Row] = &[
    ("toDate", "ss", |_, a| {
        Ok(Value::Time(to_date(a).unwrap_or_else(first_day)))
    }),
    ("mustToDate", "ss", |_, a| match to_date(a) {
        Some(time) => Ok(Value::Time(time)),
        None => {
            let (layout, value) = (text_at(a, 0), text_at(a, 1));
            Err(format!("parsing time {value:?} as {layout:?}: cannot parse").into())
        }
    }),
    ("unixEpoch", "t", |m, a| match any_at(a, 0) {
        Value::Time(time) => text(m, &time.timestamp().to_string()),
        _ => text(m, ""),
    }),
    ("duration", "a", |m, a| {
        let seconds = match any_at(a, 0) {
            Value::Int(seconds, Whole::Int64) => *seconds,
            Value::Text(text) => text.parse().unwrap_or(0),
            // sprig reads no other type, not even int.
            _ => 0,
        };
        text(m, &shown(seconds))
    }),
    ("durationRound", "a", duration_round),
];

/// The time that Go has where there is none.
fn first_day() -> DateTime<FixedOffset> {
    let day = NaiveDate::from_ymd_opt(1, 1, 1).unwrap_or_default();
    let time = day.and_time(NaiveTime::MIN);
    DateTime::from_naive_utc_and_offset(time, Utc.fix())
}

fn to_date(a: &[Value]) -> Option<DateTime<FixedOffset>> {
    let mut format = String::new();
    let mut rest = text_at(a, 0);
    while let Some(c) = rest.chars().next() {
        let piece = PIECES.iter().find(|(piece, _)| rest.starts_with(piece));
        match piece {
            Some((piece, to)) => {
                format.push_str(to);
                rest = &rest[piece.len()..];
            }
            None => {
                format.push_str(if c == '%' {
                    "%%"
                } else {
                    &rest[..c.len_utf8()]
                });
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    let mut parsed = Parsed::new();
    parse(&mut parsed, text_at(a, 1), StrftimeItems::new(&format)).ok()?;
    let date = parsed.to_naive_date().ok()?;
    let time = parsed.to_naive_time().unwrap_or(NaiveTime::MIN);
    let offset = match parsed.offset() {
        Some(seconds) => FixedOffset::east_opt(seconds)?,
        None => Utc.fix(),
    };
    NaiveDateTime::new(date, time)
        .and_local_timezone(offset)
        .single()
}

/// Shows seconds as Go shows a duration.
fn shown(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let all = seconds.unsigned_abs();
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

fn duration_round(memory: &mut Memory, a: &[Value]) -> Called {
    let seconds = match any_at(a, 0) {
        Value::Int(seconds, Whole::Int64) => *seconds,
        Value::Text(text) => seconds_of(text).unwrap_or(0),
        Value::Time(_) => return Err("of a time is not supported: there is no clock here".into()),
        _ => 0,
    };
    let sign = if seconds < 0 { "-" } else { "" };
    let all = seconds.unsigned_abs();
    let units = [
        (365 * 24 * 3600, "y"),
        (30 * 24 * 3600, "mo"),
        (24 * 3600, "d"),
        (3600, "h"),
        (60, "m"),
        (1, "s"),
    ];
    // sprig asks for more than a unit, except that one second is a second.
    let unit = units
        .iter()
        .find(|(unit, _)| all > *unit || (all == 1 && *unit == 1));
    match unit {
        Some((unit, letter)) => text(memory, &format!("{sign}{}{letter}", all / unit)),
        None => text(memory, "0s"),
    }
}

/// Reads a Go duration, to the second.
fn seconds_of(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number * unit;
        rest = &rest[end..];
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "parts of a second are cut off"
    )]
    Some((sign * seconds) as i64)
}
