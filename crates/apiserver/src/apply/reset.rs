//! Which fields an endpoint puts back to what is stored, so that nobody comes to own them there.
//!
//! The object itself leaves `status` alone; the status endpoint leaves the rest alone, as far as
//! Kubernetes says so for the kind.

use crate::fields::{FieldSet, Path, PathElement};
use crate::kinds::TypeInfo;

/// Returns the fields that the endpoint ignores.
pub(super) fn reset_fields(kind: &TypeInfo, subresource: &str) -> FieldSet {
    let paths: &[&[&str]] = match subresource {
        "" if kind.has_status => &[&["status"]],
        "finalize" => &[&["status"]],
        "status" => of_status(kind),
        _ => &[],
    };
    let paths = paths
        .iter()
        .map(|path| Path(path.iter().map(|name| PathElement::field(name)).collect()));
    FieldSet::of(paths)
}

fn of_status(kind: &TypeInfo) -> &'static [&'static [&'static str]] {
    if kind.custom {
        return &[&["metadata"], &["spec"]];
    }
    match kind.kind.as_str() {
        "CustomResourceDefinition" | "VolumeAttachment" => &[&["metadata"], &["spec"]],
        "Deployment" => &[&["spec"], &["metadata", "labels"]],
        "Pod" => &[
            &["spec"],
            &["metadata", "deletionTimestamp"],
            &["metadata", "ownerReferences"],
        ],
        _ => &[&["spec"]],
    }
}
