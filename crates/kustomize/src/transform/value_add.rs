//! The builtin transformer that puts a value into fields, or into one part of a path in them.

use yaml::{Content, Node};

use crate::decode::record;
use crate::error::{Error, Place};
use crate::field::{Create, FieldSpec, kind_name};
use crate::id::Gvk;
use crate::kustomization::Selector;
use crate::patch::Context;
use crate::resource::replace_keeping_style;
use crate::resources::Resources;
use crate::select::TargetSelector;

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
        let spec = FieldSpec::new(Gvk::default(), &target.field_path, true);
        for at in TargetSelector::new(&target.selector)?.select(resources, context.scopes) {
            let resource = &mut resources.contents_mut()[at];
            let position = usize::try_from(target.file_path_position).unwrap_or_default();
            spec.apply(resource, Create::Scalar, &mut |node| {
                put(node, value, position, context)
            })
            .within(|| resource.id().to_string())?;
        }
    }
    resources.forget();
    Ok(())
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
    *text = format!("{}{}", if is_absolute { "/" } else { "" }, parts.join("/"));
    Ok(())
}
