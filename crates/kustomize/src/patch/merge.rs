//! Strategic merge: a patch in the shape of an object, merged into it.
//!
//! In: an object, a patch and the schema. Out: the merged object, or nothing when the patch
//! deletes it. Null removes a field, `$patch` deletes or replaces, lists that the schema knows are
//! merged by their keys; the elements of the patch come first. It follows kustomize, its oddities
//! included; a comment says where one is.

use std::cell::RefCell;
use std::collections::HashMap;

use yaml::{Content, Node, Style};

use crate::patch::lists::{
    add_key, append_own, find, is_regular, key_text, merge_scalars, set, unite,
};
use crate::patch::schema::{Merge, Schema, Type};
use crate::resource::{is_blank, is_null, quote, remove_field, set_field};
use crate::shared::{self, Changed};

/// The longest list with several merge keys, or with keys that are not unique.
const IRREGULAR_LIST_MAX: usize = 2_000;

/// What a merge leaves at a place.
enum Walked {
    /// Nothing: the field is removed.
    Clear,
    /// The null that stands in the object stays.
    KeepNull(Node),
    /// The node of the object, changed in place.
    Own(Node),
    /// The node of the patch.
    Patch(Node),
}

impl Walked {
    /// Returns the node, unless it is missing, null or an empty mapping.
    fn content(self) -> Option<(Node, bool)> {
        let (node, is_own) = match self {
            Self::Clear | Self::KeepNull(_) => return None,
            Self::Own(node) => (node, true),
            Self::Patch(node) => (node, false),
        };
        let is_empty = is_null(&node) || node.entries().is_some_and(<[_]>::is_empty);
        (!is_empty).then_some((node, is_own))
    }
}

/// Merges a patch into an object; returns nothing when the patch deletes it.
///
/// Fails when a mapping, a list and a scalar meet, and at an unknown `$patch`.
pub(crate) fn merge(object: Node, patch: Node, schema: &Schema) -> Result<Option<Node>, String> {
    let merger = Merger {
        schema,
        changed: RefCell::default(),
    };
    let walked = merger.walk(Some(object), Some(patch), Type::Unknown)?;
    let (Walked::Own(mut merged) | Walked::Patch(mut merged)) = walked else {
        return Ok(None);
    };
    shared::spread(&mut merged, &merger.changed.into_inner());
    Ok(Some(merged).filter(|node| !is_blank(node)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    None,
    Scalar,
    Sequence,
    Mapping,
}

fn shape(node: Option<&Node>) -> Shape {
    match node {
        None => Shape::None,
        Some(node) if is_null(node) => Shape::None,
        Some(node) => match node.content {
            Content::Scalar(..) => Shape::Scalar,
            Content::Sequence(..) => Shape::Sequence,
            Content::Mapping(..) => Shape::Mapping,
        },
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(text: &str) -> Result<Directive, String> {
    match text {
        "merge" => Ok(Directive::Merge),
        "replace" => Ok(Directive::Replace),
        "delete" => Ok(Directive::Delete),
        other => Err(format!("unknown patch strategy '{other}'")),
    }
}

/// Takes `$patch` out of a mapping.
fn take_directive(node: &mut Node) -> Result<Directive, String> {
    match remove_field(node, "$patch") {
        Some(value) => directive(value.text().unwrap_or_default()),
        None => Ok(Directive::Merge),
    }
}

struct Merger<'a> {
    schema: &'a Schema,
    /// The labels that share their value with others and were changed.
    changed: RefCell<Changed>,
}

impl<'a> Merger<'a> {
    fn walk(
        &self,
        own: Option<Node>,
        patch: Option<Node>,
        known: Type<'a>,
    ) -> Result<Walked, String> {
        let known = self.root(known, own.as_ref()).unwrap_or(known);
        let known = self.root(known, patch.as_ref()).unwrap_or(known);
        let (own_shape, patch_shape) = (shape(own.as_ref()), shape(patch.as_ref()));
        let wanted = if own_shape == Shape::None {
            patch_shape
        } else {
            own_shape
        };
        if patch_shape != Shape::None && patch_shape != wanted {
            return Err(format!(
                "wrong node kind: expected {} but got {}",
                shape_name(wanted),
                shape_name(patch_shape)
            ));
        }
        match wanted {
            Shape::Scalar => Ok(either(own, patch)),
            Shape::Sequence => match known.merge() {
                Merge::Replace => Ok(either(own, patch)),
                Merge::ByKeys(keys) => self.sequences(own, patch, &keys, known),
            },
            Shape::Mapping | Shape::None => self.mappings(own, patch, known),
        }
    }

    /// Walks a part of the patch that is new in the object: both sides are the same node.
    fn walk_new(&self, node: Node, known: Type<'a>) -> Result<Walked, String> {
        let known = self.root(known, Some(&node)).unwrap_or(known);
        match shape(Some(&node)) {
            Shape::None => Ok(Walked::Clear),
            Shape::Scalar => Ok(Walked::Patch(node)),
            Shape::Sequence => match known.merge() {
                Merge::Replace => Ok(Walked::Patch(node)),
                Merge::ByKeys(keys) => self.new_sequence(node, &keys, known),
            },
            Shape::Mapping => {
                let mut node = node;
                match take_directive(&mut node)? {
                    Directive::Delete => Ok(Walked::Clear),
                    Directive::Merge | Directive::Replace => self.fields_of_new(node, known),
                }
            }
        }
    }

    /// Returns the type of an object that says what it is, where the schema does not.
    fn root(&self, known: Type<'a>, node: Option<&Node>) -> Option<Type<'a>> {
        if !known.is_unknown() {
            return None;
        }
        let text = |field: &str| node?.get(field)?.text();
        Some(self.schema.root(text("apiVersion")?, text("kind")?))
    }

    fn mappings(
        &self,
        own: Option<Node>,
        patch: Option<Node>,
        known: Type<'a>,
    ) -> Result<Walked, String> {
        let own = match own {
            Some(own) if !is_null(&own) => own,
            own => return self.new_mapping(own, patch, known),
        };
        let Some(mut patch) = patch else {
            return self.fields(own, None, known).map(Walked::Own);
        };
        if is_null(&patch) {
            return Ok(Walked::Clear);
        }
        match take_directive(&mut patch)? {
            Directive::Delete => Ok(Walked::Clear),
            Directive::Replace => self.fields_of_new(patch, known),
            Directive::Merge => self.fields(own, Some(patch), known).map(Walked::Own),
        }
    }

    /// Merges where the object has nothing, or null.
    fn new_mapping(
        &self,
        own: Option<Node>,
        patch: Option<Node>,
        known: Type<'a>,
    ) -> Result<Walked, String> {
        let Some(mut patch) = patch else {
            return Ok(match own {
                Some(null) if null.text().is_some_and(|text| !text.is_empty()) => {
                    Walked::KeepNull(null)
                }
                _ => Walked::Clear,
            });
        };
        if is_null(&patch) {
            return Ok(Walked::Clear);
        }
        // An unknown directive does not matter here.
        match take_directive(&mut patch) {
            Ok(Directive::Delete) => Ok(Walked::Clear),
            _ => self.fields_of_new(patch, known),
        }
    }

    fn fields_of_new(&self, mut node: Node, known: Type<'a>) -> Result<Walked, String> {
        if let Some(entries) = node.entries_mut() {
            let mut kept = Vec::with_capacity(entries.len());
            for (key, value) in std::mem::take(entries) {
                let known = known.field(key.text().unwrap_or_default());
                match self.walk_new(value, known)? {
                    Walked::Clear => {}
                    Walked::KeepNull(value) => kept.push((key, value)),
                    Walked::Own(value) | Walked::Patch(value) if is_null(&value) => drop(value),
                    Walked::Own(mut value) | Walked::Patch(mut value) => {
                        quote(&mut value);
                        kept.push((key, value));
                    }
                }
            }
            *entries = kept;
        }
        Ok(Walked::Patch(node))
    }

    /// Merges the fields of a mapping; those that the patch does not have are walked too.
    fn fields(&self, mut own: Node, patch: Option<Node>, known: Type<'a>) -> Result<Node, String> {
        let mut incoming = Vec::new();
        if let Some(Content::Mapping(entries, _)) = patch.map(|patch| patch.content) {
            incoming = entries;
        }
        let mut by_name: HashMap<String, usize> = HashMap::new();
        for (at, (key, _)) in incoming.iter().enumerate() {
            by_name
                .entry(key.text().unwrap_or_default().to_owned())
                .or_insert(at);
        }
        let mut incoming: Vec<Option<(Node, Node)>> = incoming.into_iter().map(Some).collect();
        let entries = own.entries_mut().expect("because only mappings come here");
        let mut merged = Vec::with_capacity(entries.len() + incoming.len());
        for (key, value) in std::mem::take(entries) {
            let name = key.text().unwrap_or_default();
            let change = by_name.get(name).and_then(|at| incoming[*at].take());
            let (style, group) = (scalar_style(&value), shared::group(&value));
            let patch_key = change.as_ref().map(|(key, _)| key);
            let known = noted(&key, patch_key)?.unwrap_or_else(|| known.field(name));
            match self.walk(Some(value), change.map(|(_, value)| value), known)? {
                Walked::Clear => {}
                Walked::KeepNull(value) => merged.push((key, value)),
                Walked::Own(value) | Walked::Patch(value) if is_null(&value) => drop(value),
                Walked::Own(mut value) => {
                    quote(&mut value);
                    merged.push((key, value));
                }
                Walked::Patch(mut value) => {
                    // A field keeps the style in which it was written.
                    if let (Some(style), Content::Scalar(_, new)) = (style, &mut value.content) {
                        *new = style;
                    }
                    if let Some(group) = group {
                        shared::join(&mut value, group);
                        self.changed.borrow_mut().push((group, value.clone()));
                    }
                    merged.push((key, value));
                }
            }
        }
        for (key, value) in incoming.into_iter().flatten() {
            let known =
                noted(&key, None)?.unwrap_or_else(|| known.field(key.text().unwrap_or_default()));
            match self.walk(None, Some(value), known)? {
                Walked::Clear | Walked::KeepNull(_) => {}
                Walked::Own(value) | Walked::Patch(value) if is_null(&value) => drop(value),
                Walked::Own(mut value) | Walked::Patch(mut value) => {
                    quote(&mut value);
                    merged.push((key, value));
                }
            }
        }
        *entries = merged;
        Ok(own)
    }

    /// Merges two lists by the keys of their elements.
    fn sequences(
        &self,
        own: Option<Node>,
        patch: Option<Node>,
        keys: &[String],
        known: Type<'a>,
    ) -> Result<Walked, String> {
        let own = own.filter(|own| !is_null(own));
        let has_own = own.is_some();
        let (mut out, mut src);
        match (own, patch) {
            (None, None) => return Ok(Walked::Clear),
            (Some(own), None) => (out, src) = (own, Node::sequence()),
            (Some(_), Some(patch)) if is_null(&patch) => return Ok(Walked::Clear),
            (None, Some(patch)) => return self.new_sequence(patch, keys, known),
            (Some(own), Some(patch)) => {
                (out, src) = (own, patch);
                match list_directive(&mut src)? {
                    Directive::Delete => return Ok(Walked::Clear),
                    Directive::Replace => return self.new_sequence(src, keys, known),
                    Directive::Merge => {}
                }
            }
        }
        let own_items = out.items_mut().map(std::mem::take).unwrap_or_default();
        let patch_items = src.items_mut().map(std::mem::take).unwrap_or_default();
        let items = match keys {
            [] => merge_scalars(own_items, patch_items),
            [key] if is_regular(&own_items, key) && is_regular(&patch_items, key) => {
                self.by_unique_key(own_items, patch_items, key, known.elements())?
            }
            keys => self.by_keys(own_items, Some(patch_items), keys, known.elements())?,
        };
        if let Some(list) = out.items_mut() {
            *list = items;
        }
        Ok(if has_own {
            Walked::Own(out)
        } else {
            Walked::Patch(out)
        })
    }

    /// Merges a list of the patch with itself: the object has none, or it is replaced.
    fn new_sequence(
        &self,
        mut list: Node,
        keys: &[String],
        known: Type<'a>,
    ) -> Result<Walked, String> {
        let items = list.items_mut().map(std::mem::take).unwrap_or_default();
        let known = known.elements();
        let items = match keys {
            [] => merge_scalars(items, Vec::new()),
            [key] if is_regular(&items, key) => {
                self.by_unique_key(items.clone(), items, key, known)?
            }
            keys => self.by_keys(items, None, keys, known)?,
        };
        if let Some(list) = list.items_mut() {
            *list = items;
        }
        Ok(Walked::Patch(list))
    }

    /// Merges lists in which every element has its own value of the one key.
    fn by_unique_key(
        &self,
        own: Vec<Node>,
        patch: Vec<Node>,
        key: &str,
        known: Type<'a>,
    ) -> Result<Vec<Node>, String> {
        let text = |node: &Node| {
            node.get(key)
                .and_then(Node::text)
                .unwrap_or_default()
                .to_owned()
        };
        let mut own: Vec<Option<Node>> = own.into_iter().map(Some).collect();
        let positions: HashMap<String, usize> = own
            .iter()
            .enumerate()
            .filter_map(|(at, node)| node.as_ref().map(|node| (text(node), at)))
            .collect();
        let mut items = Vec::with_capacity(own.len() + patch.len());
        for element in patch {
            let value = text(&element);
            let before = positions.get(&value).and_then(|at| own[*at].take());
            let original = before.clone();
            let Some((mut merged, is_own)) = self.walk(before, Some(element), known)?.content()
            else {
                continue;
            };
            add_key(&mut merged, key, &value);
            // The element of the object wins over one that only came to replace it.
            match original {
                Some(original) if !is_own => items.push(original),
                _ => items.push(merged),
            }
        }
        for element in own.into_iter().flatten() {
            let value = text(&element);
            if let Some((mut merged, _)) = self.walk(Some(element), None, known)?.content() {
                add_key(&mut merged, key, &value);
                items.push(merged);
            }
        }
        Ok(items)
    }

    /// Merges lists with several keys, or with elements that share or lack a key. Without a
    /// patch, the list is that of the patch itself.
    fn by_keys(
        &self,
        mut own: Vec<Node>,
        patch: Option<Vec<Node>>,
        keys: &[String],
        known: Type<'a>,
    ) -> Result<Vec<Node>, String> {
        let n_patch = patch.as_ref().map_or(0, Vec::len);
        if own.len() + n_patch > IRREGULAR_LIST_MAX {
            return Err("a list with repeated or several merge keys is too long".into());
        }
        let mut tuples: Vec<Vec<String>> = Vec::new();
        for element in patch.iter().flatten().chain(&own) {
            let tuple: Vec<String> = keys.iter().map(|key| key_text(element, key)).collect();
            if !tuples.contains(&tuple) {
                tuples.push(tuple);
            }
        }
        if keys.len() > 1 {
            unite(&mut tuples);
        }
        let mut valid: Vec<usize> = (0..keys.len())
            .filter(|at| tuples.iter().any(|tuple| !tuple[*at].is_empty()))
            .collect();
        if valid.is_empty() {
            valid = (0..keys.len()).collect();
        }
        let valid_keys: Vec<&str> = valid.iter().map(|at| keys[*at].as_str()).collect();
        let mut items: Vec<Node> = Vec::new();
        for tuple in tuples {
            let values: Vec<&str> = valid.iter().map(|at| tuple[*at].as_str()).collect();
            let mut wanted: Vec<(&str, &str)> = valid_keys
                .iter()
                .copied()
                .zip(values.iter().copied())
                .filter(|(_, value)| !value.is_empty())
                .collect();
            if wanted.is_empty() {
                wanted = valid_keys
                    .iter()
                    .copied()
                    .zip(values.iter().copied())
                    .collect();
            }
            let own_at = find(&own, &wanted);
            let before = own_at.map(|at| own[at].clone());
            let change = match &patch {
                Some(patch) => find(patch, &wanted).map(|at| patch[at].clone()),
                None => before.clone(),
            };
            let Some((mut merged, is_own)) = self.walk(before, change, known)?.content() else {
                set(&mut own, &valid_keys, &values, None);
                continue;
            };
            for (key, value) in valid_keys.iter().zip(&values) {
                add_key(&mut merged, key, value);
            }
            if let (true, Some(at)) = (is_own || patch.is_none(), own_at) {
                own[at] = merged.clone();
            }
            set(&mut items, &valid_keys, &values, Some(merged));
        }
        append_own(&mut items, own, &valid_keys);
        Ok(items)
    }
}

fn shape_name(shape: Shape) -> &'static str {
    match shape {
        Shape::None => "null",
        Shape::Scalar => "ScalarNode",
        Shape::Sequence => "SequenceNode",
        Shape::Mapping => "MappingNode",
    }
}

fn either(own: Option<Node>, patch: Option<Node>) -> Walked {
    match (own, patch) {
        (_, Some(patch)) => Walked::Patch(patch),
        (Some(own), None) => Walked::Own(own),
        (None, None) => Walked::Clear,
    }
}

fn scalar_style(node: &Node) -> Option<Style> {
    match &node.content {
        Content::Scalar(_, style) => Some(*style),
        _ => None,
    }
}

/// Returns the type that a comment tells at a key of the object or the patch.
fn noted(own: &Node, patch: Option<&Node>) -> Result<Option<Type<'static>>, String> {
    let note = own.note.as_ref().or_else(|| patch?.note.as_ref());
    note.map_or(Ok(None), |note| crate::patch::schema::from_note(note))
}

/// Takes the directive for a whole list out of it: an element that holds nothing else.
fn list_directive(list: &mut Node) -> Result<Directive, String> {
    let Some(items) = list.items_mut() else {
        return Ok(Directive::Merge);
    };
    let Some(first) = items.iter().find(|item| item.get("$patch").is_some()) else {
        return Ok(Directive::Merge);
    };
    if first.entries().is_none_or(|entries| entries.len() != 1) {
        return Ok(Directive::Merge);
    }
    let text = first
        .get("$patch")
        .and_then(Node::text)
        .unwrap_or_default()
        .to_owned();
    let found = directive(&text)?;
    items.retain(|item| item.get("$patch").and_then(Node::text) != Some(&text));
    Ok(found)
}

/// Sets the text of a field that a merge must not change; no text, no field.
pub(crate) fn restore(node: &mut Node, key: &str, old: &str) {
    if old.is_empty() {
        remove_field(node, key);
    } else {
        set_field(node, key, Node::plain(old));
    }
}
