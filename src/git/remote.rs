//! A remote repository as an object describes it: URL, credentials, TLS, timeout.
//!
//! In: `spec.url` and the data of a Secret. Out: [`Remote`]. Schemes other than http and https are
//! refused here, by name. It reads no Secret itself.

use std::{fmt, time::Duration};

use base64::Engine as _;

use super::Error;
use crate::safe::Secret;

/// Longest URL taken, in bytes.
pub const URL_BYTES_MAX: usize = 2048;
/// The time for one exchange with a remote when the object names none; Flux's default.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// Keys of Secrets that other transports or providers use; they are refused, not ignored.
const KEYS_UNSUPPORTED: [&str; 7] = [
    "identity",
    "identity.pub",
    "known_hosts",
    "githubAppID",
    "githubAppInstallationID",
    "githubAppInstallationOwner",
    "githubAppPrivateKey",
];

/// An http or https URL of a repository. Its text has no userinfo and no trailing slash.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RemoteUrl {
    text: String,
    userinfo: Option<Secret<(String, String)>>,
}

impl RemoteUrl {
    /// Returns the URL. Fails when it is too long, has no host, or its scheme is not http(s).
    pub fn parse(url: &str) -> Result<Self, Error> {
        let error = |reason: String| Error::Url {
            url: redact(url),
            reason,
        };
        if url.len() > URL_BYTES_MAX {
            return Err(error(format!("is longer than {URL_BYTES_MAX} bytes")));
        }
        let Some((scheme, _)) = url.split_once("://") else {
            return Err(error(
                "has no scheme; http:// and https:// are supported".to_owned(),
            ));
        };
        if scheme != "http" && scheme != "https" {
            return Err(error(format!(
                "has the scheme {scheme}://, which is not supported; use https:// or http://"
            )));
        }
        let mut parsed =
            reqwest::Url::parse(url).map_err(|cause| error(format!("is not a URL: {cause}")))?;
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(error("must not have a query or a fragment".to_owned()));
        }
        let userinfo = (!parsed.username().is_empty() || parsed.password().is_some()).then(|| {
            Secret::new((
                percent_decode(parsed.username()),
                percent_decode(parsed.password().unwrap_or_default()),
            ))
        });
        // Both only fail for URLs without a host, and http(s) URLs have one.
        let _ = parsed.set_username("");
        let _ = parsed.set_password(None);
        Ok(Self {
            text: parsed.as_str().trim_end_matches('/').to_owned(),
            userinfo,
        })
    }

    /// Returns the URL without userinfo; safe to print.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How a request says who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Credentials {
    /// Not at all; userinfo of the URL is used when there is some.
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
        if let Some(key) = KEYS_UNSUPPORTED.iter().find(|key| value(key).is_some()) {
            return Err(error(format!(
                "the key {key:?} belongs to a transport or provider that is not supported"
            )));
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
        self.tls.ca = value("ca.crt")
            .or_else(|| value("caFile"))
            .map(<[u8]>::to_vec);
        let certificate = value("tls.crt").or_else(|| value("certFile"));
        let key = value("tls.key").or_else(|| value("keyFile"));
        self.tls.client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Secret::new([certificate, b"\n", key].concat())),
            (None, None) => None,
            _ => return Err(error("needs both tls.crt and tls.key".to_owned())),
        };
        if self.credentials == Credentials::None && self.tls == Tls::default() {
            return Err(error(
                "has none of username, bearerToken, ca.crt, tls.crt".to_owned(),
            ));
        }
        self.identity = identity.to_owned();
        Ok(self)
    }

    /// Returns the value of the `Authorization` header, if there is one to send.
    pub(super) fn authorization(&self) -> Option<Secret<String>> {
        let basic = |username: &str, password: &str| {
            let pair =
                base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
            Secret::new(format!("Basic {pair}"))
        };
        match (&self.credentials, &self.url.userinfo) {
            (Credentials::Bearer(token), _) => {
                Some(Secret::new(format!("Bearer {}", token.expose().trim())))
            }
            (Credentials::Basic { username, password }, _) => {
                Some(basic(username, password.expose()))
            }
            (Credentials::None, Some(userinfo)) => {
                let (username, password) = userinfo.expose();
                Some(basic(username, password))
            }
            (Credentials::None, None) => None,
        }
    }

    /// Returns the values that must never leave in a text, for [`redact_values`].
    pub(super) fn secrets(&self) -> Vec<Secret<String>> {
        let mut secrets = Vec::new();
        match &self.credentials {
            Credentials::None => {}
            Credentials::Basic { password, .. } => secrets.push(password.clone()),
            Credentials::Bearer(token) => secrets.push(Secret::new(token.expose().trim().into())),
        }
        if let Some(userinfo) = &self.url.userinfo {
            secrets.push(Secret::new(userinfo.expose().1.clone()));
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

/// Returns `text` with every secret starred, for words that come from a server.
pub(super) fn redact_values(text: &str, secrets: &[Secret<String>]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| {
        text.replace(secret.expose().as_str(), "***")
    })
}

/// Returns a URL that may be malformed with its userinfo starred and its length cut.
fn redact(url: &str) -> String {
    let shown: String = url.chars().take(200).collect();
    let start = shown.find("://").map_or(0, |at| at + 3);
    let authority = shown[start..]
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => format!("{}***{}", &shown[..start], &shown[start + at..]),
        None => shown,
    }
}

/// Returns `text` with `%XX` decoded; malformed escapes stay as they are.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_that_are_not_supported_are_refused_by_name() {
        for (url, want) in [
            ("ssh://git@host/repo", "ssh://"),
            ("git://host/repo", "git://"),
            ("file:///srv/repo", "file://"),
            ("ext::sh -c true", "no scheme"),
            ("git@host:repo.git", "no scheme"),
            ("https://host/repo?x=1", "query"),
        ] {
            let text = RemoteUrl::parse(url).unwrap_err().to_string();
            assert!(
                text.starts_with("spec.url ") && text.contains(want),
                "{text}"
            );
        }
        let long = format!("https://host/{}", "x".repeat(URL_BYTES_MAX));
        assert!(RemoteUrl::parse(&long).is_err());
    }

    #[test]
    fn userinfo_is_used_and_never_shown() {
        let remote = Remote::anonymous("https://bob:s3%2Fcret@host/team/repo.git/").unwrap();
        assert_eq!(remote.url.as_str(), "https://host/team/repo.git");
        assert_eq!(
            remote.authorization().unwrap().expose(),
            "Basic Ym9iOnMzL2NyZXQ="
        );
        assert!(!format!("{remote:?}").contains("s3"));
        let error = RemoteUrl::parse("ssh://bob:s3cret@host/x").unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

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
            (&[("identity", "k")], "\"identity\""),
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
