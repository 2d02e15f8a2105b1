//! Reads and writes remote Git repositories over smart HTTP and ssh.
//!
//! In: a [`Remote`] (URL, credentials, timeout) and a [`Selector`]. Out: a [`Head`] (what the remote
//! has), a [`Checkout`] (commit and lazily read [`Tree`]) or the outcome of a push. Commits are fetched
//! at depth one into a bare mirror, one a URL and credential identity; there is never a work tree.
//!
//! A push is a recompute loop: when somebody else was first, the edits are made again on the new
//! head. It never overwrites what it has not seen, decides nothing and never prints a credential. `gix` holds the objects;
//! only this room and the demo's Git server use it.

mod ancestry;
mod checkout;
mod commit;
mod delta;
mod edit;
mod error;
mod files;
mod github;
mod http;
mod known_hosts;
#[cfg(any(test, fuzzing))]
pub mod laws;
mod lines;
mod mirror;
pub(crate) mod objects;
pub(crate) mod pkt;
mod private_key;
mod proxy;
mod push;
mod receive;
mod references;
mod refspec;
mod remote;
mod report;
mod repository;
mod sign;
mod ssh;
mod transport;
mod tree;
mod turns;
mod upload;
mod url;

pub use checkout::{Checkout, DEFAULT_BRANCH, Head, Selector};
pub use commit::{Change, Person};
pub use error::Error;
pub use files::TreeFiles;
pub use github::GithubApp;
pub use gix::ObjectId;
pub use mirror::TIPS_MAX;
pub use proxy::Proxy;
pub use push::{Basis, Landed, Pushed, Recomputed, Refusal, Start, Target};
pub use references::{Reference, References};
pub use refspec::RefSpec;
pub use remote::{Credentials, Remote, Tls};
pub use repository::{Git, Repository};
pub use sign::SigningKey;
pub use ssh::SshIdentity;
pub(crate) use tree::check_name;
pub use tree::{Entry, EntryKind, Tree, TreeReader, Visited};
pub use url::RemoteUrl;

/// The name that requests and commits carry.
pub(crate) const AGENT: &str = concat!("towpath/", env!("CARGO_PKG_VERSION"));
