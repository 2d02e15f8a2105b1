//! Defaults of Pods and of the templates that make them.

use serde_json::{Map, Value, json};

use super::fields::{default, default_number, each, entries, items, object, text, with};

/// The mode of files in volumes: 0644.
const FILE_MODE: i64 = 420;

/// The lifetime of a projected token.
const TOKEN_SECONDS: i64 = 3600;

/// Completes a Pod; a new one gets its first status.
pub(super) fn pod(value: &mut Value, old: Option<&Value>) {
    let spec = object(value, "spec");
    pod_spec(spec);
    default(spec, "enableServiceLinks", true);
    for list in ["containers", "initContainers"] {
        each(spec, list, requests_from_limits);
    }
    if old.is_none() {
        let class = quality(spec);
        let status = object(value, "status");
        default(status, "phase", "Pending");
        default(status, "qosClass", class);
    }
}

/// Completes a Pod template.
pub(super) fn template(value: &mut Value) {
    object(value, "metadata");
    pod_spec(object(value, "spec"));
}

fn pod_spec(spec: &mut Value) {
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
    ] {
        default(spec, field, value);
    }
    let account = match (
        text(spec, "serviceAccountName"),
        text(spec, "serviceAccount"),
    ) {
        ("", other) => other.to_owned(),
        (name, _) => name.to_owned(),
    };
    if !account.is_empty() {
        spec["serviceAccountName"] = account.clone().into();
        spec["serviceAccount"] = account.into();
    }
    let host_network = spec["hostNetwork"] == true;
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec, list, |it| container(it, host_network));
    }
    each(spec, "volumes", volume);
}

fn container(container: &mut Value, host_network: bool) {
    let image = text(container, "image").to_owned();
    let policy = if is_latest(&image) {
        "Always"
    } else {
        "IfNotPresent"
    };
    default(container, "imagePullPolicy", policy);
    default(container, "terminationMessagePath", "/dev/termination-log");
    default(container, "terminationMessagePolicy", "File");
    object(container, "resources");
    each(container, "ports", |port| {
        default(port, "protocol", "TCP");
        if host_network {
            let number = port["containerPort"].as_i64().unwrap_or_default();
            default_number(port, "hostPort", number);
        }
    });
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        with(container, name, probe);
    }
    with(container, "lifecycle", |lifecycle| {
        for name in ["postStart", "preStop"] {
            with(lifecycle, name, |handler| {
                with(handler, "httpGet", http_get)
            });
        }
    });
    each(container, "env", |variable| {
        with(variable, "valueFrom", |source| {
            with(source, "fieldRef", |it| default(it, "apiVersion", "v1"));
        });
    });
}

/// Returns whether an image has no tag, or the tag `latest`, and no digest.
fn is_latest(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    if name.contains('@') {
        return false;
    }
    match name.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => true,
    }
}

fn probe(probe: &mut Value) {
    default_number(probe, "timeoutSeconds", 1);
    default_number(probe, "periodSeconds", 10);
    default_number(probe, "successThreshold", 1);
    default_number(probe, "failureThreshold", 3);
    with(probe, "httpGet", http_get);
    with(probe, "grpc", |it| {
        if it["service"].is_null() {
            it["service"] = "".into();
        }
    });
}

fn http_get(action: &mut Value) {
    default(action, "path", "/");
    default(action, "scheme", "HTTP");
}

fn volume(volume: &mut Value) {
    let sources = volume.as_object().map_or(0, Map::len);
    if sources <= 1 && volume["name"].is_string() {
        volume["emptyDir"] = json!({});
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        with(volume, source, |it| default(it, "defaultMode", FILE_MODE));
    }
    with(volume, "downwardAPI", downward);
    with(volume, "hostPath", |it| {
        if it["type"].is_null() {
            it["type"] = "".into();
        }
    });
    with(volume, "projected", |projected| {
        each(projected, "sources", |source| {
            with(source, "serviceAccountToken", |it| {
                default(it, "expirationSeconds", TOKEN_SECONDS);
            });
            with(source, "downwardAPI", downward);
        });
    });
    with(volume, "ephemeral", |it| {
        with(it, "volumeClaimTemplate", |template| {
            default(object(template, "spec"), "volumeMode", "Filesystem");
        });
    });
}

fn downward(source: &mut Value) {
    each(source, "items", |item| {
        with(item, "fieldRef", |it| default(it, "apiVersion", "v1"));
    });
}

/// Limits without requests are requested, in Pods but not in templates.
fn requests_from_limits(container: &mut Value) {
    let Some(limits) = entries(&container["resources"], "limits").cloned() else {
        return;
    };
    let requests = object(object(container, "resources"), "requests");
    for (resource, amount) in limits {
        default(requests, &resource, amount);
    }
}

/// Returns the class of service, from what the containers ask for.
fn quality(spec: &Value) -> &'static str {
    let containers = || {
        items(spec, "containers")
            .iter()
            .chain(items(spec, "initContainers"))
    };
    let amounts = |container: &Value, list: &str| {
        let asked = entries(&container["resources"], list);
        ["cpu", "memory"].map(|name| asked.and_then(|it| it.get(name)).cloned())
    };
    let nothing = containers().all(|it| {
        amounts(it, "requests")
            .iter()
            .chain(&amounts(it, "limits"))
            .all(Option::is_none)
    });
    let exact = containers().all(|it| {
        let limits = amounts(it, "limits");
        limits.iter().all(Option::is_some) && limits == amounts(it, "requests")
    });
    match (nothing, exact) {
        (true, _) => "BestEffort",
        (false, true) => "Guaranteed",
        (false, false) => "Burstable",
    }
}
