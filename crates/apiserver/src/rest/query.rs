//! Query parameters: decoding, and the options of each verb.
//!
//! Text comes in, typed options go out, or the refusal that kube-apiserver gives for a wrong value.
//! Unknown parameters are ignored, as upstream ignores them.

use super::refuse;
use crate::error::{ApiError, FieldError};

/// The longest name of a field manager.
const FIELD_MANAGER_BYTES_MAX: usize = 128;

/// The decoded parameters, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

/// How strictly fields of a body are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// The options of create, update and patch.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) field_manager: Option<String>,
    pub(crate) field_validation: FieldValidation,
    pub(crate) force: Option<bool>,
}

/// The options of list and watch.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListOptions {
    pub(crate) watch: bool,
    pub(crate) bookmarks: bool,
    pub(crate) initial_events: Option<bool>,
    pub(crate) revision: String,
    pub(crate) revision_match: String,
    pub(crate) limit: i64,
    pub(crate) continue_token: String,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) labels: String,
    pub(crate) fields: String,
}

impl Query {
    /// Returns the parameters of a query string.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|p| !p.is_empty());
        let pair = |p: &str| {
            let (key, value) = p.split_once('=').unwrap_or((p, ""));
            (
                decode(&key.replace('+', " ")),
                decode(&value.replace('+', " ")),
            )
        };
        Self(pairs.map(pair).collect())
    }

    /// Returns the first value of a parameter.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns all values of a parameter.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Returns a truth value as upstream reads it: anything but `false` and `0` is true.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.first(name)
            .map(|v| v != "0" && !v.eq_ignore_ascii_case("false"))
    }

    /// Returns a whole number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.first(name).filter(|t| !t.is_empty()) else {
            return Ok(None);
        };
        let wrong = |_| {
            refuse::bad(format!(
                "strconv.ParseInt: parsing {text:?}: invalid syntax"
            ))
        };
        text.parse().map(Some).map_err(wrong)
    }

    /// Returns the options of a write; `options` is `CreateOptions` and the like.
    pub(crate) fn write_options(&self, options: &str) -> Result<WriteOptions, ApiError> {
        let mut errors = Vec::new();
        let dry_run = self.dry_run(&mut errors);
        let manager = self.first("fieldManager").filter(|m| !m.is_empty());
        if let Some(manager) = manager {
            check_manager(manager, &mut errors);
        }
        let field_validation = match self.first("fieldValidation").unwrap_or_default() {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                let supported = "supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"";
                errors.push(FieldError {
                    field: "fieldValidation".to_owned(),
                    reason: "FieldValueNotSupported",
                    message: format!("Unsupported value: {other:?}: {supported}"),
                });
                FieldValidation::Warn
            }
        };
        if !errors.is_empty() {
            return Err(refuse::invalid_options(options, &errors));
        }
        let field_manager = manager.map(str::to_owned);
        Ok(WriteOptions {
            dry_run,
            field_manager,
            field_validation,
            force: self.flag("force"),
        })
    }

    fn dry_run(&self, errors: &mut Vec<FieldError>) -> bool {
        let values = self.all("dryRun");
        check_dry_run(&values, errors)
    }

    /// Returns the options of a list or watch.
    pub(crate) fn list_options(&self) -> Result<ListOptions, ApiError> {
        let text = |name: &str| self.first(name).unwrap_or_default().to_owned();
        let timeout = self.number("timeoutSeconds")?;
        let options = ListOptions {
            watch: self.flag("watch").unwrap_or(false),
            bookmarks: self.flag("allowWatchBookmarks").unwrap_or(false),
            initial_events: self.flag("sendInitialEvents"),
            revision: text("resourceVersion"),
            revision_match: text("resourceVersionMatch"),
            limit: self.number("limit")?.unwrap_or(0),
            continue_token: text("continue"),
            timeout_seconds: timeout.and_then(|t| u64::try_from(t).ok()),
            labels: text("labelSelector"),
            fields: text("fieldSelector"),
        };
        options.check()?;
        Ok(options)
    }
}

/// Checks the values of `dryRun`; returns whether there are any.
pub(crate) fn check_dry_run(values: &[&str], errors: &mut Vec<FieldError>) -> bool {
    if !values.is_empty() && values.iter().any(|v| *v != "All") {
        errors.push(FieldError {
            field: "dryRun".to_owned(),
            reason: "FieldValueNotSupported",
            message: format!("Unsupported value: {values:?}: supported values: \"All\""),
        });
    }
    !values.is_empty()
}

fn check_manager(manager: &str, errors: &mut Vec<FieldError>) {
    let field = "fieldManager".to_owned();
    if manager.len() > FIELD_MANAGER_BYTES_MAX {
        let message = format!("Too long: may not be more than {FIELD_MANAGER_BYTES_MAX} bytes");
        errors.push(FieldError {
            field: field.clone(),
            reason: "FieldValueTooLong",
            message,
        });
    }
    let odd = manager.char_indices().find(|(_, c)| c.is_control());
    if let Some((position, c)) = odd {
        let code = u32::from(c);
        let why = format!("invalid character U+{code:04X} (at position {position})");
        let message = format!("Invalid value: {}: {why}", quote(manager));
        errors.push(FieldError {
            field,
            reason: "FieldValueInvalid",
            message,
        });
    }
}

/// Returns text in double quotes with escapes, as Go quotes it.
pub(crate) fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("because text always has a JSON form")
}

impl ListOptions {
    fn check(&self) -> Result<(), ApiError> {
        let mut errors = Vec::new();
        let mut forbid = |field: &str, why: &str| {
            errors.push(FieldError {
                field: field.to_owned(),
                reason: "FieldValueForbidden",
                message: format!("Forbidden: {why}"),
            });
        };
        let matched = self.revision_match.as_str();
        if self.initial_events.is_some() {
            if !self.watch {
                forbid(
                    "sendInitialEvents",
                    "sendInitialEvents is forbidden for list",
                );
            } else if matched.is_empty() {
                let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                forbid("resourceVersionMatch", why);
            } else if matched != "NotOlderThan" {
                errors.push(unsupported(matched, "\"NotOlderThan\""));
            }
        } else if !matched.is_empty() {
            if self.watch {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                forbid("resourceVersionMatch", why);
            }
            if self.revision.is_empty() {
                let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                forbid("resourceVersionMatch", why);
            }
            if !self.continue_token.is_empty() {
                let why = "resourceVersionMatch is forbidden when continue is provided";
                forbid("resourceVersionMatch", why);
            }
            if matched != "Exact" && matched != "NotOlderThan" {
                errors.push(unsupported(matched, "\"Exact\", \"NotOlderThan\", \"\""));
            } else if matched == "Exact" && self.revision == "0" {
                forbid(
                    "resourceVersionMatch",
                    "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                );
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(refuse::invalid_options("ListOptions", &errors))
        }
    }
}

fn unsupported(value: &str, supported: &str) -> FieldError {
    FieldError {
        field: "resourceVersionMatch".to_owned(),
        reason: "FieldValueNotSupported",
        message: format!("Unsupported value: {value:?}: supported values: {supported}"),
    }
}

/// Returns text with its percent escapes resolved; what is not an escape stays as it is.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escaped {
            Some(plain) => {
                out.push(plain);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
