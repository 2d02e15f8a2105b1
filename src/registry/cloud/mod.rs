//! `spec.provider`: logins by what a cloud gives its machines and workloads, for registries of the
//! same cloud.
//!
//! In: the environment of the process, files that it names, a registry's host. Out: a `Credential`
//! that is kept until near its end. One file a kind of proof; each endpoint can be moved by the
//! variable that its vendor's tools read. A token is never part of an error.

mod aws;
mod aws_keys;
mod azure;
mod exchange;
mod gcp;
mod gcp_keys;
mod logins;
mod sigv4;
mod surroundings;

pub use logins::Provider;
pub(super) use logins::{Asked, Logins};
pub use surroundings::Surroundings;
