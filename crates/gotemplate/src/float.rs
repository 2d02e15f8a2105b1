//! Prints floats as Go does: `%g`, `%f`, `%e`, `%x` and `%b`.
//!
//! In: floats and a precision. Out: text. Pure.

/// No float has more digits than this that are not zero, before or behind its point.
const DIGITS_MAX: usize = 1_100;

/// Prints a float as `%g`, by default with as few digits as tell it from its neighbours.
pub(crate) fn float_text(value: f64, precision: Option<usize>) -> String {
    if value.is_nan() || value.is_infinite() {
        let infinite = if value > 0.0 { "+Inf" } else { "-Inf" };
        return if value.is_nan() { "NaN" } else { infinite }.to_owned();
    }
    let scientific = match precision {
        None => format!("{value:e}"),
        Some(precision) => format!("{value:.*e}", precision.clamp(1, DIGITS_MAX) - 1),
    };
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Shortest digits turn to an exponent from 6 on; a given precision is its own limit.
    let from = match precision {
        None => 6,
        Some(precision) => i32::try_from(precision.max(1)).unwrap_or(i32::MAX),
    };
    if exponent < -4 || exponent >= from {
        let precision = precision.map(|precision| precision.clamp(1, DIGITS_MAX));
        let text = exponent_text(value, precision.map(|precision| precision - 1));
        return match (precision, text.split_once('e')) {
            (Some(_), Some((digits, exponent))) if digits.contains('.') => {
                let digits = digits.trim_end_matches('0').trim_end_matches('.');
                format!("{digits}e{exponent}")
            }
            _ => text,
        };
    }
    let n_digits = digits.chars().filter(char::is_ascii_digit).count();
    let n_digits = i32::try_from(n_digits).unwrap_or(i32::MAX);
    let decimals = usize::try_from(n_digits - 1 - exponent).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    match precision {
        Some(_) if text.contains('.') => {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => text,
    }
}

/// Prints a float with so many digits behind its point.
pub(crate) fn fixed_text(value: f64, precision: usize) -> String {
    let n_digits = precision.min(DIGITS_MAX);
    let zeros = "0".repeat(precision - n_digits);
    format!("{value:.n_digits$}{zeros}")
}

/// Prints a float with an exponent of two digits at least.
pub(crate) fn exponent_text(value: f64, precision: Option<usize>) -> String {
    let n_digits = precision.unwrap_or(0).min(DIGITS_MAX);
    let scientific = match precision {
        None => format!("{value:e}"),
        Some(_) => format!("{value:.n_digits$e}"),
    };
    let zeros = "0".repeat(precision.unwrap_or(0) - n_digits);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{zeros}e{sign}{:02}", exponent.unsigned_abs())
}

/// How many bits of a float are its fraction.
const FRACTION_BITS: u32 = 52;

/// Returns a float's digits with the leading one, and the power of two of the last of them.
fn binary(value: f64) -> (u64, i64) {
    let bits = value.abs().to_bits();
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    let power = i64::try_from(bits >> FRACTION_BITS).unwrap_or(0);
    let lowest = -1022 - i64::from(FRACTION_BITS);
    match power {
        // A number too small for a leading one.
        0 => (fraction, lowest),
        power => (fraction | 1 << FRACTION_BITS, lowest + power - 1),
    }
}

/// Prints a float as a whole number and a power of two.
pub(crate) fn binary_float(value: f64) -> String {
    let minus = if value.is_sign_negative() { "-" } else { "" };
    let (digits, power) = binary(value);
    format!("{minus}{digits}p{power:+}")
}

/// Prints a float in base 16 with an exponent of two, by default with as many digits as it has.
pub(crate) fn hex_float(value: f64, precision: Option<usize>) -> String {
    /// Where the leading one stands; 15 digits follow it.
    const TOP: u32 = 60;
    let minus = if value.is_sign_negative() { "-" } else { "" };
    let (mut digits, mut power) = binary(value);
    power += i64::from(FRACTION_BITS);
    if digits == 0 {
        power = 0;
    } else {
        let shift = digits.leading_zeros() - (u64::BITS - 1 - TOP);
        digits <<= shift;
        power -= i64::from(shift) - i64::from(TOP - FRACTION_BITS);
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        // Half is rounded to the even digit.
        let n_cut = TOP - 4 * u32::try_from(precision).unwrap_or(0);
        let cut = digits & ((1 << n_cut) - 1);
        let (kept, half) = (digits >> n_cut, 1 << (n_cut - 1));
        let up = cut > half || (cut == half && kept & 1 == 1);
        digits = (kept + u64::from(up)) << n_cut;
        if digits >> (TOP + 1) != 0 {
            (digits, power) = (digits >> 1, power + 1);
        }
    }
    let (first, fraction) = (digits >> TOP, digits & ((1 << TOP) - 1));
    let shown = format!("{fraction:015x}");
    let shown = match precision {
        None => shown.trim_end_matches('0').to_owned(),
        Some(n_digits) => {
            let zeros = "0".repeat(n_digits.saturating_sub(shown.len()));
            format!("{}{zeros}", &shown[..n_digits.min(shown.len())])
        }
    };
    let point = if shown.is_empty() { "" } else { "." };
    let sign = if power < 0 { '-' } else { '+' };
    format!(
        "{minus}0x{first}{point}{shown}p{sign}{:02}",
        power.unsigned_abs()
    )
}
