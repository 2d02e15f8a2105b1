//! Finds and removes the fields that a schema does not name.
//!
//! Paths go out in the order of the value. A value of the wrong type is left for validation. Nulls
//! where null is no value count as absent and are removed without a word.

use serde_json::Value;

use super::path::Path;
use super::tree::{Schema, Shape};

/// Removes the fields that `schema` does not name, and returns their paths.
pub fn prune(schema: &Schema, value: &mut Value) -> Vec<String> {
    let mut found = Vec::new();
    walk_mut(schema, value, &Path::root(), &mut found);
    found
}

/// Returns the paths of the fields that `schema` does not name.
pub fn unknown(schema: &Schema, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(schema, value, &Path::root(), &mut found);
    found
}

fn walk_mut(schema: &Schema, value: &mut Value, path: &Path, found: &mut Vec<String>) {
    match (&schema.shape, value) {
        (Shape::Object { .. }, Value::Object(map)) => {
            map.retain(|name, child| !(child.is_null() && drops_null(schema, name)));
            map.retain(|name, child| {
                let place = path.child(name);
                if let Some(known) = schema.field(name) {
                    walk_mut(known, child, &place, found);
                } else if !schema.preserve_unknown {
                    found.push(place.as_str().to_owned());
                    return false;
                }
                true
            });
        }
        (Shape::List { items, .. }, Value::Array(list)) => {
            for (index, item) in list.iter_mut().enumerate() {
                walk_mut(items, item, &path.index(index), found);
            }
        }
        _ => {}
    }
}

/// Returns whether a null in this field counts as absent.
fn drops_null(schema: &Schema, name: &str) -> bool {
    schema.has_field(name)
        && schema.field(name).is_some_and(|known| {
            !known.nullable && known.default.is_none() && !matches!(known.shape, Shape::Any)
        })
}

fn walk(schema: &Schema, value: &Value, path: &Path, found: &mut Vec<String>) {
    match (&schema.shape, value) {
        (Shape::Object { .. }, Value::Object(map)) => {
            for (name, child) in map {
                match schema.field(name) {
                    Some(known) => walk(known, child, &path.child(name), found),
                    None if schema.preserve_unknown => {}
                    None => found.push(path.child(name).as_str().to_owned()),
                }
            }
        }
        (Shape::List { items, .. }, Value::Array(list)) => {
            for (index, item) in list.iter().enumerate() {
                walk(items, item, &path.index(index), found);
            }
        }
        _ => {}
    }
}
