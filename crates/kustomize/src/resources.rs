//! The objects of a build in order, found by id without walking through all of them.
//!
//! Two objects never have the same id. The indexes are made when they are asked for and dropped
//! when ids may have changed; what keeps ids (patches that only change content) keeps them.

use std::collections::{HashMap, HashSet};

use crate::error::Error;
use crate::field::FieldSpec;
use crate::id::{BorrowedGvk, Id, Scopes};
use crate::resource::Resource;

/// Group, version, kind, name and effective namespace in one text.
type Key = String;

/// The objects of a build, in order.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    list: Vec<Resource>,
    /// Whether no two objects have the same id, as far as is known.
    is_checked: bool,
    current: Option<HashMap<Key, usize>>,
    any: Option<HashMap<Key, Vec<usize>>>,
    names: Option<HashMap<String, Vec<usize>>>,
}

fn key(gvk: BorrowedGvk<'_>, name: &str, namespace: &str, scopes: &Scopes) -> Key {
    let namespace = scopes.effective_of(gvk.group, gvk.version, gvk.kind, namespace);
    [gvk.group, gvk.version, gvk.kind, name, namespace].join("\0")
}

/// Returns the key of the id that an object has now.
pub(crate) fn key_of(resource: &Resource, scopes: &Scopes) -> Key {
    let (name, namespace) = (resource.name(), resource.namespace());
    key(resource.borrowed_gvk(), name, namespace, scopes)
}

impl Resources {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.list.iter()
    }

    pub(crate) fn get(&self, at: usize) -> &Resource {
        &self.list[at]
    }

    /// Returns the objects to change them; ids may change.
    pub(crate) fn list_mut(&mut self) -> &mut Vec<Resource> {
        self.forget();
        &mut self.list
    }

    /// Returns the objects to change them, but not their ids.
    pub(crate) fn contents_mut(&mut self) -> &mut [Resource] {
        &mut self.list
    }

    /// Returns the objects to change them at these places only.
    pub(crate) fn places_mut(&mut self, specs: &[FieldSpec]) -> &mut [Resource] {
        if specs.iter().any(FieldSpec::may_change_ids) {
            self.forget();
        }
        &mut self.list
    }

    pub(crate) fn into_list(self) -> Vec<Resource> {
        self.list
    }

    /// Drops the indexes: ids have changed.
    pub(crate) fn forget(&mut self) {
        self.is_checked = false;
        self.current = None;
        self.any = None;
        self.names = None;
    }

    /// Puts an object at the end.
    ///
    /// Fails when one with the same id is there.
    pub(crate) fn append(&mut self, resource: Resource, scopes: &Scopes) -> Result<(), Error> {
        let at = self.list.len();
        let current = self.current_index(scopes);
        if current.insert(key_of(&resource, scopes), at).is_some() {
            self.current = None;
            return Err(already_there(&resource));
        }
        if let Some(any) = &mut self.any {
            add_ids(any, at, &resource, scopes);
        }
        if let Some(names) = &mut self.names {
            add_names(names, at, &resource);
        }
        self.list.push(resource);
        Ok(())
    }

    /// Puts all objects of another list at the end.
    ///
    /// Fails as [`Resources::append`] does.
    pub(crate) fn append_all(&mut self, other: Resources, scopes: &Scopes) -> Result<(), Error> {
        if self.list.is_empty() {
            *self = other;
            return self.check_ids(scopes);
        }
        other
            .list
            .into_iter()
            .try_for_each(|resource| self.append(resource, scopes))
    }

    /// Fails when two objects have the same id.
    pub(crate) fn check_ids(&mut self, scopes: &Scopes) -> Result<(), Error> {
        if self.is_checked {
            return Ok(());
        }
        let mut seen = HashSet::with_capacity(self.list.len());
        for resource in &self.list {
            let gvk = resource.borrowed_gvk();
            let namespace = resource.effective_namespace(scopes);
            if !seen.insert((gvk, resource.name(), namespace)) {
                return Err(already_there(resource));
            }
        }
        self.is_checked = true;
        Ok(())
    }

    /// Returns the positions of the objects that have or had this id.
    pub(crate) fn find(&mut self, id: &Id, scopes: &Scopes) -> Vec<usize> {
        let list = &self.list;
        let any = self.any.get_or_insert_with(|| {
            let mut any = HashMap::new();
            for (at, resource) in list.iter().enumerate() {
                add_ids(&mut any, at, resource, scopes);
            }
            any
        });
        let found = any
            .get(&key(id.gvk.borrowed(), &id.name, &id.namespace, scopes))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let is_there = |at: &&usize| !crate::resource::is_blank(&list[**at].node);
        found.iter().filter(is_there).copied().collect()
    }

    /// Returns the positions of the objects that have or had this name, in any kind.
    pub(crate) fn named(&mut self, name: &str) -> &[usize] {
        let list = &self.list;
        let names = self.names.get_or_insert_with(|| {
            let mut names = HashMap::new();
            for (at, resource) in list.iter().enumerate() {
                add_names(&mut names, at, resource);
            }
            names
        });
        names.get(name).map_or(&[], Vec::as_slice)
    }

    /// Adds the ids of an object to the indexes: it has others now, and still had the old ones.
    pub(crate) fn add_ids_of(&mut self, at: usize, scopes: &Scopes) {
        self.current = None;
        self.is_checked = false;
        let resource = &self.list[at];
        if let Some(any) = &mut self.any {
            add_ids(any, at, resource, scopes);
        }
        if let Some(names) = &mut self.names {
            add_names(names, at, resource);
        }
    }

    /// Removes objects that a patch left empty.
    pub(crate) fn drop_empty(&mut self) {
        let empty = |resource: &Resource| crate::resource::is_blank(&resource.node);
        if self.list.iter().any(empty) {
            self.list.retain(|resource| !empty(resource));
            self.forget();
        }
    }

    fn current_index(&mut self, scopes: &Scopes) -> &mut HashMap<Key, usize> {
        let list = &self.list;
        self.current.get_or_insert_with(|| {
            let ids = list.iter().enumerate();
            ids.map(|(at, resource)| (key_of(resource, scopes), at))
                .collect()
        })
    }
}

fn already_there(resource: &Resource) -> Error {
    Error::invalid(format!(
        "may not add resource with an already registered id: {}",
        resource.id()
    ))
}

fn add_ids(index: &mut HashMap<Key, Vec<usize>>, at: usize, resource: &Resource, scopes: &Scopes) {
    for previous in &resource.history {
        let gvk = BorrowedGvk::new(resource.api_version(), &previous.kind);
        let key = key(gvk, &previous.name, &previous.namespace, scopes);
        insert(index.entry(key).or_default(), at);
    }
    insert(index.entry(key_of(resource, scopes)).or_default(), at);
}

fn add_names(index: &mut HashMap<String, Vec<usize>>, at: usize, resource: &Resource) {
    let previous = resource
        .history
        .iter()
        .map(|previous| previous.name.as_str());
    for name in previous.chain(std::iter::once(resource.name())) {
        insert(index.entry(name.to_owned()).or_default(), at);
    }
}

/// Puts a position into a sorted list of positions.
fn insert(positions: &mut Vec<usize>, at: usize) {
    match positions.last() {
        Some(last) if *last < at => positions.push(at),
        None => positions.push(at),
        Some(_) => {
            if let Err(place) = positions.binary_search(&at) {
                positions.insert(place, at);
            }
        }
    }
}
