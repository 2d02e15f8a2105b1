//! Flux's kinds as types, their CustomResourceDefinitions, and the names that objects carry.
//!
//! One file a kind, with spec and status as they are on the wire; [`crds()`] gives the definitions, and
//! a test compares them with Flux's. Conditions, reasons, annotations and field managers are constants
//! in [`conditions`] and [`annotations`]. Data only: nothing here decides or does anything.

#![expect(
    clippy::duplicated_attributes,
    reason = "a kind has several short names, categories and columns"
)]

pub mod annotations;
pub mod conditions;
mod crds;
mod git_repository;
mod image_policy;
mod image_repository;
mod image_update_automation;
mod kustomization;
mod shared;

pub use conditions::{Condition, ConditionStatus, reasons};
pub use crds::crds;
pub use git_repository::*;
pub use image_policy::*;
pub use image_repository::*;
pub use image_update_automation::*;
pub use kustomization::*;
pub use shared::{
    Artifact, GitReference, ImageRef, LabelRequirement, LabelSelector, LocalReference,
    NamespacedReference, Selector,
};
