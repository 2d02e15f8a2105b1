//! Lists whose elements are told apart by keys: finding, setting and uniting elements.
//!
//! The small steps of merging lists, with the oddities of kustomize where keys are missing or
//! repeated.

use std::collections::BTreeSet;

use yaml::Node;

use crate::resource::{is_null, set_field};

/// Puts the elements of the object after those of the patch. One that lacks a key is put there
/// once for every key that it lacks, as kustomize does.
pub(super) fn append_own(items: &mut Vec<Node>, own: Vec<Node>, keys: &[&str]) {
    for element in own {
        let mut values = Vec::new();
        for key in keys {
            match element.get(key) {
                Some(value) => values.push(value.text().unwrap_or_default().to_owned()),
                None => items.push(element.clone()),
            }
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        if keys.len() > 1 {
            set(items, keys, &values, None);
        }
        set(items, keys, &values, Some(element.clone()));
    }
}

pub(super) fn merge_scalars(own: Vec<Node>, patch: Vec<Node>) -> Vec<Node> {
    let mut seen = BTreeSet::new();
    let all = patch.into_iter().chain(own);
    all.filter(|node| seen.insert(node.text().unwrap_or_default().to_owned()))
        .collect()
}

/// Returns whether every element is a mapping with its own value of the key.
pub(super) fn is_regular(items: &[Node], key: &str) -> bool {
    let mut seen = BTreeSet::new();
    items.iter().all(|item| {
        let value = item
            .get(key)
            .filter(|value| !is_null(value))
            .and_then(Node::text);
        value.is_some_and(|value| !value.is_empty() && seen.insert(value))
    })
}

pub(super) fn key_text(element: &Node, key: &str) -> String {
    let value = element.get(key).filter(|value| !is_null(value));
    value.and_then(Node::text).unwrap_or_default().to_owned()
}

/// Unites tuples that differ only in keys that one of them lacks.
pub(super) fn unite(tuples: &mut [Vec<String>]) {
    for at in 0..tuples.len() {
        // It is compared as it was, even when it has been united already.
        let first = tuples[at].clone();
        for other in 0..tuples.len() {
            let pairs = || first.iter().zip(&tuples[other]);
            let compatible = pairs().all(|(a, b)| a == b || a.is_empty() || b.is_empty());
            if compatible && pairs().any(|(a, b)| a == b) {
                let united: Vec<String> = pairs()
                    .map(|(a, b)| if a.is_empty() { b } else { a }.clone())
                    .collect();
                tuples[at].clone_from(&united);
                tuples[other] = united;
            }
        }
    }
}

/// Returns the first element that has all of these keys with these values.
pub(super) fn find(items: &[Node], wanted: &[(&str, &str)]) -> Option<usize> {
    items.iter().position(|item| {
        item.entries().is_some()
            && wanted.iter().all(|(key, value)| {
                item.get(key)
                    .is_some_and(|found| found.text().unwrap_or_default() == *value)
            })
    })
}

/// Puts an element in the place of those that match, or at the end; removes them without one.
pub(super) fn set(items: &mut Vec<Node>, keys: &[&str], values: &[&str], element: Option<Node>) {
    let mut kept = Vec::with_capacity(items.len() + 1);
    let mut found = false;
    for item in std::mem::take(items) {
        if is_null(&item) || item.entries().is_some_and(<[_]>::is_empty) {
            continue;
        }
        if item.entries().is_none() && values.first().is_some_and(|value| !value.is_empty()) {
            kept.push(item);
            continue;
        }
        let mut matches = !values.is_empty();
        for (key, value) in keys.iter().zip(values) {
            let own = item.get(key);
            matches &= match value.is_empty() {
                true => own.is_some(),
                false => own.and_then(Node::text) == Some(value),
            };
        }
        if !matches {
            if !values.is_empty() {
                kept.push(item);
            }
            continue;
        }
        found = true;
        kept.extend(element.clone());
    }
    if !found {
        kept.extend(element);
    }
    *items = kept;
}

/// Adds a key that a merged element lacks.
pub(super) fn add_key(node: &mut Node, key: &str, value: &str) {
    if node.entries().is_none() || node.get(key).is_some() || value.is_empty() {
        return;
    }
    set_field(node, key, Node::plain(value));
}
