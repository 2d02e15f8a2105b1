//! One controller a kind: decide, act, report.
//!
//! Here rooms meet: a scan becomes a choice, a choice a commit, a commit an artifact, an artifact
//! applied objects. Each hop is a change of an object's status that wakes the next kind (see
//! `wakes`). Controllers never write conditions, finalizers, events or requeues; `reconcile` does.

mod artifacts;
mod choices;
mod downgrade;
mod edit;
mod git_access;
mod git_repository;
mod image_access;
mod image_policy;
mod image_repository;
mod image_update_automation;
mod known_listings;
mod kustomization;
mod listed;
mod marked_files;
mod marker_index;
mod objects;
mod once;
mod outcome;
mod policy_state;
mod run;
mod secrets;
pub mod selector;
mod signing;
mod wakes;
mod writers;

pub use edit::FileUpdate;
pub use listed::{ListError, list_tags};
pub use marked_files::update_tree;
pub use marker_index::MarkerIndex;
pub use once::{Active, Chosen, OnceError, Updated, choose};
pub use run::{Context, run};
pub use writers::{Choice, Trees, Verdict, Writer, writers};

use outcome::{Failure, duration, failed, not_supported, ready_note};
