//! A repository of many folders behind a Git server in this process, and what its requests cost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use towpath::api::ImageRef;
use towpath::cli::demo::git_server;
use towpath::git::{self, Change, Git, Landed, Person, Pushed, Target};
use towpath::update::{PolicyChoice, Setters};

/// Of so many files one has a marker.
const MARKED_EVERY: usize = 10;

/// What the server has seen.
#[derive(Default)]
struct Seen {
    n_requests: AtomicU64,
    n_bytes: AtomicU64,
    time: Mutex<Duration>,
}

/// What some requests cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// How many there were.
    pub n_requests: u64,
    /// How many bytes their bodies had.
    pub n_bytes: u64,
    /// How long the server took for them.
    pub time: Duration,
}

/// The repository and a client of it.
pub struct Fleet {
    pub runtime: tokio::runtime::Runtime,
    pub client: git::Repository,
    seen: Arc<Seen>,
    _folder: tempfile::TempDir,
}

impl Fleet {
    /// Makes a repository of `n_files` files, each in a folder of its own, and `n_branches` branches.
    pub fn new(n_files: usize, n_branches: usize) -> anyhow::Result<Self> {
        // An error means that the process has chosen its provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let folder = tempfile::tempdir()?;
        let served = folder.path().join("served");
        git_server::create(&served, "fleet.git")?;
        let seen = Arc::<Seen>::default();
        let url = runtime.block_on(serve(served.clone(), Arc::clone(&seen)))?;
        let remote = git::Remote::anonymous(&url)?;
        let git = Git::open(&folder.path().join("mirrors"))?;
        let client = runtime.block_on(git.repository(remote))?;
        let fleet = Self {
            runtime,
            client,
            seen,
            _folder: folder,
        };
        let files = (0..n_files).map(|n| (path(n), text(n).into_bytes()));
        let first = fleet.push(&Target::branch("main"), change(files.collect()))?;
        let mut packed = "# pack-refs with: peeled fully-peeled sorted \n".to_owned();
        for n in 0..n_branches {
            writeln!(packed, "{} refs/heads/branch-{n:06}", first.checkout.commit)?;
        }
        std::fs::write(served.join("fleet.git/packed-refs"), packed)?;
        Ok(fleet)
    }

    /// Pushes a change.
    pub fn push(&self, target: &Target, change: Change) -> anyhow::Result<Landed> {
        let pushed = self
            .client
            .push_with(target, move |_| Ok(Some(change.clone())));
        match self.runtime.block_on(pushed)? {
            Pushed::Landed(landed) => Ok(landed),
            other => anyhow::bail!("it does not land: {other:?}"),
        }
    }

    /// Returns what the requests since the last call cost.
    pub fn take_cost(&self) -> Cost {
        let mut time = self
            .seen
            .time
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Cost {
            n_requests: self.seen.n_requests.swap(0, Ordering::Relaxed),
            n_bytes: self.seen.n_bytes.swap(0, Ordering::Relaxed),
            time: std::mem::take(&mut *time),
        }
    }
}

async fn serve(served: PathBuf, seen: Arc<Seen>) -> anyhow::Result<String> {
    let count = move |request: Request, next: Next| {
        let seen = Arc::clone(&seen);
        async move {
            let length = request.headers().get("content-length");
            let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
            seen.n_bytes
                .fetch_add(length.unwrap_or(0), Ordering::Relaxed);
            seen.n_requests.fetch_add(1, Ordering::Relaxed);
            let began = Instant::now();
            let response = next.run(request).await;
            *seen.time.lock().unwrap_or_else(PoisonError::into_inner) += began.elapsed();
            response
        }
    };
    let router = git_server::router(served).layer(from_fn(count));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/fleet.git", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

/// Returns the path of a file.
fn path(n: usize) -> String {
    format!("apps/team-{:03}/app-{n:06}/deployment.yaml", n / 100)
}

/// Returns the text of a file: a manifest of about 400 bytes, marked now and then.
fn text(n: usize) -> String {
    let marker = match n.is_multiple_of(MARKED_EVERY) {
        true => " # {\"$imagepolicy\": \"apps:app\"}",
        false => "",
    };
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app-{n}\n  namespace: apps\n\
         spec:\n  replicas: 2\n  selector:\n    matchLabels:\n      app: app-{n}\n  template:\n    \
         metadata:\n      labels:\n        app: app-{n}\n    spec:\n      containers:\n        \
         - name: app\n          image: ghcr.io/acme/app:1.0.0{marker}\n          ports:\n            \
         - containerPort: 8080\n"
    )
}

/// Returns a change that writes files.
pub fn change(edits: BTreeMap<String, Vec<u8>>) -> Change {
    Change {
        edits,
        author: Person {
            name: "bench".to_owned(),
            email: "bench@example.com".to_owned(),
        },
        time_s: 1_800_000_000,
        message: "Update".to_owned(),
        trailers: Vec::new(),
        signing_key: None,
    }
}

/// Returns what the one policy has chosen.
pub fn setters(tag: &str) -> anyhow::Result<Setters> {
    let latest = ImageRef {
        name: "ghcr.io/acme/app".to_owned(),
        tag: tag.to_owned(),
        digest: None,
    };
    let choice = PolicyChoice {
        namespace: "apps",
        name: "app",
        latest: &latest,
    };
    Setters::new([choice]).context("the choice is a reference")
}
