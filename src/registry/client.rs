//! The [`Client`]: one for the process, shared by all scans; it remembers connections, challenges,
//! tokens and hosts that asked for quiet, so that a scan in steady state costs its pages only.
//!
//! In: a `Repository` and an [`Access`]. Out: a [`Listing`] or a digest. A call is one budget of
//! time; a listing is whole or an error, never a part.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName};

use super::cloud::{Asked, Logins, Surroundings};
use super::exchange::{self, Registry};
use super::pages::{self, Walk};
use super::session::{Ask, Call, Session, Want};
use super::throttle::Quiet;
use super::token::Tokens;
use super::transport::Transports;
use super::{Access, BODY_BYTES_MAX, Error, Listing, PAGES_MAX, TAGS_MAX, Validator};
use super::{Proxy, Realms, Retries, Tls, digest};
use crate::image::{Digest, Repository, Tag};
use crate::outbound::Hosts;

/// Registries that are remembered at once; above it all are forgotten and met anew.
const REGISTRIES_MAX: usize = 4096;

/// Asks registries.
#[derive(Debug, Default)]
pub struct Client {
    retries: Retries,
    limits: Limits,
    pub(super) tokens: Tokens,
    pub(super) quiet: Quiet,
    pub(super) transports: Transports,
    pub(super) realms: Realms,
    logins: Logins,
    registries: Mutex<HashMap<RegistryKey, Arc<Registry>>>,
}

/// The bounds of a scan, smaller in tests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) pages_max: usize,
    pub(super) tags_max: usize,
    pub(super) body_bytes_max: usize,
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

/// A registry as one access sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RegistryKey {
    host: String,
    tls: Option<Tls>,
    proxy: Option<Proxy>,
    insecure: bool,
}

impl RegistryKey {
    fn new(repository: &Repository, access: &Access) -> Self {
        Self {
            host: repository.registry().to_string(),
            tls: access.tls.clone(),
            proxy: access.proxy.clone(),
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

    /// Returns the same client, which asks only hosts that may be asked.
    #[must_use]
    pub fn with_hosts(mut self, hosts: Hosts) -> Self {
        self.transports = self.transports.with_hosts(hosts);
        self
    }

    /// Returns the same client, which sends credentials to these token services of other sites too.
    #[must_use]
    pub fn with_realms(mut self, realms: Realms) -> Self {
        self.realms = realms;
        self
    }

    /// Returns the same client, which finds the logins of clouds by these variables.
    #[must_use]
    pub fn with_surroundings(mut self, surroundings: Surroundings) -> Self {
        self.logins = Logins::new(surroundings);
        self
    }

    /// Returns the same client with less patience between two pieces of a body, for tests.
    #[must_use]
    pub fn with_read_timeout(mut self, read_timeout: Duration) -> Self {
        self.transports = self.transports.with_read_timeout(read_timeout);
        self
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
        let all = self.tags_if_changed(repository, access, keep, None).await?;
        Ok(all.expect("because only a known listing can be the same"))
    }

    /// Returns all tags, or `None` when the registry says that they are those of the listing that
    /// `known` is of. It must be of the same repository and `keep`. Fails as [`Client::tags`] does.
    pub async fn tags_if_changed(
        &self,
        repository: &Repository,
        access: &Access,
        keep: &(dyn Fn(&str) -> bool + Send + Sync),
        known: Option<&Validator>,
    ) -> Result<Option<Listing>, Error> {
        let call = async {
            let session = self.session(repository, access).await?;
            self.all_pages(&session, keep, known).await
        };
        self.within(repository, access, call).await
    }

    /// Returns the digest that a tag points to. Fails when the tag is not there, and as
    /// [`Client::tags`] does.
    pub async fn digest(
        &self,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<Digest, Error> {
        let call = async {
            let session = self.session(repository, access).await?;
            one_digest(&session, tag).await
        };
        self.within(repository, access, call).await
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
        if let (Err(Error::Status { status, .. }), Some(provider)) = (&done, access.provider)
            && matches!(status.as_u16(), 401 | 403)
        {
            self.logins.forget(provider, repository.registry().as_str());
        }
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
        session: &Session<'_>,
        keep: &(dyn Fn(&str) -> bool + Send + Sync),
        known: Option<&Validator>,
    ) -> Result<Option<Listing>, Error> {
        let walk = |known| pages::walk(session, &self.limits, keep, known);
        match walk(known).await? {
            Walk::All(listing) => Ok(Some(listing)),
            Walk::Same => Ok(None),
            Walk::Torn => match walk(None).await? {
                Walk::All(listing) => Ok(Some(listing)),
                Walk::Same | Walk::Torn => Ok(None),
            },
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
        let deadline = Instant::now() + access.timeout;
        let mut call = Call {
            client: self,
            repository,
            access,
            credential: access.credential.clone(),
            deadline,
        };
        call.rest(true).await?;
        let key = RegistryKey::new(repository, access);
        let lock = || {
            let registries = self.registries.lock();
            registries.unwrap_or_else(PoisonError::into_inner)
        };
        let known = lock().get(&key).cloned();
        let registry = match known {
            Some(known) => known,
            None => {
                let met = Arc::new(exchange::ping(&call).await?);
                let mut registries = lock();
                if registries.len() >= REGISTRIES_MAX {
                    registries.clear();
                }
                registries.insert(key, Arc::clone(&met));
                met
            }
        };
        if let Some(provider) = access.provider {
            let asked = Asked {
                provider,
                host: repository.registry().as_str(),
                base: &registry.base,
                transport: &registry.transport,
                proxy: access.proxy.as_ref(),
            };
            call.credential = Some(self.logins.credential(&asked).await?);
        }
        Ok(Session::new(call, registry))
    }
}

async fn one_digest(session: &Session<'_>, tag: &Tag) -> Result<Digest, Error> {
    let url = session.url(&format!("manifests/{}", tag.as_str()))?;
    let ask = |method, want| Ask {
        method,
        url: &url,
        want,
        known: None,
    };
    match session.request(ask(Method::HEAD, Want::Headers)).await {
        Ok(answer) => {
            if let Some(stated) = stated_digest(&answer.headers) {
                return Ok(stated);
            }
        }
        // Registries without HEAD still have the manifest.
        Err(error) if matches!(error.status(), Some(400 | 405 | 406 | 415 | 501)) => {}
        Err(error) => return Err(error),
    }
    let want = Want::Bytes(digest::MANIFEST_BYTES_MAX);
    let answer = session.request(ask(Method::GET, want)).await?;
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
