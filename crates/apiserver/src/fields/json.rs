//! `FieldsV1`: a field set as the JSON of `metadata.managedFields[].fieldsV1`.
//!
//! `f:name` is a field, `k:{…}` a list item by key, `v:…` a set item, `i:…` an index; `{}` closes a
//! member, and `".": {}` says that an element with children is a member too. Elements of kinds that
//! are not known are passed over, as a later writer may know more.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::element::PathElement;
use super::set::FieldSet;

/// What is wrong with a `FieldsV1`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FieldsError(String);

impl FieldSet {
    /// Returns the set that a `FieldsV1` value describes; fails on keys that are not path elements.
    pub fn from_json(fields: &Value) -> Result<Self, FieldsError> {
        match fields {
            Value::Null => Ok(Self::default()),
            Value::Object(map) => Ok(read(map)?.0),
            _ => Err(FieldsError("fieldsV1 is not an object".to_owned())),
        }
    }

    /// Returns the set as a `FieldsV1` value.
    pub fn to_json(&self) -> Value {
        Value::Object(self.to_map(false))
    }

    /// Returns the set as `FieldsV1` text, in the order and with the escapes of Kubernetes.
    pub fn to_json_text(&self) -> String {
        let mut out = String::new();
        self.write_text(false, &mut out);
        out
    }

    fn to_map(&self, is_member: bool) -> Map<String, Value> {
        let mut map = Map::new();
        if is_member {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        self.each(|element, member, child| {
            let below = child.map_or_else(Map::new, |set| set.to_map(member));
            map.insert(write_element(element), Value::Object(below));
        });
        map
    }

    fn write_text(&self, is_member: bool, out: &mut String) {
        out.push('{');
        let mut first = true;
        if is_member {
            out.push_str("\".\":{}");
            first = false;
        }
        self.each(|element, member, child| {
            if !first {
                out.push(',');
            }
            first = false;
            write_string(&write_element(element), out, false);
            out.push(':');
            match child {
                Some(set) => set.write_text(member, out),
                None => out.push_str("{}"),
            }
        });
        out.push('}');
    }

    /// Calls `each` for every element of this level in order: whether it is a member, what is below.
    fn each(&self, mut each: impl FnMut(&PathElement, bool, Option<&FieldSet>)) {
        let mut members = self.members().iter().peekable();
        for (element, set) in self.children().iter().filter(|(_, set)| !set.is_empty()) {
            while let Some(member) = members.next_if(|m| *m < element) {
                each(member, true, None);
            }
            let is_member = members.next_if(|m| *m == element).is_some();
            each(element, is_member, Some(set));
        }
        members.for_each(|member| each(member, true, None));
    }
}

/// Returns the set below a key, and whether that key is itself a member.
fn read(map: &Map<String, Value>) -> Result<(FieldSet, bool), FieldsError> {
    let (mut members, mut children) = (Vec::new(), Vec::new());
    let mut is_member = false;
    for (key, below) in map {
        if key == "." {
            is_member = true;
            continue;
        }
        let Some(element) = read_element(key)? else {
            continue;
        };
        let Value::Object(below) = below else {
            return Err(FieldsError(format!(
                "the value of {key:?} is not an object"
            )));
        };
        let (set, member) = read(below)?;
        if member {
            members.push(element.clone());
        }
        if !set.is_empty() {
            children.push((element, Arc::new(set)));
        }
    }
    is_member |= members.is_empty() && children.is_empty();
    Ok((FieldSet::node(members, children), is_member))
}

/// Returns the element that a key spells, or nothing where its kind is not known.
fn read_element(key: &str) -> Result<Option<PathElement>, FieldsError> {
    let fail = |what: String| FieldsError(format!("{what} in the key {key:?}"));
    let Some((kind, rest)) = key.split_at_checked(1).filter(|_| key.len() >= 2) else {
        return Err(fail("less than two characters".to_owned()));
    };
    let Some(text) = rest.strip_prefix(':') else {
        return Err(fail("no colon after the first character".to_owned()));
    };
    Ok(Some(match kind {
        "f" => PathElement::field(text),
        "v" => {
            let value = serde_json::from_str(text).map_err(|e| fail(e.to_string()))?;
            PathElement::value(value)
        }
        "k" => {
            let map: Map<String, Value> =
                serde_json::from_str(text).map_err(|e| fail(e.to_string()))?;
            let fields = map.into_iter().map(|(name, v)| (Arc::from(name), v));
            PathElement::key(fields.collect())
        }
        "i" => PathElement::Index(text.parse().map_err(|_| fail("no number".to_owned()))?),
        _ => return Ok(None),
    }))
}

fn write_element(element: &PathElement) -> String {
    match element {
        PathElement::Field(name) => format!("f:{name}"),
        PathElement::Key(fields) => {
            let mut out = String::from("k:{");
            for (i, (name, value)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(name, &mut out, false);
                out.push(':');
                write_go_json(value, &mut out);
            }
            out.push('}');
            out
        }
        PathElement::Value(value) => {
            let mut out = String::from("v:");
            write_go_json(value, &mut out);
            out
        }
        PathElement::Index(index) => format!("i:{index}"),
    }
}

/// Writes a value as Go does: keys sorted, no blanks, `<`, `>` and `&` escaped.
pub fn write_go_json(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => write_string(text, out, true),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_go_json(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (i, (key, value)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(key, out, true);
                out.push(':');
                write_go_json(value, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Writes a JSON string as Go does; values, unlike names, also escape what HTML would read.
fn write_string(text: &str, out: &mut String, html: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if html => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
