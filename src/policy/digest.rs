//! When the digest of the chosen tag is looked up, as `spec.digestReflectionPolicy` says.
//!
//! In: that field, the reference of the last pass and the choice of this one. Out: what to do
//! about the digest. It never asks a registry.

use crate::api::{DigestReflectionPolicy, ImageRef};

/// What to do about the digest of the chosen tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// The reference has no digest.
    Clear,
    /// The digest that is known stays.
    Keep(&'a str),
    /// The registry is asked.
    Fetch,
}

/// Returns what to do about the digest of `name:tag`, given the reference of the last pass.
pub fn decide<'a>(
    policy: DigestReflectionPolicy,
    latest: Option<&'a ImageRef>,
    name: &str,
    tag: &str,
) -> Action<'a> {
    match policy {
        DigestReflectionPolicy::Never => Action::Clear,
        DigestReflectionPolicy::Always => Action::Fetch,
        DigestReflectionPolicy::IfNotPresent => latest
            .filter(|latest| latest.name == name && latest.tag == tag)
            .and_then(|latest| latest.digest.as_deref())
            .filter(|digest| !digest.is_empty())
            .map_or(Action::Fetch, Action::Keep),
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, decide};
    use crate::api::{DigestReflectionPolicy, ImageRef};

    fn latest(digest: Option<&str>) -> ImageRef {
        ImageRef {
            name: "ghcr.io/a/b".to_owned(),
            tag: "1.0.0".to_owned(),
            digest: digest.map(str::to_owned),
        }
    }

    #[test]
    fn a_known_digest_is_kept_until_the_tag_changes() {
        let policy = DigestReflectionPolicy::IfNotPresent;
        let known = latest(Some("sha256:aa"));
        let unknown = latest(None);
        let decide = |latest, tag| decide(policy, latest, "ghcr.io/a/b", tag);
        assert_eq!(decide(Some(&known), "1.0.0"), Action::Keep("sha256:aa"));
        assert_eq!(decide(Some(&known), "1.0.1"), Action::Fetch);
        assert_eq!(decide(Some(&unknown), "1.0.0"), Action::Fetch);
        assert_eq!(decide(None, "1.0.0"), Action::Fetch);
    }

    #[test]
    fn always_asks_and_never_forgets_to_forget() {
        let known = latest(Some("sha256:aa"));
        let decide = |policy| decide(policy, Some(&known), "ghcr.io/a/b", "1.0.0");
        assert_eq!(decide(DigestReflectionPolicy::Always), Action::Fetch);
        assert_eq!(decide(DigestReflectionPolicy::Never), Action::Clear);
    }
}
