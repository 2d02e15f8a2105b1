//! Waits until objects are healthy, by watching them: no poll, and no request for what is healthy
//! already.
//!
//! Targets come in; nothing or the list of those that are not healthy goes out, in Flux's words.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{SelectAll, select_all};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Cluster, Error, Health, HealthStatus, ObjectRef, health};

/// How many targets are read at the same time before the watch begins.
const CONCURRENT: usize = 8;

/// One object to wait for.
#[derive(Debug, Clone)]
pub struct Target {
    /// The object.
    pub object: ObjectRef,
    /// Whether its absence is health: a Job that removes itself when it is done.
    pub may_vanish: bool,
}

/// How long to wait, and for what.
#[derive(Debug, Clone, Copy)]
pub struct WaitOptions {
    /// The longest wait.
    pub timeout: Duration,
    /// Whether one failed object ends the wait.
    pub fail_fast: bool,
}

impl From<ObjectRef> for Target {
    fn from(object: ObjectRef) -> Self {
        Self {
            object,
            may_vanish: false,
        }
    }
}

/// Waits until every target is healthy. Fails when one has failed, when the time is over, or when
/// `cancel` is cancelled.
pub async fn wait(
    cluster: &Cluster,
    targets: Vec<Target>,
    options: WaitOptions,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let mut states = Vec::with_capacity(targets.len());
    let reads = targets.into_iter().map(|target| read(cluster, target));
    let mut reads = stream::iter(reads).buffered(CONCURRENT);
    while let Some(state) = reads.try_next().await? {
        states.push(state);
    }
    let mut board = Board::new(states);
    if let Some(verdict) = board.verdict(options.fail_fast) {
        return verdict;
    }
    let mut events = watch(cluster, &board).await?;
    let deadline = tokio::time::sleep(options.timeout);
    tokio::pin!(deadline);
    loop {
        let event = tokio::select! {
            () = cancel.cancelled() => return Err(Error::Cancelled),
            () = &mut deadline => return Err(board.timeout()),
            event = events.next() => event,
        };
        match event {
            Some((object, verdict)) => board.set(object, verdict),
            None => return Err(board.timeout()),
        }
        if let Some(verdict) = board.verdict(options.fail_fast) {
            return verdict;
        }
    }
}

type State = (Target, Health);

async fn read(cluster: &Cluster, target: Target) -> Result<State, Error> {
    let live = match cluster.get(&target.object).await {
        Err(Error::NoMatch { .. }) => None,
        other => other?,
    };
    let verdict = live.map_or_else(|| absent(&target), |live| health(&live));
    Ok((target, verdict))
}

fn absent(target: &Target) -> Health {
    let status = if target.may_vanish {
        HealthStatus::Current
    } else {
        HealthStatus::NotFound
    };
    Health {
        status,
        message: "Resource not found".to_owned(),
    }
}

/// The verdicts so far, in the order of the targets.
struct Board {
    states: Vec<State>,
    places: BTreeMap<ObjectRef, usize>,
}

impl Board {
    fn new(states: Vec<State>) -> Self {
        let objects = states.iter().map(|(target, _)| target.object.clone());
        let places = objects
            .enumerate()
            .map(|(place, object)| (object, place))
            .collect();
        Self { states, places }
    }

    fn set(&mut self, object: ObjectRef, verdict: Option<Health>) {
        let Some(place) = self.places.get(&object) else {
            return;
        };
        let (target, state) = &mut self.states[*place];
        *state = verdict.unwrap_or_else(|| absent(target));
    }

    /// Returns the end of the wait, or nothing while it goes on.
    fn verdict(&self, fail_fast: bool) -> Option<Result<(), Error>> {
        let is = |status| move |(_, health): &&State| health.status == status;
        let current = self.states.iter().filter(is(HealthStatus::Current)).count();
        let failed = self.states.iter().filter(is(HealthStatus::Failed)).count();
        if current == self.states.len() {
            return Some(Ok(()));
        }
        let over = failed > 0 && (fail_fast || current + failed == self.states.len());
        over.then(|| {
            Err(Error::Stalled(
                self.list(|status| status == HealthStatus::Failed),
            ))
        })
    }

    fn timeout(&self) -> Error {
        Error::Timeout(self.list(|status| status != HealthStatus::Current))
    }

    fn list(&self, listed: impl Fn(HealthStatus) -> bool) -> String {
        let states = self
            .states
            .iter()
            .filter(|(_, health)| listed(health.status));
        let lines: Vec<_> = states
            .map(|(target, health)| {
                let line = format!("{} status: '{}'", target.object, health.status.as_str());
                match health.message.as_str() {
                    "" => line,
                    message => format!("{line}: {message}"),
                }
            })
            .collect();
        lines.join(", ")
    }
}

type Verdicts = SelectAll<stream::BoxStream<'static, (ObjectRef, Option<Health>)>>;

/// Watches the targets that are not healthy yet: one watch for each kind and namespace.
async fn watch(cluster: &Cluster, board: &Board) -> Result<Verdicts, Error> {
    let mut groups: BTreeMap<(String, String, String, String), Vec<ObjectRef>> = BTreeMap::new();
    let pending = board
        .states
        .iter()
        .filter(|(_, h)| h.status != HealthStatus::Current);
    for (target, _) in pending {
        let ObjectRef {
            group,
            version,
            kind,
            namespace,
            ..
        } = target.object.clone();
        let group = groups.entry((group, version, kind, namespace)).or_default();
        group.push(target.object.clone());
    }
    let mut streams = Vec::new();
    for objects in groups.into_values() {
        let Some(first) = objects.first() else {
            continue;
        };
        let served = cluster.served(first).await?;
        let api = cluster.api::<DynamicObject>(&served, &first.namespace);
        let mut config = watcher::Config::default();
        if let [only] = objects.as_slice() {
            config = config.fields(&format!("metadata.name={}", only.name));
        }
        let model = first.clone();
        let events = watcher::watcher(api, config).filter_map(move |event| {
            let verdict = match event {
                Ok(Event::Apply(found) | Event::InitApply(found)) => {
                    let name = found.metadata.name.clone().unwrap_or_default();
                    serde_json::to_value(&found)
                        .ok()
                        .map(|live| (name, Some(judge(&model, live))))
                }
                Ok(Event::Delete(found)) => found.metadata.name.map(|name| (name, None)),
                Ok(Event::Init | Event::InitDone) | Err(_) => None,
            };
            let model = model.clone();
            async move { verdict.map(|(name, health)| (ObjectRef { name, ..model }, health)) }
        });
        streams.push(events.boxed());
    }
    Ok(select_all(streams))
}

/// Watched objects may come without apiVersion and kind, which the rules need.
fn judge(model: &ObjectRef, mut live: Value) -> Health {
    live["apiVersion"] = Value::String(model.api_version());
    live["kind"] = Value::String(model.kind.clone());
    health(&live)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, status: HealthStatus) -> State {
        let object = ObjectRef {
            group: "apps".into(),
            version: "v1".into(),
            kind: "Deployment".into(),
            namespace: "a".into(),
            name: name.into(),
        };
        (
            Target::from(object),
            Health {
                status,
                message: String::new(),
            },
        )
    }

    #[test]
    fn texts_are_those_of_flux() {
        let board = Board::new(vec![
            state("x", HealthStatus::Current),
            state("y", HealthStatus::InProgress),
            state("z", HealthStatus::Failed),
        ]);
        let want = "timeout waiting for: [Deployment/a/y status: 'InProgress', \
            Deployment/a/z status: 'Failed']";
        assert_eq!(board.timeout().to_string(), want);
        let stalled = board.verdict(true).unwrap().unwrap_err().to_string();
        let want = "failed early due to stalled resources: [Deployment/a/z status: 'Failed']";
        assert_eq!(stalled, want);
        assert!(board.verdict(false).is_none());
    }

    #[test]
    fn an_empty_wait_is_over_at_once() {
        assert!(Board::new(Vec::new()).verdict(true).unwrap().is_ok());
    }
}
