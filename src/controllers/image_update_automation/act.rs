//! Acts: reads the branch, edits it, pushes the commit, hands it to the source.
//!
//! The edit is made anew on whatever the branch's head is until it lands. A commit of an earlier pass
//! whose push was never answered is recognised by its trailer. Decides nothing.

use kube::Client;

use super::super::artifacts::Handover;
use super::super::edit::{Edit, EditError, Policies};
use super::super::policy_state::TRAILER;
use super::super::{Failure, failed, git_access, signing};
use super::done::{Ran, Run};
use super::plan::Plan;
use super::rewritten;
use super::source_failed;
use super::{ImageUpdateAutomations, Records};
use crate::api::{ImageUpdateAutomation, reasons};
use crate::failpoint;
use crate::git::{self, Basis, Checkout, Git, Landed, Pushed, Refusal, Repository, Target};
use crate::reconcile::{Key, Progress};

/// What a run would be made on.
pub(in crate::controllers) struct Preview {
    /// What the selected policies have chosen.
    pub policies: Policies,
    /// The head.
    pub basis: Basis,
}

impl ImageUpdateAutomations {
    pub(super) async fn run(
        &self,
        object: &ImageUpdateAutomation,
        plan: &Plan,
        progress: &Progress,
    ) -> Result<Ran, Failure> {
        let remote = git_access::remote(&self.client, &plan.source).await;
        let remote = remote.map_err(source_failed)?;
        let repository = self.git.repository(remote).await.map_err(source_failed)?;
        progress.step("checking out the source");
        let checkout = self.checkout(&repository, object, plan).await?;
        let Some(head) = checkout else {
            return Ok(Ran {
                run: Run::Skipped,
                rewritten: None,
            });
        };
        let edit = Edit::new(
            object,
            &plan.policies,
            (self.index.clone(), self.clock.now()),
        );
        let edit = edit.map_err(|error| {
            let message = format!("failed to apply policies: {error}");
            failed(reasons::UPDATE_FAILED, message)
        })?;
        let signing_key = signing::key(&self.client, object).await;
        let edit = edit.signed_by(signing_key.map_err(source_failed)?);
        let mut target = target(plan);
        target.seen = plan.route.stays().then_some(head.commit);
        progress.step(format!("updating branch '{}'", target.branch));
        let (last, state) = (edit.last(), edit.state().to_owned());
        let pushed = repository
            .push_with(&target, move |basis| edit.make(basis))
            .await;
        if let Some(lines) = last.take_ineffective() {
            self.ineffective.put(&Key::of(object), lines);
        }
        let ended = Ended {
            object,
            plan,
            target: &target,
            state: &state,
            head: head.revision,
        };
        let run = self.ended(&repository, ended, pushed.map_err(run_failed)?);
        Ok(Ran {
            run: run.await?,
            rewritten: rewritten::look(&repository, (object, plan), head.commit).await,
        })
    }

    /// Returns how a run ended.
    async fn ended(
        &self,
        repository: &Repository,
        ended: Ended<'_>,
        pushed: Pushed,
    ) -> Result<Run, Failure> {
        let Ended {
            object,
            plan,
            target,
            state,
            head,
        } = ended;
        match pushed {
            Pushed::Landed(landed) => {
                self.hand_over(repository, plan, &landed);
                failpoint::hit("update.before_status");
                Ok(pushed_run(plan, &landed.checkout, head))
            }
            Pushed::Unchanged(basis) => {
                let revision = match (plan.route.stays(), basis.commit) {
                    (true, Some(commit)) => plan.route.checkout.revision(commit),
                    _ => head,
                };
                let unrecorded = Unrecorded {
                    object,
                    plan,
                    state,
                    revision: &revision,
                };
                let found = self.unrecorded(repository, target, (unrecorded, &basis));
                Ok(match found.await? {
                    Some(checkout) => pushed_run(plan, &checkout, revision),
                    None => Run::Unchanged { revision },
                })
            }
            Pushed::Refused(refusal) => Err(refused_run(&refusal)),
            Pushed::Beaten => Err(push_failed(&format!(
                "non-fast-forward update: refs/heads/{}: others were always faster",
                target.branch
            ))),
        }
    }

    /// Returns a commit of an earlier pass that is not recorded, with what that pass left undone.
    async fn unrecorded(
        &self,
        repository: &Repository,
        target: &Target,
        (unrecorded, basis): (Unrecorded<'_>, &Basis),
    ) -> Result<Option<Checkout>, Failure> {
        if self.records == Records::Nowhere {
            return Ok(None);
        }
        let Some(checkout) = unrecorded.find(repository, basis).await? else {
            return Ok(None);
        };
        let refused = repository.push_refspecs(target, &checkout).await;
        if let Some(refusal) = refused.map_err(run_failed)? {
            return Err(refused_run(&refusal));
        }
        let source = Key::of(unrecorded.plan.source.as_ref());
        self.world.git_repositories.wake.wake(&source);
        Ok(Some(checkout))
    }

    /// Returns what a run would be made on, without making it. Fails in Flux's words.
    pub async fn preview(&self, plan: Plan) -> Result<Preview, String> {
        let basis = basis(&self.client, &self.git, &plan).await?;
        Ok(Preview {
            policies: plan.policies,
            basis,
        })
    }

    /// Returns what is checked out, or nothing when a run cannot bring anything new.
    async fn checkout(
        &self,
        repository: &Repository,
        object: &ImageUpdateAutomation,
        plan: &Plan,
    ) -> Result<Option<git::Head>, Failure> {
        let found = repository.head(&plan.route.checkout).await;
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
    fn hand_over(&self, repository: &Repository, plan: &Plan, landed: &Landed) {
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

/// Returns what the edit of a plan would be made on. Fails in Flux's words.
pub(in crate::controllers) async fn basis(
    client: &Client,
    git: &Git,
    plan: &Plan,
) -> Result<Basis, String> {
    let remote = git_access::remote(client, &plan.source).await;
    let remote = remote.map_err(|error| error.to_string())?;
    let repository = git.repository(remote).await;
    let repository = repository.map_err(|error| error.to_string())?;
    let basis = repository.basis_of_target(&target(plan)).await;
    basis.map_err(|error| format!("failed to checkout source: {error}"))
}

/// Returns where the commit of a plan goes.
fn target(plan: &Plan) -> Target {
    let route = &plan.route;
    Target {
        start: route.start.clone(),
        refspecs: route.refspec.iter().cloned().collect(),
        options: route.options.clone(),
        ..Target::branch(&route.branch)
    }
}

/// Returns how a run ended whose commit is on the branch.
fn pushed_run(plan: &Plan, checkout: &Checkout, checked_out: String) -> Run {
    Run::Pushed {
        commit: checkout.commit,
        message: checkout.message_without(TRAILER).to_owned(),
        revision: match plan.route.stays() {
            true => plan.route.checkout.revision(checkout.commit),
            false => checked_out,
        },
    }
}

/// A run whose push has ended.
struct Ended<'r> {
    object: &'r ImageUpdateAutomation,
    plan: &'r Plan,
    target: &'r Target,
    /// The trailer of its commit.
    state: &'r str,
    /// The revision that was checked out.
    head: String,
}

/// A run that found nothing to write: perhaps because it was done, and the process ended before it was
/// recorded.
struct Unrecorded<'r> {
    object: &'r ImageUpdateAutomation,
    plan: &'r Plan,
    /// The trailer of the commit that such a run made.
    state: &'r str,
    /// What is checked out now.
    revision: &'r str,
}

impl Unrecorded<'_> {
    /// Returns the commit that was pushed for what is chosen now, unless it is recorded.
    async fn find(
        &self,
        repository: &Repository,
        basis: &Basis,
    ) -> Result<Option<Checkout>, Failure> {
        let status = self.object.status.as_ref();
        let recorded = status.and_then(|status| status.last_push_commit.as_deref());
        let is_new = |checkout: &Checkout| recorded != Some(checkout.commit.to_string().as_str());
        if let Some(head) = basis.checkout(&self.plan.route.branch)
            && head.has_trailer(TRAILER, self.state)
        {
            return Ok(Some(head).filter(is_new));
        }
        // What has not moved since it was looked at holds no commit of a later run.
        let observed = status.and_then(|status| status.observed_source_revision.as_deref());
        let is_seen = self.plan.route.stays() && observed == Some(self.revision);
        let policies = status.map(|status| &status.observed_policies);
        if is_seen
            || self.plan.policies.chosen.is_empty()
            || policies == Some(&self.plan.policies.chosen)
        {
            return Ok(None);
        }
        let branch = &self.plan.route.branch;
        let found = repository.find_trailer(branch, TRAILER, self.state).await;
        let found = found.map_err(|error| {
            let message = format!("failed to checkout source: {error}");
            failed(reasons::GIT_OPERATION_FAILED, message)
        })?;
        Ok(found.filter(is_new))
    }
}

fn refused_run(refusal: &Refusal) -> Failure {
    let mut why = match refusal.reference.as_str() {
        "" => refusal.reason.clone(),
        reference => format!("{reference}: {}", refusal.reason),
    };
    for message in &refusal.messages {
        why += &format!("\n{message}");
    }
    push_failed(&why)
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
