//! The JSONPath of CustomResourceDefinitions: columns, scale paths, selectable fields.
//!
//! Understood are children (`.a`, `['a']`, `.a\.b`), indices, slices, wildcards, `..a`, and filters
//! with one comparison such as `?(@.type=="Ready")`. Missing fields give no results.

use std::cmp::Ordering;

use serde_json::Value;

/// The longest path that is read, in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// How deep `..` looks.
const DEPTH_MAX: usize = 64;

/// How many results one step may give; `..a..a` finds the same things by many ways.
const RESULTS_MAX: usize = 10_000;

/// A path into an object.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Child(String),
    Wildcard,
    Deep(String),
    Index(i64),
    Slice(Option<i64>, Option<i64>),
    Filter(Filter),
}

#[derive(Debug, Clone, PartialEq)]
struct Filter {
    left: JsonPath,
    test: Option<(Comparison, Operand)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Literal(Value),
    Path(JsonPath),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

impl JsonPath {
    /// Returns the path that `text` spells; fails with what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > PATH_BYTES_MAX {
            return Err(format!("path is longer than {PATH_BYTES_MAX} bytes"));
        }
        let text = text.trim();
        let inner = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or(text);
        Reader { rest: inner }.path()
    }

    /// Returns what the path leads to, in the order of the object.
    pub fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![root];
        for step in &self.0 {
            let next = found.into_iter().flat_map(|it| step.apply(it));
            found = next.take(RESULTS_MAX).collect();
        }
        found
    }

    /// Returns the first thing that the path leads to.
    pub fn first<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.find(root).into_iter().next()
    }
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Child(name), Value::Object(map)) => map.get(name).into_iter().collect(),
            (Self::Wildcard, Value::Object(map)) => map.values().collect(),
            (Self::Wildcard, Value::Array(items)) => items.iter().collect(),
            (Self::Deep(name), _) => {
                let mut found = Vec::new();
                deep(name, value, 0, &mut found);
                found
            }
            (Self::Index(index), Value::Array(items)) => items
                .get(position(*index, items.len()))
                .into_iter()
                .collect(),
            (Self::Slice(from, to), Value::Array(items)) => {
                let start = from.map_or(0, |it| position(it, items.len()));
                let end = to.map_or(items.len(), |it| position(it, items.len()));
                items
                    .get(start..end.min(items.len()))
                    .into_iter()
                    .flatten()
                    .collect()
            }
            (Self::Filter(filter), Value::Array(items)) => {
                items.iter().filter(|item| filter.holds(item)).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn deep<'a>(name: &str, value: &'a Value, depth: usize, found: &mut Vec<&'a Value>) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::Object(map) => {
            found.extend(map.get(name));
            for child in map.values() {
                deep(name, child, depth + 1, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                deep(name, item, depth + 1, found);
            }
        }
        _ => {}
    }
}

/// Returns the place of an index, counted from the end when it is negative.
fn position(index: i64, length: usize) -> usize {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let place = if index < 0 { length + index } else { index };
    usize::try_from(place).unwrap_or(usize::MAX)
}

impl Filter {
    fn holds(&self, item: &Value) -> bool {
        let left = self.left.first(item);
        let Some((comparison, operand)) = &self.test else {
            return left.is_some();
        };
        let right = match operand {
            Operand::Literal(value) => Some(value),
            Operand::Path(path) => path.first(item),
        };
        let (Some(left), Some(right)) = (left, right) else {
            return false;
        };
        match comparison {
            Comparison::Equal => order(left, right) == Some(Ordering::Equal),
            Comparison::NotEqual => order(left, right) != Some(Ordering::Equal),
            Comparison::Less => order(left, right) == Some(Ordering::Less),
            Comparison::Greater => order(left, right) == Some(Ordering::Greater),
            Comparison::LessOrEqual => {
                matches!(order(left, right), Some(Ordering::Less | Ordering::Equal))
            }
            Comparison::GreaterOrEqual => {
                matches!(
                    order(left, right),
                    Some(Ordering::Greater | Ordering::Equal)
                )
            }
        }
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// Reads a path from its text, step by step.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn path(mut self) -> Result<JsonPath, String> {
        let mut steps = Vec::new();
        self.take("$");
        self.take("@");
        while !self.rest.is_empty() {
            steps.push(self.step()?);
        }
        Ok(JsonPath(steps))
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn step(&mut self) -> Result<Step, String> {
        if self.take("..") {
            return Ok(Step::Deep(self.name()?));
        }
        if self.take("[") {
            return self.bracket();
        }
        self.take(".");
        if self.take("*") {
            return Ok(Step::Wildcard);
        }
        if self.take("[") {
            return self.bracket();
        }
        Ok(Step::Child(self.name()?))
    }

    /// Reads a name up to the next `.` or `[`; a backslash takes the next character as it is.
    fn name(&mut self) -> Result<String, String> {
        let mut name = String::new();
        let mut characters = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((place, character)) = characters.next() {
            match character {
                '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
                '.' | '[' => {
                    end = place;
                    break;
                }
                other => name.push(other),
            }
        }
        self.rest = self.rest.get(end..).unwrap_or_default();
        if name.is_empty() {
            return Err("a name is missing".to_owned());
        }
        Ok(name)
    }

    fn bracket(&mut self) -> Result<Step, String> {
        let end = closing(self.rest).ok_or("unterminated array")?;
        let inner = self.rest.get(..end).unwrap_or_default().trim();
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        if inner == "*" {
            return Ok(Step::Wildcard);
        }
        if let Some(name) = quoted(inner) {
            return Ok(Step::Child(name));
        }
        if let Some(rest) = inner.strip_prefix("?(") {
            let test = rest.strip_suffix(')').ok_or("unterminated filter")?;
            return Ok(Step::Filter(filter(test.trim())?));
        }
        let number = |text: &str| text.trim().parse::<i64>().ok();
        if let Some((from, to)) = inner.split_once(':') {
            return Ok(Step::Slice(number(from), number(to)));
        }
        let index = number(inner).ok_or_else(|| format!("invalid array index {inner}"))?;
        Ok(Step::Index(index))
    }
}

/// Returns the place of the bracket that closes, outside of quotes and inner brackets.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (place, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(place),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn quoted(text: &str) -> Option<String> {
    ['"', '\''].iter().find_map(|quote| {
        let inner = text.strip_prefix(*quote)?.strip_suffix(*quote)?;
        Some(inner.to_owned())
    })
}

fn filter(text: &str) -> Result<Filter, String> {
    let found = COMPARISONS
        .iter()
        .find_map(|(sign, comparison)| Some((text.split_once(sign)?, *comparison)));
    let Some(((left, right), comparison)) = found else {
        let left = Reader { rest: text }.path()?;
        return Ok(Filter { left, test: None });
    };
    let right = right.trim();
    let operand = if right.starts_with('@') || right.starts_with('$') {
        Operand::Path(Reader { rest: right }.path()?)
    } else if let Some(text) = quoted(right) {
        Operand::Literal(Value::from(text))
    } else {
        let literal = serde_json::from_str(right);
        Operand::Literal(literal.map_err(|_| format!("invalid operand {right}"))?)
    };
    let left = Reader { rest: left.trim() }.path()?;
    Ok(Filter {
        left,
        test: Some((comparison, operand)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_find_what_they_name() {
        let object = json!({
            "a": {"b.c": 1, "list": [{"t": "x", "n": 1}, {"t": "y", "n": 2}, {"n": 3}]},
            "s": "text",
        });
        let cases = [
            (".s", json!(["text"])),
            ("{.s}", json!(["text"])),
            ("$.s", json!(["text"])),
            (r".a.b\.c", json!([1])),
            (".a['b.c']", json!([1])),
            (".a.list[0].n", json!([1])),
            (".a.list[-1].n", json!([3])),
            (".a.list[9].n", json!([])),
            (".a.list[0:2].n", json!([1, 2])),
            (".a.list[*].t", json!(["x", "y"])),
            ("..n", json!([1, 2, 3])),
            (r#".a.list[?(@.t=="y")].n"#, json!([2])),
            (".a.list[?(@.t == 'y')].n", json!([2])),
            (".a.list[?(@.n>=2)].n", json!([2, 3])),
            (".a.list[?(@.t)].n", json!([1, 2])),
            (".a.list[?(@.t!='x')].n", json!([2])),
            (".missing.deeper", json!([])),
            (".s.deeper", json!([])),
        ];
        for (text, want) in cases {
            let path = JsonPath::parse(text).unwrap();
            let found: Vec<Value> = path.find(&object).into_iter().cloned().collect();
            assert_eq!(Value::Array(found), want, "{text}");
        }
    }

    #[test]
    fn paths_that_find_the_same_by_many_ways_are_bounded() {
        let mut object = json!({});
        for _ in 0..60 {
            object = json!({ "a": object });
        }
        let path = JsonPath::parse(&"..a".repeat(20)).unwrap();
        assert_eq!(path.find(&object).len(), RESULTS_MAX);
        let mut deep = json!({ "b": 1 });
        for _ in 0..100 {
            deep = json!({ "a": deep });
        }
        assert!(JsonPath::parse("..b").unwrap().find(&deep).is_empty());
    }

    #[test]
    fn malformed_paths_are_refused() {
        for text in [".a[", ".a[x]", ".a..", ".a[?(@.b==c)]", &".a".repeat(3000)] {
            assert!(JsonPath::parse(text).is_err(), "{text}");
        }
    }
}
