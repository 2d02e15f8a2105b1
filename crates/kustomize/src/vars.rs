//! `vars`: values of fields, put where `$(NAME)` stands.
//!
//! A layer marks the objects that its vars mean; the values are taken, and put into the places of
//! the configuration, once every name is final.

use std::collections::HashMap;

use serde_json::Value;
use yaml::{Content, Node, Style, Tag};

use crate::config::Config;
use crate::error::{Error, Place};
use crate::field::{Create, apply_all};
use crate::growth::Growth;
use crate::id::{Gvk, Id, Scopes};
use crate::kustomization::Var;
use crate::resource::{Resource, is_string};
use crate::resources::Resources;

/// Marks the objects that the vars of a layer mean, and adds the vars to those below.
///
/// Fails when a var means several objects, or its name is taken.
pub(crate) fn record(
    vars: &mut Vec<Var>,
    incoming: &[Var],
    resources: &mut Resources,
    scopes: &Scopes,
) -> Result<(), Error> {
    for var in incoming {
        let id = target(var);
        let any_namespace = id.namespace.is_empty()
            && !scopes.is_cluster(&id.gvk.group, &id.gvk.version, &id.gvk.kind);
        let wanted = scopes.effective(&id.gvk, &id.namespace).to_owned();
        let means = |resource: &Resource| {
            resource.ids().any(|own| {
                own.gvk == id.gvk
                    && own.name == id.name
                    && (any_namespace || scopes.effective(&own.gvk, &own.namespace) == wanted)
            })
        };
        let named = resources.named(&id.name).to_vec();
        let found: Vec<usize> = named
            .into_iter()
            .filter(|at| means(resources.get(*at)))
            .collect();
        match found.as_slice() {
            [] => {}
            [at] => resources.contents_mut()[*at].vars.push(var.name.clone()),
            several => {
                return Err(Error::invalid(format!(
                    "found {} resId matches for var {} (unable to disambiguate)",
                    several.len(),
                    var.name
                )));
            }
        }
    }
    merge(vars, incoming.to_vec())
}

/// Adds vars to those that are there.
///
/// Fails when a name is taken.
pub(crate) fn merge(vars: &mut Vec<Var>, incoming: Vec<Var>) -> Result<(), Error> {
    let mut names: std::collections::HashSet<String> =
        vars.iter().map(|var| var.name.clone()).collect();
    for var in incoming {
        if !names.insert(var.name.clone()) {
            return Err(Error::invalid(format!(
                "var '{}' already encountered",
                var.name
            )));
        }
        vars.push(var);
    }
    Ok(())
}

fn target(var: &Var) -> Id {
    let reference = &var.objref;
    let mut gvk = Gvk {
        group: reference.group.clone(),
        version: reference.version.clone(),
        kind: reference.kind.clone(),
    };
    if !reference.api_version.is_empty() {
        gvk = Gvk::new(&reference.api_version, &reference.kind);
    }
    Id {
        gvk,
        name: reference.name.clone(),
        namespace: reference.namespace.clone(),
    }
}

/// Puts the values of the vars into every place of the configuration.
///
/// Fails when a var has no value, and when a list holds something that is not a string.
pub(crate) fn resolve(
    list: &mut [Resource],
    vars: &[Var],
    config: &Config,
    growth: &Growth,
) -> Result<(), Error> {
    if vars.is_empty() {
        return Ok(());
    }
    let mut holders: HashMap<&str, &Resource> = HashMap::new();
    for resource in list.iter() {
        for name in &resource.vars {
            holders.entry(name).or_insert(resource);
        }
    }
    let mut values = HashMap::new();
    for var in vars {
        let Some(holder) = holders.get(var.name.as_str()) else {
            return Err(Error::invalid(format!(
                "var '{}' cannot be mapped to a field in the set of known resources",
                var.name
            )));
        };
        let value = field_value(var, holder).within(|| format!("vars {}", var.name))?;
        values.insert(var.name.clone(), value);
    }
    for resource in list {
        let set = &mut |node: &mut Node| put(node, &values, growth);
        apply_all(&config.var_reference, resource, Create::Nothing, set)?;
    }
    Ok(())
}

fn field_value(var: &Var, holder: &Resource) -> Result<Value, String> {
    let path = match var.fieldref.field_path.as_str() {
        "" => "metadata.name",
        path => path,
    };
    let missing = || {
        format!(
            "field specified in var '{}' not found in corresponding resource",
            var.name
        )
    };
    let mut node = &holder.node;
    for part in split(path) {
        let next = match part.parse::<usize>() {
            Ok(index) if node.items().is_some() => node.items().and_then(|items| items.get(index)),
            _ => node.get(&part),
        };
        node = next.ok_or_else(missing)?;
    }
    match crate::value::from_node(node.clone())? {
        Value::Object(_) | Value::Array(_) | Value::Null => Err(missing()),
        scalar => Ok(scalar),
    }
}

/// Splits a path at dots that are not escaped; brackets hold an index or a name with dots.
fn split(path: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'.') => {
                chars.next();
                part.push('.');
            }
            '.' => parts.push(std::mem::take(&mut part)),
            '[' => {
                parts.push(std::mem::take(&mut part));
                parts.push(chars.by_ref().take_while(|c| *c != ']').collect());
            }
            c => part.push(c),
        }
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

fn put(node: &mut Node, values: &HashMap<String, Value>, growth: &Growth) -> Result<(), String> {
    if node.is_null() {
        return Ok(());
    }
    match &mut node.content {
        Content::Scalar(..) => {
            if is_string(node) {
                substitute(node, values, growth)?;
            }
        }
        Content::Mapping(entries, _) => {
            for (key, value) in entries {
                if !is_string(key) {
                    return Err(format!(
                        "invalid map key: {:?}",
                        key.text().unwrap_or_default()
                    ));
                }
                if is_string(value) {
                    substitute(value, values, growth)?;
                }
            }
        }
        Content::Sequence(items, _) => {
            for item in items {
                if !is_string(item) {
                    return Err("invalid value type expect a string".into());
                }
                substitute(item, values, growth)?;
            }
        }
    }
    Ok(())
}

fn substitute(
    node: &mut Node,
    values: &HashMap<String, Value>,
    growth: &Growth,
) -> Result<(), String> {
    let text = node.text().unwrap_or_default();
    if !text.contains('$') {
        return Ok(());
    }
    let (text, tag) = match expand(text, values, growth)? {
        Value::String(text) => (text, Tag::Str),
        Value::Bool(bool) => (bool.to_string(), Tag::Bool),
        Value::Number(number) if number.is_f64() => (number.to_string(), Tag::Float),
        other => (other.to_string(), Tag::Int),
    };
    node.tag = tag;
    node.content = Content::Scalar(text, Style::Plain);
    Ok(())
}

/// Returns a text with its references replaced; a text that is one reference takes its type.
fn expand(text: &str, values: &HashMap<String, Value>, growth: &Growth) -> Result<Value, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        rest = match after.chars().next() {
            None => {
                out.push('$');
                after
            }
            Some('$') => {
                out.push('$');
                &after[1..]
            }
            Some('(') => match after.find(')') {
                None => {
                    out.push_str("$(");
                    &after[1..]
                }
                Some(end) => {
                    let name = &after[1..end];
                    let whole = text.len() == end + 2 && text.starts_with('$');
                    match values.get(name) {
                        Some(value) if whole => {
                            growth.add_value(value, 0)?;
                            return Ok(value.clone());
                        }
                        Some(Value::String(value)) => {
                            growth.add_text(value)?;
                            out.push_str(value);
                        }
                        Some(value) => out.push_str(&value.to_string()),
                        None => {
                            out.push('$');
                            out.push_str(&after[..=end]);
                        }
                    }
                    &after[end + 1..]
                }
            },
            Some(other) => {
                out.push('$');
                out.push(other);
                &after[other.len_utf8()..]
            }
        };
    }
    out.push_str(rest);
    Ok(Value::String(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_expanded_and_everything_else_stays() {
        let values = HashMap::from([("A".to_owned(), json!("x")), ("N".to_owned(), json!(5))]);
        for (text, want) in [
            ("$(A)", json!("x")),
            ("$(N)", json!(5)),
            ("-$(N)-$(A)", json!("-5-x")),
            ("$$(A)", json!("$(A)")),
            ("$(B) $x $( $", json!("$(B) $x $( $")),
            ("é$(A)é", json!("éxé")),
        ] {
            assert_eq!(
                expand(text, &values, &Growth::default()),
                Ok(want),
                "{text}"
            );
        }
    }

    #[test]
    fn expanded_text_counts() {
        let growth = Growth::default();
        growth
            .add(crate::growth::GROWTH_MAX)
            .expect("the limit itself is allowed");
        let values = HashMap::from([("A".to_owned(), json!("x"))]);
        assert!(expand("a $(A)", &values, &growth).is_err());
        assert!(expand("a $(B)", &values, &growth).is_ok());
    }
}
