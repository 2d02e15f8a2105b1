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
        f.write_str(&text(&self.error))
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
    let text = printable(&text(error));
    anstream::eprintln!("{ERROR}error:{ERROR:#} {text}");
    let hint = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Hinted>());
    if let Some(Hinted { hint, .. }) = hint {
        advise(hint);
    }
}

/// Returns an error and its causes as one line. What an error has in its own text of its cause is not
/// said twice.
fn text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.contains(&cause) {
            continue;
        }
        let mut parts = text.match_indices(": ").map(|(at, colon)| at + colon.len());
        match parts.find(|at| cause.starts_with(&text[*at..])) {
            Some(at) => text.truncate(at),
            None if text.is_empty() => {}
            None => text += ": ",
        }
        text += &cause;
    }
    text
}

/// Prints advice on stderr.
pub(super) fn advise(advice: &str) {
    anstream::eprintln!("{HINT}hint:{HINT:#} {advice}");
}

const ERROR: clap::builder::styling::Style =
    clap::builder::styling::AnsiColor::Red.on_default().bold();
const HINT: clap::builder::styling::Style =
    clap::builder::styling::AnsiColor::Cyan.on_default().bold();

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("open the store: {0}")]
    struct Open(#[source] std::io::Error);

    #[test]
    fn a_cause_that_is_part_of_a_text_is_not_said_twice() {
        let broken = || Open(std::io::Error::other("it is broken"));
        let error = anyhow::Error::new(broken()).context("start");
        assert_eq!(text(&error), "start: open the store: it is broken");
        let error = anyhow::anyhow!("store: disk full").context("open: store");
        assert_eq!(text(&error), "open: store: disk full");
        let hinted = Err::<(), _>(broken()).hint("mend it").unwrap_err();
        assert_eq!(text(&hinted), "open the store: it is broken");
    }
}
