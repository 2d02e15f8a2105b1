//! The tags room: keeps the last complete scan of each ImageRepository, so that a policy reads
//! nothing else and a restart forgets nothing, and records when tags came, moved and went.
//!
//! In: a [`Scan`], whole. Out: the same scan, its [`Epoch`] without the tags, what changed since a
//! [`Position`], or a tag's history. A scan replaces the one before it in one transaction which
//! writes the difference only, and nothing is written when its list did not change. It never asks
//! a registry and never keeps a part of a list.

mod commit;
mod difference;
mod error;
mod format;
mod record;
mod scan;
mod store;

pub use commit::Written;
pub use error::Error;
pub use record::{Event, Happening};
pub use scan::{Epoch, Reading, Scan};
pub use store::{Change, Changes, DigestChange, Owner, Position, Store};
