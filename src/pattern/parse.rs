//! Reads a pattern as RE2 does and writes the same pattern in the syntax of the `regex` crate.
//!
//! In: the pattern. Out: its translation with the groups' names, or the error that Go gives. The
//! text is read once from left to right; what is written is self-delimiting item by item, so a
//! repetition is a suffix. Nesting is kept on a stack of its own, never on the thread's.

use super::items::{
    NOTHING, class_char, class_escape, counted_repeat, escaped_char, posix_class, push_char,
    push_range,
};

/// How deep operators and groups may nest, as in RE2.
pub(super) const NESTING_MAX: u32 = 1000;
/// How often one item may be repeated, all the repetitions around it multiplied.
pub(super) const REPEAT_MAX: u32 = 1000;

/// A pattern which Go refuses; the message is Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {kind}: `{expression}`")]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// The part of the pattern that is wrong.
    pub expression: String,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum ErrorKind {
    #[error("invalid character class range")]
    CharRange,
    #[error("invalid escape sequence")]
    Escape,
    #[error("invalid named capture")]
    NamedCapture,
    #[error("invalid or unsupported Perl syntax")]
    PerlOperator,
    #[error("invalid nested repetition operator")]
    NestedRepeat,
    #[error("invalid repeat count")]
    RepeatCount,
    #[error("missing closing ]")]
    MissingBracket,
    #[error("missing closing )")]
    MissingParen,
    #[error("missing argument to repetition operator")]
    MissingRepeatArgument,
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    #[error("unexpected )")]
    UnexpectedParen,
    #[error("expression nests too deeply")]
    NestingDepth,
    #[error("expression too large")]
    TooLarge,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, expression: &str) -> Self {
        Self {
            kind,
            expression: expression.to_owned(),
        }
    }
}

pub(super) type Result<T> = std::result::Result<T, Error>;

/// A pattern in the syntax of the `regex` crate.
pub(super) struct Translated {
    pub text: String,
    /// The groups' names, the whole match first.
    pub names: Vec<String>,
    /// How deep its operators and groups nest.
    pub nesting: u32,
}

/// Translates a pattern. Fails as Go's `regexp.Compile` does.
pub(super) fn translate(pattern: &str) -> Result<Translated> {
    let mut translator = Translator {
        whole: pattern,
        rest: pattern,
        out: String::with_capacity(pattern.len() * 2),
        names: vec![String::new()],
        flags: Flags::default(),
        frame: Frame::default(),
        outer: Vec::new(),
    };
    let nesting = translator.run()?;
    Ok(Translated {
        nesting,
        text: translator.out,
        names: translator.names,
    })
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    fold_case: bool,
    multi_line: bool,
    dot_newline: bool,
    swap_greed: bool,
}

/// What was written last at this level and can be repeated.
#[derive(Debug, Clone, Copy)]
struct Item {
    /// Where its text begins in the output.
    start: usize,
    height: u32,
    /// How often its innermost part may be repeated.
    repeats: u32,
    is_repeat: bool,
}

/// One level of nesting: the whole pattern or a group.
#[derive(Debug, Default)]
struct Frame {
    /// Where the group's text begins in the output.
    start: usize,
    is_capture: bool,
    /// The flags that hold again behind the group.
    flags_outside: Flags,
    last: Option<Item>,
    n_items: u32,
    has_bar: bool,
    /// The height of the highest item and the most repeats of any.
    height: u32,
    repeats: u32,
}

struct Translator<'p> {
    whole: &'p str,
    rest: &'p str,
    out: String,
    names: Vec<String>,
    flags: Flags,
    frame: Frame,
    outer: Vec<Frame>,
}

impl<'p> Translator<'p> {
    /// Returns how deep the pattern nests.
    fn run(&mut self) -> Result<u32> {
        let mut previous_repeat: Option<&'p str> = None;
        while let Some(c) = self.rest.chars().next() {
            let before = self.rest;
            let mut repeat = None;
            match c {
                '(' if self.rest.starts_with("(?") => self.perl_group()?,
                '(' => {
                    self.names.push(String::new());
                    self.open(1, true)?;
                }
                '|' => self.bar(),
                ')' => self.close()?,
                '^' => self.assertion(
                    1,
                    if self.flags.multi_line {
                        "(?m:^)"
                    } else {
                        r"\A"
                    },
                ),
                '$' => self.assertion(
                    1,
                    if self.flags.multi_line {
                        "(?m:$)"
                    } else {
                        r"\z"
                    },
                ),
                '.' if self.flags.dot_newline => self.assertion(1, "(?s:.)"),
                '.' => self.assertion(1, "."),
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    self.rest = &self.rest[1..];
                    self.repeat(before, previous_repeat, &c.to_string(), 1)?;
                    repeat = Some(before);
                }
                '{' => match counted_repeat(self.rest) {
                    Some(count) => {
                        self.rest = count.rest;
                        let operator = &before[..before.len() - count.rest.len()];
                        if !count.is_valid() {
                            return Err(Error::new(ErrorKind::RepeatCount, operator));
                        }
                        self.repeat(before, previous_repeat, &count.text(), count.most())?;
                        repeat = Some(before);
                    }
                    None => self.literal_at_front('{'),
                },
                '\\' => self.escape()?,
                _ => self.literal_at_front(c),
            }
            previous_repeat = repeat;
        }
        if !self.outer.is_empty() {
            return Err(Error::new(ErrorKind::MissingParen, self.whole));
        }
        self.end_level().map(|item| item.height)
    }

    fn literal_at_front(&mut self, c: char) {
        self.rest = &self.rest[c.len_utf8()..];
        self.literal(u32::from(c));
    }

    fn literal(&mut self, c: u32) {
        let start = self.out.len();
        match char::from_u32(c) {
            Some(c) if self.flags.fold_case => {
                self.out.push_str("(?i:");
                push_char(&mut self.out, c);
                self.out.push(')');
            }
            Some(c) => push_char(&mut self.out, c),
            // Half of a surrogate pair is in no text.
            None => self.out.push_str(NOTHING),
        }
        self.item(Item::leaf(start));
    }

    /// Writes something of no parts for the next `length` bytes.
    fn assertion(&mut self, length: usize, text: &str) {
        self.rest = &self.rest[length..];
        let start = self.out.len();
        self.out.push_str(text);
        self.item(Item::leaf(start));
    }

    fn item(&mut self, item: Item) {
        self.frame.n_items += 1;
        self.settle();
        self.frame.last = Some(item);
    }

    /// Counts the last item into its level: it will not be repeated any more.
    fn settle(&mut self) {
        if let Some(item) = self.frame.last.take() {
            self.frame.height = self.frame.height.max(item.height);
            self.frame.repeats = self.frame.repeats.max(item.repeats);
        }
    }

    fn bar(&mut self) {
        self.rest = &self.rest[1..];
        self.out.push('|');
        self.settle();
        self.frame.has_bar = true;
    }

    /// Opens a group whose sign is `length` bytes long.
    fn open(&mut self, length: usize, is_capture: bool) -> Result<()> {
        self.rest = &self.rest[length..];
        let start = self.out.len();
        self.out.push_str(if is_capture { "(" } else { "(?:" });
        let inner = Frame {
            start,
            is_capture,
            flags_outside: self.flags,
            ..Frame::default()
        };
        self.outer.push(std::mem::replace(&mut self.frame, inner));
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some(outer) = self.outer.pop() else {
            return Err(Error::new(ErrorKind::UnexpectedParen, self.whole));
        };
        self.rest = &self.rest[1..];
        self.out.push(')');
        let item = self.end_level()?;
        self.flags = self.frame.flags_outside;
        self.frame = outer;
        self.item(item);
        Ok(())
    }

    /// Returns the group that ends here as an item of the level around it.
    fn end_level(&mut self) -> Result<Item> {
        self.settle();
        let frame = &self.frame;
        let several = u32::from(frame.n_items > 1) + u32::from(frame.has_bar);
        let item = Item {
            start: frame.start,
            height: frame.height.max(1) + several + u32::from(frame.is_capture),
            repeats: frame.repeats.max(1),
            is_repeat: false,
        };
        self.check_height(item.height)?;
        Ok(item)
    }

    fn check_height(&self, height: u32) -> Result<()> {
        if height > NESTING_MAX {
            return Err(Error::new(ErrorKind::NestingDepth, self.whole));
        }
        Ok(())
    }

    /// Repeats the last item; `before` begins with the operator, which has been read.
    fn repeat(
        &mut self,
        before: &'p str,
        previous: Option<&'p str>,
        operator: &str,
        most: u32,
    ) -> Result<()> {
        let operator_end = self.rest.len();
        let mut lazy = self.flags.swap_greed;
        if let Some(rest) = self.rest.strip_prefix('?') {
            self.rest = rest;
            lazy = !lazy;
        }
        if let Some(previous) = previous {
            let both = &previous[..previous.len() - self.rest.len()];
            return Err(Error::new(ErrorKind::NestedRepeat, both));
        }
        let Some(item) = &mut self.frame.last else {
            // The sign of laziness belongs to what is complained about.
            let operator = &before[..before.len() - self.rest.len().min(operator_end)];
            return Err(Error::new(ErrorKind::MissingRepeatArgument, operator));
        };
        if item.is_repeat {
            // Only a group of flags can stand between, and it leaves nothing in the output.
            self.out.insert_str(item.start, "(?:");
            self.out.push(')');
        }
        self.out.push_str(operator);
        if lazy {
            self.out.push('?');
        }
        item.is_repeat = true;
        item.height += 1;
        item.repeats = if most == 0 { 1 } else { item.repeats * most };
        let (height, repeats) = (item.height, item.repeats);
        if repeats > REPEAT_MAX {
            let operator = &before[..before.len() - self.rest.len()];
            return Err(Error::new(ErrorKind::RepeatCount, operator));
        }
        self.check_height(height)
    }

    /// Reads what begins with `(?`.
    fn perl_group(&mut self) -> Result<()> {
        let text = self.rest;
        let with_p = text.len() > 4 && text.starts_with("(?P<");
        if with_p || (text.len() > 3 && text.starts_with("(?<")) {
            return self.named_group(if with_p { 4 } else { 3 });
        }
        let mut flags = self.flags;
        let mut on = true;
        let mut saw_flag = false;
        let mut length = 2;
        for c in text[2..].chars() {
            length += c.len_utf8();
            match c {
                'i' => flags.fold_case = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_newline = on,
                'U' => flags.swap_greed = on,
                '-' if on => {
                    on = false;
                    saw_flag = false;
                    continue;
                }
                ':' if on || saw_flag => {
                    self.open(length, false)?;
                    self.flags = flags;
                    return Ok(());
                }
                ')' if on || saw_flag => {
                    self.flags = flags;
                    self.rest = &text[length..];
                    return Ok(());
                }
                _ => break,
            }
            saw_flag = true;
        }
        Err(Error::new(ErrorKind::PerlOperator, &text[..length]))
    }

    fn named_group(&mut self, name_start: usize) -> Result<()> {
        let text = self.rest;
        let Some(end) = text.find('>') else {
            return Err(Error::new(ErrorKind::NamedCapture, text));
        };
        let name = text.get(name_start..end).unwrap_or_default();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || !name.bytes().all(allowed) {
            return Err(Error::new(ErrorKind::NamedCapture, &text[..=end]));
        }
        self.names.push(name.to_owned());
        self.open(end + 1, true)
    }

    /// Reads what begins with a backslash, outside of a class.
    fn escape(&mut self) -> Result<()> {
        let text = self.rest;
        match text.as_bytes().get(1) {
            Some(b'A') => self.assertion(2, r"\A"),
            Some(b'z') => self.assertion(2, r"\z"),
            Some(b'b') => self.assertion(2, r"(?-u:\b)"),
            Some(b'B') => self.assertion(2, r"(?-u:\B)"),
            Some(b'C') => return Err(Error::new(ErrorKind::Escape, &text[..2])),
            Some(b'Q') => {
                let quoted = &text[2..];
                let (quoted, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
                for c in quoted.chars() {
                    self.literal(u32::from(c));
                }
                self.rest = rest;
            }
            _ => match class_escape(text)? {
                Some((class, rest)) => {
                    self.rest = rest;
                    self.push_class(false, &class);
                }
                None => {
                    let (c, rest) = escaped_char(text)?;
                    self.rest = rest;
                    self.literal(c);
                }
            },
        }
        Ok(())
    }

    fn push_class(&mut self, negated: bool, members: &str) {
        let start = self.out.len();
        let (open, close) = match self.flags.fold_case {
            true => ("(?i:[", "])"),
            false => ("[", "]"),
        };
        self.out.push_str(open);
        if negated {
            self.out.push('^');
        }
        self.out.push_str(members);
        self.out.push_str(close);
        self.item(Item::leaf(start));
    }

    /// Reads a class in brackets.
    fn class(&mut self) -> Result<()> {
        let whole = self.rest;
        let mut rest = &whole[1..];
        let negated = rest.starts_with('^');
        if negated {
            rest = &rest[1..];
        }
        let mut members = String::new();
        let mut first = true;
        while first || !rest.starts_with(']') {
            first = false;
            let named = match posix_class(rest)? {
                Some(class) => Some(class),
                None => class_escape(rest)?,
            };
            if let Some((class, after)) = named {
                members.push_str(&class);
                rest = after;
                continue;
            }
            let range = rest;
            let (low, after) = class_char(rest, whole)?;
            rest = after;
            let mut high = low;
            if let Some(after) = rest.strip_prefix('-')
                && !after.is_empty()
                && !after.starts_with(']')
            {
                (high, rest) = class_char(after, whole)?;
                if high < low {
                    let range = &range[..range.len() - rest.len()];
                    return Err(Error::new(ErrorKind::CharRange, range));
                }
            }
            push_range(&mut members, low, high);
        }
        if members.is_empty() {
            members.push_str(NOTHING);
        }
        self.rest = &rest[1..];
        self.push_class(negated, &members);
        Ok(())
    }
}

impl Item {
    fn leaf(start: usize) -> Self {
        Self {
            start,
            height: 1,
            repeats: 1,
            is_repeat: false,
        }
    }
}
