//! The loop: watches, turns, and the end.
//!
//! In: controllers with their stores and wakes. For each kind one task watches and one gives turns;
//! passes run beside each other up to a bound. No pass starts before every kind has been listed once,
//! so that nothing is missed because it was not read yet. Polls nothing.

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, Shared, join_all};
use futures::{FutureExt, StreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::delay::Jitter;
use super::events::Recorder;
use super::kind::Controller;
use super::pass::{Desk, Ending, panic_text};
use super::passes::Passes;
use super::queue::Next;
use super::report::{Interval, Outcome, Retry};
use super::store::Store;
use super::{Clock, Error, Key, Wake};

/// Most passes of one kind at a time. They mostly wait for others, so it is not a number of cores.
const PASSES_MAX: usize = 16;
/// How long passes may go on after the end was asked for; the whole end stays below ten seconds.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(8);
/// How long the last events may take.
const EVENTS_GRACE: Duration = Duration::from_secs(1);

type Listed = Shared<BoxFuture<'static, ()>>;
type Run = Box<
    dyn FnOnce(Recorder, Listed, CancellationToken) -> BoxFuture<'static, Result<(), Error>> + Send,
>;

/// Looks after kinds.
pub struct Driver {
    client: Client,
    clock: Clock,
    jitter: Jitter,
    passes: Passes,
    listed: Vec<BoxFuture<'static, ()>>,
    runs: Vec<Run>,
}

impl Driver {
    /// Returns a driver with no kinds yet.
    pub fn new(client: Client, clock: Clock, jitter: Jitter) -> Self {
        Self {
            client,
            clock,
            jitter,
            passes: Passes::default(),
            listed: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Returns the same driver, which counts its passes here.
    #[must_use]
    pub fn counting(self, passes: Passes) -> Self {
        Self { passes, ..self }
    }

    /// Adds a kind: its controller, the store that its objects go into, and what wakes them.
    pub fn add<C: Controller>(&mut self, controller: C, store: Arc<Store<C::Object>>, wake: Wake) {
        let (client, clock, jitter) = (self.client.clone(), self.clock.clone(), self.jitter);
        let (objects, passes) = (store.clone(), self.passes.clone());
        self.listed
            .push(async move { objects.completed().await }.boxed());
        self.runs.push(Box::new(move |events, listed, shutdown| {
            let desk = Arc::new(Desk {
                controller: Arc::new(controller),
                store,
                wake,
                client,
                clock,
                events,
                passes,
            });
            run_kind(desk, jitter, listed, shutdown).boxed()
        }));
    }

    /// Runs until `shutdown`, and then at most ten seconds more. Fails when a kind's task ends by itself.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let listed = join_all(self.listed).map(|_| ()).boxed().shared();
        let (events, write_events) = Recorder::new(self.client, self.clock);
        let write_events = tokio::spawn(write_events);
        // One kind that ends early ends all: half a river is worse than a restart.
        let all = shutdown.child_token();
        let mut kinds = JoinSet::new();
        for run in self.runs {
            kinds.spawn(run(events.clone(), listed.clone(), all.clone()));
        }
        drop(events);
        let mut result = Ok(());
        while let Some(ended) = kinds.join_next().await {
            let ended = ended.unwrap_or_else(|error| Err(Error::Task(error)));
            if result.is_ok() {
                result = ended;
            }
            all.cancel();
        }
        if tokio::time::timeout(EVENTS_GRACE, write_events)
            .await
            .is_err()
        {
            warn!("Some events were not written before the end.");
        }
        result
    }
}

async fn run_kind<C: Controller>(
    desk: Arc<Desk<C>>,
    jitter: Jitter,
    listed: Listed,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let mut watch = tokio::spawn(watch(desk.clone(), shutdown.clone()));
    let turns = give_turns(desk, jitter, listed, shutdown.clone());
    let mut turns = pin!(turns);
    tokio::select! {
        () = &mut turns => {
            watch.abort();
            Ok(())
        }
        ended = &mut watch => {
            if !shutdown.is_cancelled() {
                return Err(ended.map_or_else(Error::Task, |()| Error::WatchEnded));
            }
            turns.await;
            Ok(())
        }
    }
}

/// Keeps the store as the server has it.
async fn watch<C: Controller>(desk: Arc<Desk<C>>, shutdown: CancellationToken) {
    let kind = C::Object::kind(&());
    let api = Api::all(desk.client.clone());
    let mut events = pin!(watcher(api, watcher::Config::default()).default_backoff());
    let mut list = Vec::new();
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            None => return,
            Some(Err(error)) => warn!(%kind, %error, "A watch was interrupted; it is tried again."),
            Some(Ok(watcher::Event::Init)) => list.clear(),
            Some(Ok(watcher::Event::InitApply(object))) => list.push(object),
            Some(Ok(watcher::Event::InitDone)) => {
                debug!(%kind, n_objects = list.len(), "Listed.");
                for change in desk.store.replace(std::mem::take(&mut list)) {
                    desk.changed(&change);
                }
            }
            Some(Ok(watcher::Event::Apply(object))) => {
                if let Some(change) = desk.store.put(object) {
                    desk.changed(&change);
                }
            }
            Some(Ok(watcher::Event::Delete(object))) => {
                if let Some(change) = desk.store.remove(&Key::of(&object)) {
                    desk.changed(&change);
                }
            }
        }
    }
}

/// Gives objects their turns until the end, and waits for passes that are under way.
async fn give_turns<C: Controller>(
    desk: Arc<Desk<C>>,
    jitter: Jitter,
    listed: Listed,
    shutdown: CancellationToken,
) {
    tokio::select! {
        () = shutdown.cancelled() => return,
        () = listed => {}
    }
    let mut passes: JoinSet<()> = JoinSet::new();
    loop {
        while passes.len() < PASSES_MAX {
            let Some((key, superseded)) = desk.wake.queue().take(Instant::now()) else {
                break;
            };
            passes.spawn(turn(desk.clone(), key, superseded, jitter));
        }
        let is_full = passes.len() >= PASSES_MAX;
        let due = desk.wake.queue().next_due();
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = desk.wake.rung() => {}
            () = until(due), if !is_full => {}
            // A turn catches panics itself and puts its object back.
            Some(_) = passes.join_next() => {}
        }
    }
    let finished = async { while passes.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_GRACE, finished)
        .await
        .is_err()
    {
        let kind = C::Object::kind(&());
        warn!(%kind, "Gave up passes that did not end in time; they are made again at the next start.");
    }
    passes.shutdown().await;
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => pending().await,
    }
}

async fn turn<C: Controller>(
    desk: Arc<Desk<C>>,
    key: Key,
    superseded: CancellationToken,
    jitter: Jitter,
) {
    let kind = C::Object::kind(&());
    desk.passes.count(&kind);
    let ending = AssertUnwindSafe(desk.pass(&key, superseded))
        .catch_unwind()
        .await;
    let mut queue = desk.wake.queue();
    let next = match ending {
        Ok(Ok(Ending::Idle)) => None,
        Ok(Ok(Ending::Reported(Outcome::Failed {
            retry: Retry::Backoff,
            ..
        }))) => Some(jitter.backoff(queue.failed(&key), &key)),
        Ok(Ok(Ending::Reported(outcome))) => {
            queue.succeeded(&key);
            let turn = queue.turns(&key);
            wait_after(&outcome, |interval| jitter.interval(interval, &key, turn))
        }
        Ok(Err(error)) => {
            warn!(%kind, %key, %error, "A pass could not be brought to its end.");
            Some(jitter.backoff(queue.failed(&key), &key))
        }
        Err(panic) => {
            let panic = panic_text(panic.as_ref());
            error!(%kind, %key, panic, "A pass panicked.");
            Some(jitter.backoff(queue.failed(&key), &key))
        }
    };
    let now = Instant::now();
    queue.done(
        &key,
        now,
        next.map_or(Next::Woken, |wait| Next::At(now + wait)),
    );
}

/// Returns how long to wait after an outcome that is not backed off from; nothing for a wake only.
fn wait_after(outcome: &Outcome, jitter: impl Fn(Duration) -> Duration) -> Option<Duration> {
    match outcome {
        Outcome::Ready { next, .. } => match next {
            Interval::Exactly(interval) => Some(*interval),
            Interval::Jittered(interval) => Some(jitter(*interval)),
            Interval::Woken => None,
        },
        Outcome::Stalled { .. } => None,
        Outcome::Waiting { retry, .. } | Outcome::Progressing { retry, .. } => Some(*retry),
        Outcome::Failed { retry, .. } => match retry {
            Retry::After(wait) => Some(*wait),
            Retry::Backoff => None,
        },
    }
}
