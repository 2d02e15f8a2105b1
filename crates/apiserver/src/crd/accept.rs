//! Completes a definition and sets its status, as the API server's own controllers do.
//!
//! Names are checked against nothing else here: two definitions of one kind in one group are for
//! the caller to refuse.

use serde_json::{Map, Value, json};

use super::structural;
use crate::error::FieldError;
use crate::schema::Path;

/// Completes a definition and sets its conditions, accepted names and stored versions.
///
/// `old` is the stored definition on an update, `now` a timestamp in RFC 3339. Fails with what is
/// wrong.
pub fn accept(crd: &mut Value, old: Option<&Value>, now: &str) -> Result<(), Vec<FieldError>> {
    complete(crd);
    let found = check(crd, old);
    if !found.is_empty() {
        return Err(found);
    }
    set_status(crd, old, now);
    Ok(())
}

/// Puts in the defaults: singular, list kind, conversion.
fn complete(crd: &mut Value) {
    let Some(spec) = crd.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    if spec.get("conversion").is_none_or(Value::is_null) {
        spec.insert("conversion".to_owned(), json!({ "strategy": "None" }));
    }
    let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) else {
        return;
    };
    let kind = text(names, "kind");
    if kind.is_empty() {
        return;
    }
    for (key, value) in [
        ("singular", kind.to_lowercase()),
        ("listKind", format!("{kind}List")),
    ] {
        if text(names, key).is_empty() {
            names.insert(key.to_owned(), value.into());
        }
    }
}

fn text(map: &Map<String, Value>, key: &str) -> String {
    map.get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn finding(field: &str, reason: &'static str, message: String) -> FieldError {
    FieldError {
        field: field.to_owned(),
        reason,
        message,
    }
}

fn check(crd: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut found = Vec::new();
    let spec = &crd["spec"];
    let (plural, group) = (&spec["names"]["plural"], &spec["group"]);
    for (field, value) in [
        ("spec.group", group),
        ("spec.names.plural", plural),
        ("spec.names.kind", &spec["names"]["kind"]),
    ] {
        if value.as_str().unwrap_or_default().is_empty() {
            found.push(finding(
                field,
                "FieldValueRequired",
                "Required value".to_owned(),
            ));
        }
    }
    let want = format!(
        "{}.{}",
        plural.as_str().unwrap_or_default(),
        group.as_str().unwrap_or_default()
    );
    let name = &crd["metadata"]["name"];
    if old.is_none() && *name != want.as_str() {
        let message = format!("Invalid value: {name}: must be spec.names.plural+\".\"+spec.group");
        found.push(finding("metadata.name", "FieldValueInvalid", message));
    }
    check_scope(spec, &mut found);
    check_conversion(spec, &mut found);
    check_versions(spec, &mut found);
    if let Some(old) = old {
        check_unchanged(&old["spec"], spec, &mut found);
        check_stored(&old["status"], spec, &mut found);
    }
    found
}

fn check_scope(spec: &Value, found: &mut Vec<FieldError>) {
    match spec["scope"].as_str() {
        Some("Namespaced" | "Cluster") => {}
        None | Some("") => found.push(finding(
            "spec.scope",
            "FieldValueRequired",
            "Required value".to_owned(),
        )),
        Some(other) => found.push(finding(
            "spec.scope",
            "FieldValueNotSupported",
            format!(
                "Unsupported value: {}: supported values: \"Cluster\", \"Namespaced\"",
                Value::from(other)
            ),
        )),
    }
}

fn check_conversion(spec: &Value, found: &mut Vec<FieldError>) {
    let strategy = &spec["conversion"]["strategy"];
    if *strategy != "None" {
        found.push(finding(
            "spec.conversion.strategy",
            "FieldValueNotSupported",
            format!("Unsupported value: {strategy}: supported values: \"None\""),
        ));
    }
    if spec["preserveUnknownFields"] == true {
        found.push(finding(
            "spec.preserveUnknownFields",
            "FieldValueInvalid",
            "Invalid value: true: must be false in order to use defaults in the schema".to_owned(),
        ));
    }
}

fn check_versions(spec: &Value, found: &mut Vec<FieldError>) {
    let versions = spec["versions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let stored = versions.iter().filter(|it| it["storage"] == true).count();
    if versions.is_empty() || stored != 1 {
        let shown: Vec<Value> = versions.iter().map(go_version).collect();
        let message = format!(
            "Invalid value: {}: must have exactly one version marked as storage version",
            ordered(&shown)
        );
        found.push(finding("spec.versions", "FieldValueInvalid", message));
        let stored = "Invalid value: null: must have at least one stored version";
        found.push(finding(
            "status.storedVersions",
            "FieldValueInvalid",
            stored.to_owned(),
        ));
    }
    // With one version Kubernetes reports on the place where older definitions kept the schema.
    let single = versions.len() == 1;
    for (index, version) in versions.iter().enumerate() {
        let place = Path::of("spec.versions").index(index);
        let schema = &version["schema"]["openAPIV3Schema"];
        let schema_place = if single {
            Path::of("spec.validation.openAPIV3Schema")
        } else {
            place.child("schema").child("openAPIV3Schema")
        };
        if schema.is_object() {
            structural::check(schema, &schema_place, found);
        } else {
            let field = place.child("schema").child("openAPIV3Schema");
            found.push(finding(
                field.as_str(),
                "FieldValueRequired",
                "Required value".to_owned(),
            ));
        }
        structural::check_columns(version, &place, found);
    }
}

/// Returns a version with the fields that Go's type has, for a message.
fn go_version(version: &Value) -> Value {
    json!([
        version["name"],
        version["served"] == true,
        version["storage"] == true,
        version["deprecated"] == true,
        version["deprecationWarning"],
    ])
}

/// Returns the versions as Go's JSON shows them: fields in the order of the type.
fn ordered(versions: &[Value]) -> String {
    let shown: Vec<String> = versions
        .iter()
        .map(|version| {
            format!(
                "{{\"Name\":{},\"Served\":{},\"Storage\":{},\"Deprecated\":{},\
                 \"DeprecationWarning\":{},\"Schema\":null,\"Subresources\":null,\
                 \"AdditionalPrinterColumns\":null,\"SelectableFields\":null}}",
                version[0], version[1], version[2], version[3], version[4]
            )
        })
        .collect();
    format!("[{}]", shown.join(","))
}

fn check_unchanged(old: &Value, new: &Value, found: &mut Vec<FieldError>) {
    for (field, pointer) in [
        ("spec.group", "/group"),
        ("spec.scope", "/scope"),
        ("spec.names.plural", "/names/plural"),
        ("spec.names.kind", "/names/kind"),
    ] {
        let (before, after) = (old.pointer(pointer), new.pointer(pointer));
        if before != after {
            let shown = after.unwrap_or(&Value::Null);
            let message = format!("Invalid value: {shown}: field is immutable");
            found.push(finding(field, "FieldValueInvalid", message));
        }
    }
}

/// Reports versions that go away although objects may be stored in them.
fn check_stored(status: &Value, spec: &Value, found: &mut Vec<FieldError>) {
    let known = spec["versions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let stored = status["storedVersions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for (index, version) in stored.iter().enumerate() {
        if known.iter().any(|it| it["name"] == *version) {
            continue;
        }
        let name = version.as_str().unwrap_or_default();
        let message = format!(
            "Invalid value: {version}: missing from spec.versions; {name} was previously a storage \
             version, and must remain in spec.versions until a storage migration ensures no data \
             remains persisted in {name} and removes {name} from status.storedVersions"
        );
        let place = format!("status.storedVersions[{index}]");
        found.push(finding(&place, "FieldValueInvalid", message));
    }
}

fn set_status(crd: &mut Value, old: Option<&Value>, now: &str) {
    let names = crd["spec"]["names"].clone();
    let storage = crd["spec"]["versions"]
        .as_array()
        .and_then(|versions| versions.iter().find(|it| it["storage"] == true))
        .map_or(Value::Null, |version| version["name"].clone());
    let before = old.map(|old| old["status"].clone()).unwrap_or_default();
    let mut stored = before["storedVersions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if !stored.contains(&storage) {
        stored.push(storage);
    }
    let mut conditions = before["conditions"].as_array().cloned().unwrap_or_default();
    for (kind, reason, message) in [
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        (
            "Established",
            "InitialNamesAccepted",
            "the initial names have been accepted",
        ),
    ] {
        set_condition(&mut conditions, kind, reason, message, now);
    }
    crd["status"] = json!({
        "conditions": conditions, "acceptedNames": names, "storedVersions": stored,
    });
}

fn set_condition(conditions: &mut Vec<Value>, kind: &str, reason: &str, message: &str, now: &str) {
    if conditions
        .iter()
        .any(|it| it["type"] == kind && it["status"] == "True")
    {
        return;
    }
    conditions.retain(|it| it["type"] != kind);
    conditions.push(json!({
        "type": kind, "status": "True", "lastTransitionTime": now, "reason": reason,
        "message": message,
    }));
}
