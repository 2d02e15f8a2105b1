//! [`Transports`]: the http clients of the process, one for each set of certificates and proxy.
//!
//! In: an [`Access`]. Out: a client that connects only to addresses that may be asked, follows few
//! redirects, and never one from https to http. It sends nothing itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Access, Error, Proxy, Tls, access};
use crate::image::Repository;
use crate::outbound::Hosts;

/// Http clients that are kept at once; above it all are forgotten and made anew.
const TRANSPORTS_MAX: usize = 256;

/// Time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Time between two pieces of one body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Redirects of one request.
const REDIRECTS_MAX: usize = 5;

/// The http clients of the process.
#[derive(Debug)]
pub(super) struct Transports {
    pub(super) hosts: Hosts,
    read_timeout: Duration,
    clients: Mutex<HashMap<Transport, reqwest::Client>>,
}

/// What makes one http client differ from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Transport {
    tls: Option<Tls>,
    proxy: Option<Proxy>,
    /// Proxies of the environment are not for this machine.
    loopback: bool,
    /// Plain http needs no roots, so that none need be installed for it.
    plain: bool,
}

impl Default for Transports {
    fn default() -> Self {
        Self {
            hosts: Hosts::default(),
            read_timeout: READ_TIMEOUT,
            clients: Mutex::default(),
        }
    }
}

impl Transports {
    /// Returns the same, without clients, for other hosts.
    pub(super) fn with_hosts(self, hosts: Hosts) -> Self {
        Self {
            hosts,
            ..Self::default().with_read_timeout(self.read_timeout)
        }
    }

    /// Returns the same, without clients, with another time between two pieces of a body.
    pub(super) fn with_read_timeout(self, read_timeout: Duration) -> Self {
        Self {
            hosts: self.hosts,
            read_timeout,
            clients: Mutex::default(),
        }
    }

    /// Returns the http client for an access, made at the first use.
    pub(super) fn client(
        &self,
        repository: &Repository,
        access: &Access,
        plain: bool,
    ) -> Result<reqwest::Client, Error> {
        self.get(Transport {
            tls: access.tls.clone().filter(|_| !plain),
            proxy: access.proxy.clone(),
            loopback: access::is_loopback(repository.registry()),
            plain,
        })
    }

    fn get(&self, transport: Transport) -> Result<reqwest::Client, Error> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&transport) {
            return Ok(client.clone());
        }
        let client = transport.client(&self.hosts, self.read_timeout)?;
        if clients.len() >= TRANSPORTS_MAX {
            clients.clear();
        }
        clients.insert(transport, client.clone());
        Ok(client)
    }
}

impl Transport {
    fn client(&self, hosts: &Hosts, read_timeout: Duration) -> Result<reqwest::Client, Error> {
        // An error means that the process has chosen its provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let checked = hosts.clone();
        let redirect = move |attempt: reqwest::redirect::Attempt<'_>| redirect(&checked, attempt);
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(read_timeout)
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .dns_resolver(hosts.clone())
            .redirect(reqwest::redirect::Policy::custom(redirect));
        if self.loopback {
            builder = builder.no_proxy();
        }
        if let Some(proxy) = &self.proxy {
            let checked = hosts.check_host(proxy.host());
            checked.map_err(|source| Error::Address {
                place: "proxy".to_owned(),
                source,
            })?;
            builder = builder.proxy(proxy.all()?);
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

/// Follows a few redirects to hosts that may be asked, never from https to http. The client itself
/// drops the credential when the host changes.
fn redirect(hosts: &Hosts, attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let from_https = attempt.previous().iter().any(|url| url.scheme() == "https");
    if from_https && attempt.url().scheme() != "https" {
        return attempt.error("redirect from https to http");
    }
    if attempt.previous().len() > REDIRECTS_MAX {
        return attempt.error("too many redirects");
    }
    match hosts.check_url(attempt.url()) {
        Ok(()) => attempt.follow(),
        Err(refused) => attempt.error(refused),
    }
}
