//! Expansion of `${name}` and its operators in text: the substitution language of Flux.
//!
//! A text and a lookup come in, the expanded text goes out. Shell-like, but not a shell's: the
//! grammar, the results and the error texts are those of upstream's envsubst. Pure.

/// How deep expansions may nest in each other's arguments.
const DEPTH_MAX: usize = 32;

/// Why a text could not be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// `${` is followed by no name.
    #[error("unable to parse variable name")]
    Name,
    /// The name is followed by something that is no operator.
    #[error("missing closing brace")]
    Brace,
    /// An operator's arguments are not separated or ended as they should be.
    #[error("bad substitution")]
    Substitution,
    /// An argument is missing or unfinished.
    #[error("unable to parse substitution within function")]
    Argument,
    /// Expansions are nested deeper than 32 levels.
    #[error("expansions are nested too deeply")]
    Depth,
    /// A substring has a negative length.
    #[error("negative substring length")]
    Length,
    /// A name has no value and strict mode is on.
    #[error("variable not set (strict mode): {0:?}")]
    NotSet(String),
}

/// Returns `text` with every `${…}` replaced; `$$` becomes `$`. With `strict`, a name without a
/// value is an error unless an operator gives it a default.
pub fn expand<'v>(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<&'v str>,
    strict: bool,
) -> Result<String, ExpandError> {
    let mut parser = Parser {
        rest: text,
        lookup,
        strict,
    };
    let mut out = String::with_capacity(text.len());
    while let Some(at) = parser.rest.find('$') {
        out.push_str(&parser.rest[..at]);
        parser.rest = &parser.rest[at..];
        if parser.eat("$$") {
            out.push('$');
        } else if parser.eat("${") {
            out.push_str(&parser.expansion(0)?);
        } else {
            parser.eat("$");
            out.push('$');
        }
    }
    out.push_str(parser.rest);
    Ok(out)
}

struct Parser<'a, 'v> {
    rest: &'a str,
    lookup: &'a dyn Fn(&str) -> Option<&'v str>,
    strict: bool,
}

impl<'v> Parser<'_, 'v> {
    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Takes text up to, not including, the first character or `${` for which `ends` holds.
    fn word(&mut self, ends: impl Fn(char) -> bool, nests: bool) -> &str {
        let end = self
            .rest
            .char_indices()
            .find(|(at, c)| ends(*c) || (nests && self.rest[*at..].starts_with("${")))
            .map_or(self.rest.len(), |(at, _)| at);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn name(&mut self) -> Result<String, ExpandError> {
        let name = self
            .word(|c| !(c.is_alphanumeric() || c == '_'), false)
            .to_owned();
        if name.is_empty() {
            Err(ExpandError::Name)
        } else {
            Ok(name)
        }
    }

    /// Reads one expansion after its `${`, up to and including its `}`, and returns its value.
    fn expansion(&mut self, depth: usize) -> Result<String, ExpandError> {
        if depth >= DEPTH_MAX {
            return Err(ExpandError::Depth);
        }
        if self.eat("#") {
            let name = self.name().map_err(|_| ExpandError::Substitution)?;
            if !self.eat("}") {
                return Err(ExpandError::Substitution);
            }
            return Ok(self.value(&name)?.len().to_string());
        }
        let name = self.name()?;
        for default in ["=", ":=", ":-", ":?", ":+"] {
            if self.eat(default) {
                return self.default(&name, depth);
            }
        }
        match self.peek() {
            Some('}') => {
                self.eat("}");
                Ok(self.value(&name)?.to_owned())
            }
            Some(',' | '^') => self.case(&name),
            Some(':') => self.substring(&name, depth),
            Some('#' | '%') => self.trim(&name, depth),
            Some('/') => self.replace(&name, depth),
            _ => Err(ExpandError::Brace),
        }
    }

    fn value(&self, name: &str) -> Result<&'v str, ExpandError> {
        match (self.lookup)(name) {
            Some(value) => Ok(value),
            None if self.strict => Err(ExpandError::NotSet(name.to_owned())),
            None => Ok(""),
        }
    }

    /// All five default operators do the same: the value if it is not empty, else the default.
    fn default(&mut self, name: &str, depth: usize) -> Result<String, ExpandError> {
        let mut default = String::new();
        loop {
            if self.eat("}") {
                break;
            } else if self.eat("${") {
                default.push_str(&self.expansion(depth + 1)?);
            } else if self.rest.is_empty() {
                return Err(ExpandError::Argument);
            } else {
                default.push_str(self.word(|c| c == '}', true));
            }
        }
        let value = (self.lookup)(name).unwrap_or("");
        Ok(if value.is_empty() {
            default
        } else {
            value.to_owned()
        })
    }

    fn case(&mut self, name: &str) -> Result<String, ExpandError> {
        let operator = self.word(|c| c != ',' && c != '^', false).to_owned();
        if operator.len() > 2 || !self.eat("}") {
            return Err(ExpandError::Brace);
        }
        let value = self.value(name)?;
        let mut chars = value.chars();
        let first = chars.next();
        Ok(match (operator.as_str(), first) {
            ("^^", _) => value.to_uppercase(),
            (",,", _) => value.to_lowercase(),
            ("^", Some(c)) => c.to_uppercase().chain(chars).collect(),
            (",", Some(c)) => c.to_lowercase().chain(chars).collect(),
            _ => value.to_owned(),
        })
    }

    fn argument(
        &mut self,
        ends: impl Fn(char) -> bool,
        depth: usize,
    ) -> Result<String, ExpandError> {
        if self.eat("${") {
            return self.expansion(depth + 1);
        }
        Ok(self.word(ends, true).to_owned())
    }

    fn substring(&mut self, name: &str, depth: usize) -> Result<String, ExpandError> {
        self.eat(":");
        let position = self.argument(|c| c == ':' || c == '}', depth)?;
        let mut length = None;
        if self.peek() == Some(':') {
            while self.eat(":") {}
            length = Some(self.argument(|c| c == ':' || c == '}', depth)?);
        }
        if !self.eat("}") {
            return Err(ExpandError::Substitution);
        }
        let value = self.value(name)?;
        substring(value, &position, length.as_deref())
    }

    fn trim(&mut self, name: &str, depth: usize) -> Result<String, ExpandError> {
        let is_suffix = self.peek() == Some('%');
        let sign = if is_suffix { "%" } else { "#" };
        self.eat(sign);
        let is_longest = self.eat(sign);
        let pattern = if self.eat("${") {
            self.expansion(depth + 1)?
        } else {
            self.word(|c| c == '}', false).to_owned()
        };
        if !self.eat("}") {
            return Err(ExpandError::Substitution);
        }
        if pattern.is_empty() {
            return Err(ExpandError::Argument);
        }
        let value = self.value(name)?;
        Ok(trim(value, &pattern, is_suffix, is_longest))
    }

    fn replace(&mut self, name: &str, depth: usize) -> Result<String, ExpandError> {
        let operator = ["//", "/#", "/%", "/"]
            .into_iter()
            .find(|op| self.eat(op))
            .unwrap_or("/");
        let old = self.replacement(depth)?;
        if !self.eat("/") {
            return Err(ExpandError::Substitution);
        }
        while self.eat("/") {}
        let new = self.replacement(depth)?;
        if !self.eat("}") {
            return Err(ExpandError::Substitution);
        }
        let value = self.value(name)?;
        Ok(match operator {
            "//" => value.replace(&old, &new),
            "/#" => match value.strip_prefix(old.as_str()) {
                Some(rest) if !new.is_empty() => format!("{new}{rest}"),
                _ => value.to_owned(),
            },
            "/%" => match value.strip_suffix(old.as_str()) {
                Some(rest) if !new.is_empty() => format!("{rest}{new}"),
                _ => value.to_owned(),
            },
            _ => value.replacen(&old, &new, 1),
        })
    }

    /// An argument of a replacement, in which `\/`, `\\` and `$$` stand for one character.
    fn replacement(&mut self, depth: usize) -> Result<String, ExpandError> {
        if self.eat("${") {
            return self.expansion(depth + 1);
        }
        let mut word = String::new();
        loop {
            word.push_str(self.word(|c| matches!(c, '/' | '}' | '\\' | '$'), false));
            if self.eat("\\/") {
                word.push('/');
            } else if self.eat("\\\\") || self.eat("\\") {
                word.push('\\');
            } else if self.eat("$$") || self.eat("$") {
                word.push('$');
            } else {
                return Ok(word);
            }
        }
    }
}

/// Returns bytes of the value: from `position`, counted from the end where it is negative. What is
/// no number leaves the value whole.
fn substring(value: &str, position: &str, length: Option<&str>) -> Result<String, ExpandError> {
    let bytes = value.as_bytes();
    let Ok(position) = position.parse::<i64>() else {
        return Ok(value.to_owned());
    };
    let count = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let start = if position < 0 {
        (count + position).max(0)
    } else {
        position.min(count)
    };
    let end = match length.map(str::parse::<i64>) {
        None => count,
        Some(Err(_)) => return Ok(value.to_owned()),
        Some(Ok(length)) if length < 0 => return Err(ExpandError::Length),
        Some(Ok(length)) => start.saturating_add(length).min(count),
    };
    let at = |index: i64| usize::try_from(index).unwrap_or(0);
    Ok(String::from_utf8_lossy(&bytes[at(start)..at(end)]).into_owned())
}

/// One element of a glob.
enum Glob {
    Any,
    One,
    Char(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Removes the shortest or longest prefix or suffix that matches; a malformed pattern matches
/// nothing.
fn trim(value: &str, pattern: &str, is_suffix: bool, is_longest: bool) -> String {
    let Some(mut glob) = parse_glob(pattern) else {
        return value.to_owned();
    };
    let mut chars: Vec<char> = value.chars().collect();
    if is_suffix {
        glob.reverse();
        chars.reverse();
    }
    let Some(matched) = match_prefix(&glob, &chars, is_longest) else {
        return value.to_owned();
    };
    let mut rest: Vec<char> = chars.split_off(matched);
    if is_suffix {
        rest.reverse();
    }
    rest.into_iter().collect()
}

fn parse_glob(pattern: &str) -> Option<Vec<Glob>> {
    let mut chars = pattern.chars();
    let mut glob = Vec::new();
    while let Some(c) = chars.next() {
        glob.push(match c {
            '*' => Glob::Any,
            '?' => Glob::One,
            '\\' => Glob::Char(chars.next()?),
            '[' => parse_class(&mut chars)?,
            c => Glob::Char(c),
        });
    }
    Some(glob)
}

fn parse_class(chars: &mut std::str::Chars<'_>) -> Option<Glob> {
    let mut negated = false;
    let mut ranges = Vec::new();
    let mut next = chars.next()?;
    if next == '^' {
        negated = true;
        next = chars.next()?;
    }
    loop {
        if next == ']' && !ranges.is_empty() {
            return Some(Glob::Class { negated, ranges });
        }
        let low = if next == '\\' { chars.next()? } else { next };
        next = chars.next()?;
        let mut high = low;
        if next == '-' {
            high = chars.next()?;
            high = if high == '\\' { chars.next()? } else { high };
            next = chars.next()?;
        }
        ranges.push((low, high));
    }
}

/// Returns the length of the shortest or longest prefix that the glob matches. All positions in the
/// glob are followed at once, so the cost is value times pattern, never more.
fn match_prefix(glob: &[Glob], chars: &[char], is_longest: bool) -> Option<usize> {
    let mut positions = vec![false; glob.len() + 1];
    positions[0] = true;
    let mut found = None;
    for at in 0..=chars.len() {
        for (index, element) in glob.iter().enumerate() {
            if positions[index] && matches!(element, Glob::Any) {
                positions[index + 1] = true;
            }
        }
        if positions[glob.len()] {
            found = Some(at);
            if !is_longest {
                break;
            }
        }
        let Some(c) = chars.get(at) else { break };
        let mut next = vec![false; glob.len() + 1];
        for (index, element) in glob
            .iter()
            .enumerate()
            .filter(|(index, _)| positions[*index])
        {
            match element {
                Glob::Any => next[index] = true,
                element if element.matches(*c) => next[index + 1] = true,
                _ => {}
            }
        }
        positions = next;
    }
    found
}

impl Glob {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Char(own) => *own == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    /// Runs `testdata/substitute/expand.jsonl`: values, input, then the output or the error.
    #[test]
    fn the_table_of_expansions_holds() {
        let table = include_str!("../../testdata/substitute/expand.jsonl");
        let mut rows = 0;
        for line in table.lines().filter(|line| !line.is_empty()) {
            let row: Value = serde_json::from_str(line).unwrap();
            let values: BTreeMap<String, String> =
                serde_json::from_value(row["values"].clone()).unwrap_or_default();
            let lookup = |name: &str| values.get(name).map(String::as_str);
            let strict = row["strict"] == true;
            let got = expand(row["in"].as_str().unwrap(), &lookup, strict);
            match row["error"].as_str() {
                Some(error) => {
                    let got = got.expect_err(line).to_string();
                    assert!(got.contains(error), "{line}: {got}");
                }
                None => assert_eq!(got.as_deref(), Ok(row["out"].as_str().unwrap()), "{line}"),
            }
            rows += 1;
        }
        assert!(rows > 70, "{rows} rows");
    }

    #[test]
    fn nesting_is_bounded() {
        let text = format!("{}{}", "${a:=".repeat(100), "}".repeat(100));
        assert_eq!(expand(&text, &|_| None, false), Err(ExpandError::Depth));
    }
}
