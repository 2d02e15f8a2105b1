//! A text of resources as objects.
//!
//! In: the text of a file or of a field. Out: its objects in order: documents split at `---`,
//! aliases and merge keys gone, lists of objects taken apart. An object must have a kind and a
//! name; nothing else is checked.

use std::collections::VecDeque;

use yaml::Node;

use crate::error::{Error, Place};
use crate::resource::{Previous, Resource, is_null};
use crate::value;

/// How many objects one text may hold.
pub(crate) const OBJECTS_MAX: usize = 1_000_000;

/// Returns the objects of a text; `place` names it in errors.
///
/// Fails when the text is not YAML, or an object has no kind or no name.
pub(crate) fn resources(text: &str, place: &str) -> Result<Vec<Resource>, Error> {
    let nodes = documents(text, place)?;
    let nodes = take_lists_apart(nodes).within(|| place.to_owned())?;
    Ok(nodes.into_iter().map(resource).collect())
}

/// Returns an object; the history that its bookkeeping annotations tell counts.
fn resource(node: Node) -> Resource {
    let mut resource = Resource::new(node);
    let list = |field: &str| -> Vec<String> {
        let key = format!("{}{field}", crate::output::INTERNAL_PREFIX);
        let text = resource.string("annotations", &key).unwrap_or_default();
        text.split(',')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (kinds, names, namespaces) = (
        list("previousKinds"),
        list("previousNames"),
        list("previousNamespaces"),
    );
    let (prefixes, suffixes) = (list("prefixes"), list("suffixes"));
    if kinds.len() == names.len() && names.len() == namespaces.len() {
        let all = kinds.into_iter().zip(names).zip(namespaces);
        resource.history = all
            .map(|((kind, name), namespace)| Previous {
                kind,
                name,
                namespace,
            })
            .collect();
    }
    resource.prefixes = prefixes;
    resource.suffixes = suffixes;
    resource
}

/// Returns the documents of a text that are not empty, merge keys expanded.
fn documents(text: &str, place: &str) -> Result<Vec<Node>, Error> {
    let unix;
    let text = if text.contains("\r\n") {
        unix = text.replace("\r\n", "\n");
        &unix
    } else {
        text
    };
    let chunks = split(text).within(|| place.to_owned())?;
    let is_single = chunks.len() == 1;
    let mut nodes = Vec::new();
    for (first_line, chunk) in chunks {
        let yaml_error = |mut error: yaml::Error| {
            error.line += first_line;
            Error::Yaml {
                file: place.to_owned(),
                source: error,
            }
        };
        let Some(mut node) = yaml::node::read_first(&chunk).map_err(yaml_error)? else {
            continue;
        };
        if node.is_null() {
            continue;
        }
        node.expand_merges().map_err(yaml_error)?;
        node.settle_tags();
        let kind = node.get("kind").and_then(Node::text).unwrap_or_default();
        let is_list = matches!(kind, "List" | "ResourceList");
        if is_single
            && is_list
            && (node.get("items").is_some() || node.get("functionConfig").is_some())
        {
            let items = node
                .get_mut("items")
                .and_then(Node::items_mut)
                .map(std::mem::take);
            nodes.extend(items.unwrap_or_default());
        } else {
            nodes.push(node);
        }
    }
    Ok(nodes)
}

/// Splits a text at lines that begin with `---`; returns for every part the number of lines
/// before it.
fn split(text: &str) -> Result<Vec<(u32, String)>, Error> {
    let mut chunks = Vec::new();
    let (mut start, mut search, mut line) = (0, 0, 0);
    while let Some(at) = text[search..].find("\n---").map(|at| at + search) {
        let Some(end) = text[at + 1..].find('\n').map(|end| at + 1 + end) else {
            break;
        };
        let after = text[at + 4..end].trim();
        if !after.is_empty() && !after.starts_with('#') {
            return Err(Error::invalid(format!(
                "invalid document separator: ---{after}"
            )));
        }
        chunks.push((line, text[start..=at].to_owned()));
        line += lines(&text[start..=end]);
        start = end + 1;
        search = end + 1;
    }
    chunks.push((line, text[start..].to_owned()));
    Ok(chunks)
}

fn lines(text: &str) -> u32 {
    u32::try_from(text.bytes().filter(|b| *b == b'\n').count()).unwrap_or(u32::MAX)
}

/// Puts the items of lists in the place of the lists, after everything else.
fn take_lists_apart(nodes: Vec<Node>) -> Result<Vec<Node>, Error> {
    let mut queue = VecDeque::from(nodes);
    let mut result = Vec::with_capacity(queue.len());
    while let Some(mut node) = queue.pop_front() {
        check(&node)?;
        let kind = node.get("kind").and_then(Node::text).unwrap_or_default();
        if !kind.ends_with("List") || node.get("items").is_none() {
            result.push(node);
            if result.len() > OBJECTS_MAX {
                return Err(Error::invalid("too many objects"));
            }
            continue;
        }
        let kind = kind.to_owned();
        let Some(items) = node.get_mut("items").filter(|items| !is_null(items)) else {
            continue;
        };
        let Some(items) = items.items_mut() else {
            return Err(Error::invalid(format!(
                "the items of {kind} are not a list"
            )));
        };
        for item in std::mem::take(items) {
            let item = value::from_node(item).map_err(Error::Invalid)?;
            queue.push_back(value::to_node(item));
        }
    }
    Ok(result)
}

fn check(node: &Node) -> Result<(), Error> {
    if node.entries().is_none() {
        return Err(Error::invalid(
            "missing Resource metadata: the document is not a mapping",
        ));
    }
    let text = |node: Option<&Node>| {
        let node = node.filter(|node| !is_null(node))?;
        node.text()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let Some(kind) = text(node.get("kind")) else {
        return Err(Error::invalid(format!(
            "missing kind in object at line {}",
            node.line
        )));
    };
    let name = node
        .get("metadata")
        .and_then(|metadata| metadata.get("name"));
    if text(name).is_none() && !kind.ends_with("List") {
        return Err(Error::invalid(format!(
            "missing metadata.name in object at line {} of kind {kind}",
            node.line
        )));
    }
    Ok(())
}
