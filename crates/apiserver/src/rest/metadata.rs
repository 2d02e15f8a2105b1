//! Validation of `metadata`: names, labels, annotations, finalizers and owner references.
//!
//! Pure; the texts are upstream's.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::query::quote;
use crate::error::FieldError;
use crate::kinds::TypeInfo;

const ANNOTATIONS_BYTES_MAX: usize = 262_144;
const LABEL_BYTES_MAX: usize = 63;
const SUBDOMAIN_BYTES_MAX: usize = 253;

const QUALIFIED: &str = "consist of alphanumeric characters, '-', '_' or '.', and must start and end \
    with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
    validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters \
    or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', \
    regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric \
    characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
    'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

static QUALIFIED_NAME: LazyLock<Regex> =
    LazyLock::new(|| regex("^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$"));
static SUBDOMAIN_NAME: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"));
static LABEL_NAME: LazyLock<Regex> = LazyLock::new(|| regex("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("because the pattern is a constant that a test compiles")
}

/// Which rule a kind's names follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameRule {
    Subdomain,
    Label,
    PathSegment,
}

fn name_rule(kind: &TypeInfo) -> NameRule {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "namespaces" | "services") => NameRule::Label,
        ("rbac.authorization.k8s.io", _) => NameRule::PathSegment,
        _ => NameRule::Subdomain,
    }
}

/// Returns what is wrong with the metadata of an object; `old` is the stored one on an update.
pub(crate) fn validate(kind: &TypeInfo, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let empty = Map::new();
    let meta = object
        .get("metadata")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let text = |field: &str| meta.get(field).and_then(Value::as_str).unwrap_or_default();
    check_name(kind, text("name"), text("generateName"), &mut errors);
    check_keys(meta.get("labels"), "metadata.labels", true, &mut errors);
    check_annotations(meta.get("annotations"), &mut errors);
    check_owners(meta.get("ownerReferences"), &mut errors);
    check_finalizers(kind, meta.get("finalizers"), &mut errors);
    check_new_finalizers(object, old, &mut errors);
    errors
}

fn finalizers(object: &Value) -> Vec<&str> {
    let list = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// An object that is being deleted can only lose finalizers.
fn check_new_finalizers(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let Some(old) = old.filter(|old| old.pointer("/metadata/deletionTimestamp").is_some()) else {
        return;
    };
    let before = finalizers(old);
    let new: Vec<String> = finalizers(object)
        .into_iter()
        .filter(|f| !before.contains(f))
        .map(quote)
        .collect();
    if !new.is_empty() {
        let why =
            "no new finalizers can be added if the object is being deleted, found new finalizers";
        errors.push(FieldError {
            field: "metadata.finalizers".to_owned(),
            reason: "FieldValueForbidden",
            message: format!("Forbidden: {why} []string{{{}}}", new.join(", ")),
        });
    }
}

fn invalid(field: &str, value: &str, why: &str) -> FieldError {
    FieldError {
        field: field.to_owned(),
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {}: {why}", quote(value)),
    }
}

fn required(field: impl Into<String>, why: &str) -> FieldError {
    FieldError {
        field: field.into(),
        reason: "FieldValueRequired",
        message: format!("Required value: {why}"),
    }
}

fn check_name(kind: &TypeInfo, name: &str, generate: &str, errors: &mut Vec<FieldError>) {
    if name.is_empty() {
        if generate.is_empty() {
            errors.push(required(
                "metadata.name",
                "name or generateName is required",
            ));
        }
        return;
    }
    for why in name_faults(name_rule(kind), name) {
        errors.push(invalid("metadata.name", name, why));
    }
}

fn name_faults(rule: NameRule, name: &str) -> Vec<&'static str> {
    match rule {
        NameRule::Subdomain => {
            let mut faults = Vec::new();
            if name.len() > SUBDOMAIN_BYTES_MAX {
                faults.push("must be no more than 253 characters");
            }
            if !SUBDOMAIN_NAME.is_match(name) {
                faults.push(SUBDOMAIN);
            }
            faults
        }
        NameRule::Label => {
            let mut faults = Vec::new();
            if name.len() > LABEL_BYTES_MAX {
                faults.push("must be no more than 63 characters");
            }
            if !LABEL_NAME.is_match(name) {
                faults.push(if name.contains('.') {
                    "must not contain dots"
                } else {
                    LABEL
                });
            }
            faults
        }
        NameRule::PathSegment => match name {
            "." => vec!["may not be '.'"],
            ".." => vec!["may not be '..'"],
            _ if name.contains('/') => vec!["may not contain '/'"],
            _ if name.contains('%') => vec!["may not contain '%'"],
            _ => Vec::new(),
        },
    }
}

/// Returns what is wrong with a qualified name such as `example.com/key`.
fn qualified_faults(name: &str) -> Vec<String> {
    let parts: Vec<&str> = name.split('/').collect();
    let mut faults = Vec::new();
    let plain = match parts.as_slice() {
        [plain] => plain,
        [prefix, plain] => {
            if prefix.is_empty() {
                faults.push("prefix part must be non-empty".to_owned());
            } else if !SUBDOMAIN_NAME.is_match(prefix) {
                faults.push(format!("prefix part {SUBDOMAIN}"));
            } else if prefix.len() > SUBDOMAIN_BYTES_MAX {
                faults.push("prefix part must be no more than 253 bytes".to_owned());
            }
            plain
        }
        _ => {
            let tail = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key must {QUALIFIED} {tail}")];
        }
    };
    if plain.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if plain.len() > LABEL_BYTES_MAX {
        faults.push("name part must be no more than 63 bytes".to_owned());
    }
    if !QUALIFIED_NAME.is_match(plain) {
        faults.push(format!("name part must {QUALIFIED}"));
    }
    faults
}

fn check_keys(map: Option<&Value>, field: &str, values_too: bool, errors: &mut Vec<FieldError>) {
    for (key, value) in map.and_then(Value::as_object).into_iter().flatten() {
        let name = if values_too {
            key.clone()
        } else {
            key.to_lowercase()
        };
        for why in qualified_faults(&name) {
            errors.push(invalid(field, key, &why));
        }
        let value = value.as_str().unwrap_or_default();
        if values_too && value.len() > LABEL_BYTES_MAX {
            errors.push(invalid(field, value, "must be no more than 63 bytes"));
        } else if values_too && !value.is_empty() && !QUALIFIED_NAME.is_match(value) {
            errors.push(invalid(field, value, LABEL_VALUE));
        }
    }
}

fn check_annotations(annotations: Option<&Value>, errors: &mut Vec<FieldError>) {
    check_keys(annotations, "metadata.annotations", false, errors);
    let pairs = annotations.and_then(Value::as_object).into_iter().flatten();
    let size: usize = pairs
        .map(|(k, v)| k.len() + v.as_str().map_or(0, str::len))
        .sum();
    if size > ANNOTATIONS_BYTES_MAX {
        errors.push(FieldError {
            field: "metadata.annotations".to_owned(),
            reason: "FieldValueTooLong",
            message: format!("Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes"),
        });
    }
}

fn check_owners(owners: Option<&Value>, errors: &mut Vec<FieldError>) {
    let list = owners
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let mut controllers = Vec::new();
    for (index, owner) in list.iter().enumerate() {
        let at = format!("metadata.ownerReferences[{index}]");
        let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
        let version = text("apiVersion");
        if version.is_empty() {
            errors.push(invalid(
                &format!("{at}.apiVersion"),
                "",
                "version must not be empty",
            ));
        }
        for (field, why) in [
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(field).is_empty() {
                errors.push(required(format!("{at}.{field}"), why));
            }
        }
        if owner.get("controller").and_then(Value::as_bool) == Some(true) {
            controllers.push(format!("{}/{}", text("kind"), text("name")));
        }
    }
    if let [first, second, ..] = controllers.as_slice() {
        let why = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"
        );
        let shown: Vec<String> = list.iter().map(owner_text).collect();
        errors.push(FieldError {
            field: "metadata.ownerReferences".to_owned(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: [{}]: {why}", shown.join(",")),
        });
    }
}

/// Returns an owner reference with its fields in the order of Kubernetes' type.
fn owner_text(owner: &Value) -> String {
    let fields = [
        "apiVersion",
        "kind",
        "name",
        "uid",
        "controller",
        "blockOwnerDeletion",
    ];
    let one = |field: &&str| owner.get(*field).map(|v| format!("\"{field}\":{v}"));
    format!(
        "{{{}}}",
        fields.iter().filter_map(one).collect::<Vec<_>>().join(",")
    )
}

fn check_finalizers(kind: &TypeInfo, finalizers: Option<&Value>, errors: &mut Vec<FieldError>) {
    let list = finalizers
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    for (index, finalizer) in list.iter().enumerate() {
        let name = finalizer.as_str().unwrap_or_default();
        for why in qualified_faults(name) {
            errors.push(invalid("metadata.finalizers", name, &why));
        }
        let standard = matches!(name, "orphan" | "foregroundDeletion" | "kubernetes");
        if !kind.custom && !standard && !name.contains('/') {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(invalid(&format!("metadata.finalizers[{index}]"), name, why));
        }
    }
}

/// Drops owner references whose uid stands there twice; returns the warning about them.
pub(crate) fn drop_duplicate_owners(object: &mut Value) -> Option<String> {
    let owners = object
        .pointer_mut("/metadata/ownerReferences")?
        .as_array_mut()?;
    let mut seen = std::collections::BTreeSet::new();
    let mut doubled = std::collections::BTreeSet::new();
    owners.retain(|owner| {
        let uid = owner
            .get("uid")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if seen.insert(uid.clone()) {
            return true;
        }
        doubled.insert(uid);
        false
    });
    if doubled.is_empty() {
        return None;
    }
    let uids: Vec<String> = doubled.into_iter().collect();
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references \
         in 1.20+, and may reject such requests as early as 1.24; please fix your requests; \
         duplicate UID(s) observed: {}",
        uids.join(", ")
    ))
}

/// Returns the warnings about finalizers without a path, which only custom resources may have.
pub(crate) fn finalizer_warnings(
    kind: &TypeInfo,
    object: &Value,
    old: Option<&Value>,
) -> Vec<String> {
    if !kind.custom {
        return Vec::new();
    }
    let before = old.map(finalizers).unwrap_or_default();
    let new = finalizers(object);
    let odd = new.iter().filter(|name| {
        !name.contains('/')
            && !before.contains(name)
            && !matches!(**name, "orphan" | "foregroundDeletion")
    });
    odd.map(|name| {
        format!(
            "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name including a \
             path (/) to avoid accidental conflicts with other finalizer writers"
        )
    })
    .collect()
}
