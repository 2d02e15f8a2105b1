//! Lossless YAML documents over byte spans, Go's reading of values and Go's way of writing them.
//!
//! [`node`] reads a text into a tree, [`resolve`] decides what a plain scalar means, [`json`]
//! turns a text into JSON values as Kubernetes reads it, [`emit`] prints JSON values as
//! Kubernetes prints them. [`document`] finds scalars and comments by their bytes, and [`edit`]
//! replaces such scalars and nothing else.
#![forbid(unsafe_code)]

pub mod document;
pub mod edit;
pub mod emit;
mod error;
pub mod json;
pub mod node;
mod quick;
pub mod resolve;
mod scalar;
mod settle;
mod tree;

pub use emit::to_yaml;
pub use error::{Error, Problem};
pub use json::{to_values, to_values_strict};
pub use node::{Content, Layout, Node, Style, Tag, Text};
pub use resolve::is_string;
pub use tree::Tree;
