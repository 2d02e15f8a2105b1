//! Flux's build around `kustomize build`.
//!
//! A tree of files and what a Kustomization asks come in; objects ready for `apply` go out. It
//! writes the kustomization file where there is none, lays the Kustomization's own fields over the
//! root, builds, and substitutes variables. Pure: it never reads a disk, a cluster or a clock.

mod build;
mod error;
mod expand;
mod file;
mod substitute;

pub use build::{Build, build};
pub use error::Error;
pub use expand::{ExpandError, expand};
pub use substitute::{Variables, substitute};
