//! `replicas`: how many pods a workload has.

use yaml::{Node, Tag};

use crate::error::{Error, Place};
use crate::field::{Create, FieldSpec, kind_name};
use crate::kustomization::Replica;
use crate::resource::replace_keeping_style;
use crate::resources::Resources;

/// Sets the count of every object that has or had the name.
///
/// Fails when there is none, and when something other than a scalar stands at a place.
pub(crate) fn apply(
    resources: &mut Resources,
    replica: &Replica,
    specs: &[FieldSpec],
) -> Result<(), Error> {
    let positions = resources.named(&replica.name).to_vec();
    let mut found = false;
    for spec in specs {
        for at in &positions {
            let resource = &mut resources.contents_mut()[*at];
            let matches = resource
                .ids()
                .any(|id| id.name == replica.name && id.gvk.is_selected(&spec.gvk));
            if !matches {
                continue;
            }
            found = true;
            spec.apply(resource, Create::Scalar, &mut |node| {
                put(node, replica.count)
            })
            .within(|| resource.id().to_string())?;
        }
    }
    if found {
        return Ok(());
    }
    let kinds: Vec<String> = specs.iter().map(|spec| spec.gvk.to_string()).collect();
    Err(Error::invalid(format!(
        "resource with name {} does not match a config with the following GVK [{}]",
        replica.name,
        kinds.join(" ")
    )))
}

fn put(node: &mut Node, count: i64) -> Result<(), String> {
    if node.text().is_none() {
        return Err(format!("expected a scalar, found {}", kind_name(node)));
    }
    let count = Node {
        tag: Tag::Int,
        ..Node::plain(count.to_string())
    };
    replace_keeping_style(node, count);
    Ok(())
}
