//! Bodies that clients send as protobuf: into JSON, by a table of messages and fields.
//!
//! The envelope names the kind, the table its message. What a message carries although it is empty
//! or zero is left out, except where Kubernetes' types can tell zero from absent. The table is made
//! by `data/make_protobuf.py`.

use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

/// The media type.
pub(crate) const MEDIA: &str = "application/vnd.kubernetes.protobuf";
/// What each body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may lie within each other.
const DEPTH_MAX: usize = 64;

const PACKED: &[u8] = include_bytes!("../../data/protobuf.txt.gz");

/// Whole numbers and truth values whose zero is a value: pointers in Kubernetes' types.
const POINTERS: &str = " immutable automountServiceAccountToken enableServiceLinks \
    shareProcessNamespace hostUsers setHostnameAsFQDN runAsNonRoot readOnlyRootFilesystem \
    allowPrivilegeEscalation privileged optional controller blockOwnerDeletion suspend \
    allocateLoadBalancerNodePorts hostProcess orphanDependents manualSelector \
    allowVolumeExpansion attachRequired podInfoOnMount storageCapacity requiresRepublish \
    seLinuxMount ready serving terminating force terminationGracePeriodSeconds \
    activeDeadlineSeconds priority revisionHistoryLimit progressDeadlineSeconds partition \
    parallelism completions backoffLimit backoffLimitPerIndex maxFailedIndexes \
    ttlSecondsAfterFinished startingDeadlineSeconds successfulJobsHistoryLimit \
    failedJobsHistoryLimit runAsUser runAsGroup fsGroup defaultMode mode expirationSeconds \
    minReplicas tolerationSeconds leaseDurationSeconds leaseTransitions gracePeriodSeconds \
    deletionGracePeriodSeconds stabilizationWindowSeconds endPort averageUtilization minDomains ";

/// Pointers by their message, for names that are plain elsewhere.
const POINTERS_OF: [(&str, &str); 8] = [
    ("apps.v1.deploymentspec", "replicas"),
    ("apps.v1.replicasetspec", "replicas"),
    ("apps.v1.statefulsetspec", "replicas"),
    ("core.v1.replicationcontrollerspec", "replicas"),
    ("core.v1.clientipconfig", "timeoutSeconds"),
    ("core.v1.csivolumesource", "readOnly"),
    ("discovery.v1.endpointport", "port"),
    ("batch.v1.jobstatus", "ready"),
];

/// Plain values that are written even when they are zero.
const PRESENT: [(&str, &str); 3] = [
    ("scheduling.v1.priorityclass", "value"),
    ("core.v1.containerport", "containerPort"),
    ("core.v1.serviceport", "port"),
];

#[derive(Debug, Clone)]
enum Kind {
    Text,
    Truth,
    Whole,
    Number,
    Bytes,
    Message(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    One,
    List,
    Map,
    Inline,
}

#[derive(Debug, Clone)]
struct Field {
    name: String,
    kind: Kind,
    shape: Shape,
}

type Messages = HashMap<String, HashMap<u64, Field>>;

static MESSAGES: LazyLock<Messages> = LazyLock::new(|| {
    let mut text = String::new();
    GzDecoder::new(PACKED)
        .read_to_string(&mut text)
        .expect("because the packed table is part of the crate");
    read_table(&text)
});

fn read_table(text: &str) -> Messages {
    let mut messages = Messages::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("M ") {
            current = name.to_owned();
            messages.entry(current.clone()).or_default();
            continue;
        }
        let mut parts = line.split(' ');
        let (Some(tag), Some(name), Some(code)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (shape, code) = if let Some(code) = code.strip_prefix('*') {
            (Shape::List, code)
        } else if let Some(code) = code.strip_prefix("{}") {
            (Shape::Map, code)
        } else if let Some(code) = code.strip_prefix('^') {
            (Shape::Inline, code)
        } else {
            (Shape::One, code)
        };
        let kind = match code {
            "s" => Kind::Text,
            "b" => Kind::Truth,
            "i" => Kind::Whole,
            "d" => Kind::Number,
            "y" => Kind::Bytes,
            message => Kind::Message(message.to_owned()),
        };
        if let (Ok(tag), Some(fields)) = (tag.parse(), messages.get_mut(&current)) {
            fields.insert(
                tag,
                Field {
                    name: name.to_owned(),
                    kind,
                    shape,
                },
            );
        }
    }
    messages
}

/// Returns the object of a protobuf body; fails with what is wrong with it.
pub(crate) fn decode(body: &[u8]) -> Result<Value, String> {
    let envelope = body
        .strip_prefix(MAGIC)
        .ok_or("the body does not begin with k8s\\0")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for part in parts(envelope) {
        match part? {
            (1, Wire::Bytes(bytes)) => {
                for part in parts(bytes) {
                    match part? {
                        (1, Wire::Bytes(text)) => api_version = utf8(text)?,
                        (2, Wire::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let name = message_name(&api_version, &kind);
    if !MESSAGES.contains_key(&name) {
        return Err(format!(
            "there is no message for {api_version}, Kind={kind}"
        ));
    }
    let mut value = message(&name, raw, DEPTH_MAX)?;
    value["apiVersion"] = api_version.into();
    value["kind"] = kind.into();
    Ok(value)
}

fn message_name(api_version: &str, kind: &str) -> String {
    let (group, version) = api_version
        .rsplit_once('/')
        .unwrap_or(("core", api_version));
    let package = group.split('.').next().unwrap_or_default();
    let own = format!("{package}.{version}.{kind}").to_lowercase();
    // Options belong to no group and come with the version of any.
    if MESSAGES.contains_key(&own) {
        own
    } else {
        format!("meta.v1.{kind}").to_lowercase()
    }
}

enum Wire<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

/// Returns the fields of a message in the order of the wire.
fn parts(mut bytes: &[u8]) -> impl Iterator<Item = Result<(u64, Wire<'_>), String>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let part = next_part(&mut bytes);
        if part.is_none() {
            bytes = &[];
        }
        Some(part.ok_or_else(|| "a field of the body is cut short".to_owned()))
    })
}

fn next_part<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let key = varint(bytes)?;
    let wire = match key & 7 {
        0 => Wire::Varint(varint(bytes)?),
        1 => Wire::Fixed(u64::from_le_bytes(take(bytes, 8)?.try_into().ok()?)),
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Wire::Bytes(take(bytes, length)?)
        }
        5 => Wire::Fixed(u64::from(u32::from_le_bytes(
            take(bytes, 4)?.try_into().ok()?,
        ))),
        _ => return None,
    };
    Some((key >> 3, wire))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(length)?;
    *bytes = tail;
    Some(head)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "a text of the body is not UTF-8".to_owned())
}

fn message(name: &str, bytes: &[u8], depth: usize) -> Result<Value, String> {
    let depth = depth
        .checked_sub(1)
        .ok_or("the messages of the body lie too deep")?;
    if let Some(special) = special(name, bytes)? {
        return Ok(special);
    }
    let mut out = Map::new();
    let Some(fields) = MESSAGES.get(name) else {
        return Ok(Value::Object(out));
    };
    for part in parts(bytes) {
        let (tag, wire) = part?;
        let Some(field) = fields.get(&tag) else {
            continue;
        };
        match (field.shape, wire) {
            (Shape::Map, Wire::Bytes(entry)) => {
                let map = out.entry(field.name.clone()).or_insert_with(|| json!({}));
                let (key, value) = map_entry(&field.kind, entry, depth)?;
                map[key.as_str()] = value;
            }
            (Shape::List, wire) => {
                let value = scalar(&field.kind, wire, depth)?;
                let list = out.entry(field.name.clone()).or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(value);
                }
            }
            (Shape::Inline, wire) => {
                if let Value::Object(inner) = scalar(&field.kind, wire, depth)? {
                    out.extend(inner);
                }
            }
            (_, wire) => {
                let value = scalar(&field.kind, wire, depth)?;
                if !is_nothing(name, field, &value) {
                    out.insert(field.name.clone(), value);
                }
            }
        }
    }
    Ok(Value::Object(out))
}

/// Returns whether a value is only on the wire because its type always is.
fn is_nothing(message: &str, field: &Field, value: &Value) -> bool {
    let name = field.name.as_str();
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Bool(false) => !is_pointer(message, name),
        Value::Number(number) if number.as_i64() == Some(0) => {
            !is_pointer(message, name) && !PRESENT.contains(&(message, name))
        }
        _ => false,
    }
}

fn is_pointer(message: &str, name: &str) -> bool {
    POINTERS.contains(&format!(" {name} ")) || POINTERS_OF.contains(&(message, name))
}

fn scalar(kind: &Kind, wire: Wire<'_>, depth: usize) -> Result<Value, String> {
    Ok(match (kind, wire) {
        (Kind::Text, Wire::Bytes(bytes)) => utf8(bytes)?.into(),
        (Kind::Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Kind::Message(name), Wire::Bytes(bytes)) => message(name, bytes, depth)?,
        (Kind::Truth, Wire::Varint(value)) => (value != 0).into(),
        (Kind::Whole, Wire::Varint(value)) => value.cast_signed().into(),
        (Kind::Number, Wire::Fixed(bits)) => json!(f64::from_bits(bits)),
        _ => return Err("a field of the body has another type than its message says".to_owned()),
    })
}

fn map_entry(kind: &Kind, entry: &[u8], depth: usize) -> Result<(String, Value), String> {
    let mut key = String::new();
    let mut value = match kind {
        Kind::Message(name) => message(name, &[], depth)?,
        _ => "".into(),
    };
    for part in parts(entry) {
        match part? {
            (1, Wire::Bytes(text)) => key = utf8(text)?,
            (2, wire) => value = scalar(kind, wire, depth)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Returns the JSON of messages that are not objects in JSON; nothing for the others.
fn special(name: &str, bytes: &[u8]) -> Result<Option<Value>, String> {
    let mut numbers = [0i64; 3];
    let mut texts = [&[][..]; 4];
    let list = name.ends_with(".extravalue");
    if !list
        && !matches!(
            name,
            "meta.v1.time"
                | "meta.v1.microtime"
                | "meta.v1.duration"
                | "meta.v1.fieldsv1"
                | "resource.quantity"
                | "intstr.intorstring"
                | "runtime.rawextension"
        )
    {
        return Ok(None);
    }
    let mut items = Vec::new();
    for part in parts(bytes) {
        match part? {
            (tag @ 1..=2, Wire::Varint(number)) => {
                numbers[usize::try_from(tag).unwrap_or(0)] = number.cast_signed();
            }
            (1, Wire::Bytes(text)) if list => items.push(Value::from(utf8(text)?)),
            (tag @ 1..=3, Wire::Bytes(text)) => texts[usize::try_from(tag).unwrap_or(0)] = text,
            _ => {}
        }
    }
    let raw = |text: &[u8]| {
        if text.is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_slice(text).map_err(|e| e.to_string())
        }
    };
    let time = |form| {
        let nanos = u32::try_from(numbers[2]).unwrap_or(0);
        let moment = DateTime::from_timestamp(numbers[1], nanos);
        let text = moment.map(|m| m.to_rfc3339_opts(form, true));
        text.filter(|_| !bytes.is_empty())
            .map_or(Value::Null, Value::from)
    };
    Ok(Some(match name {
        _ if list => items.into(),
        "meta.v1.time" => time(SecondsFormat::Secs),
        "meta.v1.microtime" => time(SecondsFormat::Micros),
        "meta.v1.duration" => json!(format!("{}ns", numbers[1])),
        "meta.v1.fieldsv1" | "runtime.rawextension" => raw(texts[1])?,
        "intstr.intorstring" if numbers[1] == 0 => numbers[2].into(),
        "intstr.intorstring" => utf8(texts[3])?.into(),
        _ => utf8(texts[1])?.into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_without_what_is_empty() {
        let body = "azhzAAoPCgJ2MRIJQ29uZmlnTWFwEhoKEAoCcGISABoAIgAqADIAOAASBgoBeBIBMRoAIgA=";
        let got = decode(&STANDARD.decode(body).expect("base64")).expect("an object");
        let want = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "pb" }, "data": { "x": "1" },
        });
        assert_eq!(got, want);
    }

    #[test]
    fn a_body_that_is_cut_short_is_refused() {
        let body = STANDARD
            .decode("azhzAAoPCgJ2MRIJQ29uZmlnTWFwEhoKEAoCcGISABoA")
            .expect("base64");
        assert!(decode(&body).is_err());
        assert!(decode(b"{}").is_err());
    }

    #[test]
    fn every_message_that_a_field_names_is_in_the_table_or_special() {
        for (name, fields) in MESSAGES.iter() {
            for field in fields.values() {
                if let Kind::Message(inner) = &field.kind {
                    let known =
                        MESSAGES.contains_key(inner) || matches!(special(inner, &[]), Ok(Some(_)));
                    assert!(known, "{name}.{} is a {inner}", field.name);
                }
            }
        }
    }
}
