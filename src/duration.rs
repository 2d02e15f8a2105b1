//! Durations as Kubernetes objects carry them: text such as `1h30m`, read and printed as Go does.
//!
//! In: text or a JSON string. Out: a [`Duration`] of signed nanoseconds, its canonical text, its
//! rounding to seconds for messages. Go reads more than the CRD patterns admit; those patterns
//! belong to the schemas. It never reads a clock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The magnitude of the smallest duration; one more than that of the greatest.
const LIMIT: u64 = 1 << 63;

/// A signed length of time in nanoseconds, at most about 292 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(i64);

/// A text which is not a duration; the message is Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text does not have the shape of a duration or its value is too great.
    #[error("time: invalid duration {}", quote(.text))]
    Invalid {
        /// The text as given.
        text: String,
    },
    /// A number stands without a unit.
    #[error("time: missing unit in duration {}", quote(.text))]
    MissingUnit {
        /// The text as given.
        text: String,
    },
    /// A unit is not one of `ns`, `us`, `ms`, `s`, `m`, `h`.
    #[error("time: unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// The text as given.
        text: String,
    },
}

impl Duration {
    /// The duration of no length.
    pub const ZERO: Self = Self(0);

    /// Returns the duration of so many nanoseconds.
    pub const fn from_nanoseconds(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    /// Returns the duration of so many seconds, held at the limits of the type.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(SECOND as i64))
    }

    /// Returns the whole length in nanoseconds.
    pub const fn as_nanoseconds(self) -> i64 {
        self.0
    }

    /// Returns the duration for the standard library's waits; a negative one is none at all.
    pub fn as_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// Returns whether the duration has no length.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Reads a duration as Go's `time.ParseDuration` does. Fails with Go's message.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = || Error::Invalid {
            text: text.to_owned(),
        };
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let number = Number::read(rest).ok_or_else(invalid)?;
            let after = &rest[number.length..];
            let unit_end = after
                .find(|c: char| c == '.' || c.is_ascii_digit())
                .unwrap_or(after.len());
            let (unit, next) = after.split_at(unit_end);
            if unit.is_empty() {
                return Err(Error::MissingUnit {
                    text: text.to_owned(),
                });
            }
            let unit = nanoseconds_in(unit).ok_or_else(|| Error::UnknownUnit {
                unit: unit.to_owned(),
                text: text.to_owned(),
            })?;
            let value = number.times(unit).ok_or_else(invalid)?;
            total = total
                .checked_add(value)
                .filter(|total| *total <= LIMIT)
                .ok_or_else(invalid)?;
            rest = next;
        }
        if negative {
            return Ok(Self(0i64.wrapping_sub_unsigned(total)));
        }
        i64::try_from(total).map(Self).map_err(|_| invalid())
    }

    /// Returns the duration rounded to whole seconds, halves away from zero, as messages print it.
    pub fn round_to_seconds(self) -> Self {
        let second = SECOND as i64;
        let rest = self.0 % second;
        let down = self.0 - rest;
        if rest.unsigned_abs() * 2 < SECOND {
            return Self(down);
        }
        let limit = if self.0 < 0 { i64::MIN } else { i64::MAX };
        Self(down.checked_add(second * self.0.signum()).unwrap_or(limit))
    }
}

/// The digits before a unit.
struct Number {
    whole: u64,
    fraction: u64,
    /// Ten to the number of digits that `fraction` holds.
    scale: f64,
    /// The bytes read.
    length: usize,
}

impl Number {
    /// Reads `12`, `1.5`, `.5` or `5.` from the front; nothing if there is no digit or too many.
    fn read(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let n_whole = digits(bytes);
        let mut whole: u64 = 0;
        for digit in &bytes[..n_whole] {
            whole = whole
                .checked_mul(10)?
                .checked_add(u64::from(digit - b'0'))
                .filter(|whole| *whole <= LIMIT)?;
        }
        let mut number = Self {
            whole,
            fraction: 0,
            scale: 1.0,
            length: n_whole,
        };
        if bytes.get(n_whole) != Some(&b'.') {
            return (n_whole > 0).then_some(number);
        }
        let fraction = &bytes[n_whole + 1..];
        let n_fraction = digits(fraction);
        number.length += 1 + n_fraction;
        for digit in &fraction[..n_fraction] {
            // Digits past the precision of an i64 are read and not counted.
            if number.fraction > (LIMIT - 1) / 10 {
                break;
            }
            let next = number.fraction * 10 + u64::from(digit - b'0');
            if next > LIMIT {
                break;
            }
            number.fraction = next;
            number.scale *= 10.0;
        }
        (n_whole + n_fraction > 0).then_some(number)
    }

    /// Returns the number of nanoseconds, unless there are too many.
    fn times(&self, unit: u64) -> Option<u64> {
        let whole = self.whole.checked_mul(unit).filter(|n| *n <= LIMIT)?;
        // The same arithmetic as Go's, so that the last digit is the same.
        let fraction = (self.fraction as f64 * (unit as f64 / self.scale)) as u64;
        whole.checked_add(fraction).filter(|n| *n <= LIMIT)
    }
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| b.is_ascii_digit()).count()
}

fn nanoseconds_in(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // U+00B5 micro sign, U+03BC Greek letter mu.
        "us" | "\u{b5}s" | "\u{3bc}s" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    })
}

/// Quotes a text as Go's time package does: bytes that are not printable ASCII as `\xNN`.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=0x7f => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        match length {
            0 => f.write_str("0s"),
            1..MICROSECOND => write!(f, "{length}ns"),
            MICROSECOND..MILLISECOND => write_decimal(f, length, MICROSECOND, "\u{b5}s"),
            MILLISECOND..SECOND => write_decimal(f, length, MILLISECOND, "ms"),
            SECOND..MINUTE => write_decimal(f, length, SECOND, "s"),
            MINUTE..HOUR => {
                write!(f, "{}m", length / MINUTE)?;
                write_decimal(f, length % MINUTE, SECOND, "s")
            }
            HOUR.. => {
                write!(f, "{}h{}m", length / HOUR, length % HOUR / MINUTE)?;
                write_decimal(f, length % MINUTE, SECOND, "s")
            }
        }
    }
}

/// Writes `length / unit` with as many decimals as it takes.
fn write_decimal(
    f: &mut fmt::Formatter<'_>,
    length: u64,
    unit: u64,
    name: &'static str,
) -> fmt::Result {
    write!(f, "{}", length / unit)?;
    let rest = length % unit;
    if rest > 0 {
        let n_digits = unit.ilog10() as usize;
        let decimals = format!("{rest:0n_digits$}");
        write!(f, ".{}", decimals.trim_end_matches('0'))?;
    }
    f.write_str(name)
}

impl FromStr for Duration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

/// Takes a string; what else JSON may hold is refused with Go's words.
struct Text;

fn not_a_string<T, E: de::Error>(kind: &str) -> Result<T, E> {
    Err(E::custom(format!(
        "json: cannot unmarshal {kind} into Go value of type string"
    )))
}

impl<'de> de::Visitor<'de> for Text {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as 1h30m")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        Duration::parse(text).map_err(E::custom)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Duration, E> {
        not_a_string("bool")
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Duration, E> {
        not_a_string("number")
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Duration, E> {
        not_a_string("number")
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Duration, E> {
        not_a_string("number")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<Duration, A::Error> {
        not_a_string("object")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<Duration, A::Error> {
        not_a_string("array")
    }
}

#[cfg(test)]
mod tests {
    use super::Duration;

    #[test]
    fn an_hour_and_a_half_prints_with_seconds() {
        let duration = Duration::parse("1h30m").unwrap();
        assert_eq!(duration.to_string(), "1h30m0s");
        assert_eq!(duration.as_nanoseconds(), 5_400_000_000_000);
    }

    #[test]
    fn the_smallest_duration_survives_the_round_trip() {
        let least = Duration::from_nanoseconds(i64::MIN);
        assert_eq!(Duration::parse(&least.to_string()), Ok(least));
        assert_eq!(least.round_to_seconds(), least);
    }

    #[test]
    fn a_negative_duration_does_not_wait() {
        assert!(Duration::from_seconds(-3).as_std().is_zero());
    }
}
