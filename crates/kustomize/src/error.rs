//! The one error of this crate: what is wrong, and in which file, field or object.
//!
//! A build that fails has no output. The text of an error reads from the outside in: the
//! kustomization file, the field in it, the entry of the field, the problem.

use crate::files::FileError;

/// What stopped a build, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that cannot be read.
    #[error("{file}: {source}")]
    Read {
        /// The path as the build asked for it.
        file: String,
        /// What the files said.
        source: FileError,
    },
    /// A file that is not YAML.
    #[error("{file}: {source}")]
    Yaml {
        /// The path of the file, or the field that holds the text.
        file: String,
        /// The place and the problem.
        source: yaml::Error,
    },
    /// Something in a kustomization file, or in a file that it names.
    #[error("{place}: {source}")]
    Within {
        /// The file, the field or the entry.
        place: String,
        /// What is wrong there.
        source: Box<Error>,
    },
    /// Something in an object.
    #[error("{object}: {problem}")]
    Object {
        /// The id of the object.
        object: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A field or value that this engine refuses.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// Anything else that is wrong with the input.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    pub(crate) fn invalid(problem: impl Into<String>) -> Self {
        Self::Invalid(problem.into())
    }

    pub(crate) fn within(self, place: impl Into<String>) -> Self {
        Self::Within {
            place: place.into(),
            source: Box::new(self),
        }
    }
}

/// Puts the place into the error of a result.
pub(crate) trait Place<T> {
    fn within(self, place: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Place<T> for Result<T, Error> {
    fn within(self, place: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| error.within(place()))
    }
}

impl<T> Place<T> for Result<T, String> {
    fn within(self, place: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|problem| Error::Invalid(problem).within(place()))
    }
}
