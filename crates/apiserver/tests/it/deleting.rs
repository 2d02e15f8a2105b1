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
