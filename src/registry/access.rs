//! [`Access`]: how a registry is reached, and the URLs of its parts.
//!
//! In: the fields of `ImageRepository.spec` that say how to reach a registry, parsed names. Out:
//! values and URLs below `/v2/`; nothing is read or sent here.

use std::time::Duration;

use reqwest::Url;

use super::{Credential, Error, Provider, Proxy, Tls};
use crate::image::{Registry, Repository};

/// How a registry is reached.
#[derive(Debug, Clone)]
pub struct Access {
    /// The credential of the pull secret that matches; `None` asks anonymously.
    pub credential: Option<Credential>,
    /// `spec.provider`: the cloud whose login stands in for a credential.
    pub provider: Option<Provider>,
    /// `spec.certSecretRef`: the authority and certificate to use beside the system's.
    pub tls: Option<Tls>,
    /// `spec.proxySecretRef`: the proxy of all requests; without it those of the environment.
    pub proxy: Option<Proxy>,
    /// `spec.insecure`: plain http is allowed when https does not answer.
    pub insecure: bool,
    /// The budget of one call, credential exchange and all pages included.
    pub timeout: Duration,
}

impl Access {
    /// Returns an anonymous access over https with the given budget.
    pub fn anonymous(timeout: Duration) -> Self {
        Self {
            credential: None,
            provider: None,
            tls: None,
            proxy: None,
            insecure: false,
            timeout,
        }
    }
}

/// Returns the root of a registry's URLs. Fails when its name is more than a host and port.
pub(super) fn root(scheme: &str, repository: &Repository) -> Result<Url, Error> {
    let text = format!("{scheme}://{}/", repository.registry().as_str());
    Url::parse(&text)
        .ok()
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .filter(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none())
        .ok_or_else(|| Error::Name {
            name: repository.to_string(),
        })
}

/// Returns the URL of a part of a registry below `/v2/`. Fails when a part of the path is a dot or
/// two, which would lead out of it.
pub(super) fn below(root: &Url, path: &str) -> Result<Url, Error> {
    let refuse = || Error::Name {
        name: path.to_owned(),
    };
    let (steps, _) = path.split_once('?').unwrap_or((path, ""));
    if steps.split('/').any(|step| matches!(step, "." | "..")) {
        return Err(refuse());
    }
    root.join(&format!("/v2/{path}")).map_err(|_| refuse())
}

/// Returns whether a registry is on this machine's loopback.
pub(super) fn is_loopback(registry: &Registry) -> bool {
    let name = registry.as_str();
    let host = match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => name,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_stay_below_the_registry() {
        for (image, path, want) in [
            (
                "ghcr.io/acme/app",
                "acme/app/tags/list?n=1",
                Some("https://ghcr.io/v2/acme/app/tags/list?n=1"),
            ),
            ("localhost:5000/app", "", Some("https://localhost:5000/v2/")),
            (
                "gcr.io//foo",
                "/foo/tags/list",
                Some("https://gcr.io/v2//foo/tags/list"),
            ),
            ("ghcr.io/acme/app", "../metadata/tags/list", None),
            ("ghcr.io/acme/app", "acme/app/manifests/..", None),
        ] {
            let repository = Repository::parse(image).unwrap();
            let root = root("https", &repository).unwrap();
            let url = below(&root, path).ok().map(String::from);
            assert_eq!(url.as_deref(), want, "{image} {path}");
        }
    }

    #[test]
    fn a_registry_with_a_user_is_refused() {
        for image in ["bob@ghcr.io/app", "bob:x@ghcr.io/app"] {
            let refused = Repository::parse(image)
                .map_or(true, |repository| root("https", &repository).is_err());
            assert!(refused, "{image}");
        }
    }

    #[test]
    fn loopback_is_told_by_name_and_address() {
        for (image, loopback) in [
            ("localhost:5000/app", true),
            ("app.localhost:80/app", true),
            ("127.0.0.1:5000/app", true),
            ("[::1]:5000/app", true),
            ("10.0.0.1:5000/app", false),
            ("ghcr.io/acme/app", false),
        ] {
            let repository = Repository::parse(image).unwrap();
            assert_eq!(is_loopback(repository.registry()), loopback, "{image}");
        }
    }
}
