//! The objects of a build as one file each, named as kustomize names them.
//!
//! In: the objects. Out: texts by file name: group, version, kind and name in small letters, the
//! namespace before them where the build has several. It writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::id::BorrowedGvk;
use crate::output::{Object, render};

/// Returns the text of every object by the name of its file.
///
/// Fails when a name has a slash, which would lead into another folder, and when two objects would
/// share a file.
pub fn render_files(objects: &[Object]) -> Result<BTreeMap<String, String>, Error> {
    let namespaces: BTreeSet<&str> = objects
        .iter()
        .filter_map(Object::effective_namespace)
        .collect();
    let mut files = BTreeMap::new();
    for object in objects {
        let gvk = BorrowedGvk::new(object.api_version(), object.kind());
        let namespace = object
            .effective_namespace()
            .filter(|_| namespaces.len() > 1)
            .unwrap_or_default();
        let parts = [namespace, gvk.group, gvk.version, gvk.kind, object.name()];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let name = parts.join("_").to_lowercase() + ".yaml";
        if name.contains('/') {
            return Err(Error::invalid(format!(
                "{name:?} cannot be the name of a file"
            )));
        }
        let text = render(std::slice::from_ref(object));
        if files.insert(name.clone(), text).is_some() {
            return Err(Error::invalid(format!(
                "two objects belong into the file {name:?}"
            )));
        }
    }
    Ok(files)
}
