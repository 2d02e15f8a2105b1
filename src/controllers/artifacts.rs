//! Artifacts of GitRepositories: a checkout becomes one, and consumers read its files.
//!
//! In: a GitRepository and a checkout. Out: a record for its status, and the tree less what is
//! ignored for those that build from it. The checkout is pinned in its mirror, so that after a restart
//! the tree is at hand without the remote.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::DateTime;
use kube::ResourceExt;

use super::git_access;
use crate::api::{Artifact, GitRepository};
use crate::git::{self, Checkout, EntryKind, Git, ObjectId, Tree};
use crate::reconcile::{Key, Timestamp};
use crate::safe::SafePath;
use crate::source::{self, ArtifactFiles, Contents, Draft, Entry, Owner, Record, Storage};

/// The kind of our sources in paths of artifacts.
const KIND: &str = "gitrepository";

/// Makes, keeps and reads the artifacts of GitRepositories.
pub(super) struct Artifacts {
    git: Git,
    storage: Storage<Tree>,
    handovers: Mutex<HashMap<Key, Handover>>,
}

/// A commit that was just pushed to the branch of a source: it need not be fetched.
#[derive(Debug, Clone)]
pub(super) struct Handover {
    /// Where it was pushed.
    pub url: String,
    /// What it was made on; a source that stands there moves on to it.
    pub parent: Option<ObjectId>,
    /// The commit.
    pub checkout: Checkout,
}

/// Why a checkout could not be made an artifact.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The storage refused.
    #[error("{0}")]
    Source(#[from] source::Error),
    /// The mirror refused.
    #[error("{0}")]
    Git(#[from] git::Error),
}

impl Artifacts {
    pub fn new(git: Git, storage: Storage<Tree>) -> Self {
        Self {
            git,
            storage,
            handovers: Mutex::default(),
        }
    }

    /// Makes a checkout an object's artifact.
    pub async fn publish(
        &self,
        object: &GitRepository,
        repository: &git::Repository,
        checkout: &Checkout,
        now: Timestamp,
    ) -> Result<Record, Error> {
        // First, so that no artifact is told of whose objects may go.
        repository.pin(&pin(object), checkout).await?;
        let draft = Draft {
            revision: checkout.revision.clone(),
            file: format!("{}.tar.gz", checkout.commit),
            tree: checkout.tree.id().to_string(),
            ignore: object.spec.ignore.clone(),
        };
        let tree = (checkout.tree.clone(), contents(checkout.tree.clone()));
        let now = DateTime::from_timestamp_millis(now.as_millisecond()).unwrap_or_default();
        let owner = owner(object)?;
        let found = self.storage.publish(&owner, draft, tree, now).await?;
        Ok(found.record)
    }

    /// Returns the record of an artifact that can be read now.
    pub fn at_hand(&self, artifact: &Artifact) -> Option<Record> {
        let found = self.storage.find(&artifact.path, &artifact.digest);
        found.map(|found| found.record)
    }

    /// Returns the URL of an artifact.
    pub fn url(&self, record: &Record) -> String {
        self.storage.url(record)
    }

    /// Returns the files of the artifact in an object's status, as who unpacks its archive would find
    /// them; from the mirror where they are not at hand, as after a restart. Fails with what is missing.
    pub async fn files(
        &self,
        object: &GitRepository,
    ) -> Result<Box<dyn kustomize::Files + Send>, String> {
        let artifact = object.status.as_ref().and_then(|s| s.artifact.as_ref());
        let artifact = artifact.ok_or("Source artifact not found")?;
        let find = || self.storage.find(&artifact.path, &artifact.digest);
        let mut found = find();
        if found.is_none() {
            let restored = self.restore(object, artifact).await;
            restored.map_err(|error| format!("artifact {}: {error}", artifact.revision))?;
            found = find();
        }
        let found =
            found.ok_or_else(|| format!("artifact {} is no longer stored", artifact.revision))?;
        Ok(Box::new(ArtifactFiles::new(
            found.handle.files(),
            found.rules,
        )))
    }

    /// Publishes again what is pinned for an object, if it is what its status tells.
    async fn restore(&self, object: &GitRepository, artifact: &Artifact) -> Result<(), Error> {
        let repository = self.mirror(object).await?;
        let pinned = repository.pinned(&pin(object), &artifact.revision).await?;
        let Some(checkout) = pinned else {
            return Ok(());
        };
        if artifact.revision.ends_with(&checkout.commit.to_string()) {
            let updated = artifact.last_update_time.0;
            self.publish(object, &repository, &checkout, updated)
                .await?;
        }
        Ok(())
    }

    /// Forgets an object's artifact. Fails when its files cannot be removed.
    pub async fn remove(&self, object: &GitRepository) -> Result<(), Error> {
        self.handovers().remove(&Key::of(object));
        self.storage.remove(&owner(object)?).await?;
        Ok(self.mirror(object).await?.unpin(&pin(object)).await?)
    }

    /// Leaves a pushed commit for a source.
    pub fn hand_over(&self, source: Key, handover: Handover) {
        self.handovers().insert(source, handover);
    }

    /// Takes the commit that was left for a source.
    pub fn take_handover(&self, source: &Key) -> Option<Handover> {
        self.handovers().remove(source)
    }

    fn handovers(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Handover>> {
        self.handovers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an object's repository for what needs no remote, and so no credentials.
    async fn mirror(&self, object: &GitRepository) -> Result<git::Repository, git::Error> {
        let mut remote = git::Remote::anonymous(&object.spec.url)?;
        remote.identity = git_access::identity(object);
        self.git.repository(remote).await
    }
}

fn owner(object: &GitRepository) -> Result<Owner, source::Error> {
    let namespace = object.namespace().unwrap_or_default();
    Owner::new(KIND, &namespace, &object.name_any())
}

/// Returns the name under which an object's checkout is pinned in its mirror.
fn pin(object: &GitRepository) -> String {
    format!("{KIND}/{}", Key::of(object))
}

/// Returns the walk over a tree that archives are made of: files and folders; links and submodules
/// are no part of an artifact.
fn contents(tree: Tree) -> Contents {
    Arc::new(move |visit| {
        let mut refused = None;
        let walked = tree.reader().walk(&SafePath::default(), &mut |visited| {
            let (is_folder, executable) = match visited.kind {
                EntryKind::File { executable } => (false, executable),
                EntryKind::Folder => (true, false),
                EntryKind::Link | EntryKind::Submodule => return Ok(ControlFlow::Continue(())),
            };
            let read = || visited.bytes().map_err(|error| error.to_string());
            let entry = Entry {
                path: visited.path,
                is_folder,
                executable,
                read: &read,
            };
            match visit(entry) {
                Ok(()) => Ok(ControlFlow::Continue(())),
                Err(error) => {
                    refused = Some(error);
                    Ok(ControlFlow::Break(()))
                }
            }
        });
        if let Some(error) = refused {
            return Err(error);
        }
        walked.map_err(|error| source::Error::Contents {
            path: "the tree".to_owned(),
            cause: error.to_string(),
        })
    })
}
