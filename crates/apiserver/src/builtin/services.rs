//! Defaults of Services, but for the addresses and ports that are allocated.

use serde_json::{Value, json};

use super::fields::{default, each, items, object, text};

/// Completes a Service; what was allocated before stays with it.
pub(super) fn service(value: &mut Value, old: Option<&Value>) {
    let spec = object(value, "spec");
    default(spec, "type", "ClusterIP");
    default(spec, "sessionAffinity", "None");
    if text(spec, "sessionAffinity") == "ClientIP" {
        let client = object(object(spec, "sessionAffinityConfig"), "clientIP");
        default(client, "timeoutSeconds", 10_800);
    }
    each(spec, "ports", |port| {
        default(port, "protocol", "TCP");
        let number = port["port"].clone();
        default(port, "targetPort", number);
    });
    if let Some(old) = old {
        let old = &old["spec"];
        // A client that knows only the first address changes only that.
        if spec["clusterIP"].is_string()
            && spec["clusterIP"] != old["clusterIP"]
            && spec["clusterIPs"] == old["clusterIPs"]
        {
            spec["clusterIPs"] = json!([spec["clusterIP"]]);
        }
        keep_allocated(spec, old);
    }
    let kind = text(spec, "type").to_owned();
    if kind == "ExternalName" {
        return;
    }
    default(spec, "internalTrafficPolicy", "Cluster");
    let outside = matches!(kind.as_str(), "NodePort" | "LoadBalancer");
    if outside {
        default(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true);
    }
}

/// Adds what belongs to the address of a Service, which may be set by then.
pub(super) fn complete(value: &mut Value) {
    let spec = object(value, "spec");
    if text(spec, "type") == "ExternalName" {
        return;
    }
    if spec["ipFamilies"].is_null() {
        spec["ipFamilies"] = json!(["IPv4"]);
    }
    default(spec, "ipFamilyPolicy", "SingleStack");
    let address = text(spec, "clusterIP").to_owned();
    if !address.is_empty() && items(spec, "clusterIPs").is_empty() {
        spec["clusterIPs"] = json!([address]);
    }
}

/// Carries addresses and node ports over, and drops what the new type does not have.
fn keep_allocated(spec: &mut Value, old: &Value) {
    let (before, after) = (text(old, "type"), text(spec, "type").to_owned());
    if after != "ExternalName" && before != "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if !old[field].is_null() {
                default(spec, field, old[field].clone());
            }
        }
    }
    let outside = |kind: &str| matches!(kind, "NodePort" | "LoadBalancer");
    if outside(&after) && outside(before) {
        let known = items(old, "ports").to_vec();
        each(spec, "ports", |port| {
            let same = known
                .iter()
                .find(|it| it["port"] == port["port"] && it["protocol"] == port["protocol"]);
            if let Some(number) = same.and_then(|it| it["nodePort"].as_i64()) {
                default(port, "nodePort", number);
            }
        });
    }
    if !outside(&after) && outside(before) {
        let known = items(old, "ports").to_vec();
        each(spec, "ports", |port| {
            let unchanged = known.iter().any(|it| it["nodePort"] == port["nodePort"]);
            if let (true, Some(map)) = (unchanged, port.as_object_mut()) {
                map.remove("nodePort");
            }
        });
        drop_unchanged(spec, old, "externalTrafficPolicy");
    }
    if after != "LoadBalancer" && before == "LoadBalancer" {
        drop_unchanged(spec, old, "allocateLoadBalancerNodePorts");
    }
    if after == "ExternalName" && before != "ExternalName" {
        for field in [
            "clusterIP",
            "clusterIPs",
            "ipFamilies",
            "ipFamilyPolicy",
            "internalTrafficPolicy",
        ] {
            drop_unchanged(spec, old, field);
        }
    }
}

fn drop_unchanged(spec: &mut Value, old: &Value, field: &str) {
    if spec[field] == old[field]
        && let Some(map) = spec.as_object_mut()
    {
        map.remove(field);
    }
}
