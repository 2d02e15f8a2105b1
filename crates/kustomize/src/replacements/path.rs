//! Field paths of replacements: how they are written, and what they lead to.
//!
//! Parts are separated by `.`; `[name=value]` picks elements of a list, a number one element, `*`
//! every element. A source path leads to at most one node and never creates; a target path may
//! lead to many and may create what is missing.

use regex::Regex;
use yaml::{Content, Layout, Node, Style};

use crate::resource::{is_null, set_field};

/// Splits a field path into its parts.
pub(crate) fn split(path: &str) -> Vec<String> {
    let plain = split_plain(path);
    let mut parts = Vec::new();
    let mut rest = plain.into_iter();
    while let Some(part) = rest.next() {
        if !part.starts_with('[') || part.ends_with(']') {
            parts.push(part);
            continue;
        }
        let mut joined = part;
        for next in rest.by_ref() {
            joined.push('.');
            joined.push_str(&next);
            if next.ends_with(']') {
                break;
            }
        }
        if joined.contains('=') {
            parts.push(joined);
        } else {
            parts.push(joined.trim_matches(['[', ']']).to_owned());
        }
    }
    parts
}

/// Splits at `.`; `\.` is a dot.
fn split_plain(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = path.strip_prefix('.').unwrap_or(path).chars().peekable();
    while let Some(c) = chars.next() {
        let last = parts.last_mut().expect("because there is always one part");
        match c {
            '\\' if chars.peek() == Some(&'.') => {
                chars.next();
                last.push('.');
            }
            '.' => parts.push(String::new()),
            c => last.push(c),
        }
    }
    parts
}

/// What one part of a path asks for.
enum Part<'a> {
    Field(&'a str),
    Index(usize),
    Last,
    Every,
    /// The elements whose field, or that themselves, match.
    Match(&'a str, &'a str),
}

fn part(text: &str) -> Part<'_> {
    let bracketed = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    match (text.parse::<usize>(), text, bracketed) {
        (Ok(index), _, _) => Part::Index(index),
        (_, "-", _) => Part::Last,
        (_, "*", _) => Part::Every,
        (_, _, Some(inner)) => {
            let (name, value) = inner.split_once('=').unwrap_or((inner, ""));
            Part::Match(name, value)
        }
        _ => Part::Field(text),
    }
}

/// Returns the node that a source path leads to; nothing when it is missing.
///
/// Fails when the path does not fit what it goes through.
pub(crate) fn look_up<'a>(node: &'a Node, path: &[String]) -> Result<Option<&'a Node>, String> {
    let mut node = node;
    for text in path
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
    {
        if is_null(node) {
            return Ok(None);
        }
        let next = match part(text) {
            Part::Every => return Err("wildcard is not supported here".into()),
            Part::Field(name) => {
                if node.entries().is_none() {
                    return Err(format!("wrong node kind at {name:?}: expected a mapping"));
                }
                node.get(name)
            }
            list => {
                let Some(items) = node.items() else {
                    return Err(format!("wrong node kind at {text:?}: expected a list"));
                };
                match list {
                    Part::Index(index) => items.get(index),
                    Part::Last => items.last(),
                    Part::Match("", value) => items.iter().find(|item| item.text() == Some(value)),
                    Part::Match(name, value) => items
                        .iter()
                        .find(|item| item.get(name).and_then(Node::text) == Some(value)),
                    Part::Field(_) | Part::Every => None,
                }
            }
        };
        match next {
            Some(next) => node = next,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

/// What a missing node becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Create {
    Nothing,
    /// A node of the shape of the value.
    Scalar,
    Sequence,
    Mapping,
}

impl Create {
    pub(super) fn like(value: &Node) -> Self {
        match value.content {
            Content::Scalar(..) => Self::Scalar,
            Content::Sequence(..) => Self::Sequence,
            Content::Mapping(..) => Self::Mapping,
        }
    }

    /// Returns an empty node of the shape that the next part of the path needs.
    fn node(self, next: Option<&String>) -> Node {
        let shape = match next.map(|next| part(next)) {
            None => self,
            Some(Part::Match(..) | Part::Index(_)) => Self::Sequence,
            Some(_) => Self::Mapping,
        };
        match shape {
            Self::Sequence => Node::sequence(),
            Self::Mapping => Node::mapping(),
            Self::Scalar | Self::Nothing => Node::plain(""),
        }
    }
}

/// What is done with a node.
pub(super) type Set<'a> = dyn FnMut(&mut Node) -> Result<(), String> + 'a;

/// Calls `set` with every node that a target path leads to; returns how many there are.
///
/// Fails when the path does not fit what it goes through, and when `set` fails.
pub(super) fn visit(
    node: &mut Node,
    path: &[String],
    create: Create,
    set: &mut Set<'_>,
) -> Result<usize, String> {
    Visit { create, set }.step(node, path)
}

/// One walk along a target path.
struct Visit<'a, 'b> {
    create: Create,
    set: &'a mut Set<'b>,
}

impl Visit<'_, '_> {
    fn step(&mut self, node: &mut Node, path: &[String]) -> Result<usize, String> {
        let Some((text, rest)) = path.split_first() else {
            (self.set)(node)?;
            return Ok(1);
        };
        // What is put into a null is lost: kustomize does not make a mapping or list of it.
        let mut lost = None;
        let node = if is_null(node) {
            lost.insert(match part(text) {
                Part::Field(_) | Part::Last => Node::mapping(),
                _ => Node::sequence(),
            })
        } else {
            node
        };
        match part(text) {
            Part::Field(_) | Part::Last => self.field(node, text, rest),
            Part::Index(index) => self.element(node, index, rest),
            Part::Every => {
                let mut n_found = 0;
                for item in elements(node)? {
                    n_found += self.step(item, rest)?;
                }
                Ok(n_found)
            }
            Part::Match(name, value) => self.matching(node, name, value, rest),
        }
    }

    fn field(&mut self, node: &mut Node, name: &str, rest: &[String]) -> Result<usize, String> {
        if node.entries().is_none() {
            return Err(format!("wrong node kind at {name:?}: expected a mapping"));
        }
        if node.get(name).is_none() {
            if self.create == Create::Nothing {
                return Ok(0);
            }
            set_field(node, name, self.create.node(rest.first()));
        }
        let Some(child) = node.get_mut(name) else {
            return Ok(0);
        };
        match child.text() {
            Some(text) if !rest.is_empty() => self.inside(text, rest),
            _ => self.step(child, rest),
        }
    }

    /// Goes on in a text that is YAML itself. What is changed there is lost, as kustomize does it
    /// where it has not gone into the text before.
    fn inside(&mut self, text: &str, path: &[String]) -> Result<usize, String> {
        let document = yaml::node::read_first(text).map_err(|error| error.to_string())?;
        let mut document = document.ok_or("wrong node kind: the text is empty")?;
        document.settle_tags();
        self.step(&mut document, path)
    }

    fn element(&mut self, node: &mut Node, index: usize, rest: &[String]) -> Result<usize, String> {
        let items = elements(node)?;
        if items.len() == index && self.create != Create::Nothing {
            items.push(self.create.node(rest.first()));
        }
        let found = items.len();
        let Some(item) = items.get_mut(index) else {
            return Err(format!(
                "index {index} specified but only {found} elements found"
            ));
        };
        self.step(item, rest)
    }

    fn matching(
        &mut self,
        node: &mut Node,
        name: &str,
        value: &str,
        rest: &[String],
    ) -> Result<usize, String> {
        let pattern =
            Regex::new(&crate::select::ascii_classes(value)).map_err(|error| error.to_string())?;
        let n_found = self.matches(node, name, &pattern, rest)?;
        if n_found > 0 || self.create == Create::Nothing {
            return Ok(n_found);
        }
        let mut new = Node::plain(value);
        if !name.is_empty() {
            let entries = vec![(Node::plain(name), new)];
            new = Node::new(Content::Mapping(entries, Layout::Block));
        }
        elements(node)?.push(new);
        match self.matches(node, name, &pattern, rest)? {
            0 => Err(format!(
                "the element that [{name}={value}] creates does not match it"
            )),
            n_found => Ok(n_found),
        }
    }

    fn matches(
        &mut self,
        node: &mut Node,
        name: &str,
        pattern: &Regex,
        rest: &[String],
    ) -> Result<usize, String> {
        let mut n_found = 0;
        for item in elements(node)? {
            if name.is_empty() {
                if pattern.is_match(&written(item)) {
                    (self.set)(item)?;
                    n_found += 1;
                }
            } else if item
                .get(name)
                .is_some_and(|own| pattern.is_match(&written(own)))
            {
                n_found += self.step(item, rest)?;
            }
        }
        Ok(n_found)
    }
}

fn elements(node: &mut Node) -> Result<&mut Vec<Node>, String> {
    node.items_mut()
        .ok_or_else(|| "wrong node kind: expected a list".to_owned())
}

/// Returns a scalar with its quotes, which patterns see.
fn written(node: &Node) -> String {
    match &node.content {
        Content::Scalar(text, Style::Single) => format!("'{text}'"),
        Content::Scalar(text, Style::Double) => format!("\"{text}\""),
        Content::Scalar(text, _) => text.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_at_dots_that_are_not_escaped_or_in_brackets() {
        for (path, want) in [
            ("a.b", vec!["a", "b"]),
            (r"a.b\.c/d", vec!["a", "b.c/d"]),
            ("a.[b.c/d].e", vec!["a", "b.c/d", "e"]),
            ("a.[name=x.y].b", vec!["a", "[name=x.y]", "b"]),
            ("a.*.0", vec!["a", "*", "0"]),
        ] {
            assert_eq!(split(path), want, "{path}");
        }
    }
}
