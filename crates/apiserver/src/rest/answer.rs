//! Answers: status, body and headers, in the representation that the client asked for.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};

use super::accept::{Accept, Shape};
use super::query::Query;
use super::refuse;
use crate::api::Api;
use crate::error::ApiError;
use crate::kinds::TypeInfo;
use crate::objects;
use crate::table::{self, Include};

/// What goes out.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Body,
    pub(crate) warnings: Vec<String>,
    pub(crate) retry_after: Option<u64>,
}

/// The content type of JSON.
pub(crate) const JSON: &str = "application/json";
/// The content type of YAML.
pub(crate) const YAML: &str = "application/yaml";
/// The content type of plain text.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

impl Answer {
    /// Returns an answer with bytes.
    pub(crate) fn bytes(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            body: Body::from(body.into()),
            warnings: Vec::new(),
            retry_after: None,
        }
    }

    /// Returns an answer with JSON.
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self::bytes(status, JSON, objects::to_bytes(value))
    }

    /// Returns an answer with plain text.
    pub(crate) fn text(status: u16, text: impl Into<String>) -> Self {
        Self::bytes(status, TEXT, text.into())
    }

    /// Returns the answer of a refusal.
    pub(crate) fn refusal(error: &ApiError) -> Self {
        let mut answer = Self::json(error.code, &error.to_status());
        answer.retry_after = error
            .details
            .get("retryAfterSeconds")
            .and_then(Value::as_u64)
            .filter(|s| *s > 0);
        answer
    }

    /// Returns the answer as YAML, if it is whole JSON.
    pub(crate) async fn into_yaml(mut self) -> Self {
        if self.content_type != JSON {
            return self;
        }
        let body = std::mem::take(&mut self.body);
        // The body is made of bytes at hand, so reading it does not fail.
        let bytes = axum::body::to_bytes(body, usize::MAX)
            .await
            .unwrap_or_default();
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(value) => {
                self.content_type = YAML;
                self.body = Body::from(yaml::to_yaml(&value));
            }
            Err(_) => self.body = Body::from(bytes),
        }
        self
    }

    /// Adds warnings.
    pub(crate) fn warn(mut self, warnings: Vec<String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// Returns the response.
    pub(crate) fn respond(self, api: &Api) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = http::StatusCode::from_u16(self.status)
            .expect("because only codes between 100 and 599 are used");
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.content_type),
        );
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache, private"),
        );
        let [flow, priority] = &api.flow_ids;
        for (name, value) in [
            ("x-kubernetes-pf-flowschema-uid", flow.as_str()),
            ("x-kubernetes-pf-prioritylevel-uid", priority.as_str()),
            ("audit-id", &api.uuid()),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        for warning in self.warnings {
            let text = format!("299 - {}", super::query::quote(&warning));
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.append(header::WARNING, value);
            }
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Returns what table rows carry beside their cells; 400 for what they cannot carry.
pub(crate) fn include(query: &Query) -> Result<Include, ApiError> {
    match query.first("includeObject").unwrap_or_default() {
        "None" => Ok(Include::None),
        "Object" => Ok(Include::Object),
        "" | "Metadata" => Ok(Include::Metadata),
        other => Err(refuse::bad(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must \
             be 'Metadata', 'Object', 'None', or empty"
        ))),
    }
}

/// Gives a table, and the partial objects in it, the version that was asked for.
pub(crate) fn at_version(table: &mut Value, version: &str) {
    let version = Value::from(format!("meta.k8s.io/{version}"));
    let rows = table.get_mut("rows").and_then(Value::as_array_mut);
    for row in rows.into_iter().flatten() {
        if let Some(object) = row.get_mut("object").and_then(Value::as_object_mut)
            && object
                .get("kind")
                .is_some_and(|kind| kind == "PartialObjectMetadata")
        {
            object.insert("apiVersion".to_owned(), version.clone());
        }
    }
    table["apiVersion"] = version;
}

/// Returns one object in the representation that the client asked for.
pub(crate) fn object(
    api: &Api,
    kind: &Arc<TypeInfo>,
    value: &Value,
    accept: Accept,
    query: &Query,
) -> Result<Value, ApiError> {
    Ok(match accept.shape {
        Shape::Table(version) => {
            let meta = json!({ "resourceVersion": objects::meta_text(value, "resourceVersion") });
            let items = std::slice::from_ref(value);
            let mut table = table::render(kind, items, meta, include(query)?, api.now());
            at_version(&mut table, version);
            table
        }
        Shape::Partial(version) => objects::partial(value, version),
        Shape::Plain | Shape::Discovery(_) => value.clone(),
    })
}
