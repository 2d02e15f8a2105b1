//! The objects of the demo's world: how they are asked for, and what is read off them.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::world::World;
use crate::api::annotations::REQUESTED_AT;
use crate::api::conditions::READY;
use crate::api::{ConditionStatus, GitRepository, ImageRepository};
use crate::reconcile::Kind;

const NAMESPACE: &str = "flux-system";

/// Returns the objects of one of Flux's kinds.
pub(super) fn flux<K>(world: &World) -> Api<K>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    Api::namespaced(world.client.clone(), NAMESPACE)
}

/// Returns the Deployments of the app.
pub(super) fn deployments(world: &World) -> Api<Deployment> {
    Api::namespaced(world.client.clone(), "apps")
}

/// Asks for a reconciliation now, as a webhook or `flux reconcile` does.
pub(super) async fn request<K>(world: &World, name: &str) -> anyhow::Result<()>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
    K::DynamicType: Default,
{
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    let patch = Patch::Merge(json!({"metadata": {"annotations": {REQUESTED_AT: now}}}));
    flux::<K>(world)
        .patch(name, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

/// Returns whether an object says that it is ready.
pub(super) fn is_ready<K: Kind>(object: &K) -> bool {
    let ready = object
        .conditions()
        .iter()
        .find(|condition| condition.type_ == READY);
    ready.is_some_and(|ready| ready.status == ConditionStatus::True)
}

/// Returns whether the last scan shows a tag among its latest.
pub(super) fn shows(object: &ImageRepository, tag: &str) -> bool {
    let status = object.status.as_ref();
    let scan = status.and_then(|status| status.last_scan_result.as_ref());
    scan.is_some_and(|scan| scan.latest_tags.iter().any(|latest| latest == tag))
}

/// Returns the image of the first container.
pub(super) fn image_of(deployment: &Deployment) -> Option<&String> {
    let spec = deployment.spec.template.spec.as_ref()?;
    spec.containers.first()?.image.as_ref()
}

/// Returns the revision of a source's artifact.
pub(super) fn revision_of(object: &GitRepository) -> Option<&str> {
    Some(object.status.as_ref()?.artifact.as_ref()?.revision.as_str())
}
