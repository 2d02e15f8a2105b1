//! The part of GitHub's API that GitHub Apps use, on loopback.
//!
//! It believes a proof only when its signature and times are good, as GitHub does, and gives the token
//! that a test sets. The rest of GitHub is a Git server with that token as password.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::keys::SshKey;

/// The app's number.
pub const APP: &str = "4711";
/// The number of its installation for [`OWNER`].
pub const INSTALLATION: &str = "12345";
/// Whose repositories it opens.
pub const OWNER: &str = "acme";
/// The token that it gets.
pub const TOKEN: &str = "ghs_s3cret-token";

struct Shared {
    public_key: Vec<u8>,
    requests: Mutex<Vec<String>>,
    lifetime: Mutex<Duration>,
    answer: Mutex<Option<(StatusCode, String)>>,
}

/// A running API; it ends with this value.
pub struct Github {
    key: SshKey,
    url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Github {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Github {
    /// Starts the API with one app.
    pub async fn start() -> Self {
        let key = SshKey::new(&["-t", "rsa", "-b", "2048", "-m", "PEM"], "");
        let der = PrivateKeyDer::from_pem_slice(key.private_key().as_bytes());
        let PrivateKeyDer::Pkcs1(der) = der.expect("it is PEM") else {
            panic!("ssh-keygen makes PKCS#1");
        };
        let pair = RsaKeyPair::from_der(der.secret_pkcs1_der()).expect("it is RSA");
        let shared = Arc::new(Shared {
            public_key: pair.public().as_ref().to_vec(),
            requests: Mutex::default(),
            lifetime: Mutex::new(Duration::from_secs(3600)),
            answer: Mutex::default(),
        });
        let router = Router::new()
            .route("/api/v3/app/installations", get(installations))
            .route("/api/v3/app/installations/{id}/access_tokens", post(token))
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has a port");
        let port = listener.local_addr().expect("it is bound").port();
        let serve = async move { axum::serve(listener, router).await.expect("it serves") };
        Self {
            key,
            url: format!("http://localhost:{port}/api/v3"),
            shared,
            task: tokio::spawn(serve),
        }
    }

    /// Returns the data of the app's Secret, its installation given by number or by owner.
    pub fn secret(&self, by_owner: bool) -> Vec<(&'static str, String)> {
        let installation = match by_owner {
            true => ("githubAppInstallationOwner", OWNER.to_owned()),
            false => ("githubAppInstallationID", INSTALLATION.to_owned()),
        };
        vec![
            ("githubAppID", APP.to_owned()),
            installation,
            ("githubAppPrivateKey", self.key.private_key()),
            ("githubAppBaseURL", format!("{}/", self.url)),
        ]
    }

    /// Lets tokens from now on live so long.
    pub fn tokens_live(&self, lifetime: Duration) {
        *self.shared.lifetime.lock().expect("no test panics in it") = lifetime;
    }

    /// Answers every request from now on with this.
    pub fn answer(&self, status: StatusCode, body: &str) {
        let answer = Some((status, body.to_owned()));
        *self.shared.answer.lock().expect("no test panics in it") = answer;
    }

    /// Returns the requests so far and forgets them.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.requests.lock().expect("no test panics in it"))
    }
}

/// Returns why a request is not answered: a test wants it, or its proof is not good.
fn refusal(shared: &Shared, headers: &HeaderMap, line: String) -> Option<Response> {
    shared
        .requests
        .lock()
        .expect("no test panics in it")
        .push(line);
    let answer = shared.answer.lock().expect("no test panics in it").clone();
    if let Some(answer) = answer {
        return Some(answer.into_response());
    }
    let header = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let proof = header.and_then(|text| text.strip_prefix("Bearer "));
    match proof.and_then(|proof| claims(shared, proof)) {
        Some(claims) if is_good(&claims) => None,
        _ => {
            let problem = json!({"message": "A JSON web token could not be decoded"});
            Some((StatusCode::UNAUTHORIZED, Json(problem)).into_response())
        }
    }
}

/// Returns the claims of a proof whose signature is good.
fn claims(shared: &Shared, proof: &str) -> Option<Value> {
    let (signed, signature) = proof.rsplit_once('.')?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &shared.public_key);
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    key.verify(signed.as_bytes(), &signature).ok()?;
    let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
    serde_json::from_slice(&claims).ok()
}

fn is_good(claims: &Value) -> bool {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or_default();
    let time = |name: &str| claims[name].as_i64().unwrap_or_default();
    claims["iss"] == APP && time("iat") <= now && time("exp") > now && time("exp") <= now + 600
}

async fn installations(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<std::collections::HashMap<String, String>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if let Some(refusal) = refusal(&shared, &headers, format!("GET {uri}")) {
        return refusal;
    }
    let page = |n: u64| json!({"id": n, "account": {"login": format!("other-{n}")}});
    let mut found: Vec<Value> = Vec::new();
    match query.get("page").map(String::as_str) {
        Some("1") => found.extend((0..100).map(page)),
        Some("2") => {
            let id: u64 = INSTALLATION.parse().expect("it is a number");
            found.push(json!({"id": id, "account": {"login": "Acme"}}));
        }
        _ => {}
    }
    Json(Value::Array(found)).into_response()
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, uri: Uri) -> Response {
    if let Some(refusal) = refusal(&shared, &headers, format!("POST {uri}")) {
        return refusal;
    }
    if !uri.path().contains(&format!("/{INSTALLATION}/")) {
        let problem = json!({"message": "Not Found"});
        return (StatusCode::NOT_FOUND, Json(problem)).into_response();
    }
    let lifetime = *shared.lifetime.lock().expect("no test panics in it");
    let ends = chrono::DateTime::<chrono::Utc>::from(SystemTime::now() + lifetime);
    let ends = ends.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let answer = json!({"token": TOKEN, "expires_at": ends, "permissions": {"contents": "write"}});
    (StatusCode::CREATED, Json(answer)).into_response()
}
