//! What differs between two objects: the fields added, changed and removed.
//!
//! Leaves and atomic values are compared as wholes; keyed lists item by item, in any order.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::fields::{FieldSet, PathElement, same_value};

use super::types::{Form, ListType, MapType, Relation, Type, as_list, as_map};

/// The fields in which a new object differs from an old one; no path is in two of the sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    pub added: FieldSet,
    pub modified: FieldSet,
    pub removed: FieldSet,
}

impl Comparison {
    /// Takes `ignored` and everything below it out of all sets.
    pub fn exclude(&mut self, ignored: &FieldSet) {
        for set in [&mut self.added, &mut self.modified, &mut self.removed] {
            *set = set.recursive_difference(ignored);
        }
    }
}

/// Returns in what `new` differs from `old`.
pub(super) fn compare(kind: Type<'_>, old: &Value, new: &Value) -> Comparison {
    let mut delta = Delta::default();
    delta.value(kind, Some(old), Some(new));
    let [added, modified, removed] = delta.sides.map(Side::finish);
    Comparison {
        added,
        modified,
        removed,
    }
}

const ADDED: usize = 0;
const MODIFIED: usize = 1;
const REMOVED: usize = 2;

/// What differs at one place: itself and below it, for each of the three sets.
#[derive(Default)]
struct Delta {
    sides: [Side; 3],
}

#[derive(Default)]
struct Side {
    is_member: bool,
    members: Vec<PathElement>,
    children: Vec<(PathElement, Arc<FieldSet>)>,
}

impl Side {
    fn finish(self) -> FieldSet {
        FieldSet::node(self.members, self.children)
    }
}

impl Delta {
    fn value(&mut self, kind: Type<'_>, old: Option<&Value>, new: Option<&Value>) {
        let (old_form, old_choice) = kind.form(old);
        let (new_form, new_choice) = kind.form(new);
        let is_leaf = match (old, new) {
            (_, None) => self.form(old_form, old, new),
            (None, _) => self.form(new_form, old, new),
            _ if old_choice == new_choice => self.form(new_form, old, new),
            _ => {
                self.form(old_form, old, new);
                self.form(new_form, old, new)
            }
        };
        if !is_leaf {
            self.mark_presence(old, new);
        }
    }

    /// Compares by one form; returns whether the value was taken as a leaf.
    fn form(&mut self, form: Form<'_>, old: Option<&Value>, new: Option<&Value>) -> bool {
        match form {
            Form::Scalar(_) => self.leaf(old, new),
            Form::List(list) => {
                let (a, b) = (as_list(old), as_list(new));
                let empty = a.is_none_or(Vec::is_empty) && b.is_none_or(Vec::is_empty);
                if empty || matches!(list.relation, Relation::Atomic) {
                    return self.leaf(old, new);
                }
                let (a, b) = (
                    a.map_or(&[][..], Vec::as_slice),
                    b.map_or(&[][..], Vec::as_slice),
                );
                self.lists(list, a, b);
                false
            }
            Form::Map(map) => {
                let (a, b) = (as_map(old), as_map(new));
                if map.atomic || a.is_none_or(Map::is_empty) && b.is_none_or(Map::is_empty) {
                    return self.leaf(old, new);
                }
                self.maps(map, a, b);
                false
            }
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) -> bool {
        match (old, new) {
            (Some(old), Some(new)) if !same_value(old, new) => {
                self.sides[MODIFIED].is_member = true;
            }
            _ => self.mark_presence(old, new),
        }
        true
    }

    fn mark_presence(&mut self, old: Option<&Value>, new: Option<&Value>) {
        if old.is_none() {
            self.sides[ADDED].is_member = true;
        } else if new.is_none() {
            self.sides[REMOVED].is_member = true;
        }
    }

    fn maps(
        &mut self,
        map: MapType<'_>,
        old: Option<&Map<String, Value>>,
        new: Option<&Map<String, Value>>,
    ) {
        let get = |side: Option<&Map<String, Value>>, name: &str| {
            side.is_some_and(|side| side.contains_key(name))
        };
        let names = old.into_iter().flat_map(Map::keys);
        let names = names.chain(
            new.into_iter()
                .flat_map(Map::keys)
                .filter(|name| !get(old, name)),
        );
        for name in names {
            let old = old.and_then(|old| old.get(name).or_else(|| map.zero(name)));
            let new = new.and_then(|new| new.get(name).or_else(|| map.zero(name)));
            let mut below = Delta::default();
            below.value(map.member(name).unwrap_or(Type::Deduced), old, new);
            self.put(&PathElement::field(name), below);
        }
    }

    fn lists(&mut self, list: ListType<'_>, old: &[Value], new: &[Value]) {
        let mut found: BTreeMap<PathElement, [Vec<&Value>; 2]> = BTreeMap::new();
        for (side, items) in [old, new].into_iter().enumerate() {
            for item in items {
                if let Ok(element) = list.element(item) {
                    found.entry(element).or_default()[side].push(item);
                }
            }
        }
        for (element, [old, new]) in found {
            let mut below = Delta::default();
            match (old.as_slice(), new.as_slice()) {
                ([] | [_], [] | [_]) => {
                    below.value(list.items, old.first().copied(), new.first().copied());
                }
                ([_, _, ..], [_, _, ..]) => {
                    let same = old.len() == new.len()
                        && old.iter().zip(&new).all(|(a, b)| same_value(a, b));
                    below.sides[MODIFIED].is_member = !same;
                }
                ([_, _, ..], rest) => {
                    if let [only] = rest {
                        below.value(list.items, None, Some(only));
                    }
                    below.sides[REMOVED].is_member = true;
                }
                (rest, _) => {
                    if let [only] = rest {
                        below.value(list.items, Some(only), None);
                    }
                    below.sides[ADDED].is_member = true;
                }
            }
            self.put(&element, below);
        }
    }

    fn put(&mut self, element: &PathElement, below: Delta) {
        for (side, below) in self.sides.iter_mut().zip(below.sides) {
            if below.is_member {
                side.members.push(element.clone());
            }
            let set = below.finish();
            if !set.is_empty() {
                side.children.push((element.clone(), Arc::new(set)));
            }
        }
    }
}
