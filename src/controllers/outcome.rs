//! Outcomes that several kinds have in common.
//!
//! Pure; texts as Flux writes them.

use std::time::Duration;

use crate::api::conditions::READY;
use crate::api::{ConditionStatus, reasons};
use crate::reconcile::{Kind, Note, Outcome, Report, Retry};

/// An action that went wrong, for the condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub reason: &'static str,
    pub message: String,
    pub stalls: bool,
}

/// Returns a failure that may go away by itself.
pub(super) fn failed(reason: &'static str, message: impl Into<String>) -> Failure {
    Failure {
        reason,
        message: message.into(),
        stalls: false,
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        let Failure {
            reason,
            message,
            stalls,
        } = failure;
        if stalls {
            return Self::Stalled { reason, message };
        }
        Self::Failed {
            reason,
            message,
            retry: Retry::Backoff,
        }
    }
}

/// Returns the stall of an object whose spec asks for what this version does not do.
pub(super) fn not_supported<S>(status: S, field: &str) -> Report<S> {
    let message = format!("{field} is not supported yet");
    Report::new(status, Outcome::stalled(reasons::NOT_SUPPORTED, message))
}

/// Reads a duration of a spec. Fails with the field and Go's words.
pub(super) fn duration(field: &str, text: &str) -> Result<Duration, String> {
    let duration = crate::duration::Duration::parse(text);
    let duration = duration.map_err(|error| format!("{field}: {error}"))?;
    Ok(duration.as_std())
}

/// Returns the event of an object that has become ready, or is ready with something new to say.
pub(super) fn ready_note<K: Kind>(object: &K, reason: &str, message: &str) -> Option<Note> {
    let ready = object.conditions().iter().find(|c| c.type_ == READY);
    let is_said = ready
        .is_some_and(|ready| ready.status == ConditionStatus::True && ready.message == message);
    (!is_said).then(|| Note::normal(reason, message))
}
