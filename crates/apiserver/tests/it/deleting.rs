//! Finalizers, owners and namespaces.

use http::Method;
use serde_json::json;

use crate::client::{MAPS, World, config_map};

#[tokio::test]
async fn an_object_with_a_finalizer_waits_for_it() {
    let world = World::memory().await;
    let mut map = config_map("a", "1");
    map["metadata"]["finalizers"] = json!(["example.dev/hold"]);
    world.post(MAPS, map).await;
    let path = format!("{MAPS}/a");
    let marked = world.delete(&path, json!(null)).await;
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(world.get(&path).await.0, 200);
    world
        .patch(&path, json!({ "metadata": { "finalizers": null } }))
        .await;
    assert_eq!(world.get(&path).await.0, 404);
}

#[tokio::test]
async fn protected_namespaces_stay() {
    let world = World::memory().await;
    let (code, _) = world
        .ask(
            Method::DELETE,
            "/api/v1/namespaces/kube-system",
            json!(null),
        )
        .await;
    assert_eq!(code, 403);
}

/// Creates a ConfigMap that belongs to others, and returns it.
async fn owned(
    world: &World,
    name: &str,
    owners: &[(&serde_json::Value, bool)],
) -> serde_json::Value {
    let mut map = config_map(name, "1");
    let owner = |(owner, blocks): &(&serde_json::Value, bool)| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "blockOwnerDeletion": blocks,
        })
    };
    map["metadata"]["ownerReferences"] = owners.iter().map(owner).collect();
    world.post(MAPS, map).await
}

fn at(name: &str) -> String {
    format!("{MAPS}/{name}")
}

#[tokio::test]
async fn dependents_go_after_their_last_owner() {
    let world = World::memory().await;
    let first = world.post(MAPS, config_map("first", "1")).await;
    let second = world.post(MAPS, config_map("second", "1")).await;
    let child = owned(&world, "child", &[(&first, false), (&second, false)]).await;
    owned(&world, "grandchild", &[(&child, false)]).await;
    world.delete(&at("first"), json!(null)).await;
    world
        .until_field(&at("child"), "/metadata/ownerReferences/1", None)
        .await;
    assert_eq!(world.get(&at("grandchild")).await.0, 200);
    world.delete(&at("second"), json!(null)).await;
    world.until(&at("child"), 404).await;
    world.until(&at("grandchild"), 404).await;
}

#[tokio::test]
async fn a_foreground_deletion_waits_for_the_dependents_that_block_it() {
    let world = World::memory().await;
    let owner = world.post(MAPS, config_map("owner", "1")).await;
    owned(&world, "child", &[(&owner, true)]).await;
    let hold = json!({ "metadata": { "finalizers": ["example.dev/hold"] } });
    world.patch(&at("child"), hold).await;
    world
        .delete(&at("owner"), json!({ "propagationPolicy": "Foreground" }))
        .await;
    world
        .until_field(
            &at("child"),
            "/metadata/deletionGracePeriodSeconds",
            Some(json!(0)),
        )
        .await;
    assert_eq!(world.get(&at("owner")).await.0, 200);
    let finalizers = world.get(&at("child")).await.1["metadata"]["finalizers"].clone();
    assert!(finalizers.to_string().contains("example.dev/hold"));
    world
        .patch(&at("child"), json!({ "metadata": { "finalizers": null } }))
        .await;
    world.until(&at("child"), 404).await;
    world.until(&at("owner"), 404).await;
}

#[tokio::test]
async fn orphans_forget_their_owner_and_stay() {
    let world = World::memory().await;
    let owner = world.post(MAPS, config_map("owner", "1")).await;
    owned(&world, "child", &[(&owner, false)]).await;
    world
        .delete(&at("owner"), json!({ "propagationPolicy": "Orphan" }))
        .await;
    world.until(&at("owner"), 404).await;
    let (_, child) = world.get(&at("child")).await;
    assert_eq!(child.pointer("/metadata/ownerReferences"), None);
}

#[tokio::test]
async fn a_cascade_that_a_stop_interrupted_goes_on_after_the_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::folder(folder.path()).await;
    let owner = world.post(MAPS, config_map("owner", "1")).await;
    owned(&world, "child", &[(&owner, false)]).await;
    world.delete(&at("owner"), json!(null)).await;
    assert_eq!(world.get(&at("child")).await.0, 200, "no worker runs yet");
    world.server.shutdown().await;
    drop(world);

    let data = Some(folder.path().to_owned());
    let world = World::open(apiserver::Options {
        data,
        ..apiserver::Options::default()
    })
    .await;
    world.until(&at("child"), 404).await;
}

#[tokio::test]
async fn a_namespace_goes_after_everything_in_it() {
    let world = World::memory().await;
    let namespaces = "/api/v1/namespaces";
    let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "n" } });
    world.post(namespaces, body).await;
    let maps = format!("{namespaces}/n/configmaps");
    let mut map = config_map("held", "1");
    map["metadata"]["finalizers"] = json!(["example.dev/hold"]);
    world.post(&maps, map).await;
    world.post(&maps, config_map("free", "1")).await;
    world.delete(&format!("{namespaces}/n"), json!(null)).await;
    world.until(&format!("{maps}/free"), 404).await;
    let reason = Some(json!("SomeFinalizersRemain"));
    world
        .until_field(
            &format!("{namespaces}/n"),
            "/status/conditions/1/reason",
            reason,
        )
        .await;
    let (code, _) = world
        .ask(Method::POST, &maps, config_map("late", "1"))
        .await;
    assert_eq!(code, 403);
    world
        .patch(
            &format!("{maps}/held"),
            json!({ "metadata": { "finalizers": null } }),
        )
        .await;
    world.until(&format!("{namespaces}/n"), 404).await;
}
