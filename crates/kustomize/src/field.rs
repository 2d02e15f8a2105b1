//! Places in objects: a kind and a path, and how a transformer gets there.
//!
//! A path is split at `/` (`\/` is a slash in a name). It goes through lists by itself, a name
//! ending in `[]` says that a list is expected there. Whether what is missing is created depends
//! on the place, never inside lists.

use yaml::{Content, Node, Tag};

use crate::error::{Error, Place};
use crate::id::Gvk;
use crate::kustomization::FieldSpecRecord;
use crate::resource::{Resource, is_null};

/// One place in the objects of some kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldSpec {
    /// Which kinds; an empty part means any.
    pub gvk: Gvk,
    pub path: String,
    pub create: bool,
    parts: Vec<Part>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub name: String,
    /// Whether a list is expected there.
    pub is_list: bool,
}

/// What a missing or null field becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    Nothing,
    Scalar,
    Mapping,
}

impl FieldSpec {
    pub(crate) fn new(gvk: Gvk, path: &str, create: bool) -> Self {
        let parts = split(path)
            .into_iter()
            .map(|part| match part.strip_suffix("[]") {
                Some(name) => Part {
                    name: name.into(),
                    is_list: true,
                },
                None => Part {
                    name: part,
                    is_list: false,
                },
            });
        Self {
            parts: parts.collect(),
            gvk,
            path: path.into(),
            create,
        }
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(crate) fn from_record(record: &FieldSpecRecord) -> Self {
        let gvk = Gvk {
            group: record.group.clone(),
            version: record.version.clone(),
            kind: record.kind.clone(),
        };
        Self::new(gvk, &record.path, record.create)
    }

    /// Returns whether what is set at this place can be a part of an id.
    pub(crate) fn may_change_ids(&self) -> bool {
        match self.parts.as_slice() {
            [first] => matches!(first.name.as_str(), "apiVersion" | "kind" | "metadata"),
            [first, second, ..] => {
                first.name == "metadata" && matches!(second.name.as_str(), "name" | "namespace")
            }
            [] => true,
        }
    }

    /// Returns whether the object is of a kind that has this place.
    pub(crate) fn selects(&self, resource: &Resource) -> bool {
        resource.borrowed_gvk().is_selected(&self.gvk)
    }

    /// Calls `set` with every node at this place.
    ///
    /// Fails when the path leads through a scalar, and when `set` fails.
    pub(crate) fn visit(
        &self,
        node: &mut Node,
        create: Create,
        set: &mut dyn FnMut(&mut Node) -> Result<(), String>,
    ) -> Result<(), String> {
        let create = if self.create { create } else { Create::Nothing };
        walk(node, &self.parts, create, set)
            .map_err(|problem| format!("considering field '{}': {problem}", self.path))
    }

    /// Calls `set` with every node at this place of the object, if its kind has the place.
    ///
    /// Fails as [`FieldSpec::visit`] does.
    pub(crate) fn apply(
        &self,
        resource: &mut Resource,
        create: Create,
        set: &mut dyn FnMut(&mut Node) -> Result<(), String>,
    ) -> Result<(), String> {
        if !self.selects(resource) {
            return Ok(());
        }
        self.visit(&mut resource.node, create, set)
    }
}

/// Calls `set` with every node at those of the places that the kind of the object has.
///
/// Fails as [`FieldSpec::visit`] does; the error names the object.
pub(crate) fn apply_all(
    specs: &[FieldSpec],
    resource: &mut Resource,
    create: Create,
    set: &mut dyn FnMut(&mut Node) -> Result<(), String>,
) -> Result<(), Error> {
    let gvk = resource.borrowed_gvk();
    let chosen: Vec<&FieldSpec> = specs
        .iter()
        .filter(|spec| gvk.is_selected(&spec.gvk))
        .collect();
    for spec in chosen {
        spec.visit(&mut resource.node, create, set)
            .within(|| resource.id().to_string())?;
    }
    Ok(())
}

/// Splits a path at `/`; `\/` is a slash.
pub(crate) fn split(path: &str) -> Vec<String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let mut parts = vec![String::new()];
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        let last = parts.last_mut().expect("because there is always one part");
        match c {
            '\\' if chars.peek() == Some(&'/') => {
                chars.next();
                last.push('/');
            }
            '/' => parts.push(String::new()),
            c => last.push(c),
        }
    }
    parts
}

fn walk(
    node: &mut Node,
    path: &[Part],
    create: Create,
    set: &mut dyn FnMut(&mut Node) -> Result<(), String>,
) -> Result<(), String> {
    let Some((part, rest)) = path.split_first() else {
        return set(node);
    };
    if is_null(node) {
        return Ok(());
    }
    match &mut node.content {
        Content::Sequence(items, _) => items
            .iter_mut()
            .try_for_each(|item| walk(item, path, create, set)),
        Content::Mapping(..) => {
            if part.name.is_empty() {
                return Err("cannot set or create an empty field name".into());
            }
            let made = match (create, part.is_list) {
                (Create::Nothing, false) => Create::Nothing,
                (_, true) => Create::Nothing,
                (create, _) if rest.is_empty() => create,
                _ => Create::Mapping,
            };
            let field = if made == Create::Nothing {
                node.get_mut(&part.name)
            } else {
                Some(crate::resource::get_or_insert(node, &part.name, || {
                    empty(made)
                }))
            };
            let Some(field) = field else { return Ok(()) };
            if is_null(field) {
                if part.is_list {
                    *field = Node::sequence();
                } else if made == Create::Mapping {
                    *field = Node::mapping();
                } else if made == Create::Scalar {
                    field.tag = Tag::Str;
                }
            }
            walk(field, rest, create, set)
        }
        Content::Scalar(..) => Err("expected sequence or mapping node".into()),
    }
}

fn empty(create: Create) -> Node {
    match create {
        Create::Mapping => Node::mapping(),
        Create::Scalar | Create::Nothing => Node::string(""),
    }
}

/// Returns what a node is, for an error.
pub(crate) fn kind_name(node: &Node) -> &'static str {
    match node.content {
        Content::Scalar(..) => "a scalar",
        Content::Sequence(..) => "a list",
        Content::Mapping(..) => "a mapping",
    }
}
