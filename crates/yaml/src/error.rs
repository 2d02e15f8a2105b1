//! The one error of this crate: what is wrong with a YAML text, and where.
//!
//! Lines and columns count from 1 and are those of the text that was given to the reader.

/// What is wrong with a YAML text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct Error {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a YAML text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text is not YAML.
    #[error("{0}")]
    Syntax(String),
    /// A character that YAML does not allow in a text.
    #[error("control characters are not allowed")]
    ControlCharacter,
    /// An alias stands inside its own anchor.
    #[error("anchor value contains itself")]
    RecursiveAlias,
    /// Aliases copy more than the reader allows.
    #[error("the document copies too much through aliases")]
    ExcessiveAliasing,
    /// Nested deeper than the reader allows.
    #[error("the document is nested too deeply")]
    TooDeep,
    /// A key stands twice in one mapping.
    #[error("key {0:?} already set in map")]
    DuplicateKey(String),
    /// A key that no JSON object can have.
    #[error("a map key must be a string, a number or a boolean")]
    Key,
    /// `<<` with something that is not a mapping or a list of mappings.
    #[error("map merge requires map or sequence of maps as the value")]
    Merge,
    /// A tag that does not fit the text it stands on.
    #[error("cannot decode {text:?} as {tag}")]
    Tag {
        /// The text of the scalar.
        text: String,
        /// The tag as written.
        tag: String,
    },
    /// A number that JSON cannot hold.
    #[error("unsupported value: {0}")]
    Number(String),
}

impl Error {
    pub(crate) fn new(line: u32, column: u32, problem: Problem) -> Self {
        Self {
            line,
            column,
            problem,
        }
    }
}
