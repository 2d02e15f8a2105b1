//! Whether an object can be read into the types of Kubernetes at all.
//!
//! A server answers 400 where it cannot. Only types are looked at: unknown fields are pruned and
//! rules are checked elsewhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::quantity::canonical_quantity;
use crate::kinds::TypeInfo;
use crate::schema::{Schema, Shape};

/// Returns the type error that reading an object of a built-in kind would give, as Go words it.
pub fn decode(kind: &TypeInfo, value: &Value) -> Result<(), String> {
    walk(&kind.schema, value, &kind.kind, "")
}

fn walk(schema: &Schema, value: &Value, owner: &str, path: &str) -> Result<(), String> {
    let mismatch = |wanted: &str| Err(mismatch(value, owner, path, wanted));
    match (&schema.shape, value) {
        (_, Value::Null) | (Shape::Any, _) => Ok(()),
        (Shape::IntOrString, _) => int_or_string(schema, value, owner, path),
        (Shape::String, Value::String(text)) => match schema.format.as_str() {
            "byte" => bytes(text),
            "date-time" => time(text),
            _ => Ok(()),
        },
        (Shape::String, _) if schema.format == "byte" => mismatch("[]uint8"),
        (Shape::String, _) => mismatch("string"),
        (Shape::Boolean, Value::Bool(_)) | (Shape::Number, Value::Number(_)) => Ok(()),
        (Shape::Boolean, _) => mismatch("bool"),
        (Shape::Number, _) => mismatch("float64"),
        (Shape::Integer, _) => integer(schema, value, owner, path),
        (Shape::Object { fields, .. }, Value::Object(map)) => {
            for (name, child) in map {
                let Some(known) = schema.field(name) else {
                    continue;
                };
                let place = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                // Go names the struct that holds the field, and the map itself for its entries.
                if fields.is_empty() {
                    walk(known, child, owner, path)?;
                } else {
                    let own = schema.type_name();
                    walk(
                        known,
                        child,
                        if own.is_empty() { owner } else { own },
                        &place,
                    )?;
                }
            }
            Ok(())
        }
        (Shape::List { items, .. }, Value::Array(list)) => list
            .iter()
            .try_for_each(|item| walk(items, item, owner, path)),
        (Shape::Object { fields, .. }, _) if fields.is_empty() => mismatch("map[string]string"),
        (Shape::Object { .. }, _) => mismatch(&format!("v1.{}", schema.type_name())),
        (Shape::List { items, .. }, _) => mismatch(&format!("[]{}", element(items))),
    }
}

fn element(schema: &Schema) -> String {
    match (&schema.shape, schema.type_name()) {
        (Shape::String, _) => "string".to_owned(),
        (_, "") => "interface {}".to_owned(),
        (_, name) => format!("v1.{name}"),
    }
}

fn mismatch(value: &Value, owner: &str, path: &str, wanted: &str) -> String {
    let got = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if !wanted.starts_with("int") => {
            let _ = number;
            "number".to_owned()
        }
        Value::Number(number) => format!("number {number}"),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    format!("json: cannot unmarshal {got} into Go struct field {owner}.{path} of type {wanted}")
}

fn integer(schema: &Schema, value: &Value, owner: &str, path: &str) -> Result<(), String> {
    let wanted = if schema.format == "int32" {
        "int32"
    } else {
        "int64"
    };
    let fits = match value {
        Value::Number(number) => number
            .as_i64()
            .is_some_and(|whole| wanted == "int64" || i32::try_from(whole).is_ok()),
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(mismatch(value, owner, path, wanted))
    }
}

fn int_or_string(schema: &Schema, value: &Value, owner: &str, path: &str) -> Result<(), String> {
    let quantity = schema.type_name() == "Quantity";
    let known = match value {
        Value::String(text) if quantity => canonical_quantity(text.trim()).is_some(),
        Value::Number(_) if quantity => true,
        Value::String(_) => true,
        Value::Number(number) => number.as_i64().is_some(),
        _ => false,
    };
    match (known, quantity) {
        (true, _) => Ok(()),
        (false, true) => Err("quantities must match the regular expression \
             '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            .to_owned()),
        (false, false) => Err(mismatch(value, owner, path, "int32")),
    }
}

fn bytes(text: &str) -> Result<(), String> {
    match STANDARD.decode(text) {
        Ok(_) => Ok(()),
        Err(base64::DecodeError::InvalidByte(place, _)) => {
            Err(format!("illegal base64 data at input byte {place}"))
        }
        Err(_) => Err(format!(
            "illegal base64 data at input byte {}",
            text.len() / 4 * 4
        )),
    }
}

fn time(text: &str) -> Result<(), String> {
    match chrono::DateTime::parse_from_rfc3339(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!(
            "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::decode;
    use crate::kinds::builtin;

    #[test]
    fn wrong_types_are_named_as_go_names_them() {
        let cases = [
            (
                "Deployment",
                json!({ "spec": { "replicas": "three" } }),
                "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas \
                 of type int32",
            ),
            (
                "Deployment",
                json!({ "spec": { "template": { "spec": { "containers": [
                    { "resources": { "limits": { "cpu": "x" } } }
                ] } } } }),
                "quantities must match the regular expression \
                 '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            ),
            (
                "ConfigMap",
                json!({ "data": { "x": 1 } }),
                "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
            ),
            (
                "Secret",
                json!({ "data": { "k": "***" } }),
                "illegal base64 data at input byte 0",
            ),
        ];
        for (name, object, want) in cases {
            let rows = builtin();
            let row = rows.iter().find(|row| row.kind == name).unwrap();
            assert_eq!(decode(row, &object).unwrap_err(), want);
        }
    }

    #[test]
    fn objects_of_the_right_types_are_read() {
        let object = json!({
            "spec": { "replicas": 3, "strategy": { "rollingUpdate": { "maxSurge": "25%" } },
                "template": { "spec": { "containers": [
                    { "name": "a", "resources": { "limits": { "cpu": 1, "memory": "1Gi" } } }
                ] } } },
        });
        let rows = builtin();
        let row = rows.iter().find(|row| row.kind == "Deployment").unwrap();
        assert_eq!(decode(row, &object), Ok(()));
    }
}
