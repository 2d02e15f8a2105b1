//! `namespace`: every object that can have a namespace gets this one.

use yaml::Node;

use crate::error::{Error, Place};
use crate::field::{Create, FieldSpec, kind_name};
use crate::id::Gvk;
use crate::patch::Context;
use crate::resource::{Resource, is_null, replace_keeping_style, set_field};

/// Which subjects of role bindings get the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Subjects {
    #[default]
    DefaultOnly,
    AllServiceAccounts,
    None,
}

/// What a namespace transformer does.
pub(crate) struct Namespace<'a> {
    pub namespace: &'a str,
    pub unset_only: bool,
    pub subjects: Subjects,
    pub specs: &'a [FieldSpec],
}

/// Puts the namespace into every object.
///
/// Fails when something other than a scalar stands where it belongs. Whether ids are still
/// unique is for the caller to check.
pub(crate) fn apply(
    list: &mut [Resource],
    transformer: &Namespace<'_>,
    context: Context<'_>,
) -> Result<(), Error> {
    for resource in list {
        resource.remember_id(context.scopes);
        set(resource, transformer, context)?;
    }
    Ok(())
}

/// Puts the namespace into one object.
///
/// Fails as [`apply`] does.
pub(crate) fn set(
    resource: &mut Resource,
    transformer: &Namespace<'_>,
    context: Context<'_>,
) -> Result<(), Error> {
    let own = FieldSpec::new(Gvk::default(), "metadata/namespace", true);
    let mut set = |node: &mut Node| put(node, transformer, context);
    if !resource.is_cluster(context.scopes) {
        own.apply(resource, Create::Scalar, &mut set)
            .within(|| resource.id().to_string())?;
    }
    let is_binding = matches!(resource.kind(), "RoleBinding" | "ClusterRoleBinding");
    if is_binding {
        set_subjects(&mut resource.node, transformer).within(|| resource.id().to_string())?;
    }
    for spec in transformer.specs {
        let skipped = match spec.path.as_str() {
            "metadata/namespace" => true,
            "metadata/name" => resource.api_version() != "v1",
            "subjects/namespace" => {
                is_binding && matches!(spec.gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding")
            }
            _ => false,
        };
        if !skipped {
            spec.apply(resource, Create::Scalar, &mut set)
                .within(|| resource.id().to_string())?;
        }
    }
    Ok(())
}

fn put(node: &mut Node, transformer: &Namespace<'_>, context: Context<'_>) -> Result<(), String> {
    let Some(text) = node.text() else {
        return Err(format!(
            "namespace field specs must target scalar nodes: expected a scalar, found {}",
            kind_name(node)
        ));
    };
    if transformer.unset_only && !text.is_empty() && !is_null(node) {
        return Ok(());
    }
    context.growth.add_text(transformer.namespace)?;
    replace_keeping_style(node, Node::string(transformer.namespace));
    Ok(())
}

fn set_subjects(node: &mut Node, transformer: &Namespace<'_>) -> Result<(), String> {
    let Some(subjects) = node
        .get_mut("subjects")
        .filter(|subjects| !is_null(subjects))
    else {
        return Ok(());
    };
    let Some(items) = subjects.items_mut() else {
        return Err("expected 'subjects' to be a list".into());
    };
    for subject in items {
        let is = |field: &str, value: &str| {
            subject
                .get(field)
                .and_then(Node::text)
                .is_some_and(|text| text == value)
        };
        let chosen = match transformer.subjects {
            Subjects::DefaultOnly => is("name", "default"),
            Subjects::AllServiceAccounts => is("kind", "ServiceAccount"),
            Subjects::None => false,
        };
        if !chosen {
            continue;
        }
        let old = subject.get("namespace");
        let is_set = old.is_some_and(|old| !is_null(old) && old.text() != Some(""));
        if !(transformer.unset_only && is_set) {
            set_field(subject, "namespace", Node::string(transformer.namespace));
        }
    }
    Ok(())
}
