//! Validation of Services, Ingresses, roles, budgets and the other small kinds.

use std::collections::HashSet;

use serde_json::Value;

use super::fields::{items, text};
use super::validate::Found;
use super::validate_pods::{LABEL_RULE, PORT_RULE, is_label, is_port, is_port_name};
use crate::schema::Path;

/// Checks an object of the kind; other kinds have no checks.
pub(super) fn validate(kind: &str, value: &Value, found: &mut Found) {
    match kind {
        "Service" => service(&value["spec"], found),
        "Ingress" => ingress(&value["spec"], found),
        "Role" | "ClusterRole" => role(value, kind == "ClusterRole", found),
        "RoleBinding" | "ClusterRoleBinding" => binding(value, kind == "ClusterRoleBinding", found),
        "PodDisruptionBudget" => budget(&value["spec"], found),
        "HorizontalPodAutoscaler" => autoscaler(&value["spec"], found),
        "PersistentVolumeClaim" => claim(&value["spec"], found),
        "StorageClass" if text(value, "provisioner").is_empty() => {
            found.required(&Path::of("provisioner"), "");
        }
        "Lease" => {
            let seconds = &value["spec"]["leaseDurationSeconds"];
            if seconds.as_i64().is_some_and(|it| it <= 0) {
                let place = Path::of("spec").child("leaseDurationSeconds");
                found.invalid(&place, seconds, "must be greater than 0");
            }
        }
        _ => {}
    }
}

fn service(spec: &Value, found: &mut Found) {
    let path = Path::of("spec");
    let kind = text(spec, "type");
    let ports = items(spec, "ports");
    let headless = spec["clusterIP"] == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        found.required(&path.child("ports"), "");
    }
    if kind == "ExternalName" && text(spec, "externalName").is_empty() {
        found.required(&path.child("externalName"), "");
    }
    if kind == "LoadBalancer" && headless {
        let detail = "may not be set to 'None' for LoadBalancer services";
        found.invalid(
            &path.child("clusterIPs").index(0),
            &spec["clusterIP"],
            detail,
        );
    }
    let (mut names, mut used) = (HashSet::new(), HashSet::new());
    for (index, port) in ports.iter().enumerate() {
        let place = path.child("ports").index(index);
        let name = text(port, "name");
        if name.is_empty() && ports.len() > 1 {
            found.required(&place.child("name"), "");
        } else if !name.is_empty() {
            if !is_label(name) {
                found.invalid(&place.child("name"), &port["name"], LABEL_RULE);
            } else if !names.insert(name) {
                found.duplicate(&place.child("name"), &port["name"]);
            }
        }
        service_port(port, &place, found);
        let number = port["port"].as_i64().unwrap_or_default();
        if !used.insert((number, text(port, "protocol"))) {
            let shown = serde_json::json!({ "port": number, "protocol": port["protocol"] });
            found.duplicate(&place, &shown);
        }
    }
}

fn service_port(port: &Value, place: &Path, found: &mut Found) {
    let number = port["port"].as_i64().unwrap_or_default();
    if !is_port(number) {
        found.invalid(&place.child("port"), &Value::from(number), PORT_RULE);
    }
    let target = place.child("targetPort");
    match &port["targetPort"] {
        Value::Number(it) if !is_port(it.as_i64().unwrap_or_default()) => {
            found.invalid(&target, &port["targetPort"], PORT_RULE);
        }
        Value::String(name) if !is_port_name(name) => {
            let detail = "must contain only alphanumeric characters (a-z, 0-9), and hyphens (-)";
            found.invalid(&target, &port["targetPort"], detail);
        }
        _ => {}
    }
    let node_port = port["nodePort"].as_i64().unwrap_or_default();
    if node_port != 0 && !is_port(node_port) {
        found.invalid(&place.child("nodePort"), &port["nodePort"], PORT_RULE);
    }
}

fn ingress(spec: &Value, found: &mut Found) {
    let path = Path::of("spec");
    if items(spec, "rules").is_empty() && spec["defaultBackend"].is_null() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        found.invalid(&path, &Value::Null, detail);
    }
    if spec["defaultBackend"].is_object() {
        backend(
            &spec["defaultBackend"],
            &path.child("defaultBackend"),
            found,
        );
    }
    for (index, rule) in items(spec, "rules").iter().enumerate() {
        let place = path
            .child("rules")
            .index(index)
            .child("http")
            .child("paths");
        let http = &rule["http"];
        if http.is_object() && items(http, "paths").is_empty() {
            found.required(&place, "");
        }
        for (index, route) in items(http, "paths").iter().enumerate() {
            let place = place.index(index);
            ingress_path(route, &place, found);
            backend(&route["backend"], &place.child("backend"), found);
        }
    }
}

fn ingress_path(route: &Value, place: &Path, found: &mut Found) {
    let kind = text(route, "pathType");
    let known = ["ImplementationSpecific", "Exact", "Prefix"];
    if kind.is_empty() {
        found.required(&place.child("pathType"), "pathType must be specified");
    } else if !known.contains(&kind) {
        return;
    }
    let target = text(route, "path");
    let strict = matches!(kind, "Exact" | "Prefix");
    if (strict || !target.is_empty()) && !target.starts_with('/') {
        let shown = Value::from(target);
        found.invalid(&place.child("path"), &shown, "must be an absolute path");
    }
}

fn backend(backend: &Value, place: &Path, found: &mut Found) {
    let (service, resource) = (&backend["service"], &backend["resource"]);
    if !service.is_object() && !resource.is_object() {
        found.required(place, "resource or service backend is required");
        return;
    }
    if service.is_object() && resource.is_object() {
        found.invalid(
            place,
            &Value::from(""),
            "cannot set both resource and service backends",
        );
        return;
    }
    if service.is_object() {
        let place = place.child("service");
        if text(service, "name").is_empty() {
            found.required(&place.child("name"), "");
        }
        let port = &service["port"];
        if text(port, "name").is_empty() && port["number"].as_i64().unwrap_or_default() == 0 {
            found.required(&place, "port name or number is required");
        }
    }
}

fn role(value: &Value, cluster: bool, found: &mut Found) {
    for (index, rule) in items(value, "rules").iter().enumerate() {
        let place = Path::of("rules").index(index);
        let has = |field: &str| !items(rule, field).is_empty();
        if !has("verbs") {
            found.required(
                &place.child("verbs"),
                "verbs must contain at least one value",
            );
        }
        if has("nonResourceURLs") {
            if !cluster {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                found.invalid(
                    &place.child("nonResourceURLs"),
                    &rule["nonResourceURLs"],
                    detail,
                );
            }
            if has("apiGroups") || has("resources") || has("resourceNames") {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                found.invalid(
                    &place.child("nonResourceURLs"),
                    &rule["nonResourceURLs"],
                    detail,
                );
            }
            continue;
        }
        if !has("apiGroups") {
            let detail = "resource rules must supply at least one api group";
            found.required(&place.child("apiGroups"), detail);
        }
        if !has("resources") {
            let detail = "resource rules must supply at least one resource";
            found.required(&place.child("resources"), detail);
        }
    }
}

fn binding(value: &Value, cluster: bool, found: &mut Found) {
    let role = &value["roleRef"];
    let path = Path::of("roleRef");
    let known: &[&str] = if cluster {
        &["ClusterRole"]
    } else {
        &["Role", "ClusterRole"]
    };
    if role["apiGroup"] != "rbac.authorization.k8s.io" {
        let known = ["rbac.authorization.k8s.io"];
        found.unsupported(&path.child("apiGroup"), &role["apiGroup"], &known);
    }
    if !known.contains(&text(role, "kind")) {
        found.unsupported(&path.child("kind"), &role["kind"], known);
    }
    if text(role, "name").is_empty() {
        found.required(&path.child("name"), "");
    }
    for (index, subject) in items(value, "subjects").iter().enumerate() {
        let place = Path::of("subjects").index(index);
        if text(subject, "name").is_empty() {
            found.required(&place.child("name"), "");
        }
        match text(subject, "kind") {
            "ServiceAccount" if text(subject, "namespace").is_empty() => {
                found.required(&place.child("namespace"), "");
            }
            "ServiceAccount" | "User" | "Group" => {}
            _ => found.unsupported(
                &place.child("kind"),
                &subject["kind"],
                &["ServiceAccount", "User", "Group"],
            ),
        }
    }
}

fn budget(spec: &Value, found: &mut Found) {
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        let detail = "minAvailable and maxUnavailable cannot be both set";
        found.invalid(&Path::of("spec"), spec, detail);
    }
}

fn autoscaler(spec: &Value, found: &mut Found) {
    let path = Path::of("spec");
    let (least, most) = (spec["minReplicas"].as_i64(), spec["maxReplicas"].as_i64());
    let most = most.unwrap_or_default();
    if most < 1 {
        let shown = Value::from(most);
        found.invalid(&path.child("maxReplicas"), &shown, "must be greater than 0");
    }
    if least.is_some_and(|it| it > most) {
        let detail = "must be greater than or equal to `minReplicas`";
        found.invalid(&path.child("maxReplicas"), &Value::from(most), detail);
    }
    for field in ["kind", "name"] {
        if text(&spec["scaleTargetRef"], field).is_empty() {
            found.required(&path.child("scaleTargetRef").child(field), "");
        }
    }
}

fn claim(spec: &Value, found: &mut Found) {
    let path = Path::of("spec");
    if items(spec, "accessModes").is_empty() {
        let detail = "at least 1 access mode is required";
        found.required(&path.child("accessModes"), detail);
    }
    if spec["resources"]["requests"]["storage"].is_null() {
        found.required(&path.child("resources").key("storage"), "");
    }
}
