//! Validation of Pod specs: containers, ports, environment, mounts, volumes.

use std::collections::HashSet;

use serde_json::Value;

use super::fields::{items, text};
use super::validate::Found;
use crate::schema::Path;

/// What a name must look like, for messages.
pub(super) const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case \
     alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. \
     'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// What a number of a port must be, for messages.
pub(super) const PORT_RULE: &str = "must be between 1 and 65535, inclusive";

/// The sources of a volume, in the order in which they are looked at.
const SOURCES: [&str; 31] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "azureFile",
    "configMap",
    "vsphereVolume",
    "azureDisk",
    "storageos",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "projected",
    "csi",
    "ephemeral",
    "image",
    "flexVolume",
    "dataset",
];

/// Returns whether the text is a lowercase RFC 1123 label.
pub(super) fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 63
        && text.starts_with(inner)
        && text.ends_with(inner)
        && text.chars().all(|c| inner(c) || c == '-')
}

/// Checks that a name is there and is a label.
pub(super) fn check_name(parent: &Value, path: &Path, found: &mut Found) {
    let place = path.child("name");
    match text(parent, "name") {
        "" => found.required(&place, ""),
        name if !is_label(name) => found.invalid(&place, &parent["name"], LABEL_RULE),
        _ => {}
    }
}

/// Returns whether the number is one of a port.
pub(super) fn is_port(number: i64) -> bool {
    (1..=65_535).contains(&number)
}

/// Checks a Pod spec.
pub(super) fn pod_spec(spec: &Value, path: &Path, found: &mut Found) {
    let volumes = check_volumes(spec, &path.child("volumes"), found);
    let containers = items(spec, "containers");
    if containers.is_empty() {
        found.required(&path.child("containers"), "");
    }
    let mut names = HashSet::new();
    for list in ["containers", "initContainers"] {
        for (index, container) in items(spec, list).iter().enumerate() {
            let place = path.child(list).index(index);
            check_container(container, &place, &volumes, found);
            let name = text(container, "name");
            if !name.is_empty() && !names.insert(name) {
                found.duplicate(&place.child("name"), &container["name"]);
            }
        }
    }
    found.not_negative(spec, "terminationGracePeriodSeconds", path);
    if spec["activeDeadlineSeconds"]
        .as_i64()
        .is_some_and(|it| it < 1)
    {
        let place = path.child("activeDeadlineSeconds");
        let detail = "must be between 1 and 2147483647, inclusive";
        found.invalid(&place, &spec["activeDeadlineSeconds"], detail);
    }
}

fn check_volumes<'a>(spec: &'a Value, path: &Path, found: &mut Found) -> HashSet<&'a str> {
    let mut names = HashSet::new();
    for (index, volume) in items(spec, "volumes").iter().enumerate() {
        let place = path.index(index);
        check_name(volume, &place, found);
        let name = text(volume, "name");
        if !name.is_empty() && !names.insert(name) {
            found.duplicate(&place.child("name"), &volume["name"]);
        }
        let sources = SOURCES.iter().filter(|source| !volume[**source].is_null());
        for source in sources.skip(1) {
            let detail = "may not specify more than 1 volume type";
            found.forbidden(&place.child(source), detail);
        }
        for (source, field) in [
            ("secret", "secretName"),
            ("configMap", "name"),
            ("persistentVolumeClaim", "claimName"),
            ("hostPath", "path"),
        ] {
            if volume[source].is_object() && text(&volume[source], field).is_empty() {
                found.required(&place.child(source).child(field), "");
            }
        }
    }
    names
}

fn check_container(container: &Value, path: &Path, volumes: &HashSet<&str>, found: &mut Found) {
    check_name(container, path, found);
    if text(container, "image").is_empty() {
        found.required(&path.child("image"), "");
    }
    check_ports(container, &path.child("ports"), found);
    check_environment(container, &path.child("env"), found);
    check_mounts(container, &path.child("volumeMounts"), volumes, found);
    check_resources(container, &path.child("resources"), found);
}

fn check_ports(container: &Value, path: &Path, found: &mut Found) {
    let mut names = HashSet::new();
    for (index, port) in items(container, "ports").iter().enumerate() {
        let place = path.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            if !is_port_name(name) {
                let detail =
                    "must contain only alphanumeric characters (a-z, 0-9), and hyphens (-)";
                found.invalid(&place.child("name"), &port["name"], detail);
            } else if !names.insert(name) {
                found.duplicate(&place.child("name"), &port["name"]);
            }
        }
        let number = port["containerPort"].as_i64().unwrap_or_default();
        if number == 0 {
            found.required(&place.child("containerPort"), "");
        } else if !is_port(number) {
            found.invalid(
                &place.child("containerPort"),
                &port["containerPort"],
                PORT_RULE,
            );
        }
        let host = port["hostPort"].as_i64().unwrap_or_default();
        if host != 0 && !is_port(host) {
            found.invalid(&place.child("hostPort"), &port["hostPort"], PORT_RULE);
        }
    }
}

/// Returns whether the text can name a port: a label of 15 letters with a letter in it.
pub(super) fn is_port_name(text: &str) -> bool {
    text.len() <= 15 && is_label(text) && text.contains(|c: char| c.is_ascii_lowercase())
}

fn check_environment(container: &Value, path: &Path, found: &mut Found) {
    for (index, variable) in items(container, "env").iter().enumerate() {
        let place = path.index(index);
        let name = text(variable, "name");
        if name.is_empty() {
            found.required(&place.child("name"), "");
        } else if name.contains('=') {
            let detail = "a valid environment variable name must consist only of printable ASCII characters other than '='";
            found.invalid(&place.child("name"), &variable["name"], detail);
        }
        let source = &variable["valueFrom"];
        if source.is_object() && !text(variable, "value").is_empty() {
            let detail = "may not be specified when `value` is not empty";
            found.invalid(&place.child("valueFrom"), &Value::from(""), detail);
        }
    }
}

fn check_mounts(container: &Value, path: &Path, volumes: &HashSet<&str>, found: &mut Found) {
    let mut places = HashSet::new();
    for (index, mount) in items(container, "volumeMounts").iter().enumerate() {
        let place = path.index(index);
        let name = text(mount, "name");
        if name.is_empty() {
            found.required(&place.child("name"), "");
        } else if !volumes.contains(name) {
            let message = format!("Not found: {}", mount["name"]);
            found.push(&place.child("name"), "FieldValueNotFound", message);
        }
        let target = text(mount, "mountPath");
        if target.is_empty() {
            found.required(&place.child("mountPath"), "");
        } else if !places.insert(target) {
            found.invalid(
                &place.child("mountPath"),
                &mount["mountPath"],
                "must be unique",
            );
        }
    }
}

fn check_resources(container: &Value, path: &Path, found: &mut Found) {
    for list in ["limits", "requests"] {
        let amounts = container["resources"][list].as_object();
        for (resource, amount) in amounts.into_iter().flatten() {
            if amount.as_str().is_some_and(|it| it.starts_with('-')) {
                let place = path.child(list).key(resource);
                found.invalid(&place, amount, "must be greater than or equal to 0");
            }
        }
    }
}
