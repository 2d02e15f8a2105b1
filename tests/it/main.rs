//! One test binary for everything that needs more than a function: tables, tools against real
//! servers, controllers on the embedded API, and the stories of the README.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails with the place"
)]

mod apply;
mod automation;
mod cli;
mod crash;
mod crds;
mod docs;
mod faults;
mod git;
mod hostile;
mod image_cases;
mod kubectl;
mod kustomize_peer;
mod reconcile;
mod registry;
mod rivals;
mod river;
mod source;
mod tidy;
mod world;
