//! Prints values as Go's `fmt` does: `%v` and the other verbs.
//!
//! In: values and a format. Out: text, bounded. Pure.

use chrono::{DateTime, FixedOffset};

use crate::DEPTH_MAX;
use crate::exec::{Fault, Memory};
use crate::float::{exponent_text, float_text, hex_float};
use crate::value::Value;

/// The widest a number or text is padded, and the most digits after a point.
const WIDTH_MAX: usize = 10_000;

/// Prints a value as `%v`.
pub(crate) fn plain(memory: &Memory, value: &Value) -> Result<String, Fault> {
    let verb = Verb::new('v');
    let mut printer = Printer::new(memory);
    printer.value(&verb, value, 0)?;
    Ok(printer.out)
}

/// Prints values as `Sprint` does: a space between two of which none is text.
pub(crate) fn sprint(memory: &Memory, values: &[Value], is_line: bool) -> Result<String, Fault> {
    let verb = Verb::new('v');
    let mut printer = Printer::new(memory);
    for (n, value) in values.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        let apart = n > 0 && !is_text(value) && !is_text(&values[n - 1]);
        if n > 0 && (is_line || apart) {
            printer.push(" ")?;
        }
        printer.value(&verb, value, 0)?;
    }
    if is_line {
        printer.push("\n")?;
    }
    Ok(printer.out)
}

/// Prints values by a format.
pub(crate) fn sprintf(memory: &Memory, format: &str, values: &[Value]) -> Result<String, Fault> {
    let mut printer = Printer::new(memory);
    let mut rest = format;
    let (mut next, mut is_reordered) = (0, false);
    while let Some(percent) = rest.find('%') {
        printer.push(&rest[..percent])?;
        rest = &rest[percent + 1..];
        let mut verb = Verb::new('v');
        rest = verb.flags(rest);
        let (after, first) = index(rest, &mut next, values.len());
        rest = verb.sizes(after, values, &mut next);
        let (after, second) = index(rest, &mut next, values.len());
        rest = after;
        is_reordered |= first.is_some() || second.is_some();
        for reason in &verb.complaints {
            printer.push(reason)?;
        }
        let Some(letter) = rest.chars().next() else {
            printer.push("%!(NOVERB)")?;
            return Ok(printer.out);
        };
        rest = &rest[letter.len_utf8()..];
        verb.letter = letter;
        match (letter, values.get(next)) {
            ('%', _) => printer.push("%")?,
            _ if first == Some(false) || second == Some(false) => {
                printer.push(&format!("%!{letter}(BADINDEX)"))?;
            }
            (_, None) => printer.push(&format!("%!{letter}(MISSING)"))?,
            (_, Some(value)) => {
                printer.argument(&verb, value)?;
                next += 1;
            }
        }
    }
    printer.push(rest)?;
    if !is_reordered && next < values.len() {
        printer.push("%!(EXTRA ")?;
        for (n, value) in values[next..].iter().enumerate() {
            if n > 0 {
                printer.push(", ")?;
            }
            match value {
                Value::Nil => printer.push("<nil>")?,
                value => {
                    printer.push(value.type_name())?;
                    printer.push("=")?;
                    printer.value(&Verb::new('v'), value, 0)?;
                }
            }
        }
        printer.push(")")?;
    }
    Ok(printer.out)
}

/// Reads `[n]`; returns what follows, and whether there was one and it names an argument.
fn index<'f>(format: &'f str, next: &mut usize, n_values: usize) -> (&'f str, Option<bool>) {
    let inner = format.strip_prefix('[').and_then(|f| f.split_once(']'));
    let Some((number, rest)) = inner else {
        return (format, None);
    };
    let number = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
    match number.filter(|n| *n < n_values) {
        Some(n) => {
            *next = n;
            (rest, Some(true))
        }
        None => (rest, Some(false)),
    }
}

/// A letter with its flags.
#[derive(Debug, Clone, Default)]
struct Verb {
    letter: char,
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
    complaints: Vec<&'static str>,
}

impl Verb {
    fn new(letter: char) -> Self {
        Self {
            letter,
            ..Self::default()
        }
    }

    fn flags<'f>(&mut self, format: &'f str) -> &'f str {
        for (at, c) in format.char_indices() {
            match c {
                '+' => self.plus = true,
                '-' => self.minus = true,
                '#' => self.sharp = true,
                ' ' => self.space = true,
                '0' => self.zero = true,
                _ => return &format[at..],
            }
        }
        ""
    }

    fn sizes<'f>(&mut self, format: &'f str, values: &[Value], next: &mut usize) -> &'f str {
        let (width, mut rest) = size(format, values, next);
        if format.starts_with('*') && width.is_none() {
            self.complaints.push("%!(BADWIDTH)");
        }
        self.minus |= width.is_some_and(|width| width < 0);
        self.width = width.map(length);
        if let Some(after) = rest.strip_prefix('.') {
            let is_star = after.starts_with('*');
            let (precision, after) = size(after, values, next);
            match precision.filter(|precision| *precision >= 0) {
                Some(precision) => self.precision = Some(length(precision)),
                None if is_star => self.complaints.push("%!(BADPREC)"),
                None => self.precision = Some(0),
            }
            rest = after;
        }
        rest
    }

    /// Pads text to the width.
    fn padded(&self, text: &str, zeros: bool) -> String {
        let n_chars = text.chars().count();
        let missing = self.width.unwrap_or(0).saturating_sub(n_chars);
        if self.minus {
            return format!("{text}{}", " ".repeat(missing));
        }
        if self.zero && zeros {
            let (sign, digits) = match text.strip_prefix(['+', '-', ' ']) {
                Some(digits) => text.split_at(text.len() - digits.len()),
                None => ("", text),
            };
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        format!("{}{text}", " ".repeat(missing))
    }
}

/// Reads a number or `*`.
fn size<'f>(format: &'f str, values: &[Value], next: &mut usize) -> (Option<i64>, &'f str) {
    if let Some(rest) = format.strip_prefix('*') {
        let value = values.get(*next);
        *next += usize::from(value.is_some());
        let size = match value {
            Some(Value::Int(n, _)) => Some(*n),
            _ => None,
        };
        return (size, rest);
    }
    let end = format
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(format.len());
    (format[..end].parse().ok(), &format[end..])
}

fn length(size: i64) -> usize {
    usize::try_from(size.unsigned_abs())
        .unwrap_or(WIDTH_MAX)
        .min(WIDTH_MAX)
}

struct Printer<'m> {
    memory: &'m Memory,
    out: String,
}

impl<'m> Printer<'m> {
    fn new(memory: &'m Memory) -> Self {
        Self {
            memory,
            out: String::new(),
        }
    }

    fn push(&mut self, text: &str) -> Result<(), Fault> {
        let bytes_max = self.memory.limits.output_bytes;
        if self.out.len() + text.len() > bytes_max {
            return Err(Fault::Limit(format!(
                "text is larger than {bytes_max} bytes"
            )));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn argument(&mut self, verb: &Verb, value: &Value) -> Result<(), Fault> {
        match (verb.letter, value) {
            ('T', value) => {
                let text = verb.padded(value.type_name(), false);
                self.push(&text)
            }
            ('v', Value::Nil) => {
                let text = verb.padded("<nil>", false);
                self.push(&text)
            }
            (letter, Value::Nil) => self.push(&format!("%!{letter}(<nil>)")),
            _ => self.value(verb, value, 0),
        }
    }

    fn value(&mut self, verb: &Verb, value: &Value, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::Limit(format!(
                "values are nested deeper than {DEPTH_MAX}"
            )));
        }
        let is_source = verb.letter == 'v' && verb.sharp;
        match value {
            Value::Nil => match verb.letter {
                'v' if is_source => self.push("interface {}(nil)"),
                'v' => self.push("<nil>"),
                letter => self.push(&format!("%!{letter}(<nil>)")),
            },
            Value::List(list) => {
                if is_source {
                    self.push(&list.type_name)?;
                }
                self.push(if is_source { "{" } else { "[" })?;
                for (n, item) in list.items.iter().enumerate() {
                    if n > 0 {
                        self.push(if is_source { ", " } else { " " })?;
                    }
                    self.value(verb, item, depth + 1)?;
                }
                self.push(if is_source { "}" } else { "]" })
            }
            Value::Map(map) => {
                let entries = map.entries.iter().map(|(key, value)| (key.clone(), value));
                self.map(verb, &map.type_name, entries, depth)
            }
            Value::Dict(dict) => {
                let memory = self.memory;
                let entries = memory.dicts[dict.0].iter();
                let entries = entries.map(|(key, value)| (Value::text(key), value));
                self.map(verb, value.type_name(), entries, depth)
            }
            Value::Struct(structure) => self.structure(verb, structure, depth),
            Value::Time(time) => {
                let text = go_time(time);
                self.scalar(verb, &Value::text(&text))
            }
            scalar => self.scalar(verb, scalar),
        }
    }

    fn map<'v>(
        &mut self,
        verb: &Verb,
        type_name: &str,
        entries: impl Iterator<Item = (Value, &'v Value)>,
        depth: usize,
    ) -> Result<(), Fault> {
        let is_source = verb.letter == 'v' && verb.sharp;
        match is_source {
            true => self.push(&format!("{type_name}{{"))?,
            false => self.push("map[")?,
        }
        for (n, (key, value)) in entries.enumerate() {
            if n > 0 {
                self.push(if is_source { ", " } else { " " })?;
            }
            self.value(verb, &key, depth + 1)?;
            self.push(":")?;
            self.value(verb, value, depth + 1)?;
        }
        self.push(if is_source { "}" } else { "]" })
    }

    fn structure(
        &mut self,
        verb: &Verb,
        structure: &crate::value::Struct,
        depth: usize,
    ) -> Result<(), Fault> {
        let is_source = verb.letter == 'v' && verb.sharp;
        if let (Some(display), false, 'v' | 's' | 'q' | 'x' | 'X') =
            (&structure.display, is_source, verb.letter)
        {
            return self.scalar(verb, &Value::text(display));
        }
        if is_source {
            self.push(&structure.type_name)?;
        }
        self.push("{")?;
        for (n, field) in structure.fields.iter().enumerate() {
            if n > 0 {
                self.push(if is_source { ", " } else { " " })?;
            }
            if is_source || (verb.letter == 'v' && verb.plus) {
                self.push(&field.name)?;
                self.push(":")?;
            }
            self.value(verb, &field.value, depth + 1)?;
        }
        self.push("}")
    }

    fn scalar(&mut self, verb: &Verb, value: &Value) -> Result<(), Fault> {
        let text = match value {
            Value::Bool(value) => bool_text(verb, *value),
            Value::Int(value, _) => int_text(verb, *value),
            Value::Float(value) => float_verb(verb, *value),
            Value::Complex(real, imaginary) => complex_text(verb, *real, *imaginary),
            Value::Text(text) => text_verb(verb, text),
            _ => None,
        };
        match text {
            Some(text) => self.push(&text),
            None => {
                let (letter, type_name) = (verb.letter, value.type_name());
                self.push(&format!("%!{letter}({type_name}="))?;
                // The flags stay, the letter does not.
                let mut plain = verb.clone();
                plain.letter = 'v';
                self.value(&plain, value, 0)?;
                self.push(")")
            }
        }
    }
}

fn bool_text(verb: &Verb, value: bool) -> Option<String> {
    matches!(verb.letter, 'v' | 't').then(|| verb.padded(&value.to_string(), true))
}

fn int_text(verb: &Verb, value: i64) -> Option<String> {
    let magnitude = value.unsigned_abs();
    let (prefix, digits) = match verb.letter {
        'v' | 'd' => ("", magnitude.to_string()),
        'b' => ("0b", format!("{magnitude:b}")),
        'o' => ("0", format!("{magnitude:o}")),
        'O' => ("0o", format!("{magnitude:o}")),
        'x' => ("0x", format!("{magnitude:x}")),
        'X' => ("0X", format!("{magnitude:X}")),
        'c' | 'q' | 'U' => return char_text(verb, value),
        'e' | 'f' | 'g' | 'E' | 'F' | 'G' | 's' | 't' | 'p' => return None,
        _ => return None,
    };
    let n_digits = verb.precision.unwrap_or(1);
    let zeros = "0".repeat(n_digits.saturating_sub(digits.len()));
    let prefix = if verb.sharp && verb.letter != 'd' && verb.letter != 'v' {
        prefix
    } else if verb.letter == 'O' {
        "0o"
    } else {
        ""
    };
    let sign = match (value < 0, verb.plus, verb.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    };
    let text = format!("{sign}{prefix}{zeros}{digits}");
    Some(verb.padded(&text, verb.precision.is_none()))
}

fn char_text(verb: &Verb, value: i64) -> Option<String> {
    let c = u32::try_from(value).ok().and_then(char::from_u32);
    let c = c.unwrap_or('\u{fffd}');
    let text = match verb.letter {
        'c' => c.to_string(),
        'q' => {
            // A quote needs its escape the other way round from that of text.
            let quoted = quoted(&c.to_string());
            let inner = quoted.trim_start_matches('"').trim_end_matches('"');
            match c {
                '\'' => "'\\''".to_owned(),
                '"' => "'\"'".to_owned(),
                _ => format!("'{inner}'"),
            }
        }
        _ if verb.sharp => crate::lex::named(c),
        _ => format!("U+{value:04X}"),
    };
    Some(verb.padded(&text, false))
}

fn float_verb(verb: &Verb, value: f64) -> Option<String> {
    let precision = verb.precision;
    let text = match verb.letter {
        'v' | 'g' | 'G' => float_text(value, precision),
        'f' | 'F' => format!("{value:.*}", precision.unwrap_or(6)),
        'e' | 'E' => exponent_text(value, Some(precision.unwrap_or(6))),
        'x' | 'X' if precision.is_none() && !verb.sharp && value.is_finite() => hex_float(value),
        _ => return None,
    };
    let text = match verb.letter {
        'E' | 'G' | 'X' => text.to_uppercase(),
        _ => text,
    };
    let text = match (verb.plus, verb.space, text.starts_with('-')) {
        (true, _, false) => format!("+{text}"),
        (false, true, false) => format!(" {text}"),
        _ => text,
    };
    Some(verb.padded(&text, true))
}

fn complex_text(verb: &Verb, real: f64, imaginary: f64) -> Option<String> {
    if !matches!(verb.letter, 'v' | 'g') {
        return None;
    }
    let (real, imaginary) = (float_text(real, None), float_text(imaginary, None));
    let sign = if imaginary.starts_with('-') { "" } else { "+" };
    Some(verb.padded(&format!("({real}{sign}{imaginary}i)"), false))
}

fn text_verb(verb: &Verb, text: &str) -> Option<String> {
    let cut: String = match verb.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    let shown = match verb.letter {
        'v' if verb.sharp => quoted(&cut),
        'v' | 's' => cut,
        'q' if verb.sharp && !cut.contains('`') => format!("`{cut}`"),
        'q' => quoted(&cut),
        'x' => hex(&cut, verb),
        'X' => hex(&cut, verb).to_uppercase(),
        _ => return None,
    };
    if verb.zero && !verb.minus {
        let missing = verb
            .width
            .unwrap_or(0)
            .saturating_sub(shown.chars().count());
        return Some(format!("{}{shown}", "0".repeat(missing)));
    }
    Some(verb.padded(&shown, false))
}

fn hex(text: &str, verb: &Verb) -> String {
    let bytes: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
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
    use std::fmt::Write;
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            // Writing to a String cannot fail.
            c if (c < ' ') || c == '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if c.is_control() || (c.is_whitespace() && c != ' ') => {
                {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                };
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Returns a time as its `String` method has it.
fn go_time(time: &DateTime<FixedOffset>) -> String {
    let zone = match time.offset().local_minus_utc() {
        0 => "UTC".to_owned(),
        _ => time.format("%z").to_string(),
    };
    let fraction = time.format("%.9f").to_string();
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!(
        "{}{fraction} {} {zone}",
        time.format("%Y-%m-%d %H:%M:%S"),
        time.format("%z")
    )
}
