//! Towpath: image automation and GitOps in one binary.
//!
//! ```text
//! DOORS    cli          serve
//! MILL     controllers  one file per kind: decide -> act -> report
//!          reconcile    the loop: watches, status, events, finalizers, retries
//! RIVER    registry > tags > policy > update > git > source > kustomize > apply
//! BANKS    cluster      one kube::Client: somebody's cluster, or the embedded API
//!          outbound     where hosts are that specs name, and whether they may be asked
//! WORDS    failpoint  safe  duration  image  pattern  version  template  api
//! ```
//!
//! Uses point only downwards: a module uses only modules declared above it here, and river rooms
//! do not use each other. `>` is how data flows when a tag appears; controllers carry it.
#![forbid(unsafe_code)]

// WORDS: what every room may say.

// Moments at which tests end the process.
pub mod failpoint;

// Secrets that do not print, paths that do not leave, addresses that are not asked.
pub mod safe;

// Go durations.
pub mod duration;

// Image references, tags and digests.
pub mod image;

// RE2 patterns and Go's expansion.
pub mod pattern;

// Versions and Masterminds constraints.
pub mod version;

// Commit messages from Go templates.
pub mod template;

// Flux's kinds as types, their CRDs, conditions and reasons.
pub mod api;

// BANKS: the cluster, whoever answers, and the hosts beyond it.

// A `kube::Client` for a real cluster or the embedded API.
pub mod cluster;

// Hosts that specs name, resolved and checked.
pub mod outbound;

// RIVER: one room a stage; rooms never call each other.

// Scans registries.
pub mod registry;

// Keeps complete scans.
pub mod tags;

// Chooses a tag.
pub mod policy;

// Writes the choice into marked scalars.
pub mod update;

// Fetches, commits and pushes.
pub mod git;

// Keeps and serves artifacts.
pub mod source;

// Builds what an artifact describes.
pub mod kustomize;

// Applies, prunes and judges health.
pub mod apply;

// MILL: the loop and one controller a kind.

// Watches, conditions, finalizers, events, requeues.
pub mod reconcile;

// Decide, act, report.
pub mod controllers;

// DOORS: what people touch.

// Everything together, running.
pub mod serve;

// The command line.
pub mod cli;

// LAWS: what must hold for any bytes; for tests and fuzzers alone.

// One law a kind of input.
#[cfg(any(test, fuzzing))]
pub mod laws;
