//! The image half of the job once: scan, choose, and write or show what would be written.
//!
//! The same controllers as everywhere make one pass each, in the order of the river, without a driver:
//! objects are read from the cluster, and no status is written back. Used by the command line.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use kube::core::DeserializeGuard;
use kube::core::object::HasStatus;
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

use super::artifacts::Artifacts;
use super::edit::{Edit, FileUpdate};
use super::image_policy::ImagePolicies;
use super::image_repository::ImageRepositories;
use super::image_update_automation::{
    ImageUpdateAutomations, IneffectiveMarkers, Preview, Records,
};
use super::known_listings::KnownListings;
use super::objects::{Objects, World};
use super::run::Context;
use crate::api::{ImageRef, ImageUpdateAutomation};
use crate::git::{Git, Tree};
use crate::reconcile::{Clock, Controller, Decision, Key, Kind, Outcome, Progress, StatusOf};
use crate::source::Storage;

/// How many objects of a kind have their pass at the same time.
const CONCURRENT: usize = 8;

/// Why the job could not be done.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// The objects could not be read.
    #[error("list {kind}: {source}")]
    List {
        /// The kind.
        kind: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// A pass did not end well.
    #[error("{kind} {key}: {message}")]
    Pass {
        /// The kind.
        kind: String,
        /// The object.
        key: Key,
        /// What its Ready condition would say.
        message: String,
    },
}

/// What an automation did or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated {
    /// The automation.
    pub automation: Key,
    /// Its `spec.update.path`.
    pub path: String,
    /// The commit that was pushed; nothing where there was nothing to write.
    pub commit: Option<String>,
    /// The files that would change.
    pub files: Vec<FileUpdate>,
}

/// What policies have chosen, ready to be written.
pub struct Chosen {
    client: Client,
    clock: Clock,
    git: Git,
    storage: Storage<Tree>,
    world: Arc<World>,
}

/// Scans and chooses. Fails with the first object whose pass does not end well.
pub async fn choose(context: Context) -> Result<Chosen, OnceError> {
    let Context {
        client,
        clock,
        registry,
        tags,
        git,
        storage,
        ..
    } = context;
    let registry = Arc::new(registry);
    let mut world = World {
        image_repositories: list(&client).await?,
        image_policies: list(&client).await?,
        image_update_automations: list(&client).await?,
        git_repositories: list(&client).await?,
        ..World::default()
    };
    let scans = ImageRepositories {
        client: client.clone(),
        registry: registry.clone(),
        tags: tags.clone(),
        world: Arc::default(),
        known: KnownListings::default(),
        choices: Arc::default(),
    };
    world.image_repositories = passes(&clock, &scans, &world.image_repositories).await?;
    let world = Arc::new(world);
    let choices = ImagePolicies {
        client: client.clone(),
        registry,
        tags,
        world: world.clone(),
        choices: Arc::default(),
    };
    let chosen = passes(&clock, &choices, &world.image_policies).await?;
    drop(choices);
    let mut world = Arc::into_inner(world).expect("because its only other holder was dropped");
    world.image_policies = chosen;
    Ok(Chosen {
        client,
        clock,
        git,
        storage,
        world: Arc::new(world),
    })
}

impl Chosen {
    /// Returns what each policy chose, by namespace and name.
    pub fn choices(&self) -> BTreeMap<Key, ImageRef> {
        let policies = self.world.image_policies.store.filter(|_| true);
        let chosen = policies.iter().filter_map(|policy| {
            let latest = policy.status.as_ref()?.latest_ref.clone()?;
            Some((Key::of(policy.as_ref()), latest))
        });
        chosen.collect()
    }

    /// Returns the automations that are not suspended, with the folder that each of them updates.
    pub fn automations(&self) -> Vec<(Key, String)> {
        let automations = self.active();
        let path = |object: &ImageUpdateAutomation| object.spec.update.path.clone();
        let each = automations
            .iter()
            .map(|object| (Key::of(object.as_ref()), path(object).unwrap_or_default()));
        each.collect()
    }

    /// Commits and pushes what the automations write, one after the other. Fails with the first that
    /// does not end well; what was pushed stays pushed.
    pub async fn push(&self) -> Result<Vec<Updated>, OnceError> {
        let controller = self.controller();
        let mut updated = Vec::new();
        for object in self.active() {
            let status = pass(&self.clock, &controller, &object).await?;
            updated.push(Updated {
                automation: Key::of(object.as_ref()),
                path: object.spec.update.path.clone().unwrap_or_default(),
                commit: status.last_push_commit,
                files: Vec::new(),
            });
        }
        Ok(updated)
    }

    /// Returns what the automations would commit; nothing is pushed.
    pub async fn preview(&self) -> Result<Vec<Updated>, OnceError> {
        let controller = self.controller();
        let mut updated = Vec::new();
        for object in self.active() {
            let key = Key::of(object.as_ref());
            let failed = |message: String| OnceError::Pass {
                kind: "ImageUpdateAutomation".to_owned(),
                key: key.clone(),
                message,
            };
            let now = self.clock.now();
            let plan = match controller.decide(&object, now) {
                Decision::Act(plan) => plan,
                Decision::Report(report) => {
                    ended(object.as_ref(), &report.outcome)?;
                    continue;
                }
            };
            let Preview { policies, basis } = controller.preview(plan).await.map_err(&failed)?;
            let edit = Edit::new(&object, &policies, (controller.index.clone(), now));
            let edit = edit.map_err(|error| failed(error.to_string()))?;
            let files = tokio::task::spawn_blocking(move || edit.preview(&basis)).await;
            let files = files.map_err(|error| failed(error.to_string()))?;
            updated.push(Updated {
                automation: key.clone(),
                path: object.spec.update.path.clone().unwrap_or_default(),
                commit: None,
                files: files.map_err(|error| failed(error.to_string()))?,
            });
        }
        Ok(updated)
    }

    fn active(&self) -> Vec<Arc<ImageUpdateAutomation>> {
        let automations = &self.world.image_update_automations.store;
        automations.filter(|object| !object.spec.suspend)
    }

    fn controller(&self) -> ImageUpdateAutomations {
        let artifacts = Artifacts::new(self.git.clone(), self.storage.clone());
        ImageUpdateAutomations {
            client: self.client.clone(),
            clock: self.clock.clone(),
            git: self.git.clone(),
            artifacts: Arc::new(artifacts),
            world: self.world.clone(),
            records: Records::Nowhere,
            index: Arc::default(),
            ineffective: IneffectiveMarkers::default(),
        }
    }
}

async fn list<K: Kind>(client: &Client) -> Result<Objects<K>, OnceError> {
    let api: Api<DeserializeGuard<K>> = Api::all(client.clone());
    let listed = api.list(&Default::default()).await;
    let listed = listed.map_err(|source| OnceError::List {
        kind: K::kind(&()).into_owned(),
        source: Box::new(source),
    })?;
    let objects = Objects::default();
    objects.store.replace(listed.items);
    Ok(objects)
}

/// Gives every object of a kind its pass and returns the objects with their new status.
async fn passes<C>(
    clock: &Clock,
    controller: &C,
    objects: &Objects<C::Object>,
) -> Result<Objects<C::Object>, OnceError>
where
    C: Controller,
{
    let waiting = objects.store.filter(|object| !object.is_suspended());
    let passes = waiting.into_iter().map(|object| async move {
        let status = pass(clock, controller, &object).await?;
        let mut done = object.as_ref().clone();
        *done.status_mut() = Some(status);
        Ok::<_, OnceError>(DeserializeGuard(Ok(done)))
    });
    let done: Vec<_> = stream::iter(passes)
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    let objects = Objects::default();
    objects.store.replace(done);
    Ok(objects)
}

async fn pass<C: Controller>(
    clock: &Clock,
    controller: &C,
    object: &Arc<C::Object>,
) -> Result<StatusOf<C::Object>, OnceError> {
    let now = clock.now();
    let report = match controller.decide(object, now) {
        Decision::Report(report) => report,
        Decision::Act(plan) => {
            let done = controller
                .act(object, plan, &Progress::new(CancellationToken::new()))
                .await;
            controller.report(object, done, clock.now())
        }
    };
    ended(object.as_ref(), &report.outcome)?;
    Ok(report.status)
}

fn ended<K: Kind>(object: &K, outcome: &Outcome) -> Result<(), OnceError> {
    match outcome {
        Outcome::Ready { .. } => Ok(()),
        Outcome::Stalled { message, .. }
        | Outcome::Waiting { message, .. }
        | Outcome::Failed { message, .. }
        | Outcome::Progressing { step: message, .. } => Err(OnceError::Pass {
            kind: K::kind(&()).into_owned(),
            key: Key::of(object),
            message: message.clone(),
        }),
    }
}
