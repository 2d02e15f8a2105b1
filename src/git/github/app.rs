//! A GitHub App as a Secret describes it, and the proof that somebody is it.
//!
//! In: `githubAppID`, `githubAppInstallationID` or `githubAppInstallationOwner`, `githubAppPrivateKey`,
//! `githubAppBaseURL`. Out: JSON Web Tokens signed by RS256. Pure; the time comes in.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::Error;
use crate::safe::Secret;

const ID: &str = "githubAppID";
const INSTALLATION_ID: &str = "githubAppInstallationID";
const INSTALLATION_OWNER: &str = "githubAppInstallationOwner";
const PRIVATE_KEY: &str = "githubAppPrivateKey";
const BASE_URL: &str = "githubAppBaseURL";
/// All keys that make a Secret one of a GitHub App.
pub(in crate::git) const KEYS: [&str; 4] = [ID, INSTALLATION_ID, INSTALLATION_OWNER, PRIVATE_KEY];
/// The API that is asked when the Secret names none.
const DEFAULT_BASE_URL: &str = "https://api.github.com";
/// How far a proof reaches into the past, for clocks that are behind, and into the future.
const PAST_S: i64 = 30;
const FUTURE_S: i64 = 120;

/// An app, one of its installations, and the key that proves it.
#[derive(Clone)]
pub struct GithubApp(Arc<Parts>);

struct Parts {
    secret: String,
    id: String,
    installation: Installation,
    key: RsaKeyPair,
    base_url: String,
    fingerprint: String,
}

/// Which installation of an app is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Installation {
    /// By its number.
    Id(String),
    /// By whose repositories it opens.
    Owner(String),
}

impl fmt::Debug for GithubApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GithubApp({})", self.0.id)
    }
}

impl GithubApp {
    /// Returns the app that the Secret `secret` (`namespace/name`) describes. Fails when a part is
    /// missing, contradicts another, or cannot be used.
    pub fn from_secret<'a>(
        secret: &str,
        value: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, Error> {
        let error = |reason: String| Error::Secret {
            secret: secret.to_owned(),
            reason,
        };
        let text = |key: &str| {
            let text = value(key).map(std::str::from_utf8).transpose();
            let text = text.map_err(|_| error(format!("the key {key:?} is not UTF-8")))?;
            Ok(text.map(str::trim).filter(|text| !text.is_empty()))
        };
        let missing = |key: &str| error(format!("has no {key:?}"));
        let number = |key: &str, text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => Ok(text.to_owned()),
            false => Err(error(format!("the key {key:?} is no number"))),
        };
        let id = number(ID, text(ID)?.ok_or_else(|| missing(ID))?)?;
        let installation = match (text(INSTALLATION_ID)?, text(INSTALLATION_OWNER)?) {
            (Some(id), None) => Installation::Id(number(INSTALLATION_ID, id)?),
            (None, Some(owner)) => Installation::Owner(owner.to_owned()),
            _ => {
                return Err(error(format!(
                    "needs either {INSTALLATION_ID:?} or {INSTALLATION_OWNER:?}"
                )));
            }
        };
        let pem = text(PRIVATE_KEY)?.ok_or_else(|| missing(PRIVATE_KEY))?;
        let key =
            key_pair(pem).map_err(|reason| error(format!("the key {PRIVATE_KEY:?} {reason}")))?;
        let base_url = base_url(text(BASE_URL)?).map_err(error)?;
        let mut hasher = Sha256::new();
        for part in [
            id.as_str(),
            &format!("{installation:?}"),
            &base_url,
            secret,
            pem,
        ] {
            hasher.update(part);
            hasher.update([0]);
        }
        let fingerprint = URL_SAFE_NO_PAD.encode(hasher.finalize());
        Ok(Self(Arc::new(Parts {
            secret: secret.to_owned(),
            id,
            installation,
            key,
            base_url,
            fingerprint,
        })))
    }

    pub(in crate::git) fn base_url(&self) -> &str {
        &self.0.base_url
    }

    pub(super) fn installation(&self) -> &Installation {
        &self.0.installation
    }

    /// Returns a text that is the same for the same app, installation, key and API.
    pub(super) fn fingerprint(&self) -> String {
        self.0.fingerprint.clone()
    }

    /// Returns the error of an app that GitHub will not give a token.
    pub(super) fn unusable(&self, reason: String) -> Error {
        Error::Secret {
            secret: self.0.secret.clone(),
            reason,
        }
    }

    /// Returns the token by which the app says who it is, from now on for two minutes.
    pub(super) fn proof(&self, now_s: i64) -> Result<Secret<String>, Error> {
        let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = encode(json!({"alg": "RS256", "typ": "JWT"}));
        let (from, to) = (now_s - PAST_S, now_s + FUTURE_S);
        let claims = encode(json!({"iat": from, "exp": to, "iss": self.0.id}));
        let signed = format!("{header}.{claims}");
        let mut signature = vec![0; self.0.key.public().modulus_len()];
        let random = SystemRandom::new();
        let done = self.0.key.sign(
            &RSA_PKCS1_SHA256,
            &random,
            signed.as_bytes(),
            &mut signature,
        );
        done.map_err(|_| self.unusable(format!("the key {PRIVATE_KEY:?} cannot sign")))?;
        Ok(Secret::new(format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(signature)
        )))
    }
}

fn key_pair(pem: &str) -> Result<RsaKeyPair, String> {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| "is no private key in PEM".to_owned())?;
    let pair = match &der {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err("is no RSA key".to_owned()),
    };
    pair.map_err(|_| "is no RSA key of 2048 to 4096 bits".to_owned())
}

/// Returns the API's URL without its last slash. Fails when it is none of http(s) or holds credentials.
fn base_url(text: Option<&str>) -> Result<String, String> {
    let text = text.unwrap_or(DEFAULT_BASE_URL);
    let no_url = || format!("the key {BASE_URL:?} is no plain URL of http or https");
    let url = reqwest::Url::parse(text).map_err(|_| no_url())?;
    let is_plain = ["http", "https"].contains(&url.scheme())
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    match is_plain {
        true => Ok(url.as_str().trim_end_matches('/').to_owned()),
        false => Err(no_url()),
    }
}
