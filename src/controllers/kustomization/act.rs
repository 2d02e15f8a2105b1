//! A pass: variables, build, apply, prune, health; and the end of what was applied.
//!
//! Tool calls in Flux's order. What a failed pass did apply stays in the inventory.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, ResourceExt};
use serde_json::Value;
use tokio::time::Instant;

use super::Kustomizations;
use super::done::{Done, Failure};
use super::plan::{Plan, deletes_on_finalize, own_namespace};
use crate::api::{
    DeletionPolicy, Kustomization, SubstituteKind, SubstituteReference, SubstituteStrategy, reasons,
};
use crate::apply::{
    Action, ApplyOptions, ChangeSet, CommonMetadata, Entry, Inventory, ObjectRef, Owner, Target,
    WaitOptions,
};
use crate::kustomize::{Build, Variables};
use crate::reconcile::{Key, Progress};
use crate::{apply, kustomize};

/// The longest wait for the end of deleted objects.
const TERMINATION_MAX: std::time::Duration = std::time::Duration::from_secs(300);

impl Kustomizations {
    /// Makes the pass; the first failure ends it and stands in the result.
    pub(super) async fn run(
        &self,
        object: &Arc<Kustomization>,
        plan: Plan,
        progress: &Progress,
    ) -> Done {
        let mut done = Done::new(plan);
        if let Err(failure) = self.steps(object, &mut done, progress).await {
            done.failure = Some(failure);
        }
        done.took = done.started.elapsed();
        done
    }

    async fn steps(
        &self,
        object: &Arc<Kustomization>,
        done: &mut Done,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let revision = done.plan.artifact.revision.clone();
        progress.step(format!("Building manifests for revision {revision}"));
        let build = self.build(object, done).await?;
        done.digest = Some(build.digest);
        progress.step(format!("Detecting drift for revision {revision}"));
        self.apply(object, build.objects, done).await?;
        self.prune(object, done).await?;
        let timeout = crate::duration::Duration::from_seconds(
            i64::try_from(done.plan.timing.timeout.as_secs()).unwrap_or(i64::MAX),
        );
        progress.step(format!(
            "Running health checks for revision {revision} with a timeout of {timeout}"
        ));
        self.check_health(object, done, progress).await
    }

    async fn build(&self, object: &Arc<Kustomization>, done: &mut Done) -> Result<Build, Failure> {
        let artifact = Failure::with(reasons::ARTIFACT_FAILED);
        let files = self
            .artifacts
            .files(&done.plan.source)
            .await
            .map_err(artifact)?;
        let variables = self.variables(object).await?;
        let spec = object.spec.clone();
        let built = tokio::task::spawn_blocking(move || {
            kustomize::build(files.as_ref(), &spec, &variables)
        });
        let built = built.await.map_err(Failure::with(reasons::BUILD_FAILED))?;
        if !matches!(built, Err(kustomize::Error::Path { .. })) {
            done.attempted = true;
        }
        built.map_err(|error| {
            let path = matches!(error, kustomize::Error::Path { .. });
            let reason = if path {
                reasons::ARTIFACT_FAILED
            } else {
                reasons::BUILD_FAILED
            };
            Failure::with(reason)(error)
        })
    }

    async fn variables(&self, object: &Kustomization) -> Result<Variables, Failure> {
        let Some(post_build) = &object.spec.post_build else {
            return Ok(Variables::default());
        };
        let mut layers = Vec::new();
        for reference in &post_build.substitute_from {
            layers.push(
                self.substitute_from(own_namespace(object), reference)
                    .await?,
            );
        }
        layers.push(post_build.substitute.clone());
        let always = post_build.substitute_strategy == Some(SubstituteStrategy::Always);
        Variables::new(layers, always).map_err(Failure::with(reasons::BUILD_FAILED))
    }

    async fn substitute_from(
        &self,
        namespace: &str,
        reference: &SubstituteReference,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let name = &reference.name;
        let (kind, read) = match reference.kind {
            SubstituteKind::ConfigMap => {
                let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
                let read = api.get_opt(name).await;
                (
                    "ConfigMap",
                    read.map(|found| found.map(|map| map.data.unwrap_or_default())),
                )
            }
            SubstituteKind::Secret => {
                let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
                let read = api.get_opt(name).await;
                ("Secret", read.map(|found| found.map(texts)))
            }
        };
        let failed = |why: String| {
            let message = format!("substitute from '{kind}/{name}' error: {why}");
            Failure::new(reasons::BUILD_FAILED, message)
        };
        match read {
            Ok(Some(layer)) => Ok(layer),
            Ok(None) if reference.optional => Ok(BTreeMap::new()),
            Ok(None) => Err(failed("not found".to_owned())),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    async fn apply(
        &self,
        object: &Kustomization,
        mut objects: Vec<Value>,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let failed = Failure::with(reasons::RECONCILIATION_FAILED);
        let owner = owner(object);
        let common = object.spec.common_metadata.clone().unwrap_or_default();
        let common = CommonMetadata {
            labels: common.labels,
            annotations: common.annotations,
        };
        for object in &mut objects {
            apply::normalise(object, &owner, &common).map_err(&failed)?;
        }
        let stages = apply::plan(objects).map_err(&failed)?;
        let options = ApplyOptions {
            force: object.spec.force,
        };
        let (changes, result) = apply::apply(&self.cluster, stages, options).await;
        let mut inventory = Inventory::of(&changes.changes);
        if result.is_err() {
            // What an earlier pass owned and this one did not reach stays owned.
            inventory.merge(&inventory_of(object));
        }
        done.inventory = Some(inventory);
        let log = changes.report();
        done.changes = changes;
        result.map_err(|error| match log.as_str() {
            "" => failed(error),
            log => Failure::new(reasons::RECONCILIATION_FAILED, format!("{error}\n{log}")),
        })
    }

    async fn prune(&self, object: &Kustomization, done: &mut Done) -> Result<(), Failure> {
        let inventory = done.inventory.get_or_insert_default();
        let stale = inventory_of(object).without(inventory);
        if !object.spec.prune || stale.entries.is_empty() {
            return Ok(());
        }
        let pruned = apply::prune(&self.cluster, &stale, &owner(object)).await;
        inventory.merge(&pruned.failed);
        done.pruned = pruned.changes;
        pruned.error.map_or(Ok(()), |error| {
            Err(Failure::with(reasons::PRUNE_FAILED)(error))
        })
    }

    async fn check_health(
        &self,
        object: &Kustomization,
        done: &mut Done,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let targets =
            targets(object, &done.changes).map_err(Failure::with(reasons::HEALTH_CHECK_FAILED))?;
        if targets.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let options = WaitOptions {
            timeout: done.plan.timing.timeout,
            fail_fast: true,
        };
        let waited = apply::wait(&self.cluster, targets, options, progress.superseded()).await;
        let took = began.elapsed();
        done.health = Some(took);
        waited.map_err(|error| {
            if matches!(error, apply::Error::Cancelled) {
                let message = format!("New reconciliation triggered for '{}'", Key::of(object));
                return Failure::new(reasons::HEALTH_CHECK_CANCELED, message);
            }
            let took = super::done::rounded(took);
            let message = format!("health check failed after {took}: {error}");
            Failure::new(reasons::HEALTH_CHECK_FAILED, message)
        })
    }

    /// Deletes what was applied, where the deletion policy says so.
    pub(super) async fn delete_applied(&self, object: &Kustomization) -> Result<(), String> {
        let inventory = inventory_of(object);
        if !deletes_on_finalize(object) || inventory.entries.is_empty() {
            return Ok(());
        }
        let pruned = apply::prune(&self.cluster, &inventory, &owner(object)).await;
        if let Some(error) = pruned.error {
            return Err(format!("pruning for deleted resource failed: {error}"));
        }
        if object.spec.deletion_policy == Some(DeletionPolicy::WaitForTermination) {
            let deleted = pruned.changes.changes.into_iter();
            let deleted = deleted.filter(|change| change.action == Action::Deleted);
            let objects: Vec<ObjectRef> = deleted.map(|change| change.object).collect();
            // Upstream lets the object go in either case; what still terminates does so alone.
            if let Err(error) = apply::terminated(&self.cluster, &objects, TERMINATION_MAX).await {
                tracing::warn!(name = object.name_any(), %error, "Did not wait any longer.");
            }
        }
        Ok(())
    }
}

fn texts(secret: Secret) -> BTreeMap<String, String> {
    let data = secret.data.unwrap_or_default().into_iter();
    data.map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned()))
        .collect()
}

fn owner(object: &Kustomization) -> Owner {
    Owner {
        name: object.name_any(),
        namespace: own_namespace(object).to_owned(),
    }
}

/// Returns the inventory that the status holds.
pub(super) fn inventory_of(object: &Kustomization) -> Inventory {
    let status = object.status.as_ref();
    let entries = status
        .and_then(|status| status.inventory.as_ref())
        .map(|i| &i.entries);
    let entries = entries.into_iter().flatten().map(|entry| Entry {
        id: entry.id.clone(),
        version: entry.v.clone(),
    });
    Inventory {
        entries: entries.collect(),
    }
}

/// Returns the objects whose health is waited for: all applied ones, or those that are named; never
/// the Kustomization itself.
fn targets(object: &Kustomization, changes: &ChangeSet) -> Result<Vec<Target>, apply::Error> {
    let mut objects: Vec<ObjectRef> = if object.spec.wait {
        let applied = changes.changes.iter();
        let applied = applied.filter(|change| change.action != Action::Skipped);
        applied.map(|change| change.object.clone()).collect()
    } else {
        let checks = object.spec.health_checks.iter().map(|check| {
            let api_version = check.api_version.as_deref().unwrap_or("apps/v1");
            ObjectRef::of(
                &serde_json::json!({"apiVersion": api_version, "kind": check.kind,
                "metadata": {"name": check.name, "namespace": check.namespace}}),
            )
        });
        checks.collect::<Result<_, _>>()?
    };
    let (name, namespace) = (object.name_any(), own_namespace(object));
    objects.retain(|target| {
        target.kind != "Kustomization" || target.name != name || target.namespace != namespace
    });
    Ok(objects.into_iter().map(Target::from).collect())
}
