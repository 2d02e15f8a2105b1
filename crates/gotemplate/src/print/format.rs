//! Reads formats as Go's `fmt` does: flags, width, precision and argument indexes of each verb.
//!
//! In: a format and the number or text of each argument. Out: what is printed, verb by verb, and Go's
//! complaints where a format is wrong. A width beyond a million is no width. Pure.

use super::Printer;
use crate::exec::{Fault, Memory};
use crate::value::Value;

/// The largest width, precision or index; Go's own bound.
const SIZE_MAX: i64 = 1_000_000;

/// A letter with its flags.
#[derive(Debug, Clone, Default)]
pub(super) struct Verb {
    pub letter: char,
    pub plus: bool,
    pub minus: bool,
    pub sharp: bool,
    pub space: bool,
    pub zero: bool,
    /// `%#v`: as Go's source has it.
    pub is_source: bool,
    /// `%+v`: with the names of fields.
    pub names_fields: bool,
    pub width: Option<usize>,
    pub precision: Option<usize>,
}

impl Verb {
    /// Returns a letter without flags.
    pub fn new(letter: char) -> Self {
        Self {
            letter,
            ..Self::default()
        }
    }

    /// Returns the verb with its letter; two flags mean something else with a `v`.
    fn with_letter(mut self, letter: char) -> Self {
        self.letter = letter;
        if letter == 'v' {
            self.is_source = std::mem::take(&mut self.sharp);
            self.names_fields = std::mem::take(&mut self.plus);
        }
        self
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

    /// Pads text to the width, with zeros where the flag says so.
    pub fn padded(&self, text: &str) -> String {
        let fill = if self.zero && !self.minus { "0" } else { " " };
        self.filled(text, fill)
    }

    /// Pads text to the width with blanks.
    pub fn blank_padded(&self, text: &str) -> String {
        self.filled(text, " ")
    }

    fn filled(&self, text: &str, fill: &str) -> String {
        let n_chars = text.chars().count();
        let missing = self.width.unwrap_or(0).saturating_sub(n_chars);
        match self.minus {
            true => format!("{text}{}", fill.repeat(missing)),
            false => format!("{}{text}", fill.repeat(missing)),
        }
    }
}

/// The arguments of a format, and which of them is next.
struct Arguments<'a> {
    values: &'a [Value],
    next: usize,
    /// Whether an index was written anywhere.
    is_reordered: bool,
    /// Whether the indexes of this verb are right.
    is_good: bool,
    /// Whether an index was the last that was read.
    is_after_index: bool,
}

/// Prints values by a format.
pub(crate) fn sprintf(memory: &Memory, format: &str, values: &[Value]) -> Result<String, Fault> {
    let mut printer = Printer::new(memory);
    let mut arguments = Arguments {
        values,
        next: 0,
        is_reordered: false,
        is_good: true,
        is_after_index: false,
    };
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        printer.push(before)?;
        let (verb, after) = arguments.verb(after, &mut printer)?;
        let mut letters = after.chars();
        let Some(letter) = letters.next() else {
            printer.push("%!(NOVERB)")?;
            rest = "";
            break;
        };
        rest = letters.as_str();
        match (letter, values.get(arguments.next)) {
            ('%', _) => printer.push("%")?,
            _ if !arguments.is_good => printer.push(&format!("%!{letter}(BADINDEX)"))?,
            (_, None) => printer.push(&format!("%!{letter}(MISSING)"))?,
            (_, Some(value)) => {
                printer.argument(&verb.with_letter(letter), value)?;
                arguments.next += 1;
            }
        }
    }
    printer.push(rest)?;
    if !arguments.is_reordered {
        extra(&mut printer, values.get(arguments.next..).unwrap_or(&[]))?;
    }
    Ok(printer.out)
}

/// Prints the arguments that no verb has asked for.
fn extra(printer: &mut Printer<'_>, values: &[Value]) -> Result<(), Fault> {
    if values.is_empty() {
        return Ok(());
    }
    printer.push("%!(EXTRA ")?;
    for (n, value) in values.iter().enumerate() {
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
    printer.push(")")
}

impl Arguments<'_> {
    /// Reads what stands between `%` and the letter, in Go's order.
    fn verb<'f>(
        &mut self,
        format: &'f str,
        printer: &mut Printer<'_>,
    ) -> Result<(Verb, &'f str), Fault> {
        (self.is_good, self.is_after_index) = (true, false);
        let mut verb = Verb::new('v');
        let rest = self.index(verb.flags(format));
        let rest = self.width(&mut verb, rest, printer)?;
        // A point that ends the format is a letter.
        let mut rest = match rest.strip_prefix('.').filter(|after| !after.is_empty()) {
            Some(after) => self.precision(&mut verb, after, printer)?,
            None => rest,
        };
        if !self.is_after_index {
            rest = self.index(rest);
        }
        Ok((verb, rest))
    }

    fn width<'f>(
        &mut self,
        verb: &mut Verb,
        format: &'f str,
        printer: &mut Printer<'_>,
    ) -> Result<&'f str, Fault> {
        let Some(rest) = format.strip_prefix('*') else {
            let (width, rest) = number(format);
            verb.width = width.and_then(|width| usize::try_from(width).ok());
            self.is_good &= !(self.is_after_index && verb.width.is_some());
            return Ok(rest);
        };
        self.is_after_index = false;
        match self.size() {
            Some(width) => {
                verb.width = usize::try_from(width.unsigned_abs()).ok();
                if width < 0 {
                    (verb.minus, verb.zero) = (true, false);
                }
            }
            None => printer.push("%!(BADWIDTH)")?,
        }
        Ok(rest)
    }

    /// Reads what stands behind the point.
    fn precision<'f>(
        &mut self,
        verb: &mut Verb,
        format: &'f str,
        printer: &mut Printer<'_>,
    ) -> Result<&'f str, Fault> {
        self.is_good &= !self.is_after_index;
        let format = self.index(format);
        let Some(rest) = format.strip_prefix('*') else {
            let (precision, rest) = number(format);
            verb.precision = Some(usize::try_from(precision.unwrap_or(0)).unwrap_or(0));
            return Ok(rest);
        };
        self.is_after_index = false;
        verb.precision = self.size().and_then(|size| usize::try_from(size).ok());
        if verb.precision.is_none() {
            printer.push("%!(BADPREC)")?;
        }
        Ok(rest)
    }

    /// Takes an argument as a width or a precision, if it is one.
    fn size(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        match value {
            Value::Int(size, _) if size.unsigned_abs() <= SIZE_MAX.unsigned_abs() => Some(*size),
            _ => None,
        }
    }

    /// Reads `[n]`, which names the next argument, if it stands here.
    fn index<'f>(&mut self, format: &'f str) -> &'f str {
        self.is_after_index = false;
        let Some(inner) = format.strip_prefix('[') else {
            return format;
        };
        self.is_reordered = true;
        let Some((inside, rest)) = inner.split_once(']') else {
            self.is_good = false;
            return inner;
        };
        let index = match number(inside) {
            (Some(index), "") => index - 1,
            _ => {
                self.is_good = false;
                return rest;
            }
        };
        self.is_after_index = true;
        match usize::try_from(index)
            .ok()
            .filter(|n| *n < self.values.len())
        {
            Some(index) => self.next = index,
            None => self.is_good = false,
        }
        rest
    }
}

/// Reads digits; returns what follows. A number beyond the bound takes the rest of the format with it.
fn number(format: &str) -> (Option<i64>, &str) {
    let mut number = None;
    for (at, c) in format.char_indices() {
        let Some(digit) = c.to_digit(10) else {
            return (number, &format[at..]);
        };
        let before = number.unwrap_or(0);
        if before > SIZE_MAX {
            return (None, "");
        }
        number = Some(before * 10 + i64::from(digit));
    }
    (number, "")
}
