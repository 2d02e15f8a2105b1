//! Pushes and fetches over wires that break, and servers that refuse: nothing is lost, nothing is done
//! twice, and what is told is what happened.

use std::path::Path;
use std::sync::Arc;

use towpath::git::{Error, Pushed, Repository};

use super::{FILES, change, landed, main_branch, open, open_as_bob, push, read, room, target};
use crate::world::git::{Cut, Fault, GitServer, Message, Options, fsck};
use crate::world::wire::{Direction, Wire};

/// More requests than a fetch or a push takes.
const REQUESTS_MAX: usize = 6;

/// Returns how many commits the branch has.
pub fn n_commits(server: &GitServer) -> usize {
    let n = server.git("repo.git", &["rev-list", "--count", "main"]);
    n.parse().unwrap()
}

/// Pushes one line and returns what came of it.
pub async fn try_push(repository: &Repository, text: &str) -> Result<Pushed, Error> {
    let change = change(&[("README.md", text)]);
    let target = target();
    let pushed = repository.push_with(&target, move |_| Ok(Some(change.clone())));
    pushed.await
}

/// Returns every cut of an operation's requests, as long as the last one was made.
struct Cuts {
    next: Cut,
    n_made: usize,
}

impl Cuts {
    fn of(message: Message) -> Self {
        let next = Cut {
            request: 0,
            message,
            place: 0,
        };
        Self { next, n_made: 0 }
    }

    /// Arms the next cut. Returns nothing when the operation has no further request.
    fn arm(&mut self, server: &GitServer) -> Option<Cut> {
        server.cut(self.next);
        (self.next.request < REQUESTS_MAX).then_some(self.next)
    }

    /// Goes on behind a cut that was made, or to the next request.
    fn go_on(&mut self, server: &GitServer) {
        if server.was_cut() {
            self.n_made += 1;
            self.next.place += 1;
        } else {
            self.next.request += 1;
            self.next.place = 0;
        }
    }
}

#[tokio::test]
async fn gt5_a_push_cut_between_any_two_lines_or_within_its_pack_lands_once() {
    for message in [Message::Request, Message::Answer] {
        let server = GitServer::with_repository(FILES).await;
        let room = room();
        let repository = open(&room, &server.url("repo.git")).await;
        let mut cuts = Cuts::of(message);
        while let Some(cut) = cuts.arm(&server) {
            let text = format!("{message:?} {} {}\n", cut.request, cut.place);
            let before = n_commits(&server);
            if let Err(error) = try_push(&repository, &text).await {
                assert!(error.is_transient(), "{cut:?}: {error}");
                server.check("repo.git");
            }
            cuts.go_on(&server);
            match try_push(&repository, &text).await.unwrap() {
                Pushed::Landed(_) | Pushed::Unchanged(_) => {}
                other => panic!("{cut:?}: {other:?}"),
            }
            assert_eq!(n_commits(&server), before + 1, "{cut:?}");
            assert_eq!(
                server.git("repo.git", &["show", "main:README.md"]),
                text.trim()
            );
        }
        println!("{message:?}: {} cuts of a push", cuts.n_made);
        server.check("repo.git");
        fsck(repository.mirror_path());
    }
}

#[tokio::test]
async fn gt5_a_fetch_cut_between_any_two_lines_or_within_its_pack_leaves_nothing_half() {
    for (message, is_known) in [
        (Message::Request, true),
        (Message::Answer, true),
        (Message::Answer, false),
    ] {
        let server = GitServer::with_repository(FILES).await;
        let rooms = room();
        let mut repository = open(&rooms, &server.url("repo.git")).await;
        repository.checkout(&main_branch()).await.unwrap();
        let mut cuts = Cuts::of(message);
        while let Some(cut) = cuts.arm(&server) {
            let text = format!("{} {}\n", cut.request, cut.place);
            server.commit("repo.git", "main", &[("README.md", &text)]);
            let fresh = room();
            if !is_known {
                repository = open(&fresh, &server.url("repo.git")).await;
            }
            if let Err(error) = repository.checkout(&main_branch()).await {
                assert!(error.is_transient(), "{cut:?}: {error}");
                assert_eq!(left_over(&repository), [""; 0], "{cut:?}");
            }
            cuts.go_on(&server);
            let checkout = repository.checkout(&main_branch()).await.unwrap();
            assert_eq!(read(&checkout, "README.md"), Some(text), "{cut:?}");
            assert!(read(&checkout, "apps/run.sh").is_some(), "{cut:?}");
        }
        if is_known {
            fsck(repository.mirror_path());
        }
        println!("{message:?}: {} cuts of a fetch", cuts.n_made);
    }
}

/// Returns what stands in a mirror beside whole packs.
fn left_over(repository: &Repository) -> Vec<String> {
    let path = repository.mirror_path();
    let names = |path: &Path| {
        let entries = std::fs::read_dir(path).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let names = entries.map(name).map(|name| name.into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    let incoming = names(path).into_iter();
    let incoming = incoming.filter(|name| name.starts_with("incoming"));
    let packs = names(&path.join("objects/pack")).into_iter();
    let packs = packs.filter(|name| !name.starts_with("pack-"));
    incoming.chain(packs).collect()
}

#[tokio::test]
async fn gt5_an_answer_cut_at_any_byte_is_pushed_once() {
    let server = GitServer::with_repository(FILES).await;
    let wire = Arc::new(Wire::to(&server.url("")).await);
    let room = room();
    let repository = open(&room, &wire.url(&server.url("repo.git"))).await;
    for n in (0..=400).step_by(25) {
        let cutter = Arc::clone(&wire);
        server.before_push(move |_| cutter.cut(Direction::Down, n));
        let before = n_commits(&server);
        let landed = landed(try_push(&repository, &format!("{n}\n")).await.unwrap());
        assert_eq!(
            (landed.attempts, n_commits(&server)),
            (1, before + 1),
            "after {n} bytes"
        );
        wire.mend();
    }
    server.check("repo.git");
}

#[tokio::test]
async fn gt5_a_request_cut_at_any_byte_lands_once_or_is_told() {
    let server = GitServer::with_repository(FILES).await;
    let wire = Wire::to(&server.url("")).await;
    let room = room();
    let repository = open(&room, &wire.url(&server.url("repo.git"))).await;
    let mut n_told = 0;
    for n in (0..2000).step_by(125) {
        wire.cut(Direction::Up, n);
        let before = n_commits(&server);
        match try_push(&repository, &format!("{n}\n")).await {
            Ok(pushed) => {
                landed(pushed);
                assert_eq!(n_commits(&server), before + 1, "after {n} bytes");
            }
            Err(error) => {
                n_told += 1;
                assert!(error.is_transient(), "after {n} bytes: {error}");
                assert_eq!(n_commits(&server), before, "after {n} bytes: {error}");
            }
        }
        wire.mend();
    }
    assert!(n_told > 0, "no cut was met");
    server.check("repo.git");
}

#[tokio::test]
async fn gt5_a_wire_that_stays_broken_says_that_the_answer_was_lost() {
    let server = GitServer::with_repository(FILES).await;
    let wire = Arc::new(Wire::to(&server.url("")).await);
    let room = room();
    let repository = open(&room, &wire.url(&server.url("repo.git"))).await;
    let cutter = Arc::clone(&wire);
    server.before_push(move |_| cutter.cut_for_good(Direction::Down, 10));
    let error = try_push(&repository, "lost\n").await.unwrap_err();
    assert!(matches!(error, Error::AnswerLost { .. }), "{error}");
    assert!(error.is_transient(), "{error}");
    assert!(
        error
            .to_string()
            .contains("the answer to the push was lost"),
        "{error}"
    );
    assert_eq!(n_commits(&server), 2, "it had landed");
    wire.mend();
    // The same edit again finds itself done.
    let checkout = repository.checkout(&main_branch()).await.unwrap();
    assert_eq!(read(&checkout, "README.md").as_deref(), Some("lost\n"));
    match try_push(&repository, "lost\n").await.unwrap() {
        Pushed::Unchanged(_) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(n_commits(&server), 2);
}

#[tokio::test]
async fn gt6_a_pack_cut_at_any_byte_leaves_the_mirror_as_it_was() {
    let server = GitServer::with_repository(FILES).await;
    let wire = Wire::to(&server.url("")).await;
    let room = room();
    let repository = open(&room, &wire.url(&server.url("repo.git"))).await;
    repository.checkout(&main_branch()).await.unwrap();
    for n in (0..1200).step_by(150) {
        let text = format!("{n}\n");
        server.commit("repo.git", "main", &[("README.md", &text)]);
        wire.cut(Direction::Down, n);
        if let Err(error) = repository.checkout(&main_branch()).await {
            assert!(error.is_transient(), "after {n} bytes: {error}");
        }
        wire.mend();
        let checkout = repository.checkout(&main_branch()).await.unwrap();
        assert_eq!(read(&checkout, "README.md"), Some(text), "after {n} bytes");
    }
}

#[tokio::test]
async fn gt4_what_a_server_refuses_is_quoted_without_secrets() {
    let server = GitServer::start(Options::default()).await;
    server.create("repo.git");
    server.commit("repo.git", "main", FILES);
    let room = room();
    let repository = open_as_bob(&room, &server.url("repo.git")).await;
    let refused = async || match push(&repository, &[("README.md", "x\n")]).await {
        Pushed::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    };
    server.hook(
        "repo.git",
        "update",
        "echo 'branch is protected from s3cret' >&2; exit 1",
    );
    let refusal = refused().await;
    assert_eq!(refusal.reference, "refs/heads/main");
    assert_eq!(refusal.reason, "hook declined");
    assert_eq!(refusal.messages[0], "branch is protected from ***");

    server.hook("repo.git", "update", "exit 0");
    let talk = "i=0; while [ $i -lt 300 ]; do echo line $i >&2; i=$((i+1)); done; exit 1";
    server.hook("repo.git", "pre-receive", talk);
    let refusal = refused().await;
    assert_eq!(
        refusal.messages.len(),
        100,
        "the lines of a hook are bounded"
    );
    assert_eq!(refusal.messages[99], "line 99");
    assert_eq!(n_commits(&server), 1);
}

#[tokio::test]
async fn gt4_missing_rights_and_full_disks_are_told_with_the_status() {
    let server = GitServer::with_repository(FILES).await;
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    for (status, want, is_transient) in [
        (403, "authentication required or refused by ", false),
        (404, "repository not found at ", false),
        (429, "answered HTTP 429", true),
        (507, "answered HTTP 507", true),
    ] {
        server.fail("git-receive-pack", Fault::Status(status));
        let error = try_push(&repository, "x\n").await.unwrap_err();
        assert!(error.to_string().contains(want), "{status}: {error}");
        assert_eq!(error.is_transient(), is_transient, "{error}");
    }
    assert_eq!(n_commits(&server), 1);
}

#[tokio::test]
async fn gt8_dumb_http_is_refused_by_name() {
    let server = GitServer::with_repository(FILES).await;
    server.fail("info/refs", Fault::Dumb);
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    let error = repository.head(&main_branch()).await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(
        error.to_string().ends_with("dumb http is not supported"),
        "{error}"
    );
}

#[tokio::test]
async fn a_change_of_one_line_is_sent_in_few_bytes_and_turns() {
    // As many files and branches as a test may take; the bound is that of twenty thousand.
    let (n_files, n_branches) = (2_000, 200);
    let files: Vec<(String, String)> = (0..n_files)
        .map(|n| {
            (
                format!("apps/app-{n}/deploy.yaml"),
                format!("image: app:{n}\n"),
            )
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    let server = GitServer::with_repository(&files).await;
    for n in 0..n_branches {
        server.git(
            "repo.git",
            &["update-ref", &format!("refs/heads/branch-{n}"), "main"],
        );
    }
    server.git("repo.git", &["pack-refs", "--all"]);
    let wire = Wire::to(&server.url("")).await;
    let room = room();
    let repository = open(&room, &wire.url(&server.url("repo.git"))).await;
    repository.checkout(&main_branch()).await.unwrap();
    server.commit("repo.git", "main", &[("README.md", "a new head\n")]);
    server.take_requests();
    wire.take_bytes();
    let head = repository.checkout(&main_branch()).await.unwrap();
    let (_, down) = wire.take_bytes();
    assert!(down < 2_000, "{down} bytes of a fetch");
    assert_eq!(server.take_requests().len(), 2);

    let edit = [("apps/app-7/deploy.yaml", "image: app:8\n")];
    let landed = landed(push(&repository, &edit).await);
    assert_eq!(landed.parent, Some(head.commit));
    let (up, down) = wire.take_bytes();
    println!("{n_files} files, {n_branches} branches: {up} bytes up, {down} bytes down");
    assert!(up <= 2_048, "{up} bytes of a push");
    assert!(server.take_requests().len() <= 3);
    server.check("repo.git");
}
