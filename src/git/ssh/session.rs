//! A session with an ssh server: connected, the host's key checked, logged in.
//!
//! In: a [`Remote`]. Out: channels that run one of Git's programs. Each step has a deadline of its own;
//! the whole is bound by the remote's timeout. The only way to log in is the key.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
    time::Duration,
};

use russh::{
    SshId,
    client::{self, AuthResult, Config, Handle, Handler},
    keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate},
};
use tokio::net::TcpStream;

use super::{
    super::{
        AGENT, Error,
        error::chain,
        known_hosts::Trust,
        mirror::lock,
        remote::{Credentials, Remote},
        transport::Service,
        url::{SshAddress, Way},
    },
    Pipe, SshIdentity, socks,
};
use crate::outbound::Hosts;

/// Time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for banners and the exchange of keys.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time to log in and to open a channel, each.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(20);

/// A session that is logged in.
pub(super) struct Session(Handle<Guard>);

/// Looks at the host's key, and remembers why it was refused.
struct Guard {
    trust: Trust,
    refused: Arc<Mutex<Option<String>>>,
}

impl Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let checked = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.trust.check(key),
            PublicKeyOrCertificate::Certificate(_) => {
                Err("the host showed a certificate, which is not supported".to_owned())
            }
        };
        let is_good = checked.is_ok();
        *lock(&self.refused) = checked.err();
        Ok(is_good)
    }
}

impl Session {
    /// Connects and logs in. Fails with the host key's own error when that is the reason.
    pub(super) async fn open(remote: &Remote, hosts: &Hosts) -> Result<Self, Error> {
        let url = || remote.url.to_string();
        let (Way::Ssh(address), Credentials::Ssh(identity)) =
            (remote.url.way(), &remote.credentials)
        else {
            return Err(Error::Url {
                url: url(),
                reason: "needs a Secret with identity and known_hosts (spec.secretRef)".to_owned(),
            });
        };
        let untrusted = |reason: String| Error::HostKey { url: url(), reason };
        let trust = identity.known_hosts.trust(&address.host, address.port);
        let trust = trust.map_err(untrusted)?;
        let config = config(remote, &trust).map_err(untrusted)?;
        let forbidden = |cause| Error::Host { url: url(), cause };
        hosts.check_host(&address.host).map_err(forbidden)?;
        let stream = connect(remote, (&address.host, address.port), hosts).await?;
        let refused = Arc::<Mutex<Option<String>>>::default();
        let guard = Guard {
            trust,
            refused: Arc::clone(&refused),
        };
        let shake = client::connect_stream(Arc::new(config), stream, guard);
        let shaken = within(remote, "shake hands with", HANDSHAKE_TIMEOUT, shake).await;
        let mut handle = match (shaken, lock(&refused).take()) {
            (_, Some(reason)) => return Err(untrusted(reason)),
            (shaken, None) => shaken?,
        };
        within(remote, "log in to", LOGIN_TIMEOUT, async {
            Ok::<_, russh::Error>(login(&mut handle, address, identity).await)
        })
        .await?
        .map_err(|cause| Error::Login { url: url(), cause })?;
        Ok(Self(handle))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Starts a service's program on a channel of its own.
    pub(super) async fn start(&self, remote: &Remote, service: Service) -> Result<Pipe, Error> {
        let Way::Ssh(address) = remote.url.way() else {
            return Err(Error::Url {
                url: remote.url.to_string(),
                reason: "is not one of ssh".to_owned(),
            });
        };
        let command = format!("{} {}", service.name(), quoted(&address.path));
        within(remote, "open a channel of", LOGIN_TIMEOUT, async {
            let channel = self.0.channel_open_session().await?;
            if service == Service::UploadPack {
                channel.set_env(false, "GIT_PROTOCOL", "version=2").await?;
            }
            channel.exec(true, command).await?;
            Ok::<_, russh::Error>(Pipe::new(channel, service, remote.timeout))
        })
        .await
    }
}

/// Returns a connection to a host, through the remote's proxy if it has one.
async fn connect(
    remote: &Remote,
    (host, port): (&str, u16),
    hosts: &Hosts,
) -> Result<TcpStream, Error> {
    let to = async |host: &str, port: u16| {
        let places = hosts.addresses(host, port).await?;
        let stream = TcpStream::connect(places.as_slice()).await?;
        stream.set_nodelay(true)?;
        Ok::<_, std::io::Error>(stream)
    };
    let Some(proxy) = &remote.proxy else {
        return within(remote, "connect to", CONNECT_TIMEOUT, to(host, port)).await;
    };
    let (proxy_host, proxy_port) = proxy.place();
    hosts.check_host(&proxy_host).map_err(|cause| Error::Host {
        url: proxy.address.clone(),
        cause,
    })?;
    let connected = within(
        remote,
        "use the proxy to",
        CONNECT_TIMEOUT,
        to(&proxy_host, proxy_port),
    );
    let mut stream = connected.await?;
    let led = socks::connect(&mut stream, proxy, (host, port));
    within(remote, "use the proxy to", CONNECT_TIMEOUT, led).await?;
    Ok(stream)
}

/// Returns the settings of a session: the host's known kinds of keys, and no end before the remote's
/// timeout.
fn config(remote: &Remote, trust: &Trust) -> Result<Config, String> {
    let mut config = Config {
        client_id: SshId::Standard(Cow::Owned(format!("SSH-2.0-{}", AGENT.replace('/', "_")))),
        inactivity_timeout: Some(remote.timeout),
        nodelay: true,
        ..Config::default()
    };
    let algorithms = trust.algorithms(&config.preferred.key);
    if algorithms.is_empty() {
        return Err("knownhosts: all keys of the host are of kinds that are refused".to_owned());
    }
    config.preferred.key = Cow::Owned(algorithms);
    Ok(config)
}

async fn login(
    handle: &mut Handle<Guard>,
    address: &SshAddress,
    identity: &SshIdentity,
) -> Result<(), String> {
    let key = Arc::clone(&identity.key);
    let mut hash = None;
    if key.algorithm().is_rsa() {
        // A server that does not say takes SHA-512; signatures over SHA-1 are never made.
        let best = handle
            .best_supported_rsa_hash()
            .await
            .map_err(|cause| chain(&cause))?;
        hash = best.flatten().or(Some(HashAlg::Sha512));
    }
    let print = key.fingerprint(HashAlg::Sha256);
    let shown = format!("{} {print}", key.algorithm());
    let key = PrivateKeyWithHashAlg::new(key, hash);
    let result = handle
        .authenticate_publickey(address.user.as_str(), key)
        .await;
    match result.map_err(|cause| chain(&cause))? {
        AuthResult::Success => Ok(()),
        AuthResult::Failure {
            partial_success: true,
            ..
        } => Err(format!(
            "the server takes key {shown}, but wants more than a key"
        )),
        AuthResult::Failure { .. } => Err(format!(
            "the server does not take key {shown} of user {:?}",
            address.user
        )),
    }
}

/// Bounds a step; an act that fails is told with its name.
async fn within<T, E: std::error::Error>(
    remote: &Remote,
    act: &'static str,
    limit: Duration,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, Error> {
    let failed = |cause: String| Error::Connection {
        act,
        url: remote.url.to_string(),
        cause,
    };
    match tokio::time::timeout(limit, step).await {
        Ok(done) => done.map_err(|cause| failed(chain(&cause))),
        Err(_) => Err(failed(format!("nothing came within {limit:?}"))),
    }
}

/// Returns a path as one word of the server's shell, as Git's own client quotes it.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', "'\\''").replace('!', "'\\!'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_it_holds() {
        for (path, want) in [
            ("/srv/a b", "'/srv/a b'"),
            ("/it's", "'/it'\\''s'"),
            ("/a!b", "'/a'\\!'b'"),
            ("/$(id);`id`", "'/$(id);`id`'"),
        ] {
            assert_eq!(quoted(path), want);
        }
    }
}
