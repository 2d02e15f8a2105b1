//! Git's programs on a server, over ssh in process: one session, a channel for each program.
//!
//! In: a [`Remote`] with an ssh URL and identity. Out: packet lines. The session is opened when it is
//! first needed, after the host's key was found in `known_hosts`, and ends with the last clone of this
//! value. A channel that has answered whole takes the next request. It runs no program here.

mod pipe;
mod session;
mod socks;

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use russh::keys::PrivateKey;

use super::{
    Error,
    known_hosts::{KNOWN_HOSTS, KnownHosts},
    lines::{Line, Lines},
    mirror::lock,
    pkt,
    private_key::private_key,
    references::REFERENCES_BYTES_MAX,
    remote::Remote,
    transport::Service,
};
pub(super) use pipe::Pipe;
use session::Session;

use crate::outbound::Hosts;

/// How ssh says who asks, and whom it believes.
#[derive(Clone)]
pub struct SshIdentity {
    pub(super) key: Arc<PrivateKey>,
    pub(super) known_hosts: Arc<KnownHosts>,
}

impl fmt::Debug for SshIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SshIdentity(***)")
    }
}

impl SshIdentity {
    /// Returns what the Secret `secret` holds under `identity`, `password` and `known_hosts`. Fails when
    /// the first or the last is missing or cannot be used.
    pub(super) fn from_secret<'a>(
        secret: &str,
        value: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, Error> {
        let error = |reason: String| Error::Secret {
            secret: secret.to_owned(),
            reason,
        };
        let key = private_key(secret, &value)?;
        let lines = value(KNOWN_HOSTS);
        let lines = lines.ok_or_else(|| error(format!("has no {KNOWN_HOSTS:?}")))?;
        let known_hosts = KnownHosts::parse(lines).map_err(error)?;
        Ok(Self {
            key: Arc::new(key),
            known_hosts: Arc::new(known_hosts),
        })
    }
}

/// One remote behind a session.
#[derive(Clone)]
pub(super) struct Ssh {
    pub(super) remote: Remote,
    hosts: Hosts,
    session: Arc<tokio::sync::Mutex<Option<Session>>>,
    /// Channels whose program waits for a request.
    ready: Arc<Mutex<Vec<(Service, Pipe)>>>,
}

impl Ssh {
    /// Returns a remote that nothing was said to yet.
    pub(super) fn new(remote: Remote, hosts: Hosts) -> Self {
        Self {
            remote,
            hosts,
            session: Arc::default(),
            ready: Arc::default(),
        }
    }

    /// Starts a service's program and returns the lines of what it offers.
    pub(super) async fn advertisement(&self, service: Service, max: u64) -> Result<Lines, Error> {
        let pipe = self.open(service).await?;
        Ok(self.lines(pipe, ("reference advertisement", max)))
    }

    /// Sends `body` to a program that waits, or to a new one, and returns the lines of its answer.
    pub(super) async fn post(
        &self,
        service: Service,
        body: Vec<u8>,
        bound: (&'static str, u64),
    ) -> Result<Lines, Error> {
        let waiting = {
            let mut ready = lock(&self.ready);
            let at = ready.iter().position(|(of, _)| *of == service);
            at.map(|at| ready.swap_remove(at).1)
        };
        let mut pipe = match waiting {
            Some(pipe) => pipe,
            None => self.offered(service).await?,
        };
        pipe.send(body).await.map_err(|cause| Error::Connection {
            act: "write to",
            url: self.remote.url.to_string(),
            cause,
        })?;
        Ok(self.lines(pipe, bound))
    }

    /// Keeps the channel of an answer that was read up to its end, for the next request.
    pub(super) fn keep(&self, service: Service, lines: Lines) {
        let Some(pipe) = lines.into_pipe() else {
            return;
        };
        let mut ready = lock(&self.ready);
        ready.retain(|(of, _)| *of != service);
        ready.push((service, pipe));
    }

    /// Ends the programs that have answered: each reads the references once and knows no later ones.
    pub(super) fn renew(&self) {
        lock(&self.ready).retain(|(_, pipe)| pipe.is_new());
    }

    /// Starts a program anew and reads past what it offers, which is known.
    async fn offered(&self, service: Service) -> Result<Pipe, Error> {
        let mut lines = self.advertisement(service, REFERENCES_BYTES_MAX).await?;
        let is_same = match (service, lines.expect().await?) {
            (Service::UploadPack, Line::Data(data)) => pkt::text(&data) == "version 2",
            (Service::UploadPack, _) => false,
            (Service::ReceivePack, _) => true,
        };
        if !is_same {
            return Err(lines.broken("the server no longer speaks protocol version 2"));
        }
        while lines.expect().await? != Line::Flush {}
        let what = "the server says more than it offers";
        let broken = lines.broken(what);
        lines.into_pipe().ok_or(broken)
    }

    /// Starts a service's program in the session, or in a new one when that has ended, perhaps unseen.
    async fn open(&self, service: Service) -> Result<Pipe, Error> {
        let mut session = self.session.lock().await;
        if let Some(kept) = session.take_if(|kept| !kept.is_closed())
            && let Ok(pipe) = kept.start(&self.remote, service).await
        {
            *session = Some(kept);
            return Ok(pipe);
        }
        let fresh = Session::open(&self.remote, &self.hosts).await?;
        let pipe = fresh.start(&self.remote, service).await?;
        *session = Some(fresh);
        Ok(pipe)
    }

    fn lines(&self, pipe: Pipe, bound: (&'static str, u64)) -> Lines {
        Lines::of_pipe(self.remote.url.to_string(), pipe, bound)
    }
}

impl fmt::Debug for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ssh({})", self.remote.url)
    }
}
