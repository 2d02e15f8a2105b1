//! The refusal of an apply that would change what others own.

use std::collections::BTreeMap;

use crate::error::{ApiError, Cause};
use crate::fields::{FieldSet, Path, quote};

use super::managed::{Identity, Operation};

/// What an apply would take from whom.
#[derive(Debug, Default)]
pub(super) struct Conflicts(pub BTreeMap<Identity, FieldSet>);

impl Conflicts {
    /// Returns all the paths, whoever owns them.
    pub fn paths(&self) -> FieldSet {
        self.0
            .values()
            .fold(FieldSet::default(), |all, set| all.union(set))
    }

    /// Returns the conflicts outside of `allowed`.
    pub fn without(&self, allowed: &FieldSet) -> Self {
        let sets = self.0.iter().map(|(id, set)| {
            let paths = set.paths().into_iter().filter(|p| !allowed.has(&p.0));
            (id.clone(), FieldSet::of(paths))
        });
        Self(sets.filter(|(_, set)| !set.is_empty()).collect())
    }

    /// Returns the refusal, worded as Kubernetes words it.
    pub fn to_error(&self) -> ApiError {
        let mut owners: Vec<(&Identity, Vec<Path>)> =
            self.0.iter().map(|(id, set)| (id, set.paths())).collect();
        owners.sort_by_cached_key(|(id, _)| id.sort_key());
        let count: usize = owners.iter().map(|(_, paths)| paths.len()).sum();
        let message = match owners.as_slice() {
            [(id, paths)] if count == 1 => format!(
                "Apply failed with 1 conflict: conflict with {}: {}",
                show(id),
                paths.first().map(Path::to_string).unwrap_or_default()
            ),
            _ => {
                let mut lines = Vec::new();
                for (id, paths) in &owners {
                    lines.push(format!("conflicts with {}:", show(id)));
                    lines.extend(paths.iter().map(|path| format!("- {path}")));
                }
                let lines = lines.join("\n");
                format!("Apply failed with {count} conflicts: {lines}")
            }
        };
        let mut error = ApiError::new(409, "Conflict", message);
        error.causes = owners
            .iter()
            .flat_map(|(id, paths)| {
                paths.iter().map(|path| Cause {
                    reason: "FieldManagerConflict".to_owned(),
                    message: format!("conflict with {}", show(id)),
                    field: path.to_string(),
                })
            })
            .collect();
        error
    }
}

fn show(identity: &Identity) -> String {
    let mut out = quote(&identity.manager);
    if !identity.subresource.is_empty() {
        out.push_str(&format!(
            " with subresource {}",
            quote(&identity.subresource)
        ));
    }
    if identity.operation == Operation::Update {
        out.push_str(&format!(" using {}", identity.api_version));
    }
    out
}
