//! [`Session`]: the requests of one call, to one registry, about one repository, as one user.
//!
//! In: what is asked. Out: an [`Answer`] of success, or an [`Error`]. The proof of who asks goes to
//! the registry's own origin and nowhere else; a refused one is renewed once a call. The waits that
//! the registry asks for are kept, within the call's time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chrono::Utc;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

use super::access::below;
use super::challenge::Challenge;
use super::exchange::{self, Registry, refused};
use super::mark::{BodyMark, Ended, Mark, Marking};
use super::page::{Page, Tags};
use super::throttle::{self, Why};
use super::token::Grant;
use super::token_service::TokenService;
use super::{Access, Client, Credential, Error};
use super::{body, digest, retry};
use crate::image::Repository;
use crate::safe::Secret;

/// One call of a client: what it is about, as whom, and until when.
pub(super) struct Call<'a> {
    pub(super) client: &'a Client,
    pub(super) repository: &'a Repository,
    pub(super) access: &'a Access,
    pub(super) credential: Option<Credential>,
    pub(super) deadline: Instant,
}

impl Call<'_> {
    fn host(&self) -> &str {
        self.repository.registry().as_str()
    }

    /// Waits while the registry wants no requests. Fails when that does not fit into the call.
    pub(super) async fn rest(&self, is_first: bool) -> Result<(), Error> {
        let now = Instant::now();
        let Some((wait, why)) = self.client.quiet.left(self.host(), now) else {
            return Ok(());
        };
        if wait <= self.client.retries().wait_max && now + wait < self.deadline {
            tokio::time::sleep(wait).await;
            return Ok(());
        }
        match (why, is_first) {
            // A listing that has begun is finished rather than asked for twice.
            (Why::Spared, false) => Ok(()),
            _ => Err(Error::Throttled {
                registry: self.host().to_owned(),
                wait,
            }),
        }
    }

    /// Takes in what an answer's headers say of how often the registry may be asked.
    fn heed(&self, response: &Response) {
        if let Some(pace) = throttle::pace(response.headers(), Utc::now()) {
            let quiet = &self.client.quiet;
            quiet.hold(self.host(), pace, Why::Spared, Instant::now());
        }
    }

    /// Leaves the registry alone for as long as its answer asked.
    pub(super) fn hold(&self, error: &Error) {
        if let Error::Status {
            retry_after: Some(wait),
            ..
        } = error
        {
            let quiet = &self.client.quiet;
            quiet.hold(self.host(), *wait, Why::Asked, Instant::now());
        }
    }
}

/// What is asked for, and what is done with the body of the answer.
pub(super) struct Ask<'a, 'k> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) want: Want<'a, 'k>,
    /// What an earlier answer was; of one that is the same the body is not read.
    pub(super) known: Option<&'a Mark>,
}

impl<'a> Ask<'a, '_> {
    fn etag(&self) -> Option<&'a str> {
        self.known.and_then(|known| known.etag.as_deref())
    }
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
    /// What the body of a page was.
    pub(super) mark: Option<BodyMark>,
    pub(super) same: Option<Same>,
}

/// How it shows that an answer is the known one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Same {
    /// The registry says so, and sends neither a body nor perhaps a `Link`.
    Said,
    /// It sent the same body once more.
    Sent,
}

/// The requests of one call.
pub(super) struct Session<'a> {
    call: Call<'a>,
    registry: Arc<Registry>,
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
    pub(super) fn new(call: Call<'a>, registry: Arc<Registry>) -> Self {
        Self {
            call,
            registry,
            renewed: AtomicBool::new(false),
        }
    }

    /// Returns the URL of something of the repository.
    pub(super) fn url(&self, path: &str) -> Result<Url, Error> {
        let path = format!("{}/{path}", self.call.repository.path());
        below(&self.registry.base, &path)
    }

    /// Sends a request until it succeeds, may not succeed any more, or was sent often enough.
    pub(super) async fn request(&self, ask: Ask<'_, '_>) -> Result<Answer, Error> {
        let once = || self.once(&ask);
        retry::retry(self.call.client.retries(), self.call.deadline, once).await
    }

    async fn once(&self, ask: &Ask<'_, '_>) -> Result<Answer, Error> {
        self.call.rest(false).await?;
        let answer = self.answer(ask).await;
        answer.inspect_err(|error| self.call.hold(error))
    }

    async fn answer(&self, ask: &Ask<'_, '_>) -> Result<Answer, Error> {
        let method = &ask.method;
        let own = ask.url.origin() == self.registry.base.origin();
        let proof = if own { self.proof().await? } else { None };
        let mut response = self.send(ask, proof.as_ref()).await?;
        if own && response.status() == StatusCode::UNAUTHORIZED && self.renew(&response, proof) {
            let proof = self.proof().await?;
            response = self.send(ask, proof.as_ref()).await?;
        }
        self.call.heed(&response);
        let is_said = ask.etag().is_some() && response.status() == StatusCode::NOT_MODIFIED;
        if !is_said && !response.status().is_success() {
            let credential = self.call.credential.as_ref();
            return Err(refused(method, response, credential).await);
        }
        let mut answer = Answer {
            url: response.url().clone(),
            headers: response.headers().clone(),
            body: Vec::new(),
            mark: None,
            same: is_said.then_some(Same::Said),
        };
        match ask.want {
            _ if is_said => {}
            Want::Headers => {}
            Want::Bytes(bytes_max) => {
                answer.body = body::whole(method, response, bytes_max).await?;
            }
            Want::Tags(tags, bytes_max) => {
                let marking = Marking::new(ask.known.and_then(|known| known.body));
                match page_of(method, response, tags, bytes_max, marking).await? {
                    Came::Same => answer.same = Some(Same::Sent),
                    Came::Read(mark) => answer.mark = mark,
                }
            }
        }
        Ok(answer)
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
        if let Some(etag) = ask.etag() {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
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
        let asked = exchange::asked(response);
        let is_new = asked.is_some() && asked != before;
        if let Some(challenge) = asked {
            self.registry.learn(challenge);
        }
        let remembered = proof.and_then(|proof| proof.remembered);
        if let Some(grant) = &remembered {
            self.call.client.tokens.forget(grant);
        }
        is_new || remembered.is_some()
    }

    /// Returns what the registry's challenge asks for, or nothing.
    async fn proof(&self) -> Result<Option<Proof>, Error> {
        let Some(challenge) = self.registry.challenge() else {
            return Ok(None);
        };
        let known = |value| {
            let remembered = None;
            Ok(Some(Proof { value, remembered }))
        };
        match (challenge, &self.call.credential) {
            (_, Some(Credential::RegistryToken(token))) => known(bearer(token)),
            (Challenge::Basic, None) => Ok(None),
            (Challenge::Basic, Some(credential)) => match credential.basic() {
                Some(basic) => known(basic),
                None => Err(Error::answer(
                    &Method::GET,
                    &self.registry.base,
                    "the registry asks for a name and password, and the pull secret holds an \
                     identitytoken, which is for token services",
                )),
            },
            (Challenge::Bearer { realm, service }, credential) => {
                let grant = Grant {
                    realm,
                    service,
                    scope: format!("repository:{}:pull", self.call.repository.path()),
                    credential: credential.clone(),
                };
                self.granted(grant).await.map(Some)
            }
        }
    }

    async fn granted(&self, grant: Grant) -> Result<Proof, Error> {
        let client = self.call.client;
        if let Some(token) = client.tokens.find(&grant, Instant::now()) {
            return Ok(Proof {
                value: bearer(&token),
                remembered: Some(grant),
            });
        }
        let service = TokenService {
            transport: &self.registry.transport,
            registry: &self.registry.base,
            hosts: &client.transports.hosts,
            realms: &client.realms,
        };
        let asked = Instant::now();
        let granted = service.grant(&grant).await?;
        let value = bearer(&granted.token);
        client.tokens.keep(grant, &granted, asked);
        Ok(Proof {
            value,
            remembered: None,
        })
    }
}

fn bearer(token: &Secret<String>) -> Secret<String> {
    Secret::new(format!("Bearer {}", token.expose()))
}

/// How a page came.
enum Came {
    /// As it is known; its tags were not read.
    Same,
    /// With tags, and with this mark.
    Read(Option<BodyMark>),
}

/// Collects the tags of one page that is not the known one; what an attempt that broke off has
/// collected is forgotten.
async fn page_of(
    method: &Method,
    response: Response,
    tags: &Mutex<Tags<'_>>,
    bytes_max: usize,
    mut marking: Marking,
) -> Result<Came, Error> {
    let url = response.url().clone();
    let lock = || tags.lock().unwrap_or_else(PoisonError::into_inner);
    let before = lock().mark();
    let mut page = Page::default();
    let mut take = |piece: &[u8]| {
        let read = &mut |piece: &[u8]| page.read(piece, &mut lock());
        marking.take(piece, read)
    };
    let came = body::pieces(method, response, bytes_max, &mut take).await;
    let end = || match marking.end() {
        Ended::Same => Ok(Came::Same),
        Ended::Other(mark, held) => {
            page.read(&held, &mut lock())?;
            page.end().map(|()| Came::Read(mark))
        }
    };
    let ended = || end().map_err(|reason| Error::answer(method, &url, reason));
    came.and_then(|()| ended())
        .inspect_err(|_| lock().go_back(before))
}

/// Returns a header value that no log of the http client shows.
pub(super) fn sensitive(value: &Secret<String>, url: &Url) -> Result<HeaderValue, Error> {
    let mut header = HeaderValue::from_str(value.expose()).map_err(|_| {
        let reason = "the credential holds characters that no header can carry";
        Error::answer(&Method::GET, url, reason)
    })?;
    header.set_sensitive(true);
    Ok(header)
}
