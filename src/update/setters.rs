//! What a marker may name, and the text that each name stands for.
//!
//! In: the choice of each policy. Out: [`Setters`], a lookup by `namespace:policy` and the same
//! with `:name`, `:tag` and `:digest`. It never reads a file.

use std::collections::HashMap;

use super::marker::Reason;
use crate::api::ImageRef;
use crate::image::{self, Reference};

/// What a policy chose.
#[derive(Debug, Clone)]
pub struct PolicyChoice<'a> {
    /// The policy's namespace.
    pub namespace: &'a str,
    /// The policy's name.
    pub name: &'a str,
    /// Its latest reference.
    pub latest: &'a ImageRef,
}

/// The texts that markers stand for.
#[derive(Debug, Clone, Default)]
pub struct Setters {
    values: HashMap<String, String>,
    /// Why policies that are known, as `namespace:policy`, stand for nothing.
    without: HashMap<String, fn(String) -> Reason>,
}

/// A choice that is not an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("encountered invalid image ref {text:?}: {source}")]
pub struct Error {
    /// The reference as it would be written.
    pub text: String,
    /// Why it is none.
    pub source: image::Error,
}

impl Setters {
    /// Collects the choices of policies. Fails at one that is not a valid reference, as Flux does.
    pub fn new<'a>(choices: impl IntoIterator<Item = PolicyChoice<'a>>) -> Result<Self, Error> {
        let mut values = HashMap::new();
        for choice in choices {
            let latest = choice.latest;
            let text = latest.to_string();
            if let Err(source) = Reference::parse(&text) {
                return Err(Error { text, source });
            }
            let policy = format!("{}:{}", choice.namespace, choice.name);
            let digest = latest.digest.clone().unwrap_or_default();
            values.insert(format!("{policy}:name"), latest.name.clone());
            values.insert(format!("{policy}:tag"), latest.tag.clone());
            values.insert(format!("{policy}:digest"), digest);
            values.insert(policy, text);
        }
        let without = HashMap::new();
        Ok(Self { values, without })
    }

    /// Returns them with policies of a namespace that are known and have chosen nothing yet.
    pub fn with_waiting<'a>(self, namespace: &str, names: impl Iterator<Item = &'a str>) -> Self {
        self.with(namespace, names, Reason::NoTagYet)
    }

    /// Returns them with policies of a namespace that do not count here.
    pub fn with_left_out<'a>(self, namespace: &str, names: impl Iterator<Item = &'a str>) -> Self {
        self.with(namespace, names, Reason::LeftOut)
    }

    fn with<'a>(
        mut self,
        namespace: &str,
        names: impl Iterator<Item = &'a str>,
        why: fn(String) -> Reason,
    ) -> Self {
        let names = names.map(|name| (format!("{namespace}:{name}"), why));
        self.without.extend(names);
        self
    }

    /// Returns why a policy, as `namespace:policy`, stands for nothing.
    pub(super) fn why_none(&self, policy: String) -> Reason {
        match self.without.get(&policy) {
            Some(why) => why(policy),
            None => Reason::UnknownPolicy(policy),
        }
    }

    /// Returns the text that a name stands for.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}
