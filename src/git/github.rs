//! GitHub Apps: a private key becomes a token that opens repositories for an hour.
//!
//! In: the data of a Secret. Out: a token, kept until shortly before its end. GitHub's API is asked for
//! the installation of an owner and for the token, each bounded. What the API answers is never shown
//! but for its `message`.

mod app;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::StreamExt as _;
use serde::Deserialize;

use super::{AGENT, Error, error::chain, mirror::lock, remote::Remote};
use crate::safe::Secret;
pub use app::GithubApp;
use app::Installation;
pub(super) use app::KEYS;

/// How long before its end a token is no longer used.
const RESERVE: Duration = Duration::from_secs(5 * 60);
/// Largest answer of the API taken, in bytes.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Pages of installations looked through for an owner, a hundred each.
pub const PAGES_MAX: usize = 100;
const PAGE_SIZE: usize = 100;
/// Tokens kept; above it all are asked for anew.
const TOKENS_MAX: usize = 4096;
/// The name that a token is used with.
pub(super) const USER: &str = "x-access-token";

/// Tokens by the app, installation and API that they are of.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<String, Token>>);

/// A token that was handed out, for when it is refused.
#[derive(Clone)]
pub(super) struct Lent {
    tokens: Arc<Tokens>,
    key: String,
}

impl Lent {
    /// Forgets the token, so that the next use asks for a new one.
    pub(super) fn forget(&self) {
        lock(&self.tokens.0).remove(&self.key);
    }
}

#[derive(Clone)]
struct Token {
    value: Secret<String>,
    /// Seconds since 1970.
    ends_s: i64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: String,
    expires_at: String,
}

#[derive(Deserialize)]
struct InstallationAnswer {
    id: u64,
    account: Account,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

#[derive(Deserialize, Default)]
struct Problem {
    #[serde(default)]
    message: String,
}

impl Tokens {
    /// Returns what forgets the token of `app`.
    pub(super) fn lent(self: &Arc<Self>, app: &GithubApp) -> Lent {
        Lent {
            tokens: Arc::clone(self),
            key: app.fingerprint(),
        }
    }

    /// Returns a token of `app`: one that is kept, or a new one. `remote` says how long and by which
    /// proxy and roots GitHub is asked.
    pub(super) async fn token(
        &self,
        client: &reqwest::Client,
        app: &GithubApp,
        remote: &Remote,
    ) -> Result<Secret<String>, Error> {
        let key = app.fingerprint();
        let kept = lock(&self.0).get(&key).cloned();
        let reserve = i64::try_from(RESERVE.as_secs()).unwrap_or(i64::MAX);
        if let Some(token) = kept
            && token.ends_s - reserve > now_s()
        {
            return Ok(token.value);
        }
        let asked = tokio::time::timeout(remote.timeout, ask(client, app));
        let token = asked.await.map_err(|_| Error::Timeout {
            url: app.base_url().to_owned(),
            after: remote.timeout,
        })??;
        let mut tokens = lock(&self.0);
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(key, token.clone());
        Ok(token.value)
    }
}

async fn ask(client: &reqwest::Client, app: &GithubApp) -> Result<Token, Error> {
    let proof = app.proof(now_s())?;
    let id = match app.installation() {
        Installation::Id(id) => id.clone(),
        Installation::Owner(owner) => installation_of(client, app, &proof, owner).await?,
    };
    let url = format!("{}/app/installations/{id}/access_tokens", app.base_url());
    let answer: TokenAnswer = exchange(app, &proof, client.post(url)).await?;
    let ends = chrono::DateTime::parse_from_rfc3339(&answer.expires_at);
    let ends = ends.map_err(|_| malformed(app, "expires_at is no time"))?;
    Ok(Token {
        value: Secret::new(answer.token),
        ends_s: ends.timestamp(),
    })
}

/// Returns the id of the app's installation for an owner.
async fn installation_of(
    client: &reqwest::Client,
    app: &GithubApp,
    proof: &Secret<String>,
    owner: &str,
) -> Result<String, Error> {
    for page in 1..=PAGES_MAX {
        let url = format!(
            "{}/app/installations?per_page={PAGE_SIZE}&page={page}",
            app.base_url()
        );
        let found: Vec<InstallationAnswer> = exchange(app, proof, client.get(url)).await?;
        let is_owners = |one: &&InstallationAnswer| one.account.login.eq_ignore_ascii_case(owner);
        if let Some(installation) = found.iter().find(is_owners) {
            return Ok(installation.id.to_string());
        }
        if found.len() < PAGE_SIZE {
            break;
        }
    }
    Err(app.unusable(format!("the app is not installed for {owner:?}")))
}

async fn exchange<T: serde::de::DeserializeOwned>(
    app: &GithubApp,
    proof: &Secret<String>,
    request: reqwest::RequestBuilder,
) -> Result<T, Error> {
    let failed = |cause: reqwest::Error| Error::Connection {
        act: "ask for a token of",
        url: app.base_url().to_owned(),
        cause: chain(&cause.without_url()),
    };
    let request = request
        .header("Authorization", format!("Bearer {}", proof.expose()))
        .header("Accept", "application/vnd.github+json")
        .header("User-Agent", AGENT);
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.map_err(failed)?);
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(Error::TooLarge {
                what: format!("the answer of {}", app.base_url()),
                max: ANSWER_BYTES_MAX as u64,
            });
        }
    }
    if status.is_success() {
        return serde_json::from_slice(&bytes).map_err(|_| malformed(app, "it is not as expected"));
    }
    let problem: Problem = serde_json::from_slice(&bytes).unwrap_or_default();
    let said: String = problem
        .message
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    let text = match said.replace(proof.expose().as_str(), "***") {
        said if said.is_empty() => said,
        said => format!(": {said}"),
    };
    let url = app.base_url().to_owned();
    let status = status.as_u16();
    Err(match status {
        401 | 403 | 404 => Error::Authentication { url, status, text },
        status => Error::Status { url, status, text },
    })
}

fn malformed(app: &GithubApp, why: &str) -> Error {
    Error::Protocol {
        url: app.base_url().to_owned(),
        what: format!("the answer to a GitHub App cannot be read: {why}"),
    }
}

fn now_s() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
