//! Amazon's ECR: a name and password for twelve hours, for whoever has an access key.
//!
//! In: a host such as `123456789012.dkr.ecr.eu-west-1.amazonaws.com` or `public.ecr.aws`. Out: the
//! credential of `GetAuthorizationToken`, asked for in the host's region.
//! `AWS_ENDPOINT_URL_ECR`, `AWS_ENDPOINT_URL_ECR_PUBLIC` and `AWS_ENDPOINT_URL` move the endpoint.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use reqwest::{Method, Url};
use serde::Deserialize;

use super::super::Credential;
use super::exchange::{Exchange, Where};
use super::logins::{Asked, Given};
use super::sigv4::{self, Request};
use super::{Surroundings, aws_keys};

/// The registry that is open to all.
const PUBLIC_HOST: &str = "public.ecr.aws";

/// How long a token is good where the answer does not say; it says twelve hours.
const LIFE_DEFAULT: Duration = Duration::from_secs(60 * 60);

/// The ends of ECR's names, in all partitions.
const SUFFIXES: [&str; 9] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "on.aws",
    "on.amazonwebservices.com.cn",
    "sc2s.sgov.gov",
    "c2s.ic.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

/// Where a registry's tokens come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) region: String,
    endpoint: String,
    is_public: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "authorizationData")]
    data: OneOrMany,
}

/// A list for private registries, and one alone for the public one.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Token>),
    One(Token),
}

#[derive(Deserialize)]
struct Token {
    #[serde(rename = "authorizationToken")]
    token: String,
    #[serde(rename = "expiresAt")]
    expires_at: Option<f64>,
}

/// Exchanges an access key for a name and password.
pub(super) async fn login(around: &Surroundings, asked: &Asked<'_>) -> Result<Given, String> {
    let site = site(asked.host)
        .ok_or_else(|| format!("{:?} is not a host of Amazon's registries", asked.host))?;
    let key = aws_keys::find(around, &site.region, asked.proxy).await?;
    let (service, target, variable) = match site.is_public {
        true => (
            "ecr-public",
            "SpencerFrontendService.GetAuthorizationToken",
            "AWS_ENDPOINT_URL_ECR_PUBLIC",
        ),
        false => (
            "ecr",
            "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
            "AWS_ENDPOINT_URL_ECR",
        ),
    };
    let endpoint = around.get(variable).or(around.get("AWS_ENDPOINT_URL"));
    let endpoint = endpoint.unwrap_or(&site.endpoint);
    let now = Utc::now();
    let (host, date) = (host_of(endpoint)?, sigv4::date_of(now));
    let content_type = "application/x-amz-json-1.1";
    let mut headers = vec![
        ("content-type", content_type),
        ("host", host.as_str()),
        ("x-amz-date", date.as_str()),
    ];
    if let Some(session) = &key.session {
        headers.push(("x-amz-security-token", session.expose()));
    }
    headers.push(("x-amz-target", target));
    let request = Request {
        method: "POST",
        headers: &headers,
        body: "{}",
    };
    let proof = sigv4::authorization(&request, &key, &site.region, service, now);
    let mut exchange = Exchange::new(Where::Endpoint(asked.proxy), Method::POST, endpoint)?
        .body(content_type, request.body)
        .header("authorization", proof.expose());
    for (name, value) in &headers[2..] {
        exchange = exchange.header(name, value);
    }
    let answer: Answer = exchange.json().await?;
    let token = match answer.data {
        OneOrMany::One(token) => Some(token),
        OneOrMany::Many(tokens) => tokens.into_iter().next(),
    };
    given(token.ok_or("the answer holds no token")?, now)
}

fn given(token: Token, now: chrono::DateTime<Utc>) -> Result<Given, String> {
    let decoded = STANDARD.decode(token.token.trim()).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or("the token is not base64 of text")?;
    let (username, password) = text
        .split_once(':')
        .ok_or("the token is no user:password")?;
    let left = token.expires_at.map(|at| at - now.timestamp() as f64);
    let life = left.and_then(|left| Duration::try_from_secs_f64(left).ok());
    Ok(Given {
        credential: Credential::password(username, password),
        life: life.unwrap_or(LIFE_DEFAULT),
    })
}

/// Returns the host and port of an endpoint, as the `Host` header has it.
fn host_of(endpoint: &str) -> Result<String, String> {
    let url = Url::parse(endpoint).ok();
    let url = url.filter(|url| url.path() == "/" && url.query().is_none());
    let url = url.ok_or_else(|| format!("{endpoint:?} is not an endpoint's URL"))?;
    let host = url.host_str().unwrap_or_default();
    Ok(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// Reads `ACCOUNT.dkr.ecr[-fips].REGION.SUFFIX`, `ACCOUNT.dkr-ecr[-fips].REGION.SUFFIX` and
/// `public.ecr.aws`.
fn site(host: &str) -> Option<Site> {
    if host == PUBLIC_HOST {
        return Some(Site {
            region: "us-east-1".to_owned(),
            endpoint: "https://api.ecr-public.us-east-1.amazonaws.com".to_owned(),
            is_public: true,
        });
    }
    let (account, rest) = host.split_once(".dkr")?;
    let is_account = !account.is_empty() && account.bytes().all(|b| b.is_ascii_digit());
    let rest = rest.strip_prefix(['.', '-']).filter(|_| is_account)?;
    let (service, rest) = rest.split_once('.')?;
    let (region, suffix) = rest.split_once('.')?;
    let is_region = region
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !matches!(service, "ecr" | "ecr-fips")
        || region.is_empty()
        || !is_region
        || !SUFFIXES.contains(&suffix)
    {
        return None;
    }
    let api = match (service, suffix) {
        (_, "on.aws") => format!("{service}.{region}.api.aws"),
        (_, "on.amazonwebservices.com.cn") => {
            format!("{service}.{region}.api.amazonwebservices.com.cn")
        }
        ("ecr", _) => format!("api.ecr.{region}.{suffix}"),
        (_, _) => format!("{service}.{region}.{suffix}"),
    };
    Some(Site {
        region: region.to_owned(),
        endpoint: format!("https://{api}"),
        is_public: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_all_partitions_are_told_from_others() {
        for (host, want) in [
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                Some(("eu-west-1", "https://api.ecr.eu-west-1.amazonaws.com")),
            ),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                Some((
                    "us-gov-west-1",
                    "https://ecr-fips.us-gov-west-1.amazonaws.com",
                )),
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                Some(("cn-north-1", "https://api.ecr.cn-north-1.amazonaws.com.cn")),
            ),
            (
                "123456789012.dkr-ecr.us-east-2.on.aws",
                Some(("us-east-2", "https://ecr.us-east-2.api.aws")),
            ),
            (
                "public.ecr.aws",
                Some((
                    "us-east-1",
                    "https://api.ecr-public.us-east-1.amazonaws.com",
                )),
            ),
            ("ghcr.io", None),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.io", None),
            ("evil.io/123456789012.dkr.ecr.eu-west-1.amazonaws.com", None),
            ("x.dkr.ecr.eu-west-1.amazonaws.com", None),
            ("123456789012.dkr.ecr..amazonaws.com", None),
            ("123456789012.dkr.s3.eu-west-1.amazonaws.com", None),
        ] {
            let got = site(host);
            let got = got
                .as_ref()
                .map(|s| (s.region.as_str(), s.endpoint.as_str()));
            assert_eq!(got, want, "{host}");
        }
    }
}
