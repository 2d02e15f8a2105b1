//! The builtin transformer that puts a value into fields, or into one part of a path in them.

use yaml::{Content, Node};

use crate::decode::record;
use crate::error::{Error, Place};
use crate::field::kind_name;
use crate::kustomization::Selector;
use crate::patch::Context;
use crate::resource::{get_or_insert, is_null, replace_keeping_style};
use crate::resources::Resources;
use crate::select::TargetSelector;
use crate::transform::namespace::{self, Namespace, Subjects};

record! {
    /// Where the value goes.
    Target {
        selector: Selector = "selector",
        field_path: String = "fieldPath",
        file_path_position: i64 = "filePathPosition",
    }
}

/// Puts the value into the fields of the objects that the targets mean.
///
/// Fails when something other than a scalar stands there.
pub(crate) fn apply(
    resources: &mut Resources,
    value: &str,
    targets: &[Target],
    context: Context<'_>,
) -> Result<(), Error> {
    for target in targets {
        for at in TargetSelector::new(&target.selector)?.select(resources, context.scopes) {
            let resource = &mut resources.contents_mut()[at];
            if target.field_path == "metadata/namespace" {
                let transformer = Namespace {
                    namespace: value,
                    unset_only: false,
                    subjects: Subjects::DefaultOnly,
                    specs: &[],
                };
                namespace::set(resource, &transformer, context)?;
                continue;
            }
            let position = usize::try_from(target.file_path_position).unwrap_or_default();
            field(&mut resource.node, &target.field_path)
                .and_then(|node| node.map_or(Ok(()), |node| put(node, value, position, context)))
                .within(|| resource.id().to_string())?;
        }
    }
    resources.forget();
    Ok(())
}

/// Returns the node at a path, made where it is missing; nothing below a null.
fn field<'a>(node: &'a mut Node, path: &str) -> Result<Option<&'a mut Node>, String> {
    let parts = crate::field::split(path);
    let mut parts = parts.iter().map(|part| part.trim()).peekable();
    let mut node = node;
    while let Some(part) = parts.next() {
        if part.is_empty() {
            continue;
        }
        if is_null(node) {
            return Ok(None);
        }
        if part.starts_with('[') || part == "*" {
            return Err(format!("the part {part:?} of a path is not supported here"));
        }
        let index = match part {
            "-" => Some(usize::MAX),
            part => part.parse::<usize>().ok(),
        };
        if let Some(index) = index {
            let Some(items) = node.items_mut() else {
                return Err(format!("expected a list at {part:?}"));
            };
            let Some(last) = items.len().checked_sub(1) else {
                return Ok(None);
            };
            let at = if index == usize::MAX { last } else { index };
            match items.get_mut(at) {
                Some(item) => node = item,
                None => return Ok(None),
            }
            continue;
        }
        if node.entries().is_none() {
            return Err(format!("expected a mapping at {part:?}"));
        }
        let is_last = parts.peek().is_none();
        node = get_or_insert(node, part, || match is_last {
            true => Node::plain(""),
            false => Node::mapping(),
        });
    }
    Ok(Some(node))
}

fn put(node: &mut Node, value: &str, position: usize, context: Context<'_>) -> Result<(), String> {
    let Content::Scalar(text, _) = &mut node.content else {
        return Err(format!("expected a scalar, found {}", kind_name(node)));
    };
    context.growth.add_text(value)?;
    if position == 0 {
        replace_keeping_style(node, Node::plain(value));
        return Ok(());
    }
    let is_absolute = text.starts_with('/');
    let mut parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    parts.insert((position - 1).min(parts.len()), value);
    *text = format!("{}{}", if is_absolute { "/" } else { "" }, parts.join("/")).into();
    Ok(())
}
