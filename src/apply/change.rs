//! What a pass did to each object, in apply order.

use super::ObjectRef;

/// What happened to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It was not there.
    Created,
    /// It differed and was applied.
    Configured,
    /// It was as wanted; nothing was written.
    Unchanged,
    /// Its own metadata says that it is not to be touched.
    Skipped,
    /// It left the build and was deleted.
    Deleted,
}

impl Action {
    /// Returns Flux's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Deleted => "deleted",
        }
    }
}

/// One object and what happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The object, as the server names it.
    pub object: ObjectRef,
    /// What happened.
    pub action: Action,
}

/// The changes of a pass, in apply order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangeSet {
    /// The changes.
    pub changes: Vec<Change>,
}

impl ChangeSet {
    /// Returns one line for each object that was created, configured or deleted, as Flux's events
    /// list them; empty when nothing changed.
    pub fn report(&self) -> String {
        let changed = self.changes.iter().filter(|change| {
            matches!(
                change.action,
                Action::Created | Action::Configured | Action::Deleted
            )
        });
        let lines: Vec<_> = changed
            .map(|change| format!("{} {}", change.object, change.action.as_str()))
            .collect();
        lines.join("\n")
    }

    /// Whether anything was written.
    pub fn is_changed(&self) -> bool {
        !self.report().is_empty()
    }

    pub(super) fn push(&mut self, object: ObjectRef, action: Action) {
        self.changes.push(Change { object, action });
    }
}
