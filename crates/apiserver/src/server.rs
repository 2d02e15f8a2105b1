//! The door: open a server, talk to it in process or over TLS, stop it.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::clock::{Clock, Random, SystemClock, SystemRandom};
use crate::credentials::{Credentials, CredentialsError, write_private};
use crate::identity::Identity;
use crate::rest;
use crate::store::{Backend, BackendError, MemoryBackend, RedbBackend, Store};
use crate::tokens::Signer;
use crate::{tls, workers};

/// The folder of the store within the data folder.
const STORE_FOLDER: &str = "store";
/// The folder of certificates and the token within the data folder.
const CREDENTIALS_FOLDER: &str = "credentials";

/// Whether the background workers run: garbage collection, namespaces, expiry of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Workers {
    /// They run.
    #[default]
    On,
    /// Nothing happens but by requests, as on a server without a controller manager.
    Off,
}

/// How a server is opened.
pub struct Options {
    /// The folder that keeps everything; nothing is kept where it is absent.
    pub data: Option<PathBuf>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub random: Arc<dyn Random>,
    /// Whether the background workers run.
    pub workers: Workers,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            data: None,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom::default()),
            workers: Workers::On,
        }
    }
}

/// Why a server could not be opened or served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store could not be opened.
    #[error("open the store")]
    Store(#[from] BackendError),
    /// The certificates or the token could not be had.
    #[error("open the credentials")]
    Credentials(#[from] CredentialsError),
    /// The first objects could not be made.
    #[error("make the first objects: {0}")]
    Bootstrap(String),
}

/// A running server. Clones share it; it stops when the last of them and of its services is gone.
#[derive(Clone)]
pub struct Server {
    api: Arc<Api>,
    credentials: Arc<Credentials>,
    running: Arc<Running>,
}

/// Stops the workers and ends the watches when the last handle of a server is gone.
struct Running(CancellationToken);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Server {
    /// Opens a server; must be called within a tokio runtime.
    ///
    /// Fails when the data folder is in use, was written by a newer program or cannot be read.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let backend: Box<dyn Backend> = match &options.data {
            Some(folder) => Box::new(RedbBackend::open(&folder.join(STORE_FOLDER))?),
            None => Box::new(MemoryBackend),
        };
        let store = Store::open(backend, options.clock.clone())?;
        let folder = options
            .data
            .as_ref()
            .map(|data| data.join(CREDENTIALS_FOLDER));
        let now = options.clock.now();
        let credentials = Arc::new(Credentials::open(folder.as_deref(), now, &*options.random)?);
        let signer = Signer::new(&credentials.signing_key).ok_or_else(|| {
            Error::Bootstrap("the key of service account tokens is no key".to_owned())
        })?;
        let api = Arc::new(Api::new(store, options.clock, options.random, signer));
        workers::bootstrap(&api)
            .await
            .map_err(|e| Error::Bootstrap(e.to_string()))?;
        if options.workers == Workers::On {
            workers::start(&api);
        }
        let running = Arc::new(Running(api.stop.clone()));
        Ok(Self {
            api,
            credentials,
            running,
        })
    }

    /// Returns the server as a service whose requests all come from one identity.
    ///
    /// It takes any body and can be given to `kube::Client::new`.
    pub fn service(&self, identity: Identity) -> Service {
        Service {
            api: self.api.clone(),
            identity,
            _running: self.running.clone(),
        }
    }

    /// Serves HTTPS on a listener until `shutdown` is done; then the server stops as a whole.
    ///
    /// Clients show the administrator's token. The listener should be on loopback.
    pub async fn serve_tls(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        tls::serve(
            self.api.clone(),
            self.credentials.clone(),
            listener,
            shutdown,
        )
        .await;
    }

    /// Returns the administrator's kubeconfig for a server at an address.
    pub fn kubeconfig(&self, address: SocketAddr) -> String {
        self.credentials.kubeconfig(address)
    }

    /// Writes the administrator's kubeconfig, readable by its owner only, whole or not at all.
    pub fn write_kubeconfig(
        &self,
        path: &Path,
        address: SocketAddr,
    ) -> Result<(), CredentialsError> {
        write_private(path, &self.kubeconfig(address))
    }

    /// Returns the administrator's bearer token.
    pub fn token(&self) -> &str {
        self.credentials.token()
    }

    /// Ends all watches, lets what is being written finish and closes the store.
    pub async fn shutdown(&self) {
        self.api.stop.cancel();
        let api = self.api.clone();
        // Closing joins the writer's thread, which may be in the middle of a flush.
        let closed = tokio::task::spawn_blocking(move || api.store.close()).await;
        if let Err(error) = closed {
            tracing::error!(%error, "The store could not be closed.");
        }
    }
}

/// The server in process, for one identity.
#[derive(Clone)]
pub struct Service {
    api: Arc<Api>,
    identity: Identity,
    _running: Arc<Running>,
}

impl<B> tower::Service<Request<B>> for Service
where
    B: axum::body::HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (api, identity) = (self.api.clone(), self.identity.clone());
        let request = request.map(Body::new);
        Box::pin(async move { Ok(rest::answer(api, identity, request).await) })
    }
}
