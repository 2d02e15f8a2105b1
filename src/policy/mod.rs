//! Chooses the latest of an image's tags, as an ImagePolicy asks for.
//!
//! In: the policy's choice and filter, and the tags in a fixed order. Out: a [`Selection`], a
//! verdict for each tag ([`Policy::explain`]), or an [`Error`] in Flux's words. After a few tags have
//! come or gone, [`Policy::choose_after`] does not look at the others. Where Flux visits
//! tags in random order, the order given decides. [`digest`] says when a digest is looked up;
//! [`table`] runs the tests that stand beside a policy. It never asks a registry or the cluster.

mod choose;
pub mod digest;
mod explain;
mod filter;
mod number;
mod rank;
mod selection;
pub mod table;

pub use choose::{Choice, Error, Policy};
pub use explain::{Explanation, Outcome, Verdict};
pub use filter::Filter;
pub use selection::Selection;
