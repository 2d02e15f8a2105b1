//! Which objects of a finished build are printed, and what they must have for it.
//!
//! In: the objects once every name is final. Out: those that are not local to the configuration.
//! Every object must have a kind and a name still, and every id must be there once.

use std::collections::HashSet;

use crate::error::Error;
use crate::id::Scopes;
use crate::resource::Resource;
use crate::resources::key_of;

/// The annotation of objects that only the configuration needs.
const LOCAL: &str = "config.kubernetes.io/local-config";

/// Removes the local objects. One that has the id of another that is kept stays.
///
/// Fails when an object has no kind or no name, and when two that are kept have one id.
pub(crate) fn keep(list: &mut Vec<Resource>, scopes: &Scopes) -> Result<(), Error> {
    list.iter().try_for_each(check_named)?;
    let kept = check_ids(list.iter().filter(|resource| !is_local(resource)), scopes)?;
    if kept.len() < list.len() {
        list.retain(|resource| kept.contains(&key_of(resource, scopes)));
    }
    Ok(())
}

fn is_local(resource: &Resource) -> bool {
    let local = resource.string("annotations", LOCAL);
    local.is_some_and(|value| value != "false")
}

/// Returns the ids of objects.
///
/// Fails when two have the same.
pub(crate) fn check_ids<'a>(
    list: impl Iterator<Item = &'a Resource>,
    scopes: &Scopes,
) -> Result<HashSet<String>, Error> {
    let mut seen = HashSet::new();
    for resource in list {
        if !seen.insert(key_of(resource, scopes)) {
            return Err(Error::invalid(format!(
                "may not add resource with an already registered id: {}",
                resource.id()
            )));
        }
    }
    Ok(seen)
}

/// Fails when an object has lost its kind or its name, or had a name that kustomize's list of
/// former names cannot hold.
fn check_named(resource: &Resource) -> Result<(), Error> {
    let (kind, name) = (resource.kind(), resource.name());
    if kind.is_empty() || name.is_empty() && !kind.ends_with("List") {
        let missing = if kind.is_empty() {
            "kind"
        } else {
            "metadata.name"
        };
        return Err(Error::invalid(format!(
            "missing {missing} in object {}",
            resource.id()
        )));
    }
    let is_odd = |text: &str| text.is_empty() || text.contains(',');
    let mut history = resource.history.iter();
    if history.any(|one| is_odd(&one.name) || is_odd(&one.kind) || is_odd(&one.namespace)) {
        return Err(Error::invalid(format!(
            "number of previous names, number of previous namespaces, number of previous kinds not equal: {}",
            resource.id()
        )));
    }
    Ok(())
}
