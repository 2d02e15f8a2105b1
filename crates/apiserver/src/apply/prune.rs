//! What leaves an object because its applier no longer applies it.
//!
//! A field or item goes when the applier owned it before, does not apply it now, and nobody else
//! owns it or anything below it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fields::FieldSet;

use super::managed::{Managed, Owned};
use super::owned::{field_set, with_named_fields};
use super::remove::remove;
use super::types::Type;
use super::update::Versions;

/// Returns `merged` without what only `last`, the applier's set before, kept in it.
///
/// `managed` holds the applier's new set already.
pub(super) fn prune(
    versions: &Versions<'_>,
    merged: Value,
    managed: &Managed,
    last: &Owned,
) -> Value {
    let Some(kind) = versions.type_at(&last.api_version) else {
        return merged;
    };
    let last_named = with_named_fields(Some(kind), &last.set);
    let pruned = remove(kind, &merged, &last_named);
    let pruned = add_back_owned(versions, &merged, pruned, managed, &last.api_version);
    add_back_dangling(kind, &merged, &pruned, &last_named)
}

/// Returns `pruned` with what anybody owns put back.
fn add_back_owned(
    versions: &Versions<'_>,
    merged: &Value,
    mut pruned: Value,
    managed: &Managed,
    first_version: &str,
) -> Value {
    let mut owned_at: BTreeMap<&str, FieldSet> = BTreeMap::new();
    for owned in managed.0.values() {
        let all = owned_at.entry(&owned.api_version).or_default();
        *all = all.union(&owned.set);
    }
    let first = owned_at.remove_entry(first_version);
    for (version, owned) in first.into_iter().chain(owned_at) {
        let Some(kind) = versions.type_at(version) else {
            continue;
        };
        let merged_set = named_set(kind, merged);
        let kept = named_set(kind, &pruned).union(&with_named_fields(Some(kind), &owned));
        pruned = remove(kind, merged, &merged_set.difference(&kept));
    }
    pruned
}

/// Returns `pruned` with what the applier did not own before put back.
fn add_back_dangling(kind: Type<'_>, merged: &Value, pruned: &Value, last: &FieldSet) -> Value {
    let gone = named_set(kind, merged).difference(&named_set(kind, pruned));
    remove(kind, merged, &gone.intersection(last))
}

fn named_set(kind: Type<'_>, value: &Value) -> FieldSet {
    with_named_fields(Some(kind), &field_set(kind, value))
}
