//! Puts in the defaults that a schema gives.
//!
//! A null where null is no value counts as absent when there is a default. Defaults are completed
//! from the schema too.

use serde_json::Value;

use super::tree::{Schema, Shape};

/// Puts in the defaults that `schema` gives for what is missing.
pub fn apply_defaults(schema: &Schema, value: &mut Value) {
    match (&schema.shape, value) {
        (Shape::Object { fields, .. }, Value::Object(map)) => {
            map.retain(|name, child| {
                !child.is_null()
                    || schema
                        .field(name)
                        .is_none_or(|known| known.nullable || known.default.is_none())
            });
            for (name, known) in fields {
                if let (Some(default), None) = (&known.default, map.get(name)) {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, child) in map.iter_mut() {
                if let Some(known) = schema.field(name) {
                    apply_defaults(known, child);
                }
            }
        }
        (Shape::List { items, .. }, Value::Array(list)) => {
            for item in list {
                apply_defaults(items, item);
            }
        }
        _ => {}
    }
}
