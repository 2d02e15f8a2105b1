//! Whether an applied object fits its schema: shapes, names, keys of list items.
//!
//! The texts are those of Kubernetes, which print values as Go prints them.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::fields::{PathElement, quote, show_plain};

use super::types::{Form, ListType, Relation, Scalar, Type};

/// One place that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    path: String,
    message: String,
}

/// All places that do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfits(pub Vec<Misfit>);

impl fmt::Display for Misfits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return only.fmt(f);
        }
        f.write_str("errors:")?;
        self.0
            .iter()
            .try_for_each(|misfit| write!(f, "\n  {misfit}"))
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Fails with all places where `value` does not fit; no list may hold one key twice.
pub(super) fn check(kind: Type<'_>, value: &Value) -> Result<(), Misfits> {
    let mut check = Check {
        path: Vec::new(),
        misfits: Vec::new(),
    };
    check.value(kind, value);
    if check.misfits.is_empty() {
        return Ok(());
    }
    Err(Misfits(check.misfits))
}

/// A step of the walk; text is made of it only when something is wrong.
enum Step<'a> {
    Field(&'a str),
    Element(PathElement),
}

struct Check<'a> {
    path: Vec<Step<'a>>,
    misfits: Vec<Misfit>,
}

impl<'a> Check<'a> {
    fn value(&mut self, kind: Type<'a>, value: &'a Value) {
        match (kind.form(Some(value)).0, value) {
            (_, Value::Null) => {}
            (Form::Map(map), Value::Object(object)) => {
                for (name, value) in object {
                    self.path.push(Step::Field(name));
                    let member = map.member(name);
                    match member {
                        Some(member) => self.value(member, value),
                        None => self.report("field not declared in schema".to_owned()),
                    }
                    self.path.pop();
                    if member.is_none() {
                        return;
                    }
                }
            }
            (Form::Map(_), other) => self.report(format!("expected map, got {}", plain(other))),
            (Form::List(list), Value::Array(items)) => self.list(list, items),
            (Form::List(_), other) => self.report(format!("expected list, got {}", plain(other))),
            (Form::Scalar(scalar), value) => {
                if let Some(message) = scalar_misfit(scalar, value) {
                    self.report(message);
                }
            }
        }
    }

    fn list(&mut self, list: ListType<'a>, items: &'a [Value]) {
        let mut seen = BTreeSet::new();
        let keyed = !matches!(list.relation, Relation::Atomic);
        for (i, item) in items.iter().enumerate() {
            let element = if !keyed {
                PathElement::Index(i64::try_from(i).unwrap_or(i64::MAX))
            } else {
                match list.element(item) {
                    Ok(element) => element,
                    Err(what) => {
                        self.report(format!("element {i}: {what}"));
                        return;
                    }
                }
            };
            if keyed && items.len() > 1 && !seen.insert(element.clone()) {
                self.report(format!("duplicate entries for key {element}"));
            }
            self.path.push(Step::Element(element));
            self.value(list.items, item);
            self.path.pop();
        }
    }

    fn report(&mut self, message: String) {
        let path = self.path.iter().map(|step| match step {
            Step::Field(name) => format!(".{name}"),
            Step::Element(element) => element.to_string(),
        });
        self.misfits.push(Misfit {
            path: path.collect(),
            message,
        });
    }
}

fn scalar_misfit(scalar: Scalar, value: &Value) -> Option<String> {
    let is_scalar = !matches!(value, Value::Array(_) | Value::Object(_));
    match scalar {
        Scalar::Number if !value.is_number() => Some(format!(
            "expected numeric (int or float), got {}",
            type_name(value)
        )),
        Scalar::String if !value.is_string() => Some(format!(
            "expected string, got &value.valueUnstructured{{Value:{}}}",
            go_syntax(value)
        )),
        Scalar::Boolean if !value.is_boolean() => {
            Some(format!("expected boolean, got {}", plain(value)))
        }
        Scalar::Any if !is_scalar => Some(format!("expected any scalar, got {}", plain(value))),
        _ => None,
    }
}

/// Returns the Go type that holds such a value.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Returns a value in its box as Go's `%v` prints it.
fn plain(value: &Value) -> String {
    format!("&{{{}}}", show_plain(value))
}

/// Returns a value as Go's `%#v` prints it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quote(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries = entries
                .iter()
                .map(|(k, v)| format!("{}:{}", quote(k), go_syntax(v)));
            let entries = entries.collect::<Vec<_>>().join(", ");
            format!("map[string]interface {{}}{{{entries}}}")
        }
        other => other.to_string(),
    }
}
