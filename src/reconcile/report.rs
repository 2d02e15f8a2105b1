//! What a pass over an object came to, in the words that controllers speak.
//!
//! A controller's pure `report` makes these; only the driver turns them into conditions, events,
//! requeues and status writes. Data only.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::{Condition, ConditionStatus};

/// What a pass came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Report<S> {
    /// The kind's own fields of the status. Conditions, generation and request are the driver's.
    pub status: S,
    /// How the pass ended.
    pub outcome: Outcome,
    /// The conditions that the kind has beside Ready, Reconciling and Stalled. Those of
    /// [`Controller::ASPECTS`](super::Controller::ASPECTS) that are not here are removed.
    pub aspects: Vec<Aspect>,
    /// What is told beside the failure, which is always told.
    pub notes: Vec<Note>,
}

/// How a pass ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All is as the spec asks.
    Ready {
        /// The reason of Ready.
        reason: &'static str,
        /// The message of Ready.
        message: String,
        /// When the next pass is due without a wake.
        next: Interval,
    },
    /// Nothing helps until somebody changes the object.
    Stalled {
        /// The reason of Stalled and Ready.
        reason: &'static str,
        /// The message of both.
        message: String,
    },
    /// Another object must act first; its change wakes this one.
    Waiting {
        /// The reason of Ready.
        reason: &'static str,
        /// The message of Ready.
        message: String,
        /// When to look again even if no wake came.
        retry: Duration,
    },
    /// It went wrong and may go right another time.
    Failed {
        /// The reason of Ready.
        reason: &'static str,
        /// The message of Ready.
        message: String,
        /// When to try again.
        retry: Retry,
    },
    /// It goes on; something outside of this pass will wake the object when there is news.
    Progressing {
        /// The message of Reconciling.
        step: String,
        /// When to look again even if no wake came.
        retry: Duration,
    },
}

/// When the next pass after a good one is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// After exactly this long.
    Exactly(Duration),
    /// After about this long.
    Jittered(Duration),
    /// When the object is woken.
    Woken,
}

/// When to try again after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After a wait that doubles with each failure in a row.
    Backoff,
    /// After exactly this long.
    After(Duration),
}

/// A condition beside Ready, Reconciling and Stalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aspect {
    /// Its type.
    pub type_: &'static str,
    /// Its status.
    pub status: ConditionStatus,
    /// Its reason.
    pub reason: String,
    /// Its message.
    pub message: String,
}

/// Something to tell people: an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether it is bad news.
    pub severity: Severity,
    /// Why, in one word.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// Annotations of the event.
    pub metadata: BTreeMap<String, String>,
}

/// Whether an event is bad news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// It is not.
    Normal,
    /// It is.
    Warning,
}

impl Severity {
    /// Returns the type of an event as Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

impl Note {
    /// Returns good news.
    pub fn normal(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Normal,
            reason: reason.into(),
            message: message.into(),
            metadata: BTreeMap::new(),
        }
    }

    /// Returns bad news.
    pub fn warning(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::normal(reason, message)
        }
    }

    /// Adds an annotation.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(name.to_owned(), value.into());
        self
    }
}

impl Outcome {
    /// Returns a failure that is tried again with back-off.
    pub fn failed(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Failed {
            reason,
            message: message.into(),
            retry: Retry::Backoff,
        }
    }

    /// Returns a stall.
    pub fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Stalled {
            reason,
            message: message.into(),
        }
    }
}

impl<S> Report<S> {
    /// Returns a report with nothing beside its outcome.
    pub fn new(status: S, outcome: Outcome) -> Self {
        Self {
            status,
            outcome,
            aspects: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// Returns the conditions of some types as aspects, to be reported again as they are.
pub fn kept_aspects(conditions: &[Condition], types: &[&'static str]) -> Vec<Aspect> {
    let kept = types.iter().filter_map(|type_| {
        let condition = conditions
            .iter()
            .find(|condition| condition.type_ == *type_)?;
        Some(Aspect {
            type_,
            status: condition.status,
            reason: condition.reason.clone(),
            message: condition.message.clone(),
        })
    });
    kept.collect()
}
