//! One row for each served kind and version: how it is named, stored, printed and typed.
//!
//! Built-in rows come from a table; rows of custom resources are compiled from their
//! CustomResourceDefinition. Rows are immutable and shared; a changed definition makes new rows.

mod definitions;
mod row;
mod table;

pub use row::{Column, Scale, TypeInfo};
pub use table::builtin;

pub(crate) use definitions::{describe, object_meta, source};
