//! Conditions and the status, from what a pass came to.
//!
//! In: the object's conditions, an outcome, the generation, the time. Out: the conditions in Flux's
//! shape and order, and the smallest merge patch. Pure; foreign conditions stay as they are.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value};

use super::Timestamp;
use super::report::{Aspect, Outcome};
use crate::api::conditions::{CONDITION_MESSAGE_BYTES_MAX, READY, RECONCILING, STALLED};
use crate::api::{Condition, ConditionStatus, reasons};
use crate::safe::printable_lines;

/// What is said when nothing more is known than that work goes on.
pub const IN_PROGRESS: &str = "reconciliation in progress";
/// What is put at the end of a message that is too long.
const ELLIPSIS: &str = "...";

/// A pass, as its conditions see it.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// The generation that the pass worked on.
    pub generation: i64,
    /// The generation that was dealt with before; -1 for none.
    pub observed_generation: i64,
    /// The last step that was said to be going on.
    pub step: Option<&'a str>,
    /// The time.
    pub now: Timestamp,
    /// The condition types of the kind beside the usual three.
    pub aspects: &'static [&'static str],
}

impl Pass<'_> {
    /// Returns what a pass says that it does.
    pub fn step(&self) -> String {
        match self.step {
            Some(step) => step.to_owned(),
            None if self.generation != self.observed_generation => format!(
                "processing object: new generation {} -> {}",
                self.observed_generation, self.generation
            ),
            None => IN_PROGRESS.to_owned(),
        }
    }
}

/// Returns the conditions of an object whose pass goes on.
pub fn working(before: &[Condition], pass: &Pass<'_>) -> Vec<Condition> {
    let mut conditions = Conditions::new(before, pass);
    let step = pass.step();
    conditions.remove(STALLED);
    conditions.set(
        RECONCILING,
        ConditionStatus::True,
        reasons::PROGRESSING,
        &step,
    );
    let is_known = before
        .iter()
        .any(|condition| condition.type_ == READY && condition.status != ConditionStatus::Unknown);
    if !is_known {
        conditions.set(READY, ConditionStatus::Unknown, reasons::PROGRESSING, &step);
    }
    conditions.finish()
}

/// Returns the conditions of an object whose pass ended.
pub fn ended(
    before: &[Condition],
    outcome: &Outcome,
    aspects: &[Aspect],
    pass: &Pass<'_>,
) -> Vec<Condition> {
    let mut conditions = Conditions::new(before, pass);
    match outcome {
        Outcome::Ready {
            reason, message, ..
        } => {
            conditions.remove(RECONCILING);
            conditions.remove(STALLED);
            conditions.set(READY, ConditionStatus::True, reason, message);
        }
        Outcome::Stalled { reason, message } => {
            conditions.remove(RECONCILING);
            conditions.set(STALLED, ConditionStatus::True, reason, message);
            conditions.set(READY, ConditionStatus::False, reason, message);
        }
        Outcome::Waiting {
            reason, message, ..
        }
        | Outcome::Failed {
            reason, message, ..
        } => {
            conditions.remove(STALLED);
            conditions.set(
                RECONCILING,
                ConditionStatus::True,
                reasons::PROGRESSING_WITH_RETRY,
                &pass.step(),
            );
            conditions.set(READY, ConditionStatus::False, reason, message);
        }
        Outcome::Progressing { step, .. } => {
            conditions.remove(STALLED);
            conditions.set(
                RECONCILING,
                ConditionStatus::True,
                reasons::PROGRESSING,
                step,
            );
            conditions.set(
                READY,
                ConditionStatus::Unknown,
                reasons::PROGRESSING,
                "Reconciliation in progress",
            );
        }
    }
    for type_ in pass.aspects {
        match aspects.iter().find(|aspect| aspect.type_ == *type_) {
            Some(aspect) => conditions.set(type_, aspect.status, &aspect.reason, &aspect.message),
            None => conditions.remove(type_),
        }
    }
    conditions.finish()
}

/// Returns the generation that has been dealt with to its end after an outcome.
pub fn observed_generation(outcome: &Outcome, pass: &Pass<'_>) -> i64 {
    match outcome {
        Outcome::Ready { .. } | Outcome::Stalled { .. } => pass.generation,
        _ => pass.observed_generation,
    }
}

/// Returns the merge patch that makes `new` of `old`; nothing when they are equal.
pub fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut patch = Map::new();
            for key in old.keys().filter(|key| !new.contains_key(*key)) {
                patch.insert(key.clone(), Value::Null);
            }
            for (key, new) in new {
                let old = old.get(key).unwrap_or(&Value::Null);
                if let Some(part) = merge_patch(old, new) {
                    patch.insert(key.clone(), part);
                }
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        _ if old == new => None,
        _ => Some(new.clone()),
    }
}

struct Conditions<'a> {
    before: &'a [Condition],
    conditions: Vec<Condition>,
    generation: i64,
    now: Time,
}

impl<'a> Conditions<'a> {
    fn new(before: &'a [Condition], pass: &Pass<'_>) -> Self {
        Self {
            before,
            conditions: before.to_vec(),
            generation: pass.generation,
            now: Time(pass.now),
        }
    }

    fn remove(&mut self, type_: &str) {
        self.conditions.retain(|condition| condition.type_ != type_);
    }

    fn set(&mut self, type_: &str, status: ConditionStatus, reason: &str, message: &str) {
        let mut condition = Condition {
            type_: type_.to_owned(),
            status,
            observed_generation: Some(self.generation),
            last_transition_time: self.now.clone(),
            reason: reason.to_owned(),
            message: truncated(message),
        };
        let before = self.before.iter().find(|before| before.type_ == type_);
        if let Some(before) = before
            && before.status == condition.status
            && before.reason == condition.reason
            && before.message == condition.message
        {
            condition.last_transition_time = before.last_transition_time.clone();
        }
        self.remove(type_);
        self.conditions.push(condition);
    }

    fn finish(mut self) -> Vec<Condition> {
        let place = |condition: &Condition| match condition.type_.as_str() {
            STALLED => 0,
            RECONCILING => 1,
            READY => 2,
            _ => 3,
        };
        self.conditions
            .sort_by(|a, b| (place(a), &a.type_).cmp(&(place(b), &b.type_)));
        self.conditions
    }
}

/// Returns a message that a terminal shows as it is, within its bound.
fn truncated(message: &str) -> String {
    let message = printable_lines(message);
    if message.len() <= CONDITION_MESSAGE_BYTES_MAX {
        return message;
    }
    let end = message.floor_char_boundary(CONDITION_MESSAGE_BYTES_MAX - ELLIPSIS.len());
    format!("{}{ELLIPSIS}", &message[..end])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::reconcile::report::{Interval, Retry};

    const ASPECTS: &[&str] = &["Healthy"];

    fn pass(step: Option<&str>, at_s: i64) -> Pass<'_> {
        Pass {
            generation: 2,
            observed_generation: 1,
            step,
            now: Timestamp::from_second(at_s).unwrap(),
            aspects: ASPECTS,
        }
    }

    fn ready(message: &str) -> Outcome {
        Outcome::Ready {
            reason: reasons::SUCCEEDED,
            message: message.to_owned(),
            next: Interval::Woken,
        }
    }

    /// Renders conditions as one line each, in their order.
    fn lines(conditions: &[Condition]) -> Vec<String> {
        let line = |c: &Condition| {
            format!(
                "{}={:?} {}: {} ({} s)",
                c.type_,
                c.status,
                c.reason,
                c.message,
                c.last_transition_time.0.as_second()
            )
        };
        conditions.iter().map(line).collect()
    }

    #[test]
    fn each_outcome_has_the_conditions_that_flux_gives_it() {
        let failed = ended(
            &[],
            &Outcome::failed(reasons::FAILED, "no route"),
            &[],
            &pass(None, 1),
        );
        assert_eq!(
            lines(&failed),
            [
                "Reconciling=True ProgressingWithRetry: processing object: new generation 1 -> 2 (1 s)",
                "Ready=False Failed: no route (1 s)"
            ]
        );
        let waiting = Outcome::Waiting {
            reason: reasons::DEPENDENCY_NOT_READY,
            message: "no tags".to_owned(),
            retry: Duration::from_secs(30),
        };
        let waiting = ended(&failed, &waiting, &[], &pass(Some("scanning"), 2));
        assert_eq!(
            lines(&waiting),
            [
                "Reconciling=True ProgressingWithRetry: scanning (2 s)",
                "Ready=False DependencyNotReady: no tags (2 s)"
            ]
        );
        let stalled = Outcome::stalled(reasons::INVALID_POLICY, "bad range");
        let stalled = ended(&waiting, &stalled, &[], &pass(None, 3));
        assert_eq!(
            lines(&stalled),
            [
                "Stalled=True InvalidPolicy: bad range (3 s)",
                "Ready=False InvalidPolicy: bad range (3 s)"
            ]
        );
        let good = ended(&stalled, &ready("found 3 tags"), &[], &pass(None, 4));
        assert_eq!(lines(&good), ["Ready=True Succeeded: found 3 tags (4 s)"]);
    }

    #[test]
    fn a_pass_that_takes_long_shows_and_keeps_a_known_ready() {
        let new = working(&[], &pass(None, 1));
        assert_eq!(
            lines(&new),
            [
                "Reconciling=True Progressing: processing object: new generation 1 -> 2 (1 s)",
                "Ready=Unknown Progressing: processing object: new generation 1 -> 2 (1 s)"
            ]
        );
        let good = ended(&new, &ready("ok"), &[], &pass(None, 2));
        let again = working(&good, &pass(Some("cloning"), 3));
        assert_eq!(
            lines(&again),
            [
                "Reconciling=True Progressing: cloning (3 s)",
                "Ready=True Succeeded: ok (2 s)"
            ]
        );
    }

    #[test]
    fn transition_time_moves_with_status_reason_or_message_only() {
        let first = ended(&[], &ready("ok"), &[], &pass(None, 1));
        let same = ended(&first, &ready("ok"), &[], &pass(None, 9));
        assert_eq!(first, same);
        let other = ended(&first, &ready("better"), &[], &pass(None, 9));
        assert_eq!(lines(&other), ["Ready=True Succeeded: better (9 s)"]);
    }

    #[test]
    fn foreign_conditions_stay_and_own_aspects_go_when_not_reported() {
        let foreign = Condition {
            type_: "Audited".to_owned(),
            status: ConditionStatus::True,
            observed_generation: None,
            last_transition_time: Time(Timestamp::from_second(0).unwrap()),
            reason: "Yes".to_owned(),
            message: String::new(),
        };
        let healthy = Aspect {
            type_: "Healthy",
            status: ConditionStatus::True,
            reason: "Succeeded".to_owned(),
            message: "fine".to_owned(),
        };
        let with = ended(&[foreign], &ready("ok"), &[healthy], &pass(None, 1));
        assert_eq!(
            lines(&with),
            [
                "Ready=True Succeeded: ok (1 s)",
                "Audited=True Yes:  (0 s)",
                "Healthy=True Succeeded: fine (1 s)"
            ]
        );
        let without = ended(&with, &ready("ok"), &[], &pass(None, 2));
        assert_eq!(
            lines(&without),
            ["Ready=True Succeeded: ok (1 s)", "Audited=True Yes:  (0 s)"]
        );
    }

    #[test]
    fn generation_is_observed_when_ready_or_stalled_only() {
        let pass = pass(None, 1);
        for (outcome, want) in [
            (ready("ok"), 2),
            (Outcome::stalled("Failed", "no"), 2),
            (Outcome::failed("Failed", "no"), 1),
            (
                Outcome::Failed {
                    reason: "Failed",
                    message: "no".to_owned(),
                    retry: Retry::After(Duration::ZERO),
                },
                1,
            ),
        ] {
            assert_eq!(observed_generation(&outcome, &pass), want, "{outcome:?}");
        }
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let long = "ä".repeat(CONDITION_MESSAGE_BYTES_MAX);
        let conditions = ended(&[], &ready(&long), &[], &pass(None, 1));
        let message = &conditions[0].message;
        assert!(message.len() <= CONDITION_MESSAGE_BYTES_MAX);
        assert!(message.ends_with("ä..."));
    }

    #[test]
    fn a_patch_holds_what_differs_and_nulls_what_is_gone() {
        for (old, new, want) in [
            (json!({"a": 1}), json!({"a": 1}), None),
            (json!(null), json!({"a": 1}), Some(json!({"a": 1}))),
            (
                json!({"a": 1, "b": {"c": 2, "d": 3}}),
                json!({"b": {"c": 2, "e": [1]}}),
                Some(json!({"a": null, "b": {"d": null, "e": [1]}})),
            ),
            (json!([1, 2]), json!([1]), Some(json!([1]))),
        ] {
            assert_eq!(merge_patch(&old, &new), want, "{old} -> {new}");
        }
    }
}
