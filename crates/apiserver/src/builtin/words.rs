//! Fields of the built-in kinds that hold one of a few words.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Fields that hold one of a few words: type, field, words in the order of the message.
const WORDS: &[(&str, &str, &[&str])] = &[
    (
        "PodSpec",
        "restartPolicy",
        &["Always", "OnFailure", "Never"],
    ),
    (
        "PodSpec",
        "dnsPolicy",
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    ),
    (
        "PodSpec",
        "preemptionPolicy",
        &["PreemptLowerPriority", "Never"],
    ),
    (
        "Container",
        "imagePullPolicy",
        &["Always", "IfNotPresent", "Never"],
    ),
    (
        "Container",
        "terminationMessagePolicy",
        &["FallbackToLogsOnError", "File"],
    ),
    ("ContainerPort", "protocol", &["SCTP", "TCP", "UDP"]),
    ("HTTPGetAction", "scheme", &["HTTP", "HTTPS"]),
    (
        "Toleration",
        "effect",
        &["NoSchedule", "PreferNoSchedule", "NoExecute"],
    ),
    (
        "TopologySpreadConstraint",
        "whenUnsatisfiable",
        &["DoNotSchedule", "ScheduleAnyway"],
    ),
    ("DeploymentStrategy", "type", &["Recreate", "RollingUpdate"]),
    (
        "CronJobSpec",
        "concurrencyPolicy",
        &["Allow", "Forbid", "Replace"],
    ),
    ("JobSpec", "completionMode", &["NonIndexed", "Indexed"]),
    (
        "ServiceSpec",
        "type",
        &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
    ),
    ("ServiceSpec", "sessionAffinity", &["ClientIP", "None"]),
    (
        "ServiceSpec",
        "externalTrafficPolicy",
        &["Cluster", "Local"],
    ),
    (
        "ServiceSpec",
        "internalTrafficPolicy",
        &["Cluster", "Local"],
    ),
    (
        "ServiceSpec",
        "ipFamilyPolicy",
        &["SingleStack", "PreferDualStack", "RequireDualStack"],
    ),
    ("ServicePort", "protocol", &["SCTP", "TCP", "UDP"]),
    (
        "HTTPIngressPath",
        "pathType",
        &["Exact", "ImplementationSpecific", "Prefix"],
    ),
    ("NetworkPolicyPort", "protocol", &["SCTP", "TCP", "UDP"]),
    (
        "PersistentVolumeSpec",
        "persistentVolumeReclaimPolicy",
        &["Delete", "Recycle", "Retain"],
    ),
    (
        "PersistentVolumeClaimSpec",
        "volumeMode",
        &["Block", "Filesystem"],
    ),
    (
        "PersistentVolumeSpec",
        "volumeMode",
        &["Block", "Filesystem"],
    ),
    ("StorageClass", "reclaimPolicy", &["Delete", "Retain"]),
    (
        "StorageClass",
        "volumeBindingMode",
        &["Immediate", "WaitForFirstConsumer"],
    ),
    (
        "PriorityClass",
        "preemptionPolicy",
        &["PreemptLowerPriority", "Never"],
    ),
    ("EndpointSlice", "addressType", &["FQDN", "IPv4", "IPv6"]),
];

static BY_FIELD: LazyLock<HashMap<(&'static str, &'static str), &'static [&'static str]>> =
    LazyLock::new(|| {
        let lines = WORDS.iter();
        lines
            .map(|(kind, field, words)| ((*kind, *field), *words))
            .collect()
    });

/// Returns the words that a field may hold, by type and field.
pub(crate) fn words(kind: &str, field: &str) -> Option<&'static [&'static str]> {
    BY_FIELD.get(&(kind, field)).copied()
}
