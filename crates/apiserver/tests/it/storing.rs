//! What is stored stays stored, and only one process has it.

use apiserver::{Options, Server};
use futures::future::join_all;
use serde_json::json;

use crate::client::{MAPS, World, config_map, revision};

#[tokio::test]
async fn an_object_is_created_read_changed_listed_and_deleted() {
    let world = World::memory().await;
    let made = world.post(MAPS, config_map("a", "1")).await;
    let path = format!("{MAPS}/a");
    assert_eq!(world.get(&path).await, (200, made.clone()));
    let changed = world.patch(&path, json!({ "data": { "x": "2" } })).await;
    assert!(revision(&changed) > revision(&made));
    let same = world.patch(&path, json!({ "data": { "x": "2" } })).await;
    assert_eq!(
        revision(&same),
        revision(&changed),
        "nothing changed, so nothing is written"
    );
    let (_, list) = world.get(MAPS).await;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    world.delete(&path, json!(null)).await;
    assert_eq!(world.get(&path).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_a_restart_and_revisions_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::folder(folder.path()).await;
    let names: Vec<String> = (0..200).map(|n| format!("m{n:03}")).collect();
    join_all(
        names
            .iter()
            .map(|name| world.post(MAPS, config_map(name, "1"))),
    )
    .await;
    let last = world
        .patch(&format!("{MAPS}/m000"), json!({ "data": { "x": "2" } }))
        .await;
    world.delete(&format!("{MAPS}/m001"), json!(null)).await;
    world.server.shutdown().await;
    drop(world);

    let world = World::folder(folder.path()).await;
    let (_, list) = world.get(MAPS).await;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(199));
    assert_eq!(world.get(&format!("{MAPS}/m000")).await.1, last);
    let next = world.post(MAPS, config_map("next", "1")).await;
    assert!(
        revision(&next) > revision(&last) + 1,
        "the deletion had a revision of its own"
    );
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused_with_the_process_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let _first = World::folder(folder.path()).await;
    let data = Some(folder.path().to_owned());
    let second = Server::open(Options {
        data,
        ..Options::default()
    })
    .await;
    let Err(apiserver::Error::Store(error)) = second else {
        panic!("a second server opened")
    };
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_nobody_holds_any_more_lets_go_of_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Some(folder.path().to_owned());
    let open = || {
        Server::open(Options {
            data: data.clone(),
            ..Options::default()
        })
    };
    drop(open().await.expect("a server"));
    let again = async {
        while open().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let done = tokio::time::timeout(std::time::Duration::from_secs(20), again).await;
    assert!(done.is_ok(), "the folder stayed locked");
}

#[tokio::test]
async fn pages_of_a_list_show_one_revision() {
    let world = World::memory().await;
    for name in ["a", "b", "c"] {
        world.post(MAPS, config_map(name, "1")).await;
    }
    let (_, first) = world.get(&format!("{MAPS}?limit=2")).await;
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    world.delete(&format!("{MAPS}/c"), json!(null)).await;
    world.post(MAPS, config_map("bb", "1")).await;
    let token = first["metadata"]["continue"].as_str().expect("a token");
    let (_, second) = world.get(&format!("{MAPS}?limit=2&continue={token}")).await;
    assert_eq!(second["items"][0]["metadata"]["name"], "c");
    assert_eq!(second["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
}
