//! What a repository may hold that nobody should use: broken packs, bombs, trees that leave their place.

use std::ops::ControlFlow;
use std::process::Stdio;

use towpath::git::{Checkout, Error, Git, Remote};
use towpath::safe::SafePath;

use super::{FILES, main_branch, open, read, room};
use crate::world::git::{GitServer, command, patience};
use crate::world::packs::{
    BLOB, COMMIT, Id, Piece, Script, ScriptedGit, TREE, commit, id, pack, repeating, tree, zlib,
};

/// Asks a scripted server for `main`.
async fn fetched(script: Script) -> Result<Checkout, Error> {
    let server = ScriptedGit::start(script).await;
    let folder = tempfile::tempdir().unwrap();
    let mut remote = Remote::anonymous(&server.url).unwrap();
    remote.timeout = patience();
    let git = Git::open(folder.path()).unwrap();
    let repository = git.repository(remote).await.unwrap();
    let checkout = repository.checkout(&main_branch()).await?;
    // All is read while its folder is there.
    walked(&checkout)?;
    Ok(checkout)
}

/// Returns all paths of a commit, each file read.
fn walked(checkout: &Checkout) -> Result<Vec<String>, Error> {
    let mut paths = Vec::new();
    let root = SafePath::parse("").unwrap();
    checkout.tree.reader().walk(&root, &mut |visited| {
        if matches!(visited.kind, towpath::git::EntryKind::File { .. }) {
            visited.bytes()?;
        }
        paths.push(visited.path.to_owned());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(paths)
}

/// Returns a commit with one file, and its objects but for the file's.
fn around(blob: &Id) -> (Id, Vec<Piece>) {
    let folder = tree("100644", b"file", blob);
    let head = commit(&id(TREE, &folder));
    let head_id = id(COMMIT, &head);
    (
        head_id,
        vec![Piece::Whole(COMMIT, head), Piece::Whole(TREE, folder)],
    )
}

#[tokio::test]
async fn gt6_packs_that_are_broken_are_refused_whole() {
    let blob = b"hello\n".to_vec();
    let (head, mut pieces) = around(&id(BLOB, &blob));
    pieces.push(Piece::Whole(BLOB, blob));
    let good = pack(&pieces);
    fetched(Script::of(&head, good.clone())).await.unwrap();

    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        bytes
    };
    let (last, middle) = (good.len() - 1, good.len() / 2);
    let mut more = good.clone();
    more[11] += 1;
    for (name, bytes) in [
        ("bad checksum", flipped(last)),
        ("flipped bit", flipped(middle)),
        ("no pack", b"hello".to_vec()),
        ("nothing", Vec::new()),
        ("version 9", flipped(7)),
        ("one object more than there is", more),
        ("cut", good[..middle].to_vec()),
    ] {
        let error = fetched(Script::of(&head, bytes)).await.unwrap_err();
        let is_told = matches!(error, Error::Mirror { .. } | Error::Object { .. });
        assert!(is_told, "{name}: {error}");
    }
}

#[tokio::test]
async fn gt6_objects_that_do_not_come_are_missed() {
    let missing = id(BLOB, b"never sent");
    let (head, pieces) = around(&missing);
    let error = fetched(Script::of(&head, pack(&pieces))).await.unwrap_err();
    assert!(error.to_string().contains("not found"), "{error}");

    let (head, mut pieces) = around(&missing);
    pieces.push(Piece::Delta(id(BLOB, b"nowhere"), repeating(7, 1)));
    let error = fetched(Script::of(&head, pack(&pieces))).await.unwrap_err();
    assert!(
        matches!(error, Error::Mirror { .. }),
        "a missing base: {error}"
    );
}

#[tokio::test]
async fn gt6_bombs_are_refused_before_they_are_unpacked() {
    let base = vec![0; 60_000];
    let base_id = id(BLOB, &base);
    let bomb = |piece: Piece| {
        let (head, mut pieces) = around(&base_id);
        pieces.push(Piece::Whole(BLOB, base.clone()));
        pieces.push(piece);
        Script::of(&head, pack(&pieces))
    };
    // 300 MB and more of what a commit may hold 256 MiB.
    let claimed = 300_000_000;
    let small = zlib(b"small");
    let mega = zlib(&vec![0; 4 << 20]);
    for (name, piece) in [
        (
            "a size beyond the bound",
            Piece::Claimed(BLOB, claimed, small.clone()),
        ),
        ("10 GB", Piece::Claimed(BLOB, 10_000_000_000, small.clone())),
        (
            "a stream longer than its size",
            Piece::Claimed(BLOB, 5, mega),
        ),
        (
            "a stream shorter than its size",
            Piece::Claimed(BLOB, 500, small),
        ),
        (
            "a delta of 300 MB",
            Piece::Delta(base_id, repeating(60_000, 5_000)),
        ),
    ] {
        let error = fetched(bomb(piece)).await.unwrap_err();
        assert!(matches!(error, Error::Mirror { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn gt8_capabilities_that_nobody_asked_for_change_nothing() {
    let blob = b"hello\n".to_vec();
    let (head, mut pieces) = around(&id(BLOB, &blob));
    pieces.push(Piece::Whole(BLOB, blob));
    let mut script = Script::of(&head, pack(&pieces));
    let words = [
        "bundle-uri",
        "object-info",
        "server-option",
        "x-unheard-of=1",
    ];
    script.capabilities = words.map(str::to_owned).to_vec();
    script
        .references
        .push(format!("unborn HEAD symref-target:{}", "refs/heads/main"));
    fetched(script).await.unwrap();
}

/// Makes a commit on `main` whose only tree has these bytes, past all of git's checks.
fn commit_tree(server: &GitServer, bytes: &[u8]) {
    let path = server.path("repo.git");
    let words = ["hash-object", "-t", "tree", "-w", "--literally", "--stdin"];
    let mut hash = command(&path, &words);
    let mut child = hash
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), bytes).unwrap();
    let tree = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let made = server.git("repo.git", &["commit-tree", "-m", "odd", tree.trim()]);
    server.git("repo.git", &["update-ref", "refs/heads/main", &made]);
}

#[tokio::test]
async fn gt7_trees_that_leave_their_folder_are_refused_with_the_path() {
    let server = GitServer::with_repository(FILES).await;
    let blob = server.git("repo.git", &["rev-parse", "main:README.md"]);
    let blob = gix::ObjectId::from_hex(blob.as_bytes()).unwrap();
    let blob: Id = blob.as_slice().try_into().unwrap();
    let file = |name: &str| tree("100644", name.as_bytes(), &blob);
    let mut cases: Vec<(String, Vec<u8>)> = [
        ".git",
        ".GIT",
        ".Git",
        "..",
        ".",
        "a/b",
        "/a",
        "a\\b",
        "..\\a",
        ".git.",
        ".git ",
        ".git . .",
        "git~1",
        "GIT~1",
        ".git::$INDEX_ALLOCATION",
        ".g\u{200c}it",
        "\u{feff}.git",
    ]
    .iter()
    .map(|name| ((*name).to_owned(), file(name)))
    .collect();
    cases.push(("twice".to_owned(), [file("a"), file("a")].concat()));
    cases.push(("unsorted".to_owned(), [file("b"), file("a")].concat()));
    cases.push(("no UTF-8".to_owned(), tree("100644", b"\xff", &blob)));
    cases.push(("odd mode".to_owned(), tree("10644", b"a", &blob)));
    cases.push(("huge mode".to_owned(), tree("777777", b"a", &blob)));
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    for (name, bytes) in cases {
        commit_tree(&server, &bytes);
        let checked = repository.checkout(&main_branch()).await;
        let error = checked.and_then(|checkout| walked(&checkout)).unwrap_err();
        let is_told = matches!(error, Error::Path { .. } | Error::Object { .. });
        assert!(is_told, "{name}: {error}");
    }
    // Names that only look like them are files.
    commit_tree(
        &server,
        &[file(".gitignore"), file(".gitx"), file("...")].concat(),
    );
    let error = repository
        .checkout(&main_branch())
        .await
        .and_then(|it| walked(&it));
    assert!(error.is_err(), "they are not sorted");
    commit_tree(
        &server,
        &[file("..."), file(".gitignore"), file(".gitx")].concat(),
    );
    let checkout = repository.checkout(&main_branch()).await.unwrap();
    assert_eq!(walked(&checkout).unwrap(), ["...", ".gitignore", ".gitx"]);
}

#[tokio::test]
async fn gt7_links_and_submodules_are_entries_and_are_not_followed() {
    let server = GitServer::with_repository(FILES).await;
    let target = server.git("repo.git", &["hash-object", "-w", "/etc/hostname"]);
    let head = server.git("repo.git", &["rev-parse", "main"]);
    let old = server.git("repo.git", &["ls-tree", "main"]);
    let listing = format!("{old}\n120000 blob {target}\tlink\n160000 commit {head}\tmodule\n");
    let path = server.path("repo.git");
    let mut make = command(&path, &["mktree"]);
    let mut child = make
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), listing.as_bytes()).unwrap();
    let made = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let made = server.git("repo.git", &["commit-tree", "-m", "links", made.trim()]);
    server.git("repo.git", &["update-ref", "refs/heads/main", &made]);
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    let checkout = repository.checkout(&main_branch()).await.unwrap();
    let paths = walked(&checkout).unwrap();
    assert!(paths.contains(&"link".to_owned()) && paths.contains(&"module".to_owned()));
    assert_eq!(read(&checkout, "link"), None, "a link is no file");
    assert_eq!(read(&checkout, "link/x"), None);
    assert_eq!(read(&checkout, "module"), None);
}
