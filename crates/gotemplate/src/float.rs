//! Prints floats as Go does: `%g`, `%e` and `%x`.
//!
//! In: floats and a precision. Out: text. Pure.

/// Prints a float as `%g`, by default with as few digits as tell it from its neighbours.
pub(crate) fn float_text(value: f64, precision: Option<usize>) -> String {
    if value.is_nan() || value.is_infinite() {
        let infinite = if value > 0.0 { "+Inf" } else { "-Inf" };
        return if value.is_nan() { "NaN" } else { infinite }.to_owned();
    }
    let scientific = match precision {
        None => format!("{value:e}"),
        Some(precision) => format!("{value:.*e}", precision.max(1) - 1),
    };
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Shortest digits turn to an exponent from 6 on; a given precision is its own limit.
    let from = match precision {
        None => 6,
        Some(precision) => i32::try_from(precision.max(1)).unwrap_or(i32::MAX),
    };
    if exponent < -4 || exponent >= from {
        let text = exponent_text(value, precision.map(|p| p.max(1) - 1));
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

/// Prints a float with an exponent of two digits at least.
pub(crate) fn exponent_text(value: f64, precision: Option<usize>) -> String {
    let scientific = match precision {
        None => format!("{value:e}"),
        Some(precision) => format!("{value:.precision$e}"),
    };
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// Prints a float in base 16 with an exponent of two.
pub(crate) fn hex_float(value: f64) -> String {
    let bits = value.abs().to_bits();
    let (mut exponent, mut fraction) = ((bits >> 52) & 0x7ff, bits & ((1 << 52) - 1));
    let mut first = 1;
    if exponent == 0 && fraction == 0 {
        (first, exponent) = (0, 1023);
    } else if exponent == 0 {
        // A number too small for its first bit: move it there.
        let shift = u64::from(fraction.leading_zeros()) - 11;
        fraction = (fraction << shift) & ((1 << 52) - 1);
        let power = 1022 + shift;
        return hex_parts(value, first, fraction, '-', power);
    }
    match exponent < 1023 {
        true => hex_parts(value, first, fraction, '-', 1023 - exponent),
        false => hex_parts(value, first, fraction, '+', exponent - 1023),
    }
}

fn hex_parts(value: f64, first: u64, fraction: u64, sign: char, power: u64) -> String {
    let minus = if value.is_sign_negative() { "-" } else { "" };
    let digits = format!("{fraction:013x}");
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    format!("{minus}0x{first}{point}{digits}p{sign}{power:02}")
}
