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
