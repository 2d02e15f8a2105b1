//! JSON values that take little room: what a large result is kept in until it is printed.
//!
//! The same values as `serde_json::Value`, but a mapping is one list of its entries, in the order
//! of their keys, with no room to spare. It is made once, printed and taken apart, never changed.

use serde_json::{Map, Number, Value};

use crate::node::Text;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// `null`
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(Text),
    /// An array.
    Array(Vec<Tree>),
    /// An object; see [`Tree::object`].
    Object(Vec<(Text, Tree)>),
}

impl Tree {
    /// Returns an object; the keys must differ.
    pub fn object(mut entries: Vec<(Text, Tree)>) -> Self {
        if !entries.is_sorted_by(|(a, _), (b, _)| a <= b) {
            entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        }
        Self::Object(entries)
    }

    /// Returns the value of a key of an object.
    pub fn get(&self, key: &str) -> Option<&Tree> {
        let Self::Object(entries) = self else {
            return None;
        };
        let at = entries.binary_search_by(|(own, _)| own.as_str().cmp(key));
        at.ok().map(|at| &entries[at].1)
    }

    /// Returns the text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

impl From<Tree> for Value {
    fn from(tree: Tree) -> Self {
        match tree {
            Tree::Null => Self::Null,
            Tree::Bool(bool) => Self::Bool(bool),
            Tree::Number(number) => Self::Number(number),
            Tree::String(text) => Self::String(text.into()),
            Tree::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Tree::Object(entries) => {
                let entries = entries.into_iter();
                Self::Object(
                    entries
                        .map(|(key, tree)| (key.into(), tree.into()))
                        .collect(),
                )
            }
        }
    }
}

/// One level of a value, whatever it is kept in.
pub(crate) enum Level<'a, T> {
    Null,
    Bool(bool),
    Number(&'a Number),
    String(&'a str),
    Array(&'a [T]),
    /// The entries, which the reader may put into another order.
    Object(Vec<(&'a str, &'a T)>),
}

/// What can be printed.
pub(crate) trait Levels: Sized {
    fn level(&self) -> Level<'_, Self>;

    fn is_array(&self) -> bool;
}

impl Levels for Tree {
    fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    fn level(&self) -> Level<'_, Self> {
        match self {
            Self::Null => Level::Null,
            Self::Bool(bool) => Level::Bool(*bool),
            Self::Number(number) => Level::Number(number),
            Self::String(text) => Level::String(text),
            Self::Array(items) => Level::Array(items),
            Self::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.as_str(), value));
                Level::Object(entries.collect())
            }
        }
    }
}

impl Levels for Value {
    fn is_array(&self) -> bool {
        Value::is_array(self)
    }

    fn level(&self) -> Level<'_, Self> {
        match self {
            Self::Null => Level::Null,
            Self::Bool(bool) => Level::Bool(*bool),
            Self::Number(number) => Level::Number(number),
            Self::String(text) => Level::String(text),
            Self::Array(items) => Level::Array(items),
            Self::Object(object) => {
                let entries: &Map<String, Value> = object;
                Level::Object(
                    entries
                        .iter()
                        .map(|(key, value)| (key.as_str(), value))
                        .collect(),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tree_prints_and_reads_as_the_value_it_stands_for() {
        let tree = Tree::object(vec![
            ("b".into(), Tree::Array(vec![Tree::Null, Tree::Bool(true)])),
            ("a".into(), Tree::object(Vec::new())),
            ("c".into(), Tree::String("yes".into())),
            ("d".into(), Tree::Number(1.into())),
        ]);
        assert_eq!(tree.get("c").and_then(Tree::as_str), Some("yes"));
        assert_eq!(tree.get("e"), None);
        let value = json!({"a": {}, "b": [null, true], "c": "yes", "d": 1});
        let mut text = String::new();
        crate::emit::write_tree(&mut text, &tree);
        assert_eq!(text, crate::to_yaml(&value));
        assert_eq!(Value::from(tree), value);
    }
}
