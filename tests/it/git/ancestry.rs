//! Whether a branch has moved on, whatever the server can leave out of an answer.

use towpath::git::ObjectId;

use super::{FILES, main_branch, open, read, room};
use crate::world::git::GitServer;

/// More commits than are looked through when their files come along.
const MANY: usize = 25;

/// Commits on top of the branch, and returns its heads from first to last.
fn commits(server: &GitServer, n: usize) -> Vec<ObjectId> {
    let commit = |n: usize| {
        let text = format!("{n}\n");
        let hex = server.commit("repo.git", "main", &[("README.md", &text)]);
        ObjectId::from_hex(hex.as_bytes()).unwrap()
    };
    (0..n).map(commit).collect()
}

#[tokio::test]
async fn gt2_a_branch_has_moved_on_when_its_head_of_before_is_below() {
    for filters in ["true", "false"] {
        let server = GitServer::with_repository(FILES).await;
        server.git("repo.git", &["config", "uploadpack.allowFilter", filters]);
        let heads = commits(&server, MANY + 1);
        let (old, new) = (heads[0], heads[MANY]);
        let room = room();
        let repository = open(&room, &server.url("repo.git")).await;
        repository.checkout(&main_branch()).await.unwrap();
        server.take_requests();
        assert!(repository.has_moved_on(new, new).await.unwrap());
        assert!(repository.has_moved_on(heads[MANY - 1], new).await.unwrap());
        assert_eq!(server.take_requests(), [""; 0], "a parent is known");
        assert!(repository.has_moved_on(heads[MANY - 5], new).await.unwrap());
        assert_eq!(server.take_requests().len(), 1);
        let moved_on = repository.has_moved_on(old, new).await.unwrap();
        assert_eq!(moved_on, filters == "true", "so far is looked");
        assert!(!repository.has_moved_on(new, old).await.unwrap());

        // What came alone is in nobody's way.
        let amended = server.git(
            "repo.git",
            &["commit-tree", "-p", "main~3", "-m", "x", "main^{tree}"],
        );
        server.git("repo.git", &["update-ref", "refs/heads/main", &amended]);
        let checkout = repository.checkout(&main_branch()).await.unwrap();
        assert!(!repository.has_moved_on(new, checkout.commit).await.unwrap());
        let text = format!("{MANY}\n");
        assert_eq!(read(&checkout, "README.md"), Some(text));
        repository.collect().await.unwrap();
        let again = repository.checkout(&main_branch()).await.unwrap();
        assert_eq!(read(&again, "apps/run.sh").as_deref(), Some("#!/bin/sh\n"));
    }
}

#[tokio::test]
async fn a_head_that_is_not_here_is_fetched_whole() {
    let server = GitServer::with_repository(FILES).await;
    server.git("repo.git", &["config", "uploadpack.allowFilter", "true"]);
    let heads = commits(&server, 4);
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    assert!(repository.has_moved_on(heads[0], heads[3]).await.unwrap());
    server.take_requests();
    let checkout = repository.checkout(&main_branch()).await.unwrap();
    assert_eq!(server.take_requests().len(), 1, "the references alone");
    assert_eq!(read(&checkout, "README.md").as_deref(), Some("3\n"));
}
