//! From tokens to trees, with Go's complaints.
//!
//! In: text. Out: the templates of it by name, or the first thing that is wrong and its line. Pure.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::DEPTH_MAX;
use crate::ast::{Branch, Call, Command, Kind, Node, Operand, Pipe, Trees};
use crate::functions;
use crate::lex::{Sort, Token, tokens};
use crate::number::{Number, unquoted};

/// What is wrong and where.
pub(crate) struct Refusal {
    pub(crate) line: usize,
    pub(crate) reason: String,
}

type Parsed<T> = Result<T, String>;

/// Parses a text and all templates that it defines.
pub(crate) fn trees(name: &str, text: &str) -> Result<Trees, Refusal> {
    let mut parser = Parser {
        tokens: tokens(text),
        next: 0,
        trees: BTreeMap::new(),
        variables: vec!["$".to_owned()],
        n_ranges: 0,
        depth: 0,
    };
    let parsed = parser.top(name);
    match parsed {
        Ok(()) => {
            let trees = parser.trees.into_iter();
            Ok(trees.map(|(name, list)| (name, Rc::new(list))).collect())
        }
        Err(reason) => {
            let last = parser.next.saturating_sub(1).min(parser.tokens.len() - 1);
            let before = text.get(..parser.tokens[last].at).unwrap_or(text);
            Err(Refusal {
                line: 1 + before.matches('\n').count(),
                reason,
            })
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    trees: BTreeMap<String, Vec<Node>>,
    variables: Vec<String>,
    n_ranges: usize,
    depth: usize,
}

/// How a list of nodes ended.
#[derive(PartialEq, Eq)]
enum Ending {
    End,
    Else,
}

/// What starts with a pipeline and ends with `{{end}}`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Control {
    If,
    With,
    Range,
}

impl Control {
    fn word(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::With => "with",
            Self::Range => "range",
        }
    }
}

impl Parser {
    fn top(&mut self, name: &str) -> Parsed<()> {
        let mut list = Vec::new();
        while self.peek().sort != Sort::End {
            if self.peek().sort == Sort::Open && self.word_after_open() == "define" {
                self.take();
                self.take_solid();
                self.definition()?;
                continue;
            }
            match self.node()? {
                Ok(node) => list.push(node),
                Err(Ending::End) => return Err("unexpected {{end}}".to_owned()),
                Err(Ending::Else) => return Err("unexpected {{else}}".to_owned()),
            }
        }
        self.add(name, list)
    }

    /// Returns the first word of the action that opens here.
    fn word_after_open(&self) -> &str {
        let rest = self.tokens[self.next..].iter().skip(1);
        let mut solid = rest.skip_while(|token| token.sort == Sort::Space);
        solid.next().map_or("", |token| token.text.as_str())
    }

    fn definition(&mut self) -> Parsed<()> {
        let name = self.template_name("define clause")?;
        self.expect_close("define clause")?;
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let n_ranges = std::mem::take(&mut self.n_ranges);
        let (list, ending) = self.list()?;
        if ending != Ending::End {
            return Err("unexpected {{else}} in define clause".to_owned());
        }
        self.variables = outer;
        self.n_ranges = n_ranges;
        self.add(&name, list)
    }

    fn add(&mut self, name: &str, list: Vec<Node>) -> Parsed<()> {
        let known = self.trees.get(name);
        if known.is_none_or(|known| is_empty(known)) {
            self.trees.insert(name.to_owned(), list);
        } else if !is_empty(&list) {
            return Err(format!(
                "template: multiple definition of template {name:?}"
            ));
        }
        Ok(())
    }

    /// Parses nodes up to an `{{end}}` or `{{else}}`.
    fn list(&mut self) -> Parsed<(Vec<Node>, Ending)> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("blocks are nested deeper than {DEPTH_MAX}"));
        }
        let mut list = Vec::new();
        while self.peek().sort != Sort::End {
            match self.node()? {
                Ok(node) => list.push(node),
                Err(ending) => {
                    self.depth -= 1;
                    return Ok((list, ending));
                }
            }
        }
        self.take();
        Err("unexpected EOF".to_owned())
    }

    fn node(&mut self) -> Parsed<Result<Node, Ending>> {
        let token = self.take_solid();
        match token.sort {
            Sort::Text => Ok(Ok(Node::Text(token.text))),
            Sort::Open => self.action(),
            _ => Err(unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Parsed<Result<Node, Ending>> {
        let token = self.take_solid();
        if token.sort != Sort::Keyword {
            self.back();
            let at = self.peek_solid().at;
            let pipe = self.pipeline("command", Sort::Close, at)?;
            return Ok(Ok(Node::Action(pipe)));
        }
        let node = match token.text.as_str() {
            "if" => Node::If(self.control(Control::If)?),
            "with" => Node::With(self.control(Control::With)?),
            "range" => Node::Range(self.control(Control::Range)?),
            "template" => Node::Template(self.call()?),
            "block" => self.block()?,
            "break" => self.leave("break", Node::Break)?,
            "continue" => self.leave("continue", Node::Continue)?,
            "end" => {
                self.expect_close("end")?;
                return Ok(Err(Ending::End));
            }
            "else" => {
                // `{{else if` and `{{else with` stay open: the control that sees them goes on.
                let next = self.peek_solid();
                if next.sort != Sort::Keyword || !matches!(next.text.as_str(), "if" | "with") {
                    self.expect_close("else")?;
                }
                return Ok(Err(Ending::Else));
            }
            _ => return Err(unexpected(&token, "command")),
        };
        Ok(Ok(node))
    }

    fn control(&mut self, control: Control) -> Parsed<Branch> {
        let n_variables = self.variables.len();
        let at = self.peek_solid().at;
        let pipe = self.pipeline(control.word(), Sort::Close, at)?;
        if control == Control::Range {
            self.n_ranges += 1;
        }
        let (list, ending) = self.list()?;
        if control == Control::Range {
            self.n_ranges -= 1;
        }
        let mut otherwise = Vec::new();
        if ending == Ending::Else {
            let next = self.peek_solid().clone();
            let chained = match (control, next.sort, next.text.as_str()) {
                (Control::If, Sort::Keyword, "if") => Some(Control::If),
                (Control::With, Sort::Keyword, "with") => Some(Control::With),
                (_, Sort::Keyword, word @ ("if" | "with")) if self.is_after_else() => {
                    return Err(format!("unexpected <{word}> in else"));
                }
                _ => None,
            };
            match chained.filter(|_| self.is_after_else()) {
                Some(control) => {
                    self.take_solid();
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return Err(format!("blocks are nested deeper than {DEPTH_MAX}"));
                    }
                    let branch = self.control(control)?;
                    self.depth -= 1;
                    otherwise.push(match control {
                        Control::With => Node::With(branch),
                        _ => Node::If(branch),
                    });
                }
                None => {
                    let ending;
                    (otherwise, ending) = self.list()?;
                    if ending == Ending::Else {
                        return Err("expected end; found {{else}}".to_owned());
                    }
                }
            }
        }
        self.variables.truncate(n_variables);
        Ok(Branch {
            pipe,
            list,
            otherwise,
        })
    }

    /// Returns whether the last solid token is an `else` that was left open.
    fn is_after_else(&self) -> bool {
        let before = self.tokens[..self.next].iter().rev();
        let mut solid = before.skip_while(|token| token.sort == Sort::Space);
        solid.next().is_some_and(|token| token.text == "else")
    }

    fn call(&mut self) -> Parsed<Call> {
        let at = self.peek_solid().at;
        let name = self.template_name("template clause")?;
        let pipe = match self.peek_solid().sort {
            Sort::Close => {
                self.take_solid();
                None
            }
            _ => {
                let at = self.peek_solid().at;
                Some(self.pipeline("template clause", Sort::Close, at)?)
            }
        };
        Ok(Call { at, name, pipe })
    }

    fn block(&mut self) -> Parsed<Node> {
        let at = self.peek_solid().at;
        let name = self.template_name("block clause")?;
        let pipe_at = self.peek_solid().at;
        let pipe = self.pipeline("block clause", Sort::Close, pipe_at)?;
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let (list, ending) = self.list()?;
        self.variables = outer;
        if ending != Ending::End {
            return Err("unexpected {{else}} in block clause".to_owned());
        }
        self.add(&name, list)?;
        let pipe = Some(pipe);
        Ok(Node::Template(Call { at, name, pipe }))
    }

    fn leave(&mut self, word: &str, node: Node) -> Parsed<Node> {
        let token = self.take_solid();
        if token.sort != Sort::Close {
            return Err(unexpected(&token, &format!("{{{{{word}}}}}")));
        }
        if self.n_ranges == 0 {
            return Err(format!("{{{{{word}}}}} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn template_name(&mut self, context: &str) -> Parsed<String> {
        let token = self.take_solid();
        match token.sort {
            Sort::Quoted | Sort::RawQuoted => {
                unquoted(&token.text).ok_or_else(|| "invalid syntax".to_owned())
            }
            _ => Err(unexpected(&token, context)),
        }
    }

    fn pipeline(&mut self, context: &str, end: Sort, at: usize) -> Parsed<Pipe> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("pipelines are nested deeper than {DEPTH_MAX}"));
        }
        let (variables, is_assign) = self.declarations(context)?;
        let mut commands = Vec::new();
        loop {
            let token = self.take_solid();
            match token.sort {
                sort if sort == end => break,
                Sort::Bool
                | Sort::CharConstant
                | Sort::Dot
                | Sort::Field
                | Sort::Identifier
                | Sort::Number
                | Sort::Nil
                | Sort::RawQuoted
                | Sort::Quoted
                | Sort::Variable
                | Sort::OpenParen => {
                    self.back();
                    commands.push(self.command()?);
                }
                _ => return Err(unexpected(&token, context)),
            }
        }
        if commands.is_empty() {
            return Err(format!("missing value for {context}"));
        }
        for (n, command) in commands.iter().enumerate().skip(1) {
            let first = command.operands.first().map(|operand| &operand.kind);
            if let Some(
                Kind::Bool(_) | Kind::Dot | Kind::Nil | Kind::Number { .. } | Kind::Text { .. },
            ) = first
            {
                let stage = n + 1;
                return Err(format!("non executable command in pipeline stage {stage}"));
            }
        }
        self.depth -= 1;
        Ok(Pipe {
            at,
            variables,
            is_assign,
            commands,
        })
    }

    /// Parses `$x :=`, `$x =` and, for a range, `$i, $x :=`.
    fn declarations(&mut self, context: &str) -> Parsed<(Vec<String>, bool)> {
        let mut names = Vec::new();
        loop {
            let start = self.next;
            let variable = self.take_solid();
            let sign = self.take_solid();
            let is_variable = variable.sort == Sort::Variable;
            match sign.sort {
                Sort::Assign | Sort::Declare if is_variable => {
                    let is_assign = sign.sort == Sort::Assign;
                    names.push(variable.text);
                    self.variables.extend(names.iter().cloned());
                    return Ok((names, is_assign));
                }
                Sort::Comma if is_variable && context == "range" && names.is_empty() => {
                    names.push(variable.text);
                    if self.peek_solid().sort != Sort::Variable {
                        return Err("range can only initialize variables".to_owned());
                    }
                }
                Sort::Comma if is_variable => {
                    return Err(format!("too many declarations in {context}"));
                }
                _ => {
                    self.next = start;
                    return Ok((names, false));
                }
            }
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        let at = self.peek_solid().at;
        let mut operands = Vec::new();
        loop {
            self.peek_solid();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let token = self.take();
            match token.sort {
                Sort::Space => {}
                Sort::Close | Sort::CloseParen => {
                    self.back();
                    break;
                }
                Sort::Pipe => break,
                _ => return Err(unexpected(&token, "operand")),
            }
        }
        if operands.is_empty() {
            return Err("empty command".to_owned());
        }
        Ok(Command { at, operands })
    }

    /// Parses a word with the fields that follow it.
    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(operand) = self.term()? else {
            return Ok(None);
        };
        if self.peek().sort != Sort::Field {
            return Ok(Some(operand));
        }
        let at = self.peek().at;
        let mut names = Vec::new();
        while self.peek().sort == Sort::Field {
            names.push(self.take().text[1..].to_owned());
        }
        let kind = match operand.kind {
            Kind::Field(mut first) => {
                first.append(&mut names);
                Kind::Field(first)
            }
            Kind::Variable(mut first) => {
                first.append(&mut names);
                Kind::Variable(first)
            }
            Kind::Bool(_) | Kind::Text { .. } | Kind::Number { .. } | Kind::Nil | Kind::Dot => {
                return Err(format!("unexpected . after term {:?}", operand.to_string()));
            }
            _ => Kind::Chain(Box::new(operand), names),
        };
        Ok(Some(Operand { at, kind }))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.take_solid();
        let (at, text) = (token.at, token.text.clone());
        let kind = match token.sort {
            Sort::Identifier => {
                if !functions::is_known(&text) {
                    return Err(format!("function {text:?} not defined"));
                }
                Kind::Function(text)
            }
            Sort::Dot => Kind::Dot,
            Sort::Nil => Kind::Nil,
            Sort::Variable => {
                if !self.variables.contains(&text) {
                    return Err(format!("undefined variable {text:?}"));
                }
                Kind::Variable(vec![text])
            }
            Sort::Field => Kind::Field(vec![text[1..].to_owned()]),
            Sort::Bool => Kind::Bool(text == "true"),
            Sort::CharConstant => Kind::Number {
                value: Number::of_char(&text)?,
                text,
            },
            Sort::Number => Kind::Number {
                value: Number::parse(&text)?,
                text,
            },
            Sort::OpenParen => {
                let at = self.peek_solid().at;
                Kind::Pipe(Box::new(self.pipeline(
                    "parenthesized pipeline",
                    Sort::CloseParen,
                    at,
                )?))
            }
            Sort::Quoted | Sort::RawQuoted => Kind::Text {
                value: unquoted(&text).ok_or("invalid syntax")?,
                quoted: text,
            },
            Sort::Error => return Err(text),
            _ => {
                self.back();
                return Ok(None);
            }
        };
        Ok(Some(Operand { at, kind }))
    }

    fn expect_close(&mut self, context: &str) -> Parsed<()> {
        let token = self.take_solid();
        match token.sort {
            Sort::Close => Ok(()),
            _ => Err(unexpected(&token, context)),
        }
    }

    fn peek(&self) -> &Token {
        let last = self.tokens.len() - 1;
        &self.tokens[self.next.min(last)]
    }

    /// Skips spaces and returns the token after them.
    fn peek_solid(&mut self) -> &Token {
        while self.peek().sort == Sort::Space {
            self.next += 1;
        }
        self.peek()
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn take_solid(&mut self) -> Token {
        self.peek_solid();
        self.take()
    }

    fn back(&mut self) {
        self.next -= 1;
    }
}

/// Returns whether a template has nothing but space in it.
fn is_empty(list: &[Node]) -> bool {
    list.iter()
        .all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}

fn unexpected(token: &Token, context: &str) -> String {
    let shown = match token.sort {
        Sort::Error => return token.text.clone(),
        Sort::End => "EOF".to_owned(),
        Sort::Keyword => format!("<{}>", token.text),
        _ if token.text.chars().count() > 10 => {
            let cut: String = token.text.chars().take(10).collect();
            format!("{cut:?}...")
        }
        _ => format!("{:?}", token.text),
    };
    format!("unexpected {shown} in {context}")
}
