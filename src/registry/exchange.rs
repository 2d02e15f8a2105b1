//! Requests: meeting a registry (`/v2/`), proving who asks, sending again what may yet succeed.
//!
//! In: method, URL, [`Access`]. Out: an [`Answer`] with a status of success, or an [`Error`]. A
//! credential goes to the registry's own origin or to its token service and nowhere else; to a
//! token service without TLS only when the registry itself has none.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backoff::{ExponentialBuilder, Retryable};
use chrono::Utc;
use futures::future::{Either, select};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

use super::access::{below, root};
use super::challenge::{self, Challenge};
use super::client::texts;
use super::page::{Page, Tags};
use super::token::{self, Grant};
use super::{Access, Client, Credential, Error, Retries};
use super::{body, digest, error, throttle};
use crate::image::Repository;
use crate::safe::Secret;

/// How long https alone may answer before plain http is tried beside it.
const PLAIN_AFTER: Duration = Duration::from_millis(300);

/// Bytes of an error's body that are read for its text.
const ERROR_BYTES_MAX: usize = 16 << 10;

/// A registry that has answered once.
#[derive(Debug)]
pub(super) struct Registry {
    base: Url,
    transport: reqwest::Client,
    challenge: Mutex<Option<Challenge>>,
}

impl Registry {
    fn challenge(&self) -> Option<Challenge> {
        let known = self
            .challenge
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    fn learn(&self, challenge: Challenge) {
        let mut known = self
            .challenge
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *known = Some(challenge);
    }
}

/// What is asked for, and what is done with the body of the answer.
pub(super) struct Ask<'a, 'k> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) want: Want<'a, 'k>,
}

/// What is done with a body.
#[derive(Clone, Copy)]
pub(super) enum Want<'a, 'k> {
    /// It is not read.
    Headers,
    /// It is kept, up to a bound.
    Bytes(usize),
    /// Its tags are collected, up to a bound of its bytes.
    Tags(&'a Mutex<Tags<'k>>, usize),
}

/// An answer of success, read to its end.
pub(super) struct Answer {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Asks `/v2/` what the registry wants, over https, and over http where that is allowed.
pub(super) async fn ping(
    client: &Client,
    repository: &Repository,
    access: &Access,
) -> Result<Registry, Error> {
    let meet = || meet(client, repository, access);
    let met = retry(client.retries(), meet).await;
    met.inspect_err(|error| hold(client, repository, error))
}

async fn meet(
    client: &Client,
    repository: &Repository,
    access: &Access,
) -> Result<Registry, Error> {
    let mut secure = pin!(knock(client, repository, access, "https"));
    if !access.insecure {
        return secure.await;
    }
    let plain = knock(client, repository, access, "http");
    match tokio::time::timeout(PLAIN_AFTER, &mut secure).await {
        Ok(Ok(registry)) => Ok(registry),
        Ok(Err(error)) if error.status().is_some() => Err(error),
        Ok(Err(_)) => plain.await,
        Err(_) => match select(secure, pin!(plain)).await {
            Either::Left((Err(_), plain)) => plain.await,
            Either::Right((Err(_), secure)) => secure.await,
            Either::Left((met, _)) | Either::Right((met, _)) => met,
        },
    }
}

async fn knock(
    client: &Client,
    repository: &Repository,
    access: &Access,
    scheme: &str,
) -> Result<Registry, Error> {
    let base = root(scheme, repository)?;
    let url = below(&base, "")?;
    let transport = client.transport(repository, access, scheme == "http")?;
    let sent = transport.get(url.clone()).send().await;
    let response = sent.map_err(|source| Error::exchange(&Method::GET, &url, source))?;
    let challenge = match response.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => asked(&response),
        status if status.is_success() => None,
        _ => return Err(refused(&Method::GET, response, None).await),
    };
    Ok(Registry {
        base,
        transport,
        challenge: Mutex::new(challenge),
    })
}

/// The requests of one call: one registry, one repository, one access.
pub(super) struct Session<'a> {
    client: &'a Client,
    registry: Arc<Registry>,
    repository: &'a Repository,
    access: &'a Access,
    /// Whether a refused proof was renewed already; once a call is enough.
    renewed: AtomicBool,
}

/// The value of an `Authorization` header and how we came by it.
struct Proof {
    value: Secret<String>,
    /// Set when it is a token from an earlier call, which may have run out.
    remembered: Option<Grant>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        client: &'a Client,
        registry: Arc<Registry>,
        repository: &'a Repository,
        access: &'a Access,
    ) -> Self {
        Self {
            client,
            registry,
            repository,
            access,
            renewed: AtomicBool::new(false),
        }
    }

    /// Returns the URL of something of the repository.
    pub(super) fn url(&self, path: &str) -> Result<Url, Error> {
        let path = format!("{}/{path}", self.repository.path());
        below(&self.registry.base, &path)
    }

    /// Sends a request until it succeeds, may not succeed any more, or was sent often enough.
    pub(super) async fn request(&self, ask: Ask<'_, '_>) -> Result<Answer, Error> {
        let once = || self.once(&ask);
        let answer = retry(self.client.retries(), once).await;
        answer.inspect_err(|error| hold(self.client, self.repository, error))
    }

    async fn once(&self, ask: &Ask<'_, '_>) -> Result<Answer, Error> {
        let (method, url) = (&ask.method, ask.url);
        let own = url.origin() == self.registry.base.origin();
        let proof = if own { self.proof().await? } else { None };
        let mut response = self.send(ask, proof.as_ref()).await?;
        if own && response.status() == StatusCode::UNAUTHORIZED && self.renew(&response, proof) {
            let proof = self.proof().await?;
            response = self.send(ask, proof.as_ref()).await?;
        }
        if !response.status().is_success() {
            let credential = self.access.credential.as_ref();
            return Err(refused(method, response, credential).await);
        }
        let url = response.url().clone();
        let headers = response.headers().clone();
        let body = match ask.want {
            Want::Headers => Vec::new(),
            Want::Bytes(bytes_max) => body::whole(method, response, bytes_max).await?,
            Want::Tags(tags, bytes_max) => {
                page_of(method, response, tags, bytes_max).await?;
                Vec::new()
            }
        };
        Ok(Answer { url, headers, body })
    }

    async fn send(&self, ask: &Ask<'_, '_>, proof: Option<&Proof>) -> Result<Response, Error> {
        let transport = &self.registry.transport;
        let mut request = transport.request(ask.method.clone(), ask.url.clone());
        request = match ask.want {
            Want::Tags(..) => request
                .header(header::ACCEPT, "application/json")
                .header(header::ACCEPT_ENCODING, "gzip"),
            _ => request.header(header::ACCEPT, digest::ACCEPT),
        };
        if let Some(proof) = proof {
            let value = sensitive(&proof.value, ask.url)?;
            request = request.header(header::AUTHORIZATION, value);
        }
        let sent = request.send().await;
        sent.map_err(|source| Error::exchange(&ask.method, ask.url, source))
    }

    /// Takes in what a 401 asks for; returns whether asking again can help.
    fn renew(&self, response: &Response, proof: Option<Proof>) -> bool {
        if self.renewed.swap(true, Ordering::Relaxed) {
            return false;
        }
        let before = self.registry.challenge();
        let asked = asked(response);
        let is_new = asked.is_some() && asked != before;
        if let Some(challenge) = asked {
            self.registry.learn(challenge);
        }
        let remembered = proof.and_then(|proof| proof.remembered);
        if let Some(grant) = &remembered {
            self.client.tokens.forget(grant);
        }
        is_new || remembered.is_some()
    }

    /// Returns what the registry's challenge asks for, or nothing.
    async fn proof(&self) -> Result<Option<Proof>, Error> {
        let credential = self.access.credential.as_ref();
        match (self.registry.challenge(), credential) {
            (None, _) | (Some(Challenge::Basic), None) => Ok(None),
            (Some(Challenge::Basic), Some(credential)) => Ok(Some(Proof {
                value: credential.basic(),
                remembered: None,
            })),
            (Some(Challenge::Bearer { realm, service }), _) => {
                let grant = Grant {
                    realm,
                    service,
                    scope: format!("repository:{}:pull", self.repository.path()),
                    credential: self.access.credential.clone(),
                };
                self.bearer(grant).await.map(Some)
            }
        }
    }

    async fn bearer(&self, grant: Grant) -> Result<Proof, Error> {
        let bearer = |token: &Secret<String>| Secret::new(format!("Bearer {}", token.expose()));
        if let Some(token) = self.client.tokens.find(&grant, Instant::now()) {
            return Ok(Proof {
                value: bearer(&token),
                remembered: Some(grant),
            });
        }
        let asked = Instant::now();
        let granted = self.ask_token(&grant).await?;
        let value = bearer(&granted.token);
        self.client.tokens.keep(grant, &granted, asked);
        Ok(Proof {
            value,
            remembered: None,
        })
    }

    async fn ask_token(&self, grant: &Grant) -> Result<token::Granted, Error> {
        let base = &self.registry.base;
        let refuse = |reason: &str| Error::answer(&Method::GET, base, reason);
        let mut url = Url::parse(&grant.realm)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| refuse("challenge names a token service that is no http URL"))?;
        if url.scheme() == "http" && base.scheme() == "https" {
            return Err(refuse("challenge names a token service without TLS"));
        }
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("scope", &grant.scope);
            if !grant.service.is_empty() {
                query.append_pair("service", &grant.service);
            }
        }
        let mut request = self.registry.transport.get(url.clone());
        let credential = grant.credential.as_ref();
        if let Some(credential) = credential {
            request = request.header(header::AUTHORIZATION, sensitive(&credential.basic(), &url)?);
        }
        let sent = request.send().await;
        let response = sent.map_err(|source| Error::exchange(&Method::GET, &url, source))?;
        if !response.status().is_success() {
            return Err(refused(&Method::GET, response, credential).await);
        }
        let bytes = body::whole(&Method::GET, response, token::ANSWER_BYTES_MAX).await?;
        token::granted(&bytes).map_err(|reason| Error::answer(&Method::GET, &url, reason))
    }
}

/// Tries an act until it succeeds, with the waits that `retries` or the registry asks for.
async fn retry<T, Act, Acting>(retries: Retries, act: Act) -> Result<T, Error>
where
    Act: FnMut() -> Acting,
    Acting: Future<Output = Result<T, Error>>,
{
    let waits = ExponentialBuilder::default()
        .with_min_delay(retries.first_wait)
        .with_factor(3.0)
        .with_max_times(retries.n_more)
        .with_jitter();
    act.retry(waits)
        .when(Error::is_temporary)
        .adjust(|error, wait| match error.retry_after() {
            Some(asked) if asked > retries.wait_max => None,
            Some(asked) => wait.map(|wait| wait.max(asked)),
            None => wait,
        })
        .await
}

/// Leaves the registry alone for as long as it asked.
fn hold(client: &Client, repository: &Repository, error: &Error) {
    if let Some(wait) = error.retry_after() {
        client
            .quiet
            .hold(repository.registry().as_str(), wait, Instant::now());
    }
}

/// Turns an answer that is no success into an error, with the registry's own text.
async fn refused(method: &Method, response: Response, credential: Option<&Credential>) -> Error {
    let status = response.status();
    let url = error::redacted(response.url());
    let retry_after = texts(response.headers(), &header::RETRY_AFTER)
        .first()
        .and_then(|value| throttle::retry_after(value, Utc::now()));
    let bytes = body::beginning(response, ERROR_BYTES_MAX).await;
    Error::Status {
        method: method.clone(),
        url,
        status,
        text: error::text_of(method, status, &bytes, credential),
        retry_after,
    }
}

fn asked(response: &Response) -> Option<Challenge> {
    let values = texts(response.headers(), &header::WWW_AUTHENTICATE);
    challenge::strongest(values.iter().map(String::as_str))
}

/// Collects the tags of one page; what an attempt that broke off has collected is forgotten.
async fn page_of(
    method: &Method,
    response: Response,
    tags: &Mutex<Tags<'_>>,
    bytes_max: usize,
) -> Result<(), Error> {
    let url = response.url().clone();
    let lock = || tags.lock().unwrap_or_else(PoisonError::into_inner);
    let mark = lock().mark();
    let mut page = Page::default();
    let mut take = |piece: &[u8]| page.read(piece, &mut lock());
    let read = body::pieces(method, response, bytes_max, &mut take).await;
    let ended = || {
        page.end()
            .map_err(|reason| Error::answer(method, &url, reason))
    };
    read.and_then(|()| ended())
        .inspect_err(|_| lock().go_back(mark))
}

/// Returns a header value that no log of the http client shows.
fn sensitive(value: &Secret<String>, url: &Url) -> Result<HeaderValue, Error> {
    let mut header = HeaderValue::from_str(value.expose()).map_err(|_| {
        let reason = "the credential holds characters that no header can carry";
        Error::answer(&Method::GET, url, reason)
    })?;
    header.set_sensitive(true);
    Ok(header)
}
