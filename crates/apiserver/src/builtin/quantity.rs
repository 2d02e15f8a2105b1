//! Quantities: amounts such as `500m`, `1.5Gi` and `1e3`, and their one canonical spelling.

/// Powers of ten that have a letter.
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

/// Powers of 1024 that have letters.
const BINARY: [(&str, u32); 6] = [
    ("Ki", 1),
    ("Mi", 2),
    ("Gi", 3),
    ("Ti", 4),
    ("Pi", 5),
    ("Ei", 6),
];

/// The smallest power of ten that is kept.
const NANO: i32 = -9;

/// The most digits that are looked at, so that amounts fit into 128 bits.
const DIGITS_MAX: usize = 30;

#[derive(Clone, Copy, PartialEq)]
enum Notation {
    Decimal,
    Binary,
    Exponent,
}

/// Returns the canonical spelling of a quantity; none when the text is no quantity.
pub fn canonical_quantity(text: &str) -> Option<String> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let (notation, power) = read_suffix(suffix)?;
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    if digits.len() > DIGITS_MAX {
        return Some(text.to_owned());
    }
    let mantissa: u128 = digits.parse().ok()?;
    let shift = i32::try_from(fraction.len()).ok()?;
    let spelled = match notation {
        Notation::Binary => binary(mantissa, shift, u32::try_from(power).ok()?),
        other => decimal(mantissa, power - shift, other),
    };
    // Amounts that do not fit are kept as they are spelled.
    let spelled = spelled.unwrap_or_else(|| unsigned.to_owned());
    Some(if negative {
        format!("-{spelled}")
    } else {
        spelled
    })
}

fn read_suffix(suffix: &str) -> Option<(Notation, i32)> {
    if let Some((_, power)) = DECIMAL.iter().find(|(letter, _)| *letter == suffix) {
        return Some((Notation::Decimal, *power));
    }
    if let Some((_, power)) = BINARY.iter().find(|(letters, _)| *letters == suffix) {
        return Some((Notation::Binary, i32::try_from(*power).ok()?));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let power: i32 = exponent.parse().ok()?;
    (-1000..=1000)
        .contains(&power)
        .then_some((Notation::Exponent, power))
}

/// Spells `mantissa / 10^shift * 1024^power`.
fn binary(mantissa: u128, shift: i32, power: u32) -> Option<String> {
    let scale = 10_u128.checked_pow(u32::try_from(shift).ok()?)?;
    let total = mantissa.checked_mul(1024_u128.checked_pow(power)?)?;
    // Below 1024, and where a fraction of a byte is left, powers of ten are used.
    if total % scale != 0 || total / scale < 1024 {
        return decimal(total, -shift, Notation::Decimal);
    }
    let (mut amount, mut letters) = (total / scale, "");
    for (name, _) in BINARY {
        if amount % 1024 != 0 {
            break;
        }
        amount /= 1024;
        letters = name;
    }
    Some(format!("{amount}{letters}"))
}

/// Spells `mantissa * 10^power` with a power that is a multiple of three.
fn decimal(mantissa: u128, power: i32, notation: Notation) -> Option<String> {
    let (mut amount, mut power) = (mantissa, power);
    while power < NANO {
        let rest = u128::from(amount % 10 != 0);
        amount = amount / 10 + rest;
        power += 1;
    }
    while amount % 10 == 0 && amount != 0 {
        amount /= 10;
        power += 1;
    }
    while power % 3 != 0 || (power > 18 && notation == Notation::Decimal) {
        amount = amount.checked_mul(10)?;
        power -= 1;
    }
    match notation {
        Notation::Exponent if power != 0 => Some(format!("{amount}e{power}")),
        Notation::Exponent => Some(amount.to_string()),
        _ => {
            let letter = DECIMAL.iter().find(|(_, it)| *it == power)?.0;
            Some(format!("{amount}{letter}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::canonical_quantity;

    #[test]
    fn equal_amounts_are_spelled_alike() {
        let cases = [
            ("1", "1"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1500m", "1500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1000", "1k"),
            ("1024", "1024"),
            ("1024Ki", "1Mi"),
            ("0.5Ki", "512"),
            ("0Gi", "0"),
            ("0.000", "0"),
            ("1e3", "1e3"),
            ("12e2", "1200"),
            ("-250m", "-250m"),
            ("+1", "1"),
            ("0.0000000001", "1n"),
            ("2M", "2M"),
            ("1000000", "1M"),
        ];
        for (text, want) in cases {
            assert_eq!(canonical_quantity(text).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "x", "1x", "1.2.3", ".", "m", "1 Gi", "1ee3"] {
            assert_eq!(canonical_quantity(text), None, "{text}");
        }
    }
}
