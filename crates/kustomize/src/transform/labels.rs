//! `labels`, `commonLabels` and `commonAnnotations`: strings put into mappings.

use yaml::Node;

use crate::config::{Config, merge};
use crate::error::Error;
use crate::field::{Create, FieldSpec, apply_all, kind_name};
use crate::growth::Growth;
use crate::id::Gvk;
use crate::kustomization::{Labels, Strings};
use crate::resource::{Resource, set_field};
use crate::shared::{self, Changed};

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
        let mut setter = Setter {
            strings,
            first_group: resource.n_shared + 1,
            changed: Changed::new(),
        };
        apply_all(specs, resource, Create::Mapping, &mut |node| {
            setter.put(node, growth)
        })?;
        let n_groups = u32::try_from(strings.len()).unwrap_or(u32::MAX);
        resource.n_shared = resource.n_shared.saturating_add(n_groups);
        shared::spread(&mut resource.node, &setter.changed);
    }
    Ok(())
}

/// The strings for one object: all places that are made for one of them share their value.
struct Setter<'a> {
    strings: &'a Strings,
    first_group: u32,
    /// What was changed where the value is shared with other places.
    changed: Changed,
}

impl Setter<'_> {
    fn put(&mut self, node: &mut Node, growth: &Growth) -> Result<(), String> {
        if node.entries().is_none() {
            return Err(format!("expected a mapping, found {}", kind_name(node)));
        }
        for (group, (key, value)) in (self.first_group..).zip(self.strings) {
            growth.add_text(key)?;
            growth.add_text(value)?;
            let mut new = Node::string(value);
            match node.get(key).map(shared::group) {
                None => shared::join(&mut new, group),
                Some(Some(group)) => self.changed.push((group, new.clone())),
                Some(None) => {}
            }
            set_field(node, key, new);
        }
        Ok(())
    }
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
