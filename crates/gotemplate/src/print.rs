//! Prints values as Go's `fmt` does: `%v` and the other verbs.
//!
//! In: values and a format. Out: text, bounded. Pure.

mod format;
mod scalar;

use chrono::{DateTime, FixedOffset};

use crate::DEPTH_MAX;
use crate::exec::{Fault, Memory};
use crate::value::Value;
use format::Verb;
use scalar::{bool_text, complex_text, float_verb, int_text, text_verb};

pub(crate) use format::sprintf;
pub(crate) use scalar::quoted;

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

/// A text that is being printed.
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
                let named = Value::text(value.type_name());
                let mut verb = verb.clone();
                verb.letter = 's';
                self.scalar(&verb, &named)
            }
            ('v', Value::Nil) => {
                let text = verb.padded("<nil>");
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
        let is_source = verb.is_source;
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
        let is_source = verb.is_source;
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
        let is_source = verb.is_source;
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
            if is_source || verb.names_fields {
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
