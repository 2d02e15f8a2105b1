//! Defaults of networking, scaling and admission kinds.

use serde_json::{Value, json};

use super::fields::{default, each, items, object, text, with};

/// Completes an object of the kind; other kinds have no defaults.
pub(super) fn apply_defaults(kind: &str, value: &mut Value) {
    match kind {
        "NetworkPolicy" => network_policy(object(value, "spec")),
        "IngressClass" => with(object(value, "spec"), "parameters", |it| {
            default(it, "scope", "Cluster");
        }),
        "Endpoints" => each(value, "subsets", |subset| {
            each(subset, "ports", |port| default(port, "protocol", "TCP"));
        }),
        "EndpointSlice" => each(value, "ports", |port| {
            default(port, "protocol", "TCP");
            if port["name"].is_null() {
                port["name"] = "".into();
            }
        }),
        "HorizontalPodAutoscaler" => autoscaler(value),
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            each(value, "webhooks", |it| {
                webhook(it, kind.starts_with("Mutating"))
            });
        }
        "ValidatingAdmissionPolicy" => {
            let spec = object(value, "spec");
            default(spec, "failurePolicy", "Fail");
            with(spec, "matchConstraints", match_resources);
        }
        _ => {}
    }
}

fn network_policy(spec: &mut Value) {
    for list in ["ingress", "egress"] {
        each(spec, list, |rule| {
            each(rule, "ports", |port| default(port, "protocol", "TCP"));
        });
    }
    if spec["policyTypes"].is_null() {
        spec["policyTypes"] = if items(spec, "egress").is_empty() {
            json!(["Ingress"])
        } else {
            json!(["Ingress", "Egress"])
        };
    }
}

fn autoscaler(value: &mut Value) {
    let spec = object(value, "spec");
    default(spec, "minReplicas", 1);
    if items(spec, "metrics").is_empty() {
        spec["metrics"] = json!([{
            "type": "Resource",
            "resource": {
                "name": "cpu",
                "target": { "type": "Utilization", "averageUtilization": 80 },
            },
        }]);
    }
    let status = object(value, "status");
    default(status, "desiredReplicas", 0);
}

fn webhook(hook: &mut Value, mutating: bool) {
    default(hook, "failurePolicy", "Fail");
    default(hook, "matchPolicy", "Equivalent");
    default(hook, "timeoutSeconds", 10);
    for selector in ["namespaceSelector", "objectSelector"] {
        object(hook, selector);
    }
    if mutating {
        default(hook, "reinvocationPolicy", "Never");
    }
    each(hook, "rules", |rule| default(rule, "scope", "*"));
    with(hook, "clientConfig", |config| {
        with(config, "service", |it| default(it, "port", 443));
    });
}

fn match_resources(constraints: &mut Value) {
    if text(constraints, "matchPolicy").is_empty() {
        default(constraints, "matchPolicy", "Equivalent");
    }
    for selector in ["namespaceSelector", "objectSelector"] {
        object(constraints, selector);
    }
    each(constraints, "resourceRules", |rule| {
        default(rule, "scope", "*")
    });
}
