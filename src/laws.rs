//! Laws: what must hold for any bytes that come from outside, however they were made.
//!
//! In: bytes. Out: nothing; a law that is broken panics. Each is fuzzed by the target of its name in
//! `fuzz/`, and replayed over the seeds in `testdata/fuzz` by every test run. Laws of a room's inside
//! stand in the room (`registry::laws`, `git::laws`), those of building in `build`. Not part of the
//! product.

mod build;
#[cfg(test)]
mod replay;

use yaml::document::{self, Document};
use yaml::edit;

use crate::api::ImageRef;
use crate::image::{Reference, Repository};
use crate::pattern::Pattern;
use crate::template::{self, Data};
use crate::update::{PolicyChoice, Setters, rewrite};
use crate::version::{Constraint, Version};

pub use crate::git::laws::{pkt_lines, report_status};
pub use crate::registry::laws::{challenge, link, tags};
pub use build::{kustomization, patch, round_trip};

/// A law.
pub type Law = fn(&[u8]);

/// All laws, by the names of their targets.
pub const ALL: [(&str, Law); 14] = [
    ("reference", reference),
    ("challenge", challenge),
    ("link", link),
    ("tags", tags),
    ("constraint", constraint),
    ("pattern", pattern),
    ("marker", marker),
    ("edit", edit_touches_its_scalar_alone),
    ("template", template),
    ("pkt_lines", pkt_lines),
    ("report_status", report_status),
    ("kustomization", kustomization),
    ("patch", patch),
    ("round_trip", round_trip),
];

/// The text that an edited scalar gets.
const NEW: &str = "ghcr.io/acme/app:2.0.0";
/// Scalars of one document that are edited one by one.
const EDITS_MAX: usize = 64;
/// The longest message that a template may make, and some.
const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// Returns the bytes as text and the parts between NUL bytes; nothing where they are no text.
fn parts<const N: usize>(bytes: &[u8]) -> Option<[&str; N]> {
    let mut parts = std::str::from_utf8(bytes).ok()?.splitn(N, '\0');
    let parts = std::array::from_fn(|_| parts.next().unwrap_or_default());
    Some(parts)
}

/// A reference keeps what was written, and its full name is the reference itself.
pub fn reference(bytes: &[u8]) {
    let Some([text]) = parts(bytes) else { return };
    if let Ok(reference) = Reference::parse(text) {
        assert_eq!(reference.as_written(), text);
        let full = reference.to_string();
        let again = Reference::parse(&full).expect("because the full name is a reference");
        assert_eq!(again.to_string(), full);
        assert_eq!(again.repository(), reference.repository());
        assert_eq!(again.identifier(), reference.identifier());
    }
    if let Ok(repository) = Repository::parse_image_field(text) {
        let full = repository.to_string();
        let again = Repository::parse(&full).expect("because the full name is a repository");
        assert_eq!(again, repository);
    }
}

/// `a || b` admits what `a` or `b` admits; what is refused as a pre-release is not admitted.
///
/// A range with a hyphen is left out: upstream takes the bars before it for a part of its version.
pub fn constraint(bytes: &[u8]) {
    let Some([range, version]) = parts(bytes) else {
        return;
    };
    let Ok(version) = Version::parse(version) else {
        return;
    };
    let Ok(constraint) = Constraint::parse(range) else {
        return;
    };
    let admits = constraint.admits(&version);
    assert!(
        !(admits && constraint.refuses_as_prerelease(&version)),
        "{range:?}"
    );
    let alone: Result<Vec<_>, _> = range.split("||").map(Constraint::parse).collect();
    let hyphen = |pair: &[u8]| pair[0].is_ascii_whitespace() && pair[1] == b'-';
    if let Ok(alone) = alone
        && !range.as_bytes().windows(2).any(hyphen)
    {
        let any = alone.iter().any(|constraint| constraint.admits(&version));
        assert_eq!(any, admits, "{range:?} of {version:?}");
    }
    assert!(version.cmp_precedence(&version).is_eq());
}

/// A pattern that compiles matches within the text, at characters, and says so twice.
pub fn pattern(bytes: &[u8]) {
    let Some([pattern, template, text]) = parts(bytes) else {
        return;
    };
    let Ok(compiled) = Pattern::new(pattern) else {
        return;
    };
    let found = compiled.find(text);
    assert_eq!(found.is_some(), compiled.is_match(text), "{pattern:?}");
    let Some(found) = found else { return };
    assert!(found.range(0).is_some());
    for group in 0..compiled.names().len() {
        if let Some(range) = found.range(group) {
            assert!(text.get(range).is_some(), "{pattern:?} cuts a character");
        }
    }
    // A group is written at most once for every dollar sign.
    let bound = template.len() + text.len() * template.matches('$').count();
    assert!(compiled.expand(template, &found).len() <= bound);
}

/// Returns what one policy, `ns:app`, stands for.
fn setters() -> Setters {
    let latest = ImageRef {
        name: "ghcr.io/acme/app".to_owned(),
        tag: "2.0.0".to_owned(),
        digest: None,
    };
    let choice = PolicyChoice {
        namespace: "ns",
        name: "app",
        latest: &latest,
    };
    Setters::new([choice]).expect("because it is a reference")
}

/// Whatever a comment says, its line changes before the comment alone, and other lines never.
pub fn marker(bytes: &[u8]) {
    let Some([comment]) = parts(bytes) else {
        return;
    };
    if comment.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        return;
    }
    let (before, after) = ("a: 1\nb: ", format!(" # {comment}\nc: 1.0\n"));
    let text = format!("{before}old{after}");
    let rewritten = rewrite(text.as_bytes(), &setters());
    let Some(new) = rewritten.bytes else { return };
    let new = std::str::from_utf8(&new).expect("because text stays text");
    let value = new
        .strip_prefix(before)
        .and_then(|new| new.strip_suffix(&after));
    let value = value.expect("because only the scalar changes");
    assert!(
        [
            "ghcr.io/acme/app:2.0.0",
            "ghcr.io/acme/app",
            "2.0.0",
            "\"\""
        ]
        .contains(&value)
    );
}

/// Any scalar of any document can be given a text: it alone changes, and means that text. A file
/// that was rewritten is not rewritten again.
pub fn edit_touches_its_scalar_alone(bytes: &[u8]) {
    let setters = setters();
    if let Some(new) = rewrite(bytes, &setters).bytes {
        assert_ne!(new, bytes, "a file that does not change is not written");
        assert_eq!(rewrite(&new, &setters).bytes, None, "once is enough");
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut n_edits = 0;
    for (index, document) in document::read(text).iter().enumerate() {
        let Ok(document) = document else { continue };
        for at in 0..document.scalars.len() {
            n_edits += 1;
            if n_edits > EDITS_MAX {
                return;
            }
            check_edit(text, index, document, at);
        }
    }
}

fn check_edit(text: &str, index: usize, document: &Document, at: usize) {
    let scalar = &document.scalars[at];
    if scalar.is_missing() {
        return;
    }
    let edits = edit::replace(text, scalar, NEW);
    for edit in &edits {
        let within = |span: &std::ops::Range<usize>| {
            span.start <= edit.span.start && edit.span.end <= span.end
        };
        let in_header = scalar.header.as_ref().is_some_and(within);
        assert!(
            in_header || within(&scalar.span),
            "an edit leaves its scalar"
        );
    }
    let new = edit::apply(text, &edits);
    let read = document::read(&new);
    let Some(Ok(after)) = read.get(index) else {
        panic!("the document is no longer YAML: {new:?}");
    };
    assert_eq!(after.scalars.len(), document.scalars.len(), "{new:?}");
    for (other, (before, after)) in document.scalars.iter().zip(&after.scalars).enumerate() {
        let want = if other == at { NEW } else { &before.text };
        // A block keeps its header, which may add a line feed.
        assert_eq!(
            after.text.trim_end_matches('\n'),
            want.trim_end_matches('\n'),
            "{new:?}"
        );
    }
}

/// A template ends, and its message has a bound.
pub fn template(bytes: &[u8]) {
    let Some([text]) = parts(bytes) else { return };
    let data = Data {
        namespace: "flux-system".to_owned(),
        name: "fleet".to_owned(),
        values: [("cluster".to_owned(), "west".to_owned())].into(),
        ..Data::default()
    };
    if let Ok(message) = template::message(text, &data) {
        assert!(message.len() <= MESSAGE_BYTES_MAX);
        assert_eq!(
            template::message(text, &data).as_deref(),
            Ok(&*message),
            "it is no dice"
        );
    }
}
