//! Errors for people: what failed, why, and what to do about it.
//!
//! Any error of a lower room comes in; `error:` lines and a `hint:` line go out on stderr.

use std::fmt;

use crate::safe::printable;

/// An error with advice.
#[derive(Debug)]
struct Hinted {
    error: anyhow::Error,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl std::error::Error for Hinted {}

/// Adds advice to an error.
pub(super) trait Hint<T> {
    /// Returns the same result; an error carries `hint` from here on.
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Hint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| {
            Hinted {
                error: error.into(),
                hint: hint.into(),
            }
            .into()
        })
    }
}

/// Prints an error and its hint on stderr.
pub(super) fn print(error: &anyhow::Error) {
    let text = printable(&format!("{error:#}"));
    anstream::eprintln!("{ERROR}error:{ERROR:#} {text}");
    let hint = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Hinted>());
    if let Some(Hinted { hint, .. }) = hint {
        advise(hint);
    }
}

/// Prints advice on stderr.
pub(super) fn advise(advice: &str) {
    anstream::eprintln!("{HINT}hint:{HINT:#} {advice}");
}

const ERROR: clap::builder::styling::Style =
    clap::builder::styling::AnsiColor::Red.on_default().bold();
const HINT: clap::builder::styling::Style =
    clap::builder::styling::AnsiColor::Cyan.on_default().bold();
