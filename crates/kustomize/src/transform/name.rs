//! `namePrefix` and `nameSuffix`.

use yaml::Node;

use crate::error::{Error, Place};
use crate::field::{Create, FieldSpec, kind_name};
use crate::patch::Context;
use crate::resource::{Resource, replace_keeping_style};

/// What is put around a name.
#[derive(Clone, Copy)]
pub(crate) enum Affix<'a> {
    Prefix(&'a str),
    Suffix(&'a str),
}

impl Affix<'_> {
    pub(crate) fn is_empty(self) -> bool {
        match self {
            Self::Prefix(text) | Self::Suffix(text) => text.is_empty(),
        }
    }
}

/// Puts the affix around what stands at every place of every object.
///
/// Fails when something other than a scalar stands there.
pub(crate) fn apply(
    list: &mut [Resource],
    affix: Affix<'_>,
    specs: &[FieldSpec],
    context: Context<'_>,
) -> Result<(), Error> {
    // An empty affix is recorded all the same: it takes part in choosing between references.
    for resource in list {
        let original = resource.original_gvk();
        let skipped = match original.kind {
            "CustomResourceDefinition" | "Namespace" => true,
            "APIService" => original.group == "apiregistration.k8s.io",
            _ => false,
        };
        if skipped {
            continue;
        }
        let chosen: Vec<&FieldSpec> = specs
            .iter()
            .filter(|spec| original.is_selected(&spec.gvk))
            .collect();
        for spec in chosen {
            if spec.path == "metadata/name" {
                match affix {
                    Affix::Prefix(text) => resource.prefixes.push(text.into()),
                    Affix::Suffix(text) => resource.suffixes.push(text.into()),
                }
                resource.remember_id(context.scopes);
            }
            if affix.is_empty() {
                continue;
            }
            spec.apply(resource, Create::Nothing, &mut |node| {
                put(node, affix, context)
            })
            .within(|| resource.id().to_string())?;
        }
    }
    Ok(())
}

fn put(node: &mut Node, affix: Affix<'_>, context: Context<'_>) -> Result<(), String> {
    let Some(text) = node.text() else {
        return Err(format!("expected a scalar, found {}", kind_name(node)));
    };
    let text = match affix {
        Affix::Prefix(prefix) => format!("{prefix}{text}"),
        Affix::Suffix(suffix) => format!("{text}{suffix}"),
    };
    context.growth.add_text(&text)?;
    replace_keeping_style(node, Node::plain(text));
    Ok(())
}
