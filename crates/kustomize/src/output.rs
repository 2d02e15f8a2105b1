//! The objects of a build as values, and as text.

use serde_json::Value;
use yaml::{Content, Layout, Node, Tag, Tree};

use crate::build::Metadata;
use crate::error::{Error, Place};
use crate::id::Scopes;
use crate::origin;
use crate::resource::{Resource, get_or_insert, is_null, remove_field, set_field};
use crate::value;

/// The label that `managedByLabel` asks for, and its value.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kustomize-v5.8.1");

/// Annotations that are bookkeeping and never printed.
const INTERNAL: &[&str] = &[
    "config.kubernetes.io/path",
    "config.kubernetes.io/index",
    "config.k8s.io/id",
];
pub(crate) const INTERNAL_PREFIX: &str = "internal.config.kubernetes.io/";

/// One object of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Always an object.
    tree: Tree,
    /// Whether its kind belongs to the whole cluster.
    is_cluster: bool,
}

impl Object {
    /// Returns a copy of the object as a JSON value.
    pub fn to_value(&self) -> Value {
        self.tree.clone().into()
    }

    /// Returns the object as a JSON value, for keeps.
    pub fn into_value(self) -> Value {
        self.tree.into()
    }

    /// Returns the `apiVersion`; empty without one.
    pub fn api_version(&self) -> &str {
        text(self.tree.get("apiVersion"))
    }

    /// Returns the kind.
    pub fn kind(&self) -> &str {
        text(self.tree.get("kind"))
    }

    /// Returns the name; empty when it is not a string.
    pub fn name(&self) -> &str {
        let metadata = self.tree.get("metadata");
        text(metadata.and_then(|metadata| metadata.get("name")))
    }

    /// Returns the namespace; empty without one.
    pub fn namespace(&self) -> &str {
        let metadata = self.tree.get("metadata");
        text(metadata.and_then(|metadata| metadata.get("namespace")))
    }
}

impl Object {
    /// Returns the namespace that the object is in; nothing when its kind is known to have none.
    pub(crate) fn effective_namespace(&self) -> Option<&str> {
        match self.namespace() {
            _ if self.is_cluster => None,
            "" => Some("default"),
            namespace => Some(namespace),
        }
    }
}

fn text(tree: Option<&Tree>) -> &str {
    tree.and_then(Tree::as_str).unwrap_or_default()
}

/// Returns the bytes that `kustomize build` prints for these objects.
pub fn render(objects: &[Object]) -> String {
    let mut out = String::new();
    for (at, object) in objects.iter().enumerate() {
        if at > 0 {
            out.push_str("---\n");
        }
        yaml::emit::write_tree(&mut out, &object.tree);
    }
    out
}

/// Returns a resource as an object of the result.
///
/// Fails when it holds what cannot be in a result.
pub(crate) fn finish(
    mut resource: Resource,
    metadata: Metadata,
    scopes: &Scopes,
) -> Result<Object, Error> {
    let id = resource.id();
    let is_cluster = resource.is_cluster(scopes);
    if metadata.managed_by {
        let own = get_or_insert(&mut resource.node, "metadata", Node::mapping);
        let labels = get_or_insert(own, "labels", Node::mapping);
        if is_null(labels) {
            *labels = Node::mapping();
        }
        set_field(labels, MANAGED_BY.0, Node::string(MANAGED_BY.1));
    }
    // Looking for annotations to remove makes metadata where there are none.
    get_or_insert(&mut resource.node, "metadata", Node::mapping);
    clean_annotations(&mut resource);
    if metadata.tracked {
        origin::annotate(&mut resource, metadata.origin, metadata.transformers);
    }
    match value::object_tree(resource.node).within(|| id.to_string())? {
        tree @ Tree::Object(_) => Ok(Object { tree, is_cluster }),
        _ => Err(Error::invalid("the object is not a mapping").within(id.to_string())),
    }
}

/// Makes every annotation a string and removes bookkeeping; no annotations, no field.
fn clean_annotations(resource: &mut Resource) {
    let Some(metadata) = resource.node.get_mut("metadata") else {
        return;
    };
    let Some(annotations) = metadata.get_mut("annotations") else {
        return;
    };
    let entries = match &mut annotations.content {
        Content::Mapping(entries, _) => std::mem::take(entries),
        _ => Vec::new(),
    };
    let mut kept: Vec<(Node, Node)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let name = key.text().unwrap_or_default();
        if name.starts_with(INTERNAL_PREFIX) || INTERNAL.contains(&name) {
            continue;
        }
        let value = match &value.content {
            Content::Scalar(text, style) => {
                let content = Content::Scalar(text.clone(), *style);
                Node {
                    tag: Tag::Str,
                    ..Node::new(content)
                }
            }
            _ => Node::string(""),
        };
        kept.push((key, value));
    }
    if kept.is_empty() {
        remove_field(metadata, "annotations");
    } else {
        *annotations = Node::new(Content::Mapping(kept, Layout::Block));
    }
}
