//! The store on a disk: what it keeps, what it writes, and what a crash leaves.

use std::io::BufRead;
use std::process::{Command, Stdio};

use super::super::format::tests::{set_format, write_first_format};
use super::super::scan::tests::{list, reading, scan};
use super::*;

const IMAGE: &str = "r.io/app";

fn owner(name: &str) -> Owner {
    Owner {
        namespace: "apps".to_owned(),
        name: name.to_owned(),
    }
}

fn opened() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

/// Returns a scan with tags 1 to n, which ended n seconds after the epoch of Unix.
fn scan_of(n: usize) -> Scan {
    let tags: Vec<String> = (1..=n)
        .map(|at| format!("main-{at:07}-1764000000"))
        .collect();
    let mut reading = reading();
    reading.finished_at = at(n);
    Scan::new(IMAGE, list(tags.iter().map(String::as_str)), reading)
}

fn at(seconds: usize) -> DateTime<Utc> {
    DateTime::from_timestamp(i64::try_from(seconds).unwrap(), 0).unwrap()
}

fn stored(store: &Store, owner: &Owner) -> Option<Scan> {
    store.scan(owner, IMAGE).unwrap().map(|(scan, _)| scan)
}

#[test]
fn a_scan_is_replaced_as_a_whole_and_only_when_it_changed() {
    let (_folder, store) = opened();
    let a = owner("a");
    assert_eq!(stored(&store, &a), None);
    let replaced = |n_before, n_seen, n_vanished| Change::Replaced {
        n_before,
        n_seen,
        n_vanished,
    };
    for (tags, change) in [
        (&["1", "2"][..], Change::First),
        (&["2", "1"], Change::Unchanged),
        (&["3", "1"], replaced(2, 1, 1)),
        (&[], replaced(2, 0, 2)),
        (&[], Change::Unchanged),
        (&["4"], replaced(0, 1, 0)),
    ] {
        assert_eq!(store.replace(&a, &scan(tags)).unwrap(), change, "{tags:?}");
        assert_eq!(stored(&store, &a), Some(scan(tags)), "{tags:?}");
        let epoch = store.epoch(&a, IMAGE).unwrap().unwrap();
        assert_eq!(&epoch, scan(tags).epoch());
    }
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    let (_folder, store) = opened();
    store.replace(&owner("a"), &scan(&["1"])).unwrap();
    store
        .keep_digest(&owner("a"), "1", "sha256:1", at(0))
        .unwrap();
    let before = store.written();
    store.replace(&owner("a"), &scan(&["1"])).unwrap();
    store.delete(&owner("b")).unwrap();
    store
        .keep_digest(&owner("a"), "1", "sha256:1", at(1))
        .unwrap();
    store
        .keep_digest(&owner("b"), "1", "sha256:1", at(1))
        .unwrap();
    assert_eq!(store.written(), before);
}

#[test]
fn one_new_tag_is_a_write_of_less_than_a_kilobyte() {
    let (_folder, store) = opened();
    let a = owner("a");
    store.replace(&a, &scan_of(1000)).unwrap();
    let first = store.written();
    let mut n_small = 0;
    for n in 1001..=1200 {
        let before = store.written().value_bytes;
        store.replace(&a, &scan_of(n)).unwrap();
        n_small += usize::from(store.written().value_bytes - before < 1024);
    }
    assert_eq!(stored(&store, &a), Some(scan_of(1200)));
    // The list is written anew now and then; that counts as well.
    let mean = (store.written().value_bytes - first.value_bytes) / 200;
    assert!(mean < 1024, "{mean} bytes for each tag");
    assert!(n_small >= 194, "{n_small} of 200 below a kilobyte");
}

#[test]
fn changes_since_a_position_are_told_without_the_list() {
    let (_folder, store) = opened();
    let a = owner("a");
    store.replace(&a, &scan(&["1", "2"])).unwrap();
    let (_, position) = store.scan(&a, IMAGE).unwrap().unwrap();
    let since = |position| store.since(&a, IMAGE, position).unwrap();
    let none = since(position).unwrap();
    assert_eq!((none.seen.len(), none.vanished.len()), (0, 0));
    store.replace(&a, &scan(&["1", "2", "3", "4"])).unwrap();
    store.replace(&a, &scan(&["1", "3"])).unwrap();
    let changes = since(position).unwrap();
    assert_eq!(changes.seen, ["3"]);
    assert_eq!(changes.vanished, ["4", "2"]);
    assert_eq!(since(changes.position).unwrap().seen.len(), 0);
    // A store that started anew does not know.
    store.delete(&a).unwrap();
    assert_eq!(since(changes.position), None);
    store.replace(&a, &scan_of(3)).unwrap();
    assert_eq!(since(changes.position), None);
}

#[test]
fn the_history_of_a_tag_is_kept() {
    let (_folder, store) = opened();
    let a = owner("a");
    let scan_at = |tags: &[&str], seconds| {
        let mut reading = reading();
        reading.finished_at = at(seconds);
        Scan::new(IMAGE, list(tags.iter().copied()), reading)
    };
    store.replace(&a, &scan_at(&["1"], 10)).unwrap();
    store.replace(&a, &scan_at(&["1", "2"], 20)).unwrap();
    store.keep_digest(&a, "2", "sha256:a", at(21)).unwrap();
    let moved = store.keep_digest(&a, "2", "sha256:b", at(22)).unwrap();
    let from = "sha256:a".to_owned();
    assert_eq!(moved, DigestChange::Moved { from: from.clone() });
    store.replace(&a, &scan_at(&["1"], 30)).unwrap();
    assert_eq!(store.digest(&a, "2").unwrap(), None);
    let history = |tag| store.history(&a, IMAGE, tag).unwrap();
    let events = history("2").into_iter();
    let events: Vec<_> = events.map(|event| (event.at, event.what)).collect();
    let to = "sha256:b".to_owned();
    assert_eq!(
        events,
        [
            (at(20), Happening::Seen),
            (at(22), Happening::Moved { from, to }),
            (at(30), Happening::Vanished)
        ]
    );
    assert_eq!(history("1"), []);
    let absent_since = |tag| store.absent_since(&a, IMAGE, tag).unwrap();
    assert_eq!(absent_since("2"), Some(at(30)));
    assert_eq!(absent_since("never-there"), Some(at(10)));
    assert_eq!(store.absent_since(&owner("b"), IMAGE, "1").unwrap(), None);
}

#[test]
fn old_changes_are_dropped_and_the_list_stays_whole() {
    let (_folder, store) = opened();
    let a = owner("a");
    store.replace(&a, &scan_of(1)).unwrap();
    let mut record = store.epoch_record(&a).unwrap().unwrap();
    let (_, position) = store.scan(&a, IMAGE).unwrap().unwrap();
    // As if there had been many changes before.
    record.last = CHANGES_MAX + 5;
    record.listed = record.last;
    let old = |number: u64| {
        let change = ChangeRecord {
            at_ms: i64::try_from(number).unwrap(),
            ..ChangeRecord::default()
        };
        Row::Change(number, encode(&change))
    };
    let mut rows: Vec<Row> = (1..=10).map(old).collect();
    rows.push(Row::Epoch(encode(&record)));
    store.write(&a, rows).unwrap();
    store.replace(&a, &scan_of(300)).unwrap();
    let kept = store.changes(&a, 0, 10).unwrap();
    assert_eq!(kept.first().map(|change| change.at_ms), Some(7));
    assert_eq!(store.absent_since(&a, IMAGE, "x").unwrap().unwrap(), at(1));
    assert_eq!(stored(&store, &a), Some(scan_of(300)));
    assert_eq!(store.since(&a, IMAGE, position).unwrap(), None);
}

#[test]
fn owners_of_one_image_do_not_share_a_scan() {
    let (_folder, store) = opened();
    store.replace(&owner("a"), &scan(&["1"])).unwrap();
    store.replace(&owner("a-b"), &scan(&["2"])).unwrap();
    assert_eq!(stored(&store, &owner("a")), Some(scan(&["1"])));
    assert_eq!(store.owners().unwrap(), [owner("a"), owner("a-b")]);
    assert!(store.delete(&owner("a")).unwrap());
    assert_eq!(store.owners().unwrap(), [owner("a-b")]);
    assert_eq!(stored(&store, &owner("a")), None);
}

#[test]
fn a_scan_of_another_image_is_not_given_out_and_starts_anew() {
    let (_folder, store) = opened();
    let a = owner("a");
    store.replace(&a, &scan(&["1"])).unwrap();
    store.keep_digest(&a, "1", "sha256:1", at(0)).unwrap();
    assert_eq!(store.scan(&a, "r.io/other").unwrap(), None);
    assert_eq!(store.epoch(&a, "r.io/other").unwrap(), None);
    let other = Scan::new("r.io/other", list(["1"]), reading());
    assert_eq!(store.replace(&a, &other).unwrap(), Change::First);
    assert_eq!(store.digest(&a, "1").unwrap(), None);
    assert_eq!(stored(&store, &a), None);
}

#[test]
fn writes_of_many_owners_at_one_time_share_transactions() {
    let (_folder, store) = opened();
    let before = store.written().n_transactions;
    // While this turn is held, everybody else queues up.
    let turn = store.commits.hold();
    std::thread::scope(|scope| {
        for n in 0..LOCKS {
            let store = &store;
            scope.spawn(move || store.replace(&owner(&format!("o{n}")), &scan(&["1"])));
        }
        while store.commits.n_pending() < LOCKS / 4 {
            std::thread::yield_now();
        }
        drop(turn);
    });
    assert_eq!(store.owners().unwrap().len(), LOCKS);
    let n_transactions = store.written().n_transactions - before;
    assert!(n_transactions <= 49, "{n_transactions} transactions");
}

/// The folder that a child of the test below writes to until it is killed.
const WRITER: &str = "TOWPATH_TEST_TAGS_WRITER";

#[test]
fn a_killed_writer_leaves_a_whole_scan_and_its_history() {
    if let Some(folder) = std::env::var_os(WRITER) {
        let store = Store::open(Path::new(&folder)).unwrap();
        for n in 1.. {
            store.replace(&owner("a"), &scan_of(n)).unwrap();
            println!("stored {n}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let name = "a_killed_writer_leaves_a_whole_scan_and_its_history";
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args([name, "--nocapture"])
        .env(WRITER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(writer.stdout.take().unwrap()).lines();
    let n_stored = (lines.map_while(Result::ok))
        .filter(|line| line.contains("stored"))
        .take(120)
        .count();
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert_eq!(n_stored, 120);
    let store = Store::open(folder.path()).unwrap();
    let a = owner("a");
    let found = stored(&store, &a).unwrap();
    let n = found.epoch().n_tags;
    assert!(n >= 120, "{n} tags");
    assert_eq!(found, scan_of(n));
    for n in 2..=n {
        let tag = format!("main-{n:07}-1764000000");
        let seen = Event {
            at: at(n),
            what: Happening::Seen,
        };
        assert_eq!(store.history(&a, IMAGE, &tag).unwrap(), [seen]);
    }
}

#[test]
fn a_second_process_and_a_later_format_are_refused() {
    let (folder, store) = opened();
    let error = Store::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("tags.redb: open: "), "{error}");
    set_format(&store.database, 3);
    drop(store);
    let error = Store::open(folder.path()).err().unwrap().to_string();
    let want = "has format 3, this version reads 2 and older ones";
    assert!(error.ends_with(want), "{error}");
}

#[test]
fn a_store_of_the_first_format_is_read_on() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path().join(FILE)).unwrap();
    let summary = r#"{"repository":"r.io/app","revision":"sha256:0","n_tags":2,"scanned_at_ms":0}"#;
    set_format(&database, 1);
    write_first_format(&database, "apps/a", summary, "2\n1");
    write_first_format(&database, "apps/damaged", summary, "2");
    drop(database);
    let store = Store::open(folder.path()).unwrap();
    let found = stored(&store, &owner("a")).unwrap();
    assert_eq!(*found.tags(), ["2", "1"]);
    let change = store.replace(&owner("a"), &scan(&["1", "2"])).unwrap();
    assert_eq!(change, Change::Unchanged);
    assert_eq!(stored(&store, &owner("damaged")), None);
    drop(store);
    assert!(Store::open(folder.path()).is_ok());
}

#[test]
fn a_damaged_record_is_told_and_not_read_as_no_tags() {
    let (_folder, store) = opened();
    let a = owner("a");
    store.replace(&a, &scan(&["1", "2"])).unwrap();
    store
        .write(&a, vec![Row::List(encode_list(&list(["1"])))])
        .unwrap();
    let error = store.scan(&a, IMAGE).unwrap_err().to_string();
    let want = "record of apps/a is damaged: 1 tags instead of 2";
    assert!(error.ends_with(want), "{error}");
    store.write(&a, vec![Row::Epoch(b"{".to_vec())]).unwrap();
    let error = store.epoch(&a, IMAGE).unwrap_err().to_string();
    assert!(error.contains("record of apps/a is damaged: "), "{error}");
}
