//! Label and field selectors: parsing with upstream's refusals, and matching.
//!
//! Pure. A selector comes in as the query wrote it; objects come in as their labels and fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::refuse;
use crate::error::ApiError;
use crate::kinds::TypeInfo;

/// A parsed label selector; all requirements must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels(Vec<Requirement>);

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Exists,
    Absent,
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Above(i64),
    Below(i64),
}

/// A parsed field selector; all requirements must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<FieldTest>);

#[derive(Debug, Clone)]
struct FieldTest {
    field: String,
    value: String,
    equal: bool,
}

impl Labels {
    /// Returns a parsed selector; 400 when it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let mut parser = Parser {
            tokens: lex(text),
            at: 0,
        };
        parser.selector().map(Self).map_err(refuse::bad)
    }

    /// Returns whether there is no requirement.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether labels fulfil all requirements.
    pub(crate) fn match_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|r| {
            let value = labels.get(&r.key);
            match &r.test {
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(set) => value.is_some_and(|v| set.contains(v)),
                Test::NotIn(set) => value.is_none_or(|v| !set.contains(v)),
                Test::Above(n) => number(value).is_some_and(|v| v > *n),
                Test::Below(n) => number(value).is_some_and(|v| v < *n),
            }
        })
    }
}

fn number(value: Option<&String>) -> Option<i64> {
    value?.parse().ok()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(&'static str),
    End,
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Token::Word(word) => word,
            Token::Sign(sign) => sign,
            Token::End => "",
        }
    }
}

const SIGNS: [&str; 9] = ["!=", "==", "=", "!", "(", ")", ",", ">", "<"];

fn lex(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            tokens.push(Token::Sign(sign));
            rest = rest[sign.len()..].trim_start();
            continue;
        }
        let stop = |c: char| c.is_whitespace() || "=!(),<>".contains(c);
        let end = rest.find(stop).unwrap_or(rest.len());
        tokens.push(Token::Word(rest[..end].to_owned()));
        rest = rest[end..].trim_start();
    }
    tokens.push(Token::End);
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Token {
        self.tokens.get(self.at).cloned().unwrap_or(Token::End)
    }

    fn take(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut all = Vec::new();
        loop {
            match self.peek() {
                Token::Word(_) | Token::Sign("!") => {
                    let one = self.requirement();
                    all.push(one.map_err(|e| format!("unable to parse requirement: {e}"))?);
                    match self.take() {
                        Token::End => return Ok(all),
                        Token::Sign(",") => match self.peek() {
                            Token::Word(_) | Token::Sign("!") => {}
                            other => {
                                let found = other.text();
                                return Err(format!(
                                    "found '{found}', expected: identifier after ','"
                                ));
                            }
                        },
                        other => {
                            let found = other.text();
                            return Err(format!(
                                "found '{found}', expected: ',' or 'end of string'"
                            ));
                        }
                    }
                }
                Token::End => return Ok(all),
                other @ Token::Sign(_) => {
                    let found = other.text();
                    return Err(format!(
                        "found '{found}', expected: !, identifier, or 'end of string'"
                    ));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek() == Token::Sign("!");
        if absent {
            self.take();
        }
        let key = match self.take() {
            Token::Word(key) => key,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        if absent {
            return Ok(Requirement {
                key,
                test: Test::Absent,
            });
        }
        if matches!(self.peek(), Token::End | Token::Sign(",")) {
            return Ok(Requirement {
                key,
                test: Test::Exists,
            });
        }
        let operator = self.take();
        let test = match operator.text() {
            "in" => Test::In(self.values()?),
            "notin" => Test::NotIn(self.values()?),
            "=" | "==" => Test::In(BTreeSet::from([self.value()?])),
            "!=" => Test::NotIn(BTreeSet::from([self.value()?])),
            sign @ (">" | "<") => {
                let text = self.value()?;
                let number = text.parse().map_err(|_| {
                    format!("values[0][{key}]: Invalid value: {text:?}: for 'Gt', 'Lt' operators, the value must be an integer")
                })?;
                if sign == ">" {
                    Test::Above(number)
                } else {
                    Test::Below(number)
                }
            }
            found => {
                return Err(format!(
                    "found '{found}', expected: in, notin, =, ==, !=, gt, lt"
                ));
            }
        };
        Ok(Requirement { key, test })
    }

    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let open = self.take();
        if open != Token::Sign("(") {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        let mut values = BTreeSet::new();
        loop {
            match self.take() {
                Token::Word(word) => {
                    values.insert(word);
                    match self.take() {
                        Token::Sign(",") => {}
                        Token::Sign(")") => return Ok(values),
                        other => {
                            return Err(format!("found '{}', expected: ',' or ')'", other.text()));
                        }
                    }
                }
                Token::Sign(")") => {
                    values.insert(String::new());
                    return Ok(values);
                }
                Token::Sign(",") => {
                    values.insert(String::new());
                }
                other => {
                    let found = other.text();
                    return Err(format!("found '{found}', expected: ',', ')' or identifier"));
                }
            }
        }
    }

    fn value(&mut self) -> Result<String, String> {
        match self.peek() {
            Token::End | Token::Sign(",") => Ok(String::new()),
            Token::Word(word) => {
                self.take();
                Ok(word)
            }
            other @ Token::Sign(_) => {
                Err(format!("found '{}', expected: identifier", other.text()))
            }
        }
    }
}

impl Fields {
    /// Returns a parsed selector; 400 when it is none or names a field that `kind` cannot select.
    pub(crate) fn parse(text: &str, kind: &TypeInfo) -> Result<Self, ApiError> {
        let mut tests = Vec::new();
        for part in text.split(',').filter(|p| !p.is_empty()) {
            let split = |sign: &str| part.split_once(sign);
            let (field, value, equal) = if let Some((f, v)) = split("!=") {
                (f, v, false)
            } else if let Some((f, v)) = split("==").or_else(|| split("=")) {
                (f, v, true)
            } else {
                let what = format!("invalid selector: '{text}'; can't understand '{part}'");
                return Err(refuse::bad(what));
            };
            check_field(field, kind)?;
            tests.push(FieldTest {
                field: field.to_owned(),
                value: value.to_owned(),
                equal,
            });
        }
        Ok(Self(tests))
    }

    /// Returns whether there is no requirement.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the one name that is asked for, if the selector says so.
    pub(crate) fn name(&self) -> Option<&str> {
        let one = self
            .0
            .iter()
            .find(|t| t.field == "metadata.name" && t.equal);
        one.map(|t| t.value.as_str())
    }

    /// Returns whether more than the name is asked for.
    pub(crate) fn beyond_name(&self) -> bool {
        self.0
            .iter()
            .any(|t| t.field != "metadata.name" || !t.equal)
    }

    /// Returns whether an object fulfils all requirements.
    pub(crate) fn match_object(&self, object: &Value) -> bool {
        self.0
            .iter()
            .all(|t| (field_text(object, &t.field) == t.value) == t.equal)
    }
}

fn check_field(field: &str, kind: &TypeInfo) -> Result<(), ApiError> {
    let always = field == "metadata.name" || (field == "metadata.namespace" && kind.namespaced);
    if always
        || kind
            .selectable_fields
            .iter()
            .any(|f| f.trim_start_matches('.') == field)
    {
        return Ok(());
    }
    if kind.custom || !kind.selectable_fields.is_empty() {
        return Err(refuse::bad(format!("field label not supported: {field}")));
    }
    let known = "only \"metadata.name\", \"metadata.namespace\"";
    Err(refuse::bad(format!(
        "{field:?} is not a known field selector: {known}"
    )))
}

fn field_text(object: &Value, field: &str) -> String {
    let mut at = object;
    for part in field.split('.') {
        match at.get(part) {
            Some(next) => at = next,
            None => return absent(field).to_owned(),
        }
    }
    match at {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Object(map) => map
            .get("component")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        other => other.to_string(),
    }
}

fn absent(field: &str) -> &'static str {
    match field {
        "spec.unschedulable" | "spec.hostNetwork" => "false",
        "status.successful" | "status.replicas" => "0",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn requirements_all_have_to_hold() {
        let cases = [
            ("", true),
            ("a=1", true),
            ("a==1,b!=1", true),
            ("a in (1,2)", true),
            ("a notin (1)", false),
            ("c", false),
            ("!c,a", true),
            ("c notin (x)", true),
            ("a>0", true),
            ("a<1", false),
        ];
        for (text, want) in cases {
            let selector = Labels::parse(text).expect(text);
            assert_eq!(
                selector.match_labels(&labels(&[("a", "1"), ("b", "2")])),
                want,
                "{text}"
            );
        }
    }

    #[test]
    fn wrong_selectors_are_refused_with_what_was_expected() {
        let cases = [
            (
                "a in b",
                "unable to parse requirement: found 'b' expected: '('",
            ),
            ("a=b=c", "found '=', expected: ',' or 'end of string'"),
            (
                "bad key=x",
                "unable to parse requirement: found 'key', expected: in, notin, =, ==, !=, gt, lt",
            ),
        ];
        for (text, want) in cases {
            assert_eq!(Labels::parse(text).expect_err(text).message, want);
        }
    }
}
