//! Field sets: which fields of an object somebody owns, as trees of path elements.
//!
//! A set comes from the `FieldsV1` JSON of `metadata.managedFields`, from an applied object or from
//! comparing two objects; it goes out as that JSON again, byte for byte, or as paths in messages.
//! Pure; it knows nothing of schemas.

mod element;
mod json;
mod set;
#[cfg(test)]
mod tests;
mod value;

pub use element::{Path, PathElement};
pub use json::{FieldsError, write_go_json};
pub use set::FieldSet;
pub use value::{compare_values, quote, same_value, show_plain, show_value};
