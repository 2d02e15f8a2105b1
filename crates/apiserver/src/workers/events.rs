//! Events expire: an hour after the last time they happened they are removed.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::api::Api;
use crate::store::{Change, Key, Scope};

/// The resource of Events.
const EVENTS: &str = "/events";
/// How long an event is kept.
const LIFE: TimeDelta = TimeDelta::hours(1);
/// How often the events are looked through.
const PERIOD: Duration = Duration::from_secs(60);

/// Removes expired events until the server stops.
pub(crate) async fn run(api: Arc<Api>) {
    loop {
        tokio::select! {
            () = api.stop.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => expire(&api).await,
        }
    }
}

/// Removes the events that have expired.
async fn expire(api: &Api) {
    let oldest = api.now() - LIFE;
    let mut removals = Vec::new();
    for entry in api.store.list(EVENTS, &Scope::default()).entries {
        let object = entry.value();
        if last_time(&object).is_none_or(|time| time >= oldest) {
            continue;
        }
        let key = Key {
            resource: EVENTS.into(),
            path: entry.path.to_string(),
        };
        let change = Change {
            key,
            expected: Some(entry.revision),
            object,
            remove: true,
        };
        removals.push(api.store.submit(change));
    }
    for removed in futures::future::join_all(removals).await {
        if let Err(error) = removed {
            // It changed in the meantime and lives on, or the next round meets it again.
            tracing::debug!(%error, "An event was not removed.");
        }
    }
}

fn last_time(event: &Value) -> Option<DateTime<Utc>> {
    let fields = [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/eventTime",
        "/metadata/creationTimestamp",
    ];
    let times = fields
        .iter()
        .filter_map(|at| event.pointer(at)?.as_str()?.parse().ok());
    times.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_time_an_event_happened_counts() {
        let event = serde_json::json!({
            "metadata": { "creationTimestamp": "2026-01-01T00:00:00Z" },
            "lastTimestamp": "2026-01-01T00:30:00Z",
            "series": { "lastObservedTime": "2026-01-01T01:00:00.000001Z" },
        });
        let want = "2026-01-01T01:00:00.000001Z".parse().expect("a time");
        assert_eq!(last_time(&event), Some(want));
    }
}
