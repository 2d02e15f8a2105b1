//! Values that must not leak, paths that must not leave, addresses that must not be asked:
//! [`Secret`], [`SafePath`] and [`AddressRule`]; and what may be shown of text from outside:
//! [`printable`].
//!
//! A secret has no `Display`, and its `Debug` shows stars. A safe path is relative, normalised and
//! held below its root. Pure; it never touches the file system or the network.

mod address;
mod printable;

use std::fmt;

pub use address::{AddressError, AddressRule};
pub use printable::{printable, printable_line, printable_lines};

/// A value that is never printed, logged or serialised.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value; the only way to it, so that each use can be found.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A relative path with `/` between its parts, without `.`, `..` or empty parts; the root is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SafePath(String);

/// A path that is absolute, leaves its root or holds a NUL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?} {reason}")]
pub struct PathError {
    /// The path as given.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl SafePath {
    /// Returns the normalised path; `./a//b/` is `a/b`. A leading `/` is taken as the root, as Flux
    /// takes `spec.path`. Fails when `..` would leave the root or a NUL is in it.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let error = |reason| PathError {
            path: path.to_owned(),
            reason,
        };
        if path.contains('\0') {
            return Err(error("contains a NUL byte"));
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or_else(|| error("leaves its root"))?;
                }
                part => parts.push(part),
            }
        }
        Ok(Self(parts.join("/")))
    }

    /// Returns the path as text; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path of `name` below this one. Fails as [`SafePath::parse`] does.
    pub fn join(&self, name: &str) -> Result<Self, PathError> {
        Self::parse(&format!("{}/{name}", self.0))
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_stars() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    }

    #[test]
    fn paths_are_normalised_and_held_below_the_root() {
        for (path, want) in [
            ("./a//b/", "a/b"),
            ("", ""),
            ("/apps", "apps"),
            ("a/../b", "b"),
        ] {
            assert_eq!(SafePath::parse(path).unwrap().as_str(), want, "{path}");
        }
        for path in ["..", "a/../../b", "a\0"] {
            assert!(SafePath::parse(path).is_err(), "{path:?}");
        }
    }
}
