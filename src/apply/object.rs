//! What names one object: group, version, kind, namespace and name.
//!
//! Read from a manifest or from an inventory id, printed as Flux prints it in events and errors.

use serde_json::Value;

use super::Error;

/// The identity of one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// The API group; empty for core.
    pub group: String,
    /// The version, such as `v1`.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectRef {
    /// Returns the identity of a manifest. Fails when apiVersion, kind or name is missing.
    pub fn of(object: &Value) -> Result<Self, Error> {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("")
        };
        let (api_version, kind, name) =
            (text("/apiVersion"), text("/kind"), text("/metadata/name"));
        for (field, value) in [
            ("apiVersion", api_version),
            ("kind", kind),
            ("metadata.name", name),
        ] {
            if value.is_empty() {
                let object = format!("{api_version} {kind} {name}");
                return Err(Error::Incomplete {
                    object: object.trim().to_owned(),
                    field,
                });
            }
        }
        let (group, version) = split_api_version(api_version);
        Ok(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            namespace: text("/metadata/namespace").to_owned(),
            name: name.to_owned(),
        })
    }

    /// Returns `group/version`, or the version alone for core.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether both name the same object, whatever the version.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.group, &self.kind, &self.namespace, &self.name)
            == (&other.group, &other.kind, &other.namespace, &other.name)
    }
}

impl std::fmt::Display for ObjectRef {
    /// `Kind/namespace/name`, or `Kind/name` for a cluster-scoped object.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// Splits `group/version`; the group of core is empty.
pub(super) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_without_a_name_is_refused_by_field() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}});
        let error = ObjectRef::of(&object).unwrap_err().to_string();
        assert_eq!(error, "v1 ConfigMap: metadata.name is missing");
    }

    #[test]
    fn a_cluster_scoped_object_prints_without_namespace() {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
        assert_eq!(ObjectRef::of(&object).unwrap().to_string(), "Namespace/a");
    }
}
