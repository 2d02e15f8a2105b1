//! Tells people: core/v1 Events, written by one task behind a bounded queue.
//!
//! In: notes about an object. Out: Events as Flux writes them; the same note again raises the count of
//! its Event. A full queue drops the note and logs it, so that no pass ever waits for an Event.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde_json::json;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::report::{Note, Severity};
use super::{Clock, Timestamp};
use crate::api::annotations::EVENT_PREFIX;
use crate::safe::printable_lines;

/// Most notes that wait to be written.
const QUEUE_MAX: usize = 1024;
/// Most Events whose count can still be raised.
const REMEMBERED_MAX: usize = 4096;
/// Most bytes of an Event's message, as Flux cuts them.
const MESSAGE_BYTES_MAX: usize = 39_000;

/// Takes notes for writing.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Told>,
}

#[derive(Debug)]
struct Told {
    manager: &'static str,
    about: ObjectReference,
    note: Note,
}

impl Recorder {
    /// Returns a recorder and the task that writes for it, which ends when all recorders are dropped.
    pub fn new(client: Client, clock: Clock) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, told) = mpsc::channel(QUEUE_MAX);
        (Self { queue }, write_all(client, clock, told))
    }

    /// Tells a note about an object; annotations of the object that are meant for events go with it.
    pub fn tell<K>(&self, manager: &'static str, object: &K, mut note: Note)
    where
        K: Resource<DynamicType = ()>,
    {
        for (name, value) in object.annotations() {
            if name.starts_with(EVENT_PREFIX) {
                note.metadata.insert(name.clone(), value.clone());
            }
        }
        let about = object.object_ref(&());
        let told = Told {
            manager,
            about,
            note,
        };
        if let Err(dropped) = self.queue.try_send(told) {
            let (mpsc::error::TrySendError::Full(told) | mpsc::error::TrySendError::Closed(told)) =
                dropped;
            warn!(
                namespace = told.about.namespace,
                name = told.about.name,
                reason = told.note.reason,
                "Dropped an event, because too many wait to be written."
            );
        }
    }
}

/// What makes two notes the same.
type Sameness = (Option<String>, Severity, String, String);

async fn write_all(client: Client, clock: Clock, mut told: mpsc::Receiver<Told>) {
    let mut written: HashMap<Sameness, (String, i32)> = HashMap::new();
    let mut n_written: u64 = 0;
    while let Some(told) = told.recv().await {
        let now = clock.now();
        n_written += 1;
        let sameness = (
            told.about.uid.clone(),
            told.note.severity,
            told.note.reason.clone(),
            told.note.message.clone(),
        );
        let namespace = told.about.namespace.clone().unwrap_or_default();
        let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
        if let Some((name, count)) = written.get_mut(&sameness)
            && raise(&events, told.manager, name, *count + 1, now).await
        {
            *count += 1;
            continue;
        }
        let event = event(&told, n_written, now);
        let name = event.name_any();
        match events.create(&PostParams::default(), &event).await {
            Ok(_) => {
                if written.len() >= REMEMBERED_MAX {
                    written.clear();
                }
                written.insert(sameness, (name, 1));
            }
            // A namespace that is going away takes no Events; the condition tells the same.
            Err(error) => debug!(%namespace, %name, %error, "Could not write an event."),
        }
    }
}

async fn raise(events: &Api<Event>, manager: &str, name: &str, count: i32, now: Timestamp) -> bool {
    let patch = json!({"count": count, "lastTimestamp": Time(now)});
    let parameters = PatchParams {
        field_manager: Some(manager.to_owned()),
        ..PatchParams::default()
    };
    let patched = events.patch(name, &parameters, &Patch::Merge(patch)).await;
    // An Event lives for an hour or so; one that is gone is written anew.
    patched.is_ok()
}

fn event(told: &Told, n_written: u64, now: Timestamp) -> Event {
    let name = told.about.name.clone().unwrap_or_default();
    let mut message = printable_lines(&told.note.message);
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
    let annotations: BTreeMap<_, _> = told.note.metadata.clone();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{:x}.{n_written:x}", now.as_nanosecond())),
            namespace: told.about.namespace.clone(),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..ObjectMeta::default()
        },
        involved_object: told.about.clone(),
        type_: Some(told.note.severity.as_str().to_owned()),
        reason: Some(told.note.reason.clone()),
        message: Some(message),
        source: Some(EventSource {
            component: Some(told.manager.to_owned()),
            host: None,
        }),
        reporting_component: Some(told.manager.to_owned()),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        ..Event::default()
    }
}
