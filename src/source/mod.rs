//! Keeps artifacts: what a source's revision holds, less what is ignored, under Flux's paths.
//!
//! In: a tree as a [`Contents`] closure, a revision, ignore rules. Out: an artifact's digest and
//! size, the tree's handle for our own consumers, and a `tar.gz` over HTTP for others, written when
//! the first of them asks. The archive is the same bytes for the same tree and rules, always.
//!
//! It fetches nothing and knows no Git.

mod archive;
mod error;
mod files;
mod ignore;
mod server;
mod storage;

pub use archive::{Contents, ENTRIES_MAX, Entry, Summary, UNPACKED_BYTES_MAX, Visit, summarise};
pub use error::Error;
pub use files::ArtifactFiles;
pub use ignore::{IgnoreRules, ignore_rules};
pub use server::router;
pub use storage::{Draft, Found, Owner, Record, Storage};
