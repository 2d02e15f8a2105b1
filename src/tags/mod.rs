//! The tags room: keeps the last complete scan of each ImageRepository, so that a policy reads
//! nothing else and a restart forgets nothing.
//!
//! In: a [`Scan`], whole. Out: the same scan, or a summary without its tags. A scan replaces the
//! one before it in one transaction, and nothing is written when its list did not change. It never
//! asks a registry and never keeps a part of a list.

mod scan;
mod store;

pub use scan::{Scan, Summary};
pub use store::{Change, Error, Owner, Store};
