//! Notices that a branch was set back or rewritten since the last run.
//!
//! In: the head that the status tells of and the one that is there. Out: both, when the former is not
//! below the latter. It changes nothing: a run is always made on the head that is there.

use super::plan::Plan;
use crate::api::ImageUpdateAutomation;
use crate::git::{ObjectId, Repository, Selector};
use crate::reconcile::Key;

/// How many digits of a commit are shown.
const SHORT_COMMIT: usize = 7;

/// A branch that lost commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::controllers) struct Rewritten {
    branch: String,
    was: ObjectId,
    is: ObjectId,
}

impl Rewritten {
    /// Returns what a person is told.
    pub fn text(&self) -> String {
        let [was, is] = [self.was, self.is].map(|id| id.to_hex_with_len(SHORT_COMMIT).to_string());
        format!(
            "branch '{}' was set back or rewritten: '{is}' does not follow on '{was}', which was its \
             head; policies are applied to what is there now",
            self.branch
        )
    }
}

/// Returns what became of the branch that is checked out, if it lost commits since the last run. That
/// it cannot be found out stands in the way of nothing.
pub(super) async fn look(
    repository: &Repository,
    (object, plan): (&ImageUpdateAutomation, &Plan),
    head: ObjectId,
) -> Option<Rewritten> {
    let Selector::Branch(branch) = &plan.route.checkout else {
        return None;
    };
    let was = head_of_last_run(object, &plan.route.checkout)?;
    match repository.has_moved_on(was, head).await {
        Ok(true) => None,
        Ok(false) => Some(Rewritten {
            branch: branch.clone(),
            was,
            is: head,
        }),
        Err(error) => {
            let automation = Key::of(object);
            tracing::warn!(%automation, %error, "Cannot tell whether the branch was rewritten.");
            None
        }
    }
}

/// Returns the commit of the last run, if it was of the same branch.
fn head_of_last_run(object: &ImageUpdateAutomation, checkout: &Selector) -> Option<ObjectId> {
    let status = object.status.as_ref()?;
    let revision = status.observed_source_revision.as_deref()?;
    let (_, hex) = revision.rsplit_once(':')?;
    let commit = ObjectId::from_hex(hex.as_bytes()).ok()?;
    (checkout.revision(commit) == revision).then_some(commit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixtures::automation;
    use super::*;

    #[test]
    fn the_last_head_is_that_of_the_same_branch() {
        let id = "b59a33ac2ab4d6a0c6b8c0c2e1f7b9c0d5e4f3a2";
        let main = Selector::Branch("main".to_owned());
        for (revision, want) in [
            (format!("main@sha1:{id}"), Some(id.to_owned())),
            (format!("dev@sha1:{id}"), None),
            (format!("sha1:{id}"), None),
            ("main@sha1:b59a".to_owned(), None),
        ] {
            let status = json!({"observedSourceRevision": revision});
            let object = automation(json!({}), status);
            let found = head_of_last_run(&object, &main).map(|id| id.to_string());
            assert_eq!(found, want, "{revision}");
        }
    }
}
