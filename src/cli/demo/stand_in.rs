//! What a kubelet and its controllers would report: Deployments become ready.
//!
//! No container runs in the demo. So that health is really waited for, this reports a Deployment
//! ready a moment after its spec changed, and says so in every message it writes.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

/// Who writes the status.
const FIELD_MANAGER: &str = "demo-stand-in";
/// What every message ends with.
const NOTE: &str = "(reported by the demo: no container runs)";
/// How long a rollout seems to take.
const ROLLOUT: Duration = Duration::from_millis(20);

/// Reports every Deployment ready until it is dropped.
pub(super) async fn run(client: Client) {
    let mut events = watcher::watcher(
        Api::<Deployment>::all(client.clone()),
        watcher::Config::default(),
    )
    .boxed();
    while let Some(event) = events.next().await {
        let Ok(Event::Apply(deployment) | Event::InitApply(deployment)) = event else {
            continue;
        };
        let Some(status) = ready(&deployment) else {
            continue;
        };
        tokio::time::sleep(ROLLOUT).await;
        let namespace = deployment.namespace().unwrap_or_default();
        let api: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..Default::default()
        };
        let patch = Patch::Merge(json!({ "status": status }));
        if let Err(error) = api
            .patch_status(&deployment.name_any(), &params, &patch)
            .await
        {
            tracing::warn!(%error, deployment = %deployment.name_any(), "Could not report.");
        }
    }
}

/// Returns the status of a finished rollout, or nothing where it is reported already.
fn ready(deployment: &Deployment) -> Option<Value> {
    let generation = deployment.metadata.generation?;
    let observed = deployment
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    if observed == Some(generation) {
        return None;
    }
    let replicas = deployment.spec.replicas.unwrap_or(1);
    let condition = |kind: &str, reason: &str, text: &str| json!({"type": kind, "status": "True", "reason": reason, "message": format!("{text} {NOTE}")});
    Some(json!({
        "observedGeneration": generation,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
        "conditions": [
            condition("Available", "MinimumReplicasAvailable", "Deployment has minimum availability"),
            condition("Progressing", "NewReplicaSetAvailable", "The rollout is complete"),
        ],
    }))
}
