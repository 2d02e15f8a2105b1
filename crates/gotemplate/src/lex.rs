//! Cuts a template's text into tokens.
//!
//! In: text. Out: tokens with positions; a text that cannot be cut ends with one token that says
//! why, so that the parser tells the first thing that is wrong. Pure.

/// Spaces that a trim marker takes away.
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Nothing more can be cut; the token's text says why.
    Error,
    End,
    Text,
    Open,
    Close,
    Space,
    Bool,
    Char,
    CharConstant,
    Assign,
    Declare,
    Pipe,
    Comma,
    OpenParen,
    CloseParen,
    Dot,
    Nil,
    Field,
    Variable,
    Identifier,
    Number,
    Quoted,
    RawQuoted,
    Keyword,
}

/// A piece of text.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) sort: Sort,
    pub(crate) at: usize,
    pub(crate) text: String,
}

/// Cuts a text.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        start: 0,
        at: 0,
        n_parens: 0,
        tokens: Vec::new(),
    };
    match lexer.texts_and_actions() {
        Ok(()) => lexer.push(Sort::End, lexer.text.len(), String::new()),
        Err(reason) => lexer.push(Sort::Error, lexer.start, reason),
    }
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    start: usize,
    at: usize,
    n_parens: usize,
    tokens: Vec<Token>,
}

type Cut = Result<(), String>;

impl Lexer<'_> {
    fn texts_and_actions(&mut self) -> Cut {
        loop {
            let rest = self.rest();
            let Some(open) = rest.find("{{") else {
                let (at, text) = (self.at, rest.to_owned());
                if !text.is_empty() {
                    self.push(Sort::Text, at, text);
                }
                return Ok(());
            };
            let after = &rest[open + 2..];
            let is_trimmed = after.starts_with('-') && after[1..].starts_with(SPACES);
            let before = &rest[..open];
            let before = match is_trimmed {
                true => before.trim_end_matches(SPACES),
                false => before,
            };
            if !before.is_empty() {
                let (at, text) = (self.at, before.to_owned());
                self.push(Sort::Text, at, text);
            }
            self.start = self.at + open;
            self.at = self.start + 2 + if is_trimmed { 2 } else { 0 };
            if self.rest().starts_with("/*") {
                self.comment()?;
            } else {
                let start = self.start;
                self.push(Sort::Open, start, "{{".to_owned());
                self.n_parens = 0;
                self.start = self.at;
                self.action()?;
            }
        }
    }

    fn comment(&mut self) -> Cut {
        let Some(end) = self.rest().find("*/") else {
            return Err("unclosed comment".to_owned());
        };
        self.at += end + 2;
        match self.close() {
            Some(is_trimmed) => {
                self.skip_close(is_trimmed);
                Ok(())
            }
            None => Err("comment ends before closing delimiter".to_owned()),
        }
    }

    /// Returns whether a closing delimiter is here, and whether it trims.
    fn close(&self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with(SPACES) && rest[1..].starts_with("-}}") {
            return Some(true);
        }
        rest.starts_with("}}").then_some(false)
    }

    fn skip_close(&mut self, is_trimmed: bool) {
        self.at += if is_trimmed { 4 } else { 2 };
        if is_trimmed {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(SPACES).len();
        }
        self.start = self.at;
    }

    fn action(&mut self) -> Cut {
        loop {
            self.start = self.at;
            if let Some(is_trimmed) = self.close() {
                if self.n_parens > 0 {
                    return Err("unclosed left paren".to_owned());
                }
                let at = self.at;
                self.skip_close(is_trimmed);
                self.push(Sort::Close, at, "}}".to_owned());
                return Ok(());
            }
            let Some(c) = self.next() else {
                return Err("unclosed action".to_owned());
            };
            match c {
                c if SPACES.contains(&c) => self.space(),
                '=' => self.emit(Sort::Assign),
                ':' => match self.next() {
                    Some('=') => self.emit(Sort::Declare),
                    _ => return Err("expected :=".to_owned()),
                },
                '|' => self.emit(Sort::Pipe),
                ',' => self.emit(Sort::Comma),
                '"' => self.quoted('"', Sort::Quoted, "unterminated quoted string")?,
                '\'' => self.quoted('\'', Sort::CharConstant, "unterminated character constant")?,
                '`' => self.raw_quoted()?,
                '$' => self.name(Sort::Variable, Sort::Variable)?,
                '.' if !self.rest().starts_with(|c: char| c.is_ascii_digit()) => {
                    self.name(Sort::Field, Sort::Dot)?;
                }
                '.' | '+' | '-' | '0'..='9' => self.number()?,
                c if is_word(c) => self.identifier()?,
                '(' => {
                    self.n_parens += 1;
                    self.emit(Sort::OpenParen);
                }
                ')' => {
                    self.n_parens = self
                        .n_parens
                        .checked_sub(1)
                        .ok_or("unexpected right paren")?;
                    self.emit(Sort::CloseParen);
                }
                ' '..='~' => self.emit(Sort::Char),
                c => return Err(format!("unrecognized character in action: {}", named(c))),
            }
        }
    }

    fn space(&mut self) {
        while self.rest().starts_with(SPACES) && self.close().is_none() {
            self.next();
        }
        // The space before a trimming delimiter belongs to the delimiter.
        if self.rest().starts_with("-}}") {
            self.at -= 1;
            if self.at == self.start {
                return;
            }
        }
        self.emit(Sort::Space);
    }

    fn quoted(&mut self, quote: char, sort: Sort, reason: &str) -> Cut {
        loop {
            match self.next() {
                Some('\\') => match self.next() {
                    None | Some('\n') => return Err(reason.to_owned()),
                    Some(_) => {}
                },
                None | Some('\n') => return Err(reason.to_owned()),
                Some(c) if c == quote => break,
                Some(_) => {}
            }
        }
        self.emit(sort);
        Ok(())
    }

    fn raw_quoted(&mut self) -> Cut {
        let Some(end) = self.rest().find('`') else {
            return Err("unterminated raw quoted string".to_owned());
        };
        self.at += end + 1;
        self.emit(Sort::RawQuoted);
        Ok(())
    }

    /// Cuts `.name` or `$name`, or the sign alone.
    fn name(&mut self, named_sort: Sort, alone: Sort) -> Cut {
        if self.is_ended() {
            self.emit(alone);
            return Ok(());
        }
        self.words();
        self.check_end()?;
        self.emit(named_sort);
        Ok(())
    }

    fn identifier(&mut self) -> Cut {
        self.words();
        self.check_end()?;
        let sort = match &self.text[self.start..self.at] {
            "true" | "false" => Sort::Bool,
            "nil" => Sort::Nil,
            "block" | "break" | "continue" | "define" | "else" | "end" | "if" | "range"
            | "template" | "with" => Sort::Keyword,
            _ => Sort::Identifier,
        };
        self.emit(sort);
        Ok(())
    }

    fn number(&mut self) -> Cut {
        self.at = self.start;
        let mut is_good = self.scan_number();
        if is_good && self.rest().starts_with(['+', '-']) {
            // A complex constant: real and imaginary part.
            is_good = self.scan_number() && self.text[..self.at].ends_with('i');
        }
        if !is_good {
            let text = &self.text[self.start..self.at];
            return Err(format!("bad number syntax: {text:?}"));
        }
        self.emit(Sort::Number);
        Ok(())
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        while self.accept(digits) {}
        if self.accept(".") {
            while self.accept(digits) {}
        }
        let exponent = if digits.len() == 11 { "eE" } else { "pP" };
        if (digits.len() == 11 || digits.len() == 23) && self.accept(exponent) {
            self.accept("+-");
            while self.accept("0123456789_") {}
        }
        self.accept("i");
        if self.rest().starts_with(is_word) {
            self.next();
            return false;
        }
        true
    }

    fn accept(&mut self, allowed: &str) -> bool {
        let found = self.rest().starts_with(|c| allowed.contains(c));
        if found {
            self.next();
        }
        found
    }

    fn words(&mut self) {
        while self.rest().starts_with(is_word) {
            self.next();
        }
    }

    fn is_ended(&self) -> bool {
        let rest = self.rest();
        rest.is_empty()
            || rest.starts_with(SPACES)
            || rest.starts_with(['.', ',', '|', ':', ')', '('])
            || rest.starts_with("}}")
    }

    fn check_end(&self) -> Cut {
        match self.rest().chars().next() {
            Some(c) if !self.is_ended() => Err(format!("bad character {}", named(c))),
            _ => Ok(()),
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn emit(&mut self, sort: Sort) {
        let text = self.text[self.start..self.at].to_owned();
        let start = self.start;
        self.push(sort, start, text);
    }

    fn push(&mut self, sort: Sort, at: usize, text: String) {
        self.tokens.push(Token { sort, at, text });
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Returns a character as Go's `%#U` prints it.
fn named(c: char) -> String {
    match c.is_control() {
        true => format!("U+{:04X}", u32::from(c)),
        false => format!("U+{:04X} '{c}'", u32::from(c)),
    }
}
