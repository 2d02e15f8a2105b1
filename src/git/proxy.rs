//! A proxy on the way to a remote, as a Secret describes it.
//!
//! In: `address`, `username`, `password`. Out: [`Proxy`]. Only proxies of http and https; remotes over
//! https are reached through them by CONNECT. Pure.

use super::Error;
use crate::safe::Secret;

/// Longest address taken, in bytes; Flux's bound.
pub const ADDRESS_BYTES_MAX: usize = 2048;

/// A proxy of http.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// Its URL, without userinfo.
    pub(super) address: String,
    /// `username` and `password`.
    pub(super) credentials: Option<Secret<(String, String)>>,
}

impl Proxy {
    /// Returns the proxy that the Secret `secret` (`namespace/name`) describes. Fails when it has no
    /// address, or one of another scheme than http and https.
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
        match parsed.scheme() {
            "http" | "https" => {}
            "socks5" => {
                return Err(error(
                    "the key \"address\" names a socks5 proxy, which is not supported; use http:// or https://",
                ));
            }
            _ => return Err(error("the key \"address\" is no URL of http or https")),
        }
        if parsed.password().is_some() || !parsed.username().is_empty() {
            return Err(error(
                "the key \"address\" holds credentials; they belong under \"username\" and \"password\"",
            ));
        }
        parsed.set_path("");
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
    fn what_is_no_proxy_is_refused_without_its_values() {
        for (data, want) in [
            (&[("username", "s3cret")][..], "has no \"address\""),
            (&[("address", "s3cret")], "no URL with a host"),
            (&[("address", "ftp://s3cret")], "no URL of http or https"),
            (
                &[("address", "socks5://s3cret:1080")],
                "socks5 proxy, which is not supported",
            ),
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
