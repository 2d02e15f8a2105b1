//! `towpath demo`: the whole job on one machine, with nothing installed but the binary.
//!
//! A small registry and a Git server in this process are the world; the embedded API and all
//! controllers are the product, as they run everywhere.

pub mod git_server;
pub mod registry;
