//! Go's constants: numbers as a template may write them, and quoted text.
//!
//! In: the text of a token. Out: a [`Number`] with every type that can hold it, or text without
//! its quotes. Pure.

/// A constant and the types that can hold it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number {
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
    /// Set for imaginary and complex constants only.
    pub(crate) complex: Option<(f64, f64)>,
    /// Whether the text looks like a float, so that it is one where nobody asks for a type.
    pub(crate) is_float: bool,
}

impl Number {
    /// Reads a number. Fails with a reason when the text is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(part) = text.strip_suffix('i') {
            return imaginary(part).ok_or_else(|| format!("illegal number syntax: {text:?}"));
        }
        let plain = text.replace('_', "");
        let (sign, digits) = match plain.strip_prefix('-') {
            Some(digits) => (-1_i128, digits),
            None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
        };
        let whole = whole(digits).map(|value| sign * value);
        let is_hex = digits.starts_with("0x") || digits.starts_with("0X");
        let is_float = !is_hex && digits.contains(['.', 'e', 'E']);
        let float = match whole {
            #[expect(
                clippy::cast_precision_loss,
                reason = "Go rounds a constant to the nearest float too"
            )]
            Some(whole) => Some(whole as f64),
            None if is_float => plain.parse::<f64>().ok().filter(|f| f.is_finite()),
            None => None,
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "only a float that is whole and small enough is taken"
        )]
        let int = match whole {
            Some(whole) => i64::try_from(whole).ok(),
            None => float
                .filter(|f| f.fract() == 0.0 && f.abs() < 9e18)
                .map(|f| f as i64),
        };
        let uint = match whole {
            Some(whole) => u64::try_from(whole).ok(),
            None => int.and_then(|int| u64::try_from(int).ok()),
        };
        if int.is_none() && uint.is_none() && float.is_none() {
            return Err(match whole {
                Some(_) => format!("integer overflow: {text:?}"),
                None => format!("illegal number syntax: {text:?}"),
            });
        }
        Ok(Self {
            int,
            uint,
            float,
            complex: None,
            is_float,
        })
    }

    /// Returns the number of a character constant, quotes included in the text.
    pub(crate) fn of_char(text: &str) -> Result<Self, String> {
        let refuse = || format!("malformed character constant: {text}");
        let inner = text
            .strip_prefix('\'')
            .and_then(|text| text.strip_suffix('\''))
            .ok_or_else(refuse)?;
        let value = unescaped(inner, '\'').ok_or_else(refuse)?;
        let mut chars = value.chars();
        let (Some(c), None) = (chars.next(), chars.next()) else {
            return Err(refuse());
        };
        let int = i64::from(u32::from(c));
        Ok(Self {
            int: Some(int),
            uint: u64::try_from(int).ok(),
            float: Some(f64::from(u32::from(c))),
            complex: None,
            is_float: false,
        })
    }
}

fn imaginary(text: &str) -> Option<Number> {
    let split = text.rfind(['+', '-']).filter(|at| *at > 0);
    let split = split.filter(|at| !text[..*at].ends_with(['e', 'E']));
    let (real, imaginary) = match split {
        Some(at) => (text[..at].parse().ok()?, text[at..].parse().ok()?),
        None => (0.0, text.parse().ok()?),
    };
    Some(Number {
        int: None,
        uint: None,
        float: None,
        complex: Some((real, imaginary)),
        is_float: false,
    })
}

fn whole(digits: &str) -> Option<i128> {
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i128::from_str_radix(digits, radix).ok()
}

/// Returns quoted text without quotes and escapes.
pub(crate) fn unquoted(text: &str) -> Option<String> {
    if let Some(raw) = text.strip_prefix('`') {
        return raw.strip_suffix('`').map(|raw| raw.replace('\r', ""));
    }
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    unescaped(inner, '"')
}

fn unescaped(text: &str, quote: char) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            let mut buffer = [0; 4];
            bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            continue;
        }
        let escape = chars.next()?;
        let mut code = |n_digits, radix, first: &str| {
            let digits: String = first.chars().chain(chars.by_ref().take(n_digits)).collect();
            u32::from_str_radix(&digits, radix).ok()
        };
        let value = match escape {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            '\\' => 92,
            c if c == quote => u32::from(c),
            'x' => {
                bytes.push(u8::try_from(code(2, 16, "")?).ok()?);
                continue;
            }
            c @ '0'..='7' => {
                bytes.push(u8::try_from(code(2, 8, &c.to_string())?).ok()?);
                continue;
            }
            'u' => code(4, 16, "")?,
            'U' => code(8, 16, "")?,
            _ => return None,
        };
        let mut buffer = [0; 4];
        let c = char::from_u32(value)?;
        bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
