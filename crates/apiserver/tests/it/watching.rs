//! Watches are ordered, without gaps, resumable, and end when they must.

use serde_json::json;

use crate::client::{MAPS, World, config_map, revision};

#[tokio::test]
async fn a_watch_tells_every_change_in_order() {
    let world = World::memory().await;
    let first = world.post(MAPS, config_map("a", "1")).await;
    let mut watch = world
        .watch(&format!("{MAPS}?watch=1&resourceVersion=0"))
        .await;
    assert_eq!(
        watch.brief().await,
        ("ADDED".into(), "a".into(), revision(&first))
    );
    let second = world
        .patch(&format!("{MAPS}/a"), json!({ "data": { "x": "2" } }))
        .await;
    world.delete(&format!("{MAPS}/a"), json!(null)).await;
    assert_eq!(
        watch.brief().await,
        ("MODIFIED".into(), "a".into(), revision(&second))
    );
    let (kind, _, gone) = watch.brief().await;
    assert_eq!(kind, "DELETED");
    assert!(gone > revision(&second));
}

#[tokio::test]
async fn a_watch_resumes_across_a_restart_without_a_gap() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::folder(folder.path()).await;
    let first = world.post(MAPS, config_map("a", "1")).await;
    let labelled = json!({ "metadata": { "labels": { "l": "1" } } });
    let second = world.patch(&format!("{MAPS}/a"), labelled).await;
    let third = world
        .patch(
            &format!("{MAPS}/a"),
            json!({ "metadata": { "labels": null } }),
        )
        .await;
    world.server.shutdown().await;
    drop(world);

    let world = World::folder(folder.path()).await;
    let from = revision(&first);
    let mut watch = world
        .watch(&format!("{MAPS}?watch=1&resourceVersion={from}"))
        .await;
    assert_eq!(
        watch.brief().await,
        ("MODIFIED".into(), "a".into(), revision(&second))
    );
    assert_eq!(
        watch.brief().await,
        ("MODIFIED".into(), "a".into(), revision(&third))
    );
    let mut watch = world
        .watch(&format!(
            "{MAPS}?watch=1&resourceVersion={from}&labelSelector=l%3D1"
        ))
        .await;
    assert_eq!(
        watch.brief().await,
        ("ADDED".into(), "a".into(), revision(&second))
    );
    assert_eq!(
        watch.brief().await,
        ("DELETED".into(), "a".into(), revision(&third))
    );
}

#[tokio::test]
async fn initial_events_end_with_a_marked_bookmark() {
    let world = World::memory().await;
    world.post(MAPS, config_map("a", "1")).await;
    let query =
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = world.watch(&format!("{MAPS}?{query}")).await;
    assert_eq!(watch.brief().await.0, "ADDED");
    let mark = watch.next().await.expect("a bookmark");
    assert_eq!(mark["type"], "BOOKMARK");
    assert_eq!(
        mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
}

#[tokio::test]
async fn a_watch_below_the_window_of_changes_is_told_that_it_expired() {
    let world = World::memory().await;
    let mut watch = world
        .watch(&format!("{MAPS}?watch=1&resourceVersion=1"))
        .await;
    let event = watch.next().await.expect("an event");
    assert_eq!(
        (&event["type"], &event["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn watches_end_when_the_server_stops() {
    let world = World::memory().await;
    let from = revision(&world.post(MAPS, config_map("a", "1")).await);
    let mut watch = world
        .watch(&format!("{MAPS}?watch=1&resourceVersion={from}"))
        .await;
    world.server.shutdown().await;
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_reader_that_is_too_slow_loses_its_stream_and_writers_go_on() {
    let world = World::memory().await;
    let from = revision(&world.post(MAPS, config_map("a", "1")).await);
    let mut watch = world
        .watch(&format!("{MAPS}?watch=1&resourceVersion={from}"))
        .await;
    let writes = apiserver::store::WATCH_BUFFER_EVENTS + 100;
    for n in 0..writes {
        world
            .patch(
                &format!("{MAPS}/a"),
                json!({ "data": { "x": format!("n{n}") } }),
            )
            .await;
    }
    let mut seen = 0;
    while watch.next().await.is_some() {
        seen += 1;
    }
    assert!(
        seen < writes,
        "the stream ended before the last of {writes} changes"
    );
}
