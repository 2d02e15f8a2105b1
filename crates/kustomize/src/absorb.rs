//! Taking a generated object up into the objects that are there.

use std::collections::BTreeMap;

use yaml::Node;

use crate::error::Error;
use crate::id::Scopes;
use crate::resource::{
    Behavior, Resource, get_or_insert, is_null, remove_field, set_field, string_node,
};
use crate::resources::Resources;

/// Appends a generated object, or merges it with the one that has or had its id.
///
/// Fails when the behavior of the generator does not allow what is there.
pub(crate) fn absorb(
    resources: &mut Resources,
    mut new: Resource,
    scopes: &Scopes,
) -> Result<(), Error> {
    let id = new.id();
    let positions = resources.find(&id, scopes);
    match (positions.as_slice(), new.behavior) {
        ([], Behavior::Merge | Behavior::Replace) => Err(Error::invalid(format!(
            "id {id} does not exist; cannot merge or replace"
        ))),
        ([], _) => resources.append(new, scopes),
        ([at], Behavior::Merge | Behavior::Replace) => {
            let old = &mut resources.contents_mut()[*at];
            let is_merge = new.behavior == Behavior::Merge;
            take_over(&mut new, old, is_merge);
            if is_merge {
                merge_data(&mut new, old);
            }
            *old = new;
            Ok(())
        }
        ([_], behavior) => Err(Error::invalid(format!(
            "id {id} exists; can not use behavior: '{}', behavior must be merge or replace",
            behavior.as_str()
        ))),
        _ => Err(Error::invalid(format!(
            "found multiple objects with id {id} that could accept merge"
        ))),
    }
}

/// Gives the new object what stays of the old one.
fn take_over(new: &mut Resource, old: &Resource, is_merge: bool) {
    new.set_name(old.name());
    new.set_namespace(Some(old.namespace()).filter(|namespace| !namespace.is_empty()));
    for field in ["labels", "annotations"] {
        let missing: Vec<(String, String)> = old
            .strings(field)
            .into_iter()
            .filter(|(key, _)| new.string(field, key).is_none())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        if missing.is_empty() {
            continue;
        }
        let metadata = get_or_insert(&mut new.node, "metadata", Node::mapping);
        let map = get_or_insert(metadata, field, Node::mapping);
        for (key, value) in missing {
            set_field(map, &key, string_node(value));
        }
        new.write_strings(field);
    }
    new.needs_hash &= old.needs_hash;
    new.history.clone_from(&old.history);
    new.prefixes.clone_from(&old.prefixes);
    new.suffixes.clone_from(&old.suffixes);
    new.behavior = old.behavior;
    new.is_generated = old.is_generated;
    new.vars.clone_from(&old.vars);
    if is_merge {
        new.origin.clone_from(&old.origin);
    }
    new.transformations.clone_from(&old.transformations);
}

fn merge_data(new: &mut Resource, old: &Resource) {
    for field in ["data", "binaryData"] {
        let mut merged = BTreeMap::new();
        for resource in [old, &*new] {
            let entries = resource.node.get(field).and_then(Node::entries);
            for (key, value) in entries.unwrap_or_default() {
                let text = |node: &Node| match is_null(node) {
                    true => String::new(),
                    false => node.text().unwrap_or_default().to_owned(),
                };
                merged.insert(text(key), text(value));
            }
        }
        remove_field(&mut new.node, field);
        if merged.is_empty() {
            continue;
        }
        let map = get_or_insert(&mut new.node, field, Node::mapping);
        for (key, value) in merged {
            set_field(map, &key, string_node(value));
        }
    }
}
