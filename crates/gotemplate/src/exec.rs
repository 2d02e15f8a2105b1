//! Runs a template's nodes: text, actions, branches, ranges and calls of other templates.
//!
//! In: a parsed template and a value. Out: text, or where and why it stopped. Words and calls are
//! evaluated in `call`. Pure; every step is counted.

use std::collections::BTreeMap;
use std::fmt;

use crate::ast::{Branch, Call, Command, Node, Operand, Pipe};
use crate::value::{Dict, Value};
use crate::{DEPTH_MAX, Error, Failure, Limits, Template, print};

/// Why a run ended before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The template does not fit the value.
    Failed {
        reason: String,
        missing: Option<(String, String)>,
    },
    /// A bound was reached.
    Limit(String),
    Break,
    Continue,
}

/// Why a function gave no value.
#[derive(Debug)]
pub(crate) enum Fault {
    Said(String),
    Limit(String),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Said(reason)
    }
}

impl From<&str> for Fault {
    fn from(reason: &str) -> Self {
        Self::Said(reason.to_owned())
    }
}

/// What functions may use: the dictionaries of the run and its budget.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) dicts: Vec<BTreeMap<String, Value>>,
    pub(crate) limits: Limits,
    n_steps: usize,
}

impl Memory {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            dicts: Vec::new(),
            limits,
            n_steps: 0,
        }
    }

    /// Counts work of a size. Fails when there was too much.
    pub(crate) fn charge(&mut self, n: usize) -> Result<(), Fault> {
        self.n_steps = self.n_steps.saturating_add(n);
        match self.n_steps > self.limits.steps {
            true => Err(Fault::Limit(format!(
                "more than {} steps",
                self.limits.steps
            ))),
            false => Ok(()),
        }
    }

    /// Counts a text that is about to be made. Fails when it would be too long.
    pub(crate) fn charge_text(&mut self, n_bytes: usize) -> Result<(), Fault> {
        let bytes_max = self.limits.output_bytes;
        if n_bytes > bytes_max {
            return Err(Fault::Limit(format!(
                "text is larger than {bytes_max} bytes"
            )));
        }
        self.charge(1 + n_bytes / 16)
    }

    pub(crate) fn dict(&mut self, entries: BTreeMap<String, Value>) -> Result<Value, Fault> {
        self.charge(1 + entries.len())?;
        self.dicts.push(entries);
        Ok(Value::Dict(Dict(self.dicts.len() - 1)))
    }
}

/// The piece that is running, as errors show it.
#[derive(Clone, Copy)]
pub(crate) enum At<'t> {
    Nothing,
    Operand(&'t Operand),
    Command(&'t Command),
    Pipe(&'t Pipe),
    Call(&'t Call),
}

impl At<'_> {
    fn position(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Operand(operand) => operand.at,
            Self::Command(command) => command.at,
            Self::Pipe(pipe) => pipe.at,
            Self::Call(call) => call.at,
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Operand(operand) => operand.fmt(f),
            Self::Command(command) => command.fmt(f),
            Self::Pipe(pipe) => pipe.fmt(f),
            Self::Call(call) => call.fmt(f),
        }
    }
}

/// One execution.
pub(crate) struct Run<'t> {
    template: &'t Template,
    pub(crate) memory: Memory,
    pub(crate) variables: Vec<(String, Value)>,
    pub(crate) at: At<'t>,
    running: &'t str,
    out: String,
    depth: usize,
}

/// Runs a template on a value.
pub(crate) fn run(template: &Template, data: &Value) -> Result<String, Error> {
    let mut run = Run {
        template,
        memory: Memory::new(template.limits),
        variables: vec![("$".to_owned(), data.clone())],
        at: At::Nothing,
        running: &template.name,
        out: String::new(),
        depth: 0,
    };
    let name = template.name.clone();
    let done = match template.trees.get(&template.name) {
        Some(list) => run.walk(list, data),
        None => Ok(()),
    };
    match done {
        Ok(()) | Err(Stop::Break | Stop::Continue) => Ok(run.out),
        Err(Stop::Limit(reason)) => Err(Error::Limit { name, reason }),
        Err(Stop::Failed { reason, missing }) => {
            let (line, column) = template.place(run.at.position());
            Err(Error::Run(Box::new(Failure {
                name,
                line,
                column,
                template: run.running.to_owned(),
                at: run.at.to_string(),
                reason,
                missing,
            })))
        }
    }
}

impl<'t> Run<'t> {
    fn walk(&mut self, list: &'t [Node], dot: &Value) -> Result<(), Stop> {
        self.depth += 1;
        if self.depth > 2 * DEPTH_MAX {
            let depth = 2 * DEPTH_MAX;
            return Err(Stop::Limit(format!(
                "templates are nested deeper than {depth}"
            )));
        }
        for node in list {
            self.charge(1)?;
            self.node(node, dot)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn node(&mut self, node: &'t Node, dot: &Value) -> Result<(), Stop> {
        match node {
            Node::Text(text) => self.write(text),
            Node::Action(pipe) => {
                let value = self.pipeline(pipe, dot)?;
                if !pipe.variables.is_empty() {
                    return Ok(());
                }
                match value {
                    Value::Nil => self.write("<no value>"),
                    value => {
                        let text = print::plain(&self.memory, &value);
                        let text = text.map_err(|fault| self.fault(fault))?;
                        self.write(&text)
                    }
                }
            }
            Node::If(branch) => self.branch(branch, dot, false),
            Node::With(branch) => self.branch(branch, dot, true),
            Node::Range(branch) => self.range(branch, dot),
            Node::Template(call) => self.call_template(call, dot),
            Node::Break => Err(Stop::Break),
            Node::Continue => Err(Stop::Continue),
        }
    }

    fn branch(&mut self, branch: &'t Branch, dot: &Value, is_with: bool) -> Result<(), Stop> {
        let n_variables = self.variables.len();
        let value = self.pipeline(&branch.pipe, dot)?;
        let walked = match (is_true(&self.memory, &value), is_with) {
            (true, true) => self.walk(&branch.list, &value),
            (true, false) => self.walk(&branch.list, dot),
            (false, _) => self.walk(&branch.otherwise, dot),
        };
        self.leave(n_variables, &walked);
        walked
    }

    /// Forgets the variables of a block. After a break the depth is the block's again.
    fn leave(&mut self, n_variables: usize, walked: &Result<(), Stop>) {
        self.variables.truncate(n_variables);
        if matches!(walked, Err(Stop::Break | Stop::Continue)) {
            self.depth -= 1;
        }
    }

    fn range(&mut self, branch: &'t Branch, dot: &Value) -> Result<(), Stop> {
        let outer = self.variables.len();
        let value = self.pipeline(&branch.pipe, dot)?;
        let inner = self.variables.len();
        if let (Value::Int(n, _), 2) = (&value, branch.pipe.variables.len()) {
            let reason = format!("can't use {n} to iterate over more than one variable");
            return Err(failed(reason));
        }
        let items = self.items(&value)?;
        if items.is_empty() {
            let walked = self.walk(&branch.otherwise, dot);
            self.leave(outer, &walked);
            return walked;
        }
        let names = &branch.pipe.variables;
        let n_declared = inner.saturating_sub(outer);
        for (key, item) in items {
            self.charge(1)?;
            let values = match names.len() {
                0 => vec![],
                1 => vec![item.clone()],
                _ => vec![key, item.clone()],
            };
            for (n, (name, value)) in names.iter().zip(values).enumerate() {
                if branch.pipe.is_assign {
                    self.assign(name, value)?;
                } else if let Some(slot) = self.variables.get_mut(inner - n_declared + n) {
                    slot.1 = value;
                }
            }
            let walked = self.walk(&branch.list, &item);
            self.leave(inner, &walked);
            match walked {
                Err(Stop::Break) => break,
                Err(Stop::Continue) | Ok(()) => {}
                Err(stop) => return Err(stop),
            }
        }
        self.variables.truncate(outer);
        Ok(())
    }

    /// Returns keys and values of what can be walked.
    fn items(&mut self, value: &Value) -> Result<Vec<(Value, Value)>, Stop> {
        let n_items = match value {
            Value::Int(n, _) => usize::try_from(*n).unwrap_or(0),
            Value::List(list) => list.items.len(),
            Value::Map(map) => map.entries.len(),
            Value::Dict(dict) => self.memory.dicts[dict.0].len(),
            _ => 0,
        };
        self.charge(n_items)?;
        Ok(match value {
            Value::Nil => Vec::new(),
            Value::Int(n, _) => (0..*n).map(|n| (Value::int(n), Value::int(n))).collect(),
            Value::List(list) => (0..)
                .zip(list.items.iter())
                .map(|(n, item)| (Value::int(n), item.clone()))
                .collect(),
            Value::Map(map) => map.entries.clone(),
            Value::Dict(dict) => self.memory.dicts[dict.0]
                .iter()
                .map(|(key, value)| (Value::text(key), value.clone()))
                .collect(),
            other => {
                let text = print::plain(&self.memory, other).map_err(|f| self.fault(f))?;
                return Err(failed(format!("range can't iterate over {text}")));
            }
        })
    }

    fn call_template(&mut self, call: &'t Call, dot: &Value) -> Result<(), Stop> {
        self.at = At::Call(call);
        let Some(list) = self.template.trees.get(&call.name) else {
            return Err(failed(format!("template {:?} not defined", call.name)));
        };
        let data = match &call.pipe {
            Some(pipe) => self.pipeline(pipe, dot)?,
            None => Value::Nil,
        };
        let own = vec![("$".to_owned(), data.clone())];
        let outer = std::mem::replace(&mut self.variables, own);
        let caller = std::mem::replace(&mut self.running, &call.name);
        self.walk(list, &data)?;
        self.running = caller;
        self.variables = outer;
        Ok(())
    }

    /// Runs a pipeline and sets its variables.
    pub(crate) fn pipeline(&mut self, pipe: &'t Pipe, dot: &Value) -> Result<Value, Stop> {
        self.at = At::Pipe(pipe);
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, dot, value)?);
        }
        let value = value.unwrap_or(Value::Nil);
        for name in &pipe.variables {
            if pipe.is_assign {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn assign(&mut self, name: &str, value: Value) -> Result<(), Stop> {
        let found = self.variables.iter_mut().rev().find(|(n, _)| n == name);
        match found {
            Some(slot) => {
                slot.1 = value;
                Ok(())
            }
            None => Err(failed(format!("undefined variable: {name}"))),
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Stop> {
        let bytes_max = self.memory.limits.output_bytes;
        if self.out.len() + text.len() > bytes_max {
            return Err(Stop::Limit(format!(
                "output is larger than {bytes_max} bytes"
            )));
        }
        self.out.push_str(text);
        Ok(())
    }

    pub(crate) fn charge(&mut self, n: usize) -> Result<(), Stop> {
        self.memory.charge(n).map_err(|fault| self.fault(fault))
    }

    pub(crate) fn fault(&self, fault: Fault) -> Stop {
        match fault {
            Fault::Said(reason) => failed(reason),
            Fault::Limit(reason) => Stop::Limit(reason),
        }
    }
}

/// Makes the stop of a template that does not fit.
pub(crate) fn failed(reason: String) -> Stop {
    Stop::Failed {
        reason,
        missing: None,
    }
}

/// Returns whether a value is true: not zero, not empty.
pub(crate) fn is_true(memory: &Memory, value: &Value) -> bool {
    match value {
        Value::Nil => false,
        Value::Bool(value) => *value,
        Value::Int(value, _) => *value != 0,
        Value::Float(value) => *value != 0.0,
        Value::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::List(list) => !list.items.is_empty(),
        Value::Map(map) => !map.entries.is_empty(),
        Value::Dict(dict) => !memory.dicts[dict.0].is_empty(),
        Value::Struct(_) | Value::Time(_) => true,
    }
}
