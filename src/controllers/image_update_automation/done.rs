//! What came of a plan, and Flux's status and events for it.
//!
//! Pure; texts as Flux writes them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::super::{Failure, ready_note};
use super::plan::Plan;
use super::rewritten::Rewritten;
use crate::api::{ImageUpdateAutomation, ImageUpdateAutomationStatus, reasons};
use crate::git::ObjectId;
use crate::reconcile::{Interval, Note, Outcome, Report, Timestamp};

/// What Ready says when there is nothing to do, and after a push as well.
pub(super) const UP_TO_DATE: &str = "repository up-to-date";
/// How many digits of a commit an event shows.
const SHORT_COMMIT: usize = 7;

/// What came of a plan.
pub(in crate::controllers) struct Done {
    pub plan: Plan,
    pub result: Result<Ran, Failure>,
    /// Markers without effect that were not told yet.
    pub ineffective: Vec<String>,
}

/// A run that ended well.
pub(in crate::controllers) struct Ran {
    pub run: Run,
    /// What became of the branch, if it lost commits since the last run.
    pub rewritten: Option<Rewritten>,
}

/// How a run ended.
pub(in crate::controllers) enum Run {
    /// Neither the policies nor the remote have changed.
    Skipped,
    /// Nothing to write at this revision.
    Unchanged { revision: String },
    /// A commit that landed.
    Pushed {
        commit: ObjectId,
        /// Its message, as the template made it.
        message: String,
        /// What is checked out now.
        revision: String,
    },
}

/// Returns the status and the events of what came of a plan.
pub(super) fn report(
    object: &ImageUpdateAutomation,
    done: Done,
    now: Timestamp,
) -> Report<ImageUpdateAutomationStatus> {
    let Done {
        plan,
        result,
        ineffective,
    } = done;
    let ineffective = (!ineffective.is_empty())
        .then(|| Note::warning(reasons::MARKER_WITHOUT_EFFECT, ineffective.join("\n")));
    let mut status = object.status.clone().unwrap_or_default();
    status.last_automation_run_time = Some(Time(plan.started));
    let Ran { run, rewritten } = match result {
        Ok(ran) => ran,
        Err(failure) => {
            let mut report = Report::new(status, failure.into());
            report.notes.extend(ineffective);
            return report;
        }
    };
    let ready = ready_note(object, reasons::SUCCEEDED, UP_TO_DATE);
    let note = match run {
        Run::Skipped => ready,
        Run::Unchanged { revision } => {
            status.observed_policies = plan.policies.chosen.clone();
            status.observed_source_revision = Some(revision);
            ready
        }
        Run::Pushed {
            commit,
            message,
            revision,
        } => {
            status.observed_policies = plan.policies.chosen.clone();
            status.observed_source_revision = Some(revision);
            status.last_push_commit = Some(commit.to_string());
            status.last_push_time = Some(Time(now));
            Some(push_note(&commit.to_string(), &plan, &message))
        }
    };
    let outcome = Outcome::Ready {
        reason: reasons::SUCCEEDED,
        message: UP_TO_DATE.to_owned(),
        next: Interval::Exactly(plan.interval),
    };
    let mut report = Report::new(status, outcome);
    report.notes.extend(
        rewritten.map(|rewritten| Note::warning(reasons::BRANCH_REWRITTEN, rewritten.text())),
    );
    report.notes.extend(note);
    report.notes.extend(ineffective);
    report
}

fn push_note(commit: &str, plan: &Plan, message: &str) -> Note {
    let short = commit.get(..SHORT_COMMIT).unwrap_or(commit);
    let mut text = format!("pushed commit '{short}' to branch '{}'", plan.route.branch);
    if let Some(refspec) = &plan.route.refspec {
        text += &format!(" and refspecs '{}'", refspec.text);
    }
    if !message.is_empty() {
        text += &format!("\n{message}");
    }
    Note::normal(reasons::SUCCEEDED, text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixtures::{NOW, automation, planned};
    use super::*;

    #[test]
    fn a_push_is_told_with_the_whole_message() {
        let object = automation(json!({}), json!({}));
        let plan = planned(json!({}), json!({}), json!({"ref": {"branch": "main"}}));
        let id = "b59a33ac2ab4d6a0c6b8c0c2e1f7b9c0d5e4f3a2";
        let run = Run::Pushed {
            commit: ObjectId::from_hex(id.as_bytes()).unwrap(),
            message: "Update app\n\nto 1.0.0".to_owned(),
            revision: format!("main@sha1:{id}"),
        };
        let done = Done {
            plan,
            result: Ok(Ran {
                run,
                rewritten: None,
            }),
            ineffective: Vec::new(),
        };
        let report = report(&object, done, NOW.parse().unwrap());
        assert_eq!(
            report.notes[0].message,
            "pushed commit 'b59a33a' to branch 'main'\nUpdate app\n\nto 1.0.0"
        );
        let status = serde_json::to_value(&report.status).unwrap();
        assert_eq!(status["lastPushCommit"], id);
        assert_eq!(status["observedSourceRevision"], format!("main@sha1:{id}"));
        assert_eq!(status["observedPolicies"]["app"]["tag"], "1.0.0");
        let Outcome::Ready { message, .. } = report.outcome else {
            panic!("not ready");
        };
        assert_eq!(message, UP_TO_DATE);
    }
}
