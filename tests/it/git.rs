//! The `git` room against `git http-backend`: fetching, pushing, losing races, being refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod ancestry;
mod demo;
mod hostile;
mod hosting;
mod lost;
mod push;
mod signing;
mod ssh;

use std::{collections::BTreeMap, time::Duration};

use towpath::git::{
    Basis, Change, Checkout, Credentials, Error, Git, Person, Pushed, Remote, Repository, Selector,
    Start, Target,
};
use towpath::safe::{SafePath, Secret};

use crate::world::git::{Fault, GitServer, Options, Tls, commit, git, patience};
use crate::world::registry_tls::{Authority, Leaf};

/// A room over a folder that goes away with it.
struct Room {
    git: Git,
    _folder: tempfile::TempDir,
}

fn room() -> Room {
    let folder = tempfile::tempdir().unwrap();
    Room {
        git: Git::open(folder.path()).unwrap(),
        _folder: folder,
    }
}

async fn open(room: &Room, url: &str) -> Repository {
    let mut remote = Remote::anonymous(url).unwrap();
    remote.timeout = patience();
    room.git.repository(remote).await.unwrap()
}

async fn open_as_bob(room: &Room, url: &str) -> Repository {
    let mut remote = Remote::anonymous(url).unwrap();
    remote.timeout = patience();
    remote.credentials = Credentials::Basic {
        username: "bob".to_owned(),
        password: Secret::new("s3cret".to_owned()),
    };
    room.git.repository(remote).await.unwrap()
}

fn main_branch() -> Selector {
    Selector::Branch("main".to_owned())
}

fn target() -> Target {
    Target::branch("main")
}

fn change(edits: &[(&str, &str)]) -> Change {
    Change {
        edits: edits
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect(),
        author: Person {
            name: "Towpath".to_owned(),
            email: "towpath@example.com".to_owned(),
        },
        time_s: 1_800_000_000,
        message: "Update images\n".to_owned(),
        trailers: Vec::new(),
        signing_key: None,
    }
}

fn read(checkout: &Checkout, path: &str) -> Option<String> {
    let bytes = checkout
        .tree
        .reader()
        .read(&SafePath::parse(path).unwrap())
        .unwrap()?;
    Some(String::from_utf8(bytes).unwrap())
}

fn read_basis(basis: &Basis, path: &str) -> Option<String> {
    let bytes = basis
        .tree
        .reader()
        .read(&SafePath::parse(path).unwrap())
        .unwrap()?;
    Some(String::from_utf8(bytes).unwrap())
}

fn landed(pushed: Pushed) -> towpath::git::Landed {
    match pushed {
        Pushed::Landed(landed) => landed,
        other => panic!("not landed: {other:?}"),
    }
}

/// Pushes fixed edits to main.
async fn push(repository: &Repository, edits: &[(&str, &str)]) -> Pushed {
    let change = change(edits);
    repository
        .push_with(&target(), move |_| Ok(Some(change.clone())))
        .await
        .unwrap()
}

const FILES: &[(&str, &str)] = &[
    ("README.md", "hello\n"),
    ("apps/web/deploy.yaml", "image: web:1\n"),
    ("*apps/run.sh", "#!/bin/sh\n"),
];

#[tokio::test]
async fn a_branch_is_read_at_depth_one_and_asked_again_in_one_round_trip() {
    let server = GitServer::with_repository(FILES).await;
    let head = server.commit("repo.git", "main", &[("README.md", "second\n")]);
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;

    let checkout = repository.checkout(&main_branch()).await.unwrap();
    assert_eq!(checkout.revision, format!("main@sha1:{head}"));
    assert_eq!(checkout.subject(), "somebody else was here");
    assert_eq!(read(&checkout, "README.md").as_deref(), Some("second\n"));
    assert_eq!(
        read(&checkout, "apps/web/deploy.yaml").as_deref(),
        Some("image: web:1\n")
    );
    assert_eq!(read(&checkout, "apps"), None);
    assert_eq!(read(&checkout, "apps/none"), None);

    server.take_requests();
    let again = repository.head(&main_branch()).await.unwrap();
    assert_eq!(again.revision, checkout.revision);
    assert_eq!(server.take_requests().len(), 1);
    repository.fetch(&again).await.unwrap();
    assert_eq!(
        server.take_requests().len(),
        0,
        "nothing new, nothing fetched"
    );
}

#[tokio::test]
async fn old_servers_are_read_too() {
    let server = GitServer::with_repository(FILES).await;
    server.only_version_0();
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    let first = repository.checkout(&main_branch()).await.unwrap();
    server.commit(
        "repo.git",
        "main",
        &[("apps/web/deploy.yaml", "image: web:2\n")],
    );
    let second = repository.checkout(&main_branch()).await.unwrap();
    assert_ne!(first.commit, second.commit);
    assert_eq!(
        read(&second, "apps/web/deploy.yaml").as_deref(),
        Some("image: web:2\n")
    );
    assert_eq!(read(&second, "README.md").as_deref(), Some("hello\n"));
}

#[tokio::test]
async fn tags_names_and_commits_are_found() {
    let server = GitServer::with_repository(FILES).await;
    let first = server.git("repo.git", &["rev-parse", "main"]);
    server.git("repo.git", &["tag", "light/v1", "main"]);
    server.git("repo.git", &["tag", "-a", "-m", "two", "v2", "main"]);
    server.commit("repo.git", "main", &[("README.md", "later\n")]);
    let room = room();
    for old in [false, true] {
        if old {
            server.only_version_0();
        }
        let url = server.url(if old { "./repo.git" } else { "repo.git" });
        let repository = open(&room, &url).await;
        for (selector, want) in [
            (
                Selector::Tag("light/v1".into()),
                format!("light/v1@sha1:{first}"),
            ),
            (Selector::Tag("v2".into()), format!("v2@sha1:{first}")),
            (
                Selector::Name("refs/tags/v2".into()),
                format!("refs/tags/v2@sha1:{first}"),
            ),
        ] {
            let checkout = repository.checkout(&selector).await.unwrap();
            assert_eq!(checkout.revision, want);
            assert_eq!(read(&checkout, "README.md").as_deref(), Some("hello\n"));
        }
        let tags = repository.references(&["refs/tags/"]).await.unwrap();
        let tags: Vec<_> = tags
            .tags()
            .map(|(name, tag)| format!("{name} {}", tag.commit()))
            .collect();
        assert_eq!(tags, [format!("light/v1 {first}"), format!("v2 {first}")]);
    }
    let fresh = self::room();
    let repository = open(&fresh, &server.url("repo.git")).await;
    server.git("repo.git", &["tag", "-d", "light/v1", "v2"]);
    let by_id = Selector::Commit {
        commit: first.clone(),
        branch: Some("main".into()),
    };
    let checkout = repository.checkout(&by_id).await.unwrap();
    assert_eq!(checkout.revision, format!("main@sha1:{first}"));
    assert_eq!(read(&checkout, "README.md").as_deref(), Some("hello\n"));
}

#[tokio::test]
async fn a_range_selects_the_greatest_tag_in_it() {
    let server = GitServer::with_repository(FILES).await;
    let first = server.git("repo.git", &["rev-parse", "main"]);
    for tag in ["v1.2.0", "v1.10.0", "v2.0.0-rc.1", "1.9", "nightly"] {
        server.git("repo.git", &["tag", tag, "main"]);
    }
    let later = server.commit("repo.git", "main", &[("README.md", "later\n")]);
    server.git("repo.git", &["tag", "v1.3.0", "main"]);
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    for (range, want) in [
        ("1.x", format!("v1.10.0@sha1:{first}")),
        ("~1.3", format!("v1.3.0@sha1:{later}")),
        (">=2.0.0-0", format!("v2.0.0-rc.1@sha1:{first}")),
    ] {
        let checkout = repository
            .checkout(&Selector::Semver(range.into()))
            .await
            .unwrap();
        assert_eq!(checkout.revision, want, "{range}");
    }
    for (range, want) in [
        ("3.x", "no match found for semver: 3.x"),
        ("x.y.z.", "semver: "),
    ] {
        let error = repository
            .head(&Selector::Semver(range.into()))
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with(want), "{error}");
    }
}

/// Links of a tree beside its files: the target, and where the link stands.
const LINKS: [(&str, &str); 5] = [
    ("../README.md", "apps/up"),
    ("../../out", "apps/out"),
    ("/etc/passwd", "absolute"),
    ("apps/web", "web"),
    ("loop", "loop"),
];

/// Checks that these are the files of a build: what they are kept in makes no difference.
fn check_files(files: &dyn kustomize::Files) {
    use kustomize::FileError;
    assert_eq!(files.read("apps/up").unwrap(), b"hello\n");
    assert_eq!(files.read("web/deploy.yaml").unwrap(), b"image: web:1\n");
    assert_eq!(files.find("web").unwrap().path, "apps/web");
    assert_eq!(files.find("apps/out"), Err(FileError::Outside));
    assert_eq!(files.find("../out"), Err(FileError::Outside));
    assert_eq!(files.find("absolute"), Err(FileError::Outside));
    assert_eq!(files.find("loop"), Err(FileError::TooManyLinks));
    assert_eq!(files.find("none"), Err(FileError::NotFound));
    assert_eq!(files.find("README.md/x"), Err(FileError::NotFound));
    assert_eq!(files.read("apps"), Err(FileError::IsFolder));
    assert_eq!(files.list("README.md"), Err(FileError::IsFile));
    assert_eq!(
        files.list("").unwrap(),
        ["README.md", "absolute", "apps", "loop", "web"]
    );
    assert_eq!(files.list("apps").unwrap(), ["out", "run.sh", "up", "web"]);
}

#[tokio::test]
async fn a_folder_memory_and_a_tree_are_the_files_of_a_build_alike() {
    use kustomize::{FileError, Files, FolderFiles, MemoryFiles};
    let mut memory = MemoryFiles::new();
    for (path, text) in FILES {
        memory.insert(path.trim_start_matches('*'), *text);
    }
    let server = GitServer::with_repository(FILES).await;
    let work = tempfile::tempdir().unwrap();
    let url = server.path("repo.git").display().to_string();
    git(work.path(), &["clone", "-q", &url, "."]);
    for (target, link) in LINKS {
        std::os::unix::fs::symlink(target, work.path().join(link)).unwrap();
        memory.insert_link(link, target);
    }
    check_files(&memory);
    git(work.path(), &["add", "apps", "absolute", "web", "loop"]);
    // What a link out of it leads to must be there, or the link is only broken.
    let around = tempfile::tempdir().unwrap();
    std::fs::write(around.path().join("out"), "").unwrap();
    let folder = around.path().join("files");
    let prefix = format!("--prefix={}/", folder.display());
    git(work.path(), &["checkout-index", "-a", &prefix]);
    check_files(&FolderFiles::new(&folder).unwrap());

    let module = format!("160000,{},module", "1".repeat(40));
    let add = ["update-index", "--add", "--cacheinfo", &module];
    git(work.path(), &add);
    git(work.path(), &["commit", "-qm", "links"]);
    git(work.path(), &["push", "-q", "origin", "main"]);
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    let checkout = repository.checkout(&main_branch()).await.unwrap();
    let files: Box<dyn Files + Send> = Box::new(checkout.tree.files());
    let check = move || {
        check_files(&*files);
        assert_eq!(files.find("module"), Err(FileError::NotFound));
    };
    tokio::task::spawn_blocking(check).await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_missing() {
    let server = GitServer::with_repository(FILES).await;
    server.create("empty.git");
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    let error = repository
        .head(&Selector::Branch("gone".into()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ReferenceNotFound { .. }), "{error}");
    assert!(error.to_string().contains("refs/heads/gone"), "{error}");
    // `main` must not be found by the prefix of a longer name.
    server.git("repo.git", &["branch", "-m", "main", "main2"]);
    let error = repository.head(&main_branch()).await.unwrap_err();
    assert!(matches!(error, Error::ReferenceNotFound { .. }), "{error}");

    let empty = open(&room, &server.url("empty.git")).await;
    let error = empty.checkout(&main_branch()).await.unwrap_err();
    assert_eq!(error.to_string(), "git repository is empty");
    let none = open(&room, &server.url("none.git")).await;
    let error = none.head(&main_branch()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_push_changes_the_edited_blob_alone() {
    let server = GitServer::with_repository(FILES).await;
    let before = server.git("repo.git", &["rev-parse", "main"]);
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    let landed = landed(
        push(
            &repository,
            &[
                ("apps/web/deploy.yaml", "image: web:2\n"),
                ("apps/run.sh", "#!/bin/bash\n"),
            ],
        )
        .await,
    );
    assert_eq!(landed.attempts, 1);
    assert_eq!(landed.parent.unwrap().to_string(), before);
    server.check("repo.git");
    let head = server.git("repo.git", &["rev-parse", "main"]);
    assert_eq!(landed.checkout.revision, format!("main@sha1:{head}"));
    let raw = server.git("repo.git", &["diff-tree", "-r", &before, &head]);
    let changed: Vec<_> = raw
        .lines()
        .map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            format!("{} {} {}", fields[0], fields[1], fields[5])
        })
        .collect();
    assert_eq!(
        changed,
        [
            ":100755 100755 apps/run.sh",
            ":100644 100644 apps/web/deploy.yaml"
        ]
    );
    let shown = server.git(
        "repo.git",
        &["log", "-1", "--format=%an <%ae> %at %cn%n%B", "main"],
    );
    assert_eq!(
        shown,
        "Towpath <towpath@example.com> 1800000000 Towpath\nUpdate images"
    );
    // The mirror holds what was pushed; nothing is fetched for it.
    server.take_requests();
    let head = repository.head(&main_branch()).await.unwrap();
    let checkout = repository.fetch(&head).await.unwrap();
    assert_eq!(
        read(&checkout, "apps/web/deploy.yaml").as_deref(),
        Some("image: web:2\n")
    );
    assert!(
        !server
            .take_requests()
            .iter()
            .any(|request| request.contains("fetch"))
    );
}

#[tokio::test]
async fn a_second_push_takes_two_requests() {
    let server = GitServer::with_repository(FILES).await;
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    landed(push(&repository, &[("README.md", "one\n")]).await);
    server.take_requests();
    landed(push(&repository, &[("README.md", "two\n")]).await);
    assert_eq!(
        server.take_requests(),
        [
            "GET /repo.git/info/refs?service=git-receive-pack",
            "POST /repo.git/git-receive-pack"
        ]
    );
    server.check("repo.git");
}

#[tokio::test]
async fn no_change_is_no_commit() {
    let server = GitServer::with_repository(FILES).await;
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    let same = push(&repository, &[("README.md", "hello\n")]).await;
    assert!(matches!(same, Pushed::Unchanged(_)), "{same:?}");
    let none = repository.push_with(&target(), |_| Ok(None)).await.unwrap();
    assert!(matches!(none, Pushed::Unchanged(_)), "{none:?}");
    assert_eq!(
        server.git("repo.git", &["rev-list", "--count", "main"]),
        "1"
    );
}

#[tokio::test]
async fn an_empty_remote_takes_its_first_commit() {
    let server = GitServer::start(Options::default()).await;
    server.create("empty.git");
    let room = room();
    let repository = open(&room, &server.url("empty.git")).await;
    let landed = landed(push(&repository, &[("a/b.yaml", "x: 1\n")]).await);
    assert_eq!(landed.parent, None);
    server.check("empty.git");
    assert_eq!(server.git("empty.git", &["show", "main:a/b.yaml"]), "x: 1");
}

#[tokio::test]
async fn a_new_branch_starts_from_its_base() {
    let server = GitServer::with_repository(FILES).await;
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    let target = Target {
        start: Start::HeadElse(main_branch()),
        ..Target::branch("updates")
    };
    for (text, count) in [("image: web:2\n", "2"), ("image: web:3\n", "3")] {
        let change = change(&[("apps/web/deploy.yaml", text)]);
        let pushed = repository
            .push_with(&target, move |_| Ok(Some(change.clone())))
            .await;
        landed(pushed.unwrap());
        assert_eq!(
            server.git("repo.git", &["rev-list", "--count", "updates"]),
            count
        );
    }
    assert_eq!(
        server.git("repo.git", &["rev-list", "--count", "main"]),
        "1"
    );
    server.check("repo.git");
}

#[tokio::test]
async fn a_lost_race_is_computed_again_on_the_new_head() {
    let server = GitServer::with_repository(FILES).await;
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    server.before_push(|root| {
        commit(
            &root.join("repo.git"),
            "main",
            &[("apps/web/deploy.yaml", "image: web:1 # mine\n")],
        );
    });
    let pushed = repository
        .push_with(&target(), |basis| {
            let text = read_basis(basis, "apps/web/deploy.yaml").unwrap();
            Ok(Some(change(&[(
                "apps/web/deploy.yaml",
                &text.replace("web:1", "web:2"),
            )])))
        })
        .await
        .unwrap();
    assert_eq!(landed(pushed).attempts, 2);
    assert_eq!(
        server.git("repo.git", &["show", "main:apps/web/deploy.yaml"]),
        "image: web:2 # mine"
    );
    assert_eq!(
        server.git("repo.git", &["rev-list", "--count", "main"]),
        "3"
    );
    server.check("repo.git");
}

#[tokio::test]
async fn many_writers_lose_nothing() {
    const WRITERS: usize = 6;
    let server = GitServer::with_repository(&[("list", "")]).await;
    let mut writers = Vec::new();
    for n in 0..WRITERS {
        // Each has a mirror of its own, as another process would.
        let room = room();
        let repository = open(&room, &server.url("repo.git")).await;
        writers.push(tokio::spawn(async move {
            let _room = room;
            let pushed = repository
                .push_with(&target(), move |basis| {
                    let text = read_basis(basis, "list").unwrap();
                    Ok(Some(change(&[("list", &format!("{text}{n}\n"))])))
                })
                .await;
            landed(pushed.unwrap());
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let list = server.git("repo.git", &["show", "main:list"]);
    let mut lines: Vec<usize> = list.lines().map(|line| line.parse().unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, (0..WRITERS).collect::<Vec<_>>());
    assert_eq!(
        server.git("repo.git", &["rev-list", "--count", "main"]),
        "7"
    );
    server.check("repo.git");
}

#[tokio::test]
async fn a_hook_that_refuses_is_quoted() {
    let server = GitServer::with_repository(FILES).await;
    server.hook(
        "repo.git",
        "pre-receive",
        "echo 'policy: no robots, s3cret'; exit 1",
    );
    let room = room();
    let repository = open_as_bob(&room, &server.url("repo.git")).await;
    match push(&repository, &[("README.md", "x\n")]).await {
        Pushed::Refused(refusal) => {
            assert_eq!(refusal.reference, "refs/heads/main");
            assert_eq!(refusal.reason, "pre-receive hook declined");
            assert_eq!(refusal.messages, ["policy: no robots, ***"]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        server.git("repo.git", &["rev-list", "--count", "main"]),
        "1"
    );
}

#[tokio::test]
async fn a_lost_answer_is_recognised_and_nothing_is_pushed_twice() {
    let server = GitServer::with_repository(FILES).await;
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    for n in 1..=3 {
        let fault = if n == 1 {
            Fault::LoseAnswer
        } else {
            Fault::CutAfter(10 * n)
        };
        server.fail("/git-receive-pack", fault);
        let text = format!("round {n}\n");
        let landed = landed(push(&repository, &[("README.md", &text)]).await);
        assert_eq!(landed.attempts, 1);
    }
    assert_eq!(
        server.git("repo.git", &["rev-list", "--count", "main"]),
        "4"
    );
}

#[tokio::test]
async fn a_push_is_found_by_its_trailer_after_a_restart() {
    let server = GitServer::with_repository(FILES).await;
    let first = room();
    let repository = open(&first, &server.url("repo.git")).await;
    let mut marked = change(&[("README.md", "marked\n")]);
    marked.trailers = vec![("Towpath-Update".to_owned(), "abc123".to_owned())];
    let pushed = repository
        .push_with(&target(), move |_| Ok(Some(marked.clone())))
        .await;
    let id = landed(pushed.unwrap()).checkout.commit;
    server.commit("repo.git", "main", &[("other", "1\n")]);
    server.commit("repo.git", "main", &[("other", "2\n")]);

    let second = room();
    let repository = open(&second, &server.url("repo.git")).await;
    let found = repository
        .find_trailer("main", "Towpath-Update", "abc123")
        .await
        .unwrap();
    let found = found.expect("because the commit is three deep");
    assert_eq!(found.commit, id);
    assert_eq!(read(&found, "README.md").as_deref(), Some("marked\n"));
    let none = repository
        .find_trailer("main", "Towpath-Update", "other")
        .await
        .unwrap();
    assert!(none.is_none());
    let none = repository
        .find_trailer("gone", "Towpath-Update", "abc123")
        .await
        .unwrap();
    assert!(none.is_none());
}

#[tokio::test]
async fn credentials_and_an_own_ca_open_the_door() {
    let server = GitServer::start(Options {
        credentials: Some(("bob", "s3cret")),
        tls: Tls::Yes,
    })
    .await;
    server.create("repo.git");
    server.commit("repo.git", "main", FILES);
    let room = room();
    let url = server.url("repo.git");
    let ca = server.ca.clone().unwrap();
    let with = |pairs: &[(&'static str, &str)]| {
        let pairs: BTreeMap<_, _> = pairs.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        Remote::anonymous(&url)
            .unwrap()
            .with_secret("apps/git", |key| {
                pairs.get(key).map(String::as_bytes).map(leak)
            })
            .unwrap()
    };
    let good = with(&[("username", "bob"), ("password", "s3cret"), ("ca.crt", &ca)]);
    let repository = room.git.repository(good).await.unwrap();
    let checkout = repository.checkout(&main_branch()).await.unwrap();
    assert_eq!(read(&checkout, "README.md").as_deref(), Some("hello\n"));
    landed(push(&repository, &[("README.md", "pushed\n")]).await);

    let wrong = with(&[("username", "bob"), ("password", "wr0ng"), ("caFile", &ca)]);
    let repository = room.git.repository(wrong).await.unwrap();
    let error = repository.head(&main_branch()).await.unwrap_err();
    assert!(
        matches!(error, Error::Authentication { status: 401, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("who are you?"), "{error}");
    assert!(!format!("{error:?}").contains("wr0ng"), "{error:?}");

    let stranger = with(&[("username", "bob"), ("password", "s3cret")]);
    // A machine without any roots refuses before it connects.
    let error = match room.git.repository(stranger).await {
        Ok(repository) => repository.head(&main_branch()).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, Error::Connection { .. }), "{error}");
    assert!(
        error.to_string().to_lowercase().contains("certificate"),
        "{error}"
    );
}

#[tokio::test]
async fn a_client_certificate_opens_the_door_that_asks_for_one() {
    let server = GitServer::start(Options {
        tls: Tls::Mutual,
        ..Options::default()
    })
    .await;
    server.create("repo.git");
    server.commit("repo.git", "main", FILES);
    let room = room();
    let opened = async |leaf: Option<Leaf>| {
        let mut data = vec![("ca.crt", server.ca.clone().unwrap())];
        if let Some(leaf) = leaf {
            data.push(("tls.crt", leaf.pem.clone()));
            data.push(("tls.key", leaf.key_pem()));
        }
        let value = |key: &str| {
            let found = data.iter().find(|(name, _)| *name == key);
            found.map(|(_, value)| value.as_bytes())
        };
        let mut remote = Remote::anonymous(&server.url("repo.git")).unwrap();
        remote.timeout = patience();
        let remote = remote.with_secret("apps/git", value).unwrap();
        room.git.repository(remote).await.unwrap()
    };
    let repository = opened(Some(server.authority.client())).await;
    let checkout = repository.checkout(&main_branch()).await.unwrap();
    assert_eq!(read(&checkout, "README.md").as_deref(), Some("hello\n"));
    landed(push(&repository, &[("README.md", "pushed\n")]).await);
    server.check("repo.git");

    server.take_requests();
    for leaf in [None, Some(Authority::new().client())] {
        let repository = opened(leaf).await;
        let error = repository.head(&main_branch()).await.unwrap_err();
        assert!(matches!(error, Error::Connection { .. }), "{error}");
    }
    assert_eq!(server.take_requests(), [""; 0], "nobody else comes in");
}

/// Test data lives as long as the test.
fn leak(bytes: &[u8]) -> &'static [u8] {
    Box::leak(bytes.to_vec().into_boxed_slice())
}

#[tokio::test]
async fn broken_answers_are_errors_and_leave_the_mirror_usable() {
    let server = GitServer::with_repository(FILES).await;
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    for (part, fault) in [
        ("info/refs", Fault::CutAfter(20)),
        ("info/refs", Fault::Page),
        ("info/refs", Fault::Status(503)),
        ("git-upload-pack", Fault::CutAfter(0)),
    ] {
        server.fail(part, fault);
        let error = repository.checkout(&main_branch()).await.unwrap_err();
        assert!(error.is_transient(), "{fault:?}: {error}");
    }
    let head = repository.head(&main_branch()).await.unwrap();
    for n in [1, 10, 30, 60, 120, 240] {
        server.fail("git-upload-pack", Fault::CutAfter(n));
        let error = repository.fetch(&head).await.unwrap_err();
        assert!(error.is_transient(), "cut after {n}: {error}");
    }
    let left: Vec<_> = std::fs::read_dir(repository.mirror_path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("incoming"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let checkout = repository.fetch(&head).await.unwrap();
    assert_eq!(read(&checkout, "README.md").as_deref(), Some("hello\n"));
}

#[tokio::test]
async fn redirects_are_followed_within_the_host_alone() {
    let server = GitServer::start(Options {
        credentials: Some(("bob", "s3cret")),
        tls: Tls::No,
    })
    .await;
    server.create("new/repo.git");
    server.commit("new/repo.git", "main", FILES);
    let room = room();
    let url = server.url("repo.git");
    let repository = open_as_bob(&room, &url).await;
    server.fail("info/refs", Fault::RedirectTo("/new"));
    let checkout = repository.checkout(&main_branch()).await.unwrap();
    assert_eq!(read(&checkout, "README.md").as_deref(), Some("hello\n"));
    server.fail("receive-pack", Fault::RedirectTo("/new"));
    landed(push(&repository, &[("README.md", "moved\n")]).await);
    assert_eq!(
        server.git("new/repo.git", &["show", "main:README.md"]),
        "moved"
    );

    let other = Box::leak(
        server
            .url("new")
            .replace("localhost", "127.0.0.1")
            .into_boxed_str(),
    );
    let repository = open_as_bob(&self::room(), &url).await;
    server.take_requests();
    server.fail("info/refs", Fault::RedirectTo(other));
    let error = repository.head(&main_branch()).await.unwrap_err();
    assert!(
        error.to_string().contains("redirected to 127.0.0.1"),
        "{error}"
    );
    assert_eq!(
        server.take_requests().len(),
        1,
        "the other host hears nothing"
    );
}

#[tokio::test]
async fn objects_of_sha_256_are_refused() {
    let server = GitServer::start(Options::default()).await;
    let path = server.path("repo.git");
    std::fs::create_dir_all(&path).unwrap();
    git(
        &path,
        &["init", "-q", "--bare", "--object-format=sha256", "."],
    );
    git(&path, &["config", "http.receivepack", "true"]);
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    let fetched = repository.head(&main_branch()).await.unwrap_err();
    let change = change(&[("a", "x")]);
    let pushed = repository
        .push_with(&target(), move |_| Ok(Some(change.clone())))
        .await;
    for error in [fetched, pushed.unwrap_err()] {
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("SHA-256"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let server = GitServer::with_repository(FILES).await;
    server.fail("info/refs", Fault::Stall);
    let room = room();
    let mut remote = Remote::anonymous(&server.url("repo.git")).unwrap();
    remote.timeout = Duration::from_millis(50);
    let repository = room.git.repository(remote).await.unwrap();
    let error = repository.head(&main_branch()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(error.to_string().contains("spec.timeout"), "{error}");
}

#[tokio::test]
async fn a_rewritten_branch_is_followed_and_a_deleted_one_is_noticed() {
    let server = GitServer::with_repository(FILES).await;
    let first = server.git("repo.git", &["rev-parse", "main"]);
    server.commit("repo.git", "main", &[("README.md", "second\n")]);
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    repository.checkout(&main_branch()).await.unwrap();
    server.git("repo.git", &["update-ref", "refs/heads/main", &first]);
    let back = repository.checkout(&main_branch()).await.unwrap();
    assert_eq!(back.commit.to_string(), first);
    assert_eq!(read(&back, "README.md").as_deref(), Some("hello\n"));
    server.git("repo.git", &["branch", "other"]);
    server.git("repo.git", &["update-ref", "-d", "refs/heads/main"]);
    let error = repository.checkout(&main_branch()).await.unwrap_err();
    assert!(matches!(error, Error::ReferenceNotFound { .. }), "{error}");
}

#[tokio::test]
async fn edits_that_cannot_be_are_refused_with_their_path() {
    let server = GitServer::with_repository(FILES).await;
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    for path in [
        "apps",
        "README.md/x",
        "../x",
        "/x",
        "a//b",
        ".git/config",
        "a/.GIT/x",
        "",
    ] {
        let change = change(&[(path, "x")]);
        let result = repository
            .push_with(&target(), move |_| Ok(Some(change.clone())))
            .await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Path { .. }), "{path:?}: {error}");
    }
    let result = repository
        .push_with(&target(), |_| Err("no template".into()))
        .await;
    assert_eq!(result.unwrap_err().to_string(), "no template");
    assert_eq!(
        server.git("repo.git", &["rev-list", "--count", "main"]),
        "1"
    );
}

#[tokio::test]
async fn what_is_pinned_survives_collection_and_restart() {
    let server = GitServer::with_repository(FILES).await;
    let folder = tempfile::tempdir().unwrap();
    let url = server.url("repo.git");
    let revision = {
        let git = Git::open(folder.path()).unwrap();
        let repository = git
            .repository(Remote::anonymous(&url).unwrap())
            .await
            .unwrap();
        let checkout = repository.checkout(&main_branch()).await.unwrap();
        repository
            .pin("gitrepository/apps/web", &checkout)
            .await
            .unwrap();
        for n in 0..towpath::git::TIPS_MAX + 2 {
            server.commit("repo.git", "main", &[("README.md", &format!("{n}\n"))]);
            repository.checkout(&main_branch()).await.unwrap();
        }
        let held = repository.checkout(&main_branch()).await.unwrap();
        repository.collect().await.unwrap();
        assert_eq!(read(&held, "apps/run.sh").as_deref(), Some("#!/bin/sh\n"));
        let packs = std::fs::read_dir(repository.mirror_path().join("objects/pack")).unwrap();
        assert_eq!(packs.count(), 2, "one pack and its index");
        checkout.revision
    };
    let git = Git::open(folder.path()).unwrap();
    let repository = git
        .repository(Remote::anonymous(&url).unwrap())
        .await
        .unwrap();
    let name = "gitrepository/apps/web";
    let pinned = repository.pinned(name, &revision).await.unwrap().unwrap();
    assert_eq!(read(&pinned, "README.md").as_deref(), Some("hello\n"));
    repository.unpin(name).await.unwrap();
    assert!(repository.pinned(name, &revision).await.unwrap().is_none());
    // Objects that vanish, as on a broken disk, are fetched again.
    let head = repository.head(&main_branch()).await.unwrap();
    for entry in std::fs::read_dir(repository.mirror_path().join("objects/pack")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    drop((pinned, repository, git));
    let git = Git::open(folder.path()).unwrap();
    let repository = git
        .repository(Remote::anonymous(&url).unwrap())
        .await
        .unwrap();
    let checkout = repository.fetch(&head).await.unwrap();
    assert_eq!(
        read(&checkout, "apps/run.sh").as_deref(),
        Some("#!/bin/sh\n")
    );
}

#[tokio::test]
async fn a_fetch_of_one_changed_file_is_small() {
    let files: Vec<(String, String)> = (0..300)
        .map(|n| {
            (
                format!("apps/{n}/deploy.yaml"),
                format!("image: web:{n}\n# {n}\n"),
            )
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let server = GitServer::with_repository(&files).await;
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    repository.checkout(&main_branch()).await.unwrap();
    server.commit(
        "repo.git",
        "main",
        &[("apps/7/deploy.yaml", "image: web:new\n")],
    );
    let checkout = repository.checkout(&main_branch()).await.unwrap();
    assert_eq!(
        read(&checkout, "apps/7/deploy.yaml").as_deref(),
        Some("image: web:new\n")
    );
    let mut sizes: Vec<u64> = std::fs::read_dir(repository.mirror_path().join("objects/pack"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "pack"))
        .map(|entry| entry.metadata().unwrap().len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes.len(), 2);
    assert!(sizes[0] * 2 < sizes[1], "{sizes:?}");
}
