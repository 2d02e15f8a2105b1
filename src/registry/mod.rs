//! The registry room: asks an OCI registry for tags and digests and decides nothing.
//!
//! In: a `Repository`, an [`Access`] (credential, certificates, `insecure`, time), a predicate on
//! tags. Out: a complete [`Listing`], a digest, or an [`Error`] worded as Flux words it. One file a
//! part of the protocol. It never reads the cluster, stores nothing on disk, never sends a
//! credential to another host than the registry or its token service, and never prints one.

mod access;
mod body;
mod challenge;
mod client;
mod cloud;
mod credential;
mod digest;
mod error;
mod exchange;
mod json;
mod keychain;
#[cfg(any(test, fuzzing))]
pub mod laws;
mod link;
mod mark;
mod page;
mod pages;
mod proxy;
mod retry;
mod session;
mod throttle;
mod tls;
mod token;
mod token_service;
mod transport;

pub use access::Access;
pub use client::Client;
pub use cloud::{Provider, Surroundings};
pub use credential::Credential;
pub use error::Error;
pub use keychain::Keychain;
pub use page::{PAGES_MAX, TAG_BYTES_MAX, TAGS_BYTES_MAX, TAGS_MAX};
pub use pages::{Listing, Validator};
pub use proxy::Proxy;
pub use retry::Retries;
pub use tls::Tls;
pub use token_service::Realms;

/// Bytes of one answer's body that are read at most; a page of a million tags has 26 MB.
pub const BODY_BYTES_MAX: usize = 64 << 20;
