//! The grammar of markers: `# {"$imagepolicy": "namespace:policy:tag"}`.
//!
//! In: a comment. Out: the name that it asks for and the text which that name stands for, or the
//! [`Reason`] why it has no effect. A comment that does not speak of a policy is no marker at all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Setters;

/// The key of a marker.
pub(super) const KEY: &str = "$imagepolicy";
/// Only a file which has these bytes is read at all.
pub(super) const TOKEN: &str = "\"$imagepolicy\"";
/// What stands before the name in the long form `{"$ref": "#/definitions/…"}`.
const LONG_FORM: &str = "#/definitions/io.k8s.cli.setters.";

/// A marker that names something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker<'s> {
    /// The name: namespace, policy and perhaps a part.
    pub setter: String,
    /// What it stands for.
    pub value: &'s str,
}

/// Why a marker has no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Reason {
    /// The comment holds more or less than one JSON object of strings.
    #[error("the comment is not one JSON object of strings: {0}")]
    NotJson(String),
    /// The object has no key of the right name.
    #[error("the object has no key {KEY:?}")]
    NoKey,
    /// The name has not the form of one.
    #[error("{0:?} is not namespace:policy, namespace:policy:name, …:tag or …:digest")]
    NotAName(String),
    /// No policy of that name has chosen a tag.
    #[error("no policy {0:?} with a latest tag is known here")]
    UnknownPolicy(String),
    /// The policy has not chosen a tag yet.
    #[error("policy {0:?} has chosen no tag yet")]
    NoTagYet(String),
    /// The policy is none that counts here.
    #[error("the automation's policySelector leaves policy {0:?} out")]
    LeftOut(String),
    /// The comment belongs to no value.
    #[error("the comment belongs to no value: it must stand behind one, or above a list item")]
    NoValue,
    /// The comment stands behind a key without a value.
    #[error("there is no value to write to")]
    MissingValue,
    /// Another comment counts.
    #[error("the comment behind the value counts alone")]
    Shadowed,
    /// Comments on neighbouring lines are one comment.
    #[error("a marker above a value must be the only line of its comment")]
    SeveralLines,
    /// The key stands in its mapping before.
    #[error("the key {0:?} stands twice and the first one counts")]
    DuplicateKey(String),
    /// The marker is part of a value.
    #[error("the marker is part of a text, not a comment")]
    InText,
}

/// The short form: every value is a string, or null.
#[derive(Deserialize)]
struct Short(BTreeMap<String, Option<String>>);

/// Returns the name that a comment asks for; nothing when it is no marker.
pub(super) fn read(comment: &str) -> Option<Result<String, Reason>> {
    let speaks_of_it = comment.contains(KEY) || comment.contains(LONG_FORM);
    speaks_of_it.then(|| name(comment))
}

/// Reads the name that a comment holds.
fn name(comment: &str) -> Result<String, Reason> {
    let json = comment.trim_start_matches('#');
    let short: Result<Short, _> = serde_json::from_str(json);
    let short_name = match &short {
        Ok(Short(fields)) => fields.get(KEY).cloned().flatten().unwrap_or_default(),
        Err(_) => String::new(),
    };
    if !short_name.is_empty() {
        return Ok(short_name);
    }
    let long: Value = serde_json::from_str(json).map_err(|e| Reason::NotJson(e.to_string()))?;
    if let Some(name) = long["$ref"]
        .as_str()
        .and_then(|name| name.strip_prefix(LONG_FORM))
    {
        return Ok(name.to_owned());
    }
    match short {
        Ok(_) => Err(Reason::NoKey),
        Err(error) => Err(Reason::NotJson(error.to_string())),
    }
}

/// Looks a name up. Upstream reads it as the last part of a JSON pointer within a URL, so `%3A` is
/// a colon and `~1` a slash.
pub(super) fn resolve<'s>(name: &str, setters: &'s Setters) -> Result<Marker<'s>, Reason> {
    let decoded = percent_decoded(name).filter(|name| !name.contains('/'));
    let setter = decoded.map(|name| name.replace("~1", "/").replace("~0", "~"));
    if let Some(setter) = setter
        && let Some(value) = setters.value(&setter)
    {
        return Ok(Marker { setter, value });
    }
    let parts: Vec<&str> = name.split(':').collect();
    match parts[..] {
        [namespace, policy] | [namespace, policy, "name" | "tag" | "digest"]
            if !namespace.is_empty() && !policy.is_empty() =>
        {
            let policy = format!("{namespace}:{policy}");
            Err(setters.why_none(policy))
        }
        _ => Err(Reason::NotAName(name.to_owned())),
    }
}

/// Decodes `%3A` and its like; nothing if a percent sign stands before anything else.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}
