//! Where a run begins and ends.
//!
//! In: `spec.git` and the source. Out: what is checked out, what the edit is made on, which branch and
//! which further reference are pushed to. Pure; Flux's rules and words.

use super::super::{Failure, git_access};
use super::source_failed;
use crate::api::{GitReference, GitRepository, GitSpec};
use crate::git::{DEFAULT_BRANCH, RefSpec, Selector, Start};

/// Where a run begins and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::controllers) struct Route {
    /// What is checked out.
    pub checkout: Selector,
    /// The branch that is pushed to.
    pub branch: String,
    /// What the edit is made on.
    pub start: Start,
    /// The reference that gets the commit, too.
    pub refspec: Option<RefSpec>,
    /// Options for the server.
    pub options: Vec<String>,
}

impl Route {
    /// Returns whether a commit lands on what is checked out, so that the checkout moves on with it.
    pub fn stays(&self) -> bool {
        self.start == Start::Head
    }
}

/// Returns what is checked out and what is pushed to. Fails in Flux's words.
pub(super) fn route(git: &GitSpec, source: &GitRepository) -> Result<Route, Failure> {
    let checkout = git.checkout.as_ref().map(|checkout| &checkout.reference);
    let reference: Option<&GitReference> = checkout.or(source.spec.reference.as_ref());
    let is_set = |text: &&String| !text.is_empty();
    let own = match reference {
        Some(reference) => reference.branch.as_ref().filter(is_set),
        None => None,
    };
    let push = git.push.as_ref();
    let pushed = push.and_then(|push| push.branch.as_ref()).filter(is_set);
    let branch = pushed.or(own).cloned().ok_or_else(|| {
        source_failed(
            "push spec not provided, and cannot be inferred from .spec.git.checkout.ref or \
             GitRepository .spec.ref",
        )
    })?;
    let checkout = git_access::selector(reference).map_err(source_failed)?;
    let current = match reference {
        None => DEFAULT_BRANCH,
        Some(_) => own.map_or("", String::as_str),
    };
    let start = match &checkout {
        Selector::Branch(checkout) if *checkout == branch => Start::Head,
        _ if branch != current => Start::HeadElse(checkout.clone()),
        _ => Start::Only(checkout.clone()),
    };
    let refspec = push.and_then(|push| push.refspec.as_ref()).filter(is_set);
    let refspec = refspec
        .map(|text| RefSpec::parse(text, &branch))
        .transpose();
    let options = push.into_iter().flat_map(|push| &push.options);
    Ok(Route {
        checkout,
        start,
        refspec: refspec.map_err(source_failed)?,
        options: options
            .map(|(key, value)| format!("{key}={value}"))
            .collect(),
        branch,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixtures::planned;
    use super::*;

    #[test]
    fn the_edit_is_made_where_flux_makes_it() {
        let branch = |name: &str| Selector::Branch(name.to_owned());
        let tag = || Selector::Tag("v1".to_owned());
        let main = json!({"ref": {"branch": "main"}});
        let push = |branch: &str| json!({"git": {"push": {"branch": branch}}});
        let tag_to_bot =
            json!({"git": {"checkout": {"ref": {"tag": "v1"}}, "push": {"branch": "bot"}}});
        let tag_of_main = json!({"git": {"checkout": {"ref": {"tag": "v1", "branch": "main"}}}});
        let name = json!({"git": {"checkout": {"ref": {"name": "refs/heads/main"}},
            "push": {"branch": "main"}}});
        let full_name = Selector::Name("refs/heads/main".to_owned());
        for (change, source, checkout, pushed, start) in [
            (json!({}), main.clone(), branch("main"), "main", Start::Head),
            (
                push("main"),
                main.clone(),
                branch("main"),
                "main",
                Start::Head,
            ),
            (
                push("bot"),
                main.clone(),
                branch("main"),
                "bot",
                Start::HeadElse(branch("main")),
            ),
            (
                json!({"git": {"checkout": {"ref": {"branch": "dev"}}}}),
                main.clone(),
                branch("dev"),
                "dev",
                Start::Head,
            ),
            (
                push("master"),
                json!({}),
                branch("master"),
                "master",
                Start::Head,
            ),
            (
                tag_to_bot,
                main.clone(),
                tag(),
                "bot",
                Start::HeadElse(tag()),
            ),
            (tag_of_main, main.clone(), tag(), "main", Start::Only(tag())),
            (
                name,
                main,
                full_name.clone(),
                "main",
                Start::HeadElse(full_name),
            ),
        ] {
            let route = planned(change, json!({}), source).route;
            assert_eq!(route.checkout, checkout);
            assert_eq!((route.branch.as_str(), route.start), (pushed, start));
        }
    }

    #[test]
    fn a_refspec_and_options_go_along() {
        let push = json!({"git": {"push": {"branch": "auto",
            "refspec": "refs/heads/auto:refs/heads/main",
            "options": {"merge_request.create": "", "topic": "a b"}}}});
        let route = planned(push, json!({}), json!({"ref": {"branch": "main"}})).route;
        assert_eq!(route.refspec.unwrap().to, "refs/heads/main");
        assert_eq!(route.options, ["merge_request.create=", "topic=a b"]);
    }
}
