//! Between trees of text and values: what a node means in the result, and back.
//!
//! Plain scalars are read by the rules of go-yaml version 3. A key that is not a string cannot be
//! in the result, nor can infinities or control characters: they are errors, not guesses.

use std::collections::HashSet;

use serde_json::Value;
use yaml::resolve::{Plain, Rules, resolve};
use yaml::{Content, Layout, Node, Style, Tag, Text, Tree};

/// Mappings with more keys than this are searched for repetitions by a hash of every key.
const FEW: usize = 8;

/// Returns the value of a whole object or a part of one.
///
/// Fails at what cannot be in a result; the error names the line.
pub(crate) fn from_node(node: Node) -> Result<Value, String> {
    tree(node, false).map(Value::from)
}

/// Returns the value of a whole object: other than in a part, keys at the top may be numbers.
///
/// Fails as [`from_node`] does.
pub(crate) fn from_object(node: Node) -> Result<Value, String> {
    object_tree(node).map(Value::from)
}

/// Returns the value of a whole object as [`from_object`] does, as it is kept until it is printed.
///
/// Fails as [`from_node`] does.
pub(crate) fn object_tree(node: Node) -> Result<Tree, String> {
    match node.content {
        Content::Mapping(entries, layout) => object(entries, layout == Layout::Flow, true),
        _ => tree(node, false),
    }
}

fn tree(node: Node, in_flow: bool) -> Result<Tree, String> {
    match node.content {
        Content::Scalar(text, style) => Scalar {
            text,
            style,
            tag: node.tag,
            line: node.line,
        }
        .value(in_flow),
        Content::Sequence(items, layout) => {
            let in_flow = in_flow || layout == Layout::Flow;
            let mut trees = Vec::with_capacity(items.len());
            for item in items {
                trees.push(tree(item, in_flow)?);
            }
            Ok(Tree::Array(trees))
        }
        Content::Mapping(entries, layout) => {
            object(entries, in_flow || layout == Layout::Flow, false)
        }
    }
}

fn object(entries: Vec<(Node, Node)>, in_flow: bool, is_root: bool) -> Result<Tree, String> {
    check_keys(&entries, is_root)?;
    let mut trees = Vec::with_capacity(entries.len());
    for (key, child) in entries {
        if let Content::Scalar(name, _) = key.content {
            trees.push((name, tree(child, in_flow)?));
        }
    }
    Ok(Tree::object(trees))
}

/// Fails at a key that is not a string, or that stands twice.
fn check_keys(entries: &[(Node, Node)], is_root: bool) -> Result<(), String> {
    let mut seen = HashSet::new();
    for (at, (key, _)) in entries.iter().enumerate() {
        let Some(name) = key.text() else {
            return Err(at_line(key.line, "a mapping key must be a string"));
        };
        if !is_root && !crate::resource::is_string(key) {
            let problem = format!("the key {name:?} is not a string: quote it");
            return Err(at_line(key.line, &problem));
        }
        let is_new = if entries.len() <= FEW {
            !entries[..at]
                .iter()
                .any(|(before, _)| before.text() == Some(name))
        } else {
            seen.insert(name)
        };
        if !is_new {
            let problem = format!("mapping key {name:?} already defined");
            return Err(at_line(key.line, &problem));
        }
        check_characters(name, key.line)?;
    }
    Ok(())
}

fn at_line(line: u32, problem: &str) -> String {
    if line > 0 {
        format!("line {line}: {problem}")
    } else {
        problem.to_owned()
    }
}

/// A scalar on its way to a value.
struct Scalar {
    text: Text,
    style: Style,
    tag: Tag,
    line: u32,
}

impl Scalar {
    fn value(self, in_flow: bool) -> Result<Tree, String> {
        match &self.tag {
            Tag::None | Tag::Str if self.style == Style::Folded => {
                check_characters(&self.text, self.line)?;
                let text = folded(&self.text).map_err(|problem| at_line(self.line, problem))?;
                return Ok(Tree::String(text.into()));
            }
            Tag::None if self.style != Style::Plain => return self.string(),
            // An empty scalar in brackets is written as an empty string.
            Tag::None | Tag::Null
                if in_flow && self.text.is_empty() && self.style == Style::Plain =>
            {
                return self.string();
            }
            Tag::Str | Tag::Other | Tag::Merge => return self.string(),
            Tag::Binary => {
                use base64::Engine;
                let joined: String = self.text.split_ascii_whitespace().collect();
                let bytes = base64::engine::general_purpose::STANDARD.decode(joined);
                let bytes = bytes.map_err(|_| self.mismatch())?;
                return Ok(Tree::String(String::from_utf8_lossy(&bytes).into()));
            }
            _ => {}
        }
        self.plain()
    }

    fn plain(self) -> Result<Tree, String> {
        let plain = resolve(&self.text, Rules::V3);
        // A tag that the text has anyway is not written, and then quotes make a string.
        if self.style != Style::Plain && plain.tag() == self.tag {
            return self.string();
        }
        #[expect(clippy::cast_precision_loss, reason = "a float tag asks for a float")]
        let plain = match (&self.tag, plain) {
            (Tag::Float, Plain::Int(int)) => Plain::Float(int as f64),
            (Tag::Float, Plain::Uint(int)) => Plain::Float(int as f64),
            (tag, plain) if *tag == Tag::None || *tag == plain.tag() => plain,
            _ => return Err(self.mismatch()),
        };
        Ok(match plain {
            Plain::Null => Tree::Null,
            Plain::Bool(bool) => Tree::Bool(bool),
            Plain::Int(int) => Tree::Number(int.into()),
            Plain::Uint(int) => Tree::Number(int.into()),
            Plain::Float(float) => match yaml::json::json_number(float) {
                Some(number) => Tree::Number(number),
                None => {
                    return Err(at_line(
                        self.line,
                        &format!("unsupported value: {}", self.text),
                    ));
                }
            },
            Plain::Timestamp(time) => Tree::String(time.into()),
            Plain::Str => return self.string(),
        })
    }

    fn string(self) -> Result<Tree, String> {
        check_characters(&self.text, self.line)?;
        Ok(Tree::String(self.text))
    }

    fn mismatch(&self) -> String {
        let (text, tag) = (&self.text, self.tag.as_str());
        at_line(self.line, &format!("cannot decode {text:?} as {tag}"))
    }
}

/// Returns what a folded text becomes. Texts that kustomize cannot write folded it quotes, which
/// keeps them as they are.
///
/// Fails where it is not known which of the two it does.
fn folded(text: &str) -> Result<String, &'static str> {
    let is_quoted = text.contains(" \n")
        || text.ends_with(' ')
        || text.contains(|c: char| c != '\n' && !yaml::node::is_printable(c) && c < '\u{10000}');
    if is_quoted {
        return Ok(text.to_owned());
    }
    let refolded = refold(text);
    if refolded != text && text.contains(|c| c >= '\u{10000}') {
        return Err("a folded text with indented lines and such characters is not supported");
    }
    Ok(refolded)
}

/// Returns a folded text as it is after kustomize has written and read it once more: its writer
/// puts an empty line after every line that is not indented, and none at all when the text begins
/// with a blank.
fn refold(text: &str) -> String {
    let blank = |line: &str| line.starts_with([' ', '\t']);
    let doubles = !blank(text.trim_start_matches('\n')) && !text.trim_matches('\n').is_empty();
    let body = text.trim_end_matches('\n');
    let n_last = text.len() - body.len();
    let leading = body.len() - body.trim_start_matches('\n').len();
    let mut out = "\n".repeat(leading);
    let mut breaks = 0;
    let mut previous: Option<&str> = None;
    for line in body[leading..].split('\n') {
        if let Some(before) = previous {
            breaks += 1;
            if line.is_empty() {
                continue;
            }
            let written = breaks + usize::from(doubles && !blank(before));
            if blank(before) || blank(line) {
                out.push_str(&"\n".repeat(written));
            } else if written == 1 {
                out.push(' ');
            } else {
                out.push_str(&"\n".repeat(written - 1));
            }
        }
        out.push_str(line);
        previous = Some(line);
        breaks = 0;
    }
    let doubled = doubles && previous.is_some_and(|line| !blank(line));
    out.push_str(&"\n".repeat(if n_last > 1 {
        n_last + usize::from(doubled)
    } else {
        n_last
    }));
    out
}

fn check_characters(text: &str, line: u32) -> Result<(), String> {
    // Most texts are ASCII, where only the last character is not allowed.
    let fits = |c: char| u32::from(c) < 0x20 || yaml::node::is_allowed(c);
    if text.bytes().all(|byte| byte < 0x7F) || text.chars().all(fits) {
        return Ok(());
    }
    Err(at_line(line, "control characters are not allowed"))
}

/// Returns the result of a JSON patch as a tree: numbers are written as floats are.
pub(crate) fn to_patched_node(value: Value) -> Node {
    to_node(floats(value))
}

/// Makes every number a float.
fn floats(value: Value) -> Value {
    match value {
        Value::Number(number) => number
            .as_f64()
            .and_then(serde_json::Number::from_f64)
            .map_or(Value::Null, Value::Number),
        Value::Array(items) => Value::Array(items.into_iter().map(floats).collect()),
        Value::Object(object) => {
            let entries = object.into_iter().map(|(key, value)| (key, floats(value)));
            Value::Object(entries.collect())
        }
        other => other,
    }
}

/// Returns a value as a tree, every string written so that it is read as one.
pub(crate) fn to_node(value: Value) -> Node {
    let mut node = untagged(value);
    node.settle_tags();
    node
}

fn untagged(value: Value) -> Node {
    match value {
        Value::Null => Node::plain("null"),
        Value::Bool(bool) => Node::plain(bool.to_string()),
        Value::Number(number) => Node::plain(number_text(&number)),
        Value::String(text) => string_node(text),
        Value::Array(items) => Node::new(Content::Sequence(
            items.into_iter().map(untagged).collect(),
            Layout::Block,
        )),
        Value::Object(object) => Node::new(Content::Mapping(
            object
                .into_iter()
                .map(|(key, value)| (string_node(key), untagged(value)))
                .collect(),
            Layout::Block,
        )),
    }
}

fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => yaml::emit::go_float(float),
        _ => number.to_string(),
    }
}

/// Returns a string as it is written without a tag.
fn string_node(text: impl Into<Text>) -> Node {
    let text = text.into();
    let style = if text.contains('\n') {
        Style::Literal
    } else if yaml::emit::is_plain(&text) {
        Style::Plain
    } else {
        Style::Double
    };
    Node::new(Content::Scalar(text, style))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(text: &str, want: &Value) {
        let mut node = yaml::node::read_first(text).expect(text).expect(text);
        node.settle_tags();
        assert_eq!(from_node(node).as_ref(), Ok(want), "{text}");
    }

    fn refuses(text: &str, problem: &str) {
        let mut node = yaml::node::read_first(text).expect(text).expect(text);
        node.settle_tags();
        let error = from_node(node).expect_err(text);
        assert!(error.contains(problem), "{text}: {error}");
    }

    #[test]
    fn scalars_mean_what_they_mean_to_version_3() {
        check("v: yes", &json!({"v": "yes"}));
        check("v: 0755", &json!({"v": 493}));
        check("v: 2020-01-01", &json!({"v": "2020-01-01T00:00:00Z"}));
        check("v: !!str 1", &json!({"v": "1"}));
        check("v:", &json!({"v": null}));
        check("v: {a: }", &json!({"v": {"a": ""}}));
        check("v: !!float 1", &json!({"v": 1}));
    }

    #[test]
    fn what_cannot_be_in_a_result_is_refused() {
        refuses("v: {1: a}", "line 1: the key \"1\" is not a string");
        refuses(
            "v:\n  a: 1\n  a: 2",
            "line 3: mapping key \"a\" already defined",
        );
        refuses("v: .inf", "unsupported value");
        refuses("v: !!int x", "cannot decode");
        refuses("v: \"\\x7f\"", "control characters");
    }

    #[test]
    fn a_value_survives_the_way_to_a_tree_and_back() {
        let value =
            json!({"a": "1", "b": [1, 1.5, "yes", null, true], "c": {"d": "x\ny", "2": ""}});
        assert_eq!(from_node(to_node(value.clone())), Ok(value));
    }
}
