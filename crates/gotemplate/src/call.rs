//! Evaluates words: fields, variables, constants, and calls of functions with checked arguments.
//!
//! In: operands and the dot. Out: values, or Go's words for what does not fit. Pure.

use crate::ast::{Command, Kind, Operand};
use crate::exec::{At, Fault, Run, Stop, failed, is_true};
use crate::functions::{self, Function, Parameter};
use crate::number::Number;
use crate::value::{Value, Whole};

impl<'t> Run<'t> {
    /// Runs a command, with the value of the one before it as the last argument.
    pub(crate) fn command(
        &mut self,
        command: &'t Command,
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, Stop> {
        self.charge(1)?;
        let Some((word, arguments)) = command.operands.split_first() else {
            return Ok(Value::Nil);
        };
        let has_arguments = !arguments.is_empty() || last.is_some();
        let n_arguments = arguments.len() + usize::from(last.is_some());
        match &word.kind {
            Kind::Field(names) => {
                self.at = At::Operand(word);
                self.chain(dot.clone(), names, n_arguments)
            }
            Kind::Variable(names) => {
                self.at = At::Operand(word);
                if names.len() == 1 && has_arguments {
                    return Err(no_function(word));
                }
                self.variable(names, n_arguments)
            }
            Kind::Chain(inner, names) => {
                self.at = At::Operand(word);
                let value = self.chain_start(word, inner, dot)?;
                self.chain(value, names, n_arguments)
            }
            Kind::Function(name) => {
                self.at = At::Operand(word);
                self.function(name, At::Command(command), arguments, dot, last)
            }
            _ if has_arguments => {
                self.at = At::Operand(word);
                Err(no_function(word))
            }
            Kind::Pipe(pipe) => self.pipeline(pipe, dot),
            Kind::Nil => {
                self.at = At::Operand(word);
                Err(failed("nil is not a command".to_owned()))
            }
            _ => self.any(word, dot),
        }
    }

    fn chain_start(
        &mut self,
        word: &'t Operand,
        inner: &'t Operand,
        dot: &Value,
    ) -> Result<Value, Stop> {
        if matches!(inner.kind, Kind::Nil) {
            return Err(failed(format!(
                "indirection through explicit nil in {word}"
            )));
        }
        self.argument(Parameter::Any, inner, dot)
    }

    fn variable(&mut self, names: &'t [String], n_arguments: usize) -> Result<Value, Stop> {
        let Some((name, fields)) = names.split_first() else {
            return Ok(Value::Nil);
        };
        let found = self.variables.iter().rev().find(|(n, _)| n == name);
        let Some((_, value)) = found else {
            return Err(failed(format!("undefined variable: {name}")));
        };
        let value = value.clone();
        self.chain(value, fields, n_arguments)
    }

    /// Follows names from a value; arguments are for the last of them.
    fn chain(
        &mut self,
        mut value: Value,
        names: &'t [String],
        n_arguments: usize,
    ) -> Result<Value, Stop> {
        for (n, name) in names.iter().enumerate() {
            let is_last = n + 1 == names.len();
            value = self.member(&value, name, if is_last { n_arguments } else { 0 })?;
        }
        Ok(value)
    }

    fn member(&mut self, value: &Value, name: &str, n_arguments: usize) -> Result<Value, Stop> {
        self.charge(1)?;
        let found = match value {
            // Nothing has no fields, and asking it for one gives nothing.
            Value::Nil => return Ok(Value::Nil),
            Value::Struct(structure) => {
                if structure.has_method(name) && n_arguments > 0 {
                    return Err(failed(format!(
                        "wrong number of args for {name}: want 0 got {n_arguments}"
                    )));
                }
                if structure.display.is_some() && name == "String" {
                    structure.display.as_deref().map(Value::text)
                } else {
                    structure.member(name).cloned()
                }
            }
            Value::Map(map) if map.has_text_keys => {
                let is_key = |key: &Value| matches!(key, Value::Text(text) if &**text == name);
                let entry = map.entries.iter().find(|(key, _)| is_key(key));
                Some(entry.map_or(Value::Nil, |(_, value)| value.clone()))
            }
            Value::Dict(dict) => {
                let entry = self.memory.dicts[dict.0].get(name);
                Some(entry.cloned().unwrap_or(Value::Nil))
            }
            _ => None,
        };
        let type_name = value.type_name();
        let Some(found) = found else {
            return Err(Stop::Failed {
                reason: format!("can't evaluate field {name} in type {type_name}"),
                missing: Some((name.to_owned(), type_name.to_owned())),
            });
        };
        if n_arguments > 0 {
            return Err(failed(match value {
                Value::Struct(_) => {
                    format!("{name} has arguments but cannot be invoked as function")
                }
                _ => format!("{name} is not a method but has arguments"),
            }));
        }
        Ok(found)
    }

    fn function(
        &mut self,
        name: &str,
        whole: At<'t>,
        operands: &'t [Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, Stop> {
        let Some(function) = functions::find(name) else {
            return Err(failed(format!("{name:?} is not a defined function")));
        };
        let n_given = operands.len() + usize::from(last.is_some());
        check_count(function, n_given)?;
        if matches!(name, "and" | "or") {
            return self.short_circuit(name == "or", operands, dot, last);
        }
        let mut arguments = Vec::with_capacity(n_given);
        for (n, operand) in operands.iter().enumerate() {
            let parameter = function.parameter(n);
            arguments.push(self.argument(parameter, operand, dot)?);
        }
        if let Some(last) = last {
            let parameter = function.parameter(n_given - 1);
            arguments.push(self.fitting(parameter, last)?);
        }
        if name == "call" {
            self.at = whole;
            return Err(uncallable(operands.first(), arguments.first()));
        }
        (function.call)(&mut self.memory, &arguments).map_err(|fault| {
            self.at = whole;
            match fault {
                Fault::Said(reason) => failed(format!("error calling {name}: {reason}")),
                Fault::Limit(reason) => Stop::Limit(reason),
            }
        })
    }

    /// Evaluates the arguments of `and` and `or` only until the result is known.
    fn short_circuit(
        &mut self,
        is_or: bool,
        operands: &'t [Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, Stop> {
        let mut value = Value::Nil;
        for operand in operands {
            value = self.argument(Parameter::Any, operand, dot)?;
            if is_true(&self.memory, &value) == is_or {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    /// Evaluates an operand as an argument of a type.
    fn argument(
        &mut self,
        parameter: Parameter,
        operand: &'t Operand,
        dot: &Value,
    ) -> Result<Value, Stop> {
        self.at = At::Operand(operand);
        match &operand.kind {
            Kind::Nil => match parameter.can_be_nil() {
                true => Ok(Value::Nil),
                false => Err(failed(format!("cannot assign nil to {}", parameter.name()))),
            },
            Kind::Dot => self.fitting(parameter, dot.clone()),
            Kind::Field(_)
            | Kind::Variable(_)
            | Kind::Function(_)
            | Kind::Chain(..)
            | Kind::Pipe(_) => {
                let value = self.any(operand, dot)?;
                self.fitting(parameter, value)
            }
            Kind::Bool(_) | Kind::Number { .. } | Kind::Text { .. } => {
                self.constant(parameter, operand, dot)
            }
        }
    }

    fn constant(
        &mut self,
        parameter: Parameter,
        operand: &'t Operand,
        dot: &Value,
    ) -> Result<Value, Stop> {
        let expected = |what: &str| Err(failed(format!("expected {what}; found {operand}")));
        match (parameter, &operand.kind) {
            (Parameter::Any, _) => self.any(operand, dot),
            (Parameter::Bool, Kind::Bool(value)) => Ok(Value::Bool(*value)),
            (Parameter::Bool, _) => expected("bool"),
            (Parameter::Text, Kind::Text { value, .. }) => Ok(Value::text(value)),
            (Parameter::Text, _) => expected("string"),
            (Parameter::Int | Parameter::Int64, Kind::Number { value, .. }) => {
                let whole = match parameter {
                    Parameter::Int => Whole::Int,
                    _ => Whole::Int64,
                };
                match value.int {
                    Some(value) => Ok(Value::Int(value, whole)),
                    None => expected("integer"),
                }
            }
            (Parameter::Int | Parameter::Int64, _) => expected("integer"),
            (Parameter::Float, Kind::Number { value, .. }) => match value.float {
                Some(value) => Ok(Value::Float(value)),
                None => expected("float"),
            },
            (Parameter::Float, _) => expected("float"),
            (Parameter::Dict | Parameter::Time, _) => Err(failed(format!(
                "can't handle {operand} for arg of type {}",
                parameter.name()
            ))),
        }
    }

    /// Evaluates an operand that may be of any type.
    fn any(&mut self, operand: &'t Operand, dot: &Value) -> Result<Value, Stop> {
        self.at = At::Operand(operand);
        match &operand.kind {
            Kind::Dot => Ok(dot.clone()),
            Kind::Nil => Ok(Value::Nil),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Number { text, value } => ideal(text, value),
            Kind::Text { value, .. } => Ok(Value::text(value)),
            Kind::Field(names) => self.chain(dot.clone(), names, 0),
            Kind::Variable(names) => self.variable(names, 0),
            Kind::Function(name) => self.function(name, At::Operand(operand), &[], dot, None),
            Kind::Chain(inner, names) => {
                let value = self.chain_start(operand, inner, dot)?;
                self.chain(value, names, 0)
            }
            Kind::Pipe(pipe) => self.pipeline(pipe, dot),
        }
    }

    /// Returns the value when it fits the parameter's type.
    fn fitting(&self, parameter: Parameter, value: Value) -> Result<Value, Stop> {
        let fits = match (parameter, &value) {
            (Parameter::Any, _)
            | (Parameter::Text, Value::Text(_))
            | (Parameter::Bool, Value::Bool(_))
            | (Parameter::Int, Value::Int(_, Whole::Int))
            | (Parameter::Int64, Value::Int(_, Whole::Int64))
            | (Parameter::Float, Value::Float(_))
            | (Parameter::Dict, Value::Dict(_))
            | (Parameter::Time, Value::Time(_)) => true,
            (parameter, Value::Nil) if parameter.can_be_nil() => true,
            (parameter, Value::Nil) => {
                let name = parameter.name();
                return Err(failed(format!("invalid value; expected {name}")));
            }
            _ => false,
        };
        match fits {
            true => Ok(value),
            false => Err(failed(format!(
                "wrong type for value; expected {}; got {}",
                parameter.name(),
                value.type_name()
            ))),
        }
    }
}

fn check_count(function: &Function, n_given: usize) -> Result<(), Stop> {
    let (name, n_fixed) = (function.name, function.n_fixed());
    if function.is_variadic() && n_given < n_fixed {
        return Err(failed(format!(
            "wrong number of args for {name}: want at least {n_fixed} got {n_given}"
        )));
    }
    if !function.is_variadic() && n_given != n_fixed {
        return Err(failed(format!(
            "wrong number of args for {name}: want {n_fixed} got {n_given}"
        )));
    }
    Ok(())
}

fn no_function(word: &Operand) -> Stop {
    failed(format!("can't give argument to non-function {word}"))
}

/// Returns what `call` says: nothing here can be called.
fn uncallable(operand: Option<&Operand>, value: Option<&Value>) -> Stop {
    let value = value.unwrap_or(&Value::Nil);
    let type_name = value.type_name();
    let what = match (operand, value) {
        (_, Value::Nil) => return failed("error calling call: call of nil".to_owned()),
        (Some(operand), _) => operand.to_string(),
        (None, Value::Text(text)) => text.to_string(),
        (None, _) => format!("<{type_name} Value>"),
    };
    failed(format!(
        "error calling call: non-function {what} of type {type_name}"
    ))
}

/// Returns a constant in the type that it has where nobody asks for one.
fn ideal(text: &str, number: &Number) -> Result<Value, Stop> {
    if let Some((real, imaginary)) = number.complex {
        return Ok(Value::Complex(real, imaginary));
    }
    match (number.is_float, number.float, number.int) {
        (true, Some(float), _) => Ok(Value::Float(float)),
        (_, _, Some(int)) => Ok(Value::int(int)),
        _ => Err(failed(format!("{text} overflows int"))),
    }
}
