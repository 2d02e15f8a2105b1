//! ImageUpdateAutomation: writes what policies chose into a branch, as one commit.
//!
//! Decide: which policies, which source, where to push, and whether anything can have changed. Act: the
//! edit is made anew on whatever the branch's head is until it lands. Report: Flux's status and events.
//! A commit that landed is handed to its source, which need not fetch it.

mod act;
mod done;
#[cfg(test)]
mod fixtures;
mod ineffective;
mod plan;
mod rewritten;
mod route;

use std::sync::Arc;

use kube::{Client, ResourceExt};

pub(super) use self::act::{Preview, basis};
use self::done::Done;
pub(super) use self::ineffective::IneffectiveMarkers;
use self::plan::Plan;
pub(super) use self::plan::{decide, selected, source_key};
use super::artifacts::Artifacts;
use super::marker_index::MarkerIndex;
use super::objects::World;
use super::{Failure, failed};
use crate::api::annotations::IMAGE_AUTOMATION;
use crate::api::{ImageUpdateAutomation, ImageUpdateAutomationStatus, reasons};
use crate::git::Git;
use crate::reconcile::{Change, Clock, Controller, Decision, Key, Progress, Report, Timestamp};

/// Updates for ImageUpdateAutomations.
pub(super) struct ImageUpdateAutomations {
    pub client: Client,
    pub clock: Clock,
    pub git: Git,
    pub artifacts: Arc<Artifacts>,
    pub world: Arc<World>,
    pub records: Records,
    pub index: Arc<MarkerIndex>,
    pub ineffective: IneffectiveMarkers,
}

/// Where it is kept what was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Records {
    /// In the status of the object: a commit that it does not tell of was not recorded.
    Status,
    /// Nowhere: whether a commit is new cannot be told.
    Nowhere,
}

impl Controller for ImageUpdateAutomations {
    type Object = ImageUpdateAutomation;
    type Plan = Plan;
    type Done = Done;
    const MANAGER: &'static str = IMAGE_AUTOMATION;

    fn decide(
        &self,
        object: &ImageUpdateAutomation,
        now: Timestamp,
    ) -> Decision<Plan, ImageUpdateAutomationStatus> {
        let namespace = object.namespace().unwrap_or_default();
        let policies = self.world.image_policies.store.of_namespace(&namespace);
        let source = source_key(object);
        let source = self.world.git_repositories.store.get(&source);
        decide(object, &policies, source, now)
    }

    async fn act(
        &self,
        object: &Arc<ImageUpdateAutomation>,
        plan: Plan,
        progress: &Progress,
    ) -> Done {
        let result = self.run(object, &plan, progress).await;
        Done {
            plan,
            result,
            ineffective: self.ineffective.take_news(&Key::of(object.as_ref())),
        }
    }

    fn report(
        &self,
        object: &ImageUpdateAutomation,
        done: Done,
        now: Timestamp,
    ) -> Report<ImageUpdateAutomationStatus> {
        done::report(object, done, now)
    }

    async fn finalize(&self, _: &Arc<ImageUpdateAutomation>) -> Result<(), String> {
        Ok(())
    }

    fn changed(&self, change: &Change<ImageUpdateAutomation>) {
        if change.new.is_none() {
            self.ineffective.forget(&change.key);
        }
    }
}

/// Returns the failure of an automation whose source cannot be reached as it says.
fn source_failed(error: impl std::fmt::Display) -> Failure {
    let message = format!("failed configuring source manager: {error}");
    failed(reasons::SOURCE_MANAGER_FAILED, message)
}
