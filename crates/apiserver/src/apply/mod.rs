//! Server-side apply and the tracking of field managers: structured merge by schema and field sets.
//!
//! In come the live object, what a client sent and the kind's row; out goes the merged object with
//! its `metadata.managedFields`. Defaulting, validation and storage are the caller's work. Pure: the
//! time comes in as text.
//!
//! The order for one apply: [`apply`], then the caller's defaulting, then [`keep_times`], then the
//! caller's preparation (generation, dropped status), validation and store. The order for create,
//! PUT, other patches and status writes: defaulting, then [`track_update`], then [`keep_times`].

mod check;
mod compare;
mod conflict;
mod last_applied;
#[cfg(test)]
mod laws;
mod managed;
mod merge;
mod owned;
mod prune;
mod remove;
mod request;
mod reset;
mod scale;
mod structs;
#[cfg(test)]
mod tests;
mod types;
mod update;

pub use request::{Apply, Outcome, Update, apply, keep_times, track_update};
pub use scale::{owners_after_scale, owners_of_scale};
