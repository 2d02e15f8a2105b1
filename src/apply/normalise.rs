//! What is done to each built object before it is applied: owner labels, common metadata, and the
//! few corrections without which server-side apply would refuse or misread it.
//!
//! Upstream converts built-in kinds to typed structs and back, which drops unknown fields in
//! silence. Here only what is needed is corrected, and the server judges the rest.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Error, GROUP, ObjectRef};

/// The Kustomization that owns an object, by its two labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// Labels and annotations that every object gets (`spec.commonMetadata`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommonMetadata {
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Owner {
    fn labels(&self) -> [(String, &str); 2] {
        [
            (format!("{GROUP}/name"), &self.name),
            (format!("{GROUP}/namespace"), &self.namespace),
        ]
    }

    /// Whether a live object carries both labels of this owner.
    pub(super) fn owns(&self, live: &Value) -> bool {
        let labels = live.pointer("/metadata/labels");
        self.labels().iter().all(|(key, value)| {
            labels
                .and_then(|labels| labels.get(key))
                .and_then(Value::as_str)
                == Some(value)
        })
    }
}

/// Makes a built object ready to be applied. Fails for an object without apiVersion, kind or name
/// and for a Secret that is still encrypted.
///
/// The owner labels are set last, so that common metadata cannot replace them and lose the object.
pub fn normalise(object: &mut Value, owner: &Owner, common: &CommonMetadata) -> Result<(), Error> {
    let reference = ObjectRef::of(object)?;
    let is_secret = reference.group.is_empty() && reference.kind == "Secret";
    let decrypts = object.pointer(&format!("/metadata/annotations/{}~1decrypt", GROUP));
    let opted_out = decrypts
        .and_then(Value::as_str)
        .is_some_and(|v| v.eq_ignore_ascii_case("disabled"));
    if is_secret && object.get("sops").is_some() && !opted_out {
        return Err(Error::Encrypted {
            object: Box::new(reference),
        });
    }
    let is_definition = reference.kind == "CustomResourceDefinition";
    if let Some(fields) = object.as_object_mut() {
        if !is_definition {
            fields.remove("status");
        }
        if is_secret {
            fold_string_data(fields);
        }
    }
    match reference.kind.as_str() {
        "Service" if reference.group.is_empty() => {
            default_protocol(object.pointer_mut("/spec/ports"))
        }
        "CustomResourceDefinition" => drop_placeholder_bundle(object),
        kind => {
            if let Some(pointer) = pod_spec(kind) {
                default_container_protocols(object.pointer_mut(pointer));
            }
        }
    }
    let metadata = child(object, "metadata");
    metadata.remove("creationTimestamp");
    extend(
        metadata,
        "labels",
        common.labels.iter().map(|(k, v)| (k.clone(), v.as_str())),
    );
    extend(
        metadata,
        "annotations",
        common
            .annotations
            .iter()
            .map(|(k, v)| (k.clone(), v.as_str())),
    );
    extend(metadata, "labels", owner.labels().into_iter());
    Ok(())
}

fn child<'a>(object: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    if !object[key].is_object() {
        object[key] = json!({});
    }
    object[key]
        .as_object_mut()
        .expect("because it was made an object above")
}

fn extend<'a>(
    metadata: &mut Map<String, Value>,
    place: &str,
    entries: impl Iterator<Item = (String, &'a str)>,
) {
    for (key, value) in entries {
        let place = metadata.entry(place).or_insert_with(|| json!({}));
        if !place.is_object() {
            *place = json!({});
        }
        place[&key] = json!(value);
    }
}

/// Merges `stringData` into `data`, as the server would: what is applied is then what is owned.
fn fold_string_data(secret: &mut Map<String, Value>) {
    let Some(Value::Object(texts)) = secret.remove("stringData") else {
        return;
    };
    let data = secret.entry("data").or_insert_with(|| json!({}));
    if data.is_null() {
        *data = json!({});
    }
    for (key, value) in texts {
        if let (Some(data), Some(text)) = (data.as_object_mut(), value.as_str()) {
            data.insert(key, json!(STANDARD.encode(text)));
        }
    }
}

/// Where the pod spec of a workload stands.
fn pod_spec(kind: &str) -> Option<&'static str> {
    match kind {
        "Pod" => Some("/spec"),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => {
            Some("/spec/template/spec")
        }
        "CronJob" => Some("/spec/jobTemplate/spec/template/spec"),
        _ => None,
    }
}

fn default_container_protocols(spec: Option<&mut Value>) {
    let Some(spec) = spec else { return };
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            default_protocol(container.get_mut("ports"));
        }
    }
}

/// `protocol` is a key of port lists; without it the list has a key that older servers refuse.
fn default_protocol(ports: Option<&mut Value>) {
    let ports = ports.and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        port.entry("protocol").or_insert_with(|| json!("TCP"));
    }
}

/// A conversion webhook's CA bundle that is no certificate is a placeholder that another controller
/// fills in.
fn drop_placeholder_bundle(definition: &mut Value) {
    let Some(config) = definition.pointer_mut("/spec/conversion/webhook/clientConfig") else {
        return;
    };
    let bundle = config.get("caBundle").and_then(Value::as_str);
    let decoded = bundle.and_then(|bundle| STANDARD.decode(bundle).ok());
    let is_certificate = decoded
        .is_some_and(|pem| String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----"));
    if let (Some(config), false) = (config.as_object_mut(), is_certificate) {
        config.remove("caBundle");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner {
            name: "apps".into(),
            namespace: "flux-system".into(),
        }
    }

    fn normalised(mut object: Value) -> Value {
        let mut common = CommonMetadata::default();
        common.labels.insert("team".into(), "a".into());
        common
            .labels
            .insert(format!("{GROUP}/name"), "thief".into());
        normalise(&mut object, &owner(), &common).unwrap();
        object
    }

    #[test]
    fn common_metadata_never_replaces_the_owner() {
        let object = normalised(json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "creationTimestamp": null}, "status": {}}));
        let labels = json!({"team": "a", format!("{GROUP}/name"): "apps",
            format!("{GROUP}/namespace"): "flux-system"});
        assert_eq!(
            object,
            json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "labels": labels}})
        );
        assert!(owner().owns(&object));
    }

    #[test]
    fn string_data_is_folded_into_data() {
        let object = normalised(json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "a"}, "stringData": {"k": "v"}, "data": {"x": "eA=="}}));
        assert_eq!(object["data"], json!({"k": "dg==", "x": "eA=="}));
        assert!(object.get("stringData").is_none());
    }

    #[test]
    fn ports_get_the_protocol_that_is_part_of_their_key() {
        let object = normalised(json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [
                {"name": "c", "ports": [{"containerPort": 80}]}]}}}}));
        let port = object
            .pointer("/spec/template/spec/containers/0/ports/0")
            .unwrap();
        assert_eq!(port, &json!({"containerPort": 80, "protocol": "TCP"}));
    }

    #[test]
    fn an_encrypted_secret_is_refused() {
        let mut object = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "a", "namespace": "b"}, "sops": {"mac": "x"}});
        let error = normalise(&mut object, &owner(), &CommonMetadata::default()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("Secret/b/a is SOPS encrypted"),
            "{error}"
        );
    }
}
