//! Forms of markers and values, each in every shape of a file: line ends, a mark of byte order, no last
//! line end, beside other documents and broken ones.
//!
//! A line of `testdata/update/forms.jsonl` has a text in which `⟦old→new⟧` says what changes. Every other
//! byte must stay, a second pass must change nothing, and what a survey tells must be the same. Lines that
//! end in a carriage return alone, as nobody writes them any more, are tried without broken documents,
//! and not with forms that say `not_by_cr`.

#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

use serde_json::Value;
use towpath::api::ImageRef;
use towpath::update::{PolicyChoice, Rewritten, Setters, rewrite, survey};

/// Documents that cannot be edited; the marker in them makes them told.
const BROKEN: [&str; 5] = [
    "a: [ # {\"$imagepolicy\": \"apps:app:tag\"}\n",
    "a: \"b # {\"$imagepolicy\": \"apps:app:tag\"}\n",
    "a: b\n\tc: d # {\"$imagepolicy\": \"apps:app:tag\"}\n",
    "a: b: c # {\"$imagepolicy\": \"apps:app:tag\"}\n",
    "- a # {\"$imagepolicy\": \"apps:app:tag\"}\n",
];

fn setters() -> Setters {
    let image = |tag: &str, digest: Option<String>| ImageRef {
        name: "ghcr.io/acme/app".to_owned(),
        tag: tag.to_owned(),
        digest,
    };
    let digest = format!("sha256:{}", "1".repeat(64));
    let latest = [
        ("apps", "app", image("2.0.0", None)),
        ("apps", "digest", image("2.0.0", Some(digest))),
        ("apps", "number", image("1.10", None)),
        ("other", "app", image("3.0.0", None)),
    ];
    let choices = latest.iter().map(|(namespace, name, latest)| PolicyChoice {
        namespace,
        name,
        latest,
    });
    Setters::new(choices).unwrap()
}

/// Returns the text before and after, and how many places change.
fn before_and_after(text: &str) -> (String, String, usize) {
    let (mut before, mut after, mut n) = (String::new(), String::new(), 0);
    let mut rest = text;
    while let Some((kept, changed)) = rest.split_once('⟦') {
        let (old, new) = changed.split_once('→').unwrap();
        let (new, behind) = new.split_once('⟧').unwrap();
        before += &format!("{kept}{old}");
        after += &format!("{kept}{new}");
        (n, rest) = (n + 1, behind);
    }
    (before + rest, after + rest, n)
}

/// Returns a text in every shape of a file, and how many broken documents each has.
fn shapes(text: &str) -> Vec<(String, String, usize)> {
    let mut whole = vec![(String::new(), text.to_owned(), 0)];
    for (n, broken) in BROKEN.iter().enumerate() {
        let around = format!("{broken}---\n{text}---\n{broken}");
        whole.push((format!("between broken {n}"), around, 2));
    }
    let other = "kind: Other\na: 1.0.0\n";
    whole.push((
        "among others".to_owned(),
        format!("{other}---\n{text}---\n{other}"),
        0,
    ));
    let mut shapes = Vec::new();
    for (name, text, n_broken) in whole {
        for (end, line_end) in [("LF", "\n"), ("CRLF", "\r\n"), ("CR", "\r")] {
            if end == "CR" && n_broken > 0 {
                continue;
            }
            let ended = text.replace('\n', line_end);
            for (mark, prefix) in [("", ""), ("BOM ", "\u{feff}")] {
                let marked = format!("{prefix}{ended}");
                let cut = marked.strip_suffix(line_end).unwrap_or(&marked).to_owned();
                shapes.push((format!("{mark}{end} {name}"), marked, n_broken));
                shapes.push((
                    format!("{mark}{end} {name} without a last line end"),
                    cut,
                    n_broken,
                ));
            }
        }
    }
    shapes
}

fn text_of(rewritten: &Rewritten, before: &str) -> String {
    let bytes = rewritten.bytes.clone();
    String::from_utf8(bytes.unwrap_or_else(|| before.into())).unwrap()
}

/// Returns what is wrong with a shape, if anything is.
fn difference(text: &str, n_broken: usize, setters: &Setters) -> Option<String> {
    let (before, after, _) = before_and_after(text);
    let rewritten = rewrite(before.as_bytes(), setters);
    let got = text_of(&rewritten, &before);
    if got != after {
        return Some(format!("from {before:?}\n   got {got:?}\n  want {after:?}"));
    }
    let again = rewrite(after.as_bytes(), setters);
    if again.bytes.is_some() {
        return Some(format!("a second pass makes {:?}", text_of(&again, &after)));
    }
    let n_problems = rewritten.problems.len();
    if n_problems < n_broken {
        return Some(format!(
            "{n_problems} of {n_broken} broken documents are told"
        ));
    }
    let settled = survey(after.as_bytes()).and_then(|survey| survey.settled(setters));
    (settled.as_ref() != Some(&again)).then(|| format!("the survey tells {settled:?}"))
}

#[test]
fn every_form_changes_its_value_alone_in_every_shape_of_a_file() {
    let setters = setters();
    let rows = include_str!("../../../testdata/update/forms.jsonl");
    let (mut n_shapes, mut wrong) = (0, Vec::new());
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let (name, text) = (&row["name"], row["text"].as_str().unwrap());
        let (.., n_changes) = before_and_after(text);
        assert!(n_changes > 0, "{name}: nothing changes");
        let by_cr = row["not_by_cr"] != true;
        let shapes = shapes(text).into_iter();
        for (shape, text, n_broken) in shapes.filter(|(shape, ..)| by_cr || !shape.contains("CR "))
        {
            n_shapes += 1;
            let difference = difference(&text, n_broken, &setters);
            wrong.extend(difference.map(|difference| format!("{name}, {shape}: {difference}")));
        }
    }
    super::count(&format!(
        "{n_shapes} shapes of {} forms",
        rows.lines().count()
    ));
    assert!(n_shapes > 3000, "{n_shapes}");
    let n_wrong = wrong.len();
    assert!(
        wrong.is_empty(),
        "{n_wrong} of {n_shapes}:\n{}",
        wrong.join("\n")
    );
}
