//! Smart HTTP: one GET for what a server offers, one POST for each exchange.
//!
//! In: a [`Remote`]. Out: packet lines, as they arrive. Credentials go only to the remote's own host;
//! a redirect to another one is an error. Every body is bounded. It knows no Git object.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use futures::StreamExt as _;

use super::{
    AGENT, Error,
    error::chain,
    lines::Lines,
    mirror::lock,
    proxy::Proxy,
    remote::{Remote, Tls, redact_values},
    transport::Service,
    url::Way,
};
use crate::outbound::{self, Hosts};

/// Redirects followed for the first request.
const REDIRECTS_MAX: usize = 5;
/// Time to open a connection; the whole exchange is bound by the remote's timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an error page is shown.
const ERROR_TEXT_BYTES_MAX: usize = 1024;
/// Clients kept, one for each purpose; above it the set starts anew.
const CLIENTS_MAX: usize = 256;

/// HTTP clients by what they were built for, so that connections are used again.
#[derive(Debug, Default)]
pub(super) struct Clients {
    hosts: Hosts,
    made: Mutex<HashMap<Purpose, reqwest::Client>>,
}

/// What makes one client another.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Purpose {
    is_tls: bool,
    tls: Tls,
    proxy: Option<Proxy>,
}

impl Clients {
    /// Returns clients that ask only hosts that may be asked.
    pub(super) fn new(hosts: Hosts) -> Self {
        Self {
            hosts,
            made: Mutex::default(),
        }
    }

    pub(super) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Fails when a URL's host is an address that may not be asked; names are checked when they are
    /// resolved.
    pub(super) fn check(&self, url: &str) -> Result<(), Error> {
        let Ok(parsed) = reqwest::Url::parse(url) else {
            return Ok(());
        };
        self.hosts.check_url(&parsed).map_err(|cause| Error::Host {
            url: url.to_owned(),
            cause,
        })
    }

    /// Returns the client for a remote. Fails when its certificates cannot be used, and when it or its
    /// proxy may not be asked.
    pub(super) fn client(&self, remote: &Remote) -> Result<reqwest::Client, Error> {
        self.check(remote.url.as_str())?;
        if let Some(proxy) = &remote.proxy {
            self.check(&proxy.address)?;
        }
        let mut clients = lock(&self.made);
        let key = Purpose {
            is_tls: is_tls(remote),
            tls: remote.tls.clone(),
            proxy: remote.proxy.clone(),
        };
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        let client = build(remote, &self.hosts)?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn is_tls(remote: &Remote) -> bool {
    matches!(remote.url.way(), Way::Http { tls: true, .. })
}

/// Where trust in servers comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Roots {
    /// The system's roots and the remote's own.
    System,
    /// The remote's own alone.
    Own,
}

/// Returns a client that trusts and shows what `remote.tls` says. A machine without roots of its own,
/// such as an empty container, still reaches http remotes and those with a CA of their own.
fn build(remote: &Remote, hosts: &Hosts) -> Result<reqwest::Client, Error> {
    let failed = |cause: reqwest::Error| Error::Connection {
        act: "prepare a client for",
        url: remote.url.to_string(),
        cause: chain(&cause),
    };
    let needs_system = remote.tls.ca.is_none() && is_tls(remote);
    match builder(remote, Roots::System, hosts)?.build() {
        Ok(client) => Ok(client),
        Err(cause) if needs_system => Err(failed(cause)),
        Err(_) => builder(remote, Roots::Own, hosts)?.build().map_err(failed),
    }
}

fn builder(remote: &Remote, roots: Roots, hosts: &Hosts) -> Result<reqwest::ClientBuilder, Error> {
    let secret = |reason: String| Error::Secret {
        secret: remote.identity.clone(),
        reason,
    };
    // Another part of the process may have installed the same provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(format!("git/{AGENT}"))
        .connect_timeout(CONNECT_TIMEOUT)
        .dns_resolver(hosts.clone())
        .redirect(reqwest::redirect::Policy::custom(follow));
    let mut own = Vec::new();
    if let Some(ca) = &remote.tls.ca {
        own = reqwest::Certificate::from_pem_bundle(ca)
            .map_err(|cause| secret(format!("ca.crt: {}", chain(&cause))))?;
        if own.is_empty() {
            return Err(secret("ca.crt holds no PEM certificate".to_owned()));
        }
    }
    builder = match roots {
        Roots::System => builder.tls_certs_merge(own),
        Roots::Own => builder.tls_certs_only(own),
    };
    if let Some(client) = &remote.tls.client {
        let identity = reqwest::Identity::from_pem(client.expose())
            .map_err(|_| secret("tls.crt and tls.key are no PEM certificate and key".into()))?;
        builder = builder.identity(identity);
    }
    if let Some(proxy) = &remote.proxy {
        let through = proxy.all().map_err(|cause| Error::Connection {
            act: "use the proxy to",
            url: remote.url.to_string(),
            cause,
        });
        builder = builder.proxy(through?);
    }
    Ok(builder)
}

/// Follows redirects within one host that do not leave https.
fn follow(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let Some(first) = attempt.previous().first() else {
        return attempt.follow();
    };
    if attempt.previous().len() > REDIRECTS_MAX {
        return attempt.error("too many redirects");
    }
    let downgraded = first.scheme() == "https" && attempt.url().scheme() != "https";
    if first.host_str() != attempt.url().host_str() || downgraded {
        let target = attempt.url().host_str().unwrap_or_default().to_owned();
        return attempt.error(format!(
            "redirected to {target}; set spec.url to its new place"
        ));
    }
    attempt.follow()
}

/// One remote behind a client.
#[derive(Debug, Clone)]
pub(super) struct Http {
    pub(super) client: reqwest::Client,
    pub(super) remote: Remote,
}

impl Http {
    /// Returns the lines of `info/refs` and the URL that further requests go to.
    pub(super) async fn advertisement(
        &self,
        service: Service,
        max: u64,
    ) -> Result<(String, Lines), Error> {
        let url = format!("{}/info/refs?service={}", self.remote.url, service.name());
        let mut request = self.client.get(url);
        if service == Service::UploadPack {
            request = request.header("Git-Protocol", "version=2");
        }
        let response = self.send(request).await?;
        let base = response
            .url()
            .as_str()
            .split_once("/info/refs")
            .map_or_else(|| self.remote.url.to_string(), |(base, _)| base.to_owned());
        let want = format!("application/x-{}-advertisement", service.name());
        self.check_type(&response, &want)?;
        Ok((base, self.lines(response, "reference advertisement", max)))
    }

    /// Sends `body` to a service and returns the lines of its answer, at most `max` bytes.
    pub(super) async fn post(
        &self,
        base: &str,
        service: Service,
        body: Vec<u8>,
        (what, max): (&'static str, u64),
    ) -> Result<Lines, Error> {
        let name = service.name();
        let mut request = self
            .client
            .post(format!("{base}/{name}"))
            .header("Content-Type", format!("application/x-{name}-request"))
            .header("Accept", format!("application/x-{name}-result"))
            .body(body);
        if service == Service::UploadPack {
            request = request.header("Git-Protocol", "version=2");
        }
        let response = self.send(request).await?;
        self.check_type(&response, &format!("application/x-{name}-result"))?;
        Ok(self.lines(response, what, max))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Error> {
        let request = match self.remote.authorization() {
            Some(header) => request.header("Authorization", header.expose().as_str()),
            None => request,
        };
        let response = request.send().await.map_err(|cause| {
            let url = self.remote.url.to_string();
            match outbound::refusal(&cause) {
                Some(refused) => Error::Host {
                    url,
                    cause: refused.clone(),
                },
                None => Error::Connection {
                    act: "connect to",
                    url,
                    cause: chain(&cause.without_url()),
                },
            }
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let url = self.remote.url.to_string();
        Err(match status.as_u16() {
            status @ (401 | 403) => Error::Authentication {
                url,
                status,
                text: self.error_text(response).await,
            },
            404 => Error::NotFound { url },
            status => Error::Status {
                url,
                status,
                text: self.error_text(response).await,
            },
        })
    }

    /// Returns the first line of a plain text answer as `: text`, without secrets.
    async fn error_text(&self, response: reqwest::Response) -> String {
        let plain = response
            .headers()
            .get("content-type")
            .is_some_and(|value| value.as_bytes().starts_with(b"text/plain"));
        if !plain {
            return String::new();
        }
        let mut bytes = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(Ok(chunk)) = stream.next().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() >= ERROR_TEXT_BYTES_MAX {
                bytes.truncate(ERROR_TEXT_BYTES_MAX);
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        match text.lines().next().map(str::trim) {
            Some(line) if !line.is_empty() => {
                format!(": {}", redact_values(line, &self.remote.secrets()))
            }
            _ => String::new(),
        }
    }

    fn check_type(&self, response: &reqwest::Response, want: &str) -> Result<(), Error> {
        let have = response
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if have == want {
            return Ok(());
        }
        if have.starts_with("text/plain") && want.ends_with("-advertisement") {
            return Err(Error::Unsupported {
                url: self.remote.url.to_string(),
                what: "dumb http",
            });
        }
        Err(Error::Protocol {
            url: self.remote.url.to_string(),
            what: format!(
                "the server does not speak the smart HTTP protocol here (content type {have:?}, \
                 expected {want:?})"
            ),
        })
    }

    fn lines(&self, response: reqwest::Response, what: &'static str, max: u64) -> Lines {
        let stream = response
            .bytes_stream()
            .map(|chunk| chunk.map_err(|cause| chain(&cause.without_url())))
            .boxed();
        Lines::of_body(self.remote.url.to_string(), stream, (what, max))
    }
}
