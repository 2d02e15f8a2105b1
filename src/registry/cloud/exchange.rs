//! [`Exchange`]: one question to an endpoint of a cloud and its bounded answer.
//!
//! In: a URL, headers, a body. Out: bytes or JSON, or a reason with the URL, the status and what
//! the endpoint said of its error, never a token. Metadata services are asked without a proxy and
//! given up soon when nobody is there.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::{Error, Proxy, body, error};
use crate::safe::{Secret, printable_line};

/// Bytes of an answer; tokens have a few thousand.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Time for a connection to a metadata service, which is on the machine or not at all.
const METADATA_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Time for a connection to an endpoint.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Names under which endpoints say what is wrong.
const ERROR_NAMES: [&str; 6] = [
    "error_description",
    "message",
    "Message",
    "error",
    "__type",
    "Code",
];

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where<'a> {
    /// The machine's metadata service.
    Metadata,
    /// An endpoint, perhaps through the proxy of the object.
    Endpoint(Option<&'a Proxy>),
}

/// A question.
pub(super) struct Exchange {
    method: Method,
    url: Url,
    request: RequestBuilder,
}

impl Exchange {
    /// Returns a question without headers and body. Fails when the URL is none.
    pub(super) fn new(place: Where<'_>, method: Method, url: &str) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("{url:?} is not a URL: {error}"))?;
        let client = client(place, url.scheme() == "http");
        let client = client.map_err(|error| error.to_string())?;
        let request = client.request(method.clone(), url.clone());
        Ok(Self {
            method,
            url,
            request,
        })
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(super) fn body(mut self, content_type: &str, body: &str) -> Self {
        let request = self.request.header("content-type", content_type);
        self.request = request.body(body.to_owned());
        self
    }

    pub(super) fn form(self, form: &Secret<String>) -> Self {
        self.body("application/x-www-form-urlencoded", form.expose())
    }

    /// Sends it and returns the body of an answer of success.
    pub(super) async fn bytes(self) -> Result<Secret<Vec<u8>>, String> {
        let place = format!("{} {}", self.method, error::redacted(&self.url));
        let sent = self.request.send().await;
        let response = sent.map_err(|cause| Error::exchange(&self.method, &self.url, cause));
        let response = response.map_err(|error| error.to_string())?;
        let status = response.status();
        let bytes = body::whole(&self.method, response, ANSWER_BYTES_MAX).await;
        let bytes = bytes.map_err(|error| error.to_string())?;
        match status.is_success() {
            true => Ok(Secret::new(bytes)),
            false => Err(format!("{place}: status {status}{}", said(&bytes))),
        }
    }

    /// Sends it and returns the text of an answer of success.
    pub(super) async fn text(self) -> Result<Secret<String>, String> {
        let place = format!("{} {}", self.method, error::redacted(&self.url));
        let bytes = self.bytes().await?;
        let text = std::str::from_utf8(bytes.expose()).map(|text| text.trim().to_owned());
        let text = text.map_err(|_| format!("{place}: answer is not text"))?;
        Ok(Secret::new(text))
    }

    /// Sends it and returns the JSON of an answer of success.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<T, String> {
        let place = format!("{} {}", self.method, error::redacted(&self.url));
        let bytes = self.bytes().await?;
        // The parser's own text may quote a value, so only the place is told.
        serde_json::from_slice(bytes.expose()).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("{place}: answer is not what was asked for (line {line}, column {column})")
        })
    }
}

fn client(place: Where<'_>, plain: bool) -> Result<reqwest::Client, Error> {
    // An error means that the process has chosen its provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none());
    builder = match place {
        Where::Metadata => builder.connect_timeout(METADATA_CONNECT_TIMEOUT).no_proxy(),
        Where::Endpoint(None) => builder.connect_timeout(CONNECT_TIMEOUT),
        Where::Endpoint(Some(proxy)) => {
            builder.connect_timeout(CONNECT_TIMEOUT).proxy(proxy.all()?)
        }
    };
    if plain {
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|source| Error::Setup { source })
}

/// Returns what an endpoint says of its error: named fields only, cut and cleaned.
fn said(body: &[u8]) -> String {
    const CHARS_MAX: usize = 200;
    let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(body) else {
        return String::new();
    };
    let texts = ERROR_NAMES
        .iter()
        .filter_map(|name| match fields.get(*name)? {
            Value::String(text) => Some(text.as_str()),
            nested => nested.get("message")?.as_str(),
        });
    let text: String = texts.take(1).collect();
    match text.is_empty() {
        true => String::new(),
        false => format!(": {}", printable_line(&text, CHARS_MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_words_of_an_error_are_told() {
        for (body, want) in [
            (r#"{"message":"not\nallowed"}"#, ": not allowed"),
            (
                r#"{"message":"\u001b[2J\u202eno"}"#,
                ": \\u{1b}[2J\\u{202e}no",
            ),
            (
                r#"{"error":"invalid_client","error_description":"no such client"}"#,
                ": no such client",
            ),
            (r#"{"error":{"code":403,"message":"denied"}}"#, ": denied"),
            (r#"{"__type":"AccessDenied"}"#, ": AccessDenied"),
            (r#"{"token":"s3cret"}"#, ""),
            ("s3cret", ""),
            ("", ""),
        ] {
            assert_eq!(said(body.as_bytes()), want, "{body}");
        }
    }
}
