//! A schema as merging sees it: scalars, lists and maps, and how their parts are told apart.
//!
//! A [`Type`] is a view of a [`Schema`]; where a schema allows several forms of a value, the value
//! decides. What a schema leaves open is deduced: maps are granular, lists atomic.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::fields::{PathElement, same_value};
use crate::schema::{ListKind, Schema, Shape};

use super::structs;

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const RAW_EXTENSION: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";

/// The type of one value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Type<'a> {
    /// What a schema declares.
    Declared(Declared<'a>),
    /// Anything; maps in it are granular, lists atomic.
    Deduced,
    /// Anything; maps and lists in it are atomic.
    Untyped,
}

/// A schema and what its surroundings say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared<'a> {
    pub schema: &'a Schema,
    /// Whether unknown fields are kept here and below.
    pub open: bool,
    /// Whether the schema is a custom resource's.
    pub custom: bool,
}

/// The form of one value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form<'a> {
    Scalar(Scalar),
    List(ListType<'a>),
    Map(MapType<'a>),
}

/// Which forms are left after a look at the value; two values of different kinds merge as two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// The only form, or all forms, where the value did not decide.
    Whole,
    Scalar,
    List,
    Map,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Number,
    String,
    Boolean,
    Any,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ListType<'a> {
    pub items: Type<'a>,
    pub relation: Relation<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Relation<'a> {
    Atomic,
    Set,
    Map(&'a [String]),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct MapType<'a> {
    pub atomic: bool,
    fields: Option<&'a BTreeMap<String, Arc<Schema>>>,
    additional: Additional<'a>,
    /// The schema around the fields; absent where the map is deduced.
    declared: Option<Declared<'a>>,
}

#[derive(Debug, Clone, Copy)]
enum Additional<'a> {
    None,
    Type(Type<'a>),
}

static EMPTY: Value = Value::Null;

impl<'a> Type<'a> {
    /// Returns the type of a whole object.
    pub fn of_object(schema: &'a Schema, custom: bool) -> Self {
        let open = schema.preserve_unknown;
        Self::Declared(Declared {
            schema,
            open,
            custom,
        })
    }

    /// Returns the form that handles `value`, and whether the value decided it.
    pub fn form(self, value: Option<&Value>) -> (Form<'a>, Choice) {
        match self {
            Self::Declared(declared) => declared.form(value),
            Self::Deduced => open_form(value, Self::Deduced, false),
            Self::Untyped => open_form(value, Self::Untyped, true),
        }
    }
}

impl<'a> Declared<'a> {
    fn form(self, value: Option<&Value>) -> (Form<'a>, Choice) {
        let scalar = |kind| (Form::Scalar(kind), Choice::Whole);
        match &self.schema.shape {
            Shape::IntOrString if self.is(QUANTITY) => scalar(Scalar::Any),
            Shape::Any if self.is(RAW_EXTENSION) => open_form(value, Type::Untyped, true),
            Shape::Any | Shape::IntOrString => open_form(value, Type::Deduced, false),
            Shape::String => match self.schema.format.as_str() {
                "" | "byte" => scalar(Scalar::String),
                _ => scalar(Scalar::Any),
            },
            Shape::Integer | Shape::Number => scalar(Scalar::Number),
            Shape::Boolean => scalar(Scalar::Boolean),
            Shape::List { items, kind } => {
                let relation = match kind {
                    ListKind::Atomic => Relation::Atomic,
                    ListKind::Set => Relation::Set,
                    ListKind::Map(keys) => Relation::Map(keys),
                };
                let items = self.below(items);
                (Form::List(ListType { items, relation }), Choice::Whole)
            }
            Shape::Object {
                fields,
                additional,
                atomic,
                ..
            } => {
                let additional = match additional {
                    Some(schema) => Additional::Type(self.below(schema)),
                    None if self.open || fields.is_empty() => Additional::Type(Type::Deduced),
                    None => Additional::None,
                };
                let map = MapType {
                    atomic: *atomic,
                    fields: Some(fields),
                    additional,
                    declared: Some(self),
                };
                (Form::Map(map), Choice::Whole)
            }
        }
    }

    fn is(self, definition: &str) -> bool {
        self.schema.definition.as_deref() == Some(definition)
    }

    fn below(self, schema: &'a Schema) -> Type<'a> {
        Type::Declared(Declared {
            schema,
            open: self.open || schema.preserve_unknown,
            custom: self.custom && schema.definition.is_none(),
        })
    }
}

fn open_form<'a>(value: Option<&Value>, items: Type<'a>, atomic: bool) -> (Form<'a>, Choice) {
    let map = Form::Map(MapType {
        atomic,
        fields: None,
        additional: Additional::Type(items),
        declared: None,
    });
    match value {
        None | Some(Value::Null) => (map, Choice::Whole),
        Some(Value::Object(_)) => (map, Choice::Map),
        Some(Value::Array(_)) => {
            let list = ListType {
                items: Type::Untyped,
                relation: Relation::Atomic,
            };
            (Form::List(list), Choice::List)
        }
        Some(_) => (Form::Scalar(Scalar::Any), Choice::Scalar),
    }
}

impl<'a> MapType<'a> {
    /// Returns the type of the named field or of other keys; absent where the schema has neither.
    pub fn member(&self, name: &str) -> Option<Type<'a>> {
        if let (Some(fields), Some(declared)) = (self.fields, self.declared)
            && let Some(schema) = fields.get(name)
        {
            return Some(declared.below(schema));
        }
        if self.is_embedded_meta(name) {
            return Some(Type::Deduced);
        }
        match self.additional {
            Additional::Type(element) => Some(element),
            Additional::None => None,
        }
    }

    /// Returns whether the schema names the field.
    pub fn names(&self, name: &str) -> bool {
        self.fields.is_some_and(|fields| fields.contains_key(name)) || self.is_embedded_meta(name)
    }

    /// Returns whether nothing of the map is declared.
    pub fn is_open(&self) -> bool {
        let deduced = matches!(
            self.additional,
            Additional::Type(Type::Deduced | Type::Untyped)
        );
        deduced && self.fields.is_none_or(BTreeMap::is_empty)
    }

    /// Returns the value that an absent field of a built-in kind has all the same.
    ///
    /// Kubernetes holds built-in objects as structs, in which some fields are never absent.
    pub fn zero(&self, name: &str) -> Option<&'static Value> {
        let declared = self.declared.filter(|d| !d.custom)?;
        let definition = declared.schema.definition.as_deref().unwrap_or_default();
        let Shape::Object {
            fields, required, ..
        } = &declared.schema.shape
        else {
            return None;
        };
        let is_root = fields.contains_key("apiVersion");
        if let Some(zero) = structs::zero(definition, name, is_root) {
            return Some(zero);
        }
        let is_required = required.iter().any(|field| field == name);
        let field = fields.get(name).filter(|_| is_required)?;
        Some(structs::zero_of(field))
    }

    fn is_embedded_meta(&self, name: &str) -> bool {
        self.declared.is_some_and(|d| d.schema.embedded_resource)
            && matches!(name, "apiVersion" | "kind" | "metadata")
    }
}

impl ListType<'_> {
    /// Returns the element that stands for `item` in paths; fails with what is wrong with it.
    pub fn element(&self, item: &Value) -> Result<PathElement, String> {
        match self.relation {
            Relation::Atomic => Err("invalid indexing of non-associative list".to_owned()),
            Relation::Set => match item {
                Value::Object(_) => {
                    Err("associative list without keys has an element that's a map type".to_owned())
                }
                Value::Array(_) => {
                    Err("not supported: associative list with lists as elements".to_owned())
                }
                Value::Null => Err(
                    "associative list without keys has an element that's an explicit null"
                        .to_owned(),
                ),
                scalar => Ok(PathElement::value(scalar.clone())),
            },
            Relation::Map(keys) => self.key_element(keys, item),
        }
    }

    fn key_element(&self, keys: &[String], item: &Value) -> Result<PathElement, String> {
        let map = match item {
            Value::Object(map) => map,
            Value::Null => {
                return Err("associative list with keys may not have a null element".to_owned());
            }
            _ => {
                return Err("associative list with keys may not have non-map elements".to_owned());
            }
        };
        let mut fields = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(value) = map.get(key).or_else(|| self.key_default(key)) {
                fields.push((Arc::from(key.as_str()), value.clone()));
            }
        }
        if fields.is_empty() && !keys.is_empty() {
            let keys: Vec<String> = keys.iter().map(|k| crate::fields::quote(k)).collect();
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{}] (and \
                 doesn't have default values for any key fields)",
                keys.join(" ")
            ));
        }
        Ok(PathElement::key(fields))
    }

    /// Returns whether two items stand for the same element; no where that is not certain.
    pub fn same_element(&self, a: &Value, b: &Value) -> bool {
        match self.relation {
            Relation::Atomic => false,
            Relation::Set => same_value(a, b),
            Relation::Map(keys) => {
                let (Value::Object(a), Value::Object(b)) = (a, b) else {
                    return false;
                };
                keys.iter().all(|key| {
                    let default = || self.key_default(key);
                    match (a.get(key).or_else(default), b.get(key).or_else(default)) {
                        (Some(a), Some(b)) => same_value(a, b),
                        _ => false,
                    }
                })
            }
        }
    }

    fn key_default(&self, key: &str) -> Option<&Value> {
        let Type::Declared(items) = self.items else {
            return None;
        };
        let Shape::Object {
            fields, required, ..
        } = &items.schema.shape
        else {
            return None;
        };
        let field = fields.get(key)?;
        if let Some(default) = &field.default {
            return Some(default);
        }
        if items.custom {
            return None;
        }
        let definition = items.schema.definition.as_deref().unwrap_or_default();
        structs::key_default(
            definition,
            key,
            required.iter().any(|r| r == key),
            &field.shape,
        )
    }
}

/// Returns the object a value holds; null and anything else hold none.
pub(super) fn as_map(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.unwrap_or(&EMPTY).as_object()
}

/// Returns the items a value holds; null and anything else hold none.
pub(super) fn as_list(value: Option<&Value>) -> Option<&Vec<Value>> {
    value.unwrap_or(&EMPTY).as_array()
}
