//! Applies what was built, prunes what is gone, and judges whether it is healthy.
//!
//! Built objects come in; a change set and an inventory come out. The planning half (order, stages,
//! control annotations, drift, clean-up of managed fields, inventory, health) is pure; the client
//! half speaks server-side apply, watches health instead of polling it, and sends nothing when
//! nothing changed. It never decides when to run and never puts an object's values into an error.

mod change;
mod cleanup;
mod client;
mod control;
mod drift;
mod error;
mod follow;
mod health;
mod inventory;
mod normalise;
mod object;
mod order;
mod prune;
mod run;
mod wait;

pub use change::{Action, Change, ChangeSet};
pub use client::Cluster;
pub use error::Error;
pub use follow::{Drift, follow};
pub use health::{Health, HealthStatus, health};
pub use inventory::{Entry, Inventory};
pub use normalise::{CommonMetadata, Owner, normalise};
pub use object::ObjectRef;
pub use order::{Stage, plan, reverse_order};
pub use prune::{PruneResult, prune, terminated};
pub use run::{ApplyOptions, apply};
pub use wait::{Target, WaitOptions, wait};

/// The field manager of applied objects; Flux's, so that objects change hands without conflicts.
pub const FIELD_MANAGER: &str = "kustomize-controller";

/// The API group whose labels and annotations steer one object.
pub const GROUP: &str = "kustomize.toolkit.fluxcd.io";
