//! Signature version 4: what proves to Amazon who sends a request.
//!
//! In: a request for `/`, a key, a region, a service, the time. Out: the value of its
//! `Authorization` header. Pure.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use ring::digest::{SHA256, digest};
use ring::hmac;

use crate::safe::Secret;

/// An access key, for a while where it has a session.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) secret: Secret<String>,
    pub(super) session: Option<Secret<String>>,
}

/// A request without a query.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// Names in lower case and in order, with what stands in the header.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a str,
}

/// Returns the time as `x-amz-date` has it.
pub(super) fn date_of(now: DateTime<Utc>) -> String {
    now.format("%Y%m%dT%H%M%SZ").to_string()
}

/// Returns the `Authorization` header of a request.
pub(super) fn authorization(
    request: &Request<'_>,
    key: &Key,
    region: &str,
    service: &str,
    now: DateTime<Utc>,
) -> Secret<String> {
    let mut headers = String::new();
    for (name, value) in request.headers {
        headers.push_str(&format!("{name}:{}\n", value.trim()));
    }
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let body = hex(digest(&SHA256, request.body.as_bytes()).as_ref());
    let canonical = format!("{}\n/\n\n{headers}\n{names}\n{body}", request.method);
    let day = now.format("%Y%m%d").to_string();
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let canonical = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let signed = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{canonical}", date_of(now));
    let first = format!("AWS4{}", key.secret.expose()).into_bytes();
    let steps = [day.as_str(), region, service, "aws4_request", &signed];
    let signature = steps.iter().fold(first, |key, step| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        hmac::sign(&key, step.as_bytes()).as_ref().to_vec()
    });
    Secret::new(format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        key.id,
        hex(&signature)
    ))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_amazons_own_examples() {
        let now = DateTime::parse_from_rfc3339("2015-08-30T12:36:00Z").unwrap();
        let key = Key {
            id: "AKIDEXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            session: None,
        };
        for (method, want) in [
            (
                "GET",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
        ] {
            let request = Request {
                method,
                headers: &[
                    ("host", "example.amazonaws.com"),
                    ("x-amz-date", "20150830T123600Z"),
                ],
                body: "",
            };
            let value = authorization(&request, &key, "us-east-1", "service", now.to_utc());
            let want = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature={want}"
            );
            assert_eq!(value.expose(), &want);
        }
    }
}
