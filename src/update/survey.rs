//! What a file's markers ask for and what stands there, kept so that the file need not be read again.
//!
//! In: the survey of a file and the setters. Out: the same report as from its bytes, when nothing has to
//! be written; nothing when something has to. Pure.

use serde::{Deserialize, Serialize};

use super::file::{Ineffective, Problem, Rewritten};
use super::marker::{self, KEY};
use super::setters::Setters;

/// Raised whenever the same bytes come to another survey, or other names are candidates: what others
/// have kept of older rules counts no more.
pub const RULES: u32 = 1;

/// A marker that holds a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The name as it is written, such as `flux-system:app:tag`.
    pub name: String,
    /// The value that stands at the marker.
    pub value: String,
    /// The line of the comment, from 1.
    pub line: u32,
    /// The comment.
    pub marker: String,
}

/// What a file's markers ask for, whatever policies have chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Survey {
    /// Markers that hold a name, in the order of the text.
    pub named: Vec<Named>,
    /// Markers that have no effect, whatever policies there are.
    pub ineffective: Vec<Ineffective>,
    /// Documents that are left alone.
    pub problems: Vec<Problem>,
}

impl Survey {
    /// Returns what a rewrite of the file would tell, if it changed nothing; nothing if it would.
    pub fn settled(&self, setters: &Setters) -> Option<Rewritten> {
        let mut told = Rewritten {
            ineffective: self.ineffective.clone(),
            problems: self.problems.clone(),
            ..Rewritten::default()
        };
        for named in &self.named {
            match marker::resolve(&named.name, setters) {
                Ok(marker) if marker.value == named.value => told.n_current += 1,
                Ok(_) => return None,
                // The long form of a marker is passed over in silence, as when it is read.
                Err(_) if !named.marker.contains(KEY) => {}
                Err(reason) => told.ineffective.push(Ineffective {
                    line: named.line,
                    marker: named.marker.clone(),
                    reason,
                }),
            }
        }
        told.ineffective.sort_by_key(|told| told.line);
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PolicyChoice, Setters, rewrite, survey};
    use crate::api::ImageRef;

    fn setters(tag: &str) -> Setters {
        let latest = ImageRef {
            name: "ghcr.io/a/b".to_owned(),
            tag: tag.to_owned(),
            digest: None,
        };
        let choice = PolicyChoice {
            namespace: "ns",
            name: "app",
            latest: &latest,
        };
        Setters::new([choice])
            .unwrap()
            .with_waiting("ns", ["later"].into_iter())
            .with_left_out("ns", ["other"].into_iter())
    }

    #[test]
    fn a_survey_tells_what_a_rewrite_that_changes_nothing_tells() {
        for text in [
            "a: 1.0.0 # {\"$imagepolicy\": \"ns:app:tag\"}\n",
            "a: x # {\"$imagepolicy\": \"ns:nobody\"}\nb: 1.0.0 # {\"$imagepolicy\": \"ns:app:tag\"}\n",
            "a: x # {\"$imagepolicy\": \"ns:other\"}\nb: x # {\"$imagepolicy\": \"ns:later\"}\n",
            "a: x # {\"$imagepolicy\": \"ns:later\"}\n# {\"$imagepolicy\": \"ns:app\"}\nb: 1\n",
            "a: [\n# {\"$imagepolicy\": \"ns:app\"}\n---\nb: x # {\"$imagepolicy\": 1}\n",
        ] {
            let survey = survey(text.as_bytes()).unwrap();
            let rewritten = rewrite(text.as_bytes(), &setters("1.0.0"));
            assert_eq!(rewritten.bytes, None, "{text}");
            assert_eq!(survey.settled(&setters("1.0.0")), Some(rewritten), "{text}");
        }
        let text = "a: 1.0.0 # {\"$imagepolicy\": \"ns:app:tag\"}\n";
        let survey = survey(text.as_bytes()).unwrap();
        assert_eq!(survey.settled(&setters("1.1.0")), None);
    }

    /// Every form of a marker and every reason why one has no effect.
    const ALL_FORMS: &str = concat!(
        "a: 1.0.0 # {\"$imagepolicy\": \"ns:app:tag\"}\n",
        "b: 'x' # {\"$imagepolicy\": \"ns:app\"}\n",
        "c: [p, q] # {\"$imagepolicy\": \"ns:app:name\"}\n",
        "d:\n# {\"$imagepolicy\": \"ns:app:digest\"}\n- sha256:1\n",
        "e: x # {\"$ref\":\"#/definitions/io.k8s.cli.setters.ns:app:tag\"}\n",
        "f: x # {\"$imagepolicy\": 1}\n",
        "g: # {\"$imagepolicy\": \"ns:app\"}\nh: 1\n",
        "h: 2 # {\"$imagepolicy\": \"ns:app\"}\n",
        "i: 'x # {\"$imagepolicy\": \"ns:app\"}'\n",
        "j:\n# {\"$imagepolicy\": \"ns:app\"}\n- x # y\n",
        "k:\n# y\n# {\"$imagepolicy\": \"ns:app\"}\n- x\n",
        "# {\"$imagepolicy\": \"ns:app\"}\nl: &m x\n",
        "---\n- x # {\"$imagepolicy\": \"ns:app\"}\n",
        "---\nm: [ # {\"$imagepolicy\": \"ns:app\"}\n",
        "---\nn: |\n  1.0 # {\"$imagepolicy\": \"ns:app\"}\n",
    );

    #[test]
    fn other_rules_have_another_number() {
        let survey = survey(ALL_FORMS.as_bytes()).unwrap();
        let told = serde_json::to_string_pretty(&survey).unwrap();
        let want = include_str!("../../testdata/update/survey.json");
        let hint =
            format!("raise RULES, then write this into testdata/update/survey.json:\n{told}");
        assert_eq!(
            (super::RULES, told.as_str()),
            (1, want.trim_end()),
            "{hint}"
        );
    }
}
