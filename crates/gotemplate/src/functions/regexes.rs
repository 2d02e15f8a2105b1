//! sprig's functions on regular expressions.
//!
//! In: a pattern, text. Out: matches, replacements, parts. Patterns have no back-references, so a
//! match takes time linear in the text. Pure.

use regex::{NoExpand, Regex, RegexBuilder};

use super::{Called, Row, int_at, text, text_at, text_list};
use crate::exec::Memory;
use crate::value::Value;

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

pub(super) const FUNCTIONS: &[Row] = &[
    ("regexMatch", "ss", |_, a| {
        // A pattern that is none matches nothing, as in sprig.
        let found = compiled(text_at(a, 0)).is_ok_and(|regex| regex.is_match(text_at(a, 1)));
        Ok(Value::Bool(found))
    }),
    ("mustRegexMatch", "ss", |_, a| {
        Ok(Value::Bool(
            compiled(text_at(a, 0))?.is_match(text_at(a, 1)),
        ))
    }),
    ("regexFind", "ss", find),
    ("mustRegexFind", "ss", find),
    ("regexFindAll", "ssi", find_all),
    ("mustRegexFindAll", "ssi", find_all),
    ("regexReplaceAll", "sss", replace),
    ("mustRegexReplaceAll", "sss", replace),
    ("regexReplaceAllLiteral", "sss", replace_literal),
    ("mustRegexReplaceAllLiteral", "sss", replace_literal),
    ("regexSplit", "ssi", split),
    ("mustRegexSplit", "ssi", split),
    ("regexQuoteMeta", "s", |m, a| {
        let mut quoted = String::new();
        for c in text_at(a, 0).chars() {
            if "\\.+*?()|[]{}^$".contains(c) {
                quoted.push('\\');
            }
            quoted.push(c);
        }
        text(m, &quoted)
    }),
];

fn compiled(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES_MAX)
        .build();
    built.map_err(|error| {
        let told = error.to_string();
        let reason = told
            .lines()
            .last()
            .unwrap_or("")
            .trim_start_matches("error: ");
        match reason {
            "unclosed group" => format!("error parsing regexp: missing closing ): `{pattern}`"),
            "unopened group" => format!("error parsing regexp: unexpected ): `{pattern}`"),
            "unclosed character class" => {
                format!("error parsing regexp: missing closing ]: `{pattern}`")
            }
            reason => format!("error parsing regexp: {reason}: `{pattern}`"),
        }
    })
}

fn find(memory: &mut Memory, a: &[Value]) -> Called {
    let regex = compiled(text_at(a, 0))?;
    let found = regex.find(text_at(a, 1));
    text(memory, found.map_or("", |found| found.as_str()))
}

fn limit(n: i64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn find_all(memory: &mut Memory, a: &[Value]) -> Called {
    let regex = compiled(text_at(a, 0))?;
    let found = regex.find_iter(text_at(a, 1)).take(limit(int_at(a, 2)));
    let found = found.map(|found| Value::text(found.as_str())).collect();
    text_list(memory, found)
}

fn replace(memory: &mut Memory, a: &[Value]) -> Called {
    let regex = compiled(text_at(a, 0))?;
    let (whole, to) = (text_at(a, 1), text_at(a, 2));
    memory.charge_text((whole.len() + 1).saturating_mul(1 + to.len()))?;
    text(memory, &regex.replace_all(whole, to))
}

fn replace_literal(memory: &mut Memory, a: &[Value]) -> Called {
    let regex = compiled(text_at(a, 0))?;
    let (whole, to) = (text_at(a, 1), text_at(a, 2));
    memory.charge_text((whole.len() + 1).saturating_mul(1 + to.len()))?;
    text(memory, &regex.replace_all(whole, NoExpand(to)))
}

fn split(memory: &mut Memory, a: &[Value]) -> Called {
    let regex = compiled(text_at(a, 0))?;
    let whole = text_at(a, 1);
    let parts: Vec<Value> = match int_at(a, 2) {
        0 => Vec::new(),
        n if n < 0 => regex.split(whole).map(Value::text).collect(),
        n => regex.splitn(whole, limit(n)).map(Value::text).collect(),
    };
    text_list(memory, parts)
}
