//! The row of one kind and version.
//!
//! A row is immutable and shared. It says how objects are named, stored, printed and typed; it
//! holds no objects.

use std::sync::Arc;

use crate::schema::Schema;

/// One kind at one version.
#[derive(Debug, Clone)]
pub struct TypeInfo {
    /// The API group; empty for core.
    pub group: String,
    /// The version, such as `v1`.
    pub version: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The kind of its list, such as `DeploymentList`.
    pub list_kind: String,
    /// The resource, such as `deployments`.
    pub plural: String,
    /// The singular, such as `deployment`.
    pub singular: String,
    /// Short names, such as `deploy`.
    pub short_names: Vec<String>,
    /// Categories, such as `all`.
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Whether there is a `status` subresource.
    pub has_status: bool,
    /// The `scale` subresource, if there is one.
    pub scale: Option<Scale>,
    /// Whether `metadata.generation` counts changes of the spec.
    pub tracks_generation: bool,
    /// The version in which objects are stored; `kube-apiserver` calls it the storage version.
    pub storage_version: String,
    /// Whether the row was compiled from a CustomResourceDefinition.
    pub custom: bool,
    /// Whether this version warns on use, and with which text.
    pub deprecation_warning: Option<String>,
    /// Field selectors beside `metadata.name` and `metadata.namespace`: JSON paths such as
    /// `spec.nodeName`.
    pub selectable_fields: Vec<String>,
    /// Columns of the `Table` representation, beside the name; empty means `Age` alone.
    pub columns: Vec<Column>,
    /// The schema of the whole object, `metadata` included.
    pub schema: Arc<Schema>,
}

/// Where the `scale` subresource finds its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// Such as `.spec.replicas`.
    pub spec_replicas: String,
    /// Such as `.status.replicas`.
    pub status_replicas: String,
    /// Such as `.status.selector`; a built-in kind reads `.spec.selector`.
    pub label_selector: Option<String>,
}

/// One column of the `Table` representation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The title.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    /// The format, mostly empty.
    pub format: String,
    /// The description.
    pub description: String,
    /// 0 is always shown; more only with `-o wide`.
    pub priority: i32,
    /// A JSONPath into the object, for custom resources.
    pub json_path: String,
}

impl TypeInfo {
    /// Returns `group/version`, or the version alone for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Returns `plural.group`, or the plural alone for the core group, as messages name it.
    pub fn resource_name(&self) -> String {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}
