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
use crate::replacements::path;
use crate::resource::{Resource, is_null, is_text};
use crate::resources::Resources;
use crate::shared::{self, Changed};

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
        let mut changed = Changed::new();
        let set = &mut |node: &mut Node| put(node, &values, growth, &mut changed);
        apply_all(&config.var_reference, resource, Create::Nothing, set)?;
        shared::spread(&mut resource.node, &changed);
    }
    Ok(())
}

/// Returns the value of a var; null when it is nothing that can be put into a text.
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
    let node = path::look_up(&holder.node, &split(path))?.ok_or_else(missing)?;
    let Some(text) = node.text() else {
        return Ok(Value::Null);
    };
    let value = match node.tag {
        Tag::Int => text.parse::<i64>().ok().map(Value::from),
        Tag::Float => text.parse::<f64>().ok().map(Value::from),
        Tag::Bool => Some(text.eq_ignore_ascii_case("true").into()),
        _ => Some(text.into()),
    };
    value.ok_or_else(missing)
}

/// Splits a path; other than in replacements, an index may stand in brackets behind a name.
fn split(path: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for part in path::split(path) {
        let indexed = part
            .strip_suffix(']')
            .and_then(|part| part.rsplit_once('['));
        match indexed {
            Some((name, index))
                if !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) =>
            {
                parts.extend((!name.is_empty()).then(|| name.to_owned()));
                parts.push(index.to_owned());
            }
            _ => parts.push(part),
        }
    }
    parts
}

fn put(
    node: &mut Node,
    values: &HashMap<String, Value>,
    growth: &Growth,
    changed: &mut Changed,
) -> Result<(), String> {
    if is_null(node) {
        return Ok(());
    }
    match &mut node.content {
        Content::Scalar(..) => {
            if is_text(node) {
                substitute(node, values, growth)?;
            }
        }
        Content::Mapping(entries, _) => {
            for (key, value) in entries {
                if !is_text(key) {
                    return Err(format!(
                        "invalid map key: {:?}",
                        key.text().unwrap_or_default()
                    ));
                }
                if is_text(value) {
                    substitute(value, values, growth)?;
                    if let Some(group) = shared::group(value) {
                        changed.push((group, value.clone()));
                    }
                }
            }
        }
        Content::Sequence(items, _) => {
            for item in items {
                if !is_text(item) {
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
    let (text, tag) = match expand(text, values, growth)? {
        Value::String(text) => (text, Tag::Str),
        Value::Bool(bool) => (bool.to_string(), Tag::Bool),
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or_default();
            (format!("{float}"), Tag::Float)
        }
        other => (other.to_string(), Tag::Int),
    };
    node.tag = tag;
    node.content = Content::Scalar(text.into(), Style::Plain);
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
                        Some(value) if whole && !value.is_null() => {
                            growth.add_value(value, 0)?;
                            return Ok(value.clone());
                        }
                        Some(Value::String(value)) => {
                            growth.add_text(value)?;
                            out.push_str(value);
                        }
                        Some(Value::Number(number)) if number.is_f64() => {
                            let float = number.as_f64().unwrap_or_default();
                            out.push_str(&yaml::emit::go_float(float));
                        }
                        Some(value) if !value.is_null() => out.push_str(&value.to_string()),
                        _ => {
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
