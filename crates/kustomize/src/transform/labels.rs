//! `labels`, `commonLabels` and `commonAnnotations`: strings put into mappings.

use yaml::{Content, Node, Style, Tag};

use crate::config::{Config, merge};
use crate::error::Error;
use crate::field::{Create, FieldSpec, apply_all, kind_name};
use crate::growth::Growth;
use crate::id::Gvk;
use crate::kustomization::{Labels, Strings};
use crate::resource::{Resource, add_field, quote, replace_keeping_style};
use crate::shared::{self, Changed};

/// Strings, and the places that they are put into.
pub(crate) struct Labelling {
    /// The keys, and the values as they are written at a place that is made.
    pairs: Vec<(String, Node)>,
    pub specs: Vec<FieldSpec>,
}

impl Labelling {
    pub(crate) fn new(strings: &Strings, specs: Vec<FieldSpec>) -> Self {
        let pairs = strings
            .iter()
            .map(|(key, value)| (key.clone(), quoted(value)));
        Self {
            pairs: pairs.collect(),
            specs,
        }
    }

    /// Puts every string into every place of an object.
    ///
    /// Fails when something other than a mapping stands at a place, or the build adds too much.
    pub(crate) fn put(&self, resource: &mut Resource, growth: &Growth) -> Result<(), Error> {
        if self.pairs.is_empty() {
            return Ok(());
        }
        let n_shared = usize::from(resource.n_shared) + self.pairs.len();
        let n_shared = u16::try_from(n_shared).ok().filter(|n| *n < u16::MAX);
        let n_shared = n_shared.ok_or_else(|| Error::invalid("too many labels for one object"))?;
        let mut setter = Setter {
            pairs: &self.pairs,
            first_group: resource.n_shared + 1,
            styles: vec![Style::Plain; self.pairs.len()],
            changed: Changed::new(),
        };
        apply_all(&self.specs, resource, Create::Mapping, &mut |node| {
            setter.put(node, growth)
        })?;
        setter.restyle();
        resource.n_shared = n_shared;
        shared::spread(&mut resource.node, &setter.changed);
        Ok(())
    }
}

/// The strings for one object: all places that are made for one of them share their value.
struct Setter<'a> {
    pairs: &'a [(String, Node)],
    first_group: u16,
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
        for ((group, (key, value)), style) in groups.zip(self.pairs).zip(&mut self.styles) {
            growth.add_text(key)?;
            growth.add_text(value.text().unwrap_or_default())?;
            let Some(old) = node.get_mut(key) else {
                let mut new = match style {
                    Style::Plain => value.clone(),
                    style => styled(value, *style),
                };
                shared::join(&mut new, group);
                add_field(node, key, new);
                continue;
            };
            if let Content::Scalar(_, old) = &old.content {
                *style = *old;
            }
            if let Some(group) = shared::group(old) {
                self.changed.push((group, styled(value, *style)));
            }
            replace_keeping_style(old, styled(value, *style));
        }
        Ok(())
    }

    /// Gives the places that were made the last style.
    fn restyle(&mut self) {
        let groups = self.first_group..;
        for ((group, (_, value)), style) in groups.zip(self.pairs).zip(&self.styles) {
            if *style != Style::Plain {
                self.changed.push((group, styled(value, *style)));
            }
        }
    }
}

/// Returns a string as it is written at a place that is made.
fn quoted(value: &str) -> Node {
    let mut node = Node::string(value);
    quote(&mut node);
    node
}

/// Returns a string in another style.
fn styled(value: &Node, style: Style) -> Node {
    let text = value.text().unwrap_or_default();
    Node {
        tag: Tag::Str,
        ..Node::new(Content::Scalar(text.into(), style))
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
