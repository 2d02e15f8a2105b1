//! Replacements inside a text that is itself JSON or YAML, as configuration files often are.
//!
//! The text is parsed, changed and written again, as kustomize does it: the layout is normalised.
//! A YAML text with comments or anchors is refused.

use yaml::resolve::{Plain, Rules, resolve};
use yaml::{Content, Layout, Node, Style, Tag};

use crate::error::Error;
use crate::replacements::path::{Create, look_up, visit};
use crate::resource::is_null;
use crate::{go_json, value};

/// Sets a field inside a text that the path leads through; returns whether there is one.
///
/// Fails when the text is YAML that cannot be written again as it is.
pub(super) fn set(
    node: &mut Node,
    parts: &[String],
    create: Create,
    new: &Node,
) -> Result<bool, Error> {
    let Some((outer, inner)) = find(node, parts) else {
        return Ok(false);
    };
    let Ok(Some(holder)) = look_up(node, outer) else {
        return Ok(false);
    };
    let text = holder.text().unwrap_or_default().to_owned();
    let Ok(Some(mut document)) = yaml::node::read_first(&text) else {
        return Ok(false);
    };
    document.settle_tags();
    let set = &mut |node: &mut Node| {
        super::copy(node, new);
        Ok(())
    };
    match visit(&mut document, inner, create, set) {
        Ok(0) | Err(_) => return Ok(false),
        Ok(_) => {}
    }
    let trimmed = text.trim();
    let written = if is_null(&document) {
        // What is put into a null is lost.
        trimmed.to_owned()
    } else if trimmed.starts_with(['{', '[']) {
        let Ok(value) = value::from_node(document) else {
            return Ok(false);
        };
        let pretty = text.contains('\n') && text.contains("  ");
        if pretty {
            go_json::to_string_pretty(&value)
        } else {
            go_json::to_string(&value)
        }
    } else {
        if !can_be_written(trimmed, &document) {
            return Err(Error::Unsupported(format!(
                "a replacement in the YAML text at '{}', which has comments, anchors or unusual scalars",
                outer.join(".")
            )));
        }
        write(&document)
    };
    let outer = outer.to_vec();
    let put = &mut |node: &mut Node| {
        if let Content::Scalar(text, _) = &mut node.content {
            *text = written.trim().into();
        }
        Ok(())
    };
    visit(node, &outer, Create::Nothing, put).map_err(Error::Invalid)?;
    Ok(true)
}

/// Returns the shortest part of the path that leads to a scalar, and the rest.
fn find<'a>(node: &Node, parts: &'a [String]) -> Option<(&'a [String], &'a [String])> {
    for at in 1..parts.len() {
        let (outer, inner) = parts.split_at(at);
        let found = look_up(node, outer).ok().flatten()?;
        if found.text().is_some() {
            return Some((outer, inner));
        }
    }
    None
}

/// Returns whether writing the tree gives what kustomize would write: there is nothing in the
/// text that only its own writer knows how to keep.
fn can_be_written(text: &str, document: &Node) -> bool {
    let is_comment = |line: &str| line.trim_start().starts_with('#') || line.contains(" #");
    let odd = |line: &str| is_comment(line) || line.starts_with("---") || line.starts_with('%');
    !text.lines().any(odd) && !text.contains(['&', '*', '!']) && is_plain(document)
}

fn is_plain(node: &Node) -> bool {
    match &node.content {
        Content::Scalar(text, Style::Literal) => {
            !text.starts_with([' ', '\n'])
                && !text.ends_with("\n\n")
                && !text.lines().any(|line| line.ends_with([' ', '\t']))
                && text.chars().all(|c| c == '\n' || !c.is_control())
        }
        Content::Scalar(_, Style::Folded) => false,
        Content::Scalar(text, _) => !text.contains(char::is_control),
        Content::Sequence(items, _) => items.iter().all(is_plain),
        Content::Mapping(entries, _) => entries
            .iter()
            .all(|(key, value)| key.text().is_some() && is_plain(key) && is_plain(value)),
    }
}

/// Returns a tree as YAML: two spaces, lists not indented, the styles of the source.
fn write(node: &Node) -> String {
    let mut out = String::new();
    write_node(&mut out, node, 0, false);
    out
}

fn write_node(out: &mut String, node: &Node, indent: usize, after_dash: bool) {
    let pad = |out: &mut String, at: usize| {
        if at > 0 || !after_dash {
            out.push_str(&" ".repeat(indent));
        }
    };
    match &node.content {
        Content::Mapping(entries, Layout::Block) if !entries.is_empty() => {
            for (at, (key, child)) in entries.iter().enumerate() {
                pad(out, at);
                write_flow(out, key);
                out.push(':');
                write_child(out, child, indent, indent + 2);
            }
        }
        Content::Sequence(items, Layout::Block) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                pad(out, at);
                out.push('-');
                match is_block(item) {
                    true => {
                        out.push(' ');
                        write_node(out, item, indent + 2, true);
                    }
                    false => write_scalar_line(out, item, indent + 2),
                }
            }
        }
        _ => {
            write_flow(out, node);
            out.push('\n');
        }
    }
}

fn write_child(out: &mut String, child: &Node, list_indent: usize, map_indent: usize) {
    if !is_block(child) {
        write_scalar_line(out, child, map_indent);
        return;
    }
    out.push('\n');
    let indent = if child.items().is_some() {
        list_indent
    } else {
        map_indent
    };
    write_node(out, child, indent, false);
}

fn is_block(node: &Node) -> bool {
    match &node.content {
        Content::Mapping(entries, layout) => *layout == Layout::Block && !entries.is_empty(),
        Content::Sequence(items, layout) => *layout == Layout::Block && !items.is_empty(),
        Content::Scalar(..) => false,
    }
}

fn write_scalar_line(out: &mut String, node: &Node, indent: usize) {
    if let Content::Scalar(text, Style::Literal) = &node.content {
        out.push_str(if text.ends_with('\n') {
            " |\n"
        } else {
            " |-\n"
        });
        for line in text.lines() {
            if !line.is_empty() {
                out.push_str(&" ".repeat(indent));
            }
            out.push_str(line);
            out.push('\n');
        }
        return;
    }
    if node.text() != Some("") || !is_null(node) {
        out.push(' ');
    }
    write_flow(out, node);
    out.push('\n');
}

fn write_flow(out: &mut String, node: &Node) {
    match &node.content {
        Content::Scalar(text, style) => out.push_str(&scalar(node, text, *style)),
        Content::Sequence(items, _) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                write_flow(out, item);
            }
            out.push(']');
        }
        Content::Mapping(entries, _) => {
            out.push('{');
            for (at, (key, child)) in entries.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                write_flow(out, key);
                out.push_str(": ");
                write_flow(out, child);
            }
            out.push('}');
        }
    }
}

fn scalar(node: &Node, text: &str, style: Style) -> String {
    let quoted = |text: &str| {
        let json = serde_json::Value::from(text).to_string();
        json.trim_end().to_owned()
    };
    match style {
        Style::Single => single(text),
        Style::Double => quoted(text),
        _ => {
            let is_string = resolve(text, Rules::V3) == Plain::Str;
            if node.tag == Tag::Str && !is_string {
                return quoted(text);
            }
            if is_string {
                // The other writer knows when a text needs single quotes.
                let needs_quotes = yaml::to_yaml(&text.into()).starts_with('\'');
                return if needs_quotes {
                    single(text)
                } else {
                    text.to_owned()
                };
            }
            text.to_owned()
        }
    }
}

fn single(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
