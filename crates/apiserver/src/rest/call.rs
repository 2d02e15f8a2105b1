//! One request without its body: who, how, and with which parameters.

use http::request::Parts;
use http::{Method, header};

use super::query::Query;
use crate::identity::Identity;

/// The longest field manager that is taken from a User-Agent.
const MANAGER_BYTES_MAX: usize = 128;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Whom the request acts as.
    pub(crate) identity: Identity,
    pub(crate) method: Method,
    pub(crate) query: Query,
    pub(crate) accept: String,
    pub(crate) content_type: String,
    pub(crate) user_agent: String,
}

impl Call {
    /// Returns the call of a request's head.
    pub(crate) fn new(parts: &Parts, identity: Identity) -> Self {
        let text = |name: header::HeaderName| {
            let values = parts
                .headers
                .get_all(name)
                .iter()
                .filter_map(|v| v.to_str().ok());
            values.collect::<Vec<_>>().join(",")
        };
        Self {
            identity,
            method: parts.method.clone(),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            accept: text(header::ACCEPT),
            content_type: text(header::CONTENT_TYPE),
            user_agent: text(header::USER_AGENT),
        }
    }

    /// Returns the field manager of a write: the one asked for, or the client's program.
    pub(crate) fn manager(&self, asked: Option<&str>) -> String {
        if let Some(manager) = asked {
            return manager.to_owned();
        }
        let program = self.user_agent.split('/').next().unwrap_or_default();
        let mut name: String = program.chars().filter(|c| !c.is_control()).collect();
        while name.len() > MANAGER_BYTES_MAX {
            name.pop();
        }
        if name.is_empty() {
            "unknown".to_owned()
        } else {
            name
        }
    }

    /// Returns the content type without its parameters.
    pub(crate) fn media_type(&self) -> &str {
        self.content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
    }
}
