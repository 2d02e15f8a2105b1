//! The apply room against the embedded API: what it writes, what it leaves alone, what it sees.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use towpath::apply::{
    self, Action, ApplyOptions, ChangeSet, CommonMetadata, Drift, Inventory, ObjectRef, Owner,
    Target, WaitOptions,
};
use towpath::cluster::{Cluster, Embedded};

/// Longer than any of these waits, shorter than patience.
const PATIENCE: Duration = Duration::from_secs(10);

struct World {
    client: Client,
    cluster: Arc<apply::Cluster>,
}

impl World {
    async fn new() -> Self {
        let cluster = Cluster::embedded(Embedded::default()).await.unwrap();
        let client = cluster.client();
        Self {
            cluster: Arc::new(apply::Cluster::new(client.clone())),
            client,
        }
    }

    async fn apply(&self, objects: Vec<Value>) -> (ChangeSet, Result<(), apply::Error>) {
        self.apply_with(objects, ApplyOptions::default()).await
    }

    async fn apply_with(
        &self,
        mut objects: Vec<Value>,
        options: ApplyOptions,
    ) -> (ChangeSet, Result<(), apply::Error>) {
        for object in &mut objects {
            apply::normalise(object, &owner(), &CommonMetadata::default()).unwrap();
        }
        apply::apply(&self.cluster, apply::plan(objects).unwrap(), options).await
    }

    async fn applied(&self, objects: Vec<Value>) -> Vec<Action> {
        let (changes, result) = self.apply(objects).await;
        result.unwrap();
        changes.changes.iter().map(|change| change.action).collect()
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn merge(&self, name: &str, patch: Value) -> ConfigMap {
        let params = PatchParams {
            field_manager: Some("somebody".into()),
            ..Default::default()
        };
        self.config_maps()
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap()
    }
}

fn owner() -> Owner {
    Owner {
        name: "apps".into(),
        namespace: "flux-system".into(),
    }
}

fn config_map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"}, "data": data})
}

fn deployment(image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": image}]}}}})
}

fn reference(object: &Value) -> ObjectRef {
    ObjectRef::of(object).unwrap()
}

#[tokio::test]
async fn an_unchanged_object_is_never_written_again() {
    let world = World::new().await;
    let objects = vec![config_map("a", json!({"x": "1"})), deployment("web:1")];
    assert_eq!(
        world.applied(objects.clone()).await,
        [Action::Created, Action::Created]
    );
    let before = world
        .config_maps()
        .get("a")
        .await
        .unwrap()
        .metadata
        .resource_version;
    assert_eq!(
        world.applied(objects.clone()).await,
        [Action::Unchanged, Action::Unchanged]
    );
    // A new process knows nothing and still writes nothing.
    let fresh = World {
        client: world.client.clone(),
        cluster: Arc::new(apply::Cluster::new(world.client.clone())),
    };
    assert_eq!(
        fresh.applied(objects).await,
        [Action::Unchanged, Action::Unchanged]
    );
    let after = world
        .config_maps()
        .get("a")
        .await
        .unwrap()
        .metadata
        .resource_version;
    assert_eq!(before, after);
}

#[tokio::test]
async fn what_left_the_manifest_leaves_the_object_and_others_fields_stay() {
    let world = World::new().await;
    world
        .applied(vec![config_map("a", json!({"x": "1", "y": "2"}))])
        .await;
    world.merge("a", json!({"data": {"theirs": "3"}})).await;
    let (changes, result) = world.apply(vec![config_map("a", json!({"x": "1"}))]).await;
    result.unwrap();
    assert_eq!(changes.report(), "ConfigMap/default/a configured");
    let data = world.config_maps().get("a").await.unwrap().data.unwrap();
    assert_eq!(
        data.into_iter().collect::<Vec<_>>(),
        [
            ("theirs".to_owned(), "3".to_owned()),
            ("x".to_owned(), "1".to_owned()),
        ]
    );
}

#[tokio::test]
async fn what_people_added_with_kubectl_is_taken_back() {
    let world = World::new().await;
    world
        .applied(vec![config_map("a", json!({"x": "1"}))])
        .await;
    let params = PatchParams {
        field_manager: Some("kubectl-edit".into()),
        ..Default::default()
    };
    let patch = Patch::Merge(json!({"data": {"byHand": "1"}}));
    world
        .config_maps()
        .patch("a", &params, &patch)
        .await
        .unwrap();
    assert_eq!(
        world
            .applied(vec![config_map("a", json!({"x": "1"}))])
            .await,
        [Action::Configured]
    );
    let data = world.config_maps().get("a").await.unwrap().data.unwrap();
    assert!(!data.contains_key("byHand"), "{data:?}");
}

#[tokio::test]
async fn a_change_by_hand_is_seen_and_a_status_is_not() {
    let world = World::new().await;
    let objects = vec![config_map("a", json!({"x": "1"})), deployment("web:1")];
    world.applied(objects.clone()).await;
    let followed = objects.iter().map(reference).collect();
    let mut drifts = apply::follow(world.cluster.clone(), followed)
        .await
        .unwrap();
    report_ready(&world.client).await;
    world.merge("a", json!({"data": {"x": "2"}})).await;
    let drift = tokio::time::timeout(PATIENCE, drifts.next()).await.unwrap();
    assert_eq!(drift, Some(Drift::Changed(reference(&objects[0]))));
    assert_eq!(
        world.applied(objects.clone()).await,
        [Action::Configured, Action::Unchanged]
    );
    world
        .config_maps()
        .delete("a", &Default::default())
        .await
        .unwrap();
    let drift = tokio::time::timeout(PATIENCE, drifts.next()).await.unwrap();
    assert_eq!(drift, Some(Drift::Vanished(reference(&objects[0]))));
}

#[tokio::test]
async fn only_what_is_owned_is_pruned() {
    let world = World::new().await;
    let names = ["gone", "kept", "stolen"];
    let mut objects: Vec<Value> = names
        .iter()
        .map(|name| config_map(name, json!({})))
        .collect();
    objects[1]["metadata"]["annotations"] =
        json!({"kustomize.toolkit.fluxcd.io/prune": "disabled"});
    let (changes, _) = world.apply(objects).await;
    let label = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "other"}}});
    world.merge("stolen", label).await;
    let stale = Inventory::of(&changes.changes);
    let pruned = apply::prune(&world.cluster, &stale, &owner()).await;
    assert!(pruned.error.is_none());
    assert_eq!(pruned.changes.report(), "ConfigMap/default/gone deleted");
    let list = world.config_maps().list(&Default::default()).await.unwrap();
    let left: Vec<_> = list
        .items
        .into_iter()
        .filter_map(|map| map.metadata.name)
        .collect();
    assert!(
        left.contains(&"kept".to_owned()) && left.contains(&"stolen".to_owned()),
        "{left:?}"
    );
    assert!(!left.contains(&"gone".to_owned()), "{left:?}");
}

#[tokio::test]
async fn an_immutable_change_needs_force() {
    let world = World::new().await;
    world.applied(vec![deployment("web:1")]).await;
    let mut changed = deployment("web:1");
    changed["spec"]["selector"]["matchLabels"]["tier"] = json!("front");
    changed["spec"]["template"]["metadata"]["labels"]["tier"] = json!("front");
    let (_, result) = world.apply(vec![changed.clone()]).await;
    let error = result.unwrap_err().to_string();
    assert!(
        error.starts_with("Deployment/default/web dry-run failed (Invalid): "),
        "{error}"
    );
    assert!(error.contains("immutable"), "{error}");
    let (changes, result) = world
        .apply_with(vec![changed], ApplyOptions { force: true })
        .await;
    result.unwrap();
    assert_eq!(changes.report(), "Deployment/default/web created");
}

#[tokio::test]
async fn a_refused_object_is_named_and_nothing_of_its_stage_is_written() {
    let world = World::new().await;
    let mut wrong = config_map("b", json!({}));
    wrong["metadata"]["namespace"] = json!("nowhere");
    let (changes, result) = world.apply(vec![config_map("a", json!({})), wrong]).await;
    let error = result.unwrap_err().to_string();
    assert!(
        error.starts_with("ConfigMap/nowhere/b not found: namespaces \"nowhere\""),
        "{error}"
    );
    assert!(changes.changes.is_empty());
    assert!(world.config_maps().get_opt("a").await.unwrap().is_none());
    let unknown = json!({"apiVersion": "example.dev/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "default"}});
    let error = world.apply(vec![unknown]).await.1.unwrap_err().to_string();
    let want = "Widget/default/w dry-run failed: no matches for kind \"Widget\" in version \
        \"example.dev/v1\"";
    assert_eq!(error, want);
}

#[tokio::test]
async fn the_value_of_a_refused_secret_is_nowhere() {
    let world = World::new().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "immutable": true,
        "metadata": {"name": "s", "namespace": "default"}, "stringData": {"k": "hunter2"}});
    world.applied(vec![secret.clone()]).await;
    let mut changed = secret;
    changed["stringData"]["k"] = json!("correct horse");
    let error = format!("{:?}", world.apply(vec![changed]).await.1.unwrap_err());
    let encoded = "Y29ycmVjdCBob3JzZQ==";
    assert!(
        !error.contains("horse") && !error.contains(encoded),
        "{error}"
    );
    let api: Api<Secret> = Api::namespaced(world.client, "default");
    assert_eq!(api.get("s").await.unwrap().data.unwrap()["k"].0, b"hunter2");
}

#[tokio::test]
async fn a_namespace_is_there_before_what_it_holds() {
    let world = World::new().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}});
    let mut inside = config_map("a", json!({}));
    inside["metadata"]["namespace"] = json!("apps");
    assert_eq!(
        world.applied(vec![inside, namespace]).await,
        [Action::Created, Action::Created]
    );
}

#[tokio::test]
async fn health_is_awaited_by_watch() {
    let world = World::new().await;
    let object = deployment("web:1");
    world.applied(vec![object.clone()]).await;
    let targets = vec![Target::from(reference(&object))];
    let cluster = world.cluster.clone();
    let options = WaitOptions {
        timeout: PATIENCE,
        fail_fast: true,
    };
    let waiting = tokio::spawn(async move {
        apply::wait(&cluster, targets, options, &CancellationToken::new()).await
    });
    report_ready(&world.client).await;
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_wait_that_ends_names_what_is_not_healthy() {
    let world = World::new().await;
    let object = deployment("web:1");
    world.applied(vec![object.clone()]).await;
    let options = WaitOptions {
        timeout: Duration::from_millis(50),
        fail_fast: true,
    };
    let targets = vec![Target::from(reference(&object))];
    let waited = apply::wait(
        &world.cluster,
        targets.clone(),
        options,
        &CancellationToken::new(),
    )
    .await;
    let error = waited.unwrap_err().to_string();
    let want = "timeout waiting for: [Deployment/default/web status: 'InProgress'";
    assert!(error.starts_with(want), "{error}");
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let options = WaitOptions {
        timeout: PATIENCE,
        fail_fast: true,
    };
    let waited = apply::wait(&world.cluster, targets, options, &cancelled).await;
    assert!(matches!(waited, Err(apply::Error::Cancelled)));
}

/// Reports the Deployment ready, as its controller would.
async fn report_ready(client: &Client) {
    let api: Api<Deployment> = Api::namespaced(client.clone(), "default");
    let generation = api.get("web").await.unwrap().metadata.generation;
    let status = json!({"status": {"observedGeneration": generation, "replicas": 1,
        "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1, "conditions": [
            {"type": "Available", "status": "True", "reason": "r", "message": "m"},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable",
             "message": "m"}]}});
    let patch = Patch::Merge(status);
    api.patch_status("web", &PatchParams::default(), &patch)
        .await
        .unwrap();
}
