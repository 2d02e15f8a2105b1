//! An embeddable Kubernetes-style API server: an axum router over a redb store.
//!
//! Requests come in over TLS on loopback or as a tower service in process; objects go out as the
//! JSON that a kube-apiserver would send. It stores and serves objects; it never runs containers.
//! What it does not serve it answers as a server without that kind or verb.
#![forbid(unsafe_code)]

pub mod apply;
pub mod builtin;
pub mod clock;
pub mod crd;
pub mod error;
pub mod fields;
pub mod identity;
pub mod kinds;
pub mod openapi;
pub mod patch;
pub mod schema;
pub mod store;
pub mod table;

mod api;
mod credentials;
mod objects;
mod rbac;
mod rest;
mod served;
mod server;
mod tls;
mod tokens;
mod workers;

pub use credentials::CredentialsError;
pub use identity::Identity;
pub use server::{Error, Options, Server, Service, Workers};
