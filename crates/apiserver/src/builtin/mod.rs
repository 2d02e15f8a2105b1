//! Defaults, validation and immutability of the built-in kinds.
//!
//! An object comes in as JSON with its row; it is completed as Kubernetes completes it, or what is
//! wrong with it goes out. Pure: nothing is allocated here and no other object is read.

mod decode;
mod defaults;
mod events;
mod fields;
mod immutable;
mod jobs;
mod networking;
mod normal;
mod pods;
mod quantity;
mod services;
mod validate;
mod validate_network;
mod validate_pods;
mod words;

pub use decode::decode;
pub use defaults::{apply_defaults, complete, declare_defaults};
pub use events::{from_core_event, to_core_event};
pub use quantity::canonical_quantity;
pub use validate::validate;

pub(crate) use words::words;
