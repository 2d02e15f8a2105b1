//! Numbers as Go's `strconv.ParseFloat` reads them, compared digit by digit.
//!
//! In: a text such as `42`, `1_000`, `1e3`, `0x1p-2`, `Inf` or `NaN`. Out: a [`Number`] and its
//! order. Decimal numbers are never rounded, so build numbers of any length stay apart where Go's
//! 64-bit floats would take them for equal.

use std::cmp::Ordering;

/// The decimals that the smallest 64-bit float takes when written out.
const FLOAT_DECIMALS: usize = 1074;
/// Bits of a hexadecimal number that are kept apart; more than a 64-bit float rounds to.
const HEX_BITS_KEPT: u32 = 60;
/// Exponents beyond this are all out of range or zero.
const EXPONENT_MAX: i64 = 1_000_000;

/// Decimal digits that always fit into 64 bits.
const WHOLE_DIGITS_MAX: usize = 19;

/// A number, an infinity or no number.
#[derive(Debug, Clone)]
pub(super) enum Number {
    Nan,
    Infinite {
        negative: bool,
    },
    /// What most tags hold: a few digits and nothing else.
    Whole(u64),
    Finite(Decimal),
}

/// `0.digits × 10^exponent`; zero has no digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Neither the first nor the last is zero.
    digits: String,
    exponent: i64,
}

/// The parts of a number as it is written.
struct Parts {
    negative: bool,
    hex: bool,
    /// Digits without dot and underscores.
    digits: String,
    /// How many of them stand before the dot.
    n_whole: usize,
    exponent: i64,
}

impl Number {
    /// Reads a number; nothing if Go would refuse it, which includes numbers out of range.
    pub fn parse(text: &str) -> Option<Self> {
        let is_whole = text.len() <= WHOLE_DIGITS_MAX && text.bytes().all(|b| b.is_ascii_digit());
        if let (true, Ok(whole)) = (is_whole, text.parse()) {
            return Some(Self::Whole(whole));
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let negative = text.starts_with('-');
        if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
            return Some(Self::Infinite { negative });
        }
        if text.eq_ignore_ascii_case("nan") {
            return Some(Self::Nan);
        }
        let parts = Parts::read(text)?;
        let decimal = if parts.hex {
            Decimal::from_float(parts.hex_value()?)
        } else {
            let decimal = Decimal::from_parts(&parts);
            decimal.is_in_range().then_some(decimal)?
        };
        Some(Self::Finite(decimal))
    }
}

/// No number has no order.
impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Nan, _) | (_, Self::Nan) => None,
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(b)),
            (Self::Finite(a), Self::Finite(b)) => Some(a.compare(b)),
            (Self::Whole(a), Self::Finite(b)) => Some(Decimal::from_whole(*a).compare(b)),
            (Self::Finite(a), Self::Whole(b)) => Some(a.compare(&Decimal::from_whole(*b))),
            (a, b) => Some(a.rank().cmp(&b.rank())),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl Number {
    fn rank(&self) -> i8 {
        match self {
            Self::Infinite { negative: true } => -1,
            Self::Infinite { negative: false } => 1,
            Self::Nan | Self::Whole(_) | Self::Finite(_) => 0,
        }
    }
}

impl Parts {
    fn read(text: &str) -> Option<Self> {
        if !underscores_separate_digits(text) {
            return None;
        }
        let negative = text.starts_with('-');
        let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
        let hex = rest.len() > 2 && rest.starts_with('0') && rest[1..].starts_with(['x', 'X']);
        if hex {
            rest = &rest[2..];
        }
        let mut digits = String::new();
        let mut n_whole = None;
        let mut chars = rest.chars();
        let mut marker = None;
        for c in chars.by_ref() {
            match c {
                '_' => {}
                '.' if n_whole.is_none() => n_whole = Some(digits.len()),
                c if c.is_ascii_digit() || (hex && c.is_ascii_hexdigit()) => digits.push(c),
                c => {
                    marker = Some(c.to_ascii_lowercase());
                    break;
                }
            }
        }
        if digits.is_empty() {
            return None;
        }
        let exponent = match (marker, hex) {
            (Some('e'), false) | (Some('p'), true) => read_exponent(chars.as_str())?,
            (None, false) => 0,
            _ => return None,
        };
        Some(Self {
            negative,
            hex,
            n_whole: n_whole.unwrap_or(digits.len()),
            digits,
            exponent,
        })
    }

    /// Returns the nearest 64-bit float; nothing if there is none.
    fn hex_value(&self) -> Option<f64> {
        let mut mantissa: u64 = 0;
        // Four bits for each digit behind the dot, none for those that are not kept.
        let behind_dot = self.digits.len() as i64 - self.n_whole as i64;
        let mut exponent = self.exponent - 4 * behind_dot;
        for digit in self.digits.chars().filter_map(|c| c.to_digit(16)) {
            if mantissa >> (HEX_BITS_KEPT - 4) == 0 {
                mantissa = mantissa << 4 | u64::from(digit);
            } else {
                // Only whether anything was dropped matters for rounding.
                mantissa |= u64::from(digit != 0);
                exponent += 4;
            }
        }
        let exponent = exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX) as i32;
        let half = exponent / 2;
        let scaled = mantissa as f64 * 2f64.powi(half) * 2f64.powi(exponent - half);
        let value = if mantissa == 0 { 0.0 } else { scaled };
        value
            .is_finite()
            .then_some(if self.negative { -value } else { value })
    }
}

/// Reads an exponent's sign and digits to the end of the text.
fn read_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut exponent: i64 = 0;
    for c in digits.chars().filter(|c| *c != '_') {
        let digit = c.to_digit(10)?;
        exponent = (exponent * 10 + i64::from(digit)).min(EXPONENT_MAX);
    }
    Some(if text.starts_with('-') {
        -exponent
    } else {
        exponent
    })
}

/// An underscore stands between digits, or between a base's prefix and a digit.
fn underscores_separate_digits(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    let prefixed = ["0x", "0b", "0o"]
        .iter()
        .any(|prefix| lower.starts_with(prefix));
    let hex = lower.starts_with("0x");
    let (mut after_digit, digits) = match prefixed {
        true => (true, &lower[2..]),
        false => (false, lower.as_str()),
    };
    let mut after_underscore = false;
    for c in digits.chars() {
        let is_digit = c.is_ascii_digit() || (hex && c.is_ascii_hexdigit());
        let is_underscore = c == '_';
        if (is_underscore && !after_digit) || (!is_digit && after_underscore) {
            return false;
        }
        after_digit = is_digit;
        after_underscore = is_underscore;
    }
    !after_underscore
}

impl Decimal {
    fn from_parts(parts: &Parts) -> Self {
        let significant = parts.digits.trim_start_matches('0');
        let n_leading = parts.digits.len() - significant.len();
        Self {
            negative: parts.negative,
            digits: significant.trim_end_matches('0').to_owned(),
            exponent: parts.exponent + parts.n_whole as i64 - n_leading as i64,
        }
    }

    fn from_whole(value: u64) -> Self {
        let digits = value.to_string();
        Self::from_parts(&Parts {
            negative: false,
            hex: false,
            n_whole: digits.len(),
            digits,
            exponent: 0,
        })
    }

    fn from_float(value: f64) -> Self {
        let text = format!("{:.FLOAT_DECIMALS$}", value.abs());
        let whole = text.find('.').unwrap_or(text.len());
        Self::from_parts(&Parts {
            negative: value.is_sign_negative(),
            hex: false,
            digits: text.replace('.', ""),
            n_whole: whole,
            exponent: 0,
        })
    }

    /// Returns whether the nearest 64-bit float is finite.
    fn is_in_range(&self) -> bool {
        let nearest = format!("0.{}e{}", self.digits, self.exponent).parse::<f64>();
        self.digits.is_empty() || nearest.is_ok_and(f64::is_finite)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let sign = |d: &Self| match (d.digits.is_empty(), d.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let (a, b) = (sign(self), sign(other));
        if a != b || a == 0 {
            return a.cmp(&b);
        }
        // Digits without zeros at their ends compare as words do.
        let magnitude = (self.exponent, &self.digits).cmp(&(other.exponent, &other.digits));
        if a < 0 {
            magnitude.reverse()
        } else {
            magnitude
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Number;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn build_numbers_of_seventeen_digits_stay_apart() {
        assert!(number("20240101120000124") > number("20240101120000123"));
    }

    #[test]
    fn one_number_written_in_several_ways_is_one_number() {
        for text in [
            "1000", "0001000", "1_000", "1e3", "01000.0", "+1E+3", "0x3e8p0", "0x1.f4p9",
        ] {
            assert_eq!(
                number(text).partial_cmp(&number("1000")),
                Some(std::cmp::Ordering::Equal),
                "{text}"
            );
        }
    }

    #[test]
    fn short_numbers_and_long_ones_have_one_order() {
        let ascending = [
            "0",
            "0.5",
            "7",
            "9999999999999999999",
            "10000000000000000000",
            "1e20",
        ];
        for pair in ascending.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        }
        assert!(number("-1") < number("0"));
        assert_eq!(number("0"), number("-0"));
    }

    #[test]
    fn negative_numbers_are_below_zero_and_below_small_ones() {
        assert!(number("-2") < number("-1.5"));
        assert!(number("-1.5") < number("0"));
        assert!(number("-inf") < number("-1e308"));
        assert!(number("0.001") < number("0.01"));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for text in ["1e309", "-1e400", "0x1p1024", "1e99999999999999999999"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }
}
