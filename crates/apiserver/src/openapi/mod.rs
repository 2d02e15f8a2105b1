//! OpenAPI documents of the served kinds: one of version 3 for each group and version.
//!
//! Rows come in, JSON goes out: what `kubectl explain`, `apply` and `diff` read. Built-in kinds are
//! described by the packed definitions as they are, custom ones by their schema tree.

mod document;
mod protobuf;
mod schemas;

pub use document::{document, index, swagger, swagger_protobuf};
