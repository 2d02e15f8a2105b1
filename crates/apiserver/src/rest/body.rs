//! Request bodies: bounded reading, and JSON that says which fields it holds twice.
//!
//! Bytes come in, a value and the paths of duplicate fields go out. Nesting is bounded by the
//! parser, size by [`BODY_BYTES_MAX`].

use std::cell::RefCell;
use std::fmt;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::refuse;
use crate::error::ApiError;

/// The largest request body.
pub(crate) const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// A decoded body.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) value: Value,
    /// Paths of fields that stand there twice; the last one counts.
    pub(crate) duplicates: Vec<String>,
}

/// Reads a body; 413 when it is larger than [`BODY_BYTES_MAX`].
pub(crate) async fn read(body: axum::body::Body) -> Result<Bytes, ApiError> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let text = format!("Request entity too large: limit is {BODY_BYTES_MAX}");
            Err(ApiError::new(413, "RequestEntityTooLarge", text))
        }
        Err(error) => Err(refuse::bad(format!("read the body: {error}"))),
    }
}

/// Returns the JSON value of a text and the fields it holds twice.
pub(crate) fn json(text: &[u8]) -> Result<Decoded, serde_json::Error> {
    let duplicates = RefCell::new(Vec::new());
    let mut reader = serde_json::Deserializer::from_slice(text);
    let root = Node {
        at: &Place::Root,
        duplicates: &duplicates,
        fields: None,
    };
    let value = root.deserialize(&mut reader)?;
    reader.end()?;
    Ok(Decoded {
        value,
        duplicates: duplicates.into_inner(),
    })
}

/// Returns the paths of all fields of a JSON text in its order; nothing when it is not JSON.
pub(crate) fn fields(text: &[u8]) -> Vec<String> {
    let (duplicates, fields) = (RefCell::default(), RefCell::default());
    let mut reader = serde_json::Deserializer::from_slice(text);
    let root = Node {
        at: &Place::Root,
        duplicates: &duplicates,
        fields: Some(&fields),
    };
    match root.deserialize(&mut reader) {
        Ok(_) => fields.into_inner(),
        Err(_) => Vec::new(),
    }
}

enum Place<'a> {
    Root,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Root => Ok(()),
            Place::Field(Place::Root, name) => f.write_str(name),
            Place::Field(parent, name) => write!(f, "{parent}.{name}"),
            Place::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

struct Node<'a> {
    at: &'a Place<'a>,
    duplicates: &'a RefCell<Vec<String>>,
    fields: Option<&'a RefCell<Vec<String>>>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let at = Place::Item(self.at, list.len());
            let node = Node { at: &at, ..self };
            match items.next_element_seed(node)? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let at = Place::Field(self.at, &key);
            if map.contains_key(&key) {
                self.duplicates.borrow_mut().push(at.to_string());
            }
            if let Some(seen) = self.fields {
                seen.borrow_mut().push(at.to_string());
            }
            let value = fields.next_value_seed(Node { at: &at, ..self })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_stand_twice_are_named_and_the_last_one_counts() {
        let got = json(br#"{"a":{"x":1,"x":2},"l":[{"y":1,"y":1}]}"#).expect("json");
        assert_eq!(got.duplicates, ["a.x", "l[0].y"]);
        assert_eq!(got.value["a"]["x"], 2);
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(json(deep.as_bytes()).is_err());
    }

    #[tokio::test]
    async fn a_body_above_the_limit_is_refused() {
        let body = axum::body::Body::from(vec![b' '; BODY_BYTES_MAX + 1]);
        assert_eq!(read(body).await.expect_err("too large").code, 413);
    }
}
