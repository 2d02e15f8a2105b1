//! `labels`, `commonLabels` and `commonAnnotations`: strings put into mappings.

use yaml::Node;

use crate::config::{Config, merge};
use crate::error::Error;
use crate::field::{Create, FieldSpec, apply_all, kind_name};
use crate::growth::Growth;
use crate::id::Gvk;
use crate::kustomization::{Labels, Strings};
use crate::resource::{Resource, set_field};

/// Puts every string into every place of every object.
///
/// Fails when something other than a mapping stands at a place, or the build adds too much.
pub(crate) fn apply(
    list: &mut [Resource],
    strings: &Strings,
    specs: &[FieldSpec],
    growth: &Growth,
) -> Result<(), Error> {
    if strings.is_empty() {
        return Ok(());
    }
    for resource in list {
        apply_all(specs, resource, Create::Mapping, &mut |node| {
            put(node, strings, growth)
        })?;
    }
    Ok(())
}

fn put(node: &mut Node, strings: &Strings, growth: &Growth) -> Result<(), String> {
    if node.entries().is_none() {
        return Err(format!("expected a mapping, found {}", kind_name(node)));
    }
    for (key, value) in strings {
        growth.add_text(key)?;
        growth.add_text(value)?;
        set_field(node, key, Node::string(value));
    }
    Ok(())
}

/// Returns the places that one entry of `labels` works on.
///
/// Fails when its own places conflict with the known ones.
pub(crate) fn specs(entry: &Labels, config: &Config) -> Result<Vec<FieldSpec>, Error> {
    let mut specs: Vec<FieldSpec> = entry.fields.iter().map(FieldSpec::from_record).collect();
    merge(&mut specs, &config.labels)?;
    if entry.include_selectors {
        merge(&mut specs, &config.common_labels)?;
    } else {
        if entry.include_templates {
            merge(&mut specs, &config.template_labels)?;
        }
        merge(
            &mut specs,
            &[FieldSpec::new(Gvk::default(), "metadata/labels", true)],
        )?;
    }
    Ok(specs)
}
