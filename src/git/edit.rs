//! New trees from edits, without a work tree.
//!
//! In: a tree and new bytes for paths. Out: the new root and exactly the objects that are new. Every
//! other entry keeps its id and mode. It writes nothing.

use std::collections::BTreeMap;

use gix::{
    ObjectId,
    objs::{
        Find, Kind, Tree, TreeRef,
        tree::{Entry, EntryKind},
    },
};

use super::{
    Error,
    error::chain,
    objects::{HASH, Object, read},
    tree::check_name,
};
use crate::safe::SafePath;

/// Edits below one folder, by name.
#[derive(Debug, Default)]
struct Folder<'a> {
    files: BTreeMap<&'a str, &'a [u8]>,
    folders: BTreeMap<&'a str, Folder<'a>>,
}

/// Returns the root tree with `edits` made and the new objects, the root last. Fails when a path is
/// not plain, or names a folder, a link or a submodule.
pub(super) fn edit(
    db: &impl Find,
    root: ObjectId,
    edits: &BTreeMap<String, Vec<u8>>,
) -> Result<(ObjectId, Vec<Object>), Error> {
    let mut folder = Folder::default();
    for (path, bytes) in edits {
        let error = |reason: &str| Error::Path {
            path: path.clone(),
            reason: reason.to_owned(),
        };
        let safe = SafePath::parse(path).map_err(|cause| error(cause.reason))?;
        if safe.as_str() != path || path.is_empty() {
            return Err(error("is not a plain path of a file"));
        }
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut at = &mut folder;
        for part in parents.split('/').filter(|part| !part.is_empty()) {
            check_name(path, part)?;
            at = at.folders.entry(part).or_default();
        }
        check_name(path, name)?;
        at.files.insert(name, bytes);
    }
    let mut new = Vec::new();
    let id = edit_folder(db, Some(root), &folder, "", &mut new)?;
    Ok((id, new))
}

fn edit_folder(
    db: &impl Find,
    tree: Option<ObjectId>,
    folder: &Folder<'_>,
    path: &str,
    new: &mut Vec<Object>,
) -> Result<ObjectId, Error> {
    let mut entries = match tree {
        Some(id) => entries(db, id)?,
        None => BTreeMap::new(),
    };
    for (name, bytes) in &folder.files {
        let mut blob = Object::new(Kind::Blob, bytes.to_vec())?;
        let mode = match entries.get(*name) {
            None => EntryKind::Blob.into(),
            Some(entry) if entry.mode.is_blob() => entry.mode,
            Some(_) => return Err(not_a(path, name, "is no regular file")),
        };
        let old = entries.insert((*name).to_owned(), entry(name, mode, blob.id));
        match old {
            Some(old) if old.oid == blob.id => continue,
            Some(old) => {
                let (_, content) = read(db, old.oid)?;
                blob = blob.edited_from(old.oid, &content);
            }
            None => {}
        }
        new.push(blob);
    }
    for (name, below) in &folder.folders {
        let old = match entries.get(*name) {
            None => None,
            Some(entry) if entry.mode.is_tree() => Some(entry.oid),
            Some(_) => return Err(not_a(path, name, "is no folder")),
        };
        let id = edit_folder(db, old, below, &format!("{path}{name}/"), new)?;
        let mode = EntryKind::Tree.into();
        entries.insert((*name).to_owned(), entry(name, mode, id));
    }
    let mut sorted = Tree {
        entries: entries.into_values().collect(),
    };
    sorted.entries.sort();
    let mut object = Object::of(&sorted)?;
    let id = object.id;
    if tree == Some(id) {
        return Ok(id);
    }
    if let Some(tree) = tree.filter(|tree| !tree.is_empty_tree()) {
        let (_, content) = read(db, tree)?;
        object = object.edited_from(tree, &content);
    }
    new.push(object);
    Ok(id)
}

fn entries(db: &impl Find, id: ObjectId) -> Result<BTreeMap<String, Entry>, Error> {
    if id.is_empty_tree() {
        return Ok(BTreeMap::new());
    }
    let malformed = |cause: String| Error::Object {
        id: id.to_string(),
        cause,
    };
    let (_, data) = read(db, id)?;
    let tree = TreeRef::from_bytes(&data, HASH).map_err(|cause| malformed(chain(&cause)))?;
    tree.entries
        .into_iter()
        .map(|entry| {
            let name = String::from_utf8(entry.filename.to_vec());
            let name = name.map_err(|_| malformed("a name is not UTF-8".to_owned()))?;
            Ok((name, entry.into()))
        })
        .collect()
}

fn entry(name: &str, mode: gix::objs::tree::EntryMode, oid: ObjectId) -> Entry {
    Entry {
        mode,
        filename: name.into(),
        oid,
    }
}

fn not_a(path: &str, name: &str, reason: &str) -> Error {
    Error::Path {
        path: format!("{path}{name}"),
        reason: reason.to_owned(),
    }
}
