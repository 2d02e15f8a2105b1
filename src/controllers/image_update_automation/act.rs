//! Acts: reads the branch, edits it, pushes the commit, hands it to the source.
//!
//! The edit is made anew on whatever the branch's head is until it lands. Decides nothing.

use std::collections::BTreeMap;

use tracing::warn;

use super::super::artifacts::Handover;
use super::super::edit::{Edit, EditError};
use super::super::{Failure, failed, git_access, signing};
use super::ImageUpdateAutomations;
use super::done::Run;
use super::plan::Plan;
use super::source_failed;
use crate::api::{ImageRef, ImageUpdateAutomation, reasons};
use crate::failpoint;
use crate::git::{self, Basis, Landed, Pushed, Selector, Target};
use crate::reconcile::{Key, Progress};

/// What a run would be made on.
pub(in crate::controllers) struct Preview {
    /// What the selected policies have chosen.
    pub policies: BTreeMap<String, ImageRef>,
    /// The head.
    pub basis: Basis,
}

impl ImageUpdateAutomations {
    pub(super) async fn run(
        &self,
        object: &ImageUpdateAutomation,
        plan: &Plan,
        progress: &Progress,
    ) -> Result<Run, Failure> {
        let remote = git_access::remote(&self.client, &plan.source).await;
        let remote = remote.map_err(source_failed)?;
        let repository = self.git.repository(remote).await.map_err(source_failed)?;
        progress.step("checking out the source");
        let checkout = self.checkout(&repository, object, plan).await?;
        let Some(head) = checkout else {
            return Ok(Run::Skipped);
        };
        let edit = Edit::new(object, &plan.policies, self.clock.now());
        let edit = edit.map_err(|error| {
            let message = format!("failed to apply policies: {error}");
            failed(reasons::UPDATE_FAILED, message)
        })?;
        let signing_key = signing::key(&self.client, object).await;
        let edit = edit.signed_by(signing_key.map_err(source_failed)?);
        let target = Target {
            branch: plan.branch.clone(),
            base: plan.switches.then(|| plan.checkout.clone()),
        };
        progress.step(format!("updating branch '{}'", plan.branch));
        let last = edit.last();
        let pushed = repository
            .push_with(&target, move |basis| edit.make(basis))
            .await;
        for line in last.take_ineffective() {
            let key = Key::of(object);
            warn!(%key, marker = %line, "A marker has no effect.");
        }
        match pushed.map_err(run_failed)? {
            Pushed::Landed(landed) => {
                self.hand_over(&repository, plan, &landed);
                failpoint::hit("update.before_status");
                let commit = landed.checkout.commit;
                Ok(Run::Pushed {
                    commit,
                    message: landed.checkout.message,
                    revision: match plan.switches {
                        true => head.revision,
                        false => plan.checkout.revision(commit),
                    },
                })
            }
            Pushed::Unchanged(basis) => Ok(Run::Unchanged {
                revision: match (plan.switches, basis.commit) {
                    (false, Some(commit)) => plan.checkout.revision(commit),
                    _ => head.revision,
                },
            }),
            Pushed::Refused(refusal) => {
                let mut why = format!("{}: {}", refusal.reference, refusal.reason);
                for message in &refusal.messages {
                    why += &format!("\n{message}");
                }
                Err(push_failed(&why))
            }
            Pushed::Beaten => Err(push_failed(&format!(
                "non-fast-forward update: refs/heads/{}: others were always faster",
                plan.branch
            ))),
        }
    }

    /// Returns what a run would be made on, without making it. Fails in Flux's words.
    pub async fn preview(&self, plan: Plan) -> Result<Preview, String> {
        let remote = git_access::remote(&self.client, &plan.source).await;
        let remote = remote.map_err(|error| error.to_string())?;
        let repository = self.git.repository(remote).await;
        let repository = repository.map_err(|error| error.to_string())?;
        let selector = match plan.switches {
            true => plan.checkout,
            false => Selector::Branch(plan.branch),
        };
        let checkout = repository.checkout(&selector).await;
        let checkout = checkout.map_err(|error| format!("failed to checkout source: {error}"))?;
        let basis = Basis {
            tree: checkout.tree,
            commit: Some(checkout.commit),
            message: checkout.message,
        };
        Ok(Preview {
            policies: plan.policies,
            basis,
        })
    }

    /// Returns what is checked out, or nothing when a run cannot bring anything new.
    async fn checkout(
        &self,
        repository: &git::Repository,
        object: &ImageUpdateAutomation,
        plan: &Plan,
    ) -> Result<Option<git::Head>, Failure> {
        let found = repository.head(&plan.checkout).await;
        let found = found.map_err(|error| {
            let message = format!("failed to checkout source: {error}");
            failed(reasons::GIT_OPERATION_FAILED, message)
        })?;
        let observed = object.status.as_ref();
        let observed = observed.and_then(|status| status.observed_source_revision.as_ref());
        let is_new = observed != Some(&found.revision);
        Ok((plan.full || is_new).then_some(found))
    }

    /// Gives a commit to the source of the branch, and a turn.
    fn hand_over(&self, repository: &git::Repository, plan: &Plan, landed: &Landed) {
        let key = Key::of(plan.source.as_ref());
        let handover = Handover {
            url: repository.url().to_owned(),
            parent: landed.parent,
            checkout: landed.checkout.clone(),
        };
        self.artifacts.hand_over(key.clone(), handover);
        self.world.git_repositories.wake.wake(&key);
    }
}

fn push_failed(why: &str) -> Failure {
    let message = format!("failed to update source: failed to push to remote: {why}");
    failed(reasons::GIT_OPERATION_FAILED, message)
}

fn run_failed(error: git::Error) -> Failure {
    let git::Error::Recompute(cause) = &error else {
        return push_failed(&error.to_string());
    };
    match cause.downcast_ref::<EditError>() {
        Some(EditError::Update(error)) => {
            let message = format!("failed to apply policies: {error}");
            failed(reasons::UPDATE_FAILED, message)
        }
        Some(EditError::Message(error)) if error.is_removed_field() => Failure {
            reason: reasons::REMOVED_TEMPLATE_FIELD,
            message: error.to_string(),
            stalls: true,
        },
        _ => {
            let message = format!("failed to update source: {cause}");
            failed(reasons::GIT_OPERATION_FAILED, message)
        }
    }
}
