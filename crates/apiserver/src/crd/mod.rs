//! CustomResourceDefinitions: defaults, validation, status, and the rows they compile to.
//!
//! A definition comes in as JSON; it is completed and accepted, or what is wrong with it goes out.
//! Conversion between versions renames `apiVersion` and nothing else.

mod accept;
mod compile;
mod structural;

pub use accept::accept;
pub use compile::compile;
