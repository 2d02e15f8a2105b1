//! The columns of the built-in kinds, without the name that all begin with.
//!
//! A description that begins with `=` names the field whose description it is.

use super::render::name_column;
use crate::kinds::{Column, describe};

/// Title, type, priority, description.
type Line = (&'static str, &'static str, i32, &'static str);

const AGE: Line = ("Age", "string", 0, "=meta.v1.ObjectMeta.creationTimestamp");
const CREATED: Line = (
    "Created At",
    "date",
    0,
    "=meta.v1.ObjectMeta.creationTimestamp",
);
const CONTAINERS: Line = (
    "Containers",
    "string",
    1,
    "Names of each container in the template.",
);
const IMAGES: Line = (
    "Images",
    "string",
    1,
    "Images referenced by each container in the template.",
);

/// Returns the columns of a built-in kind.
pub fn builtin_columns(kind: &str) -> Vec<Column> {
    let found = TABLE.iter().find(|(kinds, _)| kinds.contains(&kind));
    let lines = found.map_or(&[AGE][..], |(_, lines)| lines);
    let mut columns: Vec<Column> = lines.iter().map(column).collect();
    if kind == "Event" {
        columns.push(name_column(1));
    }
    columns
}

fn column(line: &Line) -> Column {
    let (name, kind, priority, description) = *line;
    Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        format: String::new(),
        description: match description.strip_prefix('=') {
            Some(place) => describe(place),
            None => description.to_owned(),
        },
        priority,
        json_path: String::new(),
    }
}

/// The columns of each kind; the names of kinds are unique across the built-in groups.
#[rustfmt::skip]
const TABLE: &[(&[&str], &[Line])] = &[
    (&["Pod"], &[
        ("Ready", "string", 0, "The aggregate readiness state of this pod for accepting traffic."),
        ("Status", "string", 0, "The aggregate status of the containers in this pod."),
        ("Restarts", "string", 0, "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted."),
        AGE,
        ("IP", "string", 1, "=core.v1.PodStatus.podIP"),
        ("Node", "string", 1, "=core.v1.PodSpec.nodeName"),
        ("Nominated Node", "string", 1, "=core.v1.PodStatus.nominatedNodeName"),
        ("Readiness Gates", "string", 1, "=core.v1.PodSpec.readinessGates"),
    ]),
    (&["Deployment"], &[
        ("Ready", "string", 0, "Number of the pod with ready state"),
        ("Up-to-date", "string", 0, "=apps.v1.DeploymentStatus.updatedReplicas"),
        ("Available", "string", 0, "=apps.v1.DeploymentStatus.availableReplicas"),
        AGE, CONTAINERS, IMAGES,
        ("Selector", "string", 1, "=apps.v1.DeploymentSpec.selector"),
    ]),
    (&["ReplicaSet"], &[
        ("Desired", "integer", 0, "=apps.v1.ReplicaSetSpec.replicas"),
        ("Current", "integer", 0, "=apps.v1.ReplicaSetStatus.replicas"),
        ("Ready", "integer", 0, "=apps.v1.ReplicaSetStatus.readyReplicas"),
        AGE, CONTAINERS, IMAGES,
        ("Selector", "string", 1, "=apps.v1.ReplicaSetSpec.selector"),
    ]),
    (&["ReplicationController"], &[
        ("Desired", "integer", 0, "=core.v1.ReplicationControllerSpec.replicas"),
        ("Current", "integer", 0, "=core.v1.ReplicationControllerStatus.replicas"),
        ("Ready", "integer", 0, "=core.v1.ReplicationControllerStatus.readyReplicas"),
        AGE, CONTAINERS, IMAGES,
        ("Selector", "string", 1, "=core.v1.ReplicationControllerSpec.selector"),
    ]),
    (&["StatefulSet"], &[
        ("Ready", "string", 0, "Number of the pod with ready state"),
        AGE, CONTAINERS, IMAGES,
    ]),
    (&["DaemonSet"], &[
        ("Desired", "integer", 0, "=apps.v1.DaemonSetStatus.desiredNumberScheduled"),
        ("Current", "integer", 0, "=apps.v1.DaemonSetStatus.currentNumberScheduled"),
        ("Ready", "integer", 0, "=apps.v1.DaemonSetStatus.numberReady"),
        ("Up-to-date", "integer", 0, "=apps.v1.DaemonSetStatus.updatedNumberScheduled"),
        ("Available", "integer", 0, "=apps.v1.DaemonSetStatus.numberAvailable"),
        ("Node Selector", "string", 0, "=core.v1.PodSpec.nodeSelector"),
        AGE, CONTAINERS, IMAGES,
        ("Selector", "string", 1, "=apps.v1.DaemonSetSpec.selector"),
    ]),
    (&["Job"], &[
        ("Status", "string", 0, "Status of the job."),
        ("Completions", "string", 0, "=batch.v1.JobStatus.succeeded"),
        ("Duration", "string", 0, "Time required to complete the job."),
        AGE, CONTAINERS, IMAGES,
        ("Selector", "string", 1, "=batch.v1.JobSpec.selector"),
    ]),
    (&["CronJob"], &[
        ("Schedule", "string", 0, "=batch.v1.CronJobSpec.schedule"),
        ("Timezone", "string", 0, "=batch.v1.CronJobSpec.timeZone"),
        ("Suspend", "boolean", 0, "=batch.v1.CronJobSpec.suspend"),
        ("Active", "integer", 0, "=batch.v1.CronJobStatus.active"),
        ("Last Schedule", "string", 0, "=batch.v1.CronJobStatus.lastScheduleTime"),
        AGE, CONTAINERS, IMAGES,
        ("Selector", "string", 1, "=batch.v1.JobSpec.selector"),
    ]),
    (&["Service"], &[
        ("Type", "string", 0, "=core.v1.ServiceSpec.type"),
        ("Cluster-IP", "string", 0, "=core.v1.ServiceSpec.clusterIP"),
        ("External-IP", "string", 0, "=core.v1.ServiceSpec.externalIPs"),
        ("Port(s)", "string", 0, "=core.v1.ServiceSpec.ports"),
        AGE,
        ("Selector", "string", 1, "=core.v1.ServiceSpec.selector"),
    ]),
    (&["Ingress"], &[
        ("Class", "string", 0, "The name of the IngressClass resource that should be used for additional configuration"),
        ("Hosts", "string", 0, "Hosts that incoming requests are matched against before the ingress rule"),
        ("Address", "string", 0, "Address is a list containing ingress points for the load-balancer"),
        ("Ports", "string", 0, "Ports of TLS configurations that open"),
        AGE,
    ]),
    (&["Event"], &[
        ("Last Seen", "string", 0, "=core.v1.Event.lastTimestamp"),
        ("Type", "string", 0, "=core.v1.Event.type"),
        ("Reason", "string", 0, "=core.v1.Event.reason"),
        ("Object", "string", 0, "=core.v1.Event.involvedObject"),
        ("Subobject", "string", 1, "=core.v1.ObjectReference.fieldPath"),
        ("Source", "string", 1, "=core.v1.Event.source"),
        ("Message", "string", 0, "=core.v1.Event.message"),
        ("First Seen", "string", 1, "=core.v1.Event.firstTimestamp"),
        ("Count", "string", 1, "=core.v1.Event.count"),
    ]),
    (&["Scale"], &[
        ("Desired", "integer", 0, "=autoscaling.v1.ScaleSpec.replicas"),
        ("Available", "integer", 0, "=autoscaling.v1.ScaleStatus.replicas"),
        AGE,
    ]),
    (&["ConfigMap"], &[("Data", "string", 0, "=core.v1.ConfigMap.data"), AGE]),
    (&["Secret"], &[
        ("Type", "string", 0, "=core.v1.Secret.type"),
        ("Data", "string", 0, "=core.v1.Secret.data"),
        AGE,
    ]),
    (&["ServiceAccount"], &[("Secrets", "string", 0, "=core.v1.ServiceAccount.secrets"), AGE]),
    (&["Namespace"], &[("Status", "string", 0, "The status of the namespace"), AGE]),
    (&["Endpoints"], &[("Endpoints", "string", 0, "=core.v1.Endpoints.subsets"), AGE]),
    (&["Node"], &[
        ("Status", "string", 0, "The status of the node"),
        ("Roles", "string", 0, "The roles of the node"),
        AGE,
        ("Version", "string", 0, "=core.v1.NodeSystemInfo.kubeletVersion"),
        ("Internal-IP", "string", 1, "=core.v1.NodeStatus.addresses"),
        ("External-IP", "string", 1, "=core.v1.NodeStatus.addresses"),
        ("OS-Image", "string", 1, "=core.v1.NodeSystemInfo.osImage"),
        ("Kernel-Version", "string", 1, "=core.v1.NodeSystemInfo.kernelVersion"),
        ("Container-Runtime", "string", 1, "=core.v1.NodeSystemInfo.containerRuntimeVersion"),
    ]),
    (&["PersistentVolume"], &[
        ("Capacity", "string", 0, "=core.v1.PersistentVolumeSpec.capacity"),
        ("Access Modes", "string", 0, "=core.v1.PersistentVolumeSpec.accessModes"),
        ("Reclaim Policy", "string", 0, "=core.v1.PersistentVolumeSpec.persistentVolumeReclaimPolicy"),
        ("Status", "string", 0, "=core.v1.PersistentVolumeStatus.phase"),
        ("Claim", "string", 0, "=core.v1.PersistentVolumeSpec.claimRef"),
        ("StorageClass", "string", 0, "StorageClass of the pv"),
        ("VolumeAttributesClass", "string", 0, "VolumeAttributesClass of the pv"),
        ("Reason", "string", 0, "=core.v1.PersistentVolumeStatus.reason"),
        AGE,
        ("VolumeMode", "string", 1, "=core.v1.PersistentVolumeSpec.volumeMode"),
    ]),
    (&["PersistentVolumeClaim"], &[
        ("Status", "string", 0, "=core.v1.PersistentVolumeClaimStatus.phase"),
        ("Volume", "string", 0, "=core.v1.PersistentVolumeClaimSpec.volumeName"),
        ("Capacity", "string", 0, "=core.v1.PersistentVolumeClaimStatus.capacity"),
        ("Access Modes", "string", 0, "=core.v1.PersistentVolumeClaimStatus.accessModes"),
        ("StorageClass", "string", 0, "StorageClass of the pvc"),
        ("VolumeAttributesClass", "string", 0, "VolumeAttributesClass of the pvc"),
        AGE,
        ("VolumeMode", "string", 1, "=core.v1.PersistentVolumeClaimSpec.volumeMode"),
    ]),
    (&["PodTemplate"], &[
        ("Containers", "string", 0, "Names of each container in the template."),
        ("Images", "string", 0, "Images referenced by each container in the template."),
        ("Pod Labels", "string", 0, "The labels for the pod template."),
    ]),
    (&["ControllerRevision"], &[
        ("Controller", "string", 0, "Controller of the object"),
        ("Revision", "string", 0, "=apps.v1.ControllerRevision.revision"),
        AGE,
    ]),
    (&["ResourceQuota"], &[
        ("Request", "string", 0, "Request represents a minimum amount of cpu/memory that a container may consume."),
        ("Limit", "string", 0, "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node."),
        AGE,
    ]),
    (&["LimitRange", "Role", "ClusterRole"], &[CREATED]),
    (&["RoleBinding"], &[
        ("Role", "string", 0, "roleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error."),
        AGE,
        ("Users", "string", 1, "Users in the roleBinding"),
        ("Groups", "string", 1, "Groups in the roleBinding"),
        ("ServiceAccounts", "string", 1, "ServiceAccounts in the roleBinding"),
    ]),
    (&["ClusterRoleBinding"], &[
        ("Role", "string", 0, "roleRef can only reference a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error."),
        AGE,
        ("Users", "string", 1, "Users in the clusterRoleBinding"),
        ("Groups", "string", 1, "Groups in the clusterRoleBinding"),
        ("ServiceAccounts", "string", 1, "ServiceAccounts in the clusterRoleBinding"),
    ]),
    (&["NetworkPolicy"], &[
        ("Pod-Selector", "string", 0, "=networking.v1.NetworkPolicySpec.podSelector"),
        AGE,
    ]),
    (&["IngressClass"], &[
        ("Controller", "string", 0, "=networking.v1.IngressClassSpec.controller"),
        ("Parameters", "string", 0, "=networking.v1.IngressClassSpec.parameters"),
        AGE,
    ]),
    (&["PodDisruptionBudget"], &[
        ("Min Available", "string", 0, "The minimum number of pods that must be available."),
        ("Max Unavailable", "string", 0, "The maximum number of pods that may be unavailable."),
        ("Allowed Disruptions", "integer", 0, "Calculated number of pods that may be disrupted at this time."),
        AGE,
    ]),
    (&["HorizontalPodAutoscaler"], &[
        ("Reference", "string", 0, "=autoscaling.v2.HorizontalPodAutoscalerSpec.scaleTargetRef"),
        ("Targets", "string", 0, "=autoscaling.v2.HorizontalPodAutoscalerSpec.metrics"),
        ("MinPods", "string", 0, "=autoscaling.v2.HorizontalPodAutoscalerSpec.minReplicas"),
        ("MaxPods", "string", 0, "=autoscaling.v2.HorizontalPodAutoscalerSpec.maxReplicas"),
        ("Replicas", "string", 0, "=autoscaling.v2.HorizontalPodAutoscalerStatus.currentReplicas"),
        AGE,
    ]),
    (&["Lease"], &[("Holder", "string", 0, "=coordination.v1.LeaseSpec.holderIdentity"), AGE]),
    (&["EndpointSlice"], &[
        ("AddressType", "string", 0, "=discovery.v1.EndpointSlice.addressType"),
        ("Ports", "string", 0, "=discovery.v1.EndpointSlice.ports"),
        ("Endpoints", "string", 0, "=discovery.v1.EndpointSlice.endpoints"),
        AGE,
    ]),
    (&["StorageClass"], &[
        ("Provisioner", "string", 0, "=storage.v1.StorageClass.provisioner"),
        ("ReclaimPolicy", "string", 0, "=storage.v1.StorageClass.reclaimPolicy"),
        ("VolumeBindingMode", "string", 0, "=storage.v1.StorageClass.volumeBindingMode"),
        ("AllowVolumeExpansion", "string", 0, "=storage.v1.StorageClass.allowVolumeExpansion"),
        AGE,
    ]),
    (&["VolumeAttachment"], &[
        ("Attacher", "string", 0, "=storage.v1.VolumeAttachmentSpec.attacher"),
        ("PV", "string", 0, "=storage.v1.VolumeAttachmentSource.persistentVolumeName"),
        ("Node", "string", 0, "=storage.v1.VolumeAttachmentSpec.nodeName"),
        ("Attached", "boolean", 0, "=storage.v1.VolumeAttachmentStatus.attached"),
        AGE,
    ]),
    (&["PriorityClass"], &[
        ("Value", "integer", 0, "=scheduling.v1.PriorityClass.value"),
        ("Global-Default", "boolean", 0, "=scheduling.v1.PriorityClass.globalDefault"),
        AGE,
        ("PreemptionPolicy", "string", 0, "=scheduling.v1.PriorityClass.preemptionPolicy"),
    ]),
    (&["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"], &[
        ("Webhooks", "integer", 0, "The number of webhooks in the configuration."),
        AGE,
    ]),
    (&["CustomResourceDefinition"], &[
        ("Scope", "string", 0, "Cluster/Namespaced"),
        ("Versions", "string", 0, "Served versions"),
        CREATED,
        ("Group", "string", 1, "API group"),
        ("Kind", "string", 1, "CustomResource kind"),
        ("ShortNames", "string", 1, "Short names"),
        ("Established", "boolean", 1, "Established status"),
    ]),
];
