//! Go's own functions: comparison, logic, `index`, `len`, `printf` and escaping.
//!
//! In: arguments. Out: what Go's give. Pure.

use std::cmp::Ordering;

use super::{Called, Row, any_at, text, text_at};
use crate::exec::{Fault, Memory, is_true};
use crate::print;
use crate::value::{Value, Whole};

pub(super) const FUNCTIONS: &[Row] = &[
    ("and", "aa*", last),
    ("or", "aa*", last),
    ("not", "a", |memory, a| {
        Ok(Value::Bool(!is_true(memory, any_at(a, 0))))
    }),
    ("call", "aa*", last),
    ("eq", "aa*", equal),
    ("ne", "aa", |memory, a| match equal(memory, a)? {
        Value::Bool(is_equal) => Ok(Value::Bool(!is_equal)),
        other => Ok(other),
    }),
    ("lt", "aa", |_, a| ordered(a, Ordering::is_lt)),
    ("le", "aa", |_, a| ordered(a, Ordering::is_le)),
    ("gt", "aa", |_, a| ordered(a, Ordering::is_gt)),
    ("ge", "aa", |_, a| ordered(a, Ordering::is_ge)),
    ("index", "aa*", index),
    ("len", "a", len),
    ("print", "a*", |memory, a| {
        let shown = print::sprint(memory, a, false)?;
        text(memory, &shown)
    }),
    ("println", "a*", |memory, a| {
        let shown = print::sprint(memory, a, true)?;
        text(memory, &shown)
    }),
    ("printf", "sa*", |memory, a| {
        let shown = print::sprintf(memory, text_at(a, 0), a.get(1..).unwrap_or(&[]))?;
        text(memory, &shown)
    }),
    ("html", "a*", html),
    ("js", "a*", js),
    ("urlquery", "a*", |memory, a| {
        let shown = shown(memory, a)?;
        text(memory, &url_escaped(&shown))
    }),
];

fn last(_: &mut Memory, arguments: &[Value]) -> Called {
    Ok(arguments.last().cloned().unwrap_or(Value::Nil))
}

/// What two values are compared as.
fn basic(value: &Value) -> Option<&'static str> {
    match value {
        Value::Bool(_) => Some("bool"),
        Value::Int(..) => Some("int"),
        Value::Float(_) => Some("float"),
        Value::Complex(..) => Some("complex"),
        Value::Text(_) => Some("string"),
        _ => None,
    }
}

fn incompatible(a: &Value, b: &Value) -> Fault {
    let (a, b) = (a.type_name(), b.type_name());
    format!("incompatible types for comparison: {a} and {b}").into()
}

fn equal(memory: &mut Memory, arguments: &[Value]) -> Called {
    let first = any_at(arguments, 0);
    let others = arguments.get(1..).unwrap_or(&[]);
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        memory.charge(1)?;
        let is_equal = match (first, other) {
            (Value::Nil, other) => matches!(other, Value::Nil),
            (_, Value::Nil) => false,
            (first, other) if basic(first) != basic(other) => {
                return Err(incompatible(first, other));
            }
            (Value::List(_) | Value::Map(_) | Value::Dict(_), other) => {
                let type_name = other.type_name();
                let shown = print::plain(memory, other)?;
                return Err(format!("non-comparable type {shown}: {type_name}").into());
            }
            (first, other) => same(memory, first, other, 0)?,
        };
        if is_equal {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Returns whether two values are equal in every part.
pub(super) fn same(memory: &mut Memory, a: &Value, b: &Value, depth: usize) -> Result<bool, Fault> {
    memory.charge(1)?;
    if depth > crate::DEPTH_MAX {
        return Err(Fault::Limit(
            "values are nested too deep to compare".to_owned(),
        ));
    }
    let all = |memory: &mut Memory, pairs: Vec<(Value, Value)>| -> Result<bool, Fault> {
        for (a, b) in pairs {
            if !same(memory, &a, &b, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    Ok(match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a, _), Value::Int(b, _)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Complex(a, x), Value::Complex(b, y)) => a == b && x == y,
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Time(a), Value::Time(b)) => a == b,
        (Value::List(a), Value::List(b)) if a.items.len() == b.items.len() => {
            let pairs = a.items.iter().cloned().zip(b.items.iter().cloned());
            all(memory, pairs.collect())?
        }
        (Value::Struct(a), Value::Struct(b)) if a.type_name == b.type_name => {
            let values = |s: &crate::value::Struct| {
                let values = s.fields.iter().map(|field| field.value.clone());
                values.collect::<Vec<_>>()
            };
            let pairs = values(a).into_iter().zip(values(b));
            a.display == b.display && all(memory, pairs.collect())?
        }
        (Value::Map(a), Value::Map(b)) if a.entries.len() == b.entries.len() => {
            let pairs = a.entries.iter().zip(&b.entries);
            let pairs =
                pairs.flat_map(|((k, v), (l, w))| [(k.clone(), l.clone()), (v.clone(), w.clone())]);
            all(memory, pairs.collect())?
        }
        (Value::Dict(a), Value::Dict(b)) => {
            let (a, b) = (memory.dicts[a.0].clone(), memory.dicts[b.0].clone());
            memory.charge(a.len() + b.len())?;
            a.len() == b.len() && a.keys().eq(b.keys()) && {
                all(memory, a.into_values().zip(b.into_values()).collect())?
            }
        }
        _ => false,
    })
}

fn ordered(arguments: &[Value], wanted: fn(Ordering) -> bool) -> Called {
    let (a, b) = (any_at(arguments, 0), any_at(arguments, 1));
    let order = match (a, b) {
        (Value::Int(a, _), Value::Int(b, _)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => {
            let kinds = (basic(a), basic(b));
            let has_no_order = |kind| !matches!(kind, Some("int" | "float" | "string"));
            return Err(match kinds {
                (Some(x), Some(y)) if x != y => incompatible(a, b),
                (x, y) if has_no_order(x) || has_no_order(y) => {
                    "invalid type for comparison".into()
                }
                _ => incompatible(a, b),
            });
        }
    };
    // A number that is none compares to nothing.
    Ok(Value::Bool(order.is_some_and(wanted)))
}

fn index(memory: &mut Memory, arguments: &[Value]) -> Called {
    let Some((first, keys)) = arguments.split_first() else {
        return Ok(Value::Nil);
    };
    let mut value = first.clone();
    if matches!(value, Value::Nil) {
        return Err("index of untyped nil".into());
    }
    for key in keys {
        memory.charge(1)?;
        value = at(memory, &value, key)?;
    }
    Ok(value)
}

fn at(memory: &Memory, value: &Value, key: &Value) -> Called {
    match value {
        Value::Nil => Err("index of nil pointer".into()),
        Value::Text(text) => {
            let n = position(key, text.len(), "string")?;
            let byte = text.as_bytes().get(n).copied().unwrap_or(0);
            Ok(Value::Int(i64::from(byte), Whole::Uint8))
        }
        Value::List(list) => {
            let n = position(key, list.items.len(), "slice")?;
            Ok(list.items.get(n).cloned().unwrap_or(Value::Nil))
        }
        Value::Map(map) => {
            let is_key = |entry: &Value| match (entry, key) {
                (Value::Text(a), Value::Text(b)) => a == b,
                (Value::Struct(a), Value::Struct(b)) => std::rc::Rc::ptr_eq(a, b),
                _ => false,
            };
            if map.has_text_keys && !matches!(key, Value::Text(_)) {
                return Err(no_key(key, "string"));
            }
            let entry = map.entries.iter().find(|(entry, _)| is_key(entry));
            Ok(entry.map_or(map.zero.clone(), |(_, value)| value.clone()))
        }
        Value::Dict(dict) => match key {
            Value::Text(key) => {
                let entry = memory.dicts[dict.0].get(&**key);
                Ok(entry.cloned().unwrap_or(Value::Nil))
            }
            key => Err(no_key(key, "string")),
        },
        other => Err(format!("can't index item of type {}", other.type_name()).into()),
    }
}

fn no_key(key: &Value, wanted: &str) -> Fault {
    match key {
        Value::Nil => format!("value is nil; should be of type {wanted}").into(),
        key => format!("value has type {}; should be {wanted}", key.type_name()).into(),
    }
}

fn position(key: &Value, len: usize, of: &str) -> Result<usize, Fault> {
    match key {
        Value::Int(n, _) => match usize::try_from(*n) {
            Ok(position) if position < len => Ok(position),
            // Go lets the end pass its own check and stumbles over it one step later.
            Ok(position) if position == len => {
                Err(format!("reflect: {of} index out of range").into())
            }
            _ => Err(format!("index out of range: {n}").into()),
        },
        Value::Nil => Err("cannot index slice/array with nil".into()),
        key => Err(format!("cannot index slice/array with type {}", key.type_name()).into()),
    }
}

fn len(memory: &mut Memory, arguments: &[Value]) -> Called {
    let len = match any_at(arguments, 0) {
        Value::Text(text) => text.len(),
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.entries.len(),
        Value::Dict(dict) => memory.dicts[dict.0].len(),
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".into()),
        other => return Err(format!("len of type {}", other.type_name()).into()),
    };
    Ok(Value::int(i64::try_from(len).unwrap_or(i64::MAX)))
}

/// Returns the one text, or all arguments printed.
fn shown(memory: &Memory, arguments: &[Value]) -> Result<String, Fault> {
    match arguments {
        [Value::Text(text)] => Ok(text.to_string()),
        arguments => {
            let no_value = |value: &Value| match value {
                Value::Nil => Value::text("<no value>"),
                value => value.clone(),
            };
            let arguments: Vec<Value> = arguments.iter().map(no_value).collect();
            print::sprint(memory, &arguments, false)
        }
    }
}

fn html(memory: &mut Memory, arguments: &[Value]) -> Called {
    let shown = shown(memory, arguments)?;
    let mut out = String::with_capacity(shown.len());
    for c in shown.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    text(memory, &out)
}

fn js(memory: &mut Memory, arguments: &[Value]) -> Called {
    let shown = shown(memory, arguments)?;
    let mut out = String::with_capacity(shown.len());
    for c in shown.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    text(memory, &out)
}

/// Returns text as a query of a URL may hold it.
pub(super) fn url_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
