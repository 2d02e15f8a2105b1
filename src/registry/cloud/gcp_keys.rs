//! Google's credential files: a workload identity's configuration (`external_account`) and a
//! service account's key (`service_account`).
//!
//! In: the text of the file. Out: an access token, or a reason without any of the file's values.
//! Files of other types, and configurations that run programs, are refused by name.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use reqwest::{Method, Url};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Proxy;
use super::super::token_service::form;
use super::exchange::{Exchange, Where};
use super::gcp::{SCOPE, Token};
use super::surroundings::file;
use crate::safe::Secret;

/// The variable that names the file, for errors.
const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// How long a signed assertion is good.
const ASSERTION_SECONDS: i64 = 600;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Named {
    ExternalAccount(External),
    ServiceAccount(Account),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct External {
    audience: String,
    subject_token_type: String,
    token_url: String,
    #[serde(default)]
    service_account_impersonation_url: Option<String>,
    credential_source: Source,
}

#[derive(Deserialize)]
struct Source {
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    subject_token_field_name: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: Option<String>,
    token_uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: String,
    expire_time: DateTime<Utc>,
}

/// Returns the access token that a credential file leads to.
pub(super) async fn token(text: &Secret<String>, proxy: Option<&Proxy>) -> Result<Token, String> {
    let named: Named = serde_json::from_str(text.expose()).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("{VARIABLE}: not a credential file (line {line}, column {column})")
    })?;
    match named {
        Named::ExternalAccount(external) => federated(&external, proxy).await,
        Named::ServiceAccount(account) => signed_for(&account, proxy).await,
        Named::Other => Err(format!(
            "{VARIABLE}: type is neither external_account nor service_account"
        )),
    }
}

async fn federated(external: &External, proxy: Option<&Proxy>) -> Result<Token, String> {
    let subject = subject(&external.credential_source).await?;
    let form = form(&[
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("audience", &external.audience),
        ("scope", SCOPE),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("subject_token_type", &external.subject_token_type),
        ("subject_token", subject.expose()),
    ]);
    let place = Where::Endpoint(proxy);
    let exchange = Exchange::new(place, Method::POST, &external.token_url)?;
    let token: Token = exchange.form(&form).json().await?;
    let Some(url) = &external.service_account_impersonation_url else {
        return Ok(token);
    };
    let exchange = Exchange::new(place, Method::POST, url)?
        .header("authorization", &format!("Bearer {}", token.access_token))
        .body("application/json", &json!({"scope": [SCOPE]}).to_string());
    let answer: Impersonated = exchange.json().await?;
    let left = (answer.expire_time - Utc::now()).num_seconds();
    Ok(Token {
        access_token: answer.access_token,
        expires_in: u64::try_from(left).unwrap_or(0),
    })
}

/// Returns the token that the workload's own platform has written into a file.
async fn subject(source: &Source) -> Result<Secret<String>, String> {
    let path = source.file.as_deref().ok_or_else(|| {
        format!("{VARIABLE}: credential_source is no file; URLs and programs are not used")
    })?;
    let text = file(path).await?;
    let format = source
        .format
        .as_ref()
        .filter(|format| format.kind == "json");
    let Some(format) = format else {
        return Ok(text);
    };
    let name = format
        .subject_token_field_name
        .as_deref()
        .unwrap_or_default();
    let fields = serde_json::from_str::<Value>(text.expose()).unwrap_or_default();
    match fields.get(name).and_then(Value::as_str) {
        Some(token) => Ok(Secret::new(token.to_owned())),
        None => Err(format!("{path}: no field {name:?} with a token")),
    }
}

async fn signed_for(account: &Account, proxy: Option<&Proxy>) -> Result<Token, String> {
    let assertion = assertion(account, Utc::now().timestamp())?;
    let form = form(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", assertion.expose()),
    ]);
    let exchange = Exchange::new(Where::Endpoint(proxy), Method::POST, &account.token_uri)?;
    exchange.form(&form).json().await
}

/// Returns a token that the account's key has signed.
fn assertion(account: &Account, now: i64) -> Result<Secret<String>, String> {
    let refuse = |reason: &str| format!("{VARIABLE}: private_key {reason}");
    let audience = Url::parse(&account.token_uri);
    audience.map_err(|error| format!("{VARIABLE}: token_uri: {error}"))?;
    let der = account
        .private_key
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("-----"))
        .collect::<String>();
    let der = STANDARD.decode(der).map_err(|_| refuse("is not PEM"))?;
    let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| refuse("is not an RSA key in PKCS #8"))?;
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": account.private_key_id});
    let claims = json!({
        "iss": account.client_email, "scope": SCOPE, "aud": account.token_uri,
        "iat": now, "exp": now + ASSERTION_SECONDS,
    });
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let mut signature = vec![0; pair.public().modulus_len()];
    let random = SystemRandom::new();
    pair.sign(
        &RSA_PKCS1_SHA256,
        &random,
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| refuse("cannot sign"))?;
    let signature = URL_SAFE_NO_PAD.encode(signature);
    Ok(Secret::new(format!("{signed}.{signature}")))
}
