//! The cells of storage kinds, and of those that set policies.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::render::{age_of, count, items, name, text};

/// Returns the cells of a kind; none when it has only a name and an age.
pub(super) fn cells(kind: &str, item: &Value, now: DateTime<Utc>) -> Option<Vec<Value>> {
    let (spec, status) = (&item["spec"], &item["status"]);
    let (name, age) = (name(item), age_of(item, now));
    let cells = match kind {
        "PersistentVolume" => persistent_volume(item, now),
        "PersistentVolumeClaim" => claim(item, now),
        "StorageClass" => storage_class(item, now),
        "PodDisruptionBudget" => json!([
            name,
            bound(&spec["minAvailable"]),
            bound(&spec["maxUnavailable"]),
            count(&status["disruptionsAllowed"]),
            age
        ]),
        "PriorityClass" => json!([
            name,
            count(&item["value"]),
            item["globalDefault"] == true,
            age,
            item["preemptionPolicy"]
        ]),
        "IngressClass" => {
            let parameters = &spec["parameters"];
            let shown = if parameters.is_object() {
                let api = parameters["apiGroup"].as_str().map(|it| format!(".{it}"));
                let kind = parameters["kind"].as_str().unwrap_or_default();
                let target = parameters["name"].as_str().unwrap_or_default();
                format!("{kind}{}/{target}", api.unwrap_or_default())
            } else {
                "<none>".to_owned()
            };
            json!([name, text(&spec["controller"]), shown, age])
        }
        "ControllerRevision" => {
            let owners = items(&item["metadata"]["ownerReferences"]);
            let owner = owners.iter().find(|it| it["controller"] == true);
            let shown = owner.map_or_else(|| "<none>".to_owned(), controller);
            json!([name, shown, count(&item["revision"]), age])
        }
        "VolumeAttachment" => json!([
            name,
            text(&spec["attacher"]),
            text(&spec["source"]["persistentVolumeName"]),
            text(&spec["nodeName"]),
            status["attached"] == true,
            age
        ]),
        _ => return None,
    };
    Some(items(&cells).to_vec())
}

fn controller(owner: &Value) -> String {
    let kind = owner["kind"].as_str().unwrap_or_default().to_lowercase();
    let api = owner["apiVersion"].as_str().unwrap_or_default();
    let group = api.split_once('/').map(|(group, _)| format!(".{group}"));
    let name = owner["name"].as_str().unwrap_or_default();
    format!("{kind}{}/{name}", group.unwrap_or_default())
}

fn bound(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => "N/A".to_owned(),
    }
}

fn persistent_volume(item: &Value, now: DateTime<Utc>) -> Value {
    let (spec, status) = (&item["spec"], &item["status"]);
    let claim = &spec["claimRef"];
    let claim = match (claim["namespace"].as_str(), claim["name"].as_str()) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        _ => String::new(),
    };
    let phase = match &item["metadata"]["deletionTimestamp"] {
        Value::Null => text(&status["phase"]),
        _ => Value::from("Terminating"),
    };
    json!([
        name(item),
        text(&spec["capacity"]["storage"]),
        access_modes(&spec["accessModes"]),
        text(&spec["persistentVolumeReclaimPolicy"]),
        phase,
        claim,
        text(&spec["storageClassName"]),
        unset(&spec["volumeAttributesClassName"]),
        text(&status["reason"]),
        age_of(item, now),
        unset(&spec["volumeMode"]),
    ])
}

fn claim(item: &Value, now: DateTime<Utc>) -> Value {
    let (spec, status) = (&item["spec"], &item["status"]);
    let phase = match &item["metadata"]["deletionTimestamp"] {
        Value::Null => text(&status["phase"]),
        _ => Value::from("Terminating"),
    };
    let bound = spec["volumeName"].as_str().is_some_and(|it| !it.is_empty());
    json!([
        name(item),
        phase,
        text(&spec["volumeName"]),
        if bound {
            text(&status["capacity"]["storage"])
        } else {
            Value::from("")
        },
        if bound {
            access_modes(&status["accessModes"])
        } else {
            String::new()
        },
        text(&spec["storageClassName"]),
        unset(&spec["volumeAttributesClassName"]),
        age_of(item, now),
        unset(&spec["volumeMode"]),
    ])
}

fn unset(value: &Value) -> Value {
    match value.as_str() {
        Some(text) if !text.is_empty() => Value::from(text),
        _ => Value::from("<unset>"),
    }
}

fn access_modes(modes: &Value) -> String {
    let known = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let shown: Vec<&str> = known
        .iter()
        .filter(|(mode, _)| items(modes).iter().any(|it| it == mode))
        .map(|(_, short)| *short)
        .collect();
    shown.join(",")
}

fn storage_class(item: &Value, now: DateTime<Utc>) -> Value {
    let annotations = &item["metadata"]["annotations"];
    let standard = annotations["storageclass.kubernetes.io/is-default-class"] == "true";
    let plain = item["metadata"]["name"].as_str().unwrap_or_default();
    let shown = if standard {
        format!("{plain} (default)")
    } else {
        plain.to_owned()
    };
    json!([
        shown,
        text(&item["provisioner"]),
        text(&item["reclaimPolicy"]),
        text(&item["volumeBindingMode"]),
        item["allowVolumeExpansion"] == true,
        age_of(item, now),
    ])
}
