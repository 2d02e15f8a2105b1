//! sprig's functions on dictionaries.
//!
//! In: dictionaries of this run. Out: new ones, or the same one changed in place where sprig does
//! so. Pure towards everything but the run's own dictionaries.

use std::collections::BTreeMap;

use super::{Called, Row, any_at, list, string_of, text_at, text_list};
use crate::DEPTH_MAX;
use crate::exec::{Fault, Memory};
use crate::value::{Dict, List, Value};

pub(super) const FUNCTIONS: &[Row] = &[
    ("dict", "a*", |m, a| {
        let mut entries = BTreeMap::new();
        for pair in a.chunks(2) {
            let key = string_of(m, any_at(pair, 0))?;
            let value = pair.get(1).cloned().unwrap_or_else(|| Value::text(""));
            entries.insert(key, value);
        }
        m.dict(entries)
    }),
    ("get", "ds", |m, a| {
        let found = entries(m, any_at(a, 0)).get(text_at(a, 1)).cloned();
        Ok(found.unwrap_or_else(|| Value::text("")))
    }),
    ("set", "dsa", |m, a| {
        if let Value::Dict(dict) = any_at(a, 0) {
            m.charge(1)?;
            let (key, value) = (text_at(a, 1).to_owned(), any_at(a, 2).clone());
            m.dicts[dict.0].insert(key, value);
        }
        Ok(any_at(a, 0).clone())
    }),
    ("unset", "ds", |m, a| {
        if let Value::Dict(dict) = any_at(a, 0) {
            m.dicts[dict.0].remove(text_at(a, 1));
        }
        Ok(any_at(a, 0).clone())
    }),
    ("hasKey", "ds", |m, a| {
        let has = entries(m, any_at(a, 0)).contains_key(text_at(a, 1));
        Ok(Value::Bool(has))
    }),
    ("pluck", "sd*", |m, a| {
        let dicts = a.get(1..).unwrap_or(&[]).iter();
        let found = dicts.filter_map(|dict| entries(m, dict).get(text_at(a, 0)).cloned());
        let found = found.collect();
        list(m, found)
    }),
    ("keys", "d*", |m, a| {
        let keys = a.iter().flat_map(|dict| entries(m, dict).into_keys());
        let keys: Vec<Value> = keys.map(|key| Value::text(&key)).collect();
        text_list(m, keys)
    }),
    ("values", "d", |m, a| {
        let values = entries(m, any_at(a, 0)).into_values().collect();
        list(m, values)
    }),
    ("pick", "ds*", |m, a| {
        let mut kept = entries(m, any_at(a, 0));
        kept.retain(|key, _| names(a).any(|name| name == key));
        m.dict(kept)
    }),
    ("omit", "ds*", |m, a| {
        let mut kept = entries(m, any_at(a, 0));
        kept.retain(|key, _| !names(a).any(|name| name == key));
        m.dict(kept)
    }),
    ("merge", "dd*", |m, a| merge_all(m, a, false)),
    ("mustMerge", "dd*", |m, a| merge_all(m, a, false)),
    ("mergeOverwrite", "dd*", |m, a| merge_all(m, a, true)),
    ("mustMergeOverwrite", "dd*", |m, a| merge_all(m, a, true)),
    ("deepCopy", "a", |m, a| copied(m, any_at(a, 0), 0)),
    ("mustDeepCopy", "a", |m, a| copied(m, any_at(a, 0), 0)),
    ("dig", "a*", dig),
];

fn names(arguments: &[Value]) -> impl Iterator<Item = &str> {
    (1..arguments.len()).map(|n| text_at(arguments, n))
}

/// Returns a copy of a dictionary's entries; none for nil.
fn entries(memory: &Memory, value: &Value) -> BTreeMap<String, Value> {
    match value {
        Value::Dict(dict) => memory.dicts[dict.0].clone(),
        _ => BTreeMap::new(),
    }
}

fn merge_all(memory: &mut Memory, a: &[Value], is_overwriting: bool) -> Called {
    let Value::Dict(into) = any_at(a, 0) else {
        return Ok(Value::Nil);
    };
    for from in a.get(1..).unwrap_or(&[]) {
        if let Value::Dict(from) = from {
            merge(memory, *into, *from, is_overwriting, 0)?;
        }
    }
    Ok(Value::Dict(*into))
}

fn merge(
    memory: &mut Memory,
    into: Dict,
    from: Dict,
    is_overwriting: bool,
    depth: usize,
) -> Result<(), Fault> {
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    let from = memory.dicts[from.0].clone();
    memory.charge(1 + from.len())?;
    for (key, value) in from {
        match (memory.dicts[into.0].get(&key).cloned(), value) {
            (Some(Value::Dict(inner)), Value::Dict(value)) => {
                merge(memory, inner, value, is_overwriting, depth + 1)?;
            }
            (Some(old), _) if !is_overwriting && crate::exec::is_true(memory, &old) => {}
            (_, value) => {
                memory.dicts[into.0].insert(key, value);
            }
        }
    }
    Ok(())
}

fn too_deep() -> Fault {
    Fault::Limit(format!("values are nested deeper than {DEPTH_MAX}"))
}

fn copied(memory: &mut Memory, value: &Value, depth: usize) -> Called {
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    memory.charge(1)?;
    match value {
        Value::Dict(dict) => {
            let mut copy = BTreeMap::new();
            for (key, value) in memory.dicts[dict.0].clone() {
                copy.insert(key, copied(memory, &value, depth + 1)?);
            }
            memory.dict(copy)
        }
        Value::List(list) => {
            let mut copy = Vec::with_capacity(list.items.len());
            for item in list.items.iter() {
                copy.push(copied(memory, item, depth + 1)?);
            }
            Ok(Value::List(List::new(&list.type_name, copy)?))
        }
        other => Ok(other.clone()),
    }
}

/// Follows keys into a dictionary: keys, what to give where one is missing, the dictionary.
fn dig(memory: &mut Memory, a: &[Value]) -> Called {
    let [keys @ .., or, dict] = a else {
        return Err("dig needs at least three arguments".into());
    };
    if keys.is_empty() {
        return Err("dig needs at least three arguments".into());
    }
    let mut value = dict.clone();
    for key in keys {
        let Value::Text(key) = key else {
            return Err("dig needs keys that are strings".into());
        };
        let Value::Dict(dict) = value else {
            return Err(format!("dig: {} is no dictionary", value.type_name()).into());
        };
        match memory.dicts[dict.0].get(&**key) {
            Some(found) => value = found.clone(),
            None => return Ok(or.clone()),
        }
    }
    Ok(value)
}
