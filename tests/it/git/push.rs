//! Where a push goes: further references, options for the server, branches that move or vanish.

use std::io::Write as _;
use std::process::Stdio;

use towpath::git::{Error, ObjectId, Pushed, RefSpec, Selector, Start, Target};

use super::{FILES, Room, change, landed, main_branch, open, push, read_basis, room};
use crate::world::git::{Fault, GitServer, command, create};

/// Pushes a change of the README to a target; gives what `then` is told.
async fn push_to(room: &Room, server: &GitServer, target: &Target) -> Result<Pushed, Error> {
    let repository = open(room, &server.url("repo.git")).await;
    let pushed = repository.push_with(target, |basis| {
        let text = read_basis(basis, "README.md").unwrap();
        Ok(Some(change(&[("README.md", &format!("{text}more\n"))])))
    });
    pushed.await
}

fn with_refspec(text: &str) -> Target {
    Target {
        refspecs: vec![RefSpec::parse(text, "main").unwrap()],
        ..Target::branch("main")
    }
}

fn head(server: &GitServer, reference: &str) -> String {
    server.git("repo.git", &["rev-parse", reference])
}

#[tokio::test]
async fn a_refspec_gets_the_commit_in_the_same_push() {
    let server = GitServer::with_repository(FILES).await;
    let room = room();
    let target = with_refspec("refs/heads/main:refs/heads/live");
    for _ in 0..2 {
        server.take_requests();
        landed(push_to(&room, &server, &target).await.unwrap());
        assert_eq!(head(&server, "live"), head(&server, "main"));
        let posts = server.take_requests();
        let posts = posts
            .iter()
            .filter(|request| request.ends_with("/git-receive-pack"));
        assert_eq!(posts.count(), 1);
    }
    server.git("repo.git", &["update-ref", "refs/heads/live", "main~2"]);
    landed(push_to(&room, &server, &target).await.unwrap());
    assert_eq!(
        head(&server, "live"),
        head(&server, "main"),
        "it catches up"
    );
    server.check("repo.git");
}

#[tokio::test]
async fn a_refspec_loses_no_commit_unless_it_says_so() {
    let server = GitServer::with_repository(FILES).await;
    server.git("repo.git", &["branch", "live", "main"]);
    let theirs = server.commit("repo.git", "live", &[("theirs", "x\n")]);
    let before = head(&server, "main");
    let room = room();
    let target = with_refspec("refs/heads/main:refs/heads/live");
    let error = push_to(&room, &server, &target).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "non-fast-forward update: refs/heads/live"
    );
    assert_eq!(
        (head(&server, "live"), head(&server, "main")),
        (theirs, before)
    );
    let target = with_refspec("+refs/heads/main:refs/heads/live");
    landed(push_to(&room, &server, &target).await.unwrap());
    assert_eq!(head(&server, "live"), head(&server, "main"));
}

#[tokio::test]
async fn a_refused_refspec_keeps_the_branch_where_it_is() {
    let server = GitServer::with_repository(FILES).await;
    server.hook("repo.git", "update", "[ \"$1\" != refs/heads/live ]");
    let before = head(&server, "main");
    let room = room();
    let target = with_refspec("refs/heads/main:refs/heads/live");
    match push_to(&room, &server, &target).await.unwrap() {
        Pushed::Refused(refusal) => {
            let told = (refusal.reference.as_str(), refusal.reason.as_str());
            assert!(
                told == ("refs/heads/live", "hook declined")
                    || told == ("refs/heads/main", "atomic push failure"),
                "{told:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(head(&server, "main"), before, "the server is atomic");
}

#[tokio::test]
async fn options_reach_the_hooks_of_a_server_that_takes_them() {
    let server = GitServer::with_repository(FILES).await;
    let room = room();
    let target = Target {
        options: vec!["merge_request.create=".to_owned(), "topic=a b".to_owned()],
        ..Target::branch("main")
    };
    let error = push_to(&room, &server, &target).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("spec.git.push.options"), "{text}");
    server.git(
        "repo.git",
        &["config", "receive.advertisePushOptions", "true"],
    );
    let print = "echo \"$GIT_PUSH_OPTION_COUNT:$GIT_PUSH_OPTION_0:$GIT_PUSH_OPTION_1\" > told";
    server.hook("repo.git", "pre-receive", print);
    landed(push_to(&room, &server, &target).await.unwrap());
    let told = std::fs::read_to_string(server.path("repo.git").join("told")).unwrap();
    assert_eq!(told, "2:merge_request.create=:topic=a b\n");
}

#[tokio::test]
async fn gt2_a_branch_that_vanished_is_not_made_again() {
    let server = GitServer::with_repository(FILES).await;
    let seen = ObjectId::from_hex(head(&server, "main").as_bytes()).unwrap();
    server.git("repo.git", &["branch", "-m", "main", "other"]);
    let room = room();
    let target = Target {
        seen: Some(seen),
        ..Target::branch("main")
    };
    let error = push_to(&room, &server, &target).await.unwrap_err();
    assert!(matches!(error, Error::ReferenceNotFound { .. }), "{error}");
    let branches = server.git("repo.git", &["branch", "--format=%(refname:short)"]);
    assert_eq!(branches, "other");
}

#[tokio::test]
async fn gt2_a_branch_that_was_set_back_is_edited_where_it_is() {
    let server = GitServer::with_repository(FILES).await;
    let first = head(&server, "main");
    let second = server.commit("repo.git", "main", &[("README.md", "second\n")]);
    let room = room();
    open(&room, &server.url("repo.git"))
        .await
        .checkout(&main_branch())
        .await
        .unwrap();
    server.git("repo.git", &["update-ref", "refs/heads/main", &first]);
    let target = Target {
        seen: ObjectId::from_hex(second.as_bytes()).ok(),
        ..Target::branch("main")
    };
    let landed = landed(push_to(&room, &server, &target).await.unwrap());
    assert_eq!(landed.parent.unwrap().to_string(), first);
    assert_eq!(
        server.git("repo.git", &["show", "main:README.md"]),
        "hello\nmore"
    );
    server.check("repo.git");
}

#[tokio::test]
async fn a_fixed_start_is_pushed_where_the_branch_has_it_or_is_not() {
    let server = GitServer::with_repository(FILES).await;
    server.git("repo.git", &["tag", "v1", "main"]);
    let room = room();
    let target = |branch: &str| Target {
        start: Start::Only(Selector::Tag("v1".to_owned())),
        ..Target::branch(branch)
    };
    landed(push_to(&room, &server, &target("main")).await.unwrap());
    landed(push_to(&room, &server, &target("new")).await.unwrap());
    let after = head(&server, "main");
    let error = push_to(&room, &server, &target("main")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "non-fast-forward update: refs/heads/main"
    );
    assert_eq!(head(&server, "main"), after);
}

#[tokio::test]
async fn what_was_seen_is_edited_without_asking_to_push() {
    let server = GitServer::with_repository(FILES).await;
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    let seen = repository.checkout(&main_branch()).await.unwrap().commit;
    let target = Target {
        seen: Some(seen),
        ..Target::branch("main")
    };
    server.take_requests();
    let none = repository.push_with(&target, |_| Ok(None)).await.unwrap();
    assert!(matches!(none, Pushed::Unchanged(_)), "{none:?}");
    assert_eq!(server.take_requests(), Vec::<String>::new());
}

#[tokio::test]
async fn gt5_a_push_whose_answer_is_lost_is_found_below_later_commits() {
    let server = GitServer::with_repository(FILES).await;
    // Somebody commits on top before the branch is looked at again.
    let on_top = "git update-ref refs/heads/main \
        $(git commit-tree -p main -m theirs $(git rev-parse main:))";
    server.hook("repo.git", "post-receive", on_top);
    server.fail("/git-receive-pack", Fault::LoseAnswer);
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    let target = Target::branch("main");
    let pushed = repository.push_with(&target, |basis| {
        let text = read_basis(basis, "README.md").unwrap();
        match text.contains("more") {
            true => Ok(None),
            false => Ok(Some(change(&[("README.md", "more\n")]))),
        }
    });
    let landed = landed(pushed.await.unwrap());
    assert_eq!(landed.checkout.commit.to_string(), head(&server, "main~1"));
    assert_eq!(landed.parent.unwrap().to_string(), head(&server, "main~2"));
    let subjects = server.git("repo.git", &["log", "--format=%s", "main"]);
    let want = ["theirs", "Update images", "somebody else was here"];
    assert_eq!(subjects.lines().collect::<Vec<_>>(), want);
}

/// Returns whether a pack is read without the objects that its reader has already.
fn stands_alone(pack: &[u8]) -> bool {
    let empty = tempfile::tempdir().unwrap();
    create(empty.path());
    let mut index = command(empty.path(), &["index-pack", "--stdin"]);
    index.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = index.stderr(Stdio::null()).spawn().unwrap();
    // A pack that is refused is not read to its end.
    let _ = child.stdin.take().unwrap().write_all(pack);
    child.wait().unwrap().success()
}

#[tokio::test]
async fn a_server_that_takes_no_thin_packs_gets_whole_ones() {
    let lines: String = (0..500).map(|n| format!("line {n}\n")).collect();
    let server = GitServer::with_repository(&[("README.md", &lines)]).await;
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    let edited = |word: &str| lines.replace("line 250\n", word);
    landed(push(&repository, &[("README.md", &edited("thin\n"))]).await);
    assert!(!stands_alone(&server.pushed_pack()));
    server.offer("no-thin");
    landed(push(&repository, &[("README.md", &edited("whole\n"))]).await);
    assert!(stands_alone(&server.pushed_pack()));
    server.check("repo.git");
}
