//! What identifies an object: group, version, kind, name and namespace.
//!
//! Objects of a kind that is known to belong to the whole cluster have no namespace, whatever
//! they say; an empty namespace is `default`. Only the types that kustomize knows are known here:
//! every other kind has a namespace.

use std::fmt;

/// The namespace that stands for having none.
pub(crate) const NO_NAMESPACE: &str = "_non_namespaceable_";

/// Group, version and kind; an empty part of a selector means any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Gvk {
    pub group: String,
    pub version: String,
    pub kind: String,
}

impl Gvk {
    /// Returns the parts of an `apiVersion` and a kind.
    pub(crate) fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = split_api_version(api_version);
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
        }
    }

    /// Returns whether every part that the selector has is equal here.
    pub(crate) fn is_selected(&self, selector: &Gvk) -> bool {
        self.borrowed().is_selected(selector)
    }

    pub(crate) fn borrowed(&self) -> BorrowedGvk<'_> {
        BorrowedGvk {
            group: &self.group,
            version: &self.version,
            kind: &self.kind,
        }
    }

    /// Returns the text by which objects are sorted.
    pub(crate) fn sort_text(&self) -> String {
        self.borrowed().sort_text()
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |text: &'_ str, empty: &'static str| -> String {
            if text.is_empty() {
                empty.into()
            } else {
                text.into()
            }
        };
        write!(
            f,
            "{}.{}.{}",
            part(&self.kind, "[noKind]"),
            part(&self.version, "[noVer]"),
            part(&self.group, "[noGrp]")
        )
    }
}

/// Group, version and kind where they stand: most questions need no copy of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BorrowedGvk<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
}

impl<'a> BorrowedGvk<'a> {
    pub(crate) fn new(api_version: &'a str, kind: &'a str) -> Self {
        let (group, version) = split_api_version(api_version);
        Self {
            group,
            version,
            kind,
        }
    }

    pub(crate) fn to_owned(self) -> Gvk {
        Gvk {
            group: self.group.into(),
            version: self.version.into(),
            kind: self.kind.into(),
        }
    }

    /// Returns whether every part that the selector has is equal here.
    pub(crate) fn is_selected(self, selector: &Gvk) -> bool {
        let part = |wanted: &str, own: &str| wanted.is_empty() || wanted == own;
        part(&selector.kind, self.kind)
            && part(&selector.group, self.group)
            && part(&selector.version, self.version)
    }

    /// Returns the text by which objects are sorted.
    pub(crate) fn sort_text(self) -> String {
        let (group, version) = (or(self.group, "~G"), or(self.version, "~V"));
        [group, version, or(self.kind, "~K")].join("_")
    }
}

/// Returns the text, or what stands for an empty one.
pub(crate) fn or<'a>(text: &'a str, empty: &'a str) -> &'a str {
    if text.is_empty() { empty } else { text }
}

/// Group and version of an `apiVersion`.
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// An object's identity, or what of it a reference says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    pub gvk: Gvk,
    pub name: String,
    pub namespace: String,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |text: &'_ str, empty: &'static str| -> String {
            if text.is_empty() {
                empty.into()
            } else {
                text.into()
            }
        };
        let namespace = if self.namespace == NO_NAMESPACE {
            ""
        } else {
            &self.namespace
        };
        write!(
            f,
            "{}/{}.{}",
            self.gvk,
            part(&self.name, "[noName]"),
            part(namespace, "[noNs]")
        )
    }
}

/// The types of which this build knows that they belong to the whole cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scopes {
    /// What a schema of the user adds: the type and whether it has a namespace.
    pub added: std::collections::HashMap<Gvk, bool>,
}

impl Scopes {
    /// Returns whether the type is known to have no namespace.
    pub(crate) fn is_cluster(&self, group: &str, version: &str, kind: &str) -> bool {
        if is_cluster(group, version, kind) {
            return true;
        }
        if !self.added.is_empty() {
            let gvk = Gvk {
                group: group.into(),
                version: version.into(),
                kind: kind.into(),
            };
            if let Some(has_namespace) = self.added.get(&gvk) {
                return !has_namespace;
            }
        }
        false
    }

    /// Returns the namespace that counts for identity.
    pub(crate) fn effective<'a>(&self, gvk: &Gvk, namespace: &'a str) -> &'a str {
        self.effective_of(&gvk.group, &gvk.version, &gvk.kind, namespace)
    }

    pub(crate) fn effective_of<'a>(
        &self,
        group: &str,
        version: &str,
        kind: &str,
        namespace: &'a str,
    ) -> &'a str {
        if self.is_cluster(group, version, kind) {
            NO_NAMESPACE
        } else if namespace.is_empty() {
            "default"
        } else {
            namespace
        }
    }
}

/// The types of Kubernetes 1.21 that belong to the whole cluster.
fn is_cluster(group: &str, version: &str, kind: &str) -> bool {
    match (group, kind) {
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        )
        | ("apiextensions.k8s.io", "CustomResourceDefinition")
        | ("apiregistration.k8s.io", "APIService")
        | ("certificates.k8s.io", "CertificateSigningRequest")
        | ("networking.k8s.io", "IngressClass")
        | ("node.k8s.io", "RuntimeClass")
        | ("rbac.authorization.k8s.io", "ClusterRole" | "ClusterRoleBinding")
        | ("scheduling.k8s.io", "PriorityClass")
        | ("storage.k8s.io", "CSIDriver" | "CSINode" | "StorageClass" | "VolumeAttachment") => {
            matches!(version, "v1" | "v1beta1")
        }
        ("flowcontrol.apiserver.k8s.io", "FlowSchema" | "PriorityLevelConfiguration")
        | ("policy", "PodSecurityPolicy") => version == "v1beta1",
        (
            "",
            "ComponentStatus" | "Namespace" | "Node" | "NodeProxyOptions" | "PersistentVolume",
        ) => version == "v1",
        _ => false,
    }
}
