//! What an automation makes of a policy's choice: that it writes it, or what keeps it from that.
//!
//! In: the report of a look through its tree. Out: a [`Verdict`], which reads as a clause about the
//! automation, and what helps. Pure.

use std::fmt;

use crate::reconcile::Key;
use crate::update::{Report, SettersError};

/// How many places a text names.
const PLACES_MAX: usize = 3;

/// What an automation makes of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It writes policies of its own namespace only.
    OtherNamespace,
    /// Its spec says to leave it alone.
    Suspended,
    /// Its selector leaves the policy out.
    NotSelected {
        /// The selector.
        wants: String,
    },
    /// The policy's status has another choice yet.
    Behind {
        /// What it has.
        served: Option<String>,
        /// What its Ready condition says, when it is not ready.
        why: Option<String>,
    },
    /// It cannot run as its spec or its source is.
    Blocked {
        /// Why, as its Ready condition would say.
        message: String,
    },
    /// Its tree could not be read.
    Unread {
        /// Why.
        message: String,
    },
    /// No marker in its tree names the policy.
    NoMarker,
    /// Markers that name the policy have no effect.
    NoEffect {
        /// Their places and the reasons.
        markers: Vec<String>,
    },
    /// All values are what they should be.
    Current {
        /// How many.
        n_values: usize,
    },
    /// There is something to write, and the last run failed.
    Failed {
        /// What its Ready condition says.
        message: String,
    },
    /// Its next run writes the choice.
    Due {
        /// Where.
        places: Vec<String>,
    },
}

impl Verdict {
    /// Returns the code of what decided.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherNamespace => "OTHER_NAMESPACE",
            Self::Suspended => "SUSPENDED",
            Self::NotSelected { .. } => "NOT_SELECTED",
            Self::Behind { .. } => "BEHIND",
            Self::Blocked { .. } => "BLOCKED",
            Self::Unread { .. } => "UNREAD",
            Self::NoMarker => "NO_MARKER",
            Self::NoEffect { .. } => "NO_EFFECT",
            Self::Current { .. } => "CURRENT",
            Self::Failed { .. } => "FAILED",
            Self::Due { .. } => "DUE",
        }
    }

    /// Returns whether the choice is written, or will be by itself.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Current { .. } | Self::Due { .. })
    }

    /// Returns what helps a policy against this, if anything is known to.
    pub fn advice(&self, policy: &Key) -> Option<String> {
        let Key { namespace, name } = policy;
        Some(match self {
            Self::OtherNamespace => {
                format!("put an ImageUpdateAutomation into the namespace {namespace}")
            }
            Self::Suspended => "`flux resume image update` lets it go on".to_owned(),
            Self::NotSelected { wants } => format!("label the policy {wants}, or select it"),
            Self::Behind { .. } => {
                "`flux reconcile image repository` scans at once; a policy waits for it".to_owned()
            }
            Self::NoMarker => format!(
                "put # {{\"$imagepolicy\": \"{namespace}:{name}\"}} behind the value; `towpath lint \
                 --fix` does it"
            ),
            Self::NoEffect { .. } => "`towpath lint` says what is wrong with a marker".to_owned(),
            Self::Blocked { .. }
            | Self::Unread { .. }
            | Self::Current { .. }
            | Self::Failed { .. }
            | Self::Due { .. } => return None,
        })
    }

    /// Returns what a look through a tree for the markers of one policy comes to. `failure` is what
    /// the last run failed with.
    pub(super) fn of(report: &Report, policy: &Key, failure: Option<String>) -> Self {
        let (mut places, mut without) = (Vec::new(), Vec::new());
        for file in &report.files {
            let changes = file.objects.iter().flat_map(|object| &object.changes);
            places.extend(changes.map(|change| format!("{}:{}", file.path, change.line)));
            let markers = (file.ineffective.iter()).filter(|told| names(&told.marker, policy));
            let markers = markers.map(|told| (told.line, told.reason.to_string()));
            let broken = file.problems.iter().map(|p| (p.line, p.reason.clone()));
            let told = markers.chain(broken);
            without.extend(told.map(|(line, why)| format!("{}:{line}: {why}", file.path)));
        }
        match (places.is_empty(), report.n_current, failure) {
            (false, _, Some(message)) => Self::Failed { message },
            (false, _, None) => Self::Due { places },
            (true, 0, _) if without.is_empty() => Self::NoMarker,
            (true, 0, _) => Self::NoEffect { markers: without },
            (true, n_values, _) => Self::Current { n_values },
        }
    }

    /// Returns the verdict on a choice that is no image.
    pub(super) fn no_image(error: &SettersError) -> Self {
        Self::Blocked {
            message: error.to_string(),
        }
    }
}

/// Returns whether a comment speaks of a policy.
fn names(marker: &str, policy: &Key) -> bool {
    let name = format!("{}:{}", policy.namespace, policy.name);
    let mut behind = marker.match_indices(&name);
    behind.any(|(at, _)| {
        let next = marker[at + name.len()..].chars().next();
        next.is_none_or(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.'))
    })
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherNamespace => f.write_str("writes policies of its own namespace alone"),
            Self::Suspended => f.write_str("is suspended"),
            Self::NotSelected { wants } => write!(f, "selects policies with {wants}"),
            Self::Behind { served, why } => {
                let served = served.as_deref().unwrap_or("no choice");
                write!(f, "knows the policy with {served}")?;
                match why {
                    Some(why) => write!(f, ": {why}"),
                    None => Ok(()),
                }
            }
            Self::Blocked { message } => write!(f, "cannot run: {message}"),
            Self::Unread { message } => write!(f, "could not be looked through: {message}"),
            Self::NoMarker => f.write_str("has no marker that names the policy"),
            Self::NoEffect { markers } => write!(f, "has no marker with effect: {}", few(markers)),
            Self::Current { n_values: 1 } => f.write_str("has it: 1 value is current"),
            Self::Current { n_values } => write!(f, "has it: {n_values} values are current"),
            Self::Failed { message } => write!(f, "failed to write it: {message}"),
            Self::Due { places } => write!(f, "writes it at its next run: {}", few(places)),
        }
    }
}

fn few(places: &[String]) -> String {
    let shown = places.iter().take(PLACES_MAX).cloned().collect::<Vec<_>>();
    match places.len().saturating_sub(PLACES_MAX) {
        0 => shown.join(", "),
        n_more => format!("{} and {n_more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use super::*;
    use crate::api::ImageRef;
    use crate::safe::SafePath;
    use crate::update::{self, Files, Kind, PolicyChoice, Setters};

    /// Files of one folder.
    struct Flat(BTreeMap<&'static str, &'static str>);

    impl Files for Flat {
        type Error = Infallible;

        fn kind(&self, _: &SafePath) -> Result<Option<Kind>, Infallible> {
            Ok(Some(Kind::Folder))
        }

        fn entries(&self, _: &SafePath) -> Result<Vec<(String, Kind)>, Infallible> {
            let names = self.0.keys().map(|name| ((*name).to_owned(), Kind::File));
            Ok(names.collect())
        }

        fn read(&self, file: &SafePath) -> Result<Vec<u8>, Infallible> {
            Ok(self.0[file.as_str()].as_bytes().to_vec())
        }

        fn target(&self, _: &SafePath) -> Result<String, Infallible> {
            Ok(String::new())
        }
    }

    /// Returns what a tree makes of the tag 2.0.0 of `apps:app`.
    fn verdict_on(files: &[&'static str], failure: Option<&str>) -> Verdict {
        let names = ["0.yaml", "1.yaml", "2.yaml"];
        let tree = Flat(names.into_iter().zip(files.iter().copied()).collect());
        let policy = Key::new("apps", "app");
        let latest = ImageRef {
            name: "r.io/app".to_owned(),
            tag: "2.0.0".to_owned(),
            digest: None,
        };
        let choice = PolicyChoice {
            namespace: &policy.namespace,
            name: &policy.name,
            latest: &latest,
        };
        let report = update::run(&tree, "", &Setters::new([choice]).unwrap()).unwrap();
        Verdict::of(&report, &policy, failure.map(str::to_owned))
    }

    #[test]
    fn a_tree_says_what_becomes_of_a_choice() {
        let old = "a: 1.0.0 # {\"$imagepolicy\": \"apps:app:tag\"}\n";
        let new = "a: 2.0.0 # {\"$imagepolicy\": \"apps:app:tag\"}\n";
        let other = "a: 1.0.0 # {\"$imagepolicy\": \"apps:app-2:tag\"}\n";
        let typo = "a: 1.0.0 # {\"$imagepolicy\": \"apps:app:Tag\"}\n";
        let broken = "a: [ # {\"$imagepolicy\": \"apps:app:tag\"}\n";
        let four = "a: 1 # {\"$imagepolicy\": \"apps:app\"}\nb: 1 # {\"$imagepolicy\": \"apps:app\"}\n\
                    c: 1 # {\"$imagepolicy\": \"apps:app\"}\nd: 1 # {\"$imagepolicy\": \"apps:app\"}\n";
        for (files, failure, code, text) in [
            (
                &["a: 1\n", other][..],
                None,
                "NO_MARKER",
                "has no marker that names the policy",
            ),
            (
                &[old, new],
                None,
                "DUE",
                "writes it at its next run: 0.yaml:1",
            ),
            (
                &[four],
                None,
                "DUE",
                "writes it at its next run: 0.yaml:1, 0.yaml:2, 0.yaml:3 and 1 more",
            ),
            (&[old], Some("no"), "FAILED", "failed to write it: no"),
            (
                &[new, other],
                Some("no"),
                "CURRENT",
                "has it: 1 value is current",
            ),
            (
                &[new, new, typo],
                None,
                "CURRENT",
                "has it: 2 values are current",
            ),
            (
                &[other, typo],
                None,
                "NO_EFFECT",
                "has no marker with effect: 1.yaml:1: \"apps:app:Tag\" is not namespace:policy, \
                 namespace:policy:name, …:tag or …:digest",
            ),
            (
                &[broken],
                None,
                "NO_EFFECT",
                "has no marker with effect: 0.yaml:",
            ),
        ] {
            let verdict = verdict_on(files, failure);
            assert_eq!(verdict.code(), code, "{files:?}");
            assert!(verdict.to_string().starts_with(text), "{verdict}");
        }
    }

    #[test]
    fn a_comment_speaks_of_a_policy_whose_name_is_whole() {
        let policy = Key::new("apps", "app");
        for (marker, want) in [
            ("# {\"$imagepolicy\": \"apps:app\"}", true),
            ("# {\"$imagepolicy\": \"apps:app:Tag\"}", true),
            ("# {'$imagepolicy': 'apps:app'", true),
            ("# {\"$imagepolicy\": \"apps:app-2\"}", false),
            ("# {\"$imagepolicy\": \"apps:apple\"}", false),
        ] {
            assert_eq!(names(marker, &policy), want, "{marker}");
        }
    }
}
