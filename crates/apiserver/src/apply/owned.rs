//! The fields that an object mentions, as a field set.
//!
//! Leaves are members, and so are list items, map keys and what is empty or null; named fields with
//! something below them are not. Also the two views of a set that need the schema: with its named
//! fields as members, and after the schema has changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::fields::{FieldSet, PathElement};

use super::types::{Form, ListType, MapType, Relation, Type};

/// What is never owned at the root of an object.
pub(super) const ROOT_NEVER_OWNED: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// What is never owned in `metadata`.
pub(super) const METADATA_NEVER_OWNED: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

static NOTHING: FieldSet = FieldSet::EMPTY;

/// The parts of a node, to be put in order once.
#[derive(Default)]
struct Node {
    members: Vec<PathElement>,
    children: Vec<(PathElement, Arc<FieldSet>)>,
}

impl Node {
    fn add(&mut self, element: PathElement, is_member: bool, below: Node) {
        let below = below.finish();
        if !below.is_empty() {
            if is_member {
                self.members.push(element.clone());
            }
            self.children.push((element, Arc::new(below)));
        } else if is_member {
            self.members.push(element);
        }
    }

    fn finish(self) -> FieldSet {
        FieldSet::node(self.members, self.children)
    }
}

/// Returns the set of the fields that `value` mentions.
pub(super) fn field_set(kind: Type<'_>, value: &Value) -> FieldSet {
    walk(kind, value).1.finish()
}

/// Returns whether the value is itself a member, and what below it is.
fn walk(kind: Type<'_>, value: &Value) -> (bool, Node) {
    match (kind.form(Some(value)).0, value) {
        (Form::Scalar(_), _) => (true, Node::default()),
        (Form::List(list), _) if matches!(list.relation, Relation::Atomic) => {
            (true, Node::default())
        }
        (Form::Map(map), _) if map.atomic => (true, Node::default()),
        (Form::List(list), Value::Array(items)) => (false, walk_list(list, items)),
        (Form::Map(map), Value::Object(object)) => (false, walk_map(map, object)),
        _ => (false, Node::default()),
    }
}

fn walk_list(list: ListType<'_>, items: &[Value]) -> Node {
    let elements: Vec<Option<PathElement>> =
        items.iter().map(|item| list.element(item).ok()).collect();
    let mut sorted: Vec<&PathElement> = elements.iter().flatten().collect();
    sorted.sort();
    let twice: BTreeSet<&PathElement> = sorted
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    let mut node = Node::default();
    for (element, item) in elements.iter().zip(items) {
        let Some(element) = element else { continue };
        let below = if twice.contains(element) {
            Node::default()
        } else {
            walk(list.items, item).1
        };
        node.add(element.clone(), true, below);
    }
    node
}

fn walk_map(map: MapType<'_>, object: &Map<String, Value>) -> Node {
    let mut node = Node::default();
    node.members.reserve(object.len());
    for (name, value) in object {
        let (is_leaf, below) = walk(map.member(name).unwrap_or(Type::Deduced), value);
        let is_empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        let is_member = is_leaf || is_empty || !map.names(name);
        node.add(PathElement::field(name), is_member, below);
    }
    node
}

/// Returns whether `set` is what an applier of `object` comes to own, without building that set.
///
/// May say no where it is, if a list has an item twice; never says yes where it is not.
pub(super) fn is_owned_by_applying(kind: Type<'_>, object: &Value, set: &FieldSet) -> bool {
    mentions(kind, object, Some(set), Place::Root)
}

/// Where a value is, as far as some fields there are never owned.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Metadata,
    Elsewhere,
}

impl Place {
    fn never_owns(self, name: &str) -> bool {
        match self {
            Self::Root => ROOT_NEVER_OWNED.contains(&name),
            Self::Metadata => METADATA_NEVER_OWNED.contains(&name),
            Self::Elsewhere => false,
        }
    }

    fn below(self, name: &str) -> Self {
        match self {
            Self::Root if name == "metadata" => Self::Metadata,
            _ => Self::Elsewhere,
        }
    }
}

fn mentions(kind: Type<'_>, value: &Value, set: Option<&FieldSet>, place: Place) -> bool {
    let set = set.unwrap_or(&NOTHING);
    match (kind.form(Some(value)).0, value) {
        (Form::List(list), Value::Array(items)) if !matches!(list.relation, Relation::Atomic) => {
            let mut below = 0;
            let all = items.iter().all(|item| {
                let Ok(element) = list.element(item) else {
                    return false;
                };
                let child = set.child(&element);
                below += usize::from(child.is_some());
                set.has_member(&element) && mentions(list.items, item, child, Place::Elsewhere)
            });
            all && set.members().len() == items.len() && set.children().len() == below
        }
        (Form::Map(map), Value::Object(object)) if !map.atomic => {
            let (mut members, mut below) = (0, 0);
            let all = object.iter().all(|(name, value)| {
                let member = map.member(name).unwrap_or(Type::Deduced);
                let is_member = is_member(map, name, member, value) && !place.never_owns(name);
                let child = set.below_field(name);
                members += usize::from(is_member);
                below += usize::from(child.is_some());
                is_member == set.has_field(name)
                    && mentions(member, value, child, place.below(name))
            });
            all && set.members().len() == members && set.children().len() == below
        }
        _ => set.is_empty(),
    }
}

/// Returns whether a map's entry is itself a member of the set of what is mentioned.
fn is_member(map: MapType<'_>, name: &str, kind: Type<'_>, value: &Value) -> bool {
    if value.is_null() || value.as_object().is_some_and(Map::is_empty) || !map.names(name) {
        return true;
    }
    match kind.form(Some(value)).0 {
        Form::Scalar(_) => true,
        Form::List(list) => matches!(list.relation, Relation::Atomic),
        Form::Map(map) => map.atomic,
    }
}

/// Returns the set with every named field on the way to a member a member too.
pub(super) fn with_named_fields(kind: Option<Type<'_>>, set: &FieldSet) -> FieldSet {
    let form = kind.map(|kind| kind.form(None).0);
    let mut members = set.members().to_vec();
    let mut children = Vec::with_capacity(set.children().len());
    for (element, below) in set.children() {
        let kind = match (element, form) {
            (PathElement::Field(name), Some(Form::Map(map))) => {
                if map.names(name) {
                    members.push(element.clone());
                }
                map.member(name)
            }
            (PathElement::Key(_), Some(Form::List(list))) => Some(list.items),
            _ => None,
        };
        children.push((element.clone(), Arc::new(with_named_fields(kind, below))));
    }
    FieldSet::node(members, children)
}

/// Returns the set as it is under the present schema, if that differs.
///
/// Where a list or map has become atomic, owning parts of it becomes owning the whole. The other
/// way round nothing is changed.
pub(super) fn after_schema_change(kind: Type<'_>, set: &FieldSet) -> Option<FieldSet> {
    let mut collapsed = Vec::new();
    find_collapsed(kind, Some(set), false, &mut Vec::new(), &mut collapsed);
    if collapsed.is_empty() {
        return None;
    }
    let mut roots = FieldSet::default();
    for path in &collapsed {
        roots.insert(path);
    }
    Some(set.recursive_difference(&roots).union(&roots))
}

fn find_collapsed<'s>(
    kind: Type<'_>,
    set: Option<&'s FieldSet>,
    is_leaf: bool,
    path: &mut Vec<&'s PathElement>,
    out: &mut Vec<Vec<PathElement>>,
) {
    let mut collapse = |path: &[&PathElement]| out.push(path.iter().copied().cloned().collect());
    match kind.form(None).0 {
        Form::Scalar(_) => {}
        Form::List(list) if matches!(list.relation, Relation::Atomic) => {
            if !is_leaf {
                collapse(path);
            }
        }
        Form::Map(map) if map.is_open() => {}
        Form::Map(map) if map.atomic => {
            if !is_leaf && set.is_some_and(|set| !set.is_empty()) {
                collapse(path);
            }
        }
        form => {
            for (element, is_member, below) in set.into_iter().flat_map(elements) {
                let kind = match (form, element) {
                    (Form::List(list), _) => Some(list.items),
                    (Form::Map(map), PathElement::Field(name)) => map.member(name),
                    _ => None,
                };
                let Some(kind) = kind else { continue };
                path.push(element);
                find_collapsed(kind, below, is_member && below.is_none(), path, out);
                path.pop();
            }
        }
    }
}

/// Returns the elements of one level: whether each is a member, and what is below it.
fn elements(set: &FieldSet) -> impl Iterator<Item = (&PathElement, bool, Option<&FieldSet>)> {
    let parents = set
        .children()
        .iter()
        .map(|(element, below)| (element, set.has_member(element), Some(&**below)));
    let leaves = set
        .members()
        .iter()
        .filter(|element| set.child(element).is_none())
        .map(|element| (element, true, None));
    parents.chain(leaves)
}
