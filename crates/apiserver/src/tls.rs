//! The server on a socket: TLS, the bearer token, HTTP/1.1 and HTTP/2.
//!
//! Connections are bounded in number, and each has a time within which it must shake hands. When
//! the server stops, watches end and connections get a moment to finish.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::api::Api;
use crate::credentials::Credentials;
use crate::identity::Identity;
use crate::rest;

/// The most connections at a time.
const CONNECTIONS_MAX: usize = 1_024;
/// How long a client may take to shake hands.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long connections may take to finish when the server stops.
const FINISH_TIME: Duration = Duration::from_secs(5);
/// How long to wait after the system refused to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `shutdown` is done or the server stops.
pub(crate) async fn serve(
    api: Arc<Api>,
    credentials: Arc<Credentials>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) {
    let acceptor = TlsAcceptor::from(credentials.tls.clone());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            () = api.stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "A connection could not be accepted.");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!("A connection was closed: there are too many.");
            continue;
        };
        let (api, credentials, acceptor) = (api.clone(), credentials.clone(), acceptor.clone());
        connections.spawn(async move {
            connection(api, credentials, acceptor, stream).await;
            drop(place);
        });
    }
    api.stop.cancel();
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FINISH_TIME, finish).await.is_err() {
        tracing::warn!("Connections were cut because they did not finish.");
    }
}

async fn connection(
    api: Arc<Api>,
    credentials: Arc<Credentials>,
    acceptor: TlsAcceptor,
    stream: TcpStream,
) {
    // Small answers must not wait for the client's acknowledgement; without this it is only slower.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await else {
        tracing::debug!("A client did not shake hands.");
        return;
    };
    let stop = api.stop.clone();
    let builder = Builder::new(TokioExecutor::new());
    let service = TowerToHyperService::new(Authenticated { api, credentials });
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "A connection ended early.");
    }
}

/// The server for whoever shows the administrator's token.
#[derive(Clone)]
struct Authenticated {
    api: Arc<Api>,
    credentials: Arc<Credentials>,
}

impl<B> tower::Service<Request<B>> for Authenticated
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
        let Self { api, credentials } = self.clone();
        let request = request.map(Body::new);
        Box::pin(async move { Ok(authenticated(api, &credentials, request).await) })
    }
}

async fn authenticated(
    api: Arc<Api>,
    credentials: &Credentials,
    request: Request<Body>,
) -> Response<Body> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok());
    let token = value
        .and_then(|v| v.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = token.map(|(_, token)| token.trim());
    let identity = match token {
        Some(token) if credentials.is_administrator(token) => Some(Identity::administrator()),
        Some(token) => api.token_identity(token),
        None => None,
    };
    match identity {
        Some(identity) => rest::answer(api, identity, request).await,
        None => rest::unauthorized(&api, request.into_body()).await,
    }
}
