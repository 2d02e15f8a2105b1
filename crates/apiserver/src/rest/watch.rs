//! WATCH: a stream of JSON lines, one an event, until time is up or the server stops.
//!
//! A subscription to the store comes in, bytes go out. An object that stops being selected is
//! DELETED for this watcher, one that starts is ADDED. A reader that is too slow loses its stream
//! and resumes from its last revision.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::accept::Shape;
use super::answer::{self, Answer, JSON};
use super::query::ListOptions;
use super::read::{Selection, bad_revision};
use super::refuse;
use crate::api::Api;
use crate::clock::Clock;
use crate::error::ApiError;
use crate::objects;
use crate::store::{Entry, Event, Subscription};
use crate::table::{self, Include};

/// The time between two bookmarks.
const BOOKMARK_PERIOD: Duration = Duration::from_secs(60);
/// How long before its end a stream gets a last bookmark.
const BOOKMARK_BEFORE_END: Duration = Duration::from_millis(1_500);
/// The shortest life of a stream whose client names none; up to twice as long.
const LIFE_SECONDS_MIN: u64 = 1_800;
/// The longest life a client can ask for.
const LIFE_SECONDS_MAX: u64 = 86_400;
/// How much is gathered into one piece of the stream.
const CHUNK_BYTES: usize = 64 * 1024;

/// In which representation events go out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) shape: Shape,
    pub(crate) include: Include,
}

/// Begins a watch.
pub(crate) fn begin(
    api: &Arc<Api>,
    selection: Selection,
    namespace: &str,
    options: &ListOptions,
    view: View,
) -> Result<Answer, ApiError> {
    let asked = match options.revision.as_str() {
        "" => 0,
        text => text
            .parse()
            .map_err(|_| ApiError::new(500, "", bad_revision(text)))?,
    };
    let initial = options.initial_events.unwrap_or(asked == 0);
    let from = (!initial).then_some(asked);
    let resource = objects::resource(&selection.kind);
    let scope = selection.scope(namespace);
    let subscription = match api.store.watch(&resource, scope, from) {
        Ok(subscription) => subscription,
        Err(old) => {
            let line = line(
                "ERROR",
                &objects::to_bytes(&refuse::too_old(asked, old.oldest).to_status()),
            );
            return Ok(Answer::bytes(200, JSON, line));
        }
    };
    let seconds = options
        .timeout_seconds
        .filter(|s| *s > 0)
        .unwrap_or_else(|| random_life(api));
    let end = Instant::now() + Duration::from_secs(seconds.min(LIFE_SECONDS_MAX));
    let mut stream = Stream {
        api: api.clone(),
        stop: api.stop.clone(),
        selection,
        view,
        subscription,
        ready: VecDeque::new(),
        delivered: 0,
        columns_sent: false,
        bookmarks: options.bookmarks,
        next_bookmark: first_bookmark(options.bookmarks, end),
        end,
        // Events up to a revision that has not come yet are not for this watcher.
        skip_to: if initial { 0 } else { asked },
    };
    stream.start(options.initial_events == Some(true));
    let pieces = futures::stream::unfold(stream, |mut stream| async move {
        let piece = stream.next().await?;
        Some((Ok::<_, Infallible>(piece), stream))
    });
    let mut answer = Answer::bytes(200, JSON, Bytes::new());
    answer.body = Body::from_stream(pieces);
    Ok(answer)
}

fn random_life(api: &Api) -> u64 {
    let mut bytes = [0u8; 2];
    api.random.fill(&mut bytes);
    LIFE_SECONDS_MIN + u64::from(u16::from_be_bytes(bytes)) % LIFE_SECONDS_MIN
}

fn first_bookmark(wanted: bool, end: Instant) -> Option<Instant> {
    wanted.then(|| {
        let before_end = end.checked_sub(BOOKMARK_BEFORE_END).unwrap_or(end);
        before_end.min(Instant::now() + BOOKMARK_PERIOD)
    })
}

struct Stream {
    api: Arc<Api>,
    stop: CancellationToken,
    selection: Selection,
    view: View,
    subscription: Subscription,
    ready: VecDeque<Bytes>,
    delivered: u64,
    columns_sent: bool,
    bookmarks: bool,
    next_bookmark: Option<Instant>,
    end: Instant,
    skip_to: u64,
}

enum Wake {
    Event(Option<Arc<Event>>),
    Bookmark,
    End,
}

impl Stream {
    fn start(&mut self, mark_initial: bool) {
        for entry in std::mem::take(&mut self.subscription.initial) {
            if self.selection.holds(&entry) {
                let body = self.object(&entry, None);
                self.ready.push_back(line("ADDED", &body));
            }
        }
        self.delivered = self.subscription.revision;
        if mark_initial && self.bookmarks {
            self.bookmark(true);
        }
        for event in std::mem::take(&mut self.subscription.backlog) {
            self.take(&event);
        }
    }

    /// Returns the next piece of the stream; nothing when it is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.gather() {
                return Some(piece);
            }
            let bookmark = self.next_bookmark.unwrap_or(self.end);
            let wake = tokio::select! {
                biased;
                () = self.stop.cancelled() => Wake::End,
                event = self.subscription.events.recv() => Wake::Event(event),
                () = sleep_until(bookmark), if self.next_bookmark.is_some() => Wake::Bookmark,
                () = sleep_until(self.end) => Wake::End,
            };
            match wake {
                Wake::Event(Some(event)) => self.take(&event),
                Wake::Event(None) | Wake::End => return None,
                Wake::Bookmark => self.periodic_bookmark(),
            }
        }
    }

    /// Returns what is ready, and what has already arrived, as one piece.
    fn gather(&mut self) -> Option<Bytes> {
        let mut size: usize = self.ready.iter().map(Bytes::len).sum();
        while size < CHUNK_BYTES
            && let Ok(event) = self.subscription.events.try_recv()
        {
            let before = self.ready.len();
            self.take(&event);
            size += self.ready.range(before..).map(Bytes::len).sum::<usize>();
        }
        if self.ready.len() <= 1 {
            return self.ready.pop_front();
        }
        let mut piece = Vec::with_capacity(size.min(2 * CHUNK_BYTES));
        while piece.len() < CHUNK_BYTES
            && let Some(next) = self.ready.pop_front()
        {
            piece.extend_from_slice(&next);
        }
        Some(piece.into())
    }

    fn periodic_bookmark(&mut self) {
        // Everything up to the revision read here is already in the channel: empty it first.
        let revision = self.api.store.revision();
        while let Ok(event) = self.subscription.events.try_recv() {
            self.take(&event);
        }
        self.delivered = self.delivered.max(revision);
        if self.delivered >= self.skip_to {
            self.bookmark(false);
        }
        let now = Instant::now();
        let last = self
            .end
            .checked_sub(BOOKMARK_BEFORE_END)
            .unwrap_or(self.end);
        let next = now + BOOKMARK_PERIOD;
        self.next_bookmark = if now >= last {
            None
        } else {
            Some(next.min(last))
        };
    }

    fn bookmark(&mut self, initial_end: bool) {
        let kind = &self.selection.kind;
        let mut meta = json!({ "resourceVersion": self.delivered.to_string() });
        if initial_end {
            meta["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object =
            json!({ "kind": kind.kind, "apiVersion": kind.api_version(), "metadata": meta });
        let body = match self.view.shape {
            Shape::Partial(version) => objects::to_bytes(&objects::partial(&object, version)),
            Shape::Table(_) => objects::to_bytes(&self.table(&object)),
            Shape::Plain | Shape::Discovery(_) => objects::to_bytes(&object),
        };
        self.ready.push_back(line("BOOKMARK", &body));
    }

    fn take(&mut self, event: &Event) {
        self.delivered = event.revision;
        if event.revision <= self.skip_to {
            return;
        }
        let was = event
            .previous
            .as_ref()
            .filter(|p| self.selection.holds(p))
            .cloned();
        let is = !event.removed && self.selection.holds(&event.object);
        let line = match (was, is) {
            (None, false) => return,
            (None, true) => line("ADDED", &self.object(&event.object, None)),
            (Some(_), true) => line("MODIFIED", &self.object(&event.object, None)),
            (Some(_), false) if event.removed => line("DELETED", &self.object(&event.object, None)),
            (Some(last), false) => line("DELETED", &self.object(&last, Some(event.revision))),
        };
        self.ready.push_back(line);
    }

    fn object(&mut self, entry: &Entry, revision: Option<u64>) -> Bytes {
        let kind = self.selection.kind.clone();
        if matches!(self.view.shape, Shape::Plain) && revision.is_none() {
            return objects::text(&kind, entry);
        }
        let mut value = objects::served(&kind, entry);
        if let Some(revision) = revision {
            objects::meta_mut(&mut value)
                .insert("resourceVersion".to_owned(), revision.to_string().into());
        }
        match self.view.shape {
            Shape::Plain | Shape::Discovery(_) => objects::to_bytes(&value),
            Shape::Partial(version) => objects::to_bytes(&objects::partial(&value, version)),
            Shape::Table(_) => objects::to_bytes(&self.table(&value)),
        }
    }

    fn table(&mut self, value: &Value) -> Value {
        let meta = json!({ "resourceVersion": objects::meta_text(value, "resourceVersion") });
        let items = std::slice::from_ref(value);
        let now = Clock::now(&*self.api.clock);
        let mut table = table::render(&self.selection.kind, items, meta, self.view.include, now);
        if let Shape::Table(version) = self.view.shape {
            answer::at_version(&mut table, version);
        }
        // The columns go out once: they do not change while the stream lasts.
        if self.columns_sent {
            table["columnDefinitions"] = Value::Null;
        }
        self.columns_sent = true;
        table
    }
}

fn line(kind: &str, object: &[u8]) -> Bytes {
    let head = format!("{{\"type\":\"{kind}\",\"object\":");
    [head.as_bytes(), object, b"}\n"].concat().into()
}
