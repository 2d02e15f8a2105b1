//! Rewrites one file: finds its markers, replaces the scalars they stand at, reports both.
//!
//! In: the bytes of a file and the setters. Out: the new bytes if anything changed, the changes by
//! object in the order of the text, and what had no effect. A document that is not YAML, or is not
//! an object, is left alone and told; the others of its file are edited all the same.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use yaml::document::{self, Document, SpanNode, SpanScalar};
use yaml::edit::{self, Edit};

use super::marker::{self, KEY, Marker, Reason, TOKEN};
use super::setters::Setters;
use super::survey::{Named, Survey};

/// The largest file that is read for markers.
pub(super) const FILE_BYTES_MAX: usize = 32 << 20;

/// What an object calls itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ObjectId {
    /// `apiVersion`, or nothing.
    pub api_version: String,
    /// `kind`, or nothing.
    pub kind: String,
    /// `metadata.name`, or nothing.
    pub name: String,
    /// `metadata.namespace`, or nothing.
    pub namespace: String,
}

/// One value that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The value before.
    pub old_value: String,
    /// The value now.
    pub new_value: String,
    /// The name that the marker asked for, such as `flux-system:app:tag`.
    pub setter: String,
    /// The line of the value in the old text, from 1.
    pub line: u32,
}

/// The values of one object that were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectChanges {
    /// The object.
    pub object: ObjectId,
    /// Its changes in the order of the text.
    pub changes: Vec<Change>,
}

/// A marker without effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ineffective {
    /// The line, from 1.
    pub line: u32,
    /// The comment, or the marker within a text.
    pub marker: String,
    /// Why it has none.
    pub reason: Reason,
}

/// A document or file that cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The line where it begins or goes wrong, from 1.
    pub line: u32,
    /// What is wrong.
    pub reason: String,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewritten {
    /// The new bytes, if any differ.
    pub bytes: Option<Vec<u8>>,
    /// The changes by object, in the order of the text.
    pub objects: Vec<ObjectChanges>,
    /// Markers whose value is already what they ask for.
    pub n_current: usize,
    /// Markers without effect.
    pub ineffective: Vec<Ineffective>,
    /// Documents that were left alone.
    pub problems: Vec<Problem>,
}

/// Rewrites the marked scalars of a file. A file without a marker is not parsed.
pub fn rewrite(bytes: &[u8], setters: &Setters) -> Rewritten {
    let mut named = Vec::new();
    look_through(bytes, Purpose::Rewrite(setters), &mut named)
}

/// Returns what a file's markers ask for and what stands there, which is the same for all policies.
/// Nothing is returned for a file without a marker, which is not parsed.
pub fn survey(bytes: &[u8]) -> Option<Survey> {
    if !has_token(bytes) {
        return None;
    }
    let mut named = Vec::new();
    let Rewritten {
        ineffective,
        problems,
        ..
    } = look_through(bytes, Purpose::Survey, &mut named);
    Some(Survey {
        named,
        ineffective,
        problems,
    })
}

/// What is asked of a file.
#[derive(Clone, Copy)]
enum Purpose<'s> {
    /// Its new bytes.
    Rewrite(&'s Setters),
    /// The names that its markers hold.
    Survey,
}

fn look_through(bytes: &[u8], purpose: Purpose<'_>, named: &mut Vec<Named>) -> Rewritten {
    let mut out = Rewritten::default();
    if !has_token(bytes) {
        return out;
    }
    let problem = |line, reason: &str| Problem {
        line,
        reason: reason.to_owned(),
    };
    if bytes.len() > FILE_BYTES_MAX {
        out.problems.push(problem(1, "the file is too large"));
        return out;
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        out.problems.push(problem(1, "the file is not UTF-8"));
        return out;
    };
    let mut output = Output::default();
    for document in document::read(text) {
        match document {
            Err(broken) if text[broken.span.clone()].contains(TOKEN) => {
                output.told.problems.push(Problem {
                    line: broken.error.line,
                    reason: format!("the document is not YAML: {}", broken.error),
                });
            }
            Err(_) => {}
            Ok(document) => match why_not_an_object(&document) {
                Some(reason) if text[document.span.clone()].contains(TOKEN) => {
                    output.told.problems.push(problem(document.line, reason));
                }
                Some(_) => {}
                None => edit_document(text, &document, purpose, &mut output),
            },
        }
    }
    *named = output.named;
    let mut out = output.told;
    if !output.edits.is_empty() {
        out.bytes = Some(edit::apply(text, &output.edits).into_bytes());
    }
    out
}

/// What the documents of a file come to.
#[derive(Default)]
struct Output {
    told: Rewritten,
    named: Vec<Named>,
    edits: Vec<Edit>,
    /// Where the changes of an object are: it may have several documents.
    by_object: HashMap<ObjectId, usize>,
}

fn has_token(bytes: &[u8]) -> bool {
    bytes
        .windows(TOKEN.len())
        .any(|window| window == TOKEN.as_bytes())
}

/// Returns why Flux would not edit a document that is YAML.
fn why_not_an_object(document: &Document) -> Option<&'static str> {
    let root = document.root.as_ref()?;
    if document.has_directive {
        return Some("the document has a directive");
    }
    if !matches!(root, SpanNode::Mapping(_)) {
        return Some("the document is not a mapping");
    }
    let metadata = document.get(root, "metadata")?;
    let scalar = document.scalar(metadata)?;
    let is_null = scalar.style == yaml::Style::Plain && yaml::resolve::is_null(&scalar.text);
    (!is_null).then_some("the document's metadata is not a mapping")
}

/// The walk over one document.
struct Editing<'t> {
    text: &'t str,
    document: &'t Document,
    purpose: Purpose<'t>,
    out: &'t mut Output,
    /// The items of a list, which are objects of their own.
    list: Option<&'t [SpanNode]>,
    /// Comments that had an effect or were told.
    done: HashSet<usize>,
}

fn edit_document(text: &str, document: &Document, purpose: Purpose<'_>, out: &mut Output) {
    let mut editing = Editing {
        text,
        document,
        purpose,
        out,
        list: document
            .root
            .as_ref()
            .and_then(|root| list_items(document, root)),
        done: HashSet::new(),
    };
    if let Some(root) = &document.root {
        editing.walk(root, &identity(document, root));
    }
    editing.tell_the_rest();
}

/// Returns the items of a `kind: List`, which are objects of their own.
fn list_items<'d>(document: &'d Document, root: &'d SpanNode) -> Option<&'d [SpanNode]> {
    let kind = document.scalar(document.get(root, "kind")?)?;
    if !matches!(kind.text.as_str(), "List" | "ResourceList") {
        return None;
    }
    match document.get(root, "items")? {
        SpanNode::Sequence(items) => Some(items),
        _ => None,
    }
}

fn identity(document: &Document, node: &SpanNode) -> ObjectId {
    let field = |node: Option<&SpanNode>, key: &str| {
        let value = node.and_then(|node| document.get(node, key));
        let scalar = value.and_then(|value| document.scalar(value));
        scalar.map_or(String::new(), |scalar| scalar.text.clone())
    };
    let metadata = document.get(node, "metadata");
    ObjectId {
        api_version: field(Some(node), "apiVersion"),
        kind: field(Some(node), "kind"),
        name: field(metadata, "name"),
        namespace: field(metadata, "namespace"),
    }
}

impl Editing<'_> {
    /// Visits the values below a node; the reader bounds how deep they nest.
    fn walk(&mut self, node: &SpanNode, object: &ObjectId) {
        match node {
            SpanNode::Alias => {}
            SpanNode::Scalar(index) => {
                if let Some(scalar) = self.document.scalars.get(*index) {
                    self.visit(scalar, object);
                }
            }
            SpanNode::Sequence(items) => {
                let is_list = self
                    .list
                    .is_some_and(|list| std::ptr::eq(list, items.as_slice()));
                for item in items {
                    if is_list {
                        self.walk(item, &identity(self.document, item));
                    } else {
                        self.walk(item, object);
                    }
                }
            }
            SpanNode::Mapping(entries) => {
                let mut keys = HashSet::new();
                for (key, value) in entries {
                    let key = self.document.scalar(key).map(|key| key.text.as_str());
                    match key {
                        Some(key) if !keys.insert(key) => self.tell_duplicates(value, key),
                        _ => self.walk(value, object),
                    }
                }
            }
        }
    }

    /// Writes what the marker of a scalar asks for.
    fn visit(&mut self, scalar: &SpanScalar, object: &ObjectId) {
        if let (Some(_), Some(above)) = (scalar.beside, scalar.above) {
            self.tell(above, Reason::Shadowed);
        }
        let Some(index) = scalar.beside.or(scalar.above) else {
            return;
        };
        let Some(comment) = self.document.comments.get(index) else {
            return;
        };
        if scalar.is_missing() {
            return self.tell(index, Reason::MissingValue);
        }
        if scalar.beside.is_none() && comment.is_one_of_several {
            return self.tell(index, Reason::SeveralLines);
        }
        let text = &self.text[comment.span.clone()];
        let name = match marker::read(text) {
            Some(Ok(name)) => name,
            Some(Err(reason)) => return self.tell(index, reason),
            None => return,
        };
        let Purpose::Rewrite(setters) = self.purpose else {
            self.done.insert(index);
            return self.out.named.push(Named {
                name,
                value: scalar.text.clone(),
                line: comment.line,
                marker: text.to_owned(),
            });
        };
        let marker = match marker::resolve(&name, setters) {
            Ok(marker) => marker,
            Err(reason) => return self.tell(index, reason),
        };
        self.done.insert(index);
        if scalar.text == marker.value {
            self.out.told.n_current += 1;
            return;
        }
        self.write(scalar, &marker, object);
    }

    fn write(&mut self, scalar: &SpanScalar, marker: &Marker<'_>, object: &ObjectId) {
        let edits = edit::replace(self.text, scalar, marker.value);
        self.out.edits.extend(edits);
        let change = Change {
            old_value: scalar.text.clone(),
            new_value: marker.value.to_owned(),
            setter: marker.setter.clone(),
            line: scalar.line,
        };
        let objects = &mut self.out.told.objects;
        let known = self.out.by_object.entry(object.clone());
        let index = *known.or_insert_with(|| {
            objects.push(ObjectChanges {
                object: object.clone(),
                changes: Vec::new(),
            });
            objects.len() - 1
        });
        if let Some(known) = objects.get_mut(index) {
            known.changes.push(change);
        }
    }

    /// Tells of the markers below the value of a key that stands twice.
    fn tell_duplicates(&mut self, node: &SpanNode, key: &str) {
        match node {
            SpanNode::Alias => {}
            SpanNode::Scalar(index) => {
                let scalar = self.document.scalars.get(*index);
                let comments = scalar.map_or([None, None], |s| [s.beside, s.above]);
                for comment in comments.into_iter().flatten() {
                    self.tell(comment, Reason::DuplicateKey(key.to_owned()));
                }
            }
            SpanNode::Sequence(items) => {
                for item in items {
                    self.tell_duplicates(item, key);
                }
            }
            SpanNode::Mapping(entries) => {
                for (_, value) in entries {
                    self.tell_duplicates(value, key);
                }
            }
        }
    }

    /// Tells of a comment, if it speaks of a policy.
    fn tell(&mut self, index: usize, reason: Reason) {
        let Some(comment) = self.document.comments.get(index) else {
            return;
        };
        let marker = &self.text[comment.span.clone()];
        if !self.done.insert(index) || !marker.contains(KEY) {
            return;
        }
        self.out.told.ineffective.push(Ineffective {
            line: comment.line,
            marker: marker.to_owned(),
            reason,
        });
    }

    /// Tells of the markers that belong to no value, and of those within texts.
    fn tell_the_rest(&mut self) {
        for index in 0..self.document.comments.len() {
            self.tell(index, Reason::NoValue);
        }
        for scalar in &self.document.scalars {
            if scalar.text.contains(TOKEN) {
                self.out.told.ineffective.push(Ineffective {
                    line: scalar.line,
                    marker: TOKEN.to_owned(),
                    reason: Reason::InText,
                });
            }
        }
        self.out.told.ineffective.sort_by_key(|told| told.line);
    }
}

#[cfg(test)]
mod tests {
    use super::{FILE_BYTES_MAX, Rewritten, rewrite};
    use crate::api::ImageRef;
    use crate::update::{PolicyChoice, Setters};

    fn rewritten(text: &str) -> Rewritten {
        let latest = ImageRef {
            name: "ghcr.io/a/b".to_owned(),
            tag: "1.0.0".to_owned(),
            digest: None,
        };
        let choice = PolicyChoice {
            namespace: "ns",
            name: "app",
            latest: &latest,
        };
        rewrite(text.as_bytes(), &Setters::new([choice]).unwrap())
    }

    /// The reasons why markers have no effect, by line.
    fn reasons(text: &str) -> Vec<(u32, String)> {
        let out = rewritten(text);
        assert_eq!(out.bytes, None, "{text}");
        let told = out.ineffective.iter();
        told.map(|told| (told.line, told.reason.to_string()))
            .collect()
    }

    #[test]
    fn every_marker_without_effect_is_told_with_its_reason() {
        for (text, line, reason) in [
            (
                "a: x # {\"$imagepolicy\": \"ns:ap\"}",
                1,
                "no policy \"ns:ap\"",
            ),
            (
                "a: x # {\"$imagepolicy\": \"ns:app:Tag\"}",
                1,
                "is not namespace:policy",
            ),
            (
                "a: x # {\"$imagepolicy\": \"app\"}",
                1,
                "is not namespace:policy",
            ),
            (
                "a: x # see {\"$imagepolicy\": \"ns:app\"}",
                1,
                "is not one JSON object",
            ),
            (
                "a: x # {\"$imagepolicy\": \"ns:app\", \"n\": 1}",
                1,
                "is not one JSON object",
            ),
            (
                "a: # {\"$imagepolicy\": \"ns:app\"}\nb: x",
                1,
                "there is no value",
            ),
            (
                "a: # {\"$imagepolicy\": \"ns:app\"}\n  b: x",
                1,
                "belongs to no value",
            ),
            (
                "b: 1\n# {\"$imagepolicy\": \"ns:app\"}\na: x",
                2,
                "belongs to no value",
            ),
            (
                "a:\n# {\"$imagepolicy\": \"ns:app\"}\n- x # y",
                2,
                "counts alone",
            ),
            (
                "a:\n# y\n# {\"$imagepolicy\": \"ns:app\"}\n- x",
                3,
                "only line of its comment",
            ),
            (
                "a: y\na: x # {\"$imagepolicy\": \"ns:app\"}",
                2,
                "\"a\" stands twice",
            ),
            (
                "a: 'x # {\"$imagepolicy\": \"ns:app\"}'",
                1,
                "part of a text",
            ),
        ] {
            let told = reasons(text);
            assert_eq!(told.len(), 1, "{text}: {told:?}");
            assert_eq!(told[0].0, line, "{text}");
            assert!(told[0].1.contains(reason), "{text}: {told:?}");
        }
    }

    #[test]
    fn a_marker_whose_value_is_current_is_counted() {
        let out = rewritten("a: 1.0.0 # {\"$imagepolicy\": \"ns:app:tag\"}\n");
        assert_eq!(
            (out.n_current, out.bytes, out.ineffective.len()),
            (1, None, 0)
        );
    }

    #[test]
    fn a_broken_document_is_told_and_its_neighbour_is_edited() {
        let marked = "a: x # {\"$imagepolicy\": \"ns:app:tag\"}\n";
        let out = rewritten(&format!("{marked}---\nb: [\n{marked}"));
        let text = String::from_utf8(out.bytes.unwrap()).unwrap();
        assert!(
            text.starts_with("a: 1.0.0 # {") && text.ends_with(&format!("---\nb: [\n{marked}"))
        );
        assert_eq!(out.problems.len(), 1);
    }

    #[test]
    fn a_policy_without_a_digest_writes_an_empty_one() {
        let out = rewritten("a: x # {\"$imagepolicy\": \"ns:app:digest\"}\n");
        assert!(out.bytes.unwrap().starts_with(b"a: \"\" # {"));
    }

    #[test]
    fn a_file_larger_than_its_bound_is_told_and_left_alone() {
        let marker = "a: x # {\"$imagepolicy\": \"ns:app:tag\"}\n";
        let padding = "# padding\n".repeat(FILE_BYTES_MAX / 10 + 1);
        let out = rewritten(&(marker.to_owned() + &padding));
        assert_eq!((out.bytes, out.problems.len()), (None, 1));
    }

    #[test]
    fn a_file_without_a_marker_is_not_parsed() {
        assert_eq!(rewritten("a: [ # imagepolicy\n"), Rewritten::default());
    }
}
