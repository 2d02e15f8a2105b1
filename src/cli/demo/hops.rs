//! The hops of an image's way, each seen by watch, with its time.

use std::time::Duration;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// How long a hop may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A hop that is awaited.
pub struct Awaited {
    name: &'static str,
    seen: AbortOnDropHandle<anyhow::Result<Instant>>,
}

/// A hop that happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hop {
    /// Its name.
    pub name: &'static str,
    /// When it was done.
    pub at: Instant,
}

/// Begins to await a hop: the moment at which `reached` first holds for the object. What comes before
/// the watch began counts too.
pub fn expect<K>(
    name: &'static str,
    api: Api<K>,
    object: &str,
    reached: impl Fn(&K) -> bool + Send + 'static,
) -> Awaited
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={object}"));
    let seen = tokio::spawn(async move {
        let mut objects = watcher(api, config)
            .default_backoff()
            .applied_objects()
            .boxed();
        while let Some(object) = objects.try_next().await? {
            if reached(&object) {
                return Ok(Instant::now());
            }
        }
        anyhow::bail!("the watch ended")
    });
    Awaited {
        name,
        seen: AbortOnDropHandle::new(seen),
    }
}

impl Awaited {
    /// Waits for the hop. Fails with its name when it does not happen within 30 seconds.
    pub async fn done(self) -> anyhow::Result<Hop> {
        let name = self.name;
        let seen = tokio::time::timeout(PATIENCE, self.seen).await;
        let seen = seen.with_context(|| format!("hop {name:?} did not happen in 30 s"))?;
        let at = seen
            .context("the watch was lost")?
            .with_context(|| format!("hop {name:?}"))?;
        Ok(Hop { name, at })
    }
}

/// Returns the rows of a table: each hop with its own time and the time since `began`.
pub fn rows(began: Instant, hops: &[Hop]) -> Vec<Vec<String>> {
    let mut last = began;
    let mut rows = Vec::with_capacity(hops.len());
    for hop in hops {
        let own = hop.at.saturating_duration_since(last);
        let total = hop.at.saturating_duration_since(began);
        rows.push(vec![
            hop.name.to_owned(),
            milliseconds(own),
            milliseconds(total),
        ]);
        last = last.max(hop.at);
    }
    rows
}

/// Returns a duration in milliseconds, with one digit behind the point.
pub fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
