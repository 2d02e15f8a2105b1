//! Meeting a registry (`/v2/`): which scheme it speaks and what proof it wants.
//!
//! In: a [`Call`]. Out: a [`Registry`] that later calls share, or an [`Error`]. No credential is
//! sent here. Plain http is tried only where it is allowed, beside https.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use futures::future::{Either, select};
use reqwest::header;
use reqwest::{Method, Response, StatusCode, Url};

use super::access::{below, root};
use super::challenge::{self, Challenge};
use super::client::texts;
use super::session::Call;
use super::{Credential, Error};
use super::{body, error, retry, throttle};

/// How long https alone may answer before plain http is tried beside it.
const PLAIN_AFTER: Duration = Duration::from_millis(300);

/// Bytes of an error's body that are read for its text.
const ERROR_BYTES_MAX: usize = 16 << 10;

/// A registry that has answered once.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) base: Url,
    pub(super) transport: reqwest::Client,
    challenge: Mutex<Option<Challenge>>,
}

impl Registry {
    /// Returns what the registry asks for, as it last said.
    pub(super) fn challenge(&self) -> Option<Challenge> {
        let known = self
            .challenge
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Remembers what the registry asks for now.
    pub(super) fn learn(&self, challenge: Challenge) {
        let mut known = self
            .challenge
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *known = Some(challenge);
    }
}

/// Asks `/v2/` what the registry wants, over https, and over http where that is allowed.
pub(super) async fn ping(call: &Call<'_>) -> Result<Registry, Error> {
    let meet = || async {
        call.rest(true).await?;
        meet(call).await.inspect_err(|error| call.hold(error))
    };
    retry::retry(call.client.retries(), call.deadline, meet).await
}

async fn meet(call: &Call<'_>) -> Result<Registry, Error> {
    let mut secure = pin!(knock(call, "https"));
    if !call.access.insecure {
        return secure.await;
    }
    let plain = knock(call, "http");
    match tokio::time::timeout(PLAIN_AFTER, &mut secure).await {
        Ok(Ok(registry)) => Ok(registry),
        Ok(Err(error)) if error.status().is_some() => Err(error),
        Ok(Err(_)) => plain.await,
        Err(_) => match select(secure, pin!(plain)).await {
            Either::Left((Err(_), plain)) => plain.await,
            Either::Right((Err(_), secure)) => secure.await,
            Either::Left((met, _)) | Either::Right((met, _)) => met,
        },
    }
}

async fn knock(call: &Call<'_>, scheme: &str) -> Result<Registry, Error> {
    let base = root(scheme, call.repository)?;
    let url = below(&base, "")?;
    let transports = &call.client.transports;
    let checked = transports.hosts.check_url(&url);
    checked.map_err(|refused| Error::address(&url, refused))?;
    let transport = transports.client(call.repository, call.access, scheme == "http")?;
    let sent = transport.get(url.clone()).send().await;
    let response = sent.map_err(|source| Error::exchange(&Method::GET, &url, source))?;
    let challenge = match response.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => asked(&response),
        status if status.is_success() => None,
        _ => return Err(refused(&Method::GET, response, None).await),
    };
    Ok(Registry {
        base,
        transport,
        challenge: Mutex::new(challenge),
    })
}

/// Turns an answer that is no success into an error, with the registry's own text.
pub(super) async fn refused(
    method: &Method,
    response: Response,
    credential: Option<&Credential>,
) -> Error {
    let status = response.status();
    let url = error::redacted(response.url());
    let retry_after = texts(response.headers(), &header::RETRY_AFTER)
        .first()
        .and_then(|value| throttle::retry_after(value, Utc::now()));
    let bytes = body::beginning(response, ERROR_BYTES_MAX).await;
    Error::Status {
        method: method.clone(),
        url,
        status,
        text: error::text_of(method, status, &bytes, credential),
        retry_after,
    }
}

/// Returns the challenge of an answer that we can meet.
pub(super) fn asked(response: &Response) -> Option<Challenge> {
    let values = texts(response.headers(), &header::WWW_AUTHENTICATE);
    challenge::strongest(values.iter().map(String::as_str))
}
