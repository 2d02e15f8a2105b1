//! Tokens of service accounts: signed, with an end, and good only while their account is there.
//!
//! A token is a JSON web token with an ES256 signature. Pure but for the random part of a signature.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use serde_json::{Value, json};

/// Who gives the tokens out.
const ISSUER: &str = "https://kubernetes.default.svc";

/// The key that signs tokens.
pub(crate) struct Signer(EcdsaKeyPair);

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Signer {
    /// Returns the signer of a key in PKCS#8; nothing when it is no such key.
    pub(crate) fn new(pkcs8: &[u8]) -> Option<Self> {
        let key = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            pkcs8,
            &SystemRandom::new(),
        );
        key.ok().map(Self)
    }

    /// Returns a signed token.
    pub(crate) fn sign(&self, claims: &Claims, now: DateTime<Utc>, end: DateTime<Utc>) -> String {
        let Claims {
            namespace,
            name,
            uid,
        } = claims;
        let body = json!({
            "iss": ISSUER, "aud": [ISSUER], "iat": now.timestamp(), "nbf": now.timestamp(),
            "exp": end.timestamp(), "sub": format!("system:serviceaccount:{namespace}:{name}"),
            "kubernetes.io": { "namespace": namespace, "serviceaccount": { "name": name, "uid": uid } },
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = encode(&json!({ "alg": "ES256", "typ": "JWT" }));
        let text = format!("{head}.{}", encode(&body));
        let signature = self
            .0
            .sign(&SystemRandom::new(), text.as_bytes())
            .expect("because a good key signs any text while the system gives randomness");
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Returns whose token it is; nothing when it is not ours or has ended.
    pub(crate) fn verify(&self, token: &str, now: DateTime<Utc>) -> Option<Claims> {
        let (text, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.0.public_key());
        public.verify(text.as_bytes(), &signature).ok()?;
        let (_, body) = text.split_once('.')?;
        let body: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        let now = now.timestamp();
        if body["exp"].as_i64()? <= now || body["nbf"].as_i64()? > now {
            return None;
        }
        let own = |value: &Value| value.as_str().map(str::to_owned);
        let account = &body["kubernetes.io"]["serviceaccount"];
        Some(Claims {
            namespace: own(&body["kubernetes.io"]["namespace"])?,
            name: own(&account["name"])?,
            uid: own(&account["uid"])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_token_holds_until_its_end_and_only_as_it_was_signed() {
        let key = rcgen::KeyPair::generate().expect("a key").serialize_der();
        let signer = Signer::new(&key).expect("a signer");
        let claims = Claims {
            namespace: "n".to_owned(),
            name: "a".to_owned(),
            uid: "u".to_owned(),
        };
        let now = Utc::now();
        let end = now + TimeDelta::seconds(10);
        let token = signer.sign(&claims, now, end);
        assert_eq!(signer.verify(&token, now), Some(claims));
        assert_eq!(signer.verify(&token, end), None);
        let other = Signer::new(&rcgen::KeyPair::generate().expect("a key").serialize_der());
        assert_eq!(other.expect("a signer").verify(&token, now), None);
        assert_eq!(signer.verify(&token.replace('.', "A."), now), None);
    }
}
