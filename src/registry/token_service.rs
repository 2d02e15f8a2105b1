//! [`TokenService`]: asks for a bearer token where a registry's challenge says.
//!
//! In: a [`Grant`]. Out: what was granted, or an error without any part of the credential. A
//! credential goes to a token service of the registry's own site or one that is allowed by name,
//! and to one without TLS only when the registry itself has none.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder, Url, header};

use super::exchange::refused;
use super::session::sensitive;
use super::token::{self, Grant, Granted};
use super::{Credential, Error, body};
use crate::outbound::Hosts;
use crate::safe::Secret;

/// How we are called in forms that ask for it.
const CLIENT_ID: &str = "towpath";

/// Token services that may have the credential of a registry of another site.
#[derive(Debug, Clone, Default)]
pub struct Realms(BTreeSet<String>);

impl FromIterator<String> for Realms {
    fn from_iter<I: IntoIterator<Item = String>>(hosts: I) -> Self {
        Self(hosts.into_iter().map(|h| h.to_ascii_lowercase()).collect())
    }
}

/// The token service of a registry.
pub(super) struct TokenService<'a> {
    pub(super) transport: &'a reqwest::Client,
    pub(super) registry: &'a Url,
    pub(super) hosts: &'a Hosts,
    pub(super) realms: &'a Realms,
}

impl TokenService<'_> {
    /// Asks for a token: anonymously or with a password by GET, with a refresh token by POST, and
    /// with a password by POST too where GET is not served.
    pub(super) async fn grant(&self, grant: &Grant) -> Result<Granted, Error> {
        let realm = self.realm(grant)?;
        if let Some(Credential::IdentityToken(token)) = &grant.credential {
            let fields = [
                ("grant_type", "refresh_token"),
                ("refresh_token", token.expose()),
            ];
            return self.post(&realm, grant, &fields).await;
        }
        let asked = self.get(&realm, grant).await;
        let not_served = |error: &Error| matches!(error.status(), Some(404 | 405));
        match (asked, &grant.credential) {
            (Err(error), Some(Credential::Password { username, password }))
                if not_served(&error) =>
            {
                let fields = [
                    ("grant_type", "password"),
                    ("username", username.as_str()),
                    ("password", password.expose()),
                ];
                self.post(&realm, grant, &fields).await
            }
            (asked, _) => asked,
        }
    }

    async fn get(&self, realm: &Url, grant: &Grant) -> Result<Granted, Error> {
        let mut url = realm.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("scope", &grant.scope);
            if !grant.service.is_empty() {
                query.append_pair("service", &grant.service);
            }
        }
        let mut request = self.transport.get(url);
        if let Some(basic) = grant.credential.as_ref().and_then(Credential::basic) {
            request = request.header(header::AUTHORIZATION, sensitive(&basic, realm)?);
        }
        self.ask(Method::GET, realm, request, grant).await
    }

    async fn post(
        &self,
        realm: &Url,
        grant: &Grant,
        fields: &[(&str, &str)],
    ) -> Result<Granted, Error> {
        let common = [
            ("service", grant.service.as_str()),
            ("scope", grant.scope.as_str()),
            ("client_id", CLIENT_ID),
        ];
        let body = form(common.iter().chain(fields));
        let request = self
            .transport
            .post(realm.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.expose().clone());
        self.ask(Method::POST, realm, request, grant).await
    }

    async fn ask(
        &self,
        method: Method,
        realm: &Url,
        request: RequestBuilder,
        grant: &Grant,
    ) -> Result<Granted, Error> {
        let sent = request.send().await;
        let response = sent.map_err(|source| Error::exchange(&method, realm, source))?;
        if !response.status().is_success() {
            return Err(refused(&method, response, grant.credential.as_ref()).await);
        }
        let bytes = body::whole(&method, response, token::ANSWER_BYTES_MAX).await?;
        token::granted(&bytes, chrono::Utc::now())
            .map_err(|reason| Error::answer(&method, realm, reason))
    }

    /// Returns the realm's URL. Fails when a token, or this credential, may not be asked for there.
    fn realm(&self, grant: &Grant) -> Result<Url, Error> {
        let refuse = |reason: &str| Error::answer(&Method::GET, self.registry, reason);
        let realm = Url::parse(&grant.realm)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty())
            .ok_or_else(|| refuse("challenge names a token service that is no http URL"))?;
        if realm.scheme() == "http" && self.registry.scheme() == "https" {
            return Err(refuse("challenge names a token service without TLS"));
        }
        self.hosts
            .check_url(&realm)
            .map_err(|refused| refuse(&format!("challenge names a token service: {refused}")))?;
        let host = realm.host_str().unwrap_or_default();
        let own = self.registry.host_str().unwrap_or_default();
        if grant.credential.is_some() && !same_site(host, own) && !self.realms.0.contains(host) {
            return Err(refuse(&format!(
                "challenge sends the credential to {host}, which is not of this registry's site; \
                 --registry-token-host {host} allows it"
            )));
        }
        Ok(realm)
    }
}

/// Returns fields as a form; a secret, since most have one in it.
pub(super) fn form<'a>(fields: impl IntoIterator<Item = &'a (&'a str, &'a str)>) -> Secret<String> {
    let mut url = Url::parse("form:").expect("because a scheme alone is a URL");
    {
        let mut query = url.query_pairs_mut();
        for (name, value) in fields {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
    }
    Secret::new(url.query().unwrap_or_default().to_owned())
}

/// Returns whether two hosts are the same, or names of one site: alike in the last two labels, or
/// in the last three where the last two are a country's short ones (`co.uk`).
fn same_site(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let is_address = |host: &str| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.parse::<std::net::IpAddr>().is_ok()
    };
    let labels = |host: &str| -> Vec<String> {
        let labels = host.trim_end_matches('.').rsplit('.');
        labels.map(str::to_ascii_lowercase).collect()
    };
    let (a_labels, b_labels) = (labels(a), labels(b));
    let n_shared = match a_labels.as_slice() {
        [top, second, ..] if top.len() == 2 && second.len() <= 3 => 3,
        _ => 2,
    };
    !is_address(a)
        && !is_address(b)
        && a_labels.len() >= n_shared
        && b_labels.len() >= n_shared
        && a_labels[..n_shared] == b_labels[..n_shared]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rg7_sites_are_told_apart() {
        for (a, b, want) in [
            ("auth.docker.io", "index.docker.io", true),
            ("gitlab.com", "registry.gitlab.com", true),
            ("ghcr.io", "ghcr.io", true),
            ("GITLAB.com", "registry.gitlab.com", true),
            ("auth.acme.co.uk", "r.acme.co.uk", true),
            ("auth.evil.co.uk", "r.acme.co.uk", false),
            ("evil.io", "ghcr.io", false),
            ("io", "ghcr.io", false),
            ("localhost", "localhost", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("10.0.0.1", "127.0.0.1", false),
            ("2.0.0.1", "1.0.0.1", false),
            ("[::1]", "[::2]", false),
        ] {
            assert_eq!(same_site(a, b), want, "{a} {b}");
            assert_eq!(same_site(b, a), want, "{b} {a}");
        }
    }

    #[test]
    fn forms_are_encoded_and_empty_fields_left_out() {
        let form = form(&[("a", "x y&z"), ("b", ""), ("c", "é")]);
        assert_eq!(form.expose(), "a=x+y%26z&c=%C3%A9");
    }
}
