//! Owners of the `scale` subresource: those of one field of the object, under another name.
//!
//! A Scale is not stored. Before a write to it the owners of the object's replicas become the
//! owners of `.spec.replicas` of the Scale; after the write they are put back.

use std::sync::Arc;

use serde_json::Value;

use crate::fields::{FieldSet, Path, PathElement};
use crate::kinds::TypeInfo;

use super::managed::{Managed, Owned};

const SCALE_VERSION: &str = "autoscaling/v1";

/// Returns the `managedFields` of a Scale, made of those of its object.
///
/// `versions` are the rows of the object's kind, which say where the replicas are.
pub fn owners_of_scale(entries: Option<&Value>, versions: &[Arc<TypeInfo>]) -> Option<Value> {
    let managed = Managed::decode(entries).ok()?;
    let mut scale = Managed::default();
    for (identity, owned) in managed.0 {
        let Some(path) = replicas_path(versions, &owned.api_version).flatten() else {
            continue;
        };
        if owned.set.has(&path.0) {
            let owned = Owned {
                set: FieldSet::of([path_in_scale()]),
                api_version: SCALE_VERSION.to_owned(),
                time: owned.time,
            };
            scale.0.insert(identity, owned);
        }
    }
    scale.encode()
}

/// Returns the `managedFields` of an object after a write to its Scale.
///
/// `entries` are the object's before, `scale_entries` those of the Scale after the write, `kind` the
/// row of the endpoint. Entries that cannot be read leave the object's as they are.
pub fn owners_after_scale(
    entries: Option<&Value>,
    scale_entries: Option<&Value>,
    kind: &TypeInfo,
    versions: &[Arc<TypeInfo>],
) -> Option<Value> {
    let (Ok(parent), Ok(mut scale)) = (Managed::decode(entries), Managed::decode(scale_entries))
    else {
        return entries.cloned();
    };
    let mut after = Managed::default();
    for (identity, mut owned) in parent.0 {
        let Some(path) = replicas_path(versions, &owned.api_version) else {
            continue;
        };
        let path = path.filter(|path| owned.set.has(&path.0));
        if let Some(path) = path
            && scale.0.remove(&identity).is_none()
        {
            owned.set = owned.set.difference(&FieldSet::of([path]));
        }
        if !owned.set.is_empty() {
            after.0.insert(identity, owned);
        }
    }
    let own_version = kind.api_version();
    let Some(path) = replicas_path(versions, &own_version).flatten() else {
        return after.encode();
    };
    for (identity, owned) in scale.0 {
        if owned.set.has(&path_in_scale().0) {
            let owned = Owned {
                set: FieldSet::of([path.clone()]),
                api_version: own_version.clone(),
                time: after.0.get(&identity).and_then(|o| o.time.clone()),
            };
            after.0.insert(identity, owned);
        }
    }
    after.encode()
}

/// Returns where a version has its replicas: nothing for unknown versions, nowhere for versions
/// without a Scale.
fn replicas_path(versions: &[Arc<TypeInfo>], api_version: &str) -> Option<Option<Path>> {
    let row = versions
        .iter()
        .find(|row| row.api_version() == api_version)?;
    Some(row.scale.as_ref().map(|scale| {
        let steps = scale.spec_replicas.split('.').filter(|s| !s.is_empty());
        Path(steps.map(PathElement::field).collect())
    }))
}

fn path_in_scale() -> Path {
    Path(vec![
        PathElement::field("spec"),
        PathElement::field("replicas"),
    ])
}
