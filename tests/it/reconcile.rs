//! The driver on the embedded API: what it writes, what it leaves alone, and that one object's
//! trouble is not another's. `controllers` has the tests of each kind.

mod access;
mod controllers;
mod downgrade;
mod git_access;
mod quiet;
pub mod stage;

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use apiserver::Server;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Event;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use towpath::api::annotations::{FINALIZER, REQUESTED_AT};
use towpath::api::{ImageRepository, ImageRepositoryStatus, reasons};
use towpath::reconcile::{
    Change, Clock, Controller, Decision, Driver, Interval, Jitter, Key, Outcome, Progress, Report,
    Store, Timestamp, Wake,
};

use stage::{NAMESPACE, cluster, from, lines, says, within};

/// Does what an object's image says: `ready`, `fail`, `stall`, `panic` or `slow`.
#[derive(Clone, Default)]
struct Obedient {
    n_passes: Arc<AtomicUsize>,
    n_finalized: Arc<AtomicUsize>,
    /// What `slow` waits for.
    release: Arc<Notify>,
    changes: Arc<Mutex<Vec<Key>>>,
}

impl Controller for Obedient {
    type Object = ImageRepository;
    type Plan = String;
    type Done = Outcome;
    const MANAGER: &'static str = "obedient-controller";

    fn decide(
        &self,
        object: &ImageRepository,
        _: Timestamp,
    ) -> Decision<String, ImageRepositoryStatus> {
        self.n_passes.fetch_add(1, Ordering::SeqCst);
        Decision::Act(object.spec.image.clone())
    }

    async fn act(&self, _: &Arc<ImageRepository>, plan: String, progress: &Progress) -> Outcome {
        match plan.as_str() {
            "fail" => Outcome::failed(reasons::FAILED, "told to fail"),
            "stall" => Outcome::stalled(reasons::IMAGE_URL_INVALID, "told to stall"),
            "panic" => panic!("told to panic"),
            "slow" => {
                progress.step("being slow");
                self.release.notified().await;
                ready("slow and ready")
            }
            _ => ready("told to be ready"),
        }
    }

    fn report(
        &self,
        object: &ImageRepository,
        outcome: Outcome,
        _: Timestamp,
    ) -> Report<ImageRepositoryStatus> {
        Report::new(object.status.clone().unwrap_or_default(), outcome)
    }

    async fn finalize(&self, _: &Arc<ImageRepository>) -> Result<(), String> {
        self.n_finalized.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn changed(&self, change: &Change<ImageRepository>) {
        let mut changes = self.changes.lock().expect("because no test panics in it");
        changes.push(change.key.clone());
    }
}

fn ready(message: &str) -> Outcome {
    Outcome::Ready {
        reason: reasons::SUCCEEDED,
        message: message.to_owned(),
        next: Interval::Woken,
    }
}

/// An embedded API with a driver on it.
struct World {
    _server: Server,
    client: Client,
    objects: Api<ImageRepository>,
    controller: Obedient,
    shutdown: CancellationToken,
    driver: tokio::task::JoinHandle<Result<(), towpath::reconcile::Error>>,
}

impl World {
    async fn new() -> Self {
        let (server, client) = cluster().await;
        let controller = Obedient::default();
        let shutdown = CancellationToken::new();
        let mut driver = Driver::new(client.clone(), Clock::system(), Jitter::new(1));
        driver.add(
            controller.clone(),
            Arc::new(Store::default()),
            Wake::default(),
        );
        Self {
            _server: server,
            objects: Api::namespaced(client.clone(), NAMESPACE),
            client,
            controller,
            driver: tokio::spawn(driver.run(shutdown.clone())),
            shutdown,
        }
    }

    async fn create(&self, name: &str, image: &str) {
        let object: ImageRepository = from(json!({
            "metadata": {"name": name},
            "spec": {"image": image, "interval": "1h"},
        }));
        let created = self.objects.create(&PostParams::default(), &object).await;
        created.expect("the object is taken");
    }

    async fn patch(&self, name: &str, patch: Value) {
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = self.objects.patch(name, &parameters, &patch);
        patched.await.expect("the patch is taken");
    }

    /// Waits until the object is as asked, and returns it.
    async fn until(
        &self,
        name: &str,
        is_so: impl Fn(&ImageRepository) -> bool + Send,
    ) -> ImageRepository {
        let is_so = |object: Option<&ImageRepository>| object.is_some_and(&is_so);
        let object = within(await_condition(self.objects.clone(), name, is_so)).await;
        object
            .expect("the watch goes on")
            .expect("because the condition asks for an object")
    }

    async fn end(self) {
        self.shutdown.cancel();
        let ended = within(self.driver)
            .await
            .expect("the driver does not panic");
        ended.expect("the driver ends in peace");
    }
}

#[tokio::test]
async fn a_new_object_gets_its_finalizer_and_its_status_in_one_pass() {
    let world = World::new().await;
    world.create("a", "ready").await;
    let object = world
        .until("a", |object| says(object, "told to be ready"))
        .await;
    assert_eq!(object.finalizers(), [FINALIZER]);
    assert_eq!(lines(&object), ["Ready=True Succeeded: told to be ready"]);
    let status = object.status.as_ref().expect("because it is ready");
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(object.metadata.generation, Some(1));
    let managers: Vec<_> = object
        .managed_fields()
        .iter()
        .filter(|entry| entry.subresource.as_deref() == Some("status"))
        .filter_map(|entry| entry.manager.as_deref())
        .collect();
    assert_eq!(managers, [Obedient::MANAGER]);
    assert_eq!(world.controller.n_passes.load(Ordering::SeqCst), 1);
    world.end().await;
}

#[tokio::test]
async fn a_request_is_answered_and_conditions_stand_still() {
    let world = World::new().await;
    world.create("a", "ready").await;
    let before = world
        .until("a", |object| says(object, "told to be ready"))
        .await;
    let request = json!({"metadata": {"annotations": {REQUESTED_AT: "now"}}});
    world.patch("a", request).await;
    let handled = |object: &ImageRepository| {
        let status = object.status.as_ref();
        status.and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some("now")
    };
    let after = world.until("a", handled).await;
    assert_eq!(world.controller.n_passes.load(Ordering::SeqCst), 2);
    assert_eq!(lines(&before), lines(&after));
    world.patch("a", json!({"spec": {"interval": "2h"}})).await;
    let observed = |object: &ImageRepository| {
        object.status.as_ref().and_then(|s| s.observed_generation) == Some(2)
    };
    let object = world.until("a", observed).await;
    assert_eq!(world.controller.n_passes.load(Ordering::SeqCst), 3);
    assert_eq!(object.metadata.generation, Some(2));
    world.end().await;
}

#[tokio::test]
async fn a_panic_is_its_own_objects_failure_only() {
    let world = World::new().await;
    world.create("bad", "panic").await;
    world.create("good", "ready").await;
    let bad = world.until("bad", |object| says(object, "panicked")).await;
    assert_eq!(
        lines(&bad),
        [
            "Reconciling=True ProgressingWithRetry: processing object: new generation -1 -> 1",
            "Ready=False Failed: reconciliation panicked: told to panic"
        ]
    );
    world
        .until("good", |object| says(object, "told to be ready"))
        .await;
    world.end().await;
}

#[tokio::test]
async fn a_stall_is_told_and_ends_with_the_next_generation() {
    let world = World::new().await;
    world.create("a", "stall").await;
    let object = world
        .until("a", |object| says(object, "told to stall"))
        .await;
    assert_eq!(
        lines(&object),
        [
            "Stalled=True ImageURLInvalid: told to stall",
            "Ready=False ImageURLInvalid: told to stall"
        ]
    );
    let events: Api<Event> = Api::namespaced(world.client.clone(), NAMESPACE);
    let mut events = pin!(watcher(events, watcher::Config::default()).applied_objects());
    let event = within(events.next()).await.expect("the watch goes on");
    let event = event.expect("the watch is taken");
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    assert_eq!(event.reason.as_deref(), Some("ImageURLInvalid"));
    assert_eq!(event.message.as_deref(), Some("told to stall"));
    assert_eq!(
        event.involved_object.kind.as_deref(),
        Some("ImageRepository")
    );
    assert_eq!(event.involved_object.name.as_deref(), Some("a"));
    world.patch("a", json!({"spec": {"image": "ready"}})).await;
    let object = world
        .until("a", |object| says(object, "told to be ready"))
        .await;
    assert_eq!(lines(&object).len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_suspended_object_is_left_alone_but_its_request_is_answered() {
    let world = World::new().await;
    world.create("a", "ready").await;
    world
        .until("a", |object| says(object, "told to be ready"))
        .await;
    let patch = json!({
        "metadata": {"annotations": {REQUESTED_AT: "then"}},
        "spec": {"suspend": true, "image": "fail"},
    });
    world.patch("a", patch).await;
    let handled = |object: &ImageRepository| {
        let status = object.status.as_ref();
        status.and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some("then")
    };
    let object = world.until("a", handled).await;
    assert_eq!(lines(&object), ["Ready=True Succeeded: told to be ready"]);
    assert_eq!(world.controller.n_passes.load(Ordering::SeqCst), 1);
    world.end().await;
}

#[tokio::test]
async fn a_deleted_object_goes_after_its_controller_cleaned_up() {
    let world = World::new().await;
    world.create("a", "ready").await;
    let object = world
        .until("a", |object| says(object, "told to be ready"))
        .await;
    let uid = object.uid().expect("because the server gives it one");
    let deleted = world.objects.delete("a", &DeleteParams::default()).await;
    deleted.expect("the deletion is taken");
    let gone = conditions::is_deleted(&uid);
    within(await_condition(world.objects.clone(), "a", gone))
        .await
        .expect("the object goes");
    assert_eq!(world.controller.n_finalized.load(Ordering::SeqCst), 1);
    world.end().await;
}

#[tokio::test]
async fn a_long_pass_shows_its_step_and_the_end_waits_for_it() {
    let world = World::new().await;
    world.create("a", "slow").await;
    let object = world.until("a", |object| says(object, "being slow")).await;
    assert_eq!(
        lines(&object),
        [
            "Reconciling=True Progressing: being slow",
            "Ready=Unknown Progressing: being slow"
        ]
    );
    world.shutdown.cancel();
    world.controller.release.notify_one();
    let objects = world.objects.clone();
    world.end().await;
    let object = objects.get("a").await.expect("it is there");
    assert_eq!(lines(&object), ["Ready=True Succeeded: slow and ready"]);
}
