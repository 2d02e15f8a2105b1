//! The merge of an applied object into the live one.
//!
//! Nothing is removed here: a leaf comes from the applied object where it has it, maps are united
//! key by key, keyed lists item by item. Both inputs stay as they are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::fields::{PathElement, same_value};

use super::types::{Form, ListType, MapType, Relation, Type, as_list, as_map};

/// Returns `applied` merged into `live`; fails with what makes a list item unidentifiable.
pub(super) fn merge(kind: Type<'_>, live: &Value, applied: &Value) -> Result<Value, String> {
    let merged = merge_some(kind, Some(live), Some(applied))?;
    Ok(merged.unwrap_or(Value::Null))
}

/// Returns whether merging `applied` into `live` would give back `live`.
///
/// May say no where it would; never says yes where it would not.
pub(super) fn changes_nothing(kind: Type<'_>, live: &Value, applied: &Value) -> bool {
    let (live_form, live_choice) = kind.form(Some(live));
    let (form, choice) = kind.form(Some(applied));
    if live_choice != choice {
        return false;
    }
    match (form, live_form, live, applied) {
        (Form::Map(map), Form::Map(_), Value::Object(live), Value::Object(applied))
            if !map.atomic && !live.is_empty() =>
        {
            applied.iter().all(|(name, applied)| {
                let member = map.member(name).unwrap_or(Type::Deduced);
                live.get(name)
                    .is_some_and(|live| changes_nothing(member, live, applied))
            })
        }
        (Form::List(list), Form::List(_), Value::Array(live), Value::Array(applied))
            if !matches!(list.relation, Relation::Atomic) && !live.is_empty() =>
        {
            list_changes_nothing(list, live, applied)
        }
        _ => same_value(live, applied),
    }
}

/// The items of `applied` must be found in `live` in the same order, each unchanged.
fn list_changes_nothing(list: ListType<'_>, live: &[Value], applied: &[Value]) -> bool {
    let same_length = live.len() == applied.len();
    if same_length
        && live
            .iter()
            .zip(applied)
            .all(|(a, b)| list.same_element(a, b))
    {
        // The applied list has no element twice, so neither has the live one.
        return live
            .iter()
            .zip(applied)
            .all(|(live, applied)| changes_nothing(list.items, live, applied));
    }
    let mut places = BTreeMap::new();
    for (i, item) in live.iter().enumerate() {
        let Ok(element) = list.element(item) else {
            return false;
        };
        if places.insert(element, i).is_some() {
            return false;
        }
    }
    let mut last = None;
    applied.iter().all(|item| {
        let place = list
            .element(item)
            .ok()
            .and_then(|e| places.get(&e).copied());
        let Some(place) = place.filter(|place| last.is_none_or(|last| last < *place)) else {
            return false;
        };
        last = Some(place);
        changes_nothing(list.items, &live[place], item)
    })
}

fn merge_some(
    kind: Type<'_>,
    live: Option<&Value>,
    applied: Option<&Value>,
) -> Result<Option<Value>, String> {
    let deciding = applied.or(live);
    match kind.form(deciding).0 {
        Form::Scalar(_) => Ok(deciding.cloned()),
        Form::List(list) => {
            let (a, b) = (as_list(live), as_list(applied));
            let both_empty = a.is_none_or(Vec::is_empty) && b.is_none_or(Vec::is_empty);
            if both_empty || matches!(list.relation, Relation::Atomic) {
                return Ok(deciding.cloned());
            }
            let (a, b) = (
                a.map_or(&[][..], Vec::as_slice),
                b.map_or(&[][..], Vec::as_slice),
            );
            merge_lists(list, a, b).map(Some)
        }
        Form::Map(map) => {
            let (a, b) = (as_map(live), as_map(applied));
            if map.atomic || a.is_none_or(Map::is_empty) && b.is_none_or(Map::is_empty) {
                return Ok(deciding.cloned());
            }
            merge_maps(map, a, b).map(Some)
        }
    }
}

fn merge_maps(
    map: MapType<'_>,
    live: Option<&Map<String, Value>>,
    applied: Option<&Map<String, Value>>,
) -> Result<Value, String> {
    let Some(applied) = applied else {
        return Ok(Value::Object(live.cloned().unwrap_or_default()));
    };
    let mut out = Map::new();
    for (name, live) in live.into_iter().flatten() {
        let merged = match applied.get(name) {
            None => Some(live.clone()),
            Some(applied) => {
                let member = map.member(name).unwrap_or(Type::Deduced);
                merge_some(member, Some(live), Some(applied))?
            }
        };
        out.extend(merged.map(|value| (name.clone(), value)));
    }
    for (name, applied) in applied {
        if !live.is_some_and(|live| live.contains_key(name)) {
            out.insert(name.clone(), applied.clone());
        }
    }
    Ok(Value::Object(out))
}

/// Merges two keyed lists.
///
/// Items that only one side has keep their place relative to their neighbours; items of both follow
/// the order of the applied list. A key that is twice in the live list is not merged but replaced.
fn merge_lists(list: ListType<'_>, live: &[Value], applied: &[Value]) -> Result<Value, String> {
    let (left, left_index) = index(list, live)?;
    let (right, right_index) = index(list, applied)?;
    let merge_at = |element: &PathElement| -> Result<Option<Value>, String> {
        let live = match left_index.get(element) {
            Some(Found::Once(at)) => Some(&live[*at]),
            Some(Found::Often) => Some(&Value::Null),
            None => None,
        };
        let applied = match right_index.get(element) {
            Some(Found::Once(at)) => Some(&applied[*at]),
            _ => return Err(format!("duplicate entries for key {element}")),
        };
        merge_some(list.items, live, applied)
    };
    let mut shared = right.iter().filter(|e| left_index.contains_key(*e));
    let mut next_shared = shared.next();
    let mut merged: BTreeSet<&PathElement> = BTreeSet::new();
    let mut out = Vec::with_capacity(left.len().max(right.len()));
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if l < left.len() && r < right.len() {
            let element = &left[l];
            if *element == right[r] {
                merged.insert(element);
                out.extend(merge_at(element)?);
                l += 1;
                r += 1;
                next_shared = shared.next();
                continue;
            }
            if right_index.contains_key(element) && next_shared.is_some_and(|next| next != element)
            {
                l += 1;
                continue;
            }
        }
        if l < left.len() {
            let element = &left[l];
            if !right_index.contains_key(element) {
                out.push(live[l].clone());
                l += 1;
                continue;
            } else if merged.contains(element) {
                l += 1;
            }
        }
        if r < right.len() {
            let element = &right[r];
            merged.insert(element);
            out.extend(merge_at(element)?);
            r += 1;
            if next_shared == Some(element) {
                next_shared = shared.next();
            }
        }
    }
    Ok(Value::Array(out))
}

/// Where a key is in a list.
enum Found {
    Once(usize),
    Often,
}

type Index = (Vec<PathElement>, BTreeMap<PathElement, Found>);

fn index(list: ListType<'_>, items: &[Value]) -> Result<Index, String> {
    let mut elements = Vec::with_capacity(items.len());
    let mut index = BTreeMap::new();
    for (i, item) in items.iter().enumerate() {
        let element = list
            .element(item)
            .map_err(|e| format!("element {i}: {e}"))?;
        index
            .entry(element.clone())
            .and_modify(|found| *found = Found::Often)
            .or_insert(Found::Once(i));
        elements.push(element);
    }
    Ok((elements, index))
}
