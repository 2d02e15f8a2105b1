//! Chooses the latest of an image's tags, as an ImagePolicy asks for.
//!
//! In: the policy's choice and filter, and the tags in a fixed order. Out: a [`Selection`], a
//! verdict for each tag ([`Policy::explain`]), or an [`Error`] in Flux's words. Where Flux visits
//! tags in random order, the order given decides. [`digest`] says when a digest is looked up;
//! [`table`] runs the tests that stand beside a policy. It never asks a registry or the cluster.

mod choose;
pub mod digest;
mod explain;
mod filter;
mod number;
pub mod table;

pub use choose::{Choice, Error, Policy, Selection};
pub use explain::{Explanation, Outcome, Verdict};
pub use filter::Filter;
