//! A stage for controllers: the embedded API with Flux's kinds, all controllers on it, and a registry
//! whose tags a test sets. Ends when dropped.

use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apiserver::{Identity, Options, Server};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Event, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::jiff::SignedDuration;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use towpath::api::annotations::REQUESTED_AT;
use towpath::controllers::MarkerIndex;
use towpath::reconcile::{Clock, Jitter, Kind, Passes, Timestamp};
use towpath::{controllers, git, registry, source, tags};

use crate::world::registry::{Scripted, answer};

/// The namespace that tests work in.
pub const NAMESPACE: &str = "apps";
/// The longest that a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for what must come.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.expect("it comes within the longest wait")
}

/// Reads an object that a test writes out.
pub fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("because it is written out in the test")
}

/// Opens an embedded API that serves Flux's kinds and has the namespace.
pub async fn cluster() -> (Server, Client) {
    let server = Server::open(Options::default())
        .await
        .expect("the API opens");
    let client = Client::new(server.service(Identity::administrator()), NAMESPACE);
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in towpath::api::crds() {
        let name = definition.name_any();
        let created = definitions
            .create(&PostParams::default(), &definition)
            .await;
        created.expect("the definition is taken");
        let established = conditions::is_crd_established();
        within(await_condition(definitions.clone(), &name, established))
            .await
            .expect("the definition is served");
    }
    let namespace: Namespace = from(json!({"metadata": {"name": NAMESPACE}}));
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let created = namespaces.create(&PostParams::default(), &namespace).await;
    created.expect("the namespace is taken");
    (server, client)
}

/// All controllers on an embedded API.
pub struct Stage {
    pub client: Client,
    _server: Server,
    folder: tempfile::TempDir,
    running: Option<Running>,
    /// How often the controllers looked at objects.
    pub passes: Passes,
    /// What the running controllers store of scans.
    tags: Option<Arc<tags::Store>>,
    /// What the running controllers know of markers.
    pub markers: Arc<MarkerIndex>,
    /// How far the controllers' clock is ahead, in seconds.
    ahead: Arc<AtomicI64>,
}

struct Running {
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), towpath::reconcile::Error>>,
}

impl Stage {
    /// Starts it.
    pub async fn start() -> Self {
        let (server, client) = cluster().await;
        let mut stage = Self {
            client,
            _server: server,
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            running: None,
            passes: Passes::default(),
            tags: None,
            markers: Arc::default(),
            ahead: Arc::default(),
        };
        stage.run();
        stage
    }

    /// Sets the clock that statuses show ahead.
    pub fn set_ahead(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::SeqCst);
    }

    /// Ends the controllers and starts them again on the same data.
    pub async fn restart(&mut self) {
        self.end().await;
        self.run();
    }

    /// Ends the controllers.
    pub async fn end(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown.cancel();
            let ended = within(running.task).await;
            // The store is open once.
            self.tags = None;
            let ended = ended.expect("the controllers do not panic");
            ended.expect("the controllers end in peace");
        }
    }

    /// Returns what the running controllers store of scans.
    pub fn tags(&self) -> &tags::Store {
        self.tags.as_deref().expect("because they run")
    }

    fn run(&mut self) {
        let folder = self.folder.path();
        let storage = source::Storage::open(&folder.join("source"), "artifacts.test");
        let ahead = self.ahead.clone();
        let now = move || {
            let ahead = SignedDuration::from_secs(ahead.load(Ordering::SeqCst));
            Timestamp::now()
                .saturating_add(ahead)
                .expect("because an hour or two is no overflow")
        };
        let context = controllers::Context {
            client: self.client.clone(),
            clock: Clock::new(now),
            jitter: Jitter::new(1),
            passes: self.passes.clone(),
            registry: registry::Client::new(),
            tags: Arc::new(tags::Store::open(&folder.join("tags")).expect("the store opens")),
            git: git::Git::open(&folder.join("git")).expect("the mirrors open"),
            markers: Arc::new(MarkerIndex::open(&folder.join("markers")).expect("it opens")),
            storage: storage.expect("the storage opens"),
        };
        self.markers = context.markers.clone();
        self.tags = Some(context.tags.clone());
        let shutdown = CancellationToken::new();
        self.running = Some(Running {
            task: tokio::spawn(controllers::run(context, shutdown.clone())),
            shutdown,
        });
    }

    /// Returns the objects of a kind.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Creates an object.
    pub async fn create<K: Kind + serde::Serialize>(&self, name: &str, spec: Value) {
        let object: K = from(json!({"metadata": {"name": name}, "spec": spec}));
        let created = self
            .api::<K>()
            .create(&PostParams::default(), &object)
            .await;
        created.expect("the object is taken");
    }

    /// Patches an object.
    pub async fn patch<K: Kind>(&self, name: &str, patch: Value) {
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = self.api::<K>().patch(name, &parameters, &patch).await;
        patched.expect("the patch is taken");
    }

    /// Asks for a pass, as `flux reconcile` does.
    pub async fn request<K: Kind>(&self, name: &str, at: &str) {
        let annotations = json!({"metadata": {"annotations": {REQUESTED_AT: at}}});
        self.patch::<K>(name, annotations).await;
    }

    /// Waits until an object is as asked, and returns it.
    pub async fn until<K: Kind>(&self, name: &str, is_so: impl Fn(&K) -> bool + Send) -> K {
        let is_so = |object: Option<&K>| object.is_some_and(&is_so);
        let object = within(await_condition(self.api::<K>(), name, is_so)).await;
        object
            .expect("the watch goes on")
            .expect("because the condition asks for an object")
    }

    /// Waits until an object says a text in one of its conditions, and returns it.
    pub async fn until_says<K: Kind>(&self, name: &str, text: &str) -> K {
        self.until(name, |object: &K| says(object, text)).await
    }

    /// Waits for an event whose message begins so.
    pub async fn event(&self, message: &str) -> Event {
        let events = watcher(self.api::<Event>(), watcher::Config::default());
        let events = events
            .applied_objects()
            .filter_map(async |event| event.ok());
        let mut events = pin!(events.filter(|event: &Event| {
            let is_it = event
                .message
                .as_deref()
                .unwrap_or_default()
                .starts_with(message);
            std::future::ready(is_it)
        }));
        within(events.next()).await.expect("the watch goes on")
    }
}

/// Returns `type=status reason: message` of each condition.
pub fn lines<K: Kind>(object: &K) -> Vec<String> {
    let lines = object
        .conditions()
        .iter()
        .map(|c| format!("{}={:?} {}: {}", c.type_, c.status, c.reason, c.message));
    lines.collect()
}

/// Returns whether one of an object's conditions has a text.
pub fn says<K: Kind>(object: &K, text: &str) -> bool {
    lines(object).iter().any(|line| line.contains(text))
}

/// A registry with one image whose tags a test sets.
pub struct Registry {
    server: Scripted,
    tags: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// Starts it with tags.
    pub async fn with_tags(tags: &[&str]) -> Self {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let tags = Arc::new(Mutex::new(tags));
        let shown = tags.clone();
        let server = Scripted::start(move |seen, _| {
            let tags = shown.lock().expect("because no test panics in it").clone();
            match seen.path.contains("/tags/list") {
                true if tags.is_empty() => answer(404, &[], r#"{"errors":[]}"#),
                true => answer(
                    200,
                    &[],
                    json!({"name": "acme/app", "tags": tags}).to_string(),
                ),
                false => answer(200, &[], ""),
            }
        });
        Self {
            server: server.await,
            tags,
        }
    }

    /// Returns the image.
    pub fn image(&self) -> String {
        format!("{}/acme/app", self.server.host())
    }

    /// Pushes a tag.
    pub fn push(&self, tag: &str) {
        self.tags
            .lock()
            .expect("because no test panics in it")
            .push(tag.to_owned());
    }

    /// Has these tags and no others.
    pub fn set(&self, tags: &[&str]) {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        *self.tags.lock().expect("because no test panics in it") = tags;
    }

    /// Removes all tags.
    pub fn clear(&self) {
        self.tags
            .lock()
            .expect("because no test panics in it")
            .clear();
    }
}
