//! The built-in kinds: one line each.
//!
//! The columns of their tables come from `columns`, their schemas from the packed definitions.

use std::sync::LazyLock;

use super::definitions;
use super::row::{Scale, TypeInfo};
use crate::table::builtin_columns;

/// The line of one built-in kind.
struct Line {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    /// The package of its definition, up to the kind.
    package: &'static str,
    marks: &'static [Mark],
}

/// What is so about a kind.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    /// Objects have no namespace.
    Cluster,
    /// There is a `status` subresource.
    Status,
    /// `metadata.generation` counts.
    Counts,
    /// There is a `scale` subresource.
    Scales,
    /// It is in the category `all`.
    All,
    /// It is in the category `api-extensions`.
    Extension,
    /// Objects are kept but have no effect here.
    Inert,
}

use Mark::{All, Cluster, Counts, Extension, Inert, Scales, Status};

const CORE: &str = "io.k8s.api.core.v1.";
const APPS: &str = "io.k8s.api.apps.v1.";
const BATCH: &str = "io.k8s.api.batch.v1.";
const RBAC: &str = "io.k8s.api.rbac.v1.";
const NETWORKING: &str = "io.k8s.api.networking.v1.";
const STORAGE: &str = "io.k8s.api.storage.v1.";
const ADMISSION: &str = "io.k8s.api.admissionregistration.v1.";
const EXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.";

/// Returns the rows of the built-in kinds.
pub fn builtin() -> Vec<TypeInfo> {
    static ROWS: LazyLock<Vec<TypeInfo>> = LazyLock::new(|| LINES.iter().map(row).collect());
    ROWS.clone()
}

fn row(line: &Line) -> TypeInfo {
    let has = |mark: Mark| line.marks.contains(&mark);
    let categories = [(All, "all"), (Extension, "api-extensions")];
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    TypeInfo {
        group: line.group.to_owned(),
        version: line.version.to_owned(),
        kind: line.kind.to_owned(),
        list_kind: format!("{}List", line.kind),
        plural: line.plural.to_owned(),
        singular: line.kind.to_lowercase(),
        short_names: owned(line.short_names),
        categories: categories
            .iter()
            .filter(|(mark, _)| has(*mark))
            .map(|(_, name)| (*name).to_owned())
            .collect(),
        namespaced: !has(Cluster),
        has_status: has(Status),
        scale: has(Scales).then(|| Scale {
            spec_replicas: ".spec.replicas".to_owned(),
            status_replicas: ".status.replicas".to_owned(),
            label_selector: None,
        }),
        tracks_generation: has(Counts),
        storage_version: line.version.to_owned(),
        custom: false,
        deprecation_warning: has(Inert).then(|| {
            format!(
                "{} {} is stored, but this server never acts on it",
                line.group, line.kind
            )
        }),
        selectable_fields: owned(selectable(line)),
        columns: builtin_columns(line.kind),
        schema: definitions::schema(&format!("{}{}", line.package, line.kind)),
    }
}

/// Returns the fields that a list can be selected by, beside name and namespace.
fn selectable(line: &Line) -> &'static [&'static str] {
    match (line.group, line.kind) {
        ("", "Pod") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "Event") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "type",
        ],
        ("events.k8s.io", "Event") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ("", "Secret") => &["type"],
        ("", "Namespace") => &["status.phase"],
        ("", "Node") => &["spec.unschedulable"],
        ("", "Service") => &["spec.clusterIP", "spec.type"],
        ("", "ReplicationController") | ("apps", "ReplicaSet") => &["status.replicas"],
        ("batch", "Job") => &["status.successful"],
        _ => &[],
    }
}

#[rustfmt::skip]
const LINES: [Line; 43] = [
    line("", "v1", "ConfigMap", "configmaps", &["cm"], CORE, &[]),
    line("", "v1", "Endpoints", "endpoints", &["ep"], CORE, &[]),
    line("", "v1", "Event", "events", &["ev"], CORE, &[]),
    line("", "v1", "LimitRange", "limitranges", &["limits"], CORE, &[]),
    line("", "v1", "Namespace", "namespaces", &["ns"], CORE, &[Cluster, Status]),
    line("", "v1", "Node", "nodes", &["no"], CORE, &[Cluster, Status]),
    line("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", &["pvc"], CORE, &[Status]),
    line("", "v1", "PersistentVolume", "persistentvolumes", &["pv"], CORE, &[Cluster, Status]),
    line("", "v1", "Pod", "pods", &["po"], CORE, &[Status, Counts, All]),
    line("", "v1", "PodTemplate", "podtemplates", &[], CORE, &[Counts]),
    line("", "v1", "ReplicationController", "replicationcontrollers", &["rc"],
        CORE, &[Status, Counts, Scales, All]),
    line("", "v1", "ResourceQuota", "resourcequotas", &["quota"], CORE, &[Status]),
    line("", "v1", "Secret", "secrets", &[], CORE, &[]),
    line("", "v1", "ServiceAccount", "serviceaccounts", &["sa"], CORE, &[]),
    line("", "v1", "Service", "services", &["svc"], CORE, &[Status, All]),
    line("apps", "v1", "ControllerRevision", "controllerrevisions", &[], APPS, &[]),
    line("apps", "v1", "DaemonSet", "daemonsets", &["ds"], APPS, &[Status, Counts, All]),
    line("apps", "v1", "Deployment", "deployments", &["deploy"],
        APPS, &[Status, Counts, Scales, All]),
    line("apps", "v1", "ReplicaSet", "replicasets", &["rs"], APPS, &[Status, Counts, Scales, All]),
    line("apps", "v1", "StatefulSet", "statefulsets", &["sts"],
        APPS, &[Status, Counts, Scales, All]),
    line("batch", "v1", "CronJob", "cronjobs", &["cj"], BATCH, &[Status, Counts, All]),
    line("batch", "v1", "Job", "jobs", &[], BATCH, &[Status, Counts, All]),
    line("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"],
        "io.k8s.api.autoscaling.v2.", &[Status, Counts, All]),
    line("coordination.k8s.io", "v1", "Lease", "leases", &[], "io.k8s.api.coordination.v1.", &[]),
    line("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", &[],
        "io.k8s.api.discovery.v1.", &[Counts]),
    line("events.k8s.io", "v1", "Event", "events", &["ev"], "io.k8s.api.events.v1.", &[]),
    line("networking.k8s.io", "v1", "IngressClass", "ingressclasses", &[],
        NETWORKING, &[Cluster, Counts]),
    line("networking.k8s.io", "v1", "Ingress", "ingresses", &["ing"],
        NETWORKING, &[Status, Counts]),
    line("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", &["netpol"],
        NETWORKING, &[Counts]),
    line("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", &["pdb"],
        "io.k8s.api.policy.v1.", &[Status, Counts]),
    line("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", &[],
        RBAC, &[Cluster]),
    line("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", &[], RBAC, &[Cluster]),
    line("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", &[], RBAC, &[]),
    line("rbac.authorization.k8s.io", "v1", "Role", "roles", &[], RBAC, &[]),
    line("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", &["pc"],
        "io.k8s.api.scheduling.v1.", &[Cluster, Counts]),
    line("storage.k8s.io", "v1", "CSIDriver", "csidrivers", &[], STORAGE, &[Cluster]),
    line("storage.k8s.io", "v1", "StorageClass", "storageclasses", &["sc"], STORAGE, &[Cluster]),
    line("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", &[],
        STORAGE, &[Cluster, Status]),
    line("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", &[],
        ADMISSION, &[Cluster, Counts, Extension, Inert]),
    line("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", &[],
        ADMISSION, &[Cluster, Status, Counts, Extension, Inert]),
    line("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", &[],
        ADMISSION, &[Cluster, Counts, Extension, Inert]),
    line("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", &[],
        ADMISSION, &[Cluster, Counts, Extension, Inert]),
    line("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", &["crd", "crds"],
        EXTENSIONS, &[Cluster, Status, Counts, Extension]),
];

#[expect(
    clippy::too_many_arguments,
    reason = "they are the columns of the table above"
)]
const fn line(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    package: &'static str,
    marks: &'static [Mark],
) -> Line {
    Line {
        group,
        version,
        kind,
        plural,
        short_names,
        package,
        marks,
    }
}
