//! The mirror on a disk: what it takes, keeps and refuses.

use super::*;
use crate::{
    git::{
        commit::{Change, Person, commit},
        edit::edit,
        objects::pack_of,
        tree::DEPTH_MAX,
    },
    safe::SafePath,
};

/// Puts a commit with one file into a mirror.
fn put(mirror: &Mirror, path: &str) -> ObjectId {
    let change = Change {
        edits: [(path.to_owned(), b"x".to_vec())].into(),
        author: Person {
            name: "a".to_owned(),
            email: "a@example.com".to_owned(),
        },
        time_s: 0,
        message: String::new(),
        trailers: Vec::new(),
        signing_key: None,
    };
    let db = mirror.objects();
    let empty = ObjectId::empty_tree(objects::HASH);
    let (tree, mut new) = edit(&db.objects, empty, &change.edits).unwrap();
    new.push(commit(&change, tree, None).unwrap());
    let id = new.last().unwrap().id;
    mirror.take_own(&pack_of(&new).unwrap()).unwrap();
    mirror.remember(id).unwrap();
    id
}

#[test]
fn pins_are_bounded_and_a_name_pins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::open(&folder.path().join("m"), "http://host/r").unwrap();
    let id = put(&mirror, "a");
    let fill = |state: &mut State| {
        let pins = (0..PINS_MAX).map(|n| (n.to_string(), id.to_string()));
        state.pins = pins.collect();
    };
    mirror.update(fill).unwrap();
    assert!(matches!(
        mirror.pin("one more", id),
        Err(Error::TooLarge { .. })
    ));
    mirror.pin("7", id).unwrap();
    mirror.unpin("8").unwrap();
    mirror.pin("one more", id).unwrap();
    assert_eq!(mirror.pinned("one more"), Some(id));
    assert_eq!(mirror.pinned("8"), None);
}

#[test]
fn folders_deeper_than_the_bound_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::open(&folder.path().join("m"), "http://host/r").unwrap();
    let deep = |n: usize| format!("{}file", "d/".repeat(n));
    for (n, fits) in [(DEPTH_MAX, true), (DEPTH_MAX + 1, false)] {
        let id = put(&mirror, &deep(n));
        let tree = mirror.commit(id).unwrap().unwrap().tree;
        let root = SafePath::parse("").unwrap();
        let walked = tree
            .reader()
            .walk(&root, &mut |_| Ok(std::ops::ControlFlow::Continue(())));
        assert_eq!(walked.is_ok(), fits, "{n}: {walked:?}");
    }
}

#[test]
fn a_mirror_collects_after_many_packs_and_forgets_old_tips() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::open(&folder.path().join("m"), "http://host/r").unwrap();
    let first = put(&mirror, "first");
    for n in 0..PACKS_MAX * 3 {
        put(&mirror, &n.to_string());
        let n_packs = count_packs(mirror.path());
        assert!(n_packs <= PACKS_MAX, "{n_packs}");
        assert_eq!(mirror.n_packs.load(Ordering::Relaxed), n_packs);
    }
    assert_eq!(lock(&mirror.state).tips.len(), TIPS_MAX);
    assert!(mirror.commit(first).unwrap().is_none());
    mirror.collect().unwrap();
    assert_eq!(count_packs(mirror.path()), 1);
    assert!(mirror.haves().unwrap().0.len() == TIPS_MAX);
}

#[test]
fn a_mirror_that_cannot_be_read_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    let id = put(&Mirror::open(&path, "http://host/r").unwrap(), "a");
    let again = Mirror::open(&path, "http://host/r").unwrap();
    assert!(again.commit(id).unwrap().is_some());
    for broken in ["", "{}", "{\"format\":99}"] {
        std::fs::write(path.join(STATE), broken).unwrap();
        let anew = Mirror::open(&path, "http://host/r").unwrap();
        assert!(anew.commit(id).unwrap().is_none(), "{broken:?}");
    }
}
