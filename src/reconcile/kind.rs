//! What the driver needs of a kind, and what a kind does in a pass.
//!
//! [`Kind`] is the bookkeeping that all of Flux's kinds share in spec and status; [`Controller`] is
//! decide, act, report. A controller never writes conditions, finalizers, events or requeues.

use std::fmt::Debug;
use std::sync::Arc;

use kube::Resource;
use kube::core::NamespaceResourceScope;
use kube::core::object::HasStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::report::Report;
use super::store::Change;
use super::{Progress, Timestamp};
use crate::api::{
    Condition, GitRepository, ImagePolicy, ImageRepository, ImageUpdateAutomation, Kustomization,
};

/// A kind that the driver can look after.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: Clone + Default + Debug + Serialize + Send + Sync>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Returns whether the spec says to leave the object alone.
    fn is_suspended(&self) -> bool;
    /// Returns the conditions of the status.
    fn conditions(&self) -> &[Condition];
    /// Returns the generation that was dealt with to its end; -1 before the first one.
    fn observed_generation(&self) -> i64;
    /// Returns the reconcile request that was dealt with.
    fn handled_request(&self) -> Option<&str>;
    /// Puts the shared fields into a status.
    fn keep_books(status: &mut Self::Status, books: Books);
}

/// The fields of the status that all kinds share.
#[derive(Clone, Debug, PartialEq)]
pub struct Books {
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// The generation that was dealt with to its end.
    pub observed_generation: i64,
    /// The reconcile request that was dealt with.
    pub handled_request: Option<String>,
}

/// The status of an object of a controller.
pub type StatusOf<K> = <K as HasStatus>::Status;

/// What `decide` came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision<P, S> {
    /// There is something to do.
    Act(P),
    /// There is nothing to do, and this is why.
    Report(Report<S>),
}

/// Decide, act, report: one kind.
pub trait Controller: Send + Sync + 'static {
    /// The kind.
    type Object: Kind;
    /// What to do.
    type Plan: Send;
    /// What came of it.
    type Done: Send;

    /// The field manager and the source of events, as in Flux.
    const MANAGER: &'static str;
    /// The types of the conditions that this kind has beside Ready, Reconciling and Stalled.
    const ASPECTS: &'static [&'static str] = &[];

    /// Decides from the object and from what is in memory. Pure: no clock, no input, no output.
    fn decide(
        &self,
        object: &Self::Object,
        now: Timestamp,
    ) -> Decision<Self::Plan, StatusOf<Self::Object>>;

    /// Does what was decided, with tools. Fails into its result, never by a panic.
    fn act(
        &self,
        object: &Arc<Self::Object>,
        plan: Self::Plan,
        progress: &Progress,
    ) -> impl Future<Output = Self::Done> + Send;

    /// Says what it came to. Pure.
    fn report(
        &self,
        object: &Self::Object,
        done: Self::Done,
        now: Timestamp,
    ) -> Report<StatusOf<Self::Object>>;

    /// Cleans up after an object that is being deleted. Fails with the reason why it cannot yet.
    fn finalize(
        &self,
        object: &Arc<Self::Object>,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// Wakes others after a change of an object.
    fn changed(&self, change: &Change<Self::Object>);
}

macro_rules! kinds {
    ($($kind:ident),+) => {$(
        impl Kind for $kind {
            fn is_suspended(&self) -> bool {
                self.spec.suspend
            }
            fn conditions(&self) -> &[Condition] {
                self.status.as_ref().map_or(&[], |status| &status.conditions)
            }
            fn observed_generation(&self) -> i64 {
                let status = self.status.as_ref();
                status.and_then(|status| status.observed_generation).unwrap_or(-1)
            }
            fn handled_request(&self) -> Option<&str> {
                self.status.as_ref()?.last_handled_reconcile_at.as_deref()
            }
            fn keep_books(status: &mut Self::Status, books: Books) {
                status.conditions = books.conditions;
                status.observed_generation = Some(books.observed_generation);
                status.last_handled_reconcile_at = books.handled_request;
            }
        }
    )+};
}

kinds!(
    ImageRepository,
    ImagePolicy,
    ImageUpdateAutomation,
    GitRepository,
    Kustomization
);
