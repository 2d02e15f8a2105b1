//! What a template is made of, and how Go prints a piece of it in an error.
//!
//! In: what the parser found, with byte positions. Out: the text of a piece. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use crate::number::Number;

/// The templates of one text by name.
pub(crate) type Trees = BTreeMap<String, Rc<Vec<Node>>>;

/// A piece of a template that does something.
#[derive(Debug)]
pub(crate) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Call),
    Break,
    Continue,
}

/// A pipeline and what runs when it is true or false.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) list: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

/// A call of another template.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) at: usize,
    pub(crate) name: String,
    pub(crate) pipe: Option<Pipe>,
}

/// Commands, each fed by the one before; the result goes to the output or to variables.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) at: usize,
    pub(crate) variables: Vec<String>,
    pub(crate) is_assign: bool,
    pub(crate) commands: Vec<Command>,
}

/// A value or a call with its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) at: usize,
    pub(crate) operands: Vec<Operand>,
}

/// A word of a command.
#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

/// What a word is.
#[derive(Debug)]
pub(crate) enum Kind {
    Dot,
    Nil,
    Bool(bool),
    Number {
        text: String,
        value: Number,
    },
    Text {
        quoted: String,
        value: String,
    },
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A.B`; the first name has the dollar.
    Variable(Vec<String>),
    Function(String),
    /// `(pipeline).A.B` and the like.
    Chain(Box<Operand>, Vec<String>),
    Pipe(Box<Pipe>),
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Dot => f.write_str("."),
            Kind::Nil => f.write_str("nil"),
            Kind::Bool(value) => write!(f, "{value}"),
            Kind::Number { text, .. } => f.write_str(text),
            Kind::Text { quoted, .. } => f.write_str(quoted),
            Kind::Field(names) => write!(f, ".{}", names.join(".")),
            Kind::Variable(names) => f.write_str(&names.join(".")),
            Kind::Function(name) => f.write_str(name),
            Kind::Chain(inner, names) => match &inner.kind {
                Kind::Pipe(pipe) => write!(f, "({pipe}).{}", names.join(".")),
                _ => write!(f, "{inner}.{}", names.join(".")),
            },
            Kind::Pipe(pipe) => write!(f, "{pipe}"),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, operand) in self.operands.iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            match &operand.kind {
                Kind::Pipe(pipe) => write!(f, "({pipe})")?,
                _ => write!(f, "{operand}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.is_assign { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        for (n, command) in self.commands.iter().enumerate() {
            if n > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{command}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {:?}", self.name)?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}
