//! The functions that a template can call: Go's own and the hermetic part of sprig's.
//!
//! In: a name, checked arguments. Out: a value or a reason. A function that would need randomness,
//! a clock or a slow key derivation is known by name and refuses when it is called.

mod builtin;
mod dates;
mod dicts;
mod encode;
mod lists;
mod math;
mod regexes;
mod text;
mod versions;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::exec::{Fault, Memory};
use crate::value::{ANY_LIST, DICT, List, Value};

/// A function with the types of its parameters.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// A letter for each parameter; a star lets the last come any number of times, also never.
    signature: &'static str,
    pub(crate) call: Body,
}

type Body = fn(&mut Memory, &[Value]) -> Called;
type Called = Result<Value, Fault>;

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parameter {
    Any,
    Text,
    Bool,
    Int,
    Int64,
    Float,
    Dict,
    Time,
}

impl Parameter {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Text => "string",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Float => "float64",
            Self::Dict => DICT,
            Self::Time => "time.Time",
        }
    }

    pub(crate) fn can_be_nil(self) -> bool {
        matches!(self, Self::Any | Self::Dict)
    }
}

impl Function {
    pub(crate) fn is_variadic(&self) -> bool {
        self.signature.ends_with('*')
    }

    pub(crate) fn n_fixed(&self) -> usize {
        match self.is_variadic() {
            true => self.signature.len() - 2,
            false => self.signature.len(),
        }
    }

    pub(crate) fn parameter(&self, n: usize) -> Parameter {
        let letters = self.signature.trim_end_matches('*').as_bytes();
        match letters.get(n).or(letters.last()) {
            Some(b's') => Parameter::Text,
            Some(b'b') => Parameter::Bool,
            Some(b'i') => Parameter::Int,
            Some(b'j') => Parameter::Int64,
            Some(b'f') => Parameter::Float,
            Some(b'd') => Parameter::Dict,
            Some(b't') => Parameter::Time,
            _ => Parameter::Any,
        }
    }
}

/// Functions of sprig that cannot be pure, or cost what no message is worth.
const REFUSED: [&str; 19] = [
    "ago",
    "bcrypt",
    "buildCustomCert",
    "decryptAES",
    "derivePassword",
    "encryptAES",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "htpasswd",
    "mustDateModify",
    "must_date_modify",
    "randInt",
    "shuffle",
    "urlParse",
];

fn refuse(_: &mut Memory, _: &[Value]) -> Called {
    Err("is not supported here".into())
}

static TABLE: LazyLock<BTreeMap<&'static str, Function>> = LazyLock::new(|| {
    let parts = [
        builtin::FUNCTIONS,
        dates::FUNCTIONS,
        dicts::FUNCTIONS,
        encode::FUNCTIONS,
        lists::FUNCTIONS,
        math::FUNCTIONS,
        regexes::FUNCTIONS,
        text::FUNCTIONS,
        versions::FUNCTIONS,
    ];
    let known = parts.into_iter().flatten().copied();
    let refused = REFUSED.iter().map(|name| (*name, "a*", refuse as Body));
    known
        .chain(refused)
        .map(|(name, signature, call)| {
            let function = Function {
                name,
                signature,
                call,
            };
            (name, function)
        })
        .collect()
});

/// Name, signature, body.
type Row = (&'static str, &'static str, Body);

/// Returns a function by its name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    TABLE.get(name)
}

/// Returns whether there is a function of a name.
pub(crate) fn is_known(name: &str) -> bool {
    TABLE.contains_key(name)
}

/// Returns the text of an argument that the signature says is text.
fn text_at(arguments: &[Value], n: usize) -> &str {
    match arguments.get(n) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

/// Returns the whole number of an argument that the signature says is one.
fn int_at(arguments: &[Value], n: usize) -> i64 {
    match arguments.get(n) {
        Some(Value::Int(value, _)) => *value,
        _ => 0,
    }
}

/// Returns an argument, or nil where there is none.
fn any_at(arguments: &[Value], n: usize) -> &Value {
    arguments.get(n).unwrap_or(&Value::Nil)
}

/// Makes a text and counts it.
fn text(memory: &mut Memory, text: &str) -> Called {
    memory.charge_text(text.len())?;
    Ok(Value::text(text))
}

/// Makes a `[]interface {}` and counts it.
fn list(memory: &mut Memory, items: Vec<Value>) -> Called {
    typed_list(memory, ANY_LIST, items)
}

/// Makes a `[]string` and counts it.
fn text_list(memory: &mut Memory, items: Vec<Value>) -> Called {
    typed_list(memory, "[]string", items)
}

fn typed_list(memory: &mut Memory, type_name: &str, items: Vec<Value>) -> Called {
    memory.charge(1 + items.len())?;
    Ok(Value::List(List::new(type_name, items)?))
}

/// Returns the items of a list, or a reason that names the function's word for it.
fn items<'v>(value: &'v Value, of: &str) -> Result<&'v [Value], Fault> {
    match value {
        Value::List(list) => Ok(&list.items),
        other => Err(format!("Cannot {of} on type {}", other.kind()).into()),
    }
}

/// Returns a value as text as sprig's `toString` does.
fn string_of(memory: &Memory, value: &Value) -> Result<String, Fault> {
    crate::print::plain(memory, value)
}
