//! An object without the fields of a set.
//!
//! Only map keys and items of keyed lists can go; what is in an atomic value stays with it or goes
//! with it. A map or list that loses its last entry becomes null.

use serde_json::{Map, Value};

use crate::fields::{FieldSet, PathElement};

use super::types::{Form, ListType, MapType, Relation, Type};

/// Returns `value` without the members of `set`.
pub(super) fn remove(kind: Type<'_>, value: &Value, set: &FieldSet) -> Value {
    match (kind.form(Some(value)).0, value) {
        (Form::Scalar(_), value) => value.clone(),
        (Form::Map(map), Value::Object(object)) if !map.atomic => remove_keys(map, object, set),
        (Form::List(list), Value::Array(items)) if !matches!(list.relation, Relation::Atomic) => {
            remove_items(list, items, set)
        }
        _ => Value::Null,
    }
}

fn remove_keys(map: MapType<'_>, object: &Map<String, Value>, set: &FieldSet) -> Value {
    let mut out = Map::new();
    for (name, value) in object {
        let element = PathElement::field(name);
        if set.has_member(&element) {
            continue;
        }
        let value = match set.child(&element).filter(|below| !below.is_empty()) {
            Some(below) => remove(map.member(name).unwrap_or(Type::Deduced), value, below),
            None => value.clone(),
        };
        out.insert(name.clone(), value);
    }
    if out.is_empty() {
        return Value::Null;
    }
    Value::Object(out)
}

fn remove_items(list: ListType<'_>, items: &[Value], set: &FieldSet) -> Value {
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let Ok(element) = list.element(item) else {
            out.push(item.clone());
            continue;
        };
        if set.has_member(&element) {
            continue;
        }
        out.push(
            match set.child(&element).filter(|below| !below.is_empty()) {
                Some(below) => remove(list.items, item, below),
                None => item.clone(),
            },
        );
    }
    if out.is_empty() {
        return Value::Null;
    }
    Value::Array(out)
}
