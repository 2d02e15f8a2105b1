//! A remote repository as an object describes it: URL, credentials, TLS, timeout.
//!
//! In: `spec.url` and the data of a Secret. Out: [`Remote`]. Which keys of a Secret count depends on
//! the URL's scheme. It reads no Secret itself.

use std::time::Duration;

use base64::Engine as _;

use super::{
    Error,
    github::{GithubApp, KEYS as KEYS_OF_GITHUB},
    proxy::Proxy,
    ssh::SshIdentity,
    url::{RemoteUrl, Way},
};
use crate::safe::Secret;

/// The time for one exchange with a remote when the object names none; Flux's default.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// How a request says who asks.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// Not at all; the user of an http URL is used when there is one.
    #[default]
    None,
    /// `username` and `password`.
    Basic {
        /// The user.
        username: String,
        /// The password or token.
        password: Secret<String>,
    },
    /// `bearerToken`.
    Bearer(Secret<String>),
    /// `identity`, `password` and `known_hosts`, for ssh.
    Ssh(SshIdentity),
    /// A GitHub App, which gets a token when the repository is opened.
    GithubApp(GithubApp),
}

/// What is trusted and shown when the URL is https.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Tls {
    /// `ca.crt` or `caFile`: PEM certificates added to the system's roots.
    pub ca: Option<Vec<u8>>,
    /// `tls.crt` and `tls.key`: PEM certificate and key of the client.
    pub client: Option<Secret<Vec<u8>>>,
}

/// A remote repository and how it is reached.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Where it is.
    pub url: RemoteUrl,
    /// Who asks, as a name that is no secret (`namespace/name` of the Secret, or empty): remotes
    /// with another identity never share objects on disk.
    pub identity: String,
    /// How it is said.
    pub credentials: Credentials,
    /// What is trusted.
    pub tls: Tls,
    /// What stands between.
    pub proxy: Option<Proxy>,
    /// The time for one fetch or one push.
    pub timeout: Duration,
}

impl Remote {
    /// Returns the remote at `url`, without credentials. Fails as [`RemoteUrl::parse`] does.
    pub fn anonymous(url: &str) -> Result<Self, Error> {
        Ok(Self {
            url: RemoteUrl::parse(url)?,
            identity: String::new(),
            credentials: Credentials::None,
            tls: Tls::default(),
            proxy: None,
            timeout: TIMEOUT_DEFAULT,
        })
    }

    /// Returns this remote with what the Secret `identity` (`namespace/name`) holds; `value` returns
    /// the bytes of a key. Fails when keys contradict each other, are not text, belong to a
    /// transport that is not supported, or when there is none that is known.
    pub fn with_secret<'a>(
        mut self,
        identity: &str,
        value: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, Error> {
        let error = |reason: String| Error::Secret {
            secret: identity.to_owned(),
            reason,
        };
        let text = |key: &str| {
            value(key)
                .map(|bytes| {
                    String::from_utf8(bytes.to_vec())
                        .map_err(|_| error(format!("the key {key:?} is not UTF-8")))
                })
                .transpose()
        };
        identity.clone_into(&mut self.identity);
        if self.url.is_ssh() {
            self.credentials = Credentials::Ssh(SshIdentity::from_secret(identity, value)?);
            return Ok(self);
        }
        if KEYS_OF_GITHUB.iter().any(|key| value(key).is_some()) {
            return Err(Error::Provider {
                secret: identity.to_owned(),
                reason: "has github app data but provider is not set to github",
            });
        }
        let (username, password) = (text("username")?, text("password")?);
        self.credentials = match (text("bearerToken")?, username, password) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                return Err(error(
                    "has both bearerToken and username/password; keep one".to_owned(),
                ));
            }
            (Some(token), None, None) => Credentials::Bearer(Secret::new(token)),
            (None, Some(username), password) => Credentials::Basic {
                username,
                password: Secret::new(password.unwrap_or_default()),
            },
            (None, None, Some(_)) => {
                return Err(error("has a password without a username".to_owned()));
            }
            (None, None, None) => Credentials::None,
        };
        self.tls = tls(identity, &value)?;
        if matches!(self.credentials, Credentials::None) && self.tls == Tls::default() {
            return Err(error(
                "has none of username, bearerToken, ca.crt, tls.crt".to_owned(),
            ));
        }
        Ok(self)
    }

    /// Returns this remote, opened by the GitHub App that the Secret holds. Fails as
    /// [`GithubApp::from_secret`] does, and when the URL is one of ssh.
    pub fn with_github_app<'a>(
        mut self,
        identity: &str,
        value: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, Error> {
        if self.url.is_ssh() {
            return Err(Error::Url {
                url: self.url.to_string(),
                reason: "is one of ssh; spec.provider: github needs https".to_owned(),
            });
        }
        if !KEYS_OF_GITHUB.iter().any(|key| value(key).is_some()) {
            return Err(Error::Provider {
                secret: identity.to_owned(),
                reason: "with github app data must be specified when provider is set to github",
            });
        }
        self.tls = tls(identity, &value)?;
        self.credentials = Credentials::GithubApp(GithubApp::from_secret(identity, value)?);
        identity.clone_into(&mut self.identity);
        Ok(self)
    }

    /// Returns this remote, reached through a proxy. Fails for URLs of ssh, unless it is one of socks5.
    pub fn through(mut self, proxy: Proxy) -> Result<Self, Error> {
        if self.url.is_ssh() && !proxy.is_socks5() {
            return Err(Error::Url {
                url: self.url.to_string(),
                reason: "is one of ssh, which is reached through proxies of socks5 alone \
                         (spec.proxySecretRef)"
                    .to_owned(),
            });
        }
        self.proxy = Some(proxy);
        Ok(self)
    }

    /// Returns the value of the `Authorization` header, if there is one to send.
    pub(super) fn authorization(&self) -> Option<Secret<String>> {
        let basic = |username: &str, password: &str| {
            let pair =
                base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
            Secret::new(format!("Basic {pair}"))
        };
        match (&self.credentials, self.url.way()) {
            (Credentials::Bearer(token), _) => {
                Some(Secret::new(format!("Bearer {}", token.expose().trim())))
            }
            (Credentials::Basic { username, password }, _) => {
                Some(basic(username, password.expose()))
            }
            (Credentials::None, Way::Http { user, .. }) => {
                user.as_ref().map(|user| basic(user, ""))
            }
            (Credentials::None | Credentials::Ssh(_) | Credentials::GithubApp(_), _) => None,
        }
    }

    /// Returns the values that must never leave in a text, for [`redact_values`].
    pub(super) fn secrets(&self) -> Vec<Secret<String>> {
        let mut secrets = Vec::new();
        match &self.credentials {
            Credentials::None | Credentials::Ssh(_) | Credentials::GithubApp(_) => {}
            Credentials::Basic { password, .. } => secrets.push(password.clone()),
            Credentials::Bearer(token) => secrets.push(Secret::new(token.expose().trim().into())),
        }
        if let Some(credentials) = self
            .proxy
            .as_ref()
            .and_then(|proxy| proxy.credentials.as_ref())
        {
            secrets.push(Secret::new(credentials.expose().1.clone()));
        }
        if let Some(header) = self.authorization() {
            let encoded = header
                .expose()
                .split(' ')
                .nth(1)
                .unwrap_or_default()
                .to_owned();
            secrets.push(Secret::new(encoded));
        }
        secrets.retain(|secret| !secret.expose().is_empty());
        secrets
    }
}

/// Returns the certificates that a Secret holds. Fails when one of a pair is missing.
fn tls<'a>(secret: &str, value: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Tls, Error> {
    let either = |key: &str, old: &str| value(key).or_else(|| value(old));
    let certificate = either("tls.crt", "certFile");
    let key = either("tls.key", "keyFile");
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(Secret::new([certificate, b"\n", key].concat())),
        (None, None) => None,
        _ => {
            return Err(Error::Secret {
                secret: secret.to_owned(),
                reason: "needs both tls.crt and tls.key".to_owned(),
            });
        }
    };
    Ok(Tls {
        ca: either("ca.crt", "caFile").map(<[u8]>::to_vec),
        client,
    })
}

/// Returns `text` with every secret starred, for words that come from a server.
pub(super) fn redact_values(text: &str, secrets: &[Secret<String>]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| {
        text.replace(secret.expose().as_str(), "***")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_contradict_themselves_are_refused() {
        let with = |pairs: &[(&str, &'static str)]| {
            let pairs = pairs.to_vec();
            Remote::anonymous("https://host/r")
                .unwrap()
                .with_secret("apps/git", |key| {
                    pairs
                        .iter()
                        .find(|(k, _)| *k == key)
                        .map(|(_, v)| v.as_bytes())
                })
        };
        for (pairs, want) in [
            (&[("password", "p")][..], "without a username"),
            (&[("username", "u"), ("bearerToken", "t")], "both"),
            (&[("identity", "k")], "none of"),
            (&[("githubAppID", "1")], "provider is not set to github"),
            (&[("tls.crt", "c")], "tls.key"),
            (&[("other", "c")], "none of"),
        ] {
            let text = with(pairs).unwrap_err().to_string();
            assert!(text.contains(want) && text.contains("apps/git"), "{text}");
        }
        let remote = with(&[("username", "u"), ("password", "p"), ("caFile", "x")]).unwrap();
        assert_eq!(remote.identity, "apps/git");
        assert_eq!(remote.tls.ca.as_deref(), Some(&b"x"[..]));
        let token = with(&[("bearerToken", "abc\n")]).unwrap();
        assert_eq!(token.authorization().unwrap().expose(), "Bearer abc");
        assert_eq!(redact_values("got abc!", &token.secrets()), "got ***!");
    }
}
