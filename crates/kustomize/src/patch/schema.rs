//! Which lists a strategic merge patch merges, and by which keys.
//!
//! The types of Kubernetes 1.21, as kustomize ships them, or a schema of the user in their place.
//! Lists that are not here are replaced as a whole.

use std::collections::HashMap;

use serde_json::Value;

/// What is known of a place in an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Type<'a> {
    /// Nothing: lists are replaced.
    Unknown,
    /// A type of Kubernetes.
    Builtin(Builtin),
    /// A definition of the user's schema.
    Custom(&'a Definitions, &'a Value),
}

/// The types of Kubernetes that lead to lists which are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    Object(ObjectKind),
    Metadata,
    PodTemplate,
    PodSpec,
    PodStatus,
    Container,
    EphemeralContainer,
    Volume,
    EphemeralVolume,
    ClaimTemplate,
    WorkloadSpec,
    CronJobSpec,
    JobTemplate,
    ServiceSpec,
    NodeSpec,
    NodeStatus,
    DriversSpec,
    ConditionsStatus,
    /// A list whose elements are merged by these keys; no key means that they are scalars.
    List(&'static [&'static str], Element),
}

/// The elements of a merged list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    Other,
    Container,
    EphemeralContainer,
    Volume,
}

/// What is special about a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Plain,
    Pod,
    PodTemplate,
    Workload,
    CronJob,
    Service,
    ServiceAccount,
    Node,
    ComponentStatus,
    WebhookConfiguration,
    CsiNode,
    WithConditions,
    Kustomization,
}

/// The schema of a build: the types of Kubernetes, or those of the user instead.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    custom: Option<Definitions>,
}

/// The definitions of a schema of the user.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    types: HashMap<String, Value>,
    roots: HashMap<(String, String), String>,
    /// Whether the types of Kubernetes hold where this has none.
    pub over_builtin: bool,
}

impl Schema {
    /// Puts the definitions of the user in the place of those of Kubernetes.
    pub(crate) fn replace(&mut self, definitions: Definitions) {
        self.custom = Some(definitions);
    }

    /// Returns the type of an object of this `apiVersion` and kind.
    pub(crate) fn root(&self, api_version: &str, kind: &str) -> Type<'_> {
        if let Some(definitions) = &self.custom {
            let key = (api_version.to_owned(), kind.to_owned());
            let found = definitions
                .roots
                .get(&key)
                .and_then(|name| definitions.types.get(name));
            match found {
                Some(definition) => return Type::Custom(definitions, definition),
                None if definitions.over_builtin => {}
                None => return Type::Unknown,
            }
        }
        object_kind(api_version, kind)
            .map_or(Type::Unknown, |kind| Type::Builtin(Builtin::Object(kind)))
    }
}

impl Definitions {
    /// Returns the definitions of an OpenAPI document.
    pub(crate) fn new(document: &Value) -> Self {
        let mut definitions = Self::default();
        let Some(Value::Object(types)) = document.get("definitions") else {
            return definitions;
        };
        for (name, definition) in types {
            let kinds = definition.get("x-kubernetes-group-version-kind");
            for kind in kinds.and_then(Value::as_array).into_iter().flatten() {
                let text =
                    |field: &str| kind.get(field).and_then(Value::as_str).unwrap_or_default();
                let (group, version) = (text("group"), text("version"));
                let api_version = match group {
                    "" => version.to_owned(),
                    group => format!("{group}/{version}"),
                };
                definitions
                    .roots
                    .insert((api_version, text("kind").into()), name.clone());
            }
            definitions.types.insert(name.clone(), definition.clone());
        }
        definitions
    }

    /// Follows a reference to another definition, a bounded number of times.
    fn resolve<'a>(&'a self, mut node: &'a Value) -> Type<'a> {
        const REFERENCES_MAX: usize = 32;
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = node.get("$ref").and_then(Value::as_str) else {
                return Type::Custom(self, node);
            };
            let name = reference.strip_prefix("#/definitions/").unwrap_or_default();
            node = match self.types.get(name) {
                Some(node) => node,
                None if self.over_builtin => {
                    return builtin_type(name).map_or(Type::Unknown, Type::Builtin);
                }
                None => return Type::Unknown,
            };
        }
        Type::Unknown
    }
}

/// Returns the type of Kubernetes with this name in its OpenAPI document.
fn builtin_type(name: &str) -> Option<Builtin> {
    use ObjectKind as K;
    let name = name.strip_prefix("io.k8s.")?.rsplit_once(".v1.")?;
    Some(match name {
        ("api.core", "PodTemplateSpec") => Builtin::PodTemplate,
        ("api.core", "PodSpec") => Builtin::PodSpec,
        ("api.core", "Container") => Builtin::Container,
        ("api.core", "EphemeralContainer") => Builtin::EphemeralContainer,
        ("api.core", "Volume") => Builtin::Volume,
        ("api.core", "PersistentVolumeClaimTemplate") => Builtin::ClaimTemplate,
        ("api.core", "ServiceSpec") => Builtin::ServiceSpec,
        ("api.core", "Pod") => Builtin::Object(K::Pod),
        ("api.batch", "JobSpec") | ("api.apps", "DeploymentSpec" | "StatefulSetSpec") => {
            Builtin::WorkloadSpec
        }
        ("apimachinery.pkg.apis.meta", "ObjectMeta") => Builtin::Metadata,
        _ => return None,
    })
}

/// Returns the type that a comment on a field tells; nothing when it does not tell one.
///
/// Fails when it tells a list that is merged by a key no list of Kubernetes has.
pub(crate) fn from_note(note: &str) -> Result<Option<Type<'static>>, String> {
    const KEYS: &[&[&str]] = &[
        &["name"],
        &["ip"],
        &["uid"],
        &["type"],
        &["mountPath"],
        &["devicePath"],
        &["containerPort"],
        &["port"],
        &["topologyKey"],
    ];
    let Ok(note) = serde_json::from_str::<Value>(note) else {
        return Ok(None);
    };
    let text = |value: &'_ Value, field: &str| -> String {
        value
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    if text(&note, "x-kubernetes-patch-strategy") != "merge" {
        return Ok(None);
    }
    let key = text(&note, "x-kubernetes-patch-merge-key");
    let keys = match key.as_str() {
        "" => &[][..],
        key => *KEYS
            .iter()
            .find(|keys| keys[0] == key)
            .ok_or_else(|| format!("a merge key {key:?} in a comment is not supported"))?,
    };
    let reference = note
        .get("items")
        .map(|items| text(items, "$ref"))
        .unwrap_or_default();
    let element = match builtin_type(reference.trim_start_matches("#/definitions/")) {
        Some(Builtin::Container) => Element::Container,
        Some(Builtin::EphemeralContainer) => Element::EphemeralContainer,
        Some(Builtin::Volume) => Element::Volume,
        _ => Element::Other,
    };
    Ok(Some(Type::Builtin(Builtin::List(keys, element))))
}

/// Returns whether Kubernetes 1.21 has the type of an object.
pub(crate) fn is_known(resource: &crate::resource::Resource) -> bool {
    object_kind(resource.api_version(), resource.kind()).is_some()
}

/// Returns for every type that the paths of an OpenAPI document serve whether it has a namespace.
pub(crate) fn scopes(document: &Value) -> HashMap<crate::id::Gvk, bool> {
    let mut scopes = HashMap::new();
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, operations) in paths.into_iter().flatten() {
        let get = operations.get("get");
        let Some(kind) = get.and_then(|get| get.get("x-kubernetes-group-version-kind")) else {
            continue;
        };
        let text = |field: &str| {
            kind.get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let gvk = crate::id::Gvk {
            group: text("group"),
            version: text("version"),
            kind: text("kind"),
        };
        let has_namespace = path.contains("namespaces/{namespace}");
        *scopes.entry(gvk).or_insert(false) |= has_namespace;
    }
    scopes
}

/// How a list is merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Merge {
    Replace,
    /// By these keys; no key means that the elements are scalars.
    ByKeys(Vec<String>),
}

impl<'a> Type<'a> {
    pub(crate) fn is_unknown(self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Returns the type of a field.
    pub(crate) fn field(self, name: &str) -> Type<'a> {
        match self {
            Self::Unknown => Self::Unknown,
            Self::Builtin(builtin) => builtin.field(name).map_or(Self::Unknown, Self::Builtin),
            Self::Custom(definitions, node) => {
                let child = node
                    .get("properties")
                    .and_then(|properties| properties.get(name));
                let child = child.or_else(|| {
                    node.get("additionalProperties")
                        .filter(|additional| additional.is_object())
                });
                child.map_or(Self::Unknown, |child| definitions.resolve(child))
            }
        }
    }

    /// Returns the type of the elements of a list.
    pub(crate) fn elements(self) -> Type<'a> {
        match self {
            Self::Builtin(Builtin::List(_, element)) => match element {
                Element::Other => Self::Unknown,
                Element::Container => Self::Builtin(Builtin::Container),
                Element::EphemeralContainer => Self::Builtin(Builtin::EphemeralContainer),
                Element::Volume => Self::Builtin(Builtin::Volume),
            },
            Self::Custom(definitions, node) => {
                let items = node.get("items");
                items.map_or(Self::Unknown, |items| definitions.resolve(items))
            }
            _ => Self::Unknown,
        }
    }

    /// Returns how a list of this type is merged.
    pub(crate) fn merge(self) -> Merge {
        match self {
            Self::Builtin(Builtin::List(keys, _)) => {
                Merge::ByKeys(keys.iter().map(|key| (*key).to_owned()).collect())
            }
            Self::Custom(_, node) => {
                let text = |field: &str| node.get(field).and_then(Value::as_str);
                let strategy = text("x-kubernetes-patch-strategy").unwrap_or_default();
                if !strategy.split(',').any(|one| one == "merge") {
                    return Merge::Replace;
                }
                let keys = node
                    .get("x-kubernetes-list-map-keys")
                    .and_then(Value::as_array);
                let keys: Vec<String> = keys
                    .into_iter()
                    .flatten()
                    .filter_map(|key| key.as_str().map(str::to_owned))
                    .collect();
                if keys.len() > 1 {
                    return Merge::ByKeys(keys);
                }
                let key = text("x-kubernetes-patch-merge-key").map(str::to_owned);
                Merge::ByKeys(key.into_iter().collect())
            }
            _ => Merge::Replace,
        }
    }
}

impl Builtin {
    fn field(self, name: &str) -> Option<Builtin> {
        use Builtin as B;
        use ObjectKind as K;
        const CONDITIONS: Builtin = B::List(&["type"], Element::Other);
        Some(match (self, name) {
            (B::Object(_) | B::PodTemplate | B::JobTemplate | B::ClaimTemplate, "metadata") => {
                B::Metadata
            }
            (B::Metadata, "finalizers") => B::List(&[], Element::Other),
            (B::Metadata, "ownerReferences") => B::List(&["uid"], Element::Other),
            (B::Object(K::Pod), "spec") | (B::PodTemplate, "spec") => B::PodSpec,
            (B::Object(K::Pod), "status") => B::PodStatus,
            (B::Object(K::PodTemplate), "template") | (B::WorkloadSpec, "template") => {
                B::PodTemplate
            }
            (B::Object(K::Workload), "spec") | (B::JobTemplate, "spec") => B::WorkloadSpec,
            (B::Object(K::Workload | K::Service | K::WithConditions), "status") => {
                B::ConditionsStatus
            }
            (B::Object(K::CronJob), "spec") => B::CronJobSpec,
            (B::CronJobSpec, "jobTemplate") => B::JobTemplate,
            (B::Object(K::Service), "spec") => B::ServiceSpec,
            (B::ServiceSpec, "ports") => B::List(&["port", "protocol"], Element::Other),
            (B::Object(K::ServiceAccount), "secrets") => B::List(&["name"], Element::Other),
            (B::Object(K::Node), "spec") => B::NodeSpec,
            (B::Object(K::Node), "status") => B::NodeStatus,
            (B::NodeSpec, "podCIDRs") => B::List(&[], Element::Other),
            (B::NodeStatus, "addresses") => CONDITIONS,
            (B::NodeStatus | B::PodStatus | B::ConditionsStatus, "conditions")
            | (B::Object(K::ComponentStatus), "conditions") => CONDITIONS,
            (B::PodStatus, "podIPs") => B::List(&["ip"], Element::Other),
            (B::Object(K::WebhookConfiguration), "webhooks") => B::List(&["name"], Element::Other),
            (B::Object(K::CsiNode), "spec") => B::DriversSpec,
            (B::DriversSpec, "drivers") => B::List(&["name"], Element::Other),
            (B::Object(K::Kustomization), "configMapGenerator" | "secretGenerator") => {
                B::List(&["name"], Element::Other)
            }
            (B::PodSpec, "containers" | "initContainers") => B::List(&["name"], Element::Container),
            (B::PodSpec, "ephemeralContainers") => B::List(&["name"], Element::EphemeralContainer),
            (B::PodSpec, "volumes") => B::List(&["name"], Element::Volume),
            (B::PodSpec, "imagePullSecrets") => B::List(&["name"], Element::Other),
            (B::PodSpec, "hostAliases") => B::List(&["ip"], Element::Other),
            (B::PodSpec, "topologySpreadConstraints") => {
                B::List(&["topologyKey", "whenUnsatisfiable"], Element::Other)
            }
            (B::Container, "ports") => B::List(&["containerPort", "protocol"], Element::Other),
            (B::Container | B::EphemeralContainer, "env") => B::List(&["name"], Element::Other),
            (B::Container | B::EphemeralContainer, "volumeMounts") => {
                B::List(&["mountPath"], Element::Other)
            }
            (B::Container | B::EphemeralContainer, "volumeDevices") => {
                B::List(&["devicePath"], Element::Other)
            }
            (B::Volume, "ephemeral") => B::EphemeralVolume,
            (B::EphemeralVolume, "volumeClaimTemplate") => B::ClaimTemplate,
            _ => return None,
        })
    }
}

/// Returns what is special about a kind; nothing when Kubernetes 1.21 does not have it.
fn object_kind(api_version: &str, kind: &str) -> Option<ObjectKind> {
    use ObjectKind as K;
    Some(match (api_version, kind) {
        ("v1", "Pod") => K::Pod,
        ("v1", "PodTemplate") => K::PodTemplate,
        ("apps/v1", "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet")
        | ("v1", "ReplicationController")
        | ("batch/v1", "Job") => K::Workload,
        ("batch/v1" | "batch/v1beta1", "CronJob") => K::CronJob,
        ("v1", "Service") => K::Service,
        ("v1", "ServiceAccount") => K::ServiceAccount,
        ("v1", "Node") => K::Node,
        ("v1", "ComponentStatus") => K::ComponentStatus,
        (
            "admissionregistration.k8s.io/v1" | "admissionregistration.k8s.io/v1beta1",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        ) => K::WebhookConfiguration,
        ("storage.k8s.io/v1" | "storage.k8s.io/v1beta1", "CSINode") => K::CsiNode,
        ("v1", "Namespace" | "PersistentVolumeClaim")
        | ("policy/v1" | "policy/v1beta1", "PodDisruptionBudget")
        | ("apiregistration.k8s.io/v1" | "apiregistration.k8s.io/v1beta1", "APIService") => {
            K::WithConditions
        }
        ("kustomize.config.k8s.io/v1beta1", "Kustomization") => K::Kustomization,
        _ if PLAIN.contains(&(api_version, kind)) => K::Plain,
        _ => return None,
    })
}

/// The other types of Kubernetes 1.21, of which only the metadata matters.
const PLAIN: &[(&str, &str)] = &[
    ("v1", "Binding"),
    ("v1", "ConfigMap"),
    ("v1", "Endpoints"),
    ("v1", "Event"),
    ("v1", "LimitRange"),
    ("v1", "PersistentVolume"),
    ("v1", "ResourceQuota"),
    ("v1", "Secret"),
    ("apps/v1", "ControllerRevision"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"),
    ("authentication.k8s.io/v1", "TokenReview"),
    ("authentication.k8s.io/v1beta1", "TokenReview"),
    ("authorization.k8s.io/v1", "LocalSubjectAccessReview"),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview"),
    ("authorization.k8s.io/v1", "SubjectAccessReview"),
    ("authorization.k8s.io/v1beta1", "LocalSubjectAccessReview"),
    ("authorization.k8s.io/v1beta1", "SelfSubjectAccessReview"),
    ("authorization.k8s.io/v1beta1", "SelfSubjectRulesReview"),
    ("authorization.k8s.io/v1beta1", "SubjectAccessReview"),
    ("autoscaling/v1", "HorizontalPodAutoscaler"),
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler"),
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler"),
    ("certificates.k8s.io/v1", "CertificateSigningRequest"),
    ("certificates.k8s.io/v1beta1", "CertificateSigningRequest"),
    ("coordination.k8s.io/v1", "Lease"),
    ("coordination.k8s.io/v1beta1", "Lease"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("discovery.k8s.io/v1beta1", "EndpointSlice"),
    ("events.k8s.io/v1", "Event"),
    ("events.k8s.io/v1beta1", "Event"),
    ("extensions/v1beta1", "Ingress"),
    ("flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema"),
    (
        "flowcontrol.apiserver.k8s.io/v1beta1",
        "PriorityLevelConfiguration",
    ),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "IngressClass"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("networking.k8s.io/v1beta1", "Ingress"),
    ("networking.k8s.io/v1beta1", "IngressClass"),
    ("node.k8s.io/v1", "RuntimeClass"),
    ("node.k8s.io/v1beta1", "RuntimeClass"),
    ("policy/v1", "Eviction"),
    ("policy/v1beta1", "Eviction"),
    ("policy/v1beta1", "PodSecurityPolicy"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1beta1", "Role"),
    ("rbac.authorization.k8s.io/v1beta1", "RoleBinding"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
    ("scheduling.k8s.io/v1beta1", "PriorityClass"),
    ("storage.k8s.io/v1", "CSIDriver"),
    ("storage.k8s.io/v1", "StorageClass"),
    ("storage.k8s.io/v1", "VolumeAttachment"),
    ("storage.k8s.io/v1beta1", "CSIDriver"),
    ("storage.k8s.io/v1beta1", "CSIStorageCapacity"),
    ("storage.k8s.io/v1beta1", "StorageClass"),
    ("storage.k8s.io/v1beta1", "VolumeAttachment"),
];
