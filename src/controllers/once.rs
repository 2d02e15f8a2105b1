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
use super::edit::{self, Edit, FileUpdate, without_effect};
use super::image_policy::ImagePolicies;
use super::image_repository::ImageRepositories;
use super::image_update_automation::{
    ImageUpdateAutomations, IneffectiveMarkers, Preview, Records, selected, source_key,
};
use super::known_listings::KnownListings;
use super::marker_index::MarkerIndex;
use super::objects::{Objects, World};
use super::run::Context;
use super::selector;
use crate::api::ImageUpdateAutomation;
use crate::git::{Git, Tree};
use crate::reconcile::{Clock, Controller, Decision, Key, Kind, Outcome, Progress, StatusOf};
use crate::source::Storage;
use crate::update::{PolicyChoice, Report, Setters, SettersError};

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
    /// Markers without effect and documents that are left alone, by file and line.
    pub ineffective: Vec<String>,
}

/// An automation that is not suspended, and what it may write.
pub struct Active {
    /// The automation.
    pub automation: Key,
    /// Its `spec.update.path`.
    pub path: String,
    /// What the policies that it selects have chosen.
    pub setters: Setters,
}

impl Active {
    /// Returns what a report says of markers without effect, as the automation itself would tell it.
    pub fn ineffective(&self, report: &Report) -> Vec<String> {
        without_effect(report, &self.automation.namespace)
    }
}

/// What policies have chosen, ready to be written.
pub struct Chosen {
    client: Client,
    clock: Clock,
    git: Git,
    markers: Arc<MarkerIndex>,
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
        markers,
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
        markers,
        storage,
        world: Arc::new(world),
    })
}

impl Chosen {
    /// Returns the automations that are not suspended, with what each of them may write. Fails when a
    /// selector is none or a choice is no valid reference.
    pub fn automations(&self) -> Result<Vec<Active>, OnceError> {
        let active = |object: Arc<ImageUpdateAutomation>| {
            let key = Key::of(object.as_ref());
            let failed = |message: String| automation_failed(&key, message);
            if let Some(selector) = &object.spec.policy_selector {
                let parsed = selector::check(selector);
                parsed
                    .map_err(|error| failed(format!("failed to parse policy selector: {error}")))?;
            }
            let policies = &self.world.image_policies.store;
            let policies = selected(&object, &policies.of_namespace(&key.namespace));
            let setters = edit::setters(&object, &policies);
            Ok(Active {
                setters: setters.map_err(|error| failed(error.to_string()))?,
                path: object.spec.update.path.clone().unwrap_or_default(),
                automation: key,
            })
        };
        self.active().into_iter().map(active).collect()
    }

    /// Returns what policies of all namespaces have chosen, for a folder that no automation is about.
    /// Fails when a choice is no valid reference.
    pub fn setters(&self) -> Result<Setters, SettersError> {
        let policies = self.world.image_policies.store.filter(|_| true);
        let chosen = policies.iter().filter_map(|policy| {
            let latest = policy.status.as_ref()?.latest_ref.as_ref()?;
            Some((Key::of(policy.as_ref()), latest))
        });
        let chosen: Vec<_> = chosen.collect();
        Setters::new(chosen.iter().map(|(key, latest)| PolicyChoice {
            namespace: &key.namespace,
            name: &key.name,
            latest,
        }))
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
                ineffective: controller.ineffective.take_news(&Key::of(object.as_ref())),
            });
        }
        Ok(updated)
    }

    /// Returns what the automations would commit, one after the other; nothing is pushed.
    pub async fn preview(&self) -> Result<Vec<Updated>, OnceError> {
        let controller = self.controller();
        let mut updated = Vec::new();
        // What earlier automations make of the files of a head that several of them edit.
        let mut heads: BTreeMap<_, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
        for object in self.active() {
            let key = Key::of(object.as_ref());
            let failed = |message: String| automation_failed(&key, message);
            let now = self.clock.now();
            let plan = match controller.decide(&object, now) {
                Decision::Act(plan) => plan,
                Decision::Report(report) => {
                    ended(object.as_ref(), &report.outcome)?;
                    continue;
                }
            };
            let target = (source_key(&object), plan.route.branch.clone());
            let Preview { policies, basis } = controller.preview(plan).await.map_err(&failed)?;
            let edit = Edit::new(&object, &policies, (controller.index.clone(), now));
            let edit = edit.map_err(|error| failed(error.to_string()))?;
            let last = edit.last();
            let head = (target, basis.commit.map(|commit| commit.to_string()));
            let mut earlier = heads.remove(&head).unwrap_or_default();
            let files = tokio::task::spawn_blocking(move || {
                let files = edit.preview(&basis, &mut earlier);
                files.map(|files| (files, earlier))
            });
            let files = files.await.map_err(|error| failed(error.to_string()))?;
            let (files, earlier) = files.map_err(|error| failed(error.to_string()))?;
            heads.insert(head, earlier);
            updated.push(Updated {
                automation: key.clone(),
                path: object.spec.update.path.clone().unwrap_or_default(),
                commit: None,
                files,
                ineffective: last.take_ineffective().unwrap_or_default(),
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
            index: self.markers.clone(),
            ineffective: IneffectiveMarkers::default(),
        }
    }
}

fn automation_failed(key: &Key, message: String) -> OnceError {
    OnceError::Pass {
        kind: "ImageUpdateAutomation".to_owned(),
        key: key.clone(),
        message,
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

/// Fails with what an outcome says, unless it is a good one.
pub(super) fn ended<K: Kind>(object: &K, outcome: &Outcome) -> Result<(), OnceError> {
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
