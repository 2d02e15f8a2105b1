//! The edit of an automation, made anew on every head that it meets.
//!
//! In: an automation, what its policies chose, the head of a branch. Out: the change to commit, or
//! nothing. Runs on a blocking thread; reads the commit's tree and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt;

use super::marked_files::update_tree;
use super::marker_index::MarkerIndex;
use super::policy_state::{TRAILER, policy_state};
use crate::api::{ImageRef, ImageUpdateAutomation};
use crate::failpoint;
use crate::git::{self, Basis, Change, Person, Recomputed, SigningKey};
use crate::reconcile::Timestamp;
use crate::safe::SafePath;
use crate::template::{self, Data, FileChange, ObjectChange};
use crate::update::{self, PolicyChoice, Reason, Setters, SettersError};

/// Most markers without effect that are told of one run.
const INEFFECTIVE_MAX: usize = 20;

/// What an automation writes.
pub(super) struct Edit {
    setters: Setters,
    index: Arc<MarkerIndex>,
    path: String,
    template: String,
    author: Person,
    values: BTreeMap<String, String>,
    namespace: String,
    name: String,
    time_s: i64,
    signing_key: Option<Arc<SigningKey>>,
    state: String,
    last: Last,
}

/// The policies that count for an automation, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Policies {
    /// What they have chosen.
    pub chosen: BTreeMap<String, ImageRef>,
    /// Those that have chosen nothing yet.
    pub waiting: BTreeSet<String>,
    /// Those that the selector leaves out.
    pub left_out: BTreeSet<String>,
}

/// Why an edit could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditError {
    /// The branch is not there, or the repository has no commit.
    #[error("the branch has no commit to edit")]
    Empty,
    /// The tree could not be read.
    #[error("{0}")]
    Tree(#[from] git::Error),
    /// The engine could not look through the tree.
    #[error("{0}")]
    Update(#[from] update::Error),
    /// The message could not be made.
    #[error("{0}")]
    Message(#[from] template::Error),
}

/// One file that an edit changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileUpdate {
    /// Its path below the root of the tree.
    pub path: String,
    /// Its bytes.
    pub before: Vec<u8>,
    /// What they become.
    pub after: Vec<u8>,
    /// The values that are written, by object.
    pub objects: Vec<update::ObjectChanges>,
}

/// What the last making of an edit has to say, beside the change.
#[derive(Debug, Clone, Default)]
pub(super) struct Last(Arc<Mutex<Option<Vec<String>>>>);

impl Last {
    /// Takes the markers that had no effect and the documents that were left alone; nothing when no
    /// edit was made.
    pub fn take_ineffective(&self) -> Option<Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Edit {
    /// Returns the edit of an automation. Fails when a choice is no valid reference.
    pub fn new(
        object: &ImageUpdateAutomation,
        policies: &Policies,
        (index, now): (Arc<MarkerIndex>, Timestamp),
    ) -> Result<Self, SettersError> {
        let setters = setters(object, policies)?;
        let namespace = object.namespace().unwrap_or_default();
        let commit = object.spec.git.as_ref().map(|git| git.commit.clone());
        let author = commit.as_ref().map(|commit| commit.author.clone());
        let template = commit.as_ref().and_then(|c| c.message_template.clone());
        Ok(Self {
            setters,
            index,
            path: object.spec.update.path.clone().unwrap_or_default(),
            template: template.unwrap_or_default(),
            author: Person {
                name: author
                    .as_ref()
                    .and_then(|a| a.name.clone())
                    .unwrap_or_default(),
                email: author.map(|author| author.email).unwrap_or_default(),
            },
            values: commit
                .map(|c| c.message_template_values)
                .unwrap_or_default(),
            name: object.name_any(),
            namespace,
            time_s: now.as_second(),
            signing_key: None,
            state: policy_state(object, &policies.chosen),
            last: Last::default(),
        })
    }

    /// Returns the edit, made as commits that the key signs.
    pub fn signed_by(self, signing_key: Option<Arc<SigningKey>>) -> Self {
        Self {
            signing_key,
            ..self
        }
    }

    /// Returns the value of the trailer that its commits carry.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Returns where the last making leaves what it has to say.
    pub fn last(&self) -> Last {
        self.last.clone()
    }

    /// Makes the edit on a head. Returns nothing when all is as it should be.
    pub fn make(&self, basis: &Basis) -> Recomputed {
        Ok(self.change(basis)?)
    }

    /// Returns the files that the edit changes, after what earlier edits of the same head make of them.
    pub fn preview(
        &self,
        basis: &Basis,
        earlier: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<Vec<FileUpdate>, EditError> {
        let Some(change) = self.change(basis)? else {
            return Ok(Vec::new());
        };
        let reader = basis.tree.reader();
        let mut files = Vec::new();
        for path in change.edits.into_keys() {
            let before = match earlier.get(&path) {
                Some(bytes) => bytes.clone(),
                None => reader
                    .read(&SafePath::parse(&path).unwrap_or_default())?
                    .unwrap_or_default(),
            };
            let rewritten = update::rewrite(&before, &self.setters);
            let Some(after) = rewritten.bytes else {
                continue;
            };
            earlier.insert(path.clone(), after.clone());
            files.push(FileUpdate {
                path,
                before,
                after,
                objects: rewritten.objects,
            });
        }
        Ok(files)
    }

    fn change(&self, basis: &Basis) -> Result<Option<Change>, EditError> {
        if basis.commit.is_none() {
            return Err(EditError::Empty);
        }
        let report = update_tree(&basis.tree, &self.index, &self.path, &self.setters)?;
        self.tell(&report);
        let edits = report.writes();
        let edits = edits.map(|(path, bytes)| {
            failpoint::hit("edit.after_blob");
            (path.as_str().to_owned(), bytes.to_vec())
        });
        let edits: BTreeMap<_, _> = edits.collect();
        if edits.is_empty() {
            return Ok(None);
        }
        let data = Data {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            changed: changed(&report),
            values: self.values.clone(),
        };
        Ok(Some(Change {
            edits,
            author: self.author.clone(),
            time_s: self.time_s,
            message: template::message(&self.template, &data)?,
            trailers: vec![(TRAILER.to_owned(), self.state.clone())],
            signing_key: self.signing_key.clone(),
        }))
    }

    fn tell(&self, report: &update::Report) {
        let mut last = self.last.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(without_effect(report, &self.namespace));
    }
}

/// Returns what the markers of an automation may name. Fails when a choice is no valid reference.
pub(super) fn setters(
    object: &ImageUpdateAutomation,
    policies: &Policies,
) -> Result<Setters, SettersError> {
    let namespace = object.namespace().unwrap_or_default();
    let choices = policies.chosen.iter().map(|(name, latest)| PolicyChoice {
        namespace: &namespace,
        name,
        latest,
    });
    let waiting = policies.waiting.iter().map(String::as_str);
    let left_out = policies.left_out.iter().map(String::as_str);
    Ok(Setters::new(choices)?
        .with_waiting(&namespace, waiting)
        .with_left_out(&namespace, left_out))
}

/// Returns the markers without effect and the documents that are left alone, by file and line, as the
/// automations of a namespace tell them.
pub(super) fn without_effect(report: &update::Report, namespace: &str) -> Vec<String> {
    let lines = report.files.iter().flat_map(|file| {
        let markers = (file.ineffective.iter()).filter(|told| concerns(&told.reason, namespace));
        let markers = markers.map(|m| (m.line, format!("{}: {}", m.marker, m.reason)));
        let problems = file.problems.iter().map(|p| (p.line, p.reason.clone()));
        let lines = markers.chain(problems);
        lines.map(|(line, text)| format!("{}:{line}: {text}", file.path))
    });
    lines.take(INEFFECTIVE_MAX).collect()
}

/// Returns whether a marker without effect is told: those of policies that will have a tag, are not
/// selected or are of other namespaces, whose automations write them, are not.
fn concerns(reason: &Reason, namespace: &str) -> bool {
    match reason {
        Reason::NoTagYet(_) | Reason::LeftOut(_) => false,
        Reason::UnknownPolicy(policy) => policy.split(':').next() == Some(namespace),
        _ => true,
    }
}

/// Returns the changes as templates see them.
fn changed(report: &update::Report) -> Vec<FileChange> {
    let written = report.files.iter().filter(|file| file.bytes.is_some());
    let files = written.map(|file| FileChange {
        file: file.file.clone(),
        objects: file.objects.iter().map(object_change).collect(),
    });
    files.collect()
}

fn object_change(changes: &update::ObjectChanges) -> ObjectChange {
    let object = changes.object.clone();
    let each = changes.changes.iter().map(|change| template::Change {
        old_value: change.old_value.clone(),
        new_value: change.new_value.clone(),
        setter: change.setter.clone(),
    });
    ObjectChange {
        api_version: object.api_version,
        kind: object.kind,
        namespace: object.namespace,
        name: object.name,
        changes: each.collect(),
    }
}
