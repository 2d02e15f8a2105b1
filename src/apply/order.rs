//! In which order objects are applied: stages that wait for each other, kinds within a stage.
//!
//! Stage one holds what defines or contains others (CustomResourceDefinitions, Namespaces,
//! ClusterRoles), stage two the `…Class` kinds, stage three the rest: upstream's rule.

use serde_json::Value;

use super::{Error, ObjectRef};

/// Kinds in the order of their creation; others come before the last two.
const FIRST: [&str; 23] = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
const LAST: [&str; 2] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Objects that are applied together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stage {
    /// The objects in order.
    pub objects: Vec<Value>,
    /// Whether the next stage waits until these are healthy.
    pub wait: bool,
}

/// Returns the stages of the objects; empty stages are left out. Fails when an object lacks
/// apiVersion, kind or name.
pub fn plan(objects: Vec<Value>) -> Result<Vec<Stage>, Error> {
    let mut keyed = Vec::with_capacity(objects.len());
    for object in objects {
        let reference = ObjectRef::of(&object)?;
        keyed.push((stage(&reference), key(&reference), object));
    }
    keyed.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut stages: Vec<(u8, Stage)> = Vec::new();
    for (number, _, object) in keyed {
        if stages.last().is_none_or(|(last, _)| *last != number) {
            stages.push((
                number,
                Stage {
                    objects: Vec::new(),
                    wait: number < 2,
                },
            ));
        }
        let (_, last) = stages.last_mut().expect("because a stage was pushed above");
        last.objects.push(object);
    }
    Ok(stages.into_iter().map(|(_, stage)| stage).collect())
}

/// Sorts objects in the order of their deletion: the reverse of their creation.
pub fn reverse_order(objects: &mut [ObjectRef]) {
    objects.sort_by_key(|object| std::cmp::Reverse((stage(object), key(object))));
}

fn stage(object: &ObjectRef) -> u8 {
    match (object.group.as_str(), object.kind.as_str()) {
        ("apiextensions.k8s.io", "CustomResourceDefinition")
        | ("", "Namespace")
        | ("rbac.authorization.k8s.io", "ClusterRole") => 0,
        (_, kind) if kind.ends_with("Class") => 1,
        _ => 2,
    }
}

type Key = (usize, String, String, String, String);

fn key(object: &ObjectRef) -> Key {
    let position = |kinds: &[&str]| kinds.iter().position(|kind| *kind == object.kind);
    let rank = match (position(&FIRST), position(&LAST)) {
        (Some(first), _) => first,
        (None, Some(last)) => FIRST.len() + 1 + last,
        (None, None) => FIRST.len(),
    };
    let ObjectRef {
        group,
        kind,
        namespace,
        name,
        ..
    } = object.clone();
    (rank, group, kind, namespace, name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(api_version: &str, kind: &str, name: &str) -> Value {
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})
    }

    #[test]
    fn definitions_come_first_and_webhooks_last() {
        let objects = vec![
            object(
                "admissionregistration.k8s.io/v1",
                "ValidatingWebhookConfiguration",
                "w",
            ),
            object("example.dev/v1", "Widget", "x"),
            object("apps/v1", "Deployment", "web"),
            object("v1", "ConfigMap", "b"),
            object("v1", "ConfigMap", "a"),
            object("example.dev/v1", "FooClass", "f"),
            object("v1", "Namespace", "n"),
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "c"),
        ];
        let stages = plan(objects).unwrap();
        let names: Vec<Vec<String>> = stages
            .iter()
            .map(|stage| {
                let name = |object| ObjectRef::of(object).unwrap().name;
                stage.objects.iter().map(name).collect()
            })
            .collect();
        assert_eq!(
            names,
            [vec!["c", "n"], vec!["f"], vec!["a", "b", "web", "x", "w"]]
        );
        assert_eq!(
            stages.iter().map(|s| s.wait).collect::<Vec<_>>(),
            [true, true, false]
        );
    }
}
