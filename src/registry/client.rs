//! The [`Client`]: one for the process, shared by all scans; it remembers connections, challenges,
//! tokens and hosts that asked for quiet, so that a scan in steady state costs its pages only.
//!
//! In: a `Repository` and an [`Access`]. Out: a [`Listing`] or a digest. A call is one budget of
//! time; a listing is whole or an error, never a part.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::{self, HeaderMap, HeaderName};

use super::exchange::{Ask, Session, Want};
use super::throttle::Quiet;
use super::token::Tokens;
use super::{Access, BODY_BYTES_MAX, Error, PAGES_MAX, TAGS_MAX, Tls};
use super::{access, digest, exchange, link, page};
use crate::image::{Digest, Repository, Tag, TagList};

/// Tags asked for in one page, as Flux asks; registries may give fewer or all.
const PAGE_TAGS: usize = 1000;

/// Registries that are remembered at once; above it all are forgotten and met anew.
const REGISTRIES_MAX: usize = 4096;

/// Http clients for different certificates that are kept at once.
const TRANSPORTS_MAX: usize = 256;

/// Time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Time between two pieces of one body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Redirects of one request.
const REDIRECTS_MAX: usize = 5;

/// How often and how soon a failed request is sent again.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// Tries after the first.
    pub n_more: usize,
    /// The wait before the second try; the next is three times as long.
    pub first_wait: Duration,
    /// The longest `Retry-After` that is waited for inside a call; a longer one ends it.
    pub wait_max: Duration,
}

impl Default for Retries {
    /// Flux's: three tries, after one and three seconds.
    fn default() -> Self {
        Self {
            n_more: 2,
            first_wait: Duration::from_secs(1),
            wait_max: Duration::from_secs(10),
        }
    }
}

/// A complete list of a repository's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The tags that were kept, descending by bytes, each once.
    pub tags: TagList,
    /// How many tags the predicate dropped.
    pub n_excluded: usize,
    /// How many pages the registry gave.
    pub n_pages: usize,
}

/// Asks registries.
#[derive(Debug, Default)]
pub struct Client {
    retries: Retries,
    limits: Limits,
    pub(super) tokens: Tokens,
    pub(super) quiet: Quiet,
    transports: Mutex<HashMap<Transport, reqwest::Client>>,
    registries: Mutex<HashMap<RegistryKey, Arc<exchange::Registry>>>,
}

/// The bounds of a scan, smaller in tests.
#[derive(Debug, Clone, Copy)]
struct Limits {
    pages_max: usize,
    tags_max: usize,
    body_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pages_max: PAGES_MAX,
            tags_max: TAGS_MAX,
            body_bytes_max: BODY_BYTES_MAX,
        }
    }
}

/// What makes one http client differ from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Transport {
    tls: Option<Tls>,
    /// Proxies of the environment are not for this machine.
    loopback: bool,
    /// Plain http needs no roots, so that none need be installed for it.
    plain: bool,
}

/// A registry as one access sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RegistryKey {
    host: String,
    tls: Option<Tls>,
    insecure: bool,
}

impl RegistryKey {
    fn new(repository: &Repository, access: &Access) -> Self {
        Self {
            host: repository.registry().to_string(),
            tls: access.tls.clone(),
            insecure: access.insecure,
        }
    }
}

impl Client {
    /// Returns a client with Flux's retries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a client with other retries.
    pub fn with_retries(retries: Retries) -> Self {
        Self {
            retries,
            ..Self::default()
        }
    }

    /// Returns the same client with smaller bounds, so that tests can reach them.
    #[must_use]
    pub fn bounded(mut self, pages_max: usize, tags_max: usize, body_bytes_max: usize) -> Self {
        self.limits = Limits {
            pages_max: pages_max.min(PAGES_MAX),
            tags_max: tags_max.min(TAGS_MAX),
            body_bytes_max: body_bytes_max.min(BODY_BYTES_MAX),
        };
        self
    }

    /// Returns all tags of a repository for which `keep` is true. Fails when any page is missing,
    /// broken, beyond a bound or elsewhere, and when the budget of time is used up.
    pub async fn tags(
        &self,
        repository: &Repository,
        access: &Access,
        keep: &(dyn Fn(&str) -> bool + Send + Sync),
    ) -> Result<Listing, Error> {
        self.within(repository, access, self.all_pages(repository, access, keep))
            .await
    }

    /// Returns the digest that a tag points to. Fails when the tag is not there, and as
    /// [`Client::tags`] does.
    pub async fn digest(
        &self,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<Digest, Error> {
        self.within(repository, access, self.one_digest(repository, tag, access))
            .await
    }

    async fn within<T>(
        &self,
        repository: &Repository,
        access: &Access,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let done = tokio::time::timeout(access.timeout, call).await;
        let done = done.unwrap_or_else(|_| {
            Err(Error::Timeout {
                registry: repository.registry().to_string(),
                timeout: access.timeout,
            })
        });
        if matches!(done, Err(Error::Exchange { .. } | Error::Timeout { .. })) {
            // It may have moved, or speak another scheme now.
            let mut registries = self
                .registries
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            registries.remove(&RegistryKey::new(repository, access));
        }
        done
    }

    async fn all_pages(
        &self,
        repository: &Repository,
        access: &Access,
        keep: &(dyn Fn(&str) -> bool + Send + Sync),
    ) -> Result<Listing, Error> {
        let session = self.session(repository, access).await?;
        let mut url = session.url(&format!("tags/list?n={PAGE_TAGS}"))?;
        let tags = Mutex::new(page::Tags::new(keep, self.limits.tags_max));
        let mut seen = HashSet::new();
        loop {
            let refuse = |reason: String| Error::answer(&Method::GET, &url, reason);
            if !seen.insert(url.clone()) {
                return Err(refuse("Link leads to a page that was read before".into()));
            }
            if seen.len() > self.limits.pages_max {
                return Err(refuse(format!("more than {} pages", self.limits.pages_max)));
            }
            let answer = session.request(Ask {
                method: Method::GET,
                url: &url,
                want: Want::Tags(&tags, self.limits.body_bytes_max),
            });
            let answer = answer.await?;
            let links = texts(&answer.headers, &header::LINK);
            let links = links.iter().map(String::as_str);
            match link::next(&answer.url, links).map_err(refuse)? {
                Some(next) => url = next,
                None => break,
            }
        }
        let tags = tags.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (tags, n_excluded) = tags.finish();
        Ok(Listing {
            tags,
            n_excluded,
            n_pages: seen.len(),
        })
    }

    async fn one_digest(
        &self,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<Digest, Error> {
        let session = self.session(repository, access).await?;
        let url = session.url(&format!("manifests/{}", tag.as_str()))?;
        let head = session.request(Ask {
            method: Method::HEAD,
            url: &url,
            want: Want::Headers,
        });
        match head.await {
            Ok(answer) => {
                if let Some(stated) = stated_digest(&answer.headers) {
                    return Ok(stated);
                }
            }
            // Registries without HEAD still have the manifest.
            Err(error) if matches!(error.status(), Some(400 | 405 | 406 | 415 | 501)) => {}
            Err(error) => return Err(error),
        }
        let answer = session.request(Ask {
            method: Method::GET,
            url: &url,
            want: Want::Bytes(digest::MANIFEST_BYTES_MAX),
        });
        let answer = answer.await?;
        let stated = stated_digest(&answer.headers);
        let found = digest::of(&answer.body);
        match stated {
            Some(stated) if stated != found => Err(Error::answer(
                &Method::GET,
                &url,
                format!("manifest has digest {found}, not {stated} as its header says"),
            )),
            _ => Ok(found),
        }
    }

    pub(super) fn retries(&self) -> Retries {
        self.retries
    }

    async fn session<'a>(
        &'a self,
        repository: &'a Repository,
        access: &'a Access,
    ) -> Result<Session<'a>, Error> {
        if let Some(wait) = self
            .quiet
            .left(repository.registry().as_str(), Instant::now())
        {
            return Err(Error::Throttled {
                registry: repository.registry().to_string(),
                wait,
            });
        }
        let key = RegistryKey::new(repository, access);
        let known = {
            let registries = self
                .registries
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            registries.get(&key).cloned()
        };
        let registry = match known {
            Some(known) => known,
            None => {
                let met = exchange::ping(self, repository, access).await?;
                let met = Arc::new(met);
                let mut registries = self
                    .registries
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                if registries.len() >= REGISTRIES_MAX {
                    registries.clear();
                }
                registries.insert(key, Arc::clone(&met));
                met
            }
        };
        Ok(Session::new(self, registry, repository, access))
    }

    /// Returns the http client for an access, made at the first use.
    pub(super) fn transport(
        &self,
        repository: &Repository,
        access: &Access,
        plain: bool,
    ) -> Result<reqwest::Client, Error> {
        let transport = Transport {
            tls: access.tls.clone().filter(|_| !plain),
            loopback: access::is_loopback(repository.registry()),
            plain,
        };
        let mut transports = self
            .transports
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = transports.get(&transport) {
            return Ok(client.clone());
        }
        let client = transport.client()?;
        if transports.len() >= TRANSPORTS_MAX {
            transports.clear();
        }
        transports.insert(transport, client.clone());
        Ok(client)
    }
}

impl Transport {
    fn client(&self) -> Result<reqwest::Client, Error> {
        // An error means that the process has chosen its provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(reqwest::redirect::Policy::custom(redirect));
        if self.loopback {
            builder = builder.no_proxy();
        }
        if self.plain {
            builder = builder.tls_certs_only([]);
        }
        if let Some(tls) = &self.tls {
            builder = tls.apply(builder)?;
        }
        builder.build().map_err(|source| Error::Setup { source })
    }
}

/// Follows a few redirects, never from https to http. The client itself drops the credential when
/// the host changes.
fn redirect(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let from_https = attempt.previous().iter().any(|url| url.scheme() == "https");
    if from_https && attempt.url().scheme() != "https" {
        return attempt.error("redirect from https to http");
    }
    if attempt.previous().len() > REDIRECTS_MAX {
        return attempt.error("too many redirects");
    }
    attempt.follow()
}

/// Returns the values of a header that are text.
pub(super) fn texts(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .map(str::to_owned)
        .collect()
}

fn stated_digest(headers: &HeaderMap) -> Option<Digest> {
    let value = headers.get("docker-content-digest")?;
    Digest::parse(value.to_str().ok()?).ok()
}
