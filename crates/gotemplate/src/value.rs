//! What a template works on: Go's values, as far as a template can see them.
//!
//! In: what the caller makes, and what functions make. Out: kinds and type names as Go has them.
//! Lists, maps and structs never change; dictionaries are named by a number and live in the heap
//! of one execution, so that they can be changed in place without ever forming a cycle of owners.

use std::collections::BTreeMap;
use std::rc::Rc;

use chrono::{DateTime, FixedOffset};

use crate::DEPTH_MAX;

/// A value.
#[derive(Debug, Clone)]
pub enum Value {
    /// `nil`, or nothing at all.
    Nil,
    /// A `bool`.
    Bool(bool),
    /// A whole number of a type.
    Int(i64, Whole),
    /// A `float64`.
    Float(f64),
    /// A `complex128`.
    Complex(f64, f64),
    /// A `string`.
    Text(Rc<str>),
    /// A slice.
    List(List),
    /// A map that functions do not change.
    Map(Rc<Map>),
    /// A `map[string]interface {}` of this execution.
    Dict(Dict),
    /// A struct with fields and methods.
    Struct(Rc<Struct>),
    /// A `time.Time`.
    Time(DateTime<FixedOffset>),
}

/// The types of whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `uint64`
    Uint64,
    /// `uint8`
    Uint8,
}

/// The name of a dictionary in its execution's heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dict(pub(crate) usize);

/// A slice with the name of its type.
#[derive(Debug, Clone)]
pub struct List {
    pub(crate) type_name: Rc<str>,
    pub(crate) items: Rc<[Value]>,
    depth: usize,
}

/// A map with sorted keys.
#[derive(Debug)]
pub struct Map {
    /// The name of the map's type.
    pub type_name: String,
    /// Whether the keys are strings; else they are structs.
    pub has_text_keys: bool,
    /// Whether the map is `nil`, which JSON tells from an empty one.
    pub is_nil: bool,
    /// What a key that is not there gives.
    pub zero: Value,
    /// The entries, ordered as Go orders keys.
    pub entries: Vec<(Value, Value)>,
}

/// A struct.
#[derive(Debug)]
pub struct Struct {
    /// The name of its type.
    pub type_name: String,
    /// Its fields in order.
    pub fields: Vec<Field>,
    /// What its methods without arguments return.
    pub methods: Vec<(String, Value)>,
    /// What its `String` method returns, if it has one.
    pub display: Option<String>,
}

/// A field of a struct.
#[derive(Debug)]
pub struct Field {
    /// The field's name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Whether the fields of its value can be named as if they were the struct's own.
    pub is_embedded: bool,
}

impl Field {
    /// Makes a field.
    pub fn new(name: &str, value: Value) -> Self {
        Self {
            name: name.to_owned(),
            value,
            is_embedded: false,
        }
    }

    /// Makes an embedded field.
    pub fn embedded(name: &str, value: Value) -> Self {
        Self {
            is_embedded: true,
            ..Self::new(name, value)
        }
    }
}

impl Struct {
    /// Returns what a name gives: a method, a field, or a field of an embedded struct.
    pub(crate) fn member(&self, name: &str) -> Option<&Value> {
        let method = self.methods.iter().find(|(method, _)| method == name);
        if let Some((_, value)) = method {
            return Some(value);
        }
        let field = self.fields.iter().find(|field| field.name == name);
        if let Some(field) = field {
            return Some(&field.value);
        }
        self.fields.iter().find_map(|field| match &field.value {
            Value::Struct(inner) if field.is_embedded => inner.member(name),
            _ => None,
        })
    }

    pub(crate) fn has_method(&self, name: &str) -> bool {
        self.methods.iter().any(|(method, _)| method == name)
    }
}

impl List {
    /// Makes a slice. Fails when its items are nested too deep.
    pub(crate) fn new(type_name: &str, items: Vec<Value>) -> Result<Self, String> {
        let depth = 1 + items.iter().map(Value::depth).max().unwrap_or(0);
        if depth > DEPTH_MAX {
            return Err(format!("values are nested deeper than {DEPTH_MAX}"));
        }
        Ok(Self {
            type_name: type_name.into(),
            items: items.into(),
            depth,
        })
    }
}

/// The type of what functions make lists of.
pub(crate) const ANY_LIST: &str = "[]interface {}";
/// The type of dictionaries.
pub(crate) const DICT: &str = "map[string]interface {}";

impl Value {
    /// Makes a `string`.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// Makes an `int`.
    pub fn int(value: i64) -> Self {
        Self::Int(value, Whole::Int)
    }

    /// Makes a slice of values that hold no lists themselves.
    pub fn list(type_name: &str, items: Vec<Value>) -> Self {
        Self::List(List {
            type_name: type_name.into(),
            depth: 1 + items.iter().map(Value::depth).max().unwrap_or(0),
            items: items.into(),
        })
    }

    /// Makes a struct.
    pub fn structure(structure: Struct) -> Self {
        Self::Struct(Rc::new(structure))
    }

    /// Makes a map; the entries are sorted by their keys here.
    pub fn map(mut map: Map) -> Self {
        map.entries.sort_by(|(a, _), (b, _)| key_order(a, b));
        Self::Map(Rc::new(map))
    }

    /// Makes a `map[string]string`.
    pub fn text_map(entries: &BTreeMap<String, String>) -> Self {
        let entries = entries.iter();
        Self::map(Map {
            type_name: "map[string]string".to_owned(),
            has_text_keys: true,
            is_nil: false,
            zero: Self::text(""),
            entries: entries
                .map(|(key, value)| (Self::text(key), Self::text(value)))
                .collect(),
        })
    }

    /// How deep lists are nested; what the caller made counts as flat, for it is finite.
    fn depth(&self) -> usize {
        match self {
            Self::List(list) => list.depth,
            _ => 0,
        }
    }

    /// Returns the name of the value's type.
    pub(crate) fn type_name(&self) -> &str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_, Whole::Int) => "int",
            Self::Int(_, Whole::Int64) => "int64",
            Self::Int(_, Whole::Uint64) => "uint64",
            Self::Int(_, Whole::Uint8) => "uint8",
            Self::Float(_) => "float64",
            Self::Complex(..) => "complex128",
            Self::Text(_) => "string",
            Self::List(list) => &list.type_name,
            Self::Map(map) => &map.type_name,
            Self::Dict(_) => DICT,
            Self::Struct(structure) => &structure.type_name,
            Self::Time(_) => "time.Time",
        }
    }

    /// Returns the kind of the value's type.
    pub(crate) fn kind(&self) -> &str {
        match self {
            Self::Nil => "invalid",
            Self::List(_) => "slice",
            Self::Map(_) | Self::Dict(_) => "map",
            Self::Struct(structure) if structure.type_name.starts_with('*') => "ptr",
            Self::Struct(_) | Self::Time(_) => "struct",
            other => other.type_name(),
        }
    }
}

/// Orders keys as Go prints and walks them: text by bytes, structs field by field.
fn key_order(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Struct(a), Value::Struct(b)) => {
            let pairs = a.fields.iter().zip(&b.fields);
            let mut orders = pairs.map(|(a, b)| key_order(&a.value, &b.value));
            orders
                .find(|order| order.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        }
        _ => std::cmp::Ordering::Equal,
    }
}
