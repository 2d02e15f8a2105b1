//! Which automations write what a policy chose, and what keeps each of them from it.
//!
//! In: a cluster, a policy with its choice, and where to look for markers. Out: one [`Writer`] for each
//! automation of the policy's namespace. Nothing is written anywhere. Used by the command line.

mod verdict;

use std::sync::Arc;

use kube::core::DeserializeGuard;
use kube::{Api, Client, ResourceExt};

pub use self::verdict::Verdict;
use super::image_update_automation::{basis, decide, selected, source_key};
use super::marked_files::update_tree;
use super::marker_index::MarkerIndex;
use super::once::{OnceError, ended};
use super::selector;
use crate::api::conditions::READY;
use crate::api::{ConditionStatus, GitRepository, ImagePolicy, ImageRef, ImageUpdateAutomation};
use crate::git::Git;
use crate::reconcile::{Clock, Decision, Key, Kind};
use crate::update::{self, Files, PolicyChoice, Setters};

/// How many automations of other namespaces are named.
const OTHERS_MAX: usize = 20;

/// An automation, and what it makes of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The automation.
    pub automation: Key,
    /// Its `spec.update.path`.
    pub path: String,
    /// The branch that it pushes to, as far as it is known.
    pub branch: Option<String>,
    /// The last commit that it pushed.
    pub last_push_commit: Option<String>,
    /// What it makes of the choice.
    pub verdict: Verdict,
}

/// What a policy chose.
pub struct Choice<'c> {
    /// The policy.
    pub policy: &'c ImagePolicy,
    /// Its choice.
    pub latest: ImageRef,
    /// Whether controllers keep the statuses of the cluster.
    pub is_served: bool,
}

/// Where to look for markers.
pub enum Trees<F> {
    /// In the branches that the automations edit.
    Branches(Git),
    /// In a folder, in place of all of them.
    Folder(F),
}

/// Looks through the automations of a policy's namespace; where it has none, names those of others.
/// Fails when the cluster does not answer.
pub async fn writers<F: Files>(
    client: &Client,
    choice: &Choice<'_>,
    trees: &Trees<F>,
) -> Result<Vec<Writer>, kube::Error> {
    let namespace = choice.policy.namespace().unwrap_or_default();
    let own = Api::namespaced(client.clone(), &namespace);
    let mut writers = Vec::new();
    for object in listed(&own).await? {
        writers.push(match object.0 {
            Ok(object) => writer(client, choice, trees, object).await?,
            Err(error) => {
                let name = error.metadata.name.clone().unwrap_or_default();
                let message = error.to_string();
                new(Key::new(&namespace, name), Verdict::Blocked { message })
            }
        });
    }
    if writers.is_empty() {
        // Whoever may not see them all is told without their names.
        let all = listed(&Api::all(client.clone())).await.unwrap_or_default();
        let others = all.into_iter().filter_map(|object| object.0.ok());
        let others = others.map(|object| new(Key::of(&object), Verdict::OtherNamespace));
        writers.extend(others.take(OTHERS_MAX));
    }
    Ok(writers)
}

type Guarded = DeserializeGuard<ImageUpdateAutomation>;

async fn listed(api: &Api<Guarded>) -> Result<Vec<Guarded>, kube::Error> {
    Ok(api.list(&Default::default()).await?.items)
}

fn new(automation: Key, verdict: Verdict) -> Writer {
    Writer {
        automation,
        path: String::new(),
        branch: None,
        last_push_commit: None,
        verdict,
    }
}

async fn writer<F: Files>(
    client: &Client,
    choice: &Choice<'_>,
    trees: &Trees<F>,
    object: ImageUpdateAutomation,
) -> Result<Writer, kube::Error> {
    let mut writer = new(Key::of(&object), Verdict::Suspended);
    writer.path = object.spec.update.path.clone().unwrap_or_default();
    let status = object.status.as_ref();
    writer.last_push_commit = status.and_then(|status| status.last_push_commit.clone());
    if let Some(verdict) = before_a_run(choice, &object) {
        writer.verdict = verdict;
        return Ok(writer);
    }
    let key = source_key(&object);
    let sources: Api<GitRepository> = Api::namespaced(client.clone(), &key.namespace);
    let source = sources.get_opt(&key.name).await?.map(Arc::new);
    let mut policy = choice.policy.clone();
    policy.status.get_or_insert_default().latest_ref = Some(choice.latest.clone());
    let plan = match decide(&object, &[Arc::new(policy)], source, Clock::system().now()) {
        Decision::Act(plan) => plan,
        Decision::Report(report) => {
            if let Err(OnceError::Pass { message, .. }) = ended(&object, &report.outcome) {
                writer.verdict = Verdict::Blocked { message };
            }
            return Ok(writer);
        }
    };
    writer.branch = Some(plan.route.branch.clone());
    let policy = Key::of(choice.policy);
    let setters = Setters::new([PolicyChoice {
        namespace: &policy.namespace,
        name: &policy.name,
        latest: &choice.latest,
    }]);
    let setters = match setters {
        Ok(setters) => setters,
        Err(error) => {
            writer.verdict = Verdict::no_image(&error);
            return Ok(writer);
        }
    };
    let report = match trees {
        Trees::Folder(files) => {
            update::run(files, &writer.path, &setters).map_err(|error| error.to_string())
        }
        Trees::Branches(git) => match basis(client, git, &plan).await {
            Ok(basis) => {
                let path = writer.path.clone();
                let look = move || {
                    update_tree(&basis.tree, &MarkerIndex::default(), &path, &setters)
                        .map_err(|error| error.to_string())
                };
                let look = tokio::task::spawn_blocking(look).await;
                look.unwrap_or_else(|error| Err(error.to_string()))
            }
            Err(message) => Err(message),
        },
    };
    writer.verdict = match report {
        Ok(report) => Verdict::of(&report, &policy, failure(choice, &object)),
        Err(message) => Verdict::Unread { message },
    };
    Ok(writer)
}

/// Returns what keeps an automation from the policy before it looks at its source.
fn before_a_run(choice: &Choice<'_>, object: &ImageUpdateAutomation) -> Option<Verdict> {
    if object.spec.suspend {
        return Some(Verdict::Suspended);
    }
    let sound =
        (object.spec.policy_selector.as_ref()).filter(|selector| selector::check(selector).is_ok());
    if let Some(selector) = sound {
        let selected = selected(object, &[Arc::new(choice.policy.clone())]);
        if !selected.left_out.is_empty() {
            let wants = selector::text(selector);
            return Some(Verdict::NotSelected { wants });
        }
    }
    let status = choice.policy.status.as_ref();
    let served = status.and_then(|status| status.latest_ref.as_ref());
    let served = served.map(|latest| latest.tag.clone());
    let is_behind = choice.is_served && served.as_ref() != Some(&choice.latest.tag);
    is_behind.then(|| Verdict::Behind {
        served,
        why: not_ready(choice.policy),
    })
}

/// Returns what the last run failed with, if one did.
fn failure(choice: &Choice<'_>, object: &ImageUpdateAutomation) -> Option<String> {
    not_ready(object).filter(|_| choice.is_served)
}

/// Returns what the Ready condition of an object says, on one line, if it is not ready.
fn not_ready<K: Kind>(object: &K) -> Option<String> {
    let ready = object.conditions().iter().find(|c| c.type_ == READY)?;
    (ready.status == ConditionStatus::False).then(|| ready.message.replace('\n', "; "))
}
