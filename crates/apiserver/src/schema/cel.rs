//! `x-kubernetes-validations`: rules in the Common Expression Language.
//!
//! A rule sees the value as `self` and, on updates, the stored one as `oldSelf`. Names that are no
//! CEL identifiers are escaped as Kubernetes escapes them. Rules that do not compile are kept with
//! their error, so that a definition can be refused with it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube_cel::KubeCelExt;
use kube_cel::cel::objects::{Key, Map, OptionalValue};
use kube_cel::cel::{Context, Program, Value as Cel};
use serde_json::Value;

use super::format;
use super::tree::Schema;

/// The longest expression that is compiled, in bytes.
const EXPRESSION_BYTES_MAX: usize = 16 * 1024;

/// How many steps a rule may take over the items it sees, as an upper bound.
///
/// Kubernetes bounds the cost of a rule too, and refuses the object with the same text.
const STEPS_MAX: u128 = 10_000_000;

/// Functions that go over all items.
const LOOPS: [&str; 6] = ["all", "exists", "exists_one", "existsOne", "filter", "map"];

/// Words that a field name cannot be in an expression.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

static LIBRARY: LazyLock<Context<'static>> = LazyLock::new(|| Context::default().with_all());

/// One rule of `x-kubernetes-validations`.
#[derive(Debug, Clone)]
pub struct Expression {
    /// The rule as written.
    pub rule: String,
    /// `message`; empty where there is none.
    pub message: String,
    /// `reason`, such as `FieldValueRequired`; empty where there is none.
    pub reason: String,
    /// `fieldPath`, such as `.note`; empty where there is none.
    pub field_path: String,
    /// Whether the rule compares with the stored value.
    pub transition: bool,
    /// Whether `oldSelf` is an optional value, so that the rule runs on creates too.
    pub optional_old: bool,
    /// How deep functions that go over all items are nested in the rule.
    pub loops: u32,
    /// The compiled rule.
    pub program: Compiled,
    /// The compiled `messageExpression`, if there is one.
    pub message_program: Option<Compiled>,
}

/// A compiled expression, or why it does not compile.
#[derive(Clone)]
pub struct Compiled(Result<Arc<Program>, String>);

impl fmt::Debug for Compiled {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Compiled({})", self.0.is_ok())
    }
}

impl Compiled {
    fn new(source: &str) -> Self {
        if source.len() > EXPRESSION_BYTES_MAX {
            return Self(Err(format!(
                "expression is longer than {EXPRESSION_BYTES_MAX} bytes"
            )));
        }
        let program = Program::compile(source).map_err(|errors| errors.to_string());
        Self(program.map(Arc::new))
    }

    /// Returns why the expression does not compile, if it does not.
    pub fn error(&self) -> Option<&str> {
        self.0.as_ref().err().map(String::as_str)
    }

    fn run(&self, context: &Context<'_>) -> Result<Cel, String> {
        let program = self.0.as_ref().map_err(Clone::clone)?;
        program.execute(context).map_err(|error| error.to_string())
    }
}

/// Returns the rules written in `x-kubernetes-validations`.
pub(super) fn read(keyword: Option<&Value>) -> Vec<Expression> {
    let rules = keyword.and_then(Value::as_array);
    rules.into_iter().flatten().map(read_one).collect()
}

fn read_one(node: &Value) -> Expression {
    let text = |key: &str| node.get(key).and_then(Value::as_str).unwrap_or_default();
    let program = Compiled::new(text("rule"));
    let transition = program
        .0
        .as_ref()
        .is_ok_and(|program| program.references().has_variable("oldSelf"));
    let message_expression = text("messageExpression");
    Expression {
        rule: text("rule").to_owned(),
        message: text("message").to_owned(),
        reason: text("reason").to_owned(),
        field_path: text("fieldPath").to_owned(),
        transition,
        loops: nested_loops(text("rule")),
        optional_old: node.get("optionalOldSelf").and_then(Value::as_bool) == Some(true),
        program,
        message_program: (!message_expression.is_empty())
            .then(|| Compiled::new(message_expression)),
    }
}

impl Expression {
    /// Returns the message to report when the rule does not hold for `value`; none when it holds.
    pub fn check(&self, schema: &Schema, value: &Value, old: Option<&Value>) -> Option<String> {
        if self.transition && old.is_none() && !self.optional_old {
            return None;
        }
        let steps = items_in(value).checked_pow(self.loops);
        if steps.is_none_or(|steps| steps > STEPS_MAX) {
            return Some(
                "validation failed due to running out of cost budget, no further validation rules \
                 will be run"
                    .to_owned(),
            );
        }
        let mut context = LIBRARY.new_inner_scope();
        context.add_variable_from_value("self", bind(Some(schema), value));
        if self.transition {
            context.add_variable_from_value("oldSelf", self.bind_old(schema, old));
        }
        match self.program.run(&context) {
            Ok(Cel::Bool(true)) => None,
            Ok(Cel::Bool(false)) => Some(self.message(&context)),
            Ok(_) => Some(format!("{}: rule did not give a boolean", self.rule)),
            Err(error) => Some(format!("{} evaluation error: {error}", self.rule)),
        }
    }

    fn bind_old(&self, schema: &Schema, old: Option<&Value>) -> Cel {
        let value = old.map(|old| bind(Some(schema), old));
        match (self.optional_old, value) {
            (false, Some(value)) => value,
            (false, None) => Cel::Null,
            (true, Some(value)) => Cel::Opaque(Arc::new(OptionalValue::of(value))),
            (true, None) => Cel::Opaque(Arc::new(OptionalValue::none())),
        }
    }

    fn message(&self, context: &Context<'_>) -> String {
        let computed = self.message_program.as_ref().map(|it| it.run(context));
        if let Some(Ok(Cel::String(text))) = computed
            && !text.trim().is_empty()
        {
            return text.as_str().to_owned();
        }
        if self.message.is_empty() {
            format!("failed rule: {}", self.rule)
        } else {
            self.message.clone()
        }
    }
}

/// Returns how deep functions that go over all items are nested in an expression.
fn nested_loops(source: &str) -> u32 {
    let (mut open, mut deepest, mut quote) = (Vec::new(), 0, None);
    let mut name_start = 0;
    for (place, character) in source.char_indices() {
        match (quote, character) {
            (Some(end), _) if end == character => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '(') => {
                let name = source.get(name_start..place).unwrap_or_default();
                open.push(LOOPS.contains(&name));
                let depth = open.iter().filter(|is_loop| **is_loop).count();
                deepest = deepest.max(u32::try_from(depth).unwrap_or(u32::MAX));
            }
            (None, ')') => {
                open.pop();
            }
            _ => {}
        }
        if !(character.is_alphanumeric() || character == '_') {
            name_start = place + character.len_utf8();
        }
    }
    deepest
}

/// Returns how many items and fields a value holds, at all depths.
fn items_in(value: &Value) -> u128 {
    match value {
        Value::Array(items) => items.iter().map(|item| 1 + items_in(item)).sum(),
        Value::Object(map) => map.values().map(|item| 1 + items_in(item)).sum(),
        _ => 0,
    }
}

/// Returns the value as expressions see it.
fn bind(schema: Option<&Schema>, value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => bind_number(schema, number),
        Value::String(text) => bind_text(schema, text),
        Value::Array(items) => {
            let items_schema = schema.and_then(Schema::items).map(AsRef::as_ref);
            let bound = items.iter().map(|item| bind(items_schema, item));
            Cel::List(Arc::new(bound.collect()))
        }
        Value::Object(fields) => {
            let bound: HashMap<Key, Cel> = fields
                .iter()
                .map(|(name, child)| {
                    let known = schema.and_then(|schema| schema.field(name));
                    let key = if schema.is_some_and(|schema| schema.has_field(name)) {
                        escape(name)
                    } else {
                        name.clone()
                    };
                    (
                        Key::String(Arc::new(key)),
                        bind(known.map(AsRef::as_ref), child),
                    )
                })
                .collect();
            Cel::Map(Map {
                map: Arc::new(bound),
            })
        }
    }
}

fn bind_number(schema: Option<&Schema>, number: &serde_json::Number) -> Cel {
    let whole = !schema.is_some_and(Schema::is_number);
    match (number.as_i64(), number.as_u64()) {
        (Some(signed), _) if whole => Cel::Int(signed),
        (_, Some(unsigned)) if whole => Cel::UInt(unsigned),
        _ => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
    }
}

fn bind_text(schema: Option<&Schema>, text: &str) -> Cel {
    let plain = || Cel::String(Arc::new(text.to_owned()));
    match schema.map(|schema| schema.format.as_str()) {
        Some("date-time") => format::date_time(text).map_or_else(plain, Cel::Timestamp),
        Some("duration") => format::duration(text).map_or_else(plain, Cel::Duration),
        Some("byte") => STANDARD
            .decode(text)
            .map_or_else(|_| plain(), |bytes| Cel::Bytes(Arc::new(bytes))),
        _ => plain(),
    }
}

/// Returns the name of a field as expressions spell it.
fn escape(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    name.replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(rule: &str, value: &Value) -> Option<String> {
        let node = json!([{ "rule": rule, "message": "no" }]);
        read(Some(&node))[0].check(&Schema::default(), value, None)
    }

    #[test]
    fn rules_hold_or_give_their_message() {
        let value = json!({ "a": 1, "list": [1, 2, 3], "text": "x" });
        for (rule, want) in [
            ("self.a == 1", None),
            ("self.a == 2", Some("no")),
            ("self.list.all(i, i > 0)", None),
            ("self.list.exists(i, i > 5)", Some("no")),
            ("has(self.b)", Some("no")),
            ("self.text.startsWith('x')", None),
        ] {
            assert_eq!(check(rule, &value).as_deref(), want, "{rule}");
        }
        let failed = check("self.b == 1", &value);
        assert!(failed.is_some_and(|it| it.contains("evaluation error")));
    }

    #[test]
    fn loops_in_loops_over_many_items_are_not_run() {
        let items: Vec<u32> = (0..4000).collect();
        let value = json!({ "list": items });
        let rule = "self.list.all(a, self.list.all(b, a + b >= 0))";
        let refused = check(rule, &value);
        assert!(refused.is_some_and(|it| it.contains("cost budget")));
        assert_eq!(check("self.list.all(a, a >= 0)", &value), None);
        assert_eq!(nested_loops("a.all(x, x) && b.all(y, y)"), 1);
        assert_eq!(nested_loops("a.map(x, x.filter(y, '(' == y))"), 2);
    }

    #[test]
    fn long_expressions_are_not_compiled() {
        let rule = format!("self == '{}'", "x".repeat(EXPRESSION_BYTES_MAX));
        let node = json!([{ "rule": rule }]);
        assert!(read(Some(&node))[0].program.error().is_some());
    }

    #[test]
    fn names_are_escaped_as_kubernetes_escapes_them() {
        for (name, want) in [
            ("namespace", "__namespace__"),
            ("a-b", "a__dash__b"),
            ("a.b/c", "a__dot__b__slash__c"),
            ("a__b", "a__underscores__b"),
            ("a_b", "a_b"),
        ] {
            assert_eq!(escape(name), want);
        }
    }
}
