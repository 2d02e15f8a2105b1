//! The order of the result: as accumulated, or by kind as old kustomize printed it.

use std::cmp::Ordering;

use crate::error::Error;
use crate::id::Id;
use crate::kustomization::SortOptions;
use crate::resource::Resource;

const FIRST: &[&str] = &[
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

const LAST: &[&str] = &[
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// How the result is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As the objects were accumulated.
    #[default]
    Fifo,
    /// Kinds that others need first, webhooks last, the rest by group, kind and name.
    Legacy,
}

/// Returns where the default order puts a kind.
pub(crate) fn default_rank(kind: &str) -> i64 {
    rank(kind, FIRST, LAST)
}

fn rank(kind: &str, first: &[&str], last: &[&str]) -> i64 {
    let signed = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    if let Some(at) = last.iter().rposition(|k| *k == kind) {
        return 1 + signed(at);
    }
    match first.iter().rposition(|k| *k == kind) {
        Some(at) => signed(at) - signed(first.len()),
        None => 0,
    }
}

/// Fails when the options of a kustomization file contradict each other.
pub(crate) fn check(options: &SortOptions) -> Result<Order, Error> {
    match (options.order.as_str(), &options.legacy) {
        ("fifo", None) => Ok(Order::Fifo),
        ("fifo", Some(_)) => Err(Error::invalid(
            "the field 'sortOptions.legacySortOptions' is set but the selected sort order is 'fifo', not 'legacy'",
        )),
        ("legacy", _) => Ok(Order::Legacy),
        _ => Err(Error::invalid(
            "the field 'sortOptions.order' must be one of [fifo, legacy]",
        )),
    }
}

/// Sorts the objects in the legacy order.
pub(crate) fn sort_legacy(list: &mut Vec<Resource>, options: Option<&SortOptions>) {
    let custom = options.and_then(|options| options.legacy.as_ref());
    let texts = |texts: &'_ Vec<String>| -> Vec<String> { texts.clone() };
    let (first, last) = match custom {
        Some(custom) => (texts(&custom.order_first), texts(&custom.order_last)),
        None => (
            FIRST.iter().map(|kind| (*kind).to_owned()).collect(),
            LAST.iter().map(|kind| (*kind).to_owned()).collect(),
        ),
    };
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let last: Vec<&str> = last.iter().map(String::as_str).collect();
    let mut keyed: Vec<(SortKey, Resource)> = std::mem::take(list)
        .into_iter()
        .map(|resource| {
            let id = resource.id();
            let key = SortKey {
                rank: rank(&id.gvk.kind, &first, &last),
                gvk: id.gvk.sort_text(),
                id: legacy_id(&id),
                is_core_namespace: id.gvk.kind == "Namespace" && id.gvk.group.is_empty(),
                is_namespace: id.gvk.kind == "Namespace",
            };
            (key, resource)
        })
        .collect();
    keyed.sort_by(|(a, _), (b, _)| a.compare(b));
    *list = keyed.into_iter().map(|(_, resource)| resource).collect();
}

struct SortKey {
    rank: i64,
    gvk: String,
    id: String,
    is_core_namespace: bool,
    is_namespace: bool,
}

impl SortKey {
    fn compare(&self, other: &Self) -> Ordering {
        let by_gvk = self.gvk.cmp(&other.gvk);
        // Namespaces of the core group stand before those of other groups.
        let core = self.is_core_namespace || other.is_core_namespace;
        let reversed = self.is_namespace && other.is_namespace && core;
        let by_gvk = if reversed { by_gvk.reverse() } else { by_gvk };
        self.rank
            .cmp(&other.rank)
            .then(by_gvk)
            .then_with(|| self.id.cmp(&other.id))
    }
}

fn legacy_id(id: &Id) -> String {
    let part = |text: &'_ str, empty: &'static str| -> String {
        if text.is_empty() {
            empty.into()
        } else {
            text.into()
        }
    };
    format!(
        "{}|{}|{}",
        id.gvk,
        part(&id.namespace, "~X"),
        part(&id.name, "~N")
    )
}
