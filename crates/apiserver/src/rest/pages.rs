//! Continue tokens: where the next page of a list starts, and at which revision.
//!
//! Pure. The form is upstream's: base64 of `{"v":"meta.k8s.io/v1","rv":N,"start":"key\0"}`.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use serde::{Deserialize, Serialize};

use super::refuse;
use crate::error::ApiError;

/// Base64 as Go reads it: bits beyond the last byte are ignored.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// A place in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) v: String,
    /// The revision of the list; -1 to go on with the newest state.
    pub(crate) rv: i64,
    /// The first path of the next page.
    pub(crate) start: String,
}

impl Token {
    /// Returns the token of the page after `path`.
    pub(crate) fn after(path: &str, rv: i64) -> Self {
        Self {
            v: "meta.k8s.io/v1".to_owned(),
            rv,
            start: format!("{path}\0"),
        }
    }

    /// Returns the token's text.
    pub(crate) fn encode(&self) -> String {
        let json = serde_json::to_vec(self).expect("because a token has a JSON form");
        BASE64.encode(json)
    }

    /// Returns the token of a text; 400 when it is none.
    pub(crate) fn decode(text: &str) -> Result<Self, ApiError> {
        let wrong = |why: String| {
            refuse::bad(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        let bytes = BASE64
            .decode(text.trim_end_matches('='))
            .map_err(|e| wrong(e.to_string()))?;
        let token: Self = serde_json::from_slice(&bytes).map_err(|_| {
            let first = bytes.first().map(|b| char::from(*b)).unwrap_or_default();
            wrong(format!(
                "invalid character '{first}' looking for beginning of value"
            ))
        })?;
        if token.v != "meta.k8s.io/v1" {
            return Err(wrong(format!(
                "server does not recognize this encoded version {:?}",
                token.v
            )));
        }
        if token.rv == 0 || token.start.is_empty() {
            return Err(wrong("incorrect encoded start resourceVersion".to_owned()));
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_the_page_and_survives_its_text() {
        let token = Token::after("default/a", 7);
        assert_eq!(Token::decode(&token.encode()).expect("a token"), token);
        assert_eq!(Token::decode("zzz").expect_err("no token").code, 400);
    }
}
