//! One driver for all kinds: watches, turns, conditions, finalizers, events, retries.
//!
//! ```text
//! watch or own write -> Store -> Change -> Wake (itself, or others by the controller's table)
//!   -> Queue -> a turn -> decide, act, report -> one status write -> Store -> ...
//! ```
//!
//! A kind implements [`Controller`] and hands its [`Report`]s over; only this room writes conditions,
//! finalizers, events and requeues. Objects are the queue: every hop is a change of an object, nothing
//! is polled, and after a crash every hop can be made again.

mod clock;
mod delay;
mod driver;
mod error;
mod events;
mod key;
mod kind;
mod pass;
mod passes;
mod queue;
mod report;
mod status;
mod store;
mod wake;

pub use clock::{Clock, Timestamp};
pub use delay::{BACKOFF_MAX, BACKOFF_MIN, Jitter};
pub use driver::Driver;
pub use error::Error;
pub use key::Key;
pub use kind::{Books, Controller, Decision, Kind, StatusOf};
pub use pass::Progress;
pub use passes::Passes;
pub use report::{Aspect, Interval, Note, Outcome, Report, Retry, Severity, kept_aspects};
pub use store::{Change, Store};
pub use wake::Wake;
