//! Which objects a patch or replacement means: regular expressions over ids, and label selectors.

use regex::Regex;

use crate::error::Error;
use crate::id::Scopes;
use crate::kustomization::Selector;
use crate::resource::Resource;
use crate::resources::Resources;

/// Returns an expression that matches whole texts only.
///
/// Fails when the pattern is not a regular expression.
pub(crate) fn anchored(pattern: &str) -> Result<Regex, Error> {
    // Go's classes know ASCII only.
    let pattern = format!("^(?:{})$", ascii_classes(pattern));
    Regex::new(&pattern).map_err(|error| Error::invalid(error.to_string()))
}

/// Writes `\d`, `\w`, `\s`, their opposites and `\b` out, since those of Go know ASCII only.
pub(crate) fn ascii_classes(pattern: &str) -> String {
    if !pattern.contains('\\') {
        return pattern.to_owned();
    }
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some('s') => out.push_str(r"[\t\n\f\r ]"),
            Some('S') => out.push_str(r"[^\t\n\f\r ]"),
            Some('b') => out.push_str(r"(?-u:\b)"),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

/// A text that must match, or no condition.
struct Part(Option<Regex>);

impl Part {
    fn new(pattern: &str) -> Result<Self, Error> {
        if pattern.is_empty() {
            return Ok(Self(None));
        }
        anchored(pattern).map(|regex| Self(Some(regex)))
    }

    fn matches(&self, text: &str) -> bool {
        self.0.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

/// The objects that a `target` of a patch means.
pub(crate) struct TargetSelector {
    group: Part,
    version: Part,
    kind: Part,
    name: Part,
    namespace: Part,
    labels: LabelSelector,
    annotations: LabelSelector,
    /// The name, when it is plain text: then an index finds the candidates.
    literal_name: Option<String>,
}

impl TargetSelector {
    /// Fails when a part is not a regular expression or not a label selector.
    pub(crate) fn new(selector: &Selector) -> Result<Self, Error> {
        let is_literal = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        Ok(Self {
            group: Part::new(&selector.group)?,
            version: Part::new(&selector.version)?,
            kind: Part::new(&selector.kind)?,
            name: Part::new(&selector.name)?,
            namespace: Part::new(&selector.namespace)?,
            labels: LabelSelector::new(&selector.label_selector)?,
            annotations: LabelSelector::new(&selector.annotation_selector)?,
            literal_name: Some(selector.name.clone()).filter(|name| is_literal(name)),
        })
    }

    /// Returns the positions of the objects that are meant, in order.
    pub(crate) fn select(&self, resources: &mut Resources, scopes: &Scopes) -> Vec<usize> {
        let candidates = match &self.literal_name {
            Some(name) => resources.named(name).to_vec(),
            None => (0..resources.len()).collect(),
        };
        let matches = |at: &usize| {
            let resource = resources.get(*at);
            !crate::resource::is_blank(&resource.node) && self.matches(resource, scopes)
        };
        candidates.into_iter().filter(matches).collect()
    }

    fn matches(&self, resource: &Resource, scopes: &Scopes) -> bool {
        (self.namespace.matches(resource.original_namespace(scopes))
            || self.namespace.matches(resource.effective_namespace(scopes)))
            && (self.name.matches(resource.original_name()) || self.name.matches(resource.name()))
            && self.kind.matches(resource.kind())
            && self.group.matches(resource.group())
            && self.version.matches(resource.version())
            && self.labels.matches(|key| resource.string("labels", key))
            && self
                .annotations
                .matches(|key| resource.string("annotations", key))
    }
}

/// A label selector of Kubernetes: requirements that must all hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Above(String, i64),
    Below(String, i64),
}

impl LabelSelector {
    /// Fails when the text is not a label selector.
    pub(crate) fn new(text: &str) -> Result<Self, Error> {
        let mut parser = SelectorParser { rest: text };
        parser.all().map(Self).map_err(|problem| {
            Error::invalid(format!("{text:?} is not a label selector: {problem}"))
        })
    }

    pub(crate) fn matches<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => value(key).is_some(),
            Requirement::Missing(key) => value(key).is_none(),
            Requirement::In(key, values) => {
                value(key).is_some_and(|value| values.iter().any(|v| v == value))
            }
            Requirement::NotIn(key, values) => {
                value(key).is_none_or(|value| !values.iter().any(|v| v == value))
            }
            Requirement::Above(key, bound) => value(key)
                .and_then(|v| v.parse::<i64>().ok())
                .is_some_and(|v| v > *bound),
            Requirement::Below(key, bound) => value(key)
                .and_then(|v| v.parse::<i64>().ok())
                .is_some_and(|v| v < *bound),
        })
    }
}

struct SelectorParser<'a> {
    rest: &'a str,
}

impl<'a> SelectorParser<'a> {
    fn all(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        self.skip_blanks();
        while !self.rest.is_empty() {
            requirements.push(self.one()?);
            self.skip_blanks();
            if self.rest.is_empty() {
                break;
            }
            if !self.take(",") {
                return Err(format!("found '{}', expected: ','", self.rest));
            }
            self.skip_blanks();
            if self.rest.is_empty() {
                return Err("found '', expected: identifier after ','".into());
            }
        }
        Ok(requirements)
    }

    fn one(&mut self) -> Result<Requirement, String> {
        if self.take("!") {
            self.skip_blanks();
            return self.key().map(Requirement::Missing);
        }
        let key = self.key()?;
        self.skip_blanks();
        if self.rest.is_empty() || self.rest.starts_with(',') {
            return Ok(Requirement::Exists(key));
        }
        for (operator, negated) in [("!=", true), ("==", false), ("=", false)] {
            if self.take(operator) {
                self.skip_blanks();
                let value = self.value()?;
                let values = vec![value];
                return Ok(match negated {
                    true => Requirement::NotIn(key, values),
                    false => Requirement::In(key, values),
                });
            }
        }
        for (operator, above) in [(">", true), ("<", false)] {
            if self.take(operator) {
                self.skip_blanks();
                let value = self.value()?;
                let bound = value
                    .parse()
                    .map_err(|_| format!("{value:?} is not a number"))?;
                return Ok(match above {
                    true => Requirement::Above(key, bound),
                    false => Requirement::Below(key, bound),
                });
            }
        }
        match self.word() {
            "in" => self.values().map(|values| Requirement::In(key, values)),
            "notin" => self.values().map(|values| Requirement::NotIn(key, values)),
            word => Err(format!("found '{word}', expected: an operator")),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        self.skip_blanks();
        if !self.take("(") {
            return Err(format!("found '{}', expected: '('", self.rest));
        }
        let mut values = Vec::new();
        loop {
            self.skip_blanks();
            values.push(self.value()?);
            self.skip_blanks();
            if self.take(")") {
                return Ok(values);
            }
            if !self.take(",") {
                return Err(format!("found '{}', expected: ',' or ')'", self.rest));
            }
        }
    }

    fn key(&mut self) -> Result<String, String> {
        let key = self.word();
        let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
        let is_prefix = prefix.len() <= 253
            && prefix
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
        let has_prefix = key.contains('/');
        if name.is_empty() || !is_name(name) || !is_prefix || has_prefix && prefix.is_empty() {
            return Err(format!("{key:?} is not a label key"));
        }
        Ok(key.to_owned())
    }

    fn value(&mut self) -> Result<String, String> {
        let value = self.word();
        if !value.is_empty() && !is_name(value) {
            return Err(format!("{value:?} is not a label value"));
        }
        Ok(value.to_owned())
    }

    fn word(&mut self) -> &'a str {
        let is_end = |c: char| c.is_whitespace() || "=!(),<>".contains(c);
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
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

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

fn is_name(text: &str) -> bool {
    let outer = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && outer(bytes.first())
        && outer(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_know_ascii_only() {
        for (pattern, text, want) in [
            (r"\d+", "12", true),
            (r"\d", "\u{663}", false),
            (r"[\w-]+", "a-b", true),
            (r"\w", "é", false),
            (r"\W", "é", true),
            (r"a\.b", "a.b", true),
            (r"a\.b", "axb", false),
        ] {
            let regex = anchored(pattern).expect(pattern);
            assert_eq!(regex.is_match(text), want, "{pattern} {text}");
        }
    }

    fn check(selector: &str, labels: &[(&str, &str)], want: bool) {
        let selector = LabelSelector::new(selector).expect(selector);
        let value = |key: &str| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        assert_eq!(selector.matches(value), want, "{selector:?}");
    }

    #[test]
    fn requirements_of_a_label_selector_must_all_hold() {
        let labels = [("app", "web"), ("n", "5")];
        for (selector, want) in [
            ("app", true),
            ("!app", false),
            ("app=web,n==5", true),
            ("app!=web", false),
            ("other!=web", true),
            ("app in (db, web)", true),
            ("app notin (db)", true),
            ("other notin (db)", true),
            ("n>4,n<6", true),
            ("app=", false),
            ("", true),
        ] {
            check(selector, &labels, want);
        }
    }

    #[test]
    fn what_is_not_a_label_selector_is_refused() {
        for selector in [
            "app in (", "app in", "=x", "app=a b", "app,", "-a=b", "a>b", "/a",
        ] {
            assert!(LabelSelector::new(selector).is_err(), "{selector}");
        }
    }
}
