//! A proxy on the way to a remote, as a Secret describes it.
//!
//! In: `address`, `username`, `password`. Out: [`Proxy`]. Remotes over https are reached through proxies
//! of http and https by CONNECT; those of socks5 carry everything, ssh too. Pure.

use super::{Error, error::chain};
use crate::safe::Secret;

/// Longest address taken, in bytes; Flux's bound.
pub const ADDRESS_BYTES_MAX: usize = 2048;

/// The scheme of proxies that carry any connection. Names are left to them, as Flux does.
pub(super) const SOCKS5: &str = "socks5h";

/// The port of such a proxy that names none.
const SOCKS5_PORT: u16 = 1080;

/// A proxy of http or socks5.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// Its URL, without userinfo.
    pub(super) address: String,
    /// `username` and `password`.
    pub(super) credentials: Option<Secret<(String, String)>>,
}

impl Proxy {
    /// Returns the proxy that the Secret `secret` (`namespace/name`) describes. Fails when it has no
    /// address, or one of another scheme than http, https and socks5.
    pub fn from_secret<'a>(
        secret: &str,
        value: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, Error> {
        let error = |reason: &str| Error::Secret {
            secret: secret.to_owned(),
            reason: reason.to_owned(),
        };
        let text = |key: &str| {
            let bytes = value(key).map(<[u8]>::to_vec);
            let text = bytes.map(String::from_utf8).transpose();
            text.map_err(|_| error(&format!("the key {key:?} is not UTF-8")))
        };
        let address = text("address")?.ok_or_else(|| error("has no \"address\""))?;
        if address.len() > ADDRESS_BYTES_MAX {
            return Err(error("the key \"address\" is longer than 2048 bytes"));
        }
        // What the parser says may quote a password within the address.
        let no_url = || error("the key \"address\" is no URL with a host");
        let mut parsed = reqwest::Url::parse(address.trim()).map_err(|_| no_url())?;
        if !matches!(parsed.scheme(), "http" | "https" | "socks5") {
            return Err(error(
                "the key \"address\" is no URL of http, https or socks5",
            ));
        }
        if parsed.host_str().is_none_or(str::is_empty) {
            return Err(no_url());
        }
        if parsed.password().is_some() || !parsed.username().is_empty() {
            return Err(error(
                "the key \"address\" holds credentials; they belong under \"username\" and \"password\"",
            ));
        }
        if parsed.scheme() == "socks5" {
            let set = parsed.set_scheme(SOCKS5);
            set.map_err(|()| error("the key \"address\" is no URL of socks5"))?;
        } else {
            parsed.set_path("");
        }
        let credentials = match (text("username")?, text("password")?) {
            (None, None) => None,
            (None, Some(_)) => return Err(error("has a password without a username")),
            (Some(username), password) => {
                Some(Secret::new((username, password.unwrap_or_default())))
            }
        };
        Ok(Self {
            address: parsed.as_str().trim_end_matches('/').to_owned(),
            credentials,
        })
    }

    /// Returns its host and port.
    pub(super) fn place(&self) -> (String, u16) {
        let url = reqwest::Url::parse(&self.address).ok();
        let host = url.as_ref().and_then(reqwest::Url::host_str);
        let host = host.unwrap_or_default().trim_matches(['[', ']']);
        let port = url.as_ref().and_then(reqwest::Url::port);
        (host.to_owned(), port.unwrap_or(SOCKS5_PORT))
    }

    /// Returns whether it carries any connection.
    pub(super) fn is_socks5(&self) -> bool {
        self.address.starts_with(SOCKS5)
    }

    /// Returns it as the http client wants it. Fails when its name and password cannot stand in a URL.
    pub(super) fn all(&self) -> Result<reqwest::Proxy, String> {
        let unusable = |cause: reqwest::Error| chain(&cause.without_url());
        let Some(credentials) = &self.credentials else {
            return reqwest::Proxy::all(&self.address).map_err(unusable);
        };
        let (username, password) = credentials.expose();
        if !self.is_socks5() {
            let proxy = reqwest::Proxy::all(&self.address).map_err(unusable)?;
            return Ok(proxy.basic_auth(username, password));
        }
        let no_place = "the address cannot carry a name and a password";
        let mut url = reqwest::Url::parse(&self.address).map_err(|_| no_place)?;
        let set = url.set_username(username);
        set.and_then(|()| url.set_password(Some(password)))
            .map_err(|()| no_place)?;
        reqwest::Proxy::all(url).map_err(unusable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(data: &[(&str, &'static str)]) -> Result<Proxy, String> {
        let value = |key: &str| {
            let found = data.iter().find(|(name, _)| *name == key);
            found.map(|(_, value)| value.as_bytes())
        };
        Proxy::from_secret("apps/proxy", value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_proxy_is_an_address_and_perhaps_credentials() {
        let open = proxy(&[("address", "http://proxy.example:3128/")]).unwrap();
        assert_eq!(
            (open.address.as_str(), open.credentials),
            ("http://proxy.example:3128", None)
        );
        let data = [
            ("address", "https://p"),
            ("username", "bob"),
            ("password", "s3cret"),
        ];
        let locked = proxy(&data).unwrap();
        let pair = ("bob".to_owned(), "s3cret".to_owned());
        assert_eq!(locked.credentials.as_ref().map(Secret::expose), Some(&pair));
        assert!(!format!("{locked:?}").contains("s3cret"));
    }

    #[test]
    fn a_proxy_of_socks5_resolves_names() {
        for address in [
            "socks5://proxy.example:1080",
            "socks5://proxy.example:1080/",
        ] {
            let proxy = proxy(&[("address", address)]).unwrap();
            assert_eq!(proxy.address, "socks5h://proxy.example:1080");
            assert!(proxy.is_socks5() && proxy.all().is_ok());
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_values() {
        for (data, want) in [
            (&[("username", "s3cret")][..], "has no \"address\""),
            (&[("address", "s3cret")], "no URL with a host"),
            (
                &[("address", "ftp://s3cret")],
                "no URL of http, https or socks5",
            ),
            (&[("address", "socks5://")], "no URL with a host"),
            (
                &[("address", "http://bob:s3cret@proxy")],
                "holds credentials",
            ),
            (
                &[("address", "http://p"), ("password", "s3cret")],
                "without a username",
            ),
        ] {
            let text = proxy(data).unwrap_err();
            assert!(text.starts_with("secret \"apps/proxy\": "), "{text}");
            assert!(
                text.contains(want) && !text.contains("s3cret"),
                "{want}: {text}"
            );
        }
        let long = Box::leak(format!("http://{}", "x".repeat(ADDRESS_BYTES_MAX)).into_boxed_str());
        assert!(
            proxy(&[("address", long)])
                .unwrap_err()
                .contains("longer than")
        );
    }
}
