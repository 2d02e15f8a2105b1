//! The core: merged objects and owners after one apply or one other write.
//!
//! Comparisons are made in the schema of each owner's version. Versions differ by their schemas
//! alone, since conversion renames `apiVersion` and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::fields::{FieldSet, same_value};
use crate::kinds::TypeInfo;

use super::compare::{Comparison, compare};
use super::conflict::Conflicts;
use super::managed::{Identity, Managed, Owned};
use super::merge::{changes_nothing, merge};
use super::owned::{after_schema_change, field_set, is_owned_by_applying};
use super::prune::prune;
use super::reset::reset_fields;
use super::types::Type;

/// The versions in which owners may speak, and what the endpoint ignores.
pub(super) struct Versions<'a> {
    kind: &'a TypeInfo,
    others: &'a [Arc<TypeInfo>],
    api_version: String,
    ignored: FieldSet,
}

/// Why an apply is refused by the core.
pub(super) enum Refusal {
    Conflicts(Conflicts),
    Merge(String),
}

impl<'a> Versions<'a> {
    pub fn new(kind: &'a TypeInfo, others: &'a [Arc<TypeInfo>], subresource: &str) -> Self {
        Self {
            kind,
            others,
            api_version: kind.api_version(),
            ignored: reset_fields(kind, subresource),
        }
    }

    /// Returns the API version of the request.
    pub fn api_version(&self) -> &str {
        &self.api_version
    }

    /// Returns the type of the object at the request's version.
    pub fn own_type(&self) -> Type<'a> {
        Type::of_object(&self.kind.schema, self.kind.custom)
    }

    /// Returns the type of the object at a version, if that is served.
    pub fn type_at(&self, api_version: &str) -> Option<Type<'a>> {
        if api_version == self.api_version {
            return Some(self.own_type());
        }
        let row = self.others.iter().find(|row| {
            let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
            row.group == group && row.version == version
        })?;
        Some(Type::of_object(&row.schema, row.custom))
    }

    /// Returns what the endpoint ignores at a version: custom resources say it for their own alone.
    fn ignored_at(&self, api_version: &str) -> Option<&FieldSet> {
        let applies = !self.kind.custom || api_version == self.api_version;
        Some(&self.ignored).filter(|set| applies && !set.is_empty())
    }

    fn without_ignored(&self, set: FieldSet) -> FieldSet {
        if self.ignored.is_empty() {
            return set;
        }
        set.recursive_difference(&self.ignored)
    }
}

/// Applies to `live`, and returns the object if it changes; `managed` is brought up to date.
///
/// On a refusal `managed` is left in between.
pub(super) fn apply_fields(
    versions: &Versions<'_>,
    live: &Value,
    applied: &Value,
    managed: &mut Managed,
    by: (&Identity, bool),
) -> Result<Option<Value>, Refusal> {
    let (identity, force) = by;
    follow_schema(versions, managed);
    let kind = versions.own_type();
    let keeps_all = managed.0.get(identity).is_some_and(|last| {
        last.api_version == versions.api_version && is_owned_by_applying(kind, applied, &last.set)
    });
    if keeps_all && changes_nothing(kind, live, applied) {
        managed.0.retain(|_, owned| !owned.set.is_empty());
        return Ok(None);
    }
    let set = versions.without_ignored(field_set(kind, applied));
    let last = managed.0.get(identity).cloned();
    let owned = Owned {
        set,
        api_version: versions.api_version.clone(),
        time: last.as_ref().and_then(|last| last.time.clone()),
    };
    let last = last.filter(|last| {
        let kept = last.api_version == owned.api_version && last.set.is_subset(&owned.set);
        !kept && !last.set.is_empty()
    });
    managed.0.insert(identity.clone(), owned);
    if last.is_none() && changes_nothing(kind, live, applied) {
        managed.0.retain(|_, owned| !owned.set.is_empty());
        return Ok(None);
    }
    let mut new = merge(kind, live, applied).map_err(Refusal::Merge)?;
    if let Some(last) = last {
        new = prune(versions, new, managed, &last);
    }
    settle_owners(versions, (live, &new), managed, Some(identity), force)
        .map_err(Refusal::Conflicts)?;
    Ok(Some(new).filter(|new| !same_value(live, new)))
}

/// Brings the owners up to date after a write that is no apply.
///
/// Returns whether `identity` took or changed anything.
pub(super) fn update_fields(
    versions: &Versions<'_>,
    live: &Value,
    new: &Value,
    managed: &mut Managed,
    identity: &Identity,
) -> bool {
    follow_schema(versions, managed);
    let Ok(comparison) = settle_owners(versions, (live, new), managed, None, true) else {
        return false;
    };
    let set = versions.without_ignored(comparison.modified.union(&comparison.added));
    let mut taken = Managed::default();
    let owned = Owned {
        set,
        api_version: versions.api_version.clone(),
        time: None,
    };
    taken.0.insert(identity.clone(), owned);
    taken.strip(identity);
    let Some(taken) = taken.0.remove(identity) else {
        return false;
    };
    match managed.0.get_mut(identity) {
        Some(owned) => owned.set = owned.set.union(&taken.set),
        None => {
            managed.0.insert(identity.clone(), taken);
        }
    }
    true
}

/// Follows changes of the schema; owners at versions that are not served are dropped.
fn follow_schema(versions: &Versions<'_>, managed: &mut Managed) {
    managed.0.retain(|_, owned| {
        let Some(kind) = versions.type_at(&owned.api_version) else {
            return false;
        };
        if let Some(set) = after_schema_change(kind, &owned.set) {
            owned.set = set;
        }
        true
    });
}

/// Takes what changes from `old` to `new` from all owners but `own`; fails where that is a conflict
/// and is not forced.
fn settle_owners(
    versions: &Versions<'_>,
    (old, new): (&Value, &Value),
    managed: &mut Managed,
    own: Option<&Identity>,
    force: bool,
) -> Result<Comparison, Conflicts> {
    let compare_at = |api_version: &str| {
        let kind = versions.type_at(api_version)?;
        let mut comparison = compare(kind, old, new);
        if let Some(ignored) = versions.ignored_at(api_version) {
            comparison.exclude(ignored);
        }
        Some(comparison)
    };
    let mut comparisons: BTreeMap<String, Comparison> = BTreeMap::new();
    let own_comparison = compare_at(&versions.api_version).unwrap_or_default();
    comparisons.insert(versions.api_version.clone(), own_comparison);
    let mut conflicts = Conflicts::default();
    for (identity, owned) in managed.0.iter().filter(|(id, _)| own != Some(*id)) {
        if !comparisons.contains_key(&owned.api_version) {
            let comparison = compare_at(&owned.api_version).unwrap_or_default();
            comparisons.insert(owned.api_version.clone(), comparison);
        }
        let comparison = &comparisons[&owned.api_version];
        let changed = comparison.modified.union(&comparison.added);
        let conflict = owned.set.intersection(&changed);
        if !conflict.is_empty() {
            conflicts.0.insert(identity.clone(), conflict);
        }
    }
    if !force && !conflicts.0.is_empty() {
        return Err(conflicts);
    }
    for (identity, owned) in managed.0.iter_mut().filter(|(id, _)| own != Some(*id)) {
        if let Some(lost) = conflicts.0.get(identity) {
            owned.set = owned.set.difference(lost);
        }
        let removed = &comparisons[&owned.api_version].removed;
        if !removed.is_empty() {
            owned.set = owned.set.difference(removed);
        }
    }
    managed.0.retain(|_, owned| !owned.set.is_empty());
    Ok(comparisons
        .remove(&versions.api_version)
        .unwrap_or_default())
}
