//! All controllers together: what they work with, and their run until the end.
//!
//! In: a [`Context`] with the cluster, the rooms and the time. Starts nothing before [`run`].

use std::sync::Arc;

use kube::Client;
use tokio_util::sync::CancellationToken;

use super::artifacts::Artifacts;
use super::choices::Choices;
use super::git_repository::GitRepositories;
use super::image_policy::ImagePolicies;
use super::image_repository::ImageRepositories;
use super::image_update_automation::{ImageUpdateAutomations, IneffectiveMarkers, Records};
use super::known_listings::KnownListings;
use super::kustomization::Kustomizations;
use super::marker_index::MarkerIndex;
use super::objects::World;
use crate::git::{Git, Tree};
use crate::reconcile::{self, Clock, Driver, Jitter, Passes};
use crate::source::Storage;
use crate::{registry, tags};

/// What controllers work with: the cluster, the rooms, the time.
pub struct Context {
    /// The cluster.
    pub client: Client,
    /// The time that statuses show.
    pub clock: Clock,
    /// What spreads objects over time.
    pub jitter: Jitter,
    /// Counts the passes of all kinds.
    pub passes: Passes,
    /// Asks registries.
    pub registry: registry::Client,
    /// Keeps scans.
    pub tags: Arc<tags::Store>,
    /// Speaks to Git remotes.
    pub git: Git,
    /// Knows the markers of trees that were seen.
    pub markers: Arc<MarkerIndex>,
    /// Keeps artifacts.
    pub storage: Storage<Tree>,
}

/// Runs all controllers until `shutdown`, and at most ten seconds more for passes that are under way.
/// Fails when a watch or a task of the driver ends by itself.
pub async fn run(context: Context, shutdown: CancellationToken) -> Result<(), reconcile::Error> {
    let world = Arc::new(World::default());
    let registry = Arc::new(context.registry);
    let artifacts = Arc::new(Artifacts::new(context.git.clone(), context.storage));
    let mut driver = Driver::new(
        context.client.clone(),
        context.clock.clone(),
        context.jitter,
    )
    .counting(context.passes);
    let choices = Arc::new(Choices::default());
    let kind = &world.image_repositories;
    let controller = ImageRepositories {
        client: context.client.clone(),
        registry: registry.clone(),
        tags: context.tags.clone(),
        world: world.clone(),
        known: KnownListings::default(),
        choices: choices.clone(),
    };
    driver.add(controller, kind.store.clone(), kind.wake.clone());
    let kind = &world.image_policies;
    let controller = ImagePolicies {
        client: context.client.clone(),
        registry,
        tags: context.tags,
        world: world.clone(),
        choices,
    };
    driver.add(controller, kind.store.clone(), kind.wake.clone());
    let kind = &world.git_repositories;
    let controller = GitRepositories {
        client: context.client.clone(),
        clock: context.clock.clone(),
        git: context.git.clone(),
        artifacts: artifacts.clone(),
        world: world.clone(),
    };
    driver.add(controller, kind.store.clone(), kind.wake.clone());
    let kind = &world.image_update_automations;
    let controller = ImageUpdateAutomations {
        client: context.client.clone(),
        clock: context.clock,
        git: context.git,
        artifacts: artifacts.clone(),
        world: world.clone(),
        records: Records::Status,
        index: context.markers,
        ineffective: IneffectiveMarkers::default(),
    };
    driver.add(controller, kind.store.clone(), kind.wake.clone());
    let kind = &world.kustomizations;
    let controller = Kustomizations::new(context.client, artifacts, world.clone());
    driver.add(controller, kind.store.clone(), kind.wake.clone());
    driver.run(shutdown).await
}
