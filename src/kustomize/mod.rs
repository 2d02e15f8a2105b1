//! Flux's build around `kustomize build`.
//!
//! A tree of files and what a Kustomization asks come in; objects ready for `apply` go out. It
//! writes the kustomization file where there is none, lays the Kustomization's own fields over the
//! root, builds, and substitutes variables. Pure: it never reads a disk, a cluster or a clock.

mod expand;

pub use expand::{ExpandError, expand};
