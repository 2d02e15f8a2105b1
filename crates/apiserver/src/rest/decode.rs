//! From a request body to an object of a kind: media type, duplicate and unknown fields, kind.
//!
//! What strict validation refuses goes out as 400, what the default only mentions as warnings.

use bytes::Bytes;
use serde_json::Value;

use super::body::{self, Decoded};
use super::call::Call;
use super::query::{FieldValidation, quote};
use super::{protobuf, refuse};
use crate::error::{ApiError, FieldError};
use crate::kinds::TypeInfo;
use crate::{builtin, schema};

/// The body types of create and update.
const ACCEPTED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
/// The body types of create and update of custom resources.
const ACCEPTED_CUSTOM: &str = "application/json, application/yaml";

/// An object that was decoded.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) value: Value,
    pub(crate) warnings: Vec<String>,
}

/// Returns the value of a body; 415 for an unknown media type, 400 for what is not in its form.
pub(crate) fn value(call: &Call, bytes: &Bytes, custom: bool) -> Result<Decoded, ApiError> {
    match call.media_type() {
        "" | "application/json" => body::json(bytes).map_err(|e| refuse::bad(format!("{e}"))),
        protobuf::MEDIA if !custom => {
            let value = protobuf::decode(bytes)
                .map_err(|e| refuse::bad(format!("error decoding protobuf: {e}")))?;
            Ok(Decoded {
                value,
                duplicates: Vec::new(),
            })
        }
        "application/yaml" => {
            yaml(bytes).map_err(|e| refuse::bad(format!("error converting YAML to JSON: {e}")))
        }
        _ => Err(refuse::media(if custom {
            ACCEPTED_CUSTOM
        } else {
            ACCEPTED
        })),
    }
}

/// Returns the value of a YAML text; keys that stand twice are told as the YAML reader tells them.
///
/// An empty text is an empty object.
pub(crate) fn yaml(bytes: &Bytes) -> Result<Decoded, String> {
    // JSON is YAML, and most clients send it where YAML is allowed.
    if let Ok(decoded) = body::json(bytes)
        && decoded.duplicates.is_empty()
    {
        return Ok(decoded);
    }
    let text = std::str::from_utf8(bytes).map_err(|e| format!("yaml: {e}"))?;
    let mut documents = yaml::to_values(text)
        .map_err(|e| format!("yaml: {e}"))?
        .into_iter();
    let value = documents
        .next()
        .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let twice = yaml::to_values_strict(text).err();
    let duplicates = twice.map(|e| format!("line {}: {}", e.line, e.problem));
    Ok(Decoded {
        value,
        duplicates: duplicates.into_iter().collect(),
    })
}

/// Returns the object of an apply body, and warnings about keys that stand twice.
pub(crate) fn applied(
    bytes: &Bytes,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), ApiError> {
    let decoded = yaml(bytes).map_err(|e| {
        refuse::bad(format!(
            "error decoding patch: error converting YAML to JSON: {e}"
        ))
    })?;
    let duplicates = decoded.duplicates;
    if validation == FieldValidation::Strict && !duplicates.is_empty() {
        let text = format!(
            "error strict decoding patch: error converting YAML to JSON: yaml: unmarshal errors:\n  {}",
            duplicates.join("\n  ")
        );
        return Err(refuse::bad(text));
    }
    let what = match &decoded.value {
        Value::Object(_) => {
            let warns = validation == FieldValidation::Warn;
            return Ok((decoded.value, if warns { duplicates } else { Vec::new() }));
        }
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Null => "null",
    };
    Err(refuse::bad(format!(
        "error decoding patch: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal \
         {what} into Go value of type map[string]interface {{}}"
    )))
}

/// Returns the object of a create or update body, checked against its kind's schema.
pub(crate) fn object(
    kind: &TypeInfo,
    call: &Call,
    bytes: &Bytes,
    validation: FieldValidation,
) -> Result<Object, ApiError> {
    let decoded = value(call, bytes, kind.custom)?;
    let mut value = decoded.value;
    check_kind(kind, &mut value)?;
    if !kind.custom {
        builtin::decode(kind, &value).map_err(|why| {
            let (kind, version) = (&kind.kind, &kind.version);
            refuse::bad(format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: {why}"
            ))
        })?;
    }
    let warnings = check_fields(kind, &mut value, (bytes, decoded.duplicates), validation)?;
    Ok(Object { value, warnings })
}

/// Drops unknown fields; returns warnings about them and about duplicates, or 400 when strict.
pub(crate) fn check_fields(
    kind: &TypeInfo,
    value: &mut Value,
    (text, duplicates): (&[u8], Vec<String>),
    validation: FieldValidation,
) -> Result<Vec<String>, ApiError> {
    let twice = duplicates.into_iter().map(|f| ("duplicate", f));
    let unknown = schema::prune(&kind.schema, value)
        .into_iter()
        .map(|f| ("unknown", f));
    let mut faults: Vec<(&str, String)> = twice.chain(unknown).collect();
    if faults.len() > 1 {
        // Upstream tells them in the order of the body.
        let order = body::fields(text);
        faults.sort_by_key(|(_, field)| order.iter().position(|f| f == field));
    }
    let faults: Vec<String> = faults
        .iter()
        .map(|(what, field)| format!("{what} field {}", quote(field)))
        .collect();
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(faults),
        FieldValidation::Strict if faults.is_empty() => Ok(Vec::new()),
        FieldValidation::Strict => {
            let list = faults.join(", ");
            let (kind, version) = (&kind.kind, &kind.version);
            let text = format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {list}"
            );
            Err(refuse::bad(text))
        }
    }
}

fn check_kind(kind: &TypeInfo, value: &mut Value) -> Result<(), ApiError> {
    let Some(map) = value.as_object_mut() else {
        return Err(refuse::bad("the body is not an object"));
    };
    let text = |field: &str| {
        map.get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (api_version, name) = (text("apiVersion"), text("kind"));
    let expected = kind.api_version();
    if kind.custom {
        check_custom_kind(kind, map, &api_version, &name)?;
    } else if !(api_version.is_empty() || api_version == expected)
        || !(name.is_empty() || name == kind.kind)
    {
        let version = api_version.rsplit('/').next().unwrap_or_default();
        let known = api_version == expected && KNOWN.contains(&name.as_str());
        let why = if known {
            format!(
                "converting ({version}.{name}) to (core.{}): unknown conversion",
                kind.kind
            )
        } else {
            format!(
                "no kind {name:?} is registered for version {api_version:?} in scheme \"apiserver\""
            )
        };
        let text = format!(
            "{name} in version {version:?} cannot be handled as a {}: {why}",
            kind.kind
        );
        return Err(refuse::bad(text));
    }
    map.insert("apiVersion".to_owned(), expected.into());
    map.insert("kind".to_owned(), kind.kind.clone().into());
    Ok(())
}

/// Kinds of core that a body can name by mistake.
const KNOWN: [&str; 8] = [
    "ConfigMap",
    "Secret",
    "Service",
    "Pod",
    "Namespace",
    "ServiceAccount",
    "Event",
    "Node",
];

fn check_custom_kind(
    kind: &TypeInfo,
    map: &serde_json::Map<String, Value>,
    api_version: &str,
    name: &str,
) -> Result<(), ApiError> {
    let expected = kind.api_version();
    if api_version != expected {
        let text = format!(
            "the API version in the data ({api_version}) does not match the expected API version ({expected})"
        );
        return Err(refuse::bad(text));
    }
    if name != kind.kind {
        let error = FieldError {
            field: "kind".to_owned(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {}: must be {}", quote(name), kind.kind),
        };
        let object = map
            .get("metadata")
            .and_then(|m| m.get("name"))
            .and_then(Value::as_str);
        return Err(refuse::invalid_as(
            &kind.group,
            name,
            object.unwrap_or_default(),
            &[error],
        ));
    }
    Ok(())
}
