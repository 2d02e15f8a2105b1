//! ConfigMaps and Secrets made of literals, files and environment files.
//!
//! In: one entry of a generator field and a way to read files. Out: the object as the build takes
//! it up. Keys of one object must differ.

use base64::Engine;
use yaml::{Content, Layout, Node, Style};

use crate::error::Error;
use crate::kustomization::{Generator, GeneratorOptions, Strings};
use crate::resource::{Behavior, Resource, set_field};

/// Base64 text of this length and more is written in lines of this length.
const BASE64_LINE: usize = 70;
/// Longer lines of an environment file are refused: kustomize drops them in silence.
const ENV_LINE_MAX: usize = 64 << 10;

/// What is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    ConfigMap,
    Secret,
}

/// Returns the object of an entry; `read` reads the files it names.
///
/// Fails when a source cannot be read, is not a pair, or repeats a key.
pub(crate) fn generate(
    entry: &Generator,
    target: Target,
    defaults: Option<&GeneratorOptions>,
    read: &dyn Fn(&str) -> Result<Vec<u8>, Error>,
) -> Result<Resource, Error> {
    if entry.name.is_empty() {
        return Err(Error::invalid("a configmap must have a name"));
    }
    let pairs = pairs(entry, read)?;
    let mut node = header(entry, target);
    match target {
        Target::ConfigMap => add_config_map_data(&mut node, entry, pairs)?,
        Target::Secret => {
            let secret_type = match entry.secret_type.as_str() {
                "" => "Opaque",
                other => other,
            };
            push(&mut node, "type", quoted(secret_type));
            let data = pairs
                .into_iter()
                .map(|(key, value)| (key, base64_node(&value)));
            let data = unique(entry, data.collect())?;
            push(&mut node, "data", data);
        }
    }
    let options = merge_options(entry.options.as_ref(), defaults);
    add_strings(&mut node, "labels", &options.labels);
    add_strings(&mut node, "annotations", &options.annotations);
    if options.immutable {
        let immutable = Node {
            tag: yaml::Tag::Bool,
            ..Node::plain("true")
        };
        push(&mut node, "immutable", immutable);
    }
    let mut resource = Resource::new(node);
    resource.behavior = Behavior::read(&entry.behavior);
    resource.is_generated = true;
    resource.needs_hash = !options.disable_name_suffix_hash;
    Ok(resource)
}

fn header(entry: &Generator, target: Target) -> Node {
    let mut node = Node::mapping();
    push(&mut node, "apiVersion", Node::string("v1"));
    let kind = match target {
        Target::ConfigMap => "ConfigMap",
        Target::Secret => "Secret",
    };
    push(&mut node, "kind", Node::string(kind));
    let mut metadata = Node::mapping();
    push(&mut metadata, "name", quoted(&entry.name));
    if !entry.namespace.is_empty() {
        push(&mut metadata, "namespace", quoted(&entry.namespace));
    }
    push(&mut node, "metadata", metadata);
    node
}

/// Returns a string, in quotes where its text needs them.
fn quoted(text: &str) -> Node {
    let mut node = Node::string(text);
    crate::resource::quote(&mut node);
    node
}

fn push(node: &mut Node, key: &str, value: Node) {
    if let Some(entries) = node.entries_mut() {
        entries.push((Node::plain(key), value));
    }
}

fn add_strings(node: &mut Node, field: &str, strings: &Strings) {
    if strings.is_empty() {
        return;
    }
    let Some(metadata) = node.get_mut("metadata") else {
        return;
    };
    let mut map = Node::mapping();
    for (key, value) in strings {
        let mut value = Node::string(value);
        if let Content::Scalar(_, style) = &mut value.content {
            *style = Style::Single;
        }
        set_field(&mut map, key, value);
    }
    push(metadata, field, map);
}

fn add_config_map_data(
    node: &mut Node,
    entry: &Generator,
    pairs: Vec<(String, Vec<u8>)>,
) -> Result<(), Error> {
    let (mut data, mut binary) = (Vec::new(), Vec::new());
    for (key, value) in pairs {
        match String::from_utf8(value) {
            Ok(text) => {
                let style = if text.contains('\n') {
                    Style::Literal
                } else {
                    Style::Plain
                };
                let value = Node {
                    tag: yaml::Tag::Str,
                    ..Node::new(Content::Scalar(text.into(), style))
                };
                data.push((key, value));
            }
            Err(error) => {
                let value = base64_node(error.as_bytes());
                binary.push((key, value));
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    for (key, _) in data.iter().chain(&binary) {
        refuse_repetition(entry, key, &mut seen)?;
    }
    for (field, pairs) in [("data", data), ("binaryData", binary)] {
        if !pairs.is_empty() {
            push(node, field, mapping(pairs));
        }
    }
    Ok(())
}

fn refuse_repetition(
    entry: &Generator,
    key: &str,
    seen: &mut std::collections::HashSet<String>,
) -> Result<(), Error> {
    if seen.insert(key.to_owned()) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "configmap {} illegally repeats the key `{key}`",
        entry.name
    )))
}

fn unique(entry: &Generator, pairs: Vec<(String, Node)>) -> Result<Node, Error> {
    let mut seen = std::collections::HashSet::new();
    for (key, _) in &pairs {
        refuse_repetition(entry, key, &mut seen)?;
    }
    Ok(mapping(pairs))
}

fn mapping(pairs: Vec<(String, Node)>) -> Node {
    let entries = pairs.into_iter().map(|(key, mut value)| {
        crate::resource::quote(&mut value);
        (Node::plain(key), value)
    });
    Node::new(Content::Mapping(entries.collect(), Layout::Block))
}

fn base64_node(bytes: &[u8]) -> Node {
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    if text.len() < BASE64_LINE {
        return Node {
            tag: yaml::Tag::Str,
            ..Node::plain(text)
        };
    }
    let mut lines = String::with_capacity(text.len() + text.len() / BASE64_LINE + 1);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(BASE64_LINE));
        lines.push_str(line);
        lines.push('\n');
        rest = after;
    }
    Node {
        tag: yaml::Tag::Str,
        ..Node::new(Content::Scalar(lines.into(), Style::Literal))
    }
}

/// Labels and annotations of an entry win over the defaults; a default of true always holds.
fn merge_options(
    own: Option<&GeneratorOptions>,
    defaults: Option<&GeneratorOptions>,
) -> GeneratorOptions {
    let mut merged = own.cloned().unwrap_or_default();
    let Some(defaults) = defaults else {
        return merged;
    };
    let fill = |own: &mut Strings, defaults: &Strings| {
        for (key, value) in defaults {
            own.entry(key.clone()).or_insert_with(|| value.clone());
        }
    };
    fill(&mut merged.labels, &defaults.labels);
    fill(&mut merged.annotations, &defaults.annotations);
    merged.disable_name_suffix_hash |= defaults.disable_name_suffix_hash;
    merged.immutable |= defaults.immutable;
    merged
}

fn pairs(
    entry: &Generator,
    read: &dyn Fn(&str) -> Result<Vec<u8>, Error>,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut pairs = Vec::new();
    for path in &entry.envs {
        let bytes = read(path).map_err(|error| error.within("envs"))?;
        env_pairs(&bytes, &mut pairs).map_err(|error| error.within(path.clone()))?;
    }
    for literal in &entry.literals {
        pairs.push(literal_pair(literal)?);
    }
    for source in &entry.files {
        let (key, path) = file_source(source)?;
        let bytes = read(path).map_err(|error| error.within("files"))?;
        pairs.push((key.to_owned(), bytes));
    }
    Ok(pairs)
}

fn env_pairs(bytes: &[u8], pairs: &mut Vec<(String, Vec<u8>)>) -> Result<(), Error> {
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.len() > ENV_LINE_MAX {
            return Err(Error::invalid(format!("line {} is too long", at + 1)));
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line)
            .map_err(|_| Error::invalid(format!("line {} has invalid utf8 bytes", at + 1)))?;
        let line = if at == 0 {
            line.strip_prefix('\u{FEFF}').unwrap_or(line)
        } else {
            line
        };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        pairs.push((key.to_owned(), value.as_bytes().to_vec()));
    }
    Ok(())
}

fn literal_pair(literal: &str) -> Result<(String, Vec<u8>), Error> {
    let pair = literal.split_once('=').filter(|(key, _)| !key.is_empty());
    let Some((key, value)) = pair else {
        return Err(Error::invalid(format!(
            "invalid literal source {literal}, expected key=value"
        )));
    };
    let unquoted = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    Ok((
        key.to_owned(),
        unquoted.unwrap_or(value).as_bytes().to_vec(),
    ))
}

fn file_source(source: &str) -> Result<(&str, &str), Error> {
    let problem = match source.matches('=').count() {
        0 => return Ok((crate::files::base_name(source), source)),
        _ if source.starts_with('=') => "missing key name for file path",
        _ if source.ends_with('=') => "missing file path for key name",
        1 => return Ok(source.split_once('=').unwrap_or((source, source))),
        _ => "key names or file paths cannot contain '='",
    };
    Err(Error::invalid(format!("{problem} in {source:?}")))
}
