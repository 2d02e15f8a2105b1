//! What can go wrong between us and a registry, in Flux's words where Flux has some.
//!
//! In: an answer or a failed act. Out: one line with method, URL and cause. URLs are printed
//! without user information and with the values of unknown query keys hidden; the registry's own
//! text is cut, one line that can be shown, and without the credential.

use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::Credential;
use crate::outbound;
use crate::safe::{AddressError, printable_line};

/// Characters of a registry's text that are repeated in an error.
const TEXT_CHARS_MAX: usize = 512;

/// Query keys whose values may be printed.
const OPEN_KEYS: [&str; 4] = ["n", "last", "scope", "service"];

/// A failed scan or look-up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry or repository cannot stand in a URL.
    #[error("{name:?} does not name a repository")]
    Name {
        /// The name as given.
        name: String,
    },
    /// The registry answered with a status that is no success.
    #[error("{method} {url}: {text}{}", asked_for(*retry_after))]
    Status {
        /// The method of the request.
        method: Method,
        /// The URL, redacted.
        url: String,
        /// The status of the answer.
        status: StatusCode,
        /// What the registry said, or the status in words.
        text: String,
        /// How long the registry asks us to stay away.
        retry_after: Option<Duration>,
    },
    /// The host asked us to stay away and the time is not over; nothing was sent.
    #[error("{registry} asked for no requests for another {}s", seconds(*wait))]
    Throttled {
        /// The registry's host.
        registry: String,
        /// What is left of the wait.
        wait: Duration,
    },
    /// No answer: name, connection, TLS or a body that ended early.
    #[error("{method} {url}: {}", causes(source))]
    Exchange {
        /// The method of the request.
        method: Method,
        /// The URL, redacted.
        url: String,
        /// The cause, without its URL.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that is not what the protocol says.
    #[error("{method} {url}: {reason}")]
    Answer {
        /// The method of the request.
        method: Method,
        /// The URL, redacted.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The whole call took longer than `spec.timeout`.
    #[error("{registry}: context deadline exceeded (timeout {timeout:?})")]
    Timeout {
        /// The registry's host.
        registry: String,
        /// The budget that was used up.
        timeout: Duration,
    },
    /// A host whose address must not be asked; nothing was sent.
    #[error("{place}: {source}")]
    Address {
        /// What was to be asked.
        place: String,
        /// Why not.
        #[source]
        source: AddressError,
    },
    /// A pull secret that cannot be read.
    #[error("pull secret: {place}: {reason}")]
    Secret {
        /// The key and entry.
        place: String,
        /// What is wrong with it, without values.
        reason: String,
    },
    /// A certificate secret that cannot be read.
    #[error("certificate secret: {reason}")]
    Certificate {
        /// What is wrong with it, without values.
        reason: String,
    },
    /// A proxy secret that cannot be read.
    #[error("proxy secret: {reason}")]
    Proxy {
        /// What is wrong with it, without values.
        reason: String,
    },
    /// A cloud did not give a login for its registry.
    #[error("{provider} login: {reason}")]
    Login {
        /// The value of `spec.provider`.
        provider: &'static str,
        /// What went wrong, without tokens.
        reason: String,
    },
    /// The http client could not be made.
    #[error("cannot set up http: {}", causes(source))]
    Setup {
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
}

impl Error {
    /// Returns the status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(status.as_u16()),
            _ => None,
        }
    }

    /// Returns how long the host must be left alone, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Throttled { wait, .. } => Some(*wait),
            _ => None,
        }
    }

    /// Returns whether the same request may succeed soon: Flux's statuses, and lost connections.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(
                status.as_u16(),
                408 | 429 | 499 | 500 | 502 | 503 | 504 | 522
            ),
            Self::Exchange { source, .. } => {
                let is_final = source.is_builder() || source.is_redirect();
                !is_final && outbound::refusal(source).is_none()
            }
            _ => false,
        }
    }

    pub(super) fn exchange(method: &Method, url: &Url, source: reqwest::Error) -> Self {
        Self::Exchange {
            method: method.clone(),
            url: redacted(url),
            source: source.without_url(),
        }
    }

    pub(super) fn address(url: &Url, source: AddressError) -> Self {
        Self::Address {
            place: redacted(url),
            source,
        }
    }

    pub(super) fn answer(method: &Method, url: &Url, reason: impl Into<String>) -> Self {
        Self::Answer {
            method: method.clone(),
            url: redacted(url),
            reason: reason.into(),
        }
    }
}

/// Returns the URL without user information and with only harmless query values.
pub(super) fn redacted(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for URLs without a host, which hold no user information.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    let query: Vec<String> = url
        .query_pairs()
        .map(|(key, value)| {
            let open = OPEN_KEYS.contains(&key.as_ref());
            format!("{key}={}", if open { value.as_ref() } else { "REDACTED" })
        })
        .collect();
    match query.is_empty() {
        true => shown.to_string(),
        false => format!("{shown}?{}", query.join("&")),
    }
}

/// Returns the text of an answer that is no success, as Flux prints it.
pub(super) fn text_of(
    method: &Method,
    status: StatusCode,
    body: &[u8],
    credential: Option<&Credential>,
) -> String {
    let words = status.canonical_reason().unwrap_or("");
    let plain = format!("unexpected status code {} {words}", status.as_u16());
    let plain = plain.trim_end();
    if let Ok(said) = serde_json::from_slice::<Said>(body)
        && !said.errors.is_empty()
    {
        let all: Vec<String> = said.errors.iter().map(Diagnostic::text).collect();
        let all = all.join("; ");
        return clean(
            &match said.errors.len() {
                1 => all,
                _ => format!("multiple errors returned: {all}"),
            },
            credential,
        );
    }
    if body.is_empty() && method == Method::HEAD {
        return format!("{plain} (HEAD responses have no body, use GET for details)");
    }
    match body.is_empty() {
        true => plain.to_owned(),
        false => clean(
            &format!("{plain}: {}", String::from_utf8_lossy(body)),
            credential,
        ),
    }
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    errors: Vec<Diagnostic>,
}

#[derive(Deserialize)]
struct Diagnostic {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    detail: serde_json::Value,
}

impl Diagnostic {
    fn text(&self) -> String {
        let head = format!("{}: {}", self.code, self.message);
        match &self.detail {
            serde_json::Value::Null => head,
            detail => format!("{head}; {}", go_value(detail)),
        }
    }
}

/// Returns a JSON value as Go prints one with `%v`.
fn go_value(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_value).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let mut items: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", go_value(value)))
                .collect();
            items.sort();
            format!("map[{}]", items.join(" "))
        }
        other => other.to_string(),
    }
}

/// Hides the credential in text from outside, and makes it one line that can be shown.
fn clean(text: &str, credential: Option<&Credential>) -> String {
    let text = match credential {
        Some(credential) => credential.hidden_in(text),
        None => text.to_owned(),
    };
    printable_line(&text, TEXT_CHARS_MAX)
}

/// Returns the wait that an answer asks for, as the end of its text.
fn asked_for(wait: Option<Duration>) -> String {
    match wait {
        Some(wait) if !wait.is_zero() => {
            format!(" (asks for no requests for {}s)", seconds(wait))
        }
        _ => String::new(),
    }
}

/// Returns whole seconds, and never fewer than were asked for.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Returns an error and its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        next = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_worded_as_flux_words_them() {
        let not_found = StatusCode::NOT_FOUND;
        for (method, body, want) in [
            (
                Method::GET,
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"team/app"}}]}"#,
                "NAME_UNKNOWN: repository name not known to registry; map[name:team/app]",
            ),
            (
                Method::GET,
                r#"{"errors":[{"code":"A","message":"a"},{"code":"B","message":"b"}]}"#,
                "multiple errors returned: A: a; B: b",
            ),
            (Method::GET, "", "unexpected status code 404 Not Found"),
            (
                Method::GET,
                "gone\n",
                "unexpected status code 404 Not Found: gone",
            ),
            (
                Method::HEAD,
                "",
                "unexpected status code 404 Not Found (HEAD responses have no body, use GET for details)",
            ),
        ] {
            assert_eq!(text_of(&method, not_found, body.as_bytes(), None), want);
        }
    }

    #[test]
    fn long_texts_are_cut_and_credentials_hidden() {
        let credential = Credential::password("bob", "s3cret-word");
        let body = format!("you sent s3cret-word\u{7} {}", "x".repeat(2000));
        let text = text_of(
            &Method::GET,
            StatusCode::BAD_REQUEST,
            body.as_bytes(),
            Some(&credential),
        );
        assert!(!text.contains("s3cret"), "{text}");
        assert!(!text.contains('\u{7}'), "{text}");
        assert_eq!(text.chars().count(), TEXT_CHARS_MAX + 1);
    }

    #[test]
    fn urls_lose_users_and_unknown_values() {
        let url = Url::parse("https://u:p@r.io/v2/a/tags/list?n=5&next=opaque").unwrap();
        assert_eq!(
            redacted(&url),
            "https://r.io/v2/a/tags/list?n=5&next=REDACTED"
        );
    }
}
