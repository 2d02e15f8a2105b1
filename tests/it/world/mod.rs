//! The other side of the wire: real servers where they exist, fault servers where they cannot be
//! made to fail. One file for each part of the world.

pub mod cut;
pub mod fleet;
pub mod git;
pub mod github;
pub mod keys;
pub mod kubectl;
pub mod packs;
pub mod places;
pub mod process;
pub mod proxy;
pub mod registry;
pub mod registry_raw;
pub mod registry_tls;
pub mod sshd;
pub mod wire;
