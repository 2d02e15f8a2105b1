//! Azure's Container Registry: a refresh token for three hours, for whoever has a token of the
//! directory.
//!
//! In: a host such as `acme.azurecr.io`. Out: the credential of the registry's own exchange. The
//! directory's token comes from a client secret, a federated token file (workload identity), or a
//! managed identity (App Service, then the machine's metadata service), by the variables of Azure's
//! own tools.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use reqwest::{Method, Url};
use serde::Deserialize;

use super::super::token_service::form;
use super::super::{Credential, Error, body};
use super::Surroundings;
use super::exchange::{Exchange, Where};
use super::logins::{Asked, Given};
use super::surroundings::file;
use crate::safe::Secret;

/// The name that goes with a refresh token.
const USERNAME: &str = "00000000-0000-0000-0000-000000000000";

/// How long a refresh token is good where it does not say itself; the registry gives three hours.
const LIFE_DEFAULT: Duration = Duration::from_secs(60 * 60);

/// Bytes of the exchange's answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The metadata service of a machine.
const MACHINE: &str = "http://169.254.169.254";

/// One of Azure's clouds.
struct Cloud {
    suffix: String,
    /// What tokens of the directory are for.
    resource: String,
    authority: &'static str,
}

/// Clouds by the ends of their registries' names.
const CLOUDS: [(&str, &str, &str); 4] = [
    (
        "azurecr.io",
        "https://management.azure.com",
        "https://login.microsoftonline.com",
    ),
    (
        "azurecr.cn",
        "https://management.chinacloudapi.cn",
        "https://login.chinacloudapi.cn",
    ),
    (
        "azurecr.us",
        "https://management.usgovcloudapi.net",
        "https://login.microsoftonline.us",
    ),
    (
        "azurecr.de",
        "https://management.microsoftazure.de",
        "https://login.microsoftonline.de",
    ),
];

#[derive(Deserialize)]
struct Access {
    access_token: String,
}

#[derive(Deserialize)]
struct Refresh {
    refresh_token: String,
}

/// The file that `AZURE_ENVIRONMENT_FILEPATH` names, for clouds of one's own.
#[derive(Deserialize)]
struct Environment {
    #[serde(rename = "containerRegistryDNSSuffix")]
    suffix: String,
    #[serde(rename = "resourceManagerEndpoint")]
    resource: String,
}

/// Exchanges a token of the directory for a refresh token of the registry.
pub(super) async fn login(around: &Surroundings, asked: &Asked<'_>) -> Result<Given, String> {
    let cloud = cloud(around, asked.host).await?;
    let cloud =
        cloud.ok_or_else(|| format!("{:?} is not a host of Azure's registries", asked.host))?;
    let access = directory_token(around, &cloud, asked).await?;
    let refresh = refresh_token(asked, &access).await?;
    let life = life_of(refresh.expose(), Utc::now().timestamp());
    Ok(Given {
        credential: Credential::password(USERNAME, refresh.expose().as_str()),
        life: life.unwrap_or(LIFE_DEFAULT),
    })
}

async fn cloud(around: &Surroundings, host: &str) -> Result<Option<Cloud>, String> {
    let is_of = |suffix: &str| {
        let name = host
            .strip_suffix(suffix)
            .and_then(|name| name.strip_suffix('.'));
        name.is_some_and(|name| !name.is_empty())
    };
    if let Some(text) = around.file("AZURE_ENVIRONMENT_FILEPATH").await? {
        let environment: Environment = serde_json::from_str(text.expose())
            .map_err(|error| format!("AZURE_ENVIRONMENT_FILEPATH: {error}"))?;
        if is_of(&environment.suffix) {
            return Ok(Some(Cloud {
                suffix: environment.suffix,
                resource: environment.resource.trim_end_matches('/').to_owned(),
                authority: CLOUDS[0].2,
            }));
        }
    }
    let known = CLOUDS.iter().find(|(suffix, ..)| is_of(suffix));
    Ok(known.map(|(suffix, resource, authority)| Cloud {
        suffix: (*suffix).to_owned(),
        resource: (*resource).to_owned(),
        authority,
    }))
}

async fn directory_token(
    around: &Surroundings,
    cloud: &Cloud,
    asked: &Asked<'_>,
) -> Result<Secret<String>, String> {
    let client = around.get("AZURE_CLIENT_ID");
    let scope = format!("{}/.default", cloud.resource);
    let secret = around.get("AZURE_CLIENT_SECRET");
    let assertion = match around.get("AZURE_FEDERATED_TOKEN_FILE") {
        Some(path) if secret.is_none() => Some(file(path).await?),
        _ => None,
    };
    let proof = match (secret, &assertion) {
        (Some(secret), _) => [("client_secret", secret), ("client_assertion_type", "")],
        (None, Some(assertion)) => [
            ("client_assertion", assertion.expose().as_str()),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
        ],
        (None, None) => return managed_token(around, cloud, client).await,
    };
    let tenant = around.get("AZURE_TENANT_ID");
    let tenant = tenant.ok_or("AZURE_TENANT_ID is not set")?;
    let client = client.ok_or("AZURE_CLIENT_ID is not set")?;
    let authority = around
        .get("AZURE_AUTHORITY_HOST")
        .unwrap_or(cloud.authority);
    let url = format!(
        "{}/{tenant}/oauth2/v2.0/token",
        authority.trim_end_matches('/')
    );
    let common = [
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("scope", scope.as_str()),
    ];
    let form = form(common.iter().chain(&proof));
    let exchange = Exchange::new(Where::Endpoint(asked.proxy), Method::POST, &url)?;
    let answer: Access = exchange.form(&form).json().await?;
    Ok(Secret::new(answer.access_token))
}

/// Asks the identity service of an App Service, or else that of the machine.
async fn managed_token(
    around: &Surroundings,
    cloud: &Cloud,
    client: Option<&str>,
) -> Result<Secret<String>, String> {
    let service = (
        around.get("IDENTITY_ENDPOINT"),
        around.get("IDENTITY_HEADER"),
    );
    let (base, version, header) = match service {
        (Some(endpoint), Some(header)) => (
            endpoint.to_owned(),
            "2019-08-01",
            ("x-identity-header", header),
        ),
        _ => {
            let machine = around.get("AZURE_POD_IDENTITY_AUTHORITY_HOST");
            let machine = machine.unwrap_or(MACHINE).trim_end_matches('/');
            let base = format!("{machine}/metadata/identity/oauth2/token");
            (base, "2018-02-01", ("metadata", "true"))
        }
    };
    let mut url = Url::parse(&base).map_err(|error| format!("{base:?} is not a URL: {error}"))?;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("api-version", version);
        query.append_pair("resource", &cloud.resource);
        if let Some(client) = client {
            query.append_pair("client_id", client);
        }
    }
    let exchange = Exchange::new(Where::Metadata, Method::GET, url.as_str())?;
    let answer: Result<Access, String> = exchange.header(header.0, header.1).json().await;
    let answer = answer.map_err(|error| {
        format!(
            "neither AZURE_CLIENT_SECRET nor AZURE_FEDERATED_TOKEN_FILE is set for {}, and {error}",
            cloud.suffix
        )
    })?;
    Ok(Secret::new(answer.access_token))
}

/// Asks the registry itself, the way it is reached.
async fn refresh_token(
    asked: &Asked<'_>,
    access: &Secret<String>,
) -> Result<Secret<String>, String> {
    let url = asked.base.join("/oauth2/exchange");
    let url = url.map_err(|error| error.to_string())?;
    let form = form(&[
        ("grant_type", "access_token"),
        ("service", asked.host),
        ("access_token", access.expose()),
    ]);
    let request = asked.transport.post(url.clone());
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let sent = request.body(form.expose().clone()).send().await;
    let response = sent.map_err(|cause| Error::exchange(&Method::POST, &url, cause).to_string())?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("POST {url}: status {status}"));
    }
    let bytes = body::whole(&Method::POST, response, ANSWER_BYTES_MAX).await;
    let bytes = bytes.map_err(|error| error.to_string())?;
    let answer = serde_json::from_slice::<Refresh>(&bytes);
    let answer = answer.map_err(|_| format!("POST {url}: the answer holds no refresh_token"))?;
    Ok(Secret::new(answer.refresh_token))
}

/// Returns how long a token is good by its own claim.
fn life_of(token: &str, now: i64) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    u64::try_from(claims.exp.saturating_sub(now))
        .ok()
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hosts_of_all_clouds_are_told_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("environment.json");
        std::fs::write(
            &path,
            r#"{"containerRegistryDNSSuffix":"cr.acme.io","resourceManagerEndpoint":"https://arm.acme.io/"}"#,
        )
        .unwrap();
        let name = "AZURE_ENVIRONMENT_FILEPATH".to_owned();
        let around: Surroundings = [(name, path.to_str().unwrap().to_owned())]
            .into_iter()
            .collect();
        for (host, want) in [
            ("acme.azurecr.io", Some("https://management.azure.com")),
            (
                "acme.azurecr.cn",
                Some("https://management.chinacloudapi.cn"),
            ),
            ("acme.cr.acme.io", Some("https://arm.acme.io")),
            ("azurecr.io", None),
            (".azurecr.io", None),
            ("acmeazurecr.io", None),
            ("acme.azurecr.io.evil.io", None),
            ("ghcr.io", None),
        ] {
            let cloud = cloud(&around, host).await.unwrap();
            assert_eq!(cloud.map(|cloud| cloud.resource).as_deref(), want, "{host}");
        }
    }

    #[test]
    fn a_token_tells_how_long_it_is_good() {
        let token = |claims: &str| format!("x.{}.y", URL_SAFE_NO_PAD.encode(claims));
        let life = |token: &str| life_of(token, 1000).map(|life| life.as_secs());
        assert_eq!(life(&token(r#"{"exp":1600,"sub":"a"}"#)), Some(600));
        assert_eq!(life(&token(r#"{"exp":10}"#)), None);
        assert_eq!(life(&token("{}")), None);
        assert_eq!(life("opaque"), None);
    }
}
