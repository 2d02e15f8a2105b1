//! JSON values into records, as Go's `encoding/json` does it.
//!
//! In: a value. Out: a record, or the name of the field whose type does not fit. Names match
//! without regard to case, null leaves the default, and unknown names are an error or ignored,
//! as the caller says. Whether a number may stand for a string is the caller's choice too.

use std::collections::BTreeMap;

use serde_json::Value;

/// What to do with a name that the record does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// An error; and a number is not a string.
    Refused,
    /// An error; numbers and booleans become strings where strings are wanted.
    RefusedConverting,
    /// Nothing; numbers and booleans become strings where strings are wanted.
    Ignored,
}

/// A type that a JSON value can be decoded into.
pub(crate) trait Decode: Sized + Default {
    /// Returns the record; the error names the field.
    fn decode(value: &Value, unknown: Unknown) -> Result<Self, String>;
}

/// Declares a record: its fields with their types and their names in JSON.
macro_rules! record {
    ($(#[$meta:meta])* $record:ident { $($field:ident: $type:ty = $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub(crate) struct $record {
            $(pub $field: $type,)*
        }

        impl $crate::decode::Decode for $record {
            fn decode(
                value: &serde_json::Value,
                unknown: $crate::decode::Unknown,
            ) -> Result<Self, String> {
                let mut record = Self::default();
                for (key, value) in $crate::decode::object(value)? {
                    match $crate::decode::known(key, &[$($name,)*]) {
                        $(Some($name) => {
                            record.$field = $crate::decode::field($name, value, unknown)?;
                        })*
                        _ => $crate::decode::refuse(key, unknown)?,
                    }
                }
                Ok(record)
            }
        }
    };
}
pub(crate) use record;

/// Decodes the value of a field.
pub(crate) fn field<T: Decode>(name: &str, value: &Value, unknown: Unknown) -> Result<T, String> {
    if value.is_null() {
        return Ok(T::default());
    }
    T::decode(value, unknown).map_err(|error| format!("{name}: {error}"))
}

/// Returns the name as the record spells it.
pub(crate) fn known(key: &str, names: &[&'static str]) -> Option<&'static str> {
    let exact = names.iter().find(|name| **name == key);
    exact
        .or_else(|| names.iter().find(|name| name.eq_ignore_ascii_case(key)))
        .copied()
}

/// Refuses an unknown name, or lets it be.
pub(crate) fn refuse(key: &str, unknown: Unknown) -> Result<(), String> {
    match unknown {
        Unknown::Refused | Unknown::RefusedConverting => Err(format!("unknown field {key:?}")),
        Unknown::Ignored => Ok(()),
    }
}

/// Returns the entries of an object; those of none for null.
pub(crate) fn object(value: &Value) -> Result<Vec<(&String, &Value)>, String> {
    match value {
        Value::Object(object) => Ok(object.iter().collect()),
        Value::Null => Ok(Vec::new()),
        other => Err(mismatch(other, "an object")),
    }
}

fn mismatch(value: &Value, wanted: &str) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    format!("expected {wanted}, found {found}")
}

impl Decode for String {
    fn decode(value: &Value, unknown: Unknown) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Bool(bool) if unknown != Unknown::Refused => Ok(bool.to_string()),
            Value::Number(number) if unknown != Unknown::Refused => Ok(match number.as_f64() {
                Some(float) if number.is_f64() => yaml::emit::go_float(float),
                _ => number.to_string(),
            }),
            other => Err(mismatch(other, "a string")),
        }
    }
}

impl Decode for bool {
    fn decode(value: &Value, _: Unknown) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| mismatch(value, "a boolean"))
    }
}

impl Decode for i64 {
    fn decode(value: &Value, _: Unknown) -> Result<Self, String> {
        value.as_i64().ok_or_else(|| mismatch(value, "an integer"))
    }
}

impl Decode for Value {
    fn decode(value: &Value, _: Unknown) -> Result<Self, String> {
        Ok(value.clone())
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(value: &Value, unknown: Unknown) -> Result<Self, String> {
        T::decode(value, unknown).map(Some)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(value: &Value, unknown: Unknown) -> Result<Self, String> {
        let Value::Array(items) = value else {
            return Err(mismatch(value, "a list"));
        };
        let items = items.iter().enumerate();
        items
            .map(|(at, item)| field(&format!("[{at}]"), item, unknown))
            .collect()
    }
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode(value: &Value, unknown: Unknown) -> Result<Self, String> {
        let entries = object(value)?.into_iter();
        entries
            .map(|(key, value)| Ok((key.clone(), field(key, value, unknown)?)))
            .collect()
    }
}
