//! [`Hosts`]: where the hosts are that specs and servers name, and whether they may be asked.
//!
//! In: a name or an address from the outside. Out: the addresses to connect to, each checked by the
//! process's [`AddressRule`]; an http client that resolves by it connects to no other, so a name
//! that changes its address between check and use gains nothing. Behind a proxy of the environment
//! the proxy resolves names, and only addresses that are written out are checked here.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::safe::{AddressError, AddressRule};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

/// Finds and checks hosts. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    rule: AddressRule,
    known: Arc<BTreeMap<String, Vec<SocketAddr>>>,
}

impl Hosts {
    /// Returns hosts by a rule, found by the system's resolver.
    pub fn new(rule: AddressRule) -> Self {
        Self {
            rule,
            known: Arc::default(),
        }
    }

    /// Returns the same, with names whose addresses are not asked for; a port that is not 0 stands
    /// in for the usual one of a URL without a port.
    #[must_use]
    pub fn with_known(mut self, known: BTreeMap<String, Vec<SocketAddr>>) -> Self {
        self.known = Arc::new(known);
        self
    }

    /// Returns nothing for a host that is a name, or an address that may be asked. Fails for
    /// other addresses. A client's resolver never sees these, so they are checked with the URL.
    pub fn check_host(&self, host: &str) -> Result<(), AddressError> {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        match address.parse::<IpAddr>() {
            Ok(address) => self.rule.check(address),
            Err(_) => Ok(()),
        }
    }

    /// Returns nothing for a URL whose host may be asked or is a name. Fails as
    /// [`Hosts::check_host`] does.
    pub fn check_url(&self, url: &Url) -> Result<(), AddressError> {
        self.check_host(url.host_str().unwrap_or_default())
    }

    /// Returns the addresses of a host that may be asked. Fails when it has none, with the rule's
    /// reason when it has others.
    pub async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<SocketAddr> = match self.known.get(host) {
            Some(known) => known.clone(),
            None => tokio::net::lookup_host((host, port)).await?.collect(),
        };
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in found {
            match self.rule.check(address.ip()) {
                Ok(()) => allowed.push(address),
                Err(error) => refused = Some(error),
            }
        }
        allowed.truncate(ADDRESSES_MAX);
        match (allowed.is_empty(), refused) {
            (false, _) => Ok(allowed),
            (true, Some(refused)) => Err(io::Error::new(io::ErrorKind::PermissionDenied, refused)),
            (true, None) => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{host} has no address"),
            )),
        }
    }
}

impl Resolve for Hosts {
    fn resolve(&self, name: Name) -> Resolving {
        let hosts = self.clone();
        Box::pin(async move {
            // Port 0 leaves the port to the URL.
            let addresses = hosts.addresses(name.as_str(), 0).await?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// Returns the rule's reason in an error of an http client or of [`Hosts::addresses`], if it has one.
pub fn refusal<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e AddressError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref::<AddressError>() {
            return Some(refused);
        }
        let held = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(refused) = held.and_then(|held| held.downcast_ref()) {
            return Some(refused);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(rule: AddressRule, addresses: &[&str]) -> Hosts {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        Hosts::new(rule).with_known(BTreeMap::from([("r.io".to_owned(), addresses)]))
    }

    #[tokio::test]
    async fn is2_of_a_names_addresses_only_those_that_may_be_asked_are_left() {
        let mixed = hosts(
            AddressRule::PublicOnly,
            &["169.254.169.254:0", "10.0.0.1:0", "8.8.8.8:0"],
        );
        let left = mixed.addresses("r.io", 443).await.unwrap();
        assert_eq!(left, ["8.8.8.8:0".parse().unwrap()]);

        let rebound = hosts(AddressRule::WithPrivate, &["[::ffff:169.254.169.254]:0"]);
        let error = rebound.addresses("r.io", 443).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("is link-local"), "{error}");
        assert!(refusal(&error).is_some());

        let nowhere = hosts(AddressRule::WithPrivate, &[]);
        let error = nowhere.addresses("r.io", 443).await.unwrap_err();
        assert_eq!(error.to_string(), "r.io has no address");
        assert!(refusal(&error).is_none());
    }

    #[test]
    fn is2_addresses_in_urls_are_checked_in_every_spelling() {
        let hosts = Hosts::default();
        for (url, allowed) in [
            ("http://169.254.169.254/latest", false),
            ("http://2852039166/latest", false),
            ("http://0xa9fea9fe/latest", false),
            ("http://[fd00:ec2::254]/latest", false),
            ("http://[::ffff:a9fe:a9fe]/", false),
            ("http://127.0.0.1:5000/", true),
            ("https://r.io/", true),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(hosts.check_url(&url).is_ok(), allowed, "{url}");
        }
    }
}
