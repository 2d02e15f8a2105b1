//! `proxySecretRef`: the proxy that a registry is reached through.
//!
//! In: the Secret's data: `address`, `username`, `password`. Out: a [`Proxy`] that the http client
//! is made from. Values never appear in errors.

use std::collections::BTreeMap;

use reqwest::Url;

use super::Error;
use crate::safe::Secret;

/// Bytes of an address.
const ADDRESS_BYTES_MAX: usize = 2048;

/// Schemes of proxies.
const SCHEMES: [&str; 3] = ["http", "https", "socks5"];

/// A proxy for all requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    host: String,
    /// With the name and password in it.
    url: Secret<Url>,
}

impl Proxy {
    /// Reads a Secret's data. Fails when `address` is missing or is no URL with a host and a
    /// scheme that proxies have.
    pub fn from_secret(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Proxy {
            reason: reason.to_owned(),
        };
        let text = |key: &str| {
            let bytes = data.get(key).map_or(&[][..], Vec::as_slice);
            let text = std::str::from_utf8(bytes).map(str::trim);
            text.map_err(|_| refuse(&format!("{key} is not text")))
        };
        let address = text("address")?;
        if address.is_empty() {
            return Err(refuse("key address is missing"));
        }
        if address.len() > ADDRESS_BYTES_MAX {
            return Err(refuse("address is longer than 2048 bytes"));
        }
        let mut url = Url::parse(address).map_err(|_| refuse("address is not a URL"))?;
        if !SCHEMES.contains(&url.scheme()) {
            return Err(refuse("address is none of http://, https:// and socks5://"));
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host
            .ok_or_else(|| refuse("address has no host"))?
            .to_owned();
        let (username, password) = (text("username")?, text("password")?);
        if !username.is_empty() || !password.is_empty() {
            let put = url.set_username(username);
            put.and_then(|()| url.set_password(Some(password)))
                .map_err(|()| refuse("address cannot carry a username"))?;
        }
        Ok(Self {
            host,
            url: Secret::new(url),
        })
    }

    /// Returns the host, whose address is checked before it is asked.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Returns it as the http client wants it.
    pub(super) fn all(&self) -> Result<reqwest::Proxy, Error> {
        let proxy = reqwest::Proxy::all(self.url.expose().as_str());
        proxy.map_err(|_| Error::Proxy {
            reason: "address is not a proxy's".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_secret_is_read_or_refused_without_its_values() {
        let long = format!("http://{}", "s3cret".repeat(400));
        for (parts, want) in [
            (&[("address", "http://p.io:3128")][..], Ok("p.io")),
            (&[("address", " socks5://p.io \n")], Ok("p.io")),
            (
                &[
                    ("address", "https://p.io"),
                    ("username", "bob"),
                    ("password", "s3c:r@t"),
                ],
                Ok("p.io"),
            ),
            (&[], Err("key address is missing")),
            (&[("username", "s3cret")], Err("key address is missing")),
            (&[("address", "s3cret")], Err("is not a URL")),
            (&[("address", "ftp://s3cret")], Err("is none of http://")),
            (&[("address", "http://")], Err("is not a URL")),
            (&[("address", &long)], Err("longer than 2048")),
        ] {
            let data = parts
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect();
            match (Proxy::from_secret(&data), want) {
                (Ok(proxy), Ok(host)) => {
                    assert_eq!(proxy.host(), host);
                    proxy.all().unwrap();
                    assert!(!format!("{proxy:?}").contains("s3c"));
                }
                (Err(error), Err(want)) => {
                    let error = error.to_string();
                    assert!(error.contains(want) && !error.contains("s3cret"), "{error}");
                }
                (got, want) => panic!("{parts:?}: {got:?}, want {want:?}"),
            }
        }
    }
}
