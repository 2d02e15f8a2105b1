//! sprig's functions on lists, and those that choose among values.
//!
//! In: arguments. Out: new lists, or a value. Pure; lists are never changed in place.

use super::{Called, Row, any_at, builtin, int_at, items, list, string_of, text, text_list};
use crate::exec::{Fault, Memory, is_true};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Row] = &[
    ("list", "a*", |m, a| list(m, a.to_vec())),
    ("tuple", "a*", |m, a| list(m, a.to_vec())),
    ("default", "aa*", |m, a| {
        let given = a.get(1).filter(|value| is_true(m, value));
        Ok(given.unwrap_or(any_at(a, 0)).clone())
    }),
    ("empty", "a", |m, a| {
        Ok(Value::Bool(!is_true(m, any_at(a, 0))))
    }),
    ("coalesce", "a*", |m, a| {
        let found = a.iter().find(|value| is_true(m, value));
        Ok(found.cloned().unwrap_or(Value::Nil))
    }),
    ("all", "a*", |m, a| {
        Ok(Value::Bool(a.iter().all(|value| is_true(m, value))))
    }),
    ("any", "a*", |m, a| {
        Ok(Value::Bool(a.iter().any(|value| is_true(m, value))))
    }),
    ("ternary", "aab", |_, a| {
        let is_first = matches!(any_at(a, 2), Value::Bool(true));
        Ok(any_at(a, usize::from(!is_first)).clone())
    }),
    ("first", "a", first),
    ("mustFirst", "a", first),
    ("last", "a", last),
    ("mustLast", "a", last),
    ("rest", "a", |m, a| {
        kept(m, a, "rest", |items| items.get(1..).unwrap_or(&[]).to_vec())
    }),
    ("mustRest", "a", |m, a| {
        kept(m, a, "rest", |items| items.get(1..).unwrap_or(&[]).to_vec())
    }),
    ("initial", "a", initial),
    ("mustInitial", "a", initial),
    ("reverse", "a", |m, a| {
        kept(m, a, "reverse", |items| {
            items.iter().rev().cloned().collect()
        })
    }),
    ("mustReverse", "a", |m, a| {
        kept(m, a, "reverse", |items| {
            items.iter().rev().cloned().collect()
        })
    }),
    ("append", "aa", push),
    ("push", "aa", push),
    ("mustAppend", "aa", push),
    ("mustPush", "aa", push),
    ("prepend", "aa", prepend),
    ("mustPrepend", "aa", prepend),
    ("concat", "a*", concat),
    ("uniq", "a", uniq),
    ("mustUniq", "a", uniq),
    ("without", "aa*", without),
    ("mustWithout", "aa*", without),
    ("has", "aa", has),
    ("mustHas", "aa", has),
    ("compact", "a", compact),
    ("mustCompact", "a", compact),
    ("slice", "aa*", slice),
    ("mustSlice", "aa*", slice),
    ("chunk", "ia", chunk),
    ("mustChunk", "ia", chunk),
    ("join", "sa", join),
    ("sortAlpha", "a", |m, a| {
        let mut texts = texts(m, any_at(a, 0))?;
        texts.sort();
        text_list(m, texts.iter().map(|text| Value::text(text)).collect())
    }),
    ("toStrings", "a", |m, a| {
        let texts = texts(m, any_at(a, 0))?;
        text_list(m, texts.iter().map(|text| Value::text(text)).collect())
    }),
    ("kindOf", "a", |m, a| text(m, any_at(a, 0).kind())),
    ("kindIs", "sa", |_, a| {
        Ok(Value::Bool(any_at(a, 1).kind() == super::text_at(a, 0)))
    }),
    ("typeOf", "a", |m, a| text(m, any_at(a, 0).type_name())),
    ("typeIs", "sa", |_, a| {
        Ok(Value::Bool(
            any_at(a, 1).type_name() == super::text_at(a, 0),
        ))
    }),
    ("typeIsLike", "sa", |_, a| {
        let (wanted, found) = (super::text_at(a, 0), any_at(a, 1).type_name());
        Ok(Value::Bool(
            wanted == found || format!("*{wanted}") == found,
        ))
    }),
    ("deepEqual", "aa", |m, a| {
        builtin::same(m, any_at(a, 0), any_at(a, 1), 0).map(Value::Bool)
    }),
];

fn first(_: &mut Memory, a: &[Value]) -> Called {
    let items = items(any_at(a, 0), "find first")?;
    Ok(items.first().cloned().unwrap_or(Value::Nil))
}

fn last(_: &mut Memory, a: &[Value]) -> Called {
    let items = items(any_at(a, 0), "find last")?;
    Ok(items.last().cloned().unwrap_or(Value::Nil))
}

fn initial(memory: &mut Memory, a: &[Value]) -> Called {
    kept(memory, a, "initial", |items| {
        items[..items.len().saturating_sub(1)].to_vec()
    })
}

/// Makes a list of what a function keeps of another.
fn kept(memory: &mut Memory, a: &[Value], of: &str, keep: fn(&[Value]) -> Vec<Value>) -> Called {
    let items = items(any_at(a, 0), &format!("find {of}"))?;
    memory.charge(items.len())?;
    list(memory, keep(items))
}

fn push(memory: &mut Memory, a: &[Value]) -> Called {
    let items = items(any_at(a, 0), "push")?;
    memory.charge(items.len())?;
    let mut all = items.to_vec();
    all.push(any_at(a, 1).clone());
    list(memory, all)
}

fn prepend(memory: &mut Memory, a: &[Value]) -> Called {
    let items = items(any_at(a, 0), "prepend")?;
    memory.charge(items.len())?;
    let mut all = vec![any_at(a, 1).clone()];
    all.extend_from_slice(items);
    list(memory, all)
}

fn concat(memory: &mut Memory, a: &[Value]) -> Called {
    let mut all = Vec::new();
    for value in a {
        let items = items(value, "concat")?;
        memory.charge(items.len())?;
        all.extend_from_slice(items);
    }
    list(memory, all)
}

fn contains(memory: &mut Memory, items: &[Value], wanted: &Value) -> Result<bool, Fault> {
    for item in items {
        if builtin::same(memory, item, wanted, 0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uniq(memory: &mut Memory, a: &[Value]) -> Called {
    let mut kept = Vec::new();
    for item in items(any_at(a, 0), "find uniq")? {
        if !contains(memory, &kept, item)? {
            kept.push(item.clone());
        }
    }
    list(memory, kept)
}

fn without(memory: &mut Memory, a: &[Value]) -> Called {
    let mut kept = Vec::new();
    for item in items(any_at(a, 0), "find without")? {
        if !contains(memory, a.get(1..).unwrap_or(&[]), item)? {
            kept.push(item.clone());
        }
    }
    list(memory, kept)
}

fn has(memory: &mut Memory, a: &[Value]) -> Called {
    if matches!(any_at(a, 1), Value::Nil) {
        return Ok(Value::Bool(false));
    }
    let items = items(any_at(a, 1), "find has")?;
    contains(memory, items, any_at(a, 0)).map(Value::Bool)
}

fn compact(memory: &mut Memory, a: &[Value]) -> Called {
    let items = items(any_at(a, 0), "compact")?;
    let kept = items.iter().filter(|item| is_true(memory, item)).cloned();
    let kept = kept.collect();
    list(memory, kept)
}

fn slice(memory: &mut Memory, a: &[Value]) -> Called {
    let Value::List(whole) = any_at(a, 0) else {
        let kind = any_at(a, 0).kind();
        return Err(format!("list should be type of slice or array but {kind}").into());
    };
    let n_items = whole.items.len();
    let bound = |n: usize, or: usize| match a.get(n) {
        None => or,
        Some(value) => usize::try_from(super::math::whole(value)).unwrap_or(usize::MAX),
    };
    let (from, to) = (bound(1, 0), bound(2, n_items));
    let part = whole.items.get(from..to).ok_or_else(|| {
        format!("reflect: slice index out of bounds [{from}:{to}] with length {n_items}")
    })?;
    let part = part.to_vec();
    super::typed_list(memory, &whole.type_name, part)
}

fn chunk(memory: &mut Memory, a: &[Value]) -> Called {
    let items = items(any_at(a, 1), "chunk")?;
    let n = usize::try_from(int_at(a, 0)).unwrap_or(0).max(1);
    let mut chunks = Vec::new();
    for chunk in items.chunks(n) {
        chunks.push(list(memory, chunk.to_vec())?);
    }
    super::typed_list(memory, "[][]interface {}", chunks)
}

/// Returns the items of a list as text, without nil; another value is a list of itself.
fn texts(memory: &mut Memory, value: &Value) -> Result<Vec<String>, Fault> {
    let one = std::slice::from_ref(value);
    let items: &[Value] = match value {
        Value::List(list) => &list.items,
        Value::Nil => &[],
        _ => one,
    };
    let mut texts = Vec::new();
    for item in items.iter().filter(|item| !matches!(item, Value::Nil)) {
        let shown = string_of(memory, item)?;
        memory.charge_text(shown.len())?;
        texts.push(shown);
    }
    Ok(texts)
}

fn join(memory: &mut Memory, a: &[Value]) -> Called {
    let texts = texts(memory, any_at(a, 1))?;
    let between = super::text_at(a, 0);
    memory.charge_text(texts.len().saturating_mul(between.len()))?;
    text(memory, &texts.join(between))
}
