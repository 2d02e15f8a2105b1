//! The `source` room: archives that others can read, artifacts that survive a restart.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use towpath::source::{Contents, Draft, Entry, Error, Owner, Storage, router};

/// Files by path; a `*` before a path makes it executable.
type Files = BTreeMap<&'static str, &'static str>;

/// Returns a tree of files, and how often it was walked.
fn tree(files: &[(&'static str, &'static str)]) -> (Contents, Arc<AtomicUsize>) {
    let files: Files = files.iter().copied().collect();
    let walks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&walks);
    let contents: Contents = Arc::new(move |visit| {
        counted.fetch_add(1, Ordering::Relaxed);
        let mut paths: BTreeMap<String, Option<(bool, &str)>> = BTreeMap::new();
        for (path, text) in &files {
            let plain = path.trim_start_matches('*');
            for (at, _) in plain.match_indices('/') {
                paths.insert(plain[..at].to_owned(), None);
            }
            paths.insert(plain.to_owned(), Some((plain != *path, text)));
        }
        for (path, file) in &paths {
            visit(Entry {
                path,
                is_folder: file.is_none(),
                executable: file.is_some_and(|(executable, _)| executable),
                read: &|| {
                    Ok(file
                        .map(|(_, text)| text.as_bytes().to_vec())
                        .unwrap_or_default())
                },
            })?;
        }
        Ok(())
    });
    (contents, walks)
}

const FILES: &[(&str, &str)] = &[
    ("README.md", "hello\n"),
    ("*apps/run.sh", "#!/bin/sh\n"),
    ("apps/web/deploy.yaml", "image: web:1\n"),
    (".gitignore", "x\n"),
    ("logo.png", "PNG"),
];

fn now() -> DateTime<Utc> {
    "2026-11-24T20:00:00Z".parse().unwrap()
}

fn owner(name: &str) -> Owner {
    Owner::new("GitRepository", "apps", name).unwrap()
}

fn draft(commit: &str, tree: &str) -> Draft {
    Draft {
        revision: format!("main@sha1:{commit}"),
        file: format!("{commit}.tar.gz"),
        tree: tree.to_owned(),
        ignore: None,
    }
}

fn storage(folder: &Path) -> Storage<&'static str> {
    Storage::open(folder, "source.test").unwrap()
}

/// Serves a storage and returns its URL.
async fn serve(storage: &Storage<&'static str>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = router(storage.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn get(url: &str) -> (u16, Vec<u8>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let response = reqwest::get(url).await.unwrap();
    (
        response.status().as_u16(),
        response.bytes().await.unwrap().to_vec(),
    )
}

/// Returns the entries of an archive as `mode path`, checked to have no trace of time and place.
fn entries(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!(header.mtime().unwrap(), 0);
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        let path = String::from_utf8(entry.path_bytes().to_vec()).unwrap();
        format!("{:o} {path}", header.mode().unwrap())
    });
    entries.collect()
}

#[tokio::test]
async fn an_artifact_is_served_with_the_digest_of_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(folder.path());
    let (contents, _) = tree(FILES);
    let found = storage
        .publish(
            &owner("web"),
            draft("abc", "t1"),
            ("handle", contents),
            now(),
        )
        .await;
    let record = found.unwrap().record;
    assert_eq!(record.path, "gitrepository/apps/web/abc.tar.gz");
    assert_eq!(
        storage.url(&record),
        "http://source.test/gitrepository/apps/web/abc.tar.gz"
    );
    let files = std::fs::read_dir(folder.path().join("files"))
        .unwrap()
        .count();
    assert_eq!(files, 0, "nothing is written before somebody asks");

    let url = serve(&storage).await;
    let (status, archive) = get(&format!("{url}/{}", record.path)).await;
    assert_eq!(status, 200);
    assert_eq!(archive.len() as u64, record.size);
    let digest: String = Sha256::digest(&archive)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(record.digest, format!("sha256:{digest}"));
    assert_eq!(
        entries(&archive),
        [
            "750 .",
            "600 README.md",
            "750 apps",
            "700 apps/run.sh",
            "750 apps/web",
            "600 apps/web/deploy.yaml"
        ]
    );
    assert_eq!(
        get(&format!("{url}/gitrepository/apps/web/other.tar.gz"))
            .await
            .0,
        404
    );
    assert_eq!(get(&format!("{url}/gitrepository/apps/web")).await.0, 404);
    assert_eq!(get(&format!("{url}/../records/x")).await.0, 404);
    assert_eq!(get(&format!("{url}/")).await.0, 200);
}

#[tokio::test]
async fn the_same_tree_is_not_hashed_again_and_not_a_new_artifact() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(folder.path());
    let (contents, walks) = tree(FILES);
    let first = storage
        .publish(
            &owner("web"),
            draft("abc", "t1"),
            ("h", Arc::clone(&contents)),
            now(),
        )
        .await
        .unwrap();
    let n_walks = walks.load(Ordering::Relaxed);
    let later = now() + chrono::Duration::hours(1);
    let second = storage
        .publish(
            &owner("web"),
            draft("def", "t1"),
            ("h", Arc::clone(&contents)),
            later,
        )
        .await
        .unwrap();
    assert_eq!(second.record.digest, first.record.digest);
    assert_eq!(
        second.record.updated,
        now(),
        "the content is as old as before"
    );
    assert_eq!(second.record.revision, "main@sha1:def");
    assert_eq!(
        walks.load(Ordering::Relaxed),
        n_walks,
        "the tree is not read again"
    );

    let mut other = draft("def", "t1");
    other.ignore = Some("/*\n!/apps\n".to_owned());
    let third = storage
        .publish(&owner("web"), other, ("h", contents), later)
        .await
        .unwrap();
    assert_ne!(third.record.digest, first.record.digest);
    assert_eq!(third.record.path, second.record.path);
    assert!(third.rules.excludes("README.md", false));
    let url = serve(&storage).await;
    let (_, archive) = get(&format!("{url}/{}", third.record.path)).await;
    assert_eq!(
        entries(&archive),
        [
            "750 .",
            "750 apps",
            "700 apps/run.sh",
            "750 apps/web",
            "600 apps/web/deploy.yaml"
        ]
    );
}

#[tokio::test]
async fn sourceignore_files_hold_for_their_folder() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(folder.path());
    let (contents, _) = tree(&[
        ("a.md", ""),
        ("apps/.sourceignore", "*.md\n!keep.md\n"),
        ("apps/a.md", ""),
        ("apps/keep.md", ""),
    ]);
    let found = storage
        .publish(&owner("web"), draft("abc", "t1"), ("h", contents), now())
        .await
        .unwrap();
    assert!(found.rules.excludes("apps/a.md", false));
    assert!(!found.rules.excludes("apps/keep.md", false));
    assert!(!found.rules.excludes("a.md", false));
}

#[tokio::test]
async fn two_artifacts_are_kept_and_older_files_go() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(folder.path());
    let url = serve(&storage).await;
    let mut paths = Vec::new();
    for (n, text) in ["1\n", "2\n", "3\n"].into_iter().enumerate() {
        let (contents, _) = tree(&[("a.yaml", text)]);
        let draft = draft(&format!("c{n}"), &format!("t{n}"));
        let found = storage
            .publish(&owner("web"), draft, ("h", contents), now())
            .await
            .unwrap();
        assert_eq!(get(&format!("{url}/{}", found.record.path)).await.0, 200);
        paths.push((found.record.path, found.record.digest));
    }
    assert_eq!(get(&format!("{url}/{}", paths[0].0)).await.0, 404);
    assert_eq!(get(&format!("{url}/{}", paths[1].0)).await.0, 200);
    assert!(storage.find(&paths[1].0, &paths[1].1).is_some());
    assert!(
        storage.find(&paths[1].0, &paths[2].1).is_none(),
        "another digest"
    );
    assert_eq!(
        std::fs::read_dir(folder.path().join("files"))
            .unwrap()
            .count(),
        2
    );
    storage.remove(&owner("web")).await.unwrap();
    assert_eq!(get(&format!("{url}/{}", paths[2].0)).await.0, 404);
    assert_eq!(
        std::fs::read_dir(folder.path().join("files"))
            .unwrap()
            .count(),
        0
    );
    assert!(storage.current(&owner("web")).is_none());
    storage.remove(&owner("web")).await.unwrap();
}

#[tokio::test]
async fn records_survive_a_restart_and_half_files_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let (contents, _) = tree(FILES);
    let record = {
        let storage = storage(folder.path());
        let found = storage
            .publish(
                &owner("web"),
                draft("abc", "t1"),
                ("h", Arc::clone(&contents)),
                now(),
            )
            .await;
        found.unwrap().record
    };
    let half = folder.path().join("files/sha256-00.tar.gz.new");
    std::fs::write(&half, "half").unwrap();
    let storage = storage(folder.path());
    assert!(!half.exists());
    assert_eq!(storage.current(&owner("web")), Some(record.clone()));
    // The tree is not at hand yet: nobody gets other bytes, and nobody gets none.
    assert!(storage.find(&record.path, &record.digest).is_none());
    let url = serve(&storage).await;
    assert_eq!(get(&format!("{url}/{}", record.path)).await.0, 404);
    let again = storage
        .publish(&owner("web"), draft("abc", "t1"), ("h", contents), now())
        .await;
    assert_eq!(again.unwrap().record, record);
    assert_eq!(get(&format!("{url}/{}", record.path)).await.0, 200);
}

#[tokio::test]
async fn a_tree_that_cannot_be_read_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(folder.path());
    let (contents, _) = tree(FILES);
    let first = storage
        .publish(&owner("web"), draft("abc", "t1"), ("h", contents), now())
        .await
        .unwrap();
    let broken: Contents = Arc::new(|visit| {
        visit(Entry {
            path: "a.yaml",
            is_folder: false,
            executable: false,
            read: &|| Err("object not found".to_owned()),
        })
    });
    let result = storage
        .publish(&owner("web"), draft("def", "t2"), ("h", broken), now())
        .await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Contents { .. }), "{error}");
    assert_eq!(error.to_string(), "read a.yaml: object not found");
    assert_eq!(storage.current(&owner("web")), Some(first.record));
}

#[tokio::test]
async fn names_that_leave_the_storage_are_refused() {
    for (kind, namespace, name) in [
        ("..", "a", "b"),
        ("k", "a/b", "c"),
        ("k", "a", ""),
        ("k", "a", "x\0"),
    ] {
        let error = Owner::new(kind, namespace, name).unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(folder.path());
    let (contents, _) = tree(FILES);
    let mut bad = draft("abc", "t1");
    bad.file = "../x".to_owned();
    assert!(
        storage
            .publish(&owner("web"), bad, ("h", contents), now())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn too_many_files_are_refused() {
    let endless: Contents = Arc::new(|visit| {
        for n in 0..=towpath::source::ENTRIES_MAX {
            let path = n.to_string();
            visit(Entry {
                path: &path,
                is_folder: true,
                executable: false,
                read: &|| Ok(Vec::new()),
            })?;
        }
        Ok(())
    });
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(folder.path());
    let result = storage
        .publish(&owner("web"), draft("abc", "t1"), ("h", endless), now())
        .await;
    assert!(matches!(result.unwrap_err(), Error::TooLarge { .. }));
}
