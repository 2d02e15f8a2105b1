//! Bearer tokens: kept for each credential, token service and scope until they run out.
//!
//! In: what a token service answers. Out: tokens that are still good. Asking the service is the
//! client's part; nothing is sent here and nothing is written to disk.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::Credential;
use crate::safe::Secret;

/// Bytes of a token service's answer.
pub(super) const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What the token specification says of an answer without `expires_in`.
const LIFE_DEFAULT: Duration = Duration::from_secs(60);

/// The longest a token is kept, whatever the service says.
const LIFE_MAX: Duration = Duration::from_secs(60 * 60);

/// Tokens kept at once; above it, those that ran out are forgotten, then all.
const TOKENS_MAX: usize = 8192;

/// Who may do what, by whose word.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    pub(super) realm: String,
    pub(super) service: String,
    pub(super) scope: String,
    pub(super) credential: Option<Credential>,
}

#[derive(Debug, Clone)]
struct Kept {
    token: Secret<String>,
    until: Instant,
}

/// The tokens of this process.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<Grant, Kept>>);

impl Tokens {
    /// Returns a token that is still good.
    pub(super) fn find(&self, grant: &Grant, now: Instant) -> Option<Secret<String>> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = tokens.get(grant).filter(|kept| kept.until > now)?;
        Some(kept.token.clone())
    }

    /// Keeps what the service granted.
    pub(super) fn keep(&self, grant: Grant, granted: &Granted, now: Instant) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS_MAX {
            tokens.retain(|_, kept| kept.until > now);
        }
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        // A tenth is left as the time that the request itself takes.
        let until = now + granted.life.min(LIFE_MAX) * 9 / 10;
        let token = granted.token.clone();
        tokens.insert(grant, Kept { token, until });
    }

    /// Forgets a token that the registry refused.
    pub(super) fn forget(&self, grant: &Grant) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.remove(grant);
    }
}

/// A token as its service granted it.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) token: Secret<String>,
    life: Duration,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<f64>,
    #[serde(default)]
    issued_at: Option<String>,
}

/// Reads a token service's answer. Fails with a reason that holds nothing of it.
pub(super) fn granted(body: &[u8], now: DateTime<Utc>) -> Result<Granted, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("is not a token answer (line {line}, column {column})")
    })?;
    let token = [answer.token, answer.access_token]
        .into_iter()
        .flatten()
        .find(|token| !token.is_empty())
        .ok_or("holds neither token nor access_token")?;
    if token.bytes().any(|b| !(b' '..=b'~').contains(&b)) {
        return Err("holds a token that no header can carry".to_owned());
    }
    let life = answer
        .expires_in
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|life| !life.is_zero())
        .unwrap_or(LIFE_DEFAULT);
    // A token that was issued a while ago lives that much shorter; a clock that differs from ours
    // by more than the life of the token tells nothing.
    let issued = answer
        .issued_at
        .as_deref()
        .map(DateTime::parse_from_rfc3339);
    let age = issued.and_then(Result::ok).map(|at| now - at.to_utc());
    let age = age.and_then(|age| age.to_std().ok()).unwrap_or_default();
    let life = match life.saturating_sub(age) {
        Duration::ZERO => life,
        left => left,
    };
    Ok(Granted {
        token: Secret::new(token),
        life,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-01-01T00:01:40Z".parse().unwrap()
    }

    fn grant(scope: &str, user: Option<&str>) -> Grant {
        Grant {
            realm: "https://a/token".to_owned(),
            service: "r".to_owned(),
            scope: scope.to_owned(),
            credential: user.map(|user| Credential::password(user, "p")),
        }
    }

    #[test]
    fn answers_are_read_and_nothing_of_them_is_told() {
        for (body, want) in [
            (r#"{"token":"t","expires_in":300}"#, Ok(("t", 300))),
            (r#"{"access_token":"a"}"#, Ok(("a", 60))),
            (
                r#"{"token":"","access_token":"a","expires_in":0}"#,
                Ok(("a", 60)),
            ),
            (r#"{"token":"t","expires_in":-5}"#, Ok(("t", 60))),
            (
                r#"{"token":"t","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}"#,
                Ok(("t", 200)),
            ),
            (
                r#"{"token":"t","expires_in":300,"issued_at":"2025-01-01T00:00:00Z"}"#,
                Ok(("t", 300)),
            ),
            (
                r#"{"token":"t","expires_in":300,"issued_at":"2026-01-01T00:10:00Z"}"#,
                Ok(("t", 300)),
            ),
            (r#"{"token":"t","issued_at":"soon"}"#, Ok(("t", 60))),
            (r#"{"s3cret":1}"#, Err("holds neither")),
            ("s3cret", Err("is not a token answer")),
            ("{\"token\":\"s3cret\\n\"}", Err("no header can carry")),
        ] {
            match (granted(body.as_bytes(), now()), want) {
                (Ok(granted), Ok((token, life))) => {
                    assert_eq!(granted.token.expose(), token, "{body}");
                    assert_eq!(granted.life.as_secs(), life, "{body}");
                }
                (Err(error), Err(want)) => {
                    assert!(error.contains(want) && !error.contains("s3cret"), "{error}");
                }
                (got, want) => panic!("{body}: {got:?}, want {want:?}"),
            }
        }
    }

    #[test]
    fn a_token_is_kept_for_its_credential_and_scope_until_it_runs_out() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        let answer = granted(br#"{"token":"t","expires_in":100}"#, self::now()).unwrap();
        tokens.keep(grant("pull", Some("bob")), &answer, now);
        let found = |scope, user, at: u64| {
            let at = now + Duration::from_secs(at);
            tokens.find(&grant(scope, user), at).is_some()
        };
        assert!(found("pull", Some("bob"), 89));
        assert!(!found("pull", Some("bob"), 90));
        assert!(!found("pull", Some("eve"), 0));
        assert!(!found("pull", None, 0));
        assert!(!found("push", Some("bob"), 0));
        tokens.forget(&grant("pull", Some("bob")));
        assert!(!found("pull", Some("bob"), 0));
    }
}
