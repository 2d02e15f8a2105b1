//! The order of the result: as accumulated, or by kind as old kustomize printed it.

use std::cmp::Ordering;

use crate::error::Error;
use crate::id::or;
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
    let (first, last) = match custom {
        Some(custom) => (
            custom.order_first.iter().map(String::as_str).collect(),
            custom.order_last.iter().map(String::as_str).collect(),
        ),
        None => (FIRST.to_vec(), LAST.to_vec()),
    };
    let mut keys: Vec<(SortKey, usize)> = list
        .iter()
        .enumerate()
        .map(|(at, resource)| (SortKey::new(resource, &first, &last), at))
        .collect();
    keys.sort_by(|(a, _), (b, _)| a.compare(b));
    let mut waiting: Vec<Option<Resource>> = std::mem::take(list).into_iter().map(Some).collect();
    let sorted = keys.into_iter().filter_map(|(_, at)| waiting[at].take());
    *list = sorted.collect();
}

struct SortKey {
    rank: i64,
    gvk: String,
    id: String,
    is_core_namespace: bool,
    is_namespace: bool,
}

impl SortKey {
    fn new(resource: &Resource, first: &[&str], last: &[&str]) -> Self {
        let gvk = resource.borrowed_gvk();
        let is_namespace = gvk.kind == "Namespace";
        Self {
            rank: rank(gvk.kind, first, last),
            gvk: gvk.sort_text(),
            id: legacy_id(resource),
            is_core_namespace: is_namespace && gvk.group.is_empty(),
            is_namespace,
        }
    }

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

/// Returns the text that orders objects of one kind.
fn legacy_id(resource: &Resource) -> String {
    [or(resource.namespace(), "~X"), or(resource.name(), "~N")].join("|")
}
