//! `labels`, `commonLabels` and `commonAnnotations`: strings put into mappings.

use yaml::{Content, Node, Style, Tag};

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
            styles: vec![Style::Plain; strings.len()],
            changed: Changed::new(),
        };
        apply_all(specs, resource, Create::Mapping, &mut |node| {
            setter.put(node, growth)
        })?;
        setter.restyle();
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
    /// The style of every string: it is that of the last place that was there before.
    styles: Vec<Style>,
    /// What was changed where the value is shared with other places.
    changed: Changed,
}

impl Setter<'_> {
    fn put(&mut self, node: &mut Node, growth: &Growth) -> Result<(), String> {
        if node.entries().is_none() {
            return Err(format!("expected a mapping, found {}", kind_name(node)));
        }
        let groups = self.first_group..;
        for ((group, (key, value)), style) in groups.zip(self.strings).zip(&mut self.styles) {
            growth.add_text(key)?;
            growth.add_text(value)?;
            let mut new = written(value, *style);
            match node.get(key) {
                None => shared::join(&mut new, group),
                Some(old) => {
                    if let Content::Scalar(_, old) = &old.content {
                        *style = *old;
                    }
                    if let Some(group) = shared::group(old) {
                        self.changed.push((group, written(value, *style)));
                    }
                }
            }
            set_field(node, key, new);
        }
        Ok(())
    }

    /// Gives the places that were made the last style.
    fn restyle(&mut self) {
        let groups = self.first_group..;
        for ((group, (_, value)), style) in groups.zip(self.strings).zip(&self.styles) {
            if *style != Style::Plain {
                self.changed.push((group, written(value, *style)));
            }
        }
    }
}

fn written(value: &str, style: Style) -> Node {
    Node {
        tag: Tag::Str,
        ..Node::new(Content::Scalar(value.into(), style))
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
