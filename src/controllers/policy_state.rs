//! The name of what an automation had to write: a hash that its commits carry.
//!
//! In: an automation and what its policies have chosen. Out: the trailer's value. The same choices give
//! the same value in every process, so a commit is recognised whose push was never answered. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kube::ResourceExt;
use sha2::{Digest as _, Sha256};

use crate::api::{ImageRef, ImageUpdateAutomation};

/// The key of the trailer.
pub(super) const TRAILER: &str = "Towpath-Update";
/// How many bytes of the hash are told.
const BYTES: usize = 16;

/// Returns the value of the trailer.
pub(super) fn policy_state(
    object: &ImageUpdateAutomation,
    policies: &BTreeMap<String, ImageRef>,
) -> String {
    let mut hasher = Sha256::new();
    let path = object.spec.update.path.as_deref().unwrap_or_default();
    let namespace = object.namespace().unwrap_or_default();
    let lines = [namespace, object.name_any(), path.to_owned()].into_iter();
    let chosen = policies
        .iter()
        .map(|(name, latest)| format!("{name}={latest}"));
    for line in lines.chain(chosen) {
        hasher.update(line.as_bytes());
        hasher.update([0]);
    }
    let mut text = String::new();
    for byte in hasher.finalize().iter().take(BYTES) {
        write!(text, "{byte:02x}").expect("because a string takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(name: &str, tag: &str) -> String {
        let object = json!({
            "metadata": {"name": name, "namespace": "apps"},
            "spec": {"interval": "1m", "sourceRef": {"name": "fleet"}},
        });
        let latest = ImageRef {
            name: "ghcr.io/acme/app".to_owned(),
            tag: tag.to_owned(),
            digest: None,
        };
        let policies = BTreeMap::from([("app".to_owned(), latest)]);
        policy_state(&serde_json::from_value(object).unwrap(), &policies)
    }

    #[test]
    fn the_state_differs_by_automation_and_by_choice() {
        let state_of_bot = state("bot", "1.0.0");
        assert_eq!(state_of_bot.len(), 2 * BYTES);
        assert_eq!(state_of_bot, state("bot", "1.0.0"));
        assert_ne!(state_of_bot, state("bot", "1.0.1"));
        assert_ne!(state_of_bot, state("other", "1.0.0"));
    }
}
