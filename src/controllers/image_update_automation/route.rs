//! Where a run begins and ends.
//!
//! In: `spec.git` and the source. Out: what is checked out and which branch is pushed to. Pure.

use super::super::{Failure, git_access};
use super::source_failed;
use crate::api::{GitReference, GitRepository, GitSpec};
use crate::git::Selector;

/// Where a run begins and ends.
pub(super) struct Route {
    pub checkout: Selector,
    pub branch: String,
    pub switches: bool,
}

/// Returns what is checked out and what is pushed to. Fails in Flux's words.
pub(super) fn route(git: &GitSpec, source: &GitRepository) -> Result<Route, Failure> {
    let checkout = git.checkout.as_ref().map(|checkout| &checkout.reference);
    let reference: Option<&GitReference> = checkout.or(source.spec.reference.as_ref());
    let is_set = |branch: &&String| !branch.is_empty();
    let own = reference.and_then(|reference| reference.branch.as_ref());
    let own = own.filter(is_set);
    let pushed = git.push.as_ref().and_then(|push| push.branch.as_ref());
    let pushed = pushed.filter(is_set);
    let branch = pushed.or(own).cloned().ok_or_else(|| {
        source_failed(
            "push spec not provided, and cannot be inferred from .spec.git.checkout.ref or \
             GitRepository .spec.ref",
        )
    })?;
    let checkout = git_access::selector(reference).map_err(source_failed)?;
    let switches = match &checkout {
        Selector::Branch(checkout) => *checkout != branch,
        _ => true,
    };
    Ok(Route {
        checkout,
        branch,
        switches,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixtures::planned;
    use super::*;

    #[test]
    fn a_branch_is_switched_when_another_is_pushed_to() {
        let branch = |name: &str| Selector::Branch(name.to_owned());
        let main = json!({"ref": {"branch": "main"}});
        let tag = json!({"git": {"checkout": {"ref": {"tag": "v1"}}, "push": {"branch": "bot"}}});
        for (change, source, checkout, pushed, switches) in [
            (json!({}), main.clone(), branch("main"), "main", false),
            (
                json!({"git": {"push": {"branch": "main"}}}),
                main.clone(),
                branch("main"),
                "main",
                false,
            ),
            (
                json!({"git": {"push": {"branch": "bot"}}}),
                main.clone(),
                branch("main"),
                "bot",
                true,
            ),
            (
                json!({"git": {"checkout": {"ref": {"branch": "dev"}}}}),
                main.clone(),
                branch("dev"),
                "dev",
                false,
            ),
            (
                json!({"git": {"push": {"branch": "master"}}}),
                json!({}),
                branch("master"),
                "master",
                false,
            ),
            (tag, main, Selector::Tag("v1".to_owned()), "bot", true),
        ] {
            let plan = planned(change, json!({}), source);
            assert_eq!(plan.checkout, checkout);
            assert_eq!((plan.branch.as_str(), plan.switches), (pushed, switches));
        }
    }
}
