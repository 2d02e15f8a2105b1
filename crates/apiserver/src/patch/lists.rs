//! Lists in strategic merge patches: merged by key or as sets, and put in order.
//!
//! The order is the patch's; items that only the server has keep their place among the others as far
//! as that contradicts nothing. Items are found by an index, never by a scan.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::fields::show_plain;
use crate::schema::Schema;

use super::strategic::{DIRECTIVE, bad_type, merge_maps, unknown_directive};

/// How one list is patched.
pub(super) struct ListPatch<'a> {
    /// The field that tells items apart; absent for lists of scalars.
    pub key: Option<&'a str>,
    /// The schema of the items.
    pub items: Option<&'a Schema>,
    /// Whether the patch holds what to take out.
    pub deletes: bool,
}

impl ListPatch<'_> {
    /// Returns the text by which an item is found; fails where it lacks its key.
    fn id(&self, item: &Value) -> Result<String, ApiError> {
        let Some(key) = self.key else {
            return Ok(item.to_string());
        };
        let Value::Object(map) = item else {
            return Err(bad_type("map[string]interface {}", item));
        };
        match map.get(key) {
            Some(value) => Ok(value.to_string()),
            None => Err(no_key(map, key)),
        }
    }

    /// Returns the place of the first item of each id.
    fn places(&self, items: &[Value]) -> Result<BTreeMap<String, usize>, ApiError> {
        let mut places = BTreeMap::new();
        for (i, item) in items.iter().enumerate() {
            places.entry(self.id(item)?).or_insert(i);
        }
        Ok(places)
    }

    /// Fails where the items of the patch do not follow the order that it asks for.
    pub fn check_order(&self, patch: &[Value], order: &[Value]) -> Result<(), ApiError> {
        if patch.is_empty() || order.is_empty() {
            return Ok(());
        }
        let mut asked = order.iter();
        for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
            let mut found = false;
            for next in asked.by_ref() {
                if self.id(item)? == self.id(next)? {
                    found = true;
                    break;
                }
            }
            if !found {
                let (patch, order) = (show_list(patch), show_list(order));
                let message = format!(
                    "The order in patch list:\n{patch}\n doesn't match $setElementOrder \
                     list:\n{order}\n"
                );
                return Err(ApiError::new(500, "", message));
            }
        }
        Ok(())
    }
}

/// Returns a list with a patch merged in; fails where items lack their key or mix kinds.
pub(super) fn merge_lists(
    original: Vec<Value>,
    patch: Vec<Value>,
    list: &ListPatch<'_>,
) -> Result<Vec<Value>, ApiError> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    if !holds_maps(&original, &patch)? {
        if list.deletes {
            let gone: BTreeSet<String> = patch.iter().map(Value::to_string).collect();
            let kept = original
                .into_iter()
                .filter(|v| !gone.contains(&v.to_string()));
            return Ok(kept.collect());
        }
        let scalars = ListPatch { key: None, ..*list };
        let mut seen = BTreeSet::new();
        let both = original.iter().chain(&patch);
        let merged = both
            .filter(|v| seen.insert(v.to_string()))
            .cloned()
            .collect();
        return reorder(merged, &patch, &original, &scalars);
    }
    if list.key.is_none() {
        let message = "cannot merge lists without merge key for map";
        return Err(ApiError::new(500, "", message));
    }
    let (original, patch) = obey_directives(original, patch, list)?;
    let order = original.clone();
    let mut merged = original;
    let mut places = list.places(&merged)?;
    for item in &patch {
        let id = list.id(item)?;
        match places.get(&id) {
            Some(at) => {
                let old = as_map(merged[*at].take());
                let new = as_map(item.clone());
                merged[*at] = Value::Object(merge_maps(old, new, list.items)?);
            }
            None => {
                places.insert(id, merged.len());
                merged.push(item.clone());
            }
        }
    }
    reorder(merged, &patch, &order, list)
}

/// Takes the items with `$patch` out of a patch, and does what they say to the original.
fn obey_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    list: &ListPatch<'_>,
) -> Result<(Vec<Value>, Vec<Value>), ApiError> {
    let (mut rest, mut gone) = (Vec::with_capacity(patch.len()), BTreeSet::new());
    let mut replace = false;
    for item in patch {
        match (item.get(DIRECTIVE), &item) {
            (None, _) => rest.push(item),
            (Some(Value::String(directive)), _) if directive == "delete" => {
                gone.insert(list.id(&item)?);
            }
            (Some(Value::String(directive)), _) if directive == "replace" => replace = true,
            (Some(Value::String(directive)), _) if directive == "merge" => {
                let message = "merging lists cannot yet be specified in the patch";
                return Err(ApiError::new(500, "", message));
            }
            (Some(other), item) => return Err(unknown_directive(other, &as_map(item.clone()))),
        }
    }
    if replace {
        return Ok((rest, Vec::new()));
    }
    if !gone.is_empty() {
        original.retain(|item| !list.id(item).is_ok_and(|id| gone.contains(&id)));
    }
    Ok((original, rest))
}

/// Returns the items in the order of `order`, those that are not in it placed as in `server`.
pub(super) fn reorder(
    merged: Vec<Value>,
    order: &[Value],
    server: &[Value],
    list: &ListPatch<'_>,
) -> Result<Vec<Value>, ApiError> {
    let (order, server) = (list.places(order)?, list.places(server)?);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for item in merged {
        let id = list.id(&item)?;
        let server_place = server.get(&id).copied();
        match order.get(&id) {
            Some(place) => ours.push((*place, server_place, item)),
            None => theirs.push((server_place.unwrap_or(usize::MAX), server_place, item)),
        }
    }
    ours.sort_by_key(|(place, ..)| *place);
    theirs.sort_by_key(|(place, ..)| *place);
    let mut out = Vec::with_capacity(ours.len() + theirs.len());
    let mut theirs = theirs.into_iter().peekable();
    for (_, our_place, item) in ours {
        let comes_before = |their: Option<usize>| their.zip(our_place).is_some_and(|(t, o)| t < o);
        while let Some((.., their)) = theirs.next_if(|(_, place, _)| comes_before(*place)) {
            out.push(their);
        }
        out.push(item);
    }
    out.extend(theirs.map(|(.., item)| item));
    Ok(out)
}

/// Returns whether the items are objects; fails where kinds are mixed or lists are in lists.
pub(super) fn holds_maps(original: &[Value], patch: &[Value]) -> Result<bool, ApiError> {
    let mut kinds = original.iter().chain(patch).map(kind);
    let Some(first) = kinds.next() else {
        let message = "no elements in any of the given slices";
        return Err(ApiError::new(500, "", message));
    };
    if first == Kind::List {
        return Err(super::rejected());
    }
    if !kinds.all(|kind| kind == first) {
        let (original, patch) = (show_list(original), show_list(patch));
        let message = format!("list element types are not identical: [{original} {patch}]");
        return Err(ApiError::new(500, "", message));
    }
    Ok(first == Kind::Map)
}

#[derive(PartialEq, Eq)]
enum Kind {
    Null,
    Bool,
    Integer,
    Float,
    Text,
    List,
    Map,
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::Null,
        Value::Bool(_) => Kind::Bool,
        Value::Number(n) if n.is_f64() => Kind::Float,
        Value::Number(_) => Kind::Integer,
        Value::String(_) => Kind::Text,
        Value::Array(_) => Kind::List,
        Value::Object(_) => Kind::Map,
    }
}

fn as_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn show_list(items: &[Value]) -> String {
    show_plain(&Value::Array(items.to_vec()))
}

fn no_key(map: &Map<String, Value>, key: &str) -> ApiError {
    let map = show_plain(&Value::Object(map.clone()));
    let message = format!("map: {map} does not contain declared merge key: {key}");
    ApiError::new(500, "", message)
}
