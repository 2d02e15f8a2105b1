//! `patches` and its older spellings: which objects a patch means, and applying it.
//!
//! In: the text of a patch, as the field or a file holds it. Out: the objects changed. A text is
//! tried as objects (strategic merge) and as operations (JSON patch); exactly one must fit.

pub(crate) mod json6902;
mod lists;
pub(crate) mod merge;
pub(crate) mod schema;

use yaml::Node;

use crate::error::{Error, Place};
use crate::growth::Growth;
use crate::id::Scopes;
use crate::kustomization::{PatchOptions, Selector};
use crate::resource::Resource;
use crate::resources::Resources;
use crate::select::TargetSelector;
use crate::value;

use json6902::JsonPatch;
use schema::Schema;

/// What patches need to know of the build.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub growth: &'a Growth,
    pub scopes: &'a Scopes,
    pub schema: &'a Schema,
}

/// A patch that has been read.
pub(crate) enum Parsed {
    /// Nothing but comments: there is nothing to do.
    Nothing,
    Merge(Vec<Resource>),
    Json(JsonPatch),
}

/// Reads the text of an entry of `patches`.
///
/// Fails when it is neither objects nor operations, or both.
pub(crate) fn parse(text: &str) -> Result<Parsed, Error> {
    if is_comment_only(text) {
        return Ok(Parsed::Nothing);
    }
    let objects = crate::read::resources(text, "patch");
    let operations = JsonPatch::read(text);
    match (objects, operations) {
        (Ok(objects), Ok(operations)) if !objects.is_empty() && !operations.is_empty() => Err(
            Error::invalid("illegally qualifies as both an SM and JSON patch"),
        ),
        (Ok(objects), _) if !objects.is_empty() => Ok(Parsed::Merge(objects)),
        (_, Ok(operations)) => Ok(Parsed::Json(operations)),
        (Ok(_), Err(_)) => Ok(Parsed::Nothing),
        (Err(objects), Err(operations)) => Err(Error::invalid(format!(
            "unable to parse SM or JSON patch: as objects: {objects}; as operations: {operations}"
        ))),
    }
}

pub(crate) fn is_comment_only(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// Applies one entry of `patches`. What a patch deletes is left empty, for the caller to drop.
///
/// Fails when the patch does not fit, and when one without a target means no object or several.
pub(crate) fn apply(
    resources: &mut Resources,
    patch: Parsed,
    target: Option<&Selector>,
    options: &PatchOptions,
    context: Context<'_>,
) -> Result<(), Error> {
    match (patch, target) {
        (Parsed::Nothing, _) => Ok(()),
        (Parsed::Json(_), None) => Err(Error::invalid("must specify a target for a JSON patch")),
        (Parsed::Json(patch), Some(target)) => {
            let positions = TargetSelector::new(target)?.select(resources, context.scopes);
            for at in positions {
                apply_json(resources, at, &patch, true, context)?;
            }
            Ok(())
        }
        (Parsed::Merge(patches), None) => {
            for mut patch in patches {
                patch.allow_name_change = options.allow_name_change;
                patch.allow_kind_change = options.allow_kind_change;
                if options.allow_name_change || options.allow_kind_change {
                    patch.write_strings("annotations");
                }
                let at = find_one(resources, &patch, context)?;
                merge_at(resources, at, patch, context)?;
            }
            Ok(())
        }
        (Parsed::Merge(patches), Some(target)) => {
            let [patch] = patches.as_slice() else {
                return Err(Error::invalid(
                    "Multiple Strategic-Merge Patches in one `patches` entry is not allowed to set `patches.target` field",
                ));
            };
            let mut patch = patch.clone();
            patch.allow_name_change = options.allow_name_change;
            patch.allow_kind_change = options.allow_kind_change;
            let positions = TargetSelector::new(target)?.select(resources, context.scopes);
            for at in positions {
                merge_selected(resources, at, patch.clone(), context)?;
            }
            resources.drop_empty();
            resources.check_ids(context.scopes)
        }
    }
}

/// Applies a strategic merge patch, as the old fields hold them, to the one object that has or
/// had its id.
///
/// Fails when there is none, or several, and when two objects have the same id then.
pub(crate) fn merge_by_id(
    resources: &mut Resources,
    patch: Resource,
    context: Context<'_>,
) -> Result<(), Error> {
    let at = find_one(resources, &patch, context)?;
    merge_selected(resources, at, patch, context)?;
    resources.drop_empty();
    resources.check_ids(context.scopes)
}

/// Returns the position of the one object that has or had the id of a patch.
fn find_one(
    resources: &mut Resources,
    patch: &Resource,
    context: Context<'_>,
) -> Result<usize, Error> {
    let id = patch.id();
    let positions = resources.find(&id, context.scopes);
    match positions.as_slice() {
        [at] => Ok(*at),
        [] => Err(Error::invalid(format!(
            "no resource matches strategic merge patch {:?}: no matches for Id {id}",
            id.to_string()
        ))),
        _ => Err(Error::invalid(format!(
            "no resource matches strategic merge patch {:?}: multiple matches for Id {id}",
            id.to_string()
        ))),
    }
}

/// Merges a copy of a patch into an object that was selected: its labels and annotations are
/// strings then, null too, and it has the version of the object.
fn merge_selected(
    resources: &mut Resources,
    at: usize,
    mut patch: Resource,
    context: Context<'_>,
) -> Result<(), Error> {
    patch.write_strings("labels");
    patch.write_strings("annotations");
    let (name, namespace) = (patch.name().to_owned(), patch.namespace().to_owned());
    patch.set_name(&name);
    patch.set_namespace(Some(namespace.as_str()).filter(|namespace| !namespace.is_empty()));
    patch.set_api_version(resources.get(at).api_version());
    merge_at(resources, at, patch, context)
}

fn merge_at(
    resources: &mut Resources,
    at: usize,
    patch: Resource,
    context: Context<'_>,
) -> Result<(), Error> {
    let resource = &mut resources.contents_mut()[at];
    if crate::resource::is_blank(&resource.node) {
        return Ok(());
    }
    let id = resource.id();
    let (may_rename, may_change_kind) = (patch.allow_name_change, patch.allow_kind_change);
    if may_rename || may_change_kind {
        resource.remember_id(context.scopes);
    }
    context
        .growth
        .add_node(&patch.node, 0)
        .within(|| id.to_string())?;
    resource.show_bookkeeping();
    let n_former = resource.history.len();
    let own = std::mem::replace(&mut resource.node, Node::mapping());
    let merged = merge::merge(own, patch.node, context.schema).within(|| id.to_string())?;
    if let Some(merged) = merged {
        resource.node = merged;
        resource.take_bookkeeping();
        if !may_change_kind {
            merge::restore(&mut resource.node, "kind", &id.gvk.kind);
        }
        let metadata =
            crate::resource::get_or_insert(&mut resource.node, "metadata", Node::mapping);
        if !may_rename {
            merge::restore(metadata, "name", &id.name);
        }
        merge::restore(metadata, "namespace", &id.namespace);
    }
    if resource.history.len() < n_former {
        resources.forget();
    } else if may_rename || may_change_kind {
        resources.add_ids_of(at, context.scopes);
    }
    Ok(())
}

/// Applies a JSON patch to an object.
///
/// Fails when an operation does not fit, and when the object has no kind or name any more.
pub(crate) fn apply_json(
    resources: &mut Resources,
    at: usize,
    patch: &JsonPatch,
    remember: bool,
    context: Context<'_>,
) -> Result<(), Error> {
    let resource = &mut resources.contents_mut()[at];
    let id = resource.id();
    if remember {
        resource.remember_id(context.scopes);
    }
    resource.show_bookkeeping();
    let node = std::mem::replace(&mut resource.node, Node::mapping());
    let before = value::from_object(node).within(|| id.to_string())?;
    let after = patch
        .apply(before, context.growth)
        .within(|| id.to_string())?;
    resource.node = value::to_patched_node(after);
    resource.take_origins();
    resource.write_strings("annotations");
    let changed = resource.id() != id;
    if resource.kind().is_empty() || resource.name().is_empty() {
        return Err(Error::invalid("the patch removes the kind or the name").within(id.to_string()));
    }
    match (changed, remember) {
        (false, _) => {}
        (true, true) => resources.add_ids_of(at, context.scopes),
        (true, false) => resources.forget(),
    }
    Ok(())
}
