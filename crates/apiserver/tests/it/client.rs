//! A client of the server in process.

use std::path::Path;
use std::time::Duration;

use apiserver::{Identity, Options, Server, Workers};
use axum::body::Body;
use futures::StreamExt;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server with a client.
pub struct World {
    pub server: Server,
}

impl World {
    /// Opens a server in memory.
    pub async fn memory() -> Self {
        Self::open(Options::default()).await
    }

    /// Opens a server in a folder, without workers.
    pub async fn folder(path: &Path) -> Self {
        let data = Some(path.to_owned());
        Self::open(Options {
            data,
            workers: Workers::Off,
            ..Options::default()
        })
        .await
    }

    pub async fn open(options: Options) -> Self {
        Self {
            server: Server::open(options).await.expect("a server"),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        media: &str,
        body: &Value,
    ) -> http::Response<Body> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media)
            .header("user-agent", "test/1")
            .body(Body::from(if body.is_null() {
                String::new()
            } else {
                body.to_string()
            }))
            .expect("a request");
        let service = self.server.service(Identity::administrator());
        service.oneshot(request).await.expect("an answer")
    }

    /// Sends a request and returns the code and the body.
    pub async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let media = match method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let response = self.send(method, path, media, &body).await;
        let code = response.status().as_u16();
        let bytes = response
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (code, answer) = self.ask(Method::POST, path, body).await;
        assert_eq!(code, 201, "{answer}");
        answer
    }

    pub async fn patch(&self, path: &str, body: Value) -> Value {
        let (code, answer) = self.ask(Method::PATCH, path, body).await;
        assert_eq!(code, 200, "{answer}");
        answer
    }

    pub async fn delete(&self, path: &str, options: Value) -> Value {
        let (code, answer) = self.ask(Method::DELETE, path, options).await;
        assert_eq!(code, 200, "{answer}");
        answer
    }

    /// Begins a watch.
    pub async fn watch(&self, path: &str) -> Watch {
        let response = self.send(Method::GET, path, "", &Value::Null).await;
        assert_eq!(response.status(), 200);
        Watch {
            body: response.into_body().into_data_stream(),
            text: Vec::new(),
        }
    }

    /// Waits until a field of an object has a value, or is absent.
    pub async fn until_field(&self, path: &str, field: &str, want: Option<Value>) {
        let wait = async {
            while self.get(path).await.1.pointer(field) != want.as_ref() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = tokio::time::timeout(PATIENCE, wait).await;
        assert!(done.is_ok(), "{path} {field} never was {want:?}");
    }

    /// Waits until a path answers with a code.
    pub async fn until(&self, path: &str, code: u16) -> Value {
        let wait = async {
            loop {
                let (got, body) = self.get(path).await;
                if got == code {
                    return body;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("{path} never was {code}"))
    }
}

/// The events of a watch.
pub struct Watch {
    body: axum::body::BodyDataStream,
    text: Vec<u8>,
}

impl Watch {
    /// Returns the next event; nothing when the stream has ended.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.text.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("an event"));
            }
            let piece = tokio::time::timeout(PATIENCE, self.body.next())
                .await
                .expect("an event");
            self.text.extend_from_slice(&piece?.expect("a piece"));
        }
    }

    /// Returns the next event as its type, name and revision.
    pub async fn brief(&mut self) -> (String, String, u64) {
        let event = self.next().await.expect("an event");
        let text = |at: &str| {
            event
                .pointer(at)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let revision = text("/object/metadata/resourceVersion")
            .parse()
            .expect("a revision");
        (text("/type"), text("/object/metadata/name"), revision)
    }
}

/// Returns a ConfigMap.
pub fn config_map(name: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "x": value },
    })
}

/// Returns the revision of an object.
pub fn revision(object: &Value) -> u64 {
    let text = object["metadata"]["resourceVersion"]
        .as_str()
        .expect("a revision");
    text.parse().expect("a number")
}

/// The ConfigMaps of the default namespace.
pub const MAPS: &str = "/api/v1/namespaces/default/configmaps";
