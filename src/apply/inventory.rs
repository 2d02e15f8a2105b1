//! Flux's inventory: which objects a Kustomization owns, as ids that survive in its status.
//!
//! An id is `<namespace>_<name>_<group>_<kind>`; a colon in an RBAC name is written `__`. The
//! version is kept beside it. The format is upstream's, so that ownership survives a move from or to
//! Flux.

use serde::{Deserialize, Serialize};

use super::{Change, ObjectRef};

/// One owned object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The id.
    pub id: String,
    /// The version within the group, such as `v1`.
    #[serde(rename = "v")]
    pub version: String,
}

/// All owned objects, in apply order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// The objects.
    pub entries: Vec<Entry>,
}

impl Entry {
    /// Returns the entry of an object.
    pub fn of(object: &ObjectRef) -> Self {
        let rbac = object.group == "rbac.authorization.k8s.io"
            && ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"]
                .contains(&object.kind.as_str());
        let name = if rbac {
            object.name.replace(':', "__")
        } else {
            object.name.clone()
        };
        let id = format!(
            "{}_{name}_{}_{}",
            object.namespace, object.group, object.kind
        );
        Self {
            id,
            version: object.version.clone(),
        }
    }

    /// Returns the object of an entry, or nothing where the id has fewer than four parts.
    pub fn object(&self) -> Option<ObjectRef> {
        let (namespace, rest) = self.id.split_once('_')?;
        let (rest, kind) = rest.rsplit_once('_')?;
        let (name, group) = rest.rsplit_once('_')?;
        (!name.is_empty() && !kind.is_empty()).then(|| ObjectRef {
            group: group.to_owned(),
            version: self.version.clone(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.replace("__", ":"),
        })
    }
}

impl Inventory {
    /// Returns the inventory after a pass: every object of the change set, skipped ones included.
    pub fn of(changes: &[Change]) -> Self {
        Self {
            entries: changes
                .iter()
                .map(|change| Entry::of(&change.object))
                .collect(),
        }
    }

    /// Returns the entries that `new` no longer has, compared by id alone: a change of the version
    /// is no deletion.
    pub fn without(&self, new: &Self) -> Self {
        let kept: std::collections::HashSet<&str> =
            new.entries.iter().map(|entry| entry.id.as_str()).collect();
        let gone = self
            .entries
            .iter()
            .filter(|entry| !kept.contains(entry.id.as_str()));
        Self {
            entries: gone.cloned().collect(),
        }
    }

    /// Adds the entries of `other` that are not there yet, at the end: what a failed pass applied or
    /// failed to delete stays owned.
    pub fn merge(&mut self, other: &Self) {
        let missing = other.without(self);
        self.entries.extend(missing.entries);
    }

    /// Returns the objects; entries that cannot be read are left out.
    pub fn objects(&self) -> Vec<ObjectRef> {
        self.entries.iter().filter_map(Entry::object).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(group: &str, kind: &str, namespace: &str, name: &str) -> ObjectRef {
        ObjectRef {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    #[test]
    fn ids_are_those_of_flux_and_come_back() {
        let cases = [
            (object("", "Namespace", "", "my-ns"), "_my-ns__Namespace"),
            (
                object("", "ConfigMap", "apps", "cfg"),
                "apps_cfg__ConfigMap",
            ),
            (
                object("apps", "Deployment", "apps", "web"),
                "apps_web_apps_Deployment",
            ),
            (
                object(
                    "rbac.authorization.k8s.io",
                    "ClusterRole",
                    "",
                    "system:reader",
                ),
                "_system__reader_rbac.authorization.k8s.io_ClusterRole",
            ),
        ];
        for (object, id) in cases {
            let entry = Entry::of(&object);
            assert_eq!(entry.id, id);
            assert_eq!(entry.object(), Some(object));
        }
    }

    #[test]
    fn a_change_of_version_is_no_deletion() {
        let old = Inventory {
            entries: vec![Entry {
                id: "a_b_g_K".into(),
                version: "v1".into(),
            }],
        };
        let new = Inventory {
            entries: vec![Entry {
                id: "a_b_g_K".into(),
                version: "v2".into(),
            }],
        };
        assert!(old.without(&new).entries.is_empty());
    }
}
