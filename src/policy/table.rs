//! Runs the table of cases that stands beside an ImagePolicy: `NAME.yaml` and `NAME.test.yaml`.
//!
//! In: the two texts. Out: for each case what differs from what it says, which is nothing when it
//! passes. A case lists tags in the order that a scan stores them in, and says which is chosen or
//! which error is told, which tags are refused and why, and what is done about the digest.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Error as PolicyError, Explanation, Policy, digest};
use crate::api::{ImagePolicy, ImagePolicySpec, ImageRef};

/// The longest text that is read, policy or table.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// The versions of ImagePolicy that are read; their specs are the same.
const API_VERSIONS: [&str; 2] = [
    "image.toolkit.fluxcd.io/v1",
    "image.toolkit.fluxcd.io/v1beta2",
];
/// The name that images have in tables; only tags and digests matter there.
const IMAGE_NAME: &str = "image";

/// What a case came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The case's name.
    pub name: String,
    /// What is not as the case says, one line each.
    pub differences: Vec<String>,
}

impl Outcome {
    /// Returns whether everything is as the case says.
    pub fn passes(&self) -> bool {
        self.differences.is_empty()
    }
}

/// A policy or a table that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text is longer than any policy or table.
    #[error("the {text} is longer than {TEXT_BYTES_MAX} bytes")]
    TooLong {
        /// Which of the two.
        text: &'static str,
    },
    /// The policy's text is not YAML.
    #[error("read the policy: {0}")]
    PolicyYaml(#[source] yaml::Error),
    /// The policy's text is not one ImagePolicy.
    #[error("read the policy: one ImagePolicy of image.toolkit.fluxcd.io/v1 is wanted, {found}")]
    NotAPolicy {
        /// What is there instead.
        found: String,
    },
    /// The policy's fields are not those of an ImagePolicy.
    #[error("read the policy: {0}")]
    PolicyFields(#[source] serde_json::Error),
    /// The table's text is not a table.
    #[error("read the table: {0}")]
    Table(#[source] serde_yaml::Error),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    tags: Vec<String>,
    /// The tag that must be chosen.
    choose: Option<String>,
    /// The error that must be told instead.
    error: Option<String>,
    /// Tags that must be refused, each with a part of the reason.
    #[serde(default)]
    refuse: BTreeMap<String, String>,
    /// The reference of the pass before.
    before: Option<Before>,
    /// What must be done about the digest.
    digest: Option<DigestAction>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    tag: String,
    digest: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DigestAction {
    Clear,
    Keep,
    Fetch,
}

/// Runs every case of a table against its policy. Fails when one of the texts cannot be read; a
/// policy that is wrong in itself gives its error in every case.
pub fn run(policy: &str, table: &str) -> Result<Vec<Outcome>, Error> {
    for (name, text) in [("policy", policy), ("table", table)] {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Error::TooLong { text: name });
        }
    }
    let spec = read_policy(policy)?;
    let table: Table = serde_yaml::from_str(table).map_err(Error::Table)?;
    let policy = Policy::from_spec(&spec);
    let run_case = |case: &Case| Outcome {
        name: case.name.clone(),
        differences: differences(case, &spec, &policy),
    };
    Ok(table.cases.iter().map(run_case).collect())
}

fn read_policy(text: &str) -> Result<ImagePolicySpec, Error> {
    let mut documents = yaml::to_values_strict(text).map_err(Error::PolicyYaml)?;
    let not_a_policy = |found: String| Error::NotAPolicy { found };
    let Some(document) = documents.pop().filter(|_| documents.is_empty()) else {
        return Err(not_a_policy("not none and not several".to_owned()));
    };
    let field = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (field("apiVersion"), field("kind"));
    if !API_VERSIONS.contains(&version.as_str()) || kind != "ImagePolicy" {
        return Err(not_a_policy(format!("not {version:?} {kind:?}")));
    }
    let policy: ImagePolicy = serde_json::from_value(document).map_err(Error::PolicyFields)?;
    Ok(policy.spec)
}

fn differences(
    case: &Case,
    spec: &ImagePolicySpec,
    policy: &Result<Policy, PolicyError>,
) -> Vec<String> {
    let explanation = match policy {
        Ok(policy) => policy.explain(case.tags.iter().map(String::as_str)),
        Err(error) => Explanation {
            selection: Err(error.clone()),
            verdicts: Vec::new(),
        },
    };
    let mut differences = Vec::new();
    check_choice(case, &explanation, &mut differences);
    check_refusals(case, &explanation, &mut differences);
    check_digest(case, spec, &explanation, &mut differences);
    differences
}

fn check_choice(case: &Case, explanation: &Explanation, differences: &mut Vec<String>) {
    let chosen = match &explanation.selection {
        Ok(selection) => Ok(selection.tag.as_str()),
        Err(error) => Err(error.to_string()),
    };
    match (&case.choose, &case.error, chosen) {
        (Some(want), None, Ok(got)) if want == got => {}
        (None, Some(want), Err(got)) if *want == got => {}
        (Some(_), Some(_), _) | (None, None, _) => {
            differences.push("the case must say one of choose and error".to_owned());
        }
        (want, error, got) => {
            let want = match (want, error) {
                (Some(tag), _) => format!("chooses {tag}"),
                (None, error) => format!("error {:?}", error.as_deref().unwrap_or_default()),
            };
            let got = match got {
                Ok(tag) => format!("chooses {tag}"),
                Err(error) => format!("error {error:?}"),
            };
            differences.push(format!("want: {want}; got: {got}"));
        }
    }
}

fn check_refusals(case: &Case, explanation: &Explanation, differences: &mut Vec<String>) {
    let outcomes: BTreeMap<&str, _> = (explanation.verdicts.iter())
        .map(|verdict| (verdict.tag.as_str(), &verdict.outcome))
        .collect();
    for (tag, reason) in &case.refuse {
        match outcomes.get(tag.as_str()) {
            None => differences.push(format!("{tag} is to be refused and is not among the tags")),
            Some(outcome) if outcome.is_refused() && outcome.to_string().contains(reason) => {}
            Some(outcome) => {
                differences.push(format!("want: {tag} {reason}; got: {tag} {outcome}"));
            }
        }
    }
}

fn check_digest(
    case: &Case,
    spec: &ImagePolicySpec,
    explanation: &Explanation,
    differences: &mut Vec<String>,
) {
    let (Some(want), Ok(selection)) = (case.digest, &explanation.selection) else {
        return;
    };
    let before = case.before.as_ref().map(|before| ImageRef {
        name: IMAGE_NAME.to_owned(),
        tag: before.tag.clone(),
        digest: before.digest.clone(),
    });
    let policy = spec.digest_reflection_policy;
    let got = match digest::decide(policy, before.as_ref(), IMAGE_NAME, &selection.tag) {
        digest::Action::Clear => DigestAction::Clear,
        digest::Action::Keep(_) => DigestAction::Keep,
        digest::Action::Fetch => DigestAction::Fetch,
    };
    if got != want {
        differences.push(format!("want: digest {want:?}; got: digest {got:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, TEXT_BYTES_MAX, run};

    const POLICY: &str = "
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: app}
spec:
  imageRepositoryRef: {name: app}
  policy: {semver: {range: '1.x'}}
";

    fn differences(case: &str) -> Vec<String> {
        let table = format!("cases:\n- name: one\n  {}\n", case.replace('\n', "\n  "));
        run(POLICY, &table).unwrap().remove(0).differences
    }

    #[test]
    fn a_case_that_holds_has_no_differences() {
        let case = "tags: [2.0.0, 1.0.0]\nchoose: 1.0.0\nrefuse: {2.0.0: outside}\ndigest: clear";
        assert_eq!(differences(case), Vec::<String>::new());
    }

    #[test]
    fn a_case_that_does_not_hold_says_what_it_got() {
        let case = "tags: [1.1.0, 1.0.0]\nchoose: 1.0.0\nrefuse: {1.1.0: outside}";
        assert_eq!(
            differences(case),
            [
                "want: chooses 1.0.0; got: chooses 1.1.0",
                "want: 1.1.0 outside; got: 1.1.0 is the latest",
            ]
        );
    }

    #[test]
    fn a_case_without_an_expectation_does_not_pass() {
        assert_eq!(differences("tags: [1.0.0]").len(), 1);
    }

    #[test]
    fn an_unknown_field_of_a_case_is_refused() {
        let table = "cases: [{name: one, tags: [], chose: x}]";
        assert!(matches!(run(POLICY, table), Err(Error::Table(_))));
    }

    #[test]
    fn a_text_longer_than_its_bound_is_refused() {
        let long = " ".repeat(TEXT_BYTES_MAX + 1);
        assert!(matches!(run(&long, ""), Err(Error::TooLong { .. })));
    }

    #[test]
    fn a_policy_of_the_older_version_is_read_and_a_still_older_one_is_not() {
        let of = |version: &str| POLICY.replace("fluxcd.io/v1", &format!("fluxcd.io/{version}"));
        assert!(run(&of("v1beta2"), "cases: []").is_ok());
        let error = run(&of("v1beta1"), "cases: []");
        assert!(matches!(error, Err(Error::NotAPolicy { .. })));
    }

    #[test]
    fn another_kind_is_not_a_policy() {
        let other = POLICY.replace("ImagePolicy", "ImageRepository");
        assert!(matches!(
            run(&other, "cases: []"),
            Err(Error::NotAPolicy { .. })
        ));
    }
}
