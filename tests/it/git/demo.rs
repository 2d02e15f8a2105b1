//! The demo's Git server against Debian's `git` and against our own client.

use std::path::{Path, PathBuf};

use towpath::{
    cli::demo::git_server,
    git::{Change, Pushed, Selector},
};

use super::{change, landed, main_branch, open, push, read, room, target};
use crate::world::git::{command, commit, fsck, git};

struct Demo {
    folder: tempfile::TempDir,
    url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Demo {
    /// Starts the server with one empty repository.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let served = folder.path().join("served");
        git_server::create(&served, "repo.git").unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/repo.git", listener.local_addr().unwrap());
        let router = git_server::router(served);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { folder, url, task }
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("served/repo.git")
    }

    /// Runs git in a folder of the test, off the server's thread.
    async fn run(&self, folder: &str, arguments: &[&str]) -> Result<String, String> {
        let path = self.folder.path().join(folder);
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let work = tokio::task::spawn_blocking(move || {
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = command(&path, &words).output().unwrap();
            let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into();
            match output.status.success() {
                true => Ok(text),
                false => Err(text),
            }
        });
        work.await.unwrap()
    }

    async fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let result = self.run(folder, arguments).await;
        result.unwrap_or_else(|text| panic!("git {arguments:?}: {text}"))
    }
}

/// Commits a file in a work tree.
fn write(work: &Path, path: &str, text: &str) {
    let file = work.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
    git(work, &["add", "-A"]);
    git(work, &["commit", "-qm", "work"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn git_clones_pushes_and_fetches_with_both_protocol_versions() {
    for version in ["protocol.version=2", "protocol.version=0"] {
        let demo = Demo::start().await;
        let url = demo.url.clone();
        demo.git("", &["-c", version, "clone", "-q", &url, "one"])
            .await;
        let one = demo.folder.path().join("one");
        git(&one, &["checkout", "-q", "-B", "main"]);
        git(&one, &["config", "protocol.version", &version[17..]]);
        for n in 0..12 {
            write(
                &one,
                &format!("apps/{n}/deploy.yaml"),
                &format!("image: web:{n}\n"),
            );
        }
        git(&one, &["tag", "-a", "-m", "first", "v1"]);
        demo.git("one", &["push", "-q", "origin", "main", "v1"])
            .await;
        fsck(&demo.repository());

        demo.git("", &["-c", version, "clone", "-q", &url, "two"])
            .await;
        let two = demo.folder.path().join("two");
        fsck(&two);
        assert_eq!(git(&two, &["rev-list", "--count", "HEAD"]), "12");
        assert_eq!(git(&two, &["describe"]), "v1");

        write(&one, "apps/7/deploy.yaml", "image: web:new\n");
        demo.git("one", &["push", "-q", "origin", "main"]).await;
        demo.git("two", &["-c", version, "pull", "-q", "--ff-only"])
            .await;
        fsck(&two);
        assert_eq!(git(&two, &["rev-list", "--count", "HEAD"]), "13");

        demo.git(
            "",
            &["-c", version, "clone", "-q", "--depth", "1", &url, "thin"],
        )
        .await;
        let thin = demo.folder.path().join("thin");
        assert_eq!(git(&thin, &["rev-list", "--count", "HEAD"]), "1");
        write(&thin, "README.md", "from a shallow clone\n");
        demo.git("thin", &["push", "-q", "origin", "main"]).await;
        demo.git("thin", &["-c", version, "fetch", "-q", "--depth", "5"])
            .await;
        assert_eq!(git(&thin, &["rev-list", "--count", "origin/main"]), "5");
        demo.git("thin", &["-c", version, "fetch", "-q", "--unshallow"])
            .await;
        assert_eq!(git(&thin, &["rev-list", "--count", "HEAD"]), "14");
        fsck(&thin);
        fsck(&demo.repository());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn git_is_refused_what_would_lose_commits() {
    let demo = Demo::start().await;
    let url = demo.url.clone();
    for name in ["one", "two"] {
        demo.git("", &["clone", "-q", &url, name]).await;
        git(
            &demo.folder.path().join(name),
            &["checkout", "-q", "-B", "main"],
        );
    }
    let (one, two) = (
        demo.folder.path().join("one"),
        demo.folder.path().join("two"),
    );
    write(&one, "a", "1\n");
    write(&two, "b", "2\n");
    demo.git("one", &["push", "-q", "origin", "main"]).await;
    let text = demo
        .run("two", &["push", "-q", "origin", "main"])
        .await
        .unwrap_err();
    assert!(text.contains("rejected"), "{text}");
    // A lease on a value that is no longer there is refused by the server itself.
    let lease = "--force-with-lease=main:";
    let text = demo
        .run("two", &["push", "-q", lease, "origin", "main"])
        .await
        .unwrap_err();
    assert!(text.contains("rejected"), "{text}");
    let text = demo
        .run("one", &["push", "-q", "origin", ":main"])
        .await
        .unwrap_err();
    assert!(
        text.contains("deletion of the current branch prohibited"),
        "{text}"
    );
    demo.git("one", &["push", "-q", "origin", "main:other"])
        .await;
    demo.git("one", &["push", "-q", "origin", ":other"]).await;
    let listed = demo.git("one", &["ls-remote", &url]).await;
    assert!(
        listed.contains("refs/heads/main") && !listed.contains("other"),
        "{listed}"
    );
    let text = demo
        .run("", &["ls-remote", &url.replace("repo", "none")])
        .await
        .unwrap_err();
    assert!(text.contains("not found"), "{text}");
    fsck(&demo.repository());
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_reads_and_writes_it() {
    let demo = Demo::start().await;
    let room = room();
    let repository = open(&room, &demo.url).await;
    let error = repository.head(&main_branch()).await.unwrap_err();
    assert_eq!(error.to_string(), "git repository is empty");
    landed(
        push(
            &repository,
            &[("apps/web.yaml", "image: web:1\n"), ("README.md", "x\n")],
        )
        .await,
    );
    fsck(&demo.repository());

    // Somebody else commits; our kept mirror fetches the difference and pushes on top.
    commit(&demo.repository(), "main", &[("README.md", "theirs\n")]);
    let checkout = repository.checkout(&main_branch()).await.unwrap();
    assert_eq!(read(&checkout, "README.md").as_deref(), Some("theirs\n"));
    assert_eq!(
        read(&checkout, "apps/web.yaml").as_deref(),
        Some("image: web:1\n")
    );
    landed(push(&repository, &[("apps/web.yaml", "image: web:2\n")]).await);
    fsck(&demo.repository());
    git(
        &demo.repository(),
        &["tag", "-a", "-m", "one", "v1", "main"],
    );
    let tagged = repository
        .checkout(&Selector::Tag("v1".to_owned()))
        .await
        .unwrap();
    assert_eq!(
        read(&tagged, "apps/web.yaml").as_deref(),
        Some("image: web:2\n")
    );

    // Another room knows nothing and finds the first commit by its trailer.
    let mut marked = change(&[("README.md", "marked\n")]);
    marked.trailers = vec![("Towpath-Update".to_owned(), "1".to_owned())];
    landed(push_change(&repository, marked).await);
    landed(push(&repository, &[("README.md", "later\n")]).await);
    let other = self::room();
    let fresh = open(&other, &demo.url).await;
    let found = fresh
        .find_trailer("main", "Towpath-Update", "1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read(&found, "README.md").as_deref(), Some("marked\n"));
    assert_eq!(
        git(&demo.repository(), &["rev-list", "--count", "main"]),
        "5"
    );
}

async fn push_change(repository: &towpath::git::Repository, change: Change) -> Pushed {
    let pushed = repository
        .push_with(&target(), move |_| Ok(Some(change.clone())))
        .await;
    pushed.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rooms_race_and_both_land() {
    let demo = Demo::start().await;
    let mut writers = Vec::new();
    for n in 0..4 {
        let room = room();
        let repository = open(&room, &demo.url).await;
        writers.push(tokio::spawn(async move {
            let _room = room;
            landed(push(&repository, &[(&format!("by/{n}"), "x\n")]).await);
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    fsck(&demo.repository());
    assert_eq!(
        git(&demo.repository(), &["rev-list", "--count", "main"]),
        "4"
    );
    assert_eq!(
        git(
            &demo.repository(),
            &["ls-tree", "--name-only", "main", "by/"]
        )
        .lines()
        .count(),
        4
    );
}
