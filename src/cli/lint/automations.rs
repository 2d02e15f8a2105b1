//! The ImageUpdateAutomations that manifests hold: which policies they write.
//!
//! In: manifests. Out: why none of them writes what a policy chose, and what helps. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::policies::Key;
use crate::api::LabelSelector;
use crate::controllers::selector;

/// What is known of automations.
#[derive(Default)]
pub(super) struct Automations(BTreeMap<Key, Selector>);

/// Which policies of its namespace an automation writes.
enum Selector {
    Everything,
    Labels(LabelSelector),
    /// It is none, and why.
    Wrong(String),
}

/// Why no automation writes a policy, and what helps.
pub(super) struct Unwritten {
    pub message: String,
    pub hint: String,
}

impl Automations {
    /// Adds an automation.
    pub(super) fn add(&mut self, key: Key, spec: &Value) {
        let selector = match &spec["policySelector"] {
            Value::Null => Selector::Everything,
            given => match serde_json::from_value(given.clone()) {
                Err(error) => Selector::Wrong(error.to_string()),
                Ok(given) => match selector::check(&given) {
                    Ok(()) => Selector::Labels(given),
                    Err(error) => Selector::Wrong(error),
                },
            },
        };
        self.0.insert(key, selector);
    }

    /// Returns why none writes a policy; nothing when one does, or when there is none at all.
    pub(super) fn why_none(
        &self,
        (namespace, name): &Key,
        labels: &BTreeMap<String, String>,
    ) -> Option<Unwritten> {
        if self.0.is_empty() {
            return None;
        }
        let own: Vec<_> = (self.0.iter())
            .filter(|(key, _)| key.0 == *namespace)
            .collect();
        if own.is_empty() {
            return Some(Unwritten {
                message: format!(
                    "no ImageUpdateAutomation is in the namespace of policy \"{namespace}:{name}\""
                ),
                hint: format!(
                    "an automation writes policies of its own namespace: put one into {namespace:?}"
                ),
            });
        }
        let takes = |selector: &Selector| match selector {
            Selector::Everything => true,
            Selector::Labels(wanted) => selector::selects(Some(wanted), Some(labels)),
            Selector::Wrong(_) => false,
        };
        if own.iter().any(|(_, selector)| takes(selector)) {
            return None;
        }
        let why = own.iter().map(|((namespace, name), selector)| {
            let why = match selector {
                Selector::Labels(wanted) => format!("wants {}", selector::text(wanted)),
                Selector::Wrong(error) => format!("is none: {error}"),
                Selector::Everything => String::new(),
            };
            format!("the policySelector of {namespace}/{name} {why}")
        });
        Some(Unwritten {
            message: format!("no ImageUpdateAutomation selects policy \"{namespace}:{name}\""),
            hint: why.collect::<Vec<_>>().join("; "),
        })
    }
}
