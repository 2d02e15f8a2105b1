//! The places that kustomize knows without being told: where labels, names, images and references
//! stand in the kinds of Kubernetes.
//!
//! Tables only; `config` turns them into field specs and merges those of the user into them.

use crate::config::{Config, NameReference};
use crate::field::FieldSpec;
use crate::id::Gvk;

const APPS: &str = "apps";
const BATCH: &str = "batch";
const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

/// Path, kind, group, version, whether it is created.
type Row = (&'static str, &'static str, &'static str, &'static str, bool);

#[rustfmt::skip]
const METADATA_LABELS: &[Row] = &[
    ("metadata/labels", "", "", "", true),
    ("spec/template/metadata/labels", "ReplicationController", "", "v1", true),
    ("spec/template/metadata/labels", "Deployment", "", "", true),
    ("spec/template/metadata/labels", "ReplicaSet", "", "", true),
    ("spec/template/metadata/labels", "DaemonSet", "", "", true),
    ("spec/template/metadata/labels", "StatefulSet", APPS, "", true),
    ("spec/template/metadata/labels", "Job", BATCH, "", true),
    ("spec/jobTemplate/metadata/labels", "CronJob", BATCH, "", true),
    ("spec/jobTemplate/spec/template/metadata/labels", "CronJob", BATCH, "", true),
    ("spec/volumeClaimTemplates[]/metadata/labels", "StatefulSet", APPS, "", true),
];

#[rustfmt::skip]
const SELECTOR_LABELS: &[Row] = &[
    ("spec/selector", "Service", "", "v1", true),
    ("spec/selector", "ReplicationController", "", "v1", true),
    ("spec/selector/matchLabels", "Deployment", "", "", true),
    ("spec/selector/matchLabels", "ReplicaSet", "", "", true),
    ("spec/selector/matchLabels", "DaemonSet", "", "", true),
    ("spec/selector/matchLabels", "StatefulSet", APPS, "", true),
    ("spec/selector/matchLabels", "Job", BATCH, "", false),
    ("spec/selector/matchLabels", "PodDisruptionBudget", "policy", "", false),
    ("spec/jobTemplate/spec/selector/matchLabels", "CronJob", BATCH, "", false),
    ("spec/podSelector/matchLabels", "NetworkPolicy", "networking.k8s.io", "", false),
    ("spec/ingress/from/podSelector/matchLabels", "NetworkPolicy", "networking.k8s.io", "", false),
    ("spec/egress/to/podSelector/matchLabels", "NetworkPolicy", "networking.k8s.io", "", false),
];

/// Below `spec/template/spec/` of Deployment and StatefulSet.
const AFFINITY_LABELS: &[&str] = &[
    "affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "topologySpreadConstraints/labelSelector/matchLabels",
];

#[rustfmt::skip]
const ANNOTATIONS: &[Row] = &[
    ("metadata/annotations", "", "", "", true),
    ("spec/template/metadata/annotations", "ReplicationController", "", "v1", true),
    ("spec/template/metadata/annotations", "Deployment", "", "", true),
    ("spec/template/metadata/annotations", "ReplicaSet", "", "", true),
    ("spec/template/metadata/annotations", "DaemonSet", "", "", true),
    ("spec/template/metadata/annotations", "StatefulSet", "", "", true),
    ("spec/template/metadata/annotations", "Job", BATCH, "", true),
    ("spec/jobTemplate/metadata/annotations", "CronJob", BATCH, "", true),
    ("spec/jobTemplate/spec/template/metadata/annotations", "CronJob", BATCH, "", true),
];

#[rustfmt::skip]
const NAMESPACE: &[Row] = &[
    ("metadata/name", "Namespace", "", "", true),
    ("spec/service/namespace", "APIService", "apiregistration.k8s.io", "", true),
    ("spec/conversion/webhook/clientConfig/service/namespace", "CustomResourceDefinition", "apiextensions.k8s.io", "", false),
];

#[rustfmt::skip]
const NAME: &[Row] = &[("metadata/name", "", "", "", false)];

#[rustfmt::skip]
const IMAGES: &[Row] = &[
    ("spec/containers[]/image", "", "", "", true),
    ("spec/initContainers[]/image", "", "", "", true),
    ("spec/volumes[]/image/reference", "", "", "", true),
    ("spec/template/spec/containers[]/image", "", "", "", true),
    ("spec/template/spec/initContainers[]/image", "", "", "", true),
    ("spec/template/spec/volumes[]/image/reference", "", "", "", true),
];

#[rustfmt::skip]
const REPLICAS: &[Row] = &[
    ("spec/replicas", "Deployment", "", "", true),
    ("spec/replicas", "ReplicationController", "", "", true),
    ("spec/replicas", "ReplicaSet", "", "", true),
    ("spec/replicas", "StatefulSet", "", "", true),
];

/// Kinds with a pod specification, and where it is.
const WORKLOADS: &[(&str, &str)] = &[
    ("Pod", "spec"),
    ("PodTemplate", "template/spec"),
    ("Deployment", "spec/template/spec"),
    ("ReplicaSet", "spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
    ("StatefulSet", "spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
];

/// Kinds whose service account, claims and priority class are followed.
const POD_OWNERS: &[(&str, &str)] = &[
    ("Pod", "spec"),
    ("StatefulSet", "spec/template/spec"),
    ("Deployment", "spec/template/spec"),
    ("ReplicationController", "spec/template/spec"),
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
];

const CONFIG_MAP_IN_POD: &[&str] = &[
    "volumes/configMap/name",
    "containers/env/valueFrom/configMapKeyRef/name",
    "initContainers/env/valueFrom/configMapKeyRef/name",
    "containers/envFrom/configMapRef/name",
    "initContainers/envFrom/configMapRef/name",
    "volumes/projected/sources/configMap/name",
];

const SECRET_IN_POD: &[&str] = &[
    "volumes/secret/secretName",
    "containers/env/valueFrom/secretKeyRef/name",
    "initContainers/env/valueFrom/secretKeyRef/name",
    "containers/envFrom/secretRef/name",
    "initContainers/envFrom/secretRef/name",
    "imagePullSecrets/name",
    "volumes/projected/sources/secret/name",
];

#[rustfmt::skip]
const CONFIG_MAP: &[Row] = &[
    ("spec/configSource/configMap", "Node", "", "", false),
    ("rules/resourceNames", "Role", "", "", false),
    ("rules/resourceNames", "ClusterRole", "", "", false),
    ("metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap", "Ingress", "", "", false),
];

#[rustfmt::skip]
const SECRET: &[Row] = &[
    ("spec/tls/secretName", "Ingress", "", "", false),
    ("metadata/annotations/ingress.kubernetes.io\\/auth-secret", "Ingress", "", "", false),
    ("metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret", "Ingress", "", "", false),
    ("metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret", "Ingress", "", "", false),
    ("imagePullSecrets/name", "ServiceAccount", "", "", false),
    ("parameters/secretName", "StorageClass", "", "", false),
    ("parameters/adminSecretName", "StorageClass", "", "", false),
    ("parameters/userSecretName", "StorageClass", "", "", false),
    ("parameters/secretRef", "StorageClass", "", "", false),
    ("rules/resourceNames", "Role", "", "", false),
    ("rules/resourceNames", "ClusterRole", "", "", false),
    ("spec/template/spec/containers/env/valueFrom/secretKeyRef/name", "Service", "serving.knative.dev", "v1", false),
    ("spec/azureFile/secretName", "PersistentVolume", "", "", false),
];

#[rustfmt::skip]
const SERVICE: &[Row] = &[
    ("spec/serviceName", "StatefulSet", APPS, "", false),
    ("spec/rules/http/paths/backend/serviceName", "Ingress", "", "", false),
    ("spec/backend/serviceName", "Ingress", "", "", false),
    ("spec/rules/http/paths/backend/service/name", "Ingress", "", "", false),
    ("spec/defaultBackend/service/name", "Ingress", "", "", false),
    ("spec/service/name", "APIService", "apiregistration.k8s.io", "", false),
    ("webhooks/clientConfig/service", "ValidatingWebhookConfiguration", ADMISSION, "", false),
    ("webhooks/clientConfig/service", "MutatingWebhookConfiguration", ADMISSION, "", false),
];

#[rustfmt::skip]
const ROLE: &[Row] = &[("roleRef/name", "RoleBinding", RBAC, "", false)];
#[rustfmt::skip]
const CLUSTER_ROLE: &[Row] = &[
    ("roleRef/name", "RoleBinding", RBAC, "", false),
    ("roleRef/name", "ClusterRoleBinding", RBAC, "", false),
];
#[rustfmt::skip]
const SERVICE_ACCOUNT: &[Row] = &[
    ("subjects", "RoleBinding", RBAC, "", false),
    ("subjects", "ClusterRoleBinding", RBAC, "", false),
];
#[rustfmt::skip]
const PERSISTENT_VOLUME: &[Row] = &[
    ("spec/volumeName", "PersistentVolumeClaim", "", "", false),
    ("rules/resourceNames", "ClusterRole", "", "", false),
];
#[rustfmt::skip]
const STORAGE_CLASS: &[Row] = &[
    ("spec/storageClassName", "PersistentVolume", "", "", false),
    ("spec/storageClassName", "PersistentVolumeClaim", "", "", false),
    ("spec/volumeClaimTemplates/spec/storageClassName", "StatefulSet", "", "", false),
];
#[rustfmt::skip]
const SCALE_TARGET: &[Row] = &[(
    "spec/scaleTargetRef/name",
    "HorizontalPodAutoscaler",
    "",
    "",
    false,
)];
#[rustfmt::skip]
const INGRESS_CLASS: &[Row] = &[("spec/ingressClassName", "Ingress", "", "", false)];
#[rustfmt::skip]
const ADMISSION_POLICY: &[Row] = &[(
    "spec/policyName",
    "ValidatingAdmissionPolicyBinding",
    ADMISSION,
    "",
    false,
)];

#[rustfmt::skip]
const VARIABLES: &[Row] = &[
    ("spec/template/metadata/annotations", "Deployment", "", "", false),
    ("spec/volumeClaimTemplates/spec/nfs/server", "StatefulSet", "", "", false),
    ("spec/rules/host", "Ingress", "", "", false),
    ("spec/tls/hosts", "Ingress", "", "", false),
    ("spec/tls/secretName", "Ingress", "", "", false),
    ("spec/ports/port", "Service", "", "", false),
    ("spec/ports/targetPort", "Service", "", "", false),
    ("spec/nfs/server", "PersistentVolume", "", "", false),
    ("metadata/labels", "", "", "", false),
    ("metadata/annotations", "", "", "", false),
];

const VARIABLES_IN_POD: &[&str] = &["args", "command", "env/value", "volumeMounts/mountPath"];

fn specs(rows: &[Row]) -> Vec<FieldSpec> {
    rows.iter().map(spec).collect()
}

fn spec(row: &Row) -> FieldSpec {
    let (path, kind, group, version, create) = *row;
    let gvk = Gvk {
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
    };
    FieldSpec::new(gvk, path, create)
}

fn below(owners: &[(&str, &str)], paths: &[&str]) -> Vec<FieldSpec> {
    let mut specs = Vec::new();
    for (kind, root) in owners {
        let version = if *kind == "Pod" && owners.len() == WORKLOADS.len() {
            "v1"
        } else {
            ""
        };
        for path in paths {
            let gvk = Gvk {
                group: String::new(),
                version: version.into(),
                kind: (*kind).into(),
            };
            specs.push(FieldSpec::new(gvk, &format!("{root}/{path}"), false));
        }
    }
    specs
}

fn common_labels() -> Vec<FieldSpec> {
    let mut all = specs(METADATA_LABELS);
    all.extend(specs(SELECTOR_LABELS));
    for kind in ["Deployment", "StatefulSet"] {
        for path in AFFINITY_LABELS {
            let gvk = Gvk {
                group: APPS.into(),
                version: String::new(),
                kind: kind.into(),
            };
            all.push(FieldSpec::new(
                gvk,
                &format!("spec/template/spec/{path}"),
                false,
            ));
        }
    }
    all
}

fn variables() -> Vec<FieldSpec> {
    let mut all = Vec::new();
    for (kind, root) in WORKLOADS {
        if *kind == "PodTemplate" {
            continue;
        }
        let gvk = || Gvk {
            kind: (*kind).into(),
            ..Gvk::default()
        };
        for containers in ["containers", "initContainers"] {
            for field in VARIABLES_IN_POD {
                all.push(FieldSpec::new(
                    gvk(),
                    &format!("{root}/{containers}/{field}"),
                    false,
                ));
            }
        }
        match *kind {
            // The missing `spec` is kustomize's.
            "CronJob" => all.push(FieldSpec::new(
                gvk(),
                "spec/jobTemplate/spec/template/volumes/nfs/server",
                false,
            )),
            "StatefulSet" => {}
            _ => all.push(FieldSpec::new(
                gvk(),
                &format!("{root}/volumes/nfs/server"),
                false,
            )),
        }
    }
    all.extend(specs(VARIABLES));
    all
}

fn reference(kind: &str, group: &str, version: &str, specs: Vec<FieldSpec>) -> NameReference {
    let target = Gvk {
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
    };
    NameReference { target, specs }
}

fn references() -> Vec<NameReference> {
    let with = |mut first: Vec<FieldSpec>, rows: &[Row]| {
        first.extend(specs(rows));
        first
    };
    vec![
        reference("StorageClass", "storage.k8s.io", "v1", specs(STORAGE_CLASS)),
        reference(
            "ServiceAccount",
            "",
            "v1",
            with(below(POD_OWNERS, &["serviceAccountName"]), SERVICE_ACCOUNT),
        ),
        reference("Role", RBAC, "", specs(ROLE)),
        reference("ClusterRole", RBAC, "", specs(CLUSTER_ROLE)),
        reference(
            "ConfigMap",
            "",
            "v1",
            with(below(WORKLOADS, CONFIG_MAP_IN_POD), CONFIG_MAP),
        ),
        reference(
            "Secret",
            "",
            "v1",
            with(below(WORKLOADS, SECRET_IN_POD), SECRET),
        ),
        reference("Service", "", "v1", specs(SERVICE)),
        reference(
            "PriorityClass",
            "scheduling.k8s.io",
            "v1",
            below(POD_OWNERS, &["priorityClassName"]),
        ),
        reference("PersistentVolume", "", "v1", specs(PERSISTENT_VOLUME)),
        reference(
            "PersistentVolumeClaim",
            "",
            "v1",
            below(POD_OWNERS, &["volumes/persistentVolumeClaim/claimName"]),
        ),
        reference("Deployment", "", "", specs(SCALE_TARGET)),
        reference("StatefulSet", "", "", specs(SCALE_TARGET)),
        reference(
            "ValidatingAdmissionPolicy",
            ADMISSION,
            "",
            specs(ADMISSION_POLICY),
        ),
        // No group is called so: kustomize never follows this one.
        reference(
            "IngressClass",
            "networking.k8s.io/v1",
            "v1",
            specs(INGRESS_CLASS),
        ),
        reference("ReplicaSet", "", "", specs(SCALE_TARGET)),
        reference("ReplicationController", "", "", specs(SCALE_TARGET)),
    ]
}

/// Returns the places that kustomize knows.
pub(crate) fn config() -> Config {
    Config {
        name_prefix: specs(NAME),
        name_suffix: specs(NAME),
        namespace: specs(NAMESPACE),
        common_labels: common_labels(),
        labels: Vec::new(),
        template_labels: specs(METADATA_LABELS),
        common_annotations: specs(ANNOTATIONS),
        name_reference: references(),
        var_reference: variables(),
        images: specs(IMAGES),
        replicas: specs(REPLICAS),
    }
}
