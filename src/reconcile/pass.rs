//! One pass over one object: decide, act, report, and the one status write.
//!
//! In: an object's key. Out: how the pass ended, for the schedule. Everything that a controller must
//! not do happens here: finalizer, conditions, status, events. A panic of a controller becomes a
//! failure of its object.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::object::HasStatus;
use kube::core::{ApiResource, DeserializeGuard};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::events::Recorder;
use super::kind::{Books, Controller, Decision, Kind, StatusOf};
use super::passes::Passes;
use super::report::{Note, Outcome, Report};
use super::status::{self, Pass};
use super::store::{Change, Store};
use super::{Clock, Error, Key, Wake};
use crate::api::annotations::{FINALIZER, REQUESTED_AT};
use crate::api::{Condition, reasons};

/// How long a pass may go on before its object says so, and how long until it says so again.
const PROGRESS_AFTER: Duration = Duration::from_millis(500);
/// Most tries of a write that meets a newer object.
const WRITES_MAX: usize = 5;

/// Where an action tells what it is doing, for those who wait.
#[derive(Debug)]
pub struct Progress {
    step: watch::Sender<Option<String>>,
    superseded: CancellationToken,
}

impl Progress {
    pub fn new(superseded: CancellationToken) -> Self {
        Self {
            step: watch::Sender::new(None),
            superseded,
        }
    }

    /// Tells a step. It shows in Reconciling when the pass takes long, or fails in this step.
    pub fn step(&self, step: impl Into<String>) {
        self.step.send_replace(Some(step.into()));
    }

    /// Returns what is cancelled when the object is woken in its pass: whatever the pass only waits
    /// for is no longer worth it, since another pass follows at once.
    pub fn superseded(&self) -> &CancellationToken {
        &self.superseded
    }

    fn last(&self) -> Option<String> {
        self.step.borrow().clone()
    }
}

/// How a pass ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// With a report.
    Reported(Outcome),
    /// There is nothing to do until a wake: suspended, deleted or unreadable.
    Idle,
}

/// One kind: its controller, its objects, and what passes need.
pub(super) struct Desk<C: Controller> {
    pub controller: Arc<C>,
    pub store: Arc<Store<C::Object>>,
    pub wake: Wake,
    pub client: Client,
    pub clock: Clock,
    pub events: Recorder,
    pub passes: Passes,
}

type Guarded<C> = DeserializeGuard<<C as Controller>::Object>;
type ReportOf<C> = Report<StatusOf<<C as Controller>::Object>>;

impl<C: Controller> Desk<C> {
    /// Makes a pass over an object.
    pub async fn pass(&self, key: &Key, superseded: CancellationToken) -> Result<Ending, Error> {
        if let Some(invalid) = self.store.unreadable(key) {
            self.refuse(key, &invalid.error).await?;
            return Ok(Ending::Idle);
        }
        let Some(object) = self.store.get(key) else {
            return Ok(Ending::Idle);
        };
        if object.meta().deletion_timestamp.is_some() {
            self.finalize(key, &object).await?;
            return Ok(Ending::Idle);
        }
        let Some(object) = self.with_finalizer(key, object).await? else {
            return Ok(Ending::Idle);
        };
        if object.is_suspended() {
            self.acknowledge(key, &object).await?;
            return Ok(Ending::Idle);
        }
        let progress = Progress::new(superseded);
        let work = AssertUnwindSafe(self.work(key, &object, &progress));
        let report = match work.catch_unwind().await {
            Ok(report) => report,
            Err(panic) => self.panicked(key, &object, panic.as_ref()),
        };
        self.record(key, &object, &report, &progress).await?;
        self.tell(key, &object, &report);
        Ok(Ending::Reported(report.outcome))
    }

    /// Takes in a change: wakes the object itself when its spec, a request or its end asks for it, and
    /// lets the controller wake others.
    pub fn changed(&self, change: &Change<C::Object>) {
        match &change.new {
            None if self.store.unreadable(&change.key).is_some() => self.wake.wake(&change.key),
            None => self.wake.queue().forget(&change.key),
            Some(new) if asks_for_a_pass(change.old.as_deref(), new) => self.wake.wake(&change.key),
            Some(_) => {}
        }
        self.controller.changed(change);
    }

    async fn work(&self, key: &Key, object: &Arc<C::Object>, progress: &Progress) -> ReportOf<C> {
        let plan = match self.controller.decide(object, self.clock.now()) {
            Decision::Report(report) => return report,
            Decision::Act(plan) => plan,
        };
        let mut act = pin!(self.controller.act(object, plan, progress));
        let mut said = None;
        let mut next = Instant::now() + PROGRESS_AFTER;
        let done = loop {
            tokio::select! {
                biased;
                done = &mut act => break done,
                () = tokio::time::sleep_until(next) => {}
            }
            next = Instant::now() + PROGRESS_AFTER;
            let step = Some(progress.last());
            if said != step {
                said = step;
                self.say(key, object, progress).await;
            }
        };
        self.controller.report(object, done, self.clock.now())
    }

    /// Writes that a pass goes on. That it could not is no reason to give the pass up.
    async fn say(&self, key: &Key, object: &Arc<C::Object>, progress: &Progress) {
        let step = progress.last();
        let written = self.write_status(key, object, |current| {
            let pass = self.pass_of(object, current, step.as_deref());
            let mut status = current.status().cloned().unwrap_or_default();
            let books = Books {
                conditions: status::working(current.conditions(), &pass),
                observed_generation: current.observed_generation(),
                handled_request: current.handled_request().map(str::to_owned),
            };
            C::Object::keep_books(&mut status, books);
            status
        });
        if let Err(error) = written.await {
            warn!(kind = %C::Object::kind(&()), %key, %error, "Could not write progress.");
        }
    }

    async fn record(
        &self,
        key: &Key,
        object: &Arc<C::Object>,
        report: &ReportOf<C>,
        progress: &Progress,
    ) -> Result<(), Error> {
        let step = progress.last();
        let write = self.write_status(key, object, |current| {
            let pass = self.pass_of(object, current, step.as_deref());
            let mut status = report.status.clone();
            let before = current.conditions();
            let books = Books {
                conditions: status::ended(before, &report.outcome, &report.aspects, &pass),
                observed_generation: status::observed_generation(&report.outcome, &pass),
                handled_request: request_of(object.as_ref()),
            };
            C::Object::keep_books(&mut status, books);
            status
        });
        write.await
    }

    fn tell(&self, key: &Key, object: &Arc<C::Object>, report: &ReportOf<C>) {
        let kind = C::Object::kind(&());
        match &report.outcome {
            Outcome::Failed {
                reason, message, ..
            }
            | Outcome::Stalled { reason, message } => {
                warn!(%kind, %key, reason, error = %message, "Reconciliation failed.");
                let note = Note::warning(*reason, message);
                self.events.tell(C::MANAGER, object.as_ref(), note);
            }
            Outcome::Waiting { message, .. } => info!(%kind, %key, %message, "Waiting."),
            Outcome::Ready { message, .. } => info!(%kind, %key, %message, "Reconciled."),
            Outcome::Progressing { step, .. } => info!(%kind, %key, %step, "In progress."),
        }
        for note in &report.notes {
            self.events.tell(C::MANAGER, object.as_ref(), note.clone());
        }
    }

    fn panicked(
        &self,
        key: &Key,
        object: &Arc<C::Object>,
        panic: &(dyn Any + Send),
    ) -> ReportOf<C> {
        let text = panic_text(panic);
        error!(kind = %C::Object::kind(&()), %key, panic = text, "A controller panicked.");
        let status = object.status().cloned().unwrap_or_default();
        let message = format!("reconciliation panicked: {text}");
        let mut report = Report::new(status, Outcome::failed(reasons::FAILED, message));
        report.aspects = super::kept_aspects(object.conditions(), C::ASPECTS);
        report
    }

    fn pass_of<'a>(
        &self,
        object: &C::Object,
        current: &C::Object,
        step: Option<&'a str>,
    ) -> Pass<'a> {
        Pass {
            generation: object.meta().generation.unwrap_or_default(),
            observed_generation: current.observed_generation(),
            step,
            now: self.clock.now(),
            aspects: C::ASPECTS,
        }
    }

    /// Makes sure that the object cannot go before its controller has cleaned up.
    async fn with_finalizer(
        &self,
        key: &Key,
        object: Arc<C::Object>,
    ) -> Result<Option<Arc<C::Object>>, Error> {
        if object.finalizers().iter().any(|name| name == FINALIZER) {
            return Ok(Some(object));
        }
        self.write_finalizers(key, object, |finalizers| {
            if !finalizers.iter().any(|name| name == FINALIZER) {
                finalizers.push(FINALIZER.to_owned());
            }
        })
        .await?;
        // The write's answer is in the store; an object that went meanwhile is not.
        let object = self.store.get(key);
        Ok(object.filter(|object| object.meta().deletion_timestamp.is_none()))
    }

    async fn finalize(&self, key: &Key, object: &Arc<C::Object>) -> Result<(), Error> {
        if !object.finalizers().iter().any(|name| name == FINALIZER) {
            return Ok(());
        }
        if let Err(message) = self.controller.finalize(object).await {
            let note = Note::warning(reasons::FAILED, &message);
            self.events.tell(C::MANAGER, object.as_ref(), note);
            return Err(Error::Finalize { message });
        }
        self.write_finalizers(key, object.clone(), |finalizers| {
            finalizers.retain(|name| name != FINALIZER);
        })
        .await
    }

    /// Tells that a suspended object's request was seen.
    async fn acknowledge(&self, key: &Key, object: &Arc<C::Object>) -> Result<(), Error> {
        let write = self.write_status(key, object, |current| {
            let mut status = current.status().cloned().unwrap_or_default();
            let books = Books {
                conditions: current.conditions().to_vec(),
                observed_generation: current.observed_generation(),
                handled_request: request_of(object.as_ref())
                    .or_else(|| current.handled_request().map(str::to_owned)),
            };
            C::Object::keep_books(&mut status, books);
            status
        });
        write.await
    }

    /// Stalls an object that does not read as its kind.
    async fn refuse(&self, key: &Key, why: &str) -> Result<(), Error> {
        let kind = C::Object::kind(&());
        warn!(%kind, %key, error = why, "An object does not read as its kind.");
        let resource = ApiResource::erase::<C::Object>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &key.namespace, &resource);
        let act = "read the object";
        let Some(object) = api.get_opt(&key.name).await.map_err(Error::kube(act))? else {
            return Ok(());
        };
        let old = object.data.get("status").cloned().unwrap_or_default();
        let before: Vec<Condition> = old
            .get("conditions")
            .and_then(|conditions| serde_json::from_value(conditions.clone()).ok())
            .unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        let pass = Pass {
            generation,
            observed_generation: generation,
            step: None,
            now: self.clock.now(),
            aspects: &[],
        };
        let outcome = Outcome::stalled(reasons::INVALID_OBJECT, why);
        let mut new = old.clone();
        new["conditions"] = json!(status::ended(&before, &outcome, &[], &pass));
        new["observedGeneration"] = json!(generation);
        let Some(patch) = status::merge_patch(&old, &new) else {
            return Ok(());
        };
        let patch = Patch::Merge(json!({"status": patch}));
        let written = api
            .patch_status(&key.name, &parameters::<C>(), &patch)
            .await;
        written.map(drop).map_err(Error::kube("write the status"))
    }

    /// Writes the status that `make` makes of the newest object, if it differs.
    async fn write_status(
        &self,
        key: &Key,
        object: &Arc<C::Object>,
        make: impl Fn(&C::Object) -> StatusOf<C::Object>,
    ) -> Result<(), Error> {
        let mut current = self.store.get(key).unwrap_or_else(|| object.clone());
        for _ in 0..WRITES_MAX {
            if current.uid() != object.uid() {
                // Another object of the same name; what is reported is not about it.
                return Ok(());
            }
            let old = status_value::<C>(current.status());
            let new = status_value::<C>(Some(&make(&current)));
            let Some(patch) = status::merge_patch(&old, &new) else {
                return Ok(());
            };
            let patch = json!({
                "metadata": {"resourceVersion": current.resource_version()},
                "status": patch,
            });
            let api = self.api(key);
            let patch = Patch::Merge(patch);
            match api
                .patch_status(&key.name, &parameters::<C>(), &patch)
                .await
            {
                Ok(answer) => {
                    self.take_in(answer);
                    return Ok(());
                }
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(Error::kube("write the status")(error)),
            }
            let Some(newest) = self.newest(key).await? else {
                return Ok(());
            };
            current = newest;
        }
        Err(Error::Conflict)
    }

    async fn write_finalizers(
        &self,
        key: &Key,
        mut object: Arc<C::Object>,
        edit: impl Fn(&mut Vec<String>),
    ) -> Result<(), Error> {
        for _ in 0..WRITES_MAX {
            let mut finalizers = object.finalizers().to_vec();
            edit(&mut finalizers);
            let patch = Patch::Merge(json!({"metadata": {
                "resourceVersion": object.resource_version(),
                "finalizers": finalizers,
            }}));
            let api = self.api(key);
            match api.patch(&key.name, &parameters::<C>(), &patch).await {
                Ok(answer) => {
                    self.take_in(answer);
                    return Ok(());
                }
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(Error::kube("write the finalizers")(error)),
            }
            let Some(newest) = self.newest(key).await? else {
                return Ok(());
            };
            if newest.meta().deletion_timestamp != object.meta().deletion_timestamp {
                return Ok(());
            }
            object = newest;
        }
        Err(Error::Conflict)
    }

    /// Reads an object anew, after a write met a newer one.
    async fn newest(&self, key: &Key) -> Result<Option<Arc<C::Object>>, Error> {
        let read = self.api(key).get_opt(&key.name).await;
        let Some(object) = read.map_err(Error::kube("read the object"))? else {
            return Ok(None);
        };
        self.take_in(object.clone());
        Ok(object.0.ok().map(Arc::new))
    }

    fn take_in(&self, answer: Guarded<C>) {
        if let Some(change) = self.store.update(answer) {
            self.changed(&change);
        }
    }

    fn api(&self, key: &Key) -> Api<Guarded<C>> {
        Api::namespaced(self.client.clone(), &key.namespace)
    }
}

fn status_value<C: Controller>(status: Option<&StatusOf<C::Object>>) -> Value {
    serde_json::to_value(status).expect("because a status is plain data with text keys")
}

fn parameters<C: Controller>() -> PatchParams {
    PatchParams {
        field_manager: Some(C::MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

fn request_of<K: Kind>(object: &K) -> Option<String> {
    let request = object.annotations().get(REQUESTED_AT).cloned();
    request.or_else(|| object.handled_request().map(str::to_owned))
}

/// Returns whether a change of an object is one that its own kind acts on. A status is not.
fn asks_for_a_pass<K: Kind>(old: Option<&K>, new: &K) -> bool {
    let Some(old) = old else {
        return true;
    };
    old.meta().generation != new.meta().generation
        || old.meta().deletion_timestamp != new.meta().deletion_timestamp
        || old.uid() != new.uid()
        || old.annotations().get(REQUESTED_AT) != new.annotations().get(REQUESTED_AT)
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
