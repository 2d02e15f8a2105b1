//! sprig's functions on text.
//!
//! In: arguments. Out: text, lists of text, truth. Pure.

use super::{Called, Row, any_at, int_at, string_of, text, text_at, text_list};
use crate::exec::{Fault, Memory};
use crate::print::quoted;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Row] = &[
    ("hello", "", |_, _| Ok(Value::text("Hello!"))),
    ("fail", "s", |_, a| Err(text_at(a, 0).into())),
    ("abbrev", "is", |m, a| {
        let out = abbreviated(text_at(a, 1), 0, int_at(a, 0));
        text(m, &out)
    }),
    ("abbrevboth", "iis", |m, a| {
        let out = abbreviated(text_at(a, 2), int_at(a, 0), int_at(a, 1));
        text(m, &out)
    }),
    ("trunc", "is", |m, a| {
        let out = truncated(int_at(a, 0), text_at(a, 1));
        text(m, &out)
    }),
    ("trim", "s", |m, a| text(m, text_at(a, 0).trim())),
    ("upper", "s", |m, a| text(m, &text_at(a, 0).to_uppercase())),
    ("lower", "s", |m, a| text(m, &text_at(a, 0).to_lowercase())),
    ("title", "s", |m, a| text(m, &titled(text_at(a, 0), true))),
    ("untitle", "s", |m, a| {
        text(m, &titled(text_at(a, 0), false))
    }),
    ("substr", "iis", |m, a| {
        let out = part(int_at(a, 0), int_at(a, 1), text_at(a, 2))?;
        text(m, &out)
    }),
    ("repeat", "is", |m, a| {
        let n = usize::try_from(int_at(a, 0)).map_err(|_| "strings: negative Repeat count")?;
        m.charge_text(n.saturating_mul(text_at(a, 1).len()))?;
        Ok(Value::text(&text_at(a, 1).repeat(n)))
    }),
    ("trimall", "ss", trim_all),
    ("trimAll", "ss", trim_all),
    ("trimSuffix", "ss", |m, a| {
        let whole = text_at(a, 1);
        text(m, whole.strip_suffix(text_at(a, 0)).unwrap_or(whole))
    }),
    ("trimPrefix", "ss", |m, a| {
        let whole = text_at(a, 1);
        text(m, whole.strip_prefix(text_at(a, 0)).unwrap_or(whole))
    }),
    ("nospace", "s", |m, a| {
        let out: String = text_at(a, 0)
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect();
        text(m, &out)
    }),
    ("initials", "s", |m, a| {
        let words = text_at(a, 0).split_whitespace();
        let out: String = words.filter_map(|word| word.chars().next()).collect();
        text(m, &out)
    }),
    ("swapcase", "s", |m, a| text(m, &swapped(text_at(a, 0)))),
    ("snakecase", "s", |m, a| {
        text(m, &joined_words(text_at(a, 0), '_'))
    }),
    ("kebabcase", "s", |m, a| {
        text(m, &joined_words(text_at(a, 0), '-'))
    }),
    ("camelcase", "s", |m, a| text(m, &camel(text_at(a, 0)))),
    ("wrap", "is", |m, a| {
        let out = wrapped(text_at(a, 1), int_at(a, 0), "\n");
        text(m, &out)
    }),
    ("wrapWith", "iss", |m, a| {
        let lines = text_at(a, 2).len() * (1 + text_at(a, 1).len());
        m.charge_text(lines)?;
        text(m, &wrapped(text_at(a, 2), int_at(a, 0), text_at(a, 1)))
    }),
    ("contains", "ss", |_, a| {
        Ok(Value::Bool(text_at(a, 1).contains(text_at(a, 0))))
    }),
    ("hasPrefix", "ss", |_, a| {
        Ok(Value::Bool(text_at(a, 1).starts_with(text_at(a, 0))))
    }),
    ("hasSuffix", "ss", |_, a| {
        Ok(Value::Bool(text_at(a, 1).ends_with(text_at(a, 0))))
    }),
    ("quote", "a*", |m, a| each(m, a, " ", |text| quoted(&text))),
    ("squote", "a*", |m, a| {
        each(m, a, " ", |text| format!("'{text}'"))
    }),
    ("cat", "a*", |m, a| each(m, a, " ", |text| text)),
    ("indent", "is", |m, a| {
        let out = indented(m, int_at(a, 0), text_at(a, 1))?;
        text(m, &out)
    }),
    ("nindent", "is", |m, a| {
        let out = indented(m, int_at(a, 0), text_at(a, 1))?;
        text(m, &format!("\n{out}"))
    }),
    ("replace", "sss", |m, a| {
        let (from, to, whole) = (text_at(a, 0), text_at(a, 1), text_at(a, 2));
        m.charge_text((whole.len() + 1).saturating_mul(1 + to.len()))?;
        text(m, &whole.replace(from, to))
    }),
    ("plural", "ssi", |m, a| {
        text(m, text_at(a, usize::from(int_at(a, 2) != 1)))
    }),
    ("toString", "a", |m, a| {
        let out = string_of(m, any_at(a, 0))?;
        text(m, &out)
    }),
    ("split", "ss", |m, a| {
        let parts: Vec<&str> = text_at(a, 1).split(text_at(a, 0)).collect();
        numbered(m, &parts)
    }),
    ("splitn", "sis", split_n),
    ("splitList", "ss", |m, a| {
        let parts = split(text_at(a, 1), text_at(a, 0));
        text_list(m, parts.into_iter().map(Value::text).collect())
    }),
    ("base", "s", |m, a| text(m, base(text_at(a, 0)))),
    ("osBase", "s", |m, a| text(m, base(text_at(a, 0)))),
    ("dir", "s", |m, a| text(m, &dir(text_at(a, 0)))),
    ("osDir", "s", |m, a| text(m, &dir(text_at(a, 0)))),
    ("clean", "s", |m, a| text(m, &clean(text_at(a, 0)))),
    ("osClean", "s", |m, a| text(m, &clean(text_at(a, 0)))),
    ("ext", "s", |m, a| text(m, extension(text_at(a, 0)))),
    ("osExt", "s", |m, a| text(m, extension(text_at(a, 0)))),
    ("isAbs", "s", |_, a| {
        Ok(Value::Bool(text_at(a, 0).starts_with('/')))
    }),
    ("osIsAbs", "s", |_, a| {
        Ok(Value::Bool(text_at(a, 0).starts_with('/')))
    }),
];

fn trim_all(memory: &mut Memory, a: &[Value]) -> Called {
    let out = text_at(a, 1).trim_matches(|c| text_at(a, 0).contains(c));
    text(memory, out)
}

/// Splits as Go does: at an empty separator into characters, without empty ends.
fn split<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    match separator.is_empty() {
        true => text.split_inclusive(|_| true).collect(),
        false => text.split(separator).collect(),
    }
}

fn numbered(memory: &mut Memory, parts: &[&str]) -> Called {
    let parts = parts.iter().enumerate();
    let entries = parts.map(|(n, part)| (format!("_{n}"), Value::text(part)));
    let entries = entries
        .map(|(key, part)| (Value::text(&key), part))
        .collect();
    memory.charge(1)?;
    Ok(Value::map(crate::value::Map {
        type_name: "map[string]string".to_owned(),
        has_text_keys: true,
        is_nil: false,
        zero: Value::text(""),
        entries,
    }))
}

fn split_n(memory: &mut Memory, a: &[Value]) -> Called {
    let (separator, whole) = (text_at(a, 0), text_at(a, 2));
    let parts = match usize::try_from(int_at(a, 1)) {
        Ok(n) => whole.splitn(n, separator).collect(),
        Err(_) => split(whole, separator),
    };
    numbered(memory, &parts)
}

/// Shows each argument that is not nil.
fn each(
    memory: &mut Memory,
    arguments: &[Value],
    between: &str,
    show: fn(String) -> String,
) -> Called {
    let mut parts = Vec::new();
    for value in arguments
        .iter()
        .filter(|value| !matches!(value, Value::Nil))
    {
        parts.push(show(string_of(memory, value)?));
    }
    text(memory, &parts.join(between))
}

/// Cuts a text with dots at its end, and at its start from an offset on.
fn abbreviated(text: &str, offset: i64, width: i64) -> String {
    let chars: Vec<char> = text.chars().collect();
    let n_chars = i64::try_from(chars.len()).unwrap_or(i64::MAX);
    let piece = |from: i64, to: i64| {
        let from = usize::try_from(from.max(0)).unwrap_or(0).min(chars.len());
        let to = usize::try_from(to.max(0)).unwrap_or(0).min(chars.len());
        chars
            .get(from..to.max(from))
            .unwrap_or(&[])
            .iter()
            .collect::<String>()
    };
    if width < 4 || (offset > 0 && width < 7) || n_chars <= width {
        return text.to_owned();
    }
    let offset = offset.min(n_chars);
    let offset = match n_chars - offset < width - 3 {
        true => n_chars - (width - 3),
        false => offset,
    };
    if offset <= 4 {
        return format!("{}...", piece(0, width - 3));
    }
    if offset + width - 3 < n_chars {
        return format!("...{}...", piece(offset, offset + width - 6));
    }
    format!("...{}", piece(n_chars - (width - 3), n_chars))
}

/// Cuts by bytes as Go does; a character that is cut in two becomes the mark of a bad one.
fn truncated(n: i64, text: &str) -> String {
    let n_bytes = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
    if n_bytes >= text.len() {
        return text.to_owned();
    }
    let bytes = match n < 0 {
        true => &text.as_bytes()[text.len() - n_bytes..],
        false => &text.as_bytes()[..n_bytes],
    };
    String::from_utf8_lossy(bytes).into_owned()
}

fn part(start: i64, end: i64, text: &str) -> Result<String, Fault> {
    let bytes = text.as_bytes();
    let n_bytes = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let (from, to) = match (start, end) {
        (start, end) if start < 0 => (0, end),
        (start, end) if end < 0 || end > n_bytes => (start, n_bytes),
        (start, end) => (start, end),
    };
    let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    let piece = range.and_then(|(from, to)| bytes.get(from..to));
    let piece = piece.ok_or_else(|| {
        format!("runtime error: slice bounds out of range [{from}:{to}] with length {n_bytes}")
    })?;
    Ok(String::from_utf8_lossy(piece).into_owned())
}

/// Changes the case of each word's first character.
fn titled(text: &str, is_upper: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        let starts = match is_upper {
            true => !(before.is_alphanumeric() || before == '_'),
            false => before.is_whitespace(),
        };
        match (starts, is_upper) {
            (true, true) => out.extend(c.to_uppercase()),
            (true, false) => out.extend(c.to_lowercase()),
            (false, _) => out.push(c),
        }
        before = c;
    }
    out
}

fn swapped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_uppercase() {
            true => out.extend(c.to_lowercase()),
            false => out.extend(c.to_uppercase()),
        }
    }
    out
}

/// Splits names at case and signs and joins the words in lower case.
fn joined_words(text: &str, sign: char) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    for (n, c) in chars.iter().enumerate() {
        if matches!(c, '_' | '-' | ' ') {
            out.push(sign);
            continue;
        }
        let before = n.checked_sub(1).and_then(|n| chars.get(n));
        let after = chars.get(n + 1);
        let is_edge = c.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_uppercase() && after.is_some_and(|after| after.is_lowercase()))
            });
        if is_edge {
            out.push(sign);
        }
        out.extend(c.to_lowercase());
    }
    out
}

fn camel(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut starts = true;
    for c in text.chars() {
        match c {
            '_' | '-' | ' ' => starts = true,
            c if starts => {
                out.extend(c.to_uppercase());
                starts = false;
            }
            c => out.push(c),
        }
    }
    out
}

/// Breaks lines at spaces so that none is longer than `width`, words aside.
fn wrapped(text: &str, width: i64, line_end: &str) -> String {
    let width = usize::try_from(width.max(1)).unwrap_or(1);
    let mut out = String::with_capacity(text.len());
    let mut n_chars = 0;
    for word in text.split(' ') {
        let n_word = word.chars().count();
        if out.is_empty() {
            n_chars = n_word;
        } else if n_chars + 1 + n_word <= width {
            out.push(' ');
            n_chars += 1 + n_word;
        } else {
            out.push_str(line_end);
            n_chars = n_word;
        }
        out.push_str(word);
    }
    out
}

fn indented(memory: &mut Memory, n: i64, text: &str) -> Result<String, Fault> {
    let n = usize::try_from(n).map_err(|_| "strings: negative Repeat count")?;
    let n_lines = 1 + text.matches('\n').count();
    memory.charge_text(n.saturating_mul(n_lines).saturating_add(text.len()))?;
    let pad = " ".repeat(n);
    Ok(format!("{pad}{}", text.replace('\n', &format!("\n{pad}"))))
}

fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return "/";
    }
    path.rsplit('/').next().unwrap_or(path)
}

fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |slash| &path[..=slash]))
}

fn clean(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_rooted => {}
            part => parts.push(part),
        }
    }
    match (is_rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.').map_or("", |dot| &name[dot..])
}
