//! Kustomization: builds a folder of a source, applies it, prunes, and waits for health.
//!
//! Decide: is the spec usable, are source and dependencies there. Act: variables, build, staged
//! apply, prune, health by watch. Report: Flux's reasons, messages, inventory and history. What was
//! applied is followed, so that a change by hand gives the object a turn at once.

mod act;
mod done;
mod follow;
mod plan;

use std::sync::Arc;

use kube::Client;

use self::done::Done;
use self::follow::Follows;
use self::plan::Plan;
use super::artifacts::Artifacts;
use super::objects::World;
use super::wakes;
use crate::api::annotations::KUSTOMIZE_CONTROLLER;
use crate::api::conditions::HEALTHY;
use crate::api::{Kustomization, KustomizationStatus};
use crate::apply;
use crate::reconcile::{Change, Controller, Decision, Key, Progress, Report, Timestamp};

/// The condition that this kind has beside the common ones.
const ASPECTS: &[&str] = &[HEALTHY];

/// Builds and applies Kustomizations.
pub(super) struct Kustomizations {
    client: Client,
    cluster: Arc<apply::Cluster>,
    artifacts: Arc<Artifacts>,
    world: Arc<World>,
    follows: Follows,
}

impl Kustomizations {
    pub fn new(client: Client, artifacts: Arc<Artifacts>, world: Arc<World>) -> Self {
        let cluster = Arc::new(apply::Cluster::new(client.clone()));
        let follows = Follows::new(cluster.clone(), world.kustomizations.wake.clone());
        Self {
            client,
            cluster,
            artifacts,
            world,
            follows,
        }
    }
}

impl Controller for Kustomizations {
    type Object = Kustomization;
    type Plan = Plan;
    type Done = Done;

    const MANAGER: &'static str = KUSTOMIZE_CONTROLLER;
    const ASPECTS: &'static [&'static str] = ASPECTS;

    fn decide(
        &self,
        object: &Kustomization,
        _now: Timestamp,
    ) -> Decision<Plan, KustomizationStatus> {
        plan::plan(object, &self.world)
    }

    async fn act(&self, object: &Arc<Kustomization>, plan: Plan, progress: &Progress) -> Done {
        let done = self.run(object, plan, progress).await;
        if let Some(inventory) = &done.inventory {
            self.follows
                .follow(Key::of(object.as_ref()), inventory.objects());
        }
        done
    }

    fn report(
        &self,
        object: &Kustomization,
        done: Done,
        now: Timestamp,
    ) -> Report<KustomizationStatus> {
        done::report(object, done, now)
    }

    async fn finalize(&self, object: &Arc<Kustomization>) -> Result<(), String> {
        self.follows.forget(&Key::of(object.as_ref()));
        self.delete_applied(object).await
    }

    fn changed(&self, change: &Change<Kustomization>) {
        if change.new.is_none() {
            self.follows.forget(&change.key);
        }
        if wakes::readiness_changed(change) {
            let all = &self.world.kustomizations;
            let depends = |other: &Kustomization| wakes::depends_on(other, &change.key);
            all.wake_all(all.store.filter(depends));
        }
    }
}
