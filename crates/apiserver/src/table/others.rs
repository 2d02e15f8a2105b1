//! The cells of the built-in kinds that run nothing.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::age;
use super::render::{age_of, count, items, name, pairs, selector, text, text_or_none};

/// How many endpoints are listed before `+ n more...`.
const ENDPOINTS_SHOWN: usize = 3;

/// Returns the cells of a kind; none when it has only a name and an age.
pub(super) fn cells(kind: &str, item: &Value, now: DateTime<Utc>) -> Option<Vec<Value>> {
    let (name, age) = (name(item), age_of(item, now));
    let cells = match kind {
        "ConfigMap" => json!([
            name,
            entries(&item["data"]) + entries(&item["binaryData"]),
            age
        ]),
        "Secret" => json!([name, text(&item["type"]), entries(&item["data"]), age]),
        "ServiceAccount" => json!([name, items(&item["secrets"]).len(), age]),
        "Namespace" => json!([name, text(&item["status"]["phase"]), age]),
        "LimitRange" | "Role" | "ClusterRole" => {
            json!([name, item["metadata"]["creationTimestamp"]])
        }
        "NetworkPolicy" => json!([name, selector(&item["spec"]["podSelector"]), age]),
        "Lease" => json!([name, text(&item["spec"]["holderIdentity"]), age]),
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            json!([name, items(&item["webhooks"]).len(), age])
        }
        "Event" => event(item, now),
        "Node" => node(item, now),
        "Service" => service(item, now),
        "Ingress" => ingress(item, now),
        "Endpoints" => json!([name, endpoints(item), age]),
        "EndpointSlice" => endpoint_slice(item, now),
        "CustomResourceDefinition" => definition(item),
        "RoleBinding" | "ClusterRoleBinding" => binding(item, now),
        "HorizontalPodAutoscaler" => autoscaler(item, now),
        "ResourceQuota" => quota(item, now),
        _ => return None,
    };
    Some(items(&cells).to_vec())
}

fn entries(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len)
}

fn event(item: &Value, now: DateTime<Utc>) -> Value {
    let either = |old: &str, new: &str| {
        if item[old].is_null() {
            item[new].clone()
        } else {
            item[old].clone()
        }
    };
    let object = either("involvedObject", "regarding");
    let source = either("source", "deprecatedSource");
    let first = either("firstTimestamp", "deprecatedFirstTimestamp");
    let mut last = either("lastTimestamp", "deprecatedLastTimestamp");
    let series = &item["series"];
    let first_seen = if first.is_null() {
        &item["eventTime"]
    } else {
        &first
    };
    if series.is_object() {
        last = series["lastObservedTime"].clone();
    } else if last.is_null() {
        last = first_seen.clone();
    }
    let times = if series.is_object() {
        count(&series["count"])
    } else {
        count(&either("count", "deprecatedCount")).max(1)
    };
    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
    let target = object["name"].as_str().unwrap_or_default();
    let shown = if target.is_empty() {
        kind
    } else {
        format!("{kind}/{target}")
    };
    let old_source = [&source["component"], &source["host"]];
    let new_source = [
        &either("reportingComponent", "reportingController"),
        &item["reportingInstance"],
    ];
    let parts = if old_source[0].as_str().unwrap_or_default().is_empty() {
        new_source
    } else {
        old_source
    };
    let parts: Vec<&str> = parts
        .iter()
        .filter_map(|part| part.as_str())
        .filter(|part| !part.is_empty())
        .collect();
    json!([
        age::since(&last, now),
        text(&item["type"]),
        text(&item["reason"]),
        shown,
        text(&object["fieldPath"]),
        parts.join(", "),
        text(&either("message", "note"))
            .as_str()
            .unwrap_or_default()
            .trim(),
        age::since(first_seen, now),
        times,
        name(item),
    ])
}

fn node(item: &Value, now: DateTime<Utc>) -> Value {
    let (spec, status) = (&item["spec"], &item["status"]);
    let ready = items(&status["conditions"])
        .iter()
        .find(|it| it["type"] == "Ready");
    let mut state = vec![match ready {
        Some(condition) if condition["status"] == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }];
    if spec["unschedulable"] == true {
        state.push("SchedulingDisabled");
    }
    let mut roles: Vec<&str> = item["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role),
                None if key == "kubernetes.io/role" => value.as_str(),
                None => None,
            },
        )
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    let roles = if roles.is_empty() {
        "<none>".to_owned()
    } else {
        roles.join(",")
    };
    let address = |kind: &str| {
        let found = items(&status["addresses"])
            .iter()
            .find(|it| it["type"] == kind);
        text_or_none(found.map_or(&Value::Null, |it| &it["address"]))
    };
    let system = |key: &str| match status["nodeInfo"][key].as_str() {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => "<unknown>".to_owned(),
    };
    json!([
        name(item),
        state.join(","),
        roles,
        age_of(item, now),
        text(&status["nodeInfo"]["kubeletVersion"]),
        address("InternalIP"),
        address("ExternalIP"),
        system("osImage"),
        system("kernelVersion"),
        system("containerRuntimeVersion"),
    ])
}

fn service(item: &Value, now: DateTime<Utc>) -> Value {
    let spec = &item["spec"];
    let ports: Vec<String> = items(&spec["ports"]).iter().map(service_port).collect();
    let ports = if ports.is_empty() {
        "<none>".to_owned()
    } else {
        ports.join(",")
    };
    json!([
        name(item),
        text(&spec["type"]),
        text_or_none(&spec["clusterIP"]),
        external(item),
        ports,
        age_of(item, now),
        pairs(&spec["selector"]),
    ])
}

fn service_port(port: &Value) -> String {
    let protocol = port["protocol"].as_str().unwrap_or_default();
    match (count(&port["port"]), count(&port["nodePort"])) {
        (port, 0) => format!("{port}/{protocol}"),
        (port, node_port) => format!("{port}:{node_port}/{protocol}"),
    }
}

fn external(item: &Value) -> String {
    let spec = &item["spec"];
    let mut all: Vec<String> = items(&spec["externalIPs"])
        .iter()
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect();
    match spec["type"].as_str() {
        Some("ExternalName") => {
            return spec["externalName"].as_str().unwrap_or_default().to_owned();
        }
        Some("LoadBalancer") => {
            let balancers = load_balancers(&item["status"]);
            if balancers.is_empty() && all.is_empty() {
                return "<pending>".to_owned();
            }
            all.splice(0..0, balancers);
        }
        _ => {}
    }
    if all.is_empty() {
        "<none>".to_owned()
    } else {
        all.join(",")
    }
}

fn load_balancers(status: &Value) -> Vec<String> {
    items(&status["loadBalancer"]["ingress"])
        .iter()
        .filter_map(|it| it["ip"].as_str().or_else(|| it["hostname"].as_str()))
        .map(str::to_owned)
        .collect()
}

fn ingress(item: &Value, now: DateTime<Utc>) -> Value {
    let spec = &item["spec"];
    let annotation = &item["metadata"]["annotations"]["kubernetes.io/ingress.class"];
    let class = match spec["ingressClassName"]
        .as_str()
        .or_else(|| annotation.as_str())
    {
        Some(class) if !class.is_empty() => class,
        _ => "<none>",
    };
    let mut hosts: Vec<&str> = items(&spec["rules"])
        .iter()
        .filter_map(|rule| rule["host"].as_str())
        .filter(|host| !host.is_empty())
        .collect();
    let more = hosts.len().saturating_sub(ENDPOINTS_SHOWN);
    hosts.truncate(ENDPOINTS_SHOWN);
    let mut shown = if hosts.is_empty() {
        "*".to_owned()
    } else {
        hosts.join(",")
    };
    if more > 0 {
        shown = format!("{shown} + {more} more...");
    }
    let ports = if items(&spec["tls"]).is_empty() {
        "80"
    } else {
        "80, 443"
    };
    json!([
        name(item),
        class,
        shown,
        load_balancers(&item["status"]).join(","),
        ports,
        age_of(item, now),
    ])
}

fn endpoints(item: &Value) -> String {
    let mut all = Vec::new();
    for subset in items(&item["subsets"]) {
        let addresses = items(&subset["addresses"]);
        let ports = items(&subset["ports"]);
        for address in addresses {
            let ip = address["ip"].as_str().unwrap_or_default();
            if ports.is_empty() {
                all.push(ip.to_owned());
            }
            all.extend(
                ports
                    .iter()
                    .map(|port| format!("{ip}:{}", count(&port["port"]))),
            );
        }
    }
    limited(&all, "<none>")
}

fn limited(all: &[String], empty: &str) -> String {
    if all.is_empty() {
        return empty.to_owned();
    }
    let shown = all
        .iter()
        .take(ENDPOINTS_SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(",");
    match all.len().saturating_sub(ENDPOINTS_SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

fn endpoint_slice(item: &Value, now: DateTime<Utc>) -> Value {
    let ports: Vec<String> = items(&item["ports"])
        .iter()
        .map(|port| match port["port"].as_i64() {
            Some(number) => number.to_string(),
            None => text(&port["name"]).as_str().unwrap_or_default().to_owned(),
        })
        .collect();
    let addresses: Vec<String> = items(&item["endpoints"])
        .iter()
        .flat_map(|it| items(&it["addresses"]))
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect();
    json!([
        name(item),
        text(&item["addressType"]),
        limited(&ports, "<unset>"),
        limited(&addresses, "<unset>"),
        age_of(item, now),
    ])
}

fn definition(item: &Value) -> Value {
    let (spec, status) = (&item["spec"], &item["status"]);
    let versions: Vec<String> = items(&spec["versions"])
        .iter()
        .filter(|version| version["served"] == true)
        .map(|version| {
            let name = version["name"].as_str().unwrap_or_default();
            let mark = if version["storage"] == true {
                "(storage)"
            } else {
                ""
            };
            format!("{name}{mark}")
        })
        .collect();
    let established = items(&status["conditions"])
        .iter()
        .any(|it| it["type"] == "Established" && it["status"] == "True");
    let short: Vec<&str> = items(&spec["names"]["shortNames"])
        .iter()
        .filter_map(Value::as_str)
        .collect();
    json!([
        name(item),
        text(&spec["scope"]),
        versions.join(","),
        item["metadata"]["creationTimestamp"],
        text(&spec["group"]),
        text(&spec["names"]["kind"]),
        short.join(","),
        established,
    ])
}

fn binding(item: &Value, now: DateTime<Utc>) -> Value {
    let role = &item["roleRef"];
    let of = |kind: &str| {
        let all: Vec<String> = items(&item["subjects"])
            .iter()
            .filter(|subject| subject["kind"] == kind)
            .map(|subject| {
                let name = subject["name"].as_str().unwrap_or_default();
                match subject["namespace"].as_str() {
                    Some(namespace) if kind == "ServiceAccount" => format!("{namespace}/{name}"),
                    _ => name.to_owned(),
                }
            })
            .collect();
        all.join(", ")
    };
    json!([
        name(item),
        format!(
            "{}/{}",
            role["kind"].as_str().unwrap_or_default(),
            role["name"].as_str().unwrap_or_default()
        ),
        age_of(item, now),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ])
}

fn autoscaler(item: &Value, now: DateTime<Utc>) -> Value {
    let (spec, status) = (&item["spec"], &item["status"]);
    let target = &spec["scaleTargetRef"];
    let metrics: Vec<String> = items(&spec["metrics"])
        .iter()
        .enumerate()
        .map(|(index, metric)| metric_target(metric, &status["currentMetrics"][index]))
        .collect();
    json!([
        name(item),
        format!(
            "{}/{}",
            target["kind"].as_str().unwrap_or_default(),
            target["name"].as_str().unwrap_or_default()
        ),
        limited(&metrics, "<none>"),
        spec["minReplicas"]
            .as_i64()
            .map_or_else(|| "<unset>".to_owned(), |it| it.to_string()),
        count(&spec["maxReplicas"]),
        count(&status["currentReplicas"]),
        age_of(item, now),
    ])
}

fn metric_target(metric: &Value, current: &Value) -> String {
    let resource = &metric["resource"];
    if !resource.is_object() {
        return "<unknown>".to_owned();
    }
    let now = &current["resource"]["current"];
    let name = resource["name"].as_str().unwrap_or_default();
    let target = &resource["target"];
    if let Some(wanted) = target["averageUtilization"].as_i64() {
        let now = now["averageUtilization"].as_i64();
        let now = now.map_or_else(|| "<unknown>".to_owned(), |it| format!("{it}%"));
        return format!("{name}: {now}/{wanted}%");
    }
    let now = now["averageValue"].as_str().unwrap_or("<unknown>");
    format!(
        "{name}: {now}/{}",
        target["averageValue"].as_str().unwrap_or("<auto>")
    )
}

fn quota(item: &Value, now: DateTime<Utc>) -> Value {
    let status = &item["status"];
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (resource, hard) in status["hard"].as_object().into_iter().flatten() {
        let used = status["used"][resource].as_str().unwrap_or("0");
        let shown = format!("{resource}: {used}/{}", hard.as_str().unwrap_or_default());
        let list = if resource.starts_with("limits.") {
            &mut limits
        } else {
            &mut requests
        };
        list.push(shown);
    }
    json!([
        name(item),
        requests.join(", "),
        limits.join(", "),
        age_of(item, now)
    ])
}
