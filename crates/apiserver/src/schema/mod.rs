//! Structural schemas: what a kind's objects may hold, how lists and maps merge, what is defaulted.
//!
//! One tree serves pruning, defaulting, validation, server-side apply, strategic merge and
//! OpenAPI. It is built once from the OpenAPI definitions of Kubernetes or from a
//! CustomResourceDefinition and is then shared. Pure.

mod cel;
mod checks;
mod defaults;
mod format;
mod path;
mod prune;
mod read;
mod tree;
mod validate;

pub use defaults::apply_defaults;
pub use path::Path;
pub use prune::{prune, unknown};
pub use read::{Definitions, read_part, read_structural};
pub use tree::{ListKind, Rules, Schema, Shape};
pub use validate::validate;

pub(crate) use read::compile_pattern;
