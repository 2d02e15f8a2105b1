//! A YAML text as JSON values, by the rules of sigs.k8s.io/yaml over go-yaml version 2.
//!
//! In: a text of one or more documents. Out: one `serde_json::Value` a document that is not
//! empty: keys become strings, `yes` and `on` booleans, `0777` is 511, aliases and merge keys are
//! gone. What JSON cannot hold (infinities, mappings as keys) is an error, never a guess.

use base64::Engine;
use serde_json::{Map, Number, Value};

use crate::error::{Error, Problem};
use crate::node::{Content, Node, Style, Tag};
use crate::resolve::{Plain, Rules, resolve};

/// What to do with a key that stands twice in one mapping.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Duplicates {
    LastWins,
    Refused,
}

/// Returns the value of every document of a text; documents without content are left out.
///
/// Of a key that stands twice the last value wins. Fails at what is not YAML, at what JSON cannot
/// hold, and past the limits of [`crate::node`].
pub fn to_values(text: &str) -> Result<Vec<Value>, Error> {
    values(text, Duplicates::LastWins)
}

/// Returns what [`to_values`] returns, and fails at a key that stands twice in one mapping.
pub fn to_values_strict(text: &str) -> Result<Vec<Value>, Error> {
    values(text, Duplicates::Refused)
}

/// Returns the value of one node by the same rules as [`to_values`].
///
/// Fails at what JSON cannot hold.
pub fn to_value(node: &Node) -> Result<Value, Error> {
    value(node, Duplicates::LastWins)
}

fn values(text: &str, duplicates: Duplicates) -> Result<Vec<Value>, Error> {
    let documents = crate::node::read(text)?;
    let values = documents.iter().map(|node| value(node, duplicates));
    values
        .filter(|value| !matches!(value, Ok(Value::Null)))
        .collect()
}

fn value(node: &Node, duplicates: Duplicates) -> Result<Value, Error> {
    match &node.content {
        Content::Scalar(text, style) => json_scalar(node, scalar(node, text, *style)?),
        Content::Sequence(items, _) => items
            .iter()
            .map(|item| value(item, duplicates))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        Content::Mapping(entries, _) => {
            let mut object = Map::new();
            let mut merged = std::collections::HashSet::new();
            for (key, child) in entries {
                if key.is_merge_key() {
                    merge(key, child, duplicates, &mut object, &mut merged)?;
                    continue;
                }
                let name = object_key(key)?;
                let child = value(child, duplicates)?;
                let inherited = merged.remove(&name);
                let previous = object.insert(name.clone(), child);
                if duplicates == Duplicates::Refused && previous.is_some() && !inherited {
                    return Err(key.error(Problem::DuplicateKey(name)));
                }
            }
            Ok(Value::Object(object))
        }
    }
}

/// Puts the entries of a merged mapping into the object as it is so far. Version 2 works in the
/// order of the text: a merge that stands after an entry wins over it.
fn merge(
    key: &Node,
    child: &Node,
    duplicates: Duplicates,
    object: &mut Map<String, Value>,
    merged: &mut std::collections::HashSet<String>,
) -> Result<(), Error> {
    let sources = match &child.content {
        Content::Mapping(..) => std::slice::from_ref(child),
        Content::Sequence(items, _) => items.as_slice(),
        Content::Scalar(..) => return Err(key.error(Problem::Merge)),
    };
    for source in sources.iter().rev() {
        let Value::Object(source) = value(source, duplicates)? else {
            return Err(key.error(Problem::Merge));
        };
        for (name, value) in source {
            merged.insert(name.clone());
            object.insert(name, value);
        }
    }
    Ok(())
}

/// What a scalar is, its tag and style taken into account.
enum Scalar {
    Plain(Plain),
    Text(String),
}

fn scalar(node: &Node, text: &str, style: Style) -> Result<Scalar, Error> {
    let is_text = || Ok(Scalar::Text(text.to_owned()));
    let plain = match &node.tag {
        Tag::None if style != Style::Plain => return is_text(),
        Tag::Str | Tag::Other | Tag::Merge => return is_text(),
        Tag::Binary => {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text.split_ascii_whitespace().collect::<String>());
            return match bytes {
                Ok(bytes) => Ok(Scalar::Text(String::from_utf8_lossy(&bytes).into_owned())),
                Err(_) => Err(mismatch(node, text)),
            };
        }
        _ => resolve(text, Rules::V2),
    };
    let plain = match (&node.tag, plain) {
        (Tag::None | Tag::Timestamp, Plain::Timestamp(_)) | (Tag::None, Plain::Str) => {
            return is_text();
        }
        (Tag::Float, Plain::Int(int)) => Plain::Float(int as f64),
        (Tag::Float, Plain::Uint(int)) => Plain::Float(int as f64),
        (Tag::None, plain)
        | (Tag::Int, plain @ (Plain::Int(_) | Plain::Uint(_)))
        | (Tag::Float, plain @ Plain::Float(_))
        | (Tag::Bool, plain @ Plain::Bool(_))
        | (Tag::Null, plain @ Plain::Null) => plain,
        _ => return Err(mismatch(node, text)),
    };
    Ok(Scalar::Plain(plain))
}

fn mismatch(node: &Node, text: &str) -> Error {
    node.error(Problem::Tag {
        text: text.to_owned(),
        tag: node.tag.as_str().to_owned(),
    })
}

fn json_scalar(node: &Node, scalar: Scalar) -> Result<Value, Error> {
    Ok(match scalar {
        Scalar::Text(text) => Value::String(text),
        Scalar::Plain(Plain::Null) => Value::Null,
        Scalar::Plain(Plain::Bool(bool)) => Value::Bool(bool),
        Scalar::Plain(Plain::Int(int)) => int.into(),
        Scalar::Plain(Plain::Uint(int)) => int.into(),
        Scalar::Plain(Plain::Float(float)) => match json_number(float) {
            Some(number) => Value::Number(number),
            None => return Err(node.error(Problem::Number(crate::emit::go_float(float)))),
        },
        Scalar::Plain(Plain::Timestamp(text)) => Value::String(text),
        Scalar::Plain(Plain::Str) => Value::String(node.text().unwrap_or_default().to_owned()),
    })
}

/// Returns the number that a reader of JSON gets for a float that Go wrote: whole numbers up to
/// 1e21 are written without an exponent, so they come back as integers where they fit.
/// Nothing for infinities and for what is not a number.
pub fn json_number(float: f64) -> Option<Number> {
    const PLAIN_END: f64 = 1e21;
    if float.fract() == 0.0 && float.abs() < PLAIN_END {
        // The shortest digits, with zeros up to the point: this is what Go writes.
        let digits = format!("{}", float.abs());
        let digits = if float < 0.0 {
            format!("-{digits}")
        } else {
            digits
        };
        if let Ok(int) = digits.parse::<i64>() {
            return Some(Number::from(int));
        }
        if let Ok(int) = digits.parse::<u64>() {
            return Some(Number::from(int));
        }
    }
    Number::from_f64(float)
}

fn object_key(key: &Node) -> Result<String, Error> {
    let Content::Scalar(text, style) = &key.content else {
        return Err(key.error(Problem::Key));
    };
    Ok(match scalar(key, text, *style)? {
        Scalar::Text(text) => text,
        Scalar::Plain(Plain::Bool(bool)) => bool.to_string(),
        Scalar::Plain(Plain::Int(int)) => int.to_string(),
        Scalar::Plain(Plain::Uint(int)) => int.to_string(),
        Scalar::Plain(Plain::Float(float)) => crate::emit::go_float(float),
        Scalar::Plain(Plain::Timestamp(_) | Plain::Str) => text.as_str().to_owned(),
        Scalar::Plain(Plain::Null) => return Err(key.error(Problem::Key)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(text: &str, want: &Value) {
        let values = to_values(text).expect(text);
        assert_eq!(values, std::slice::from_ref(want), "{text}");
    }

    fn refuses(text: &str, problem: &str) {
        let error = to_values(text).expect_err(text).to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }

    #[test]
    fn scalars_mean_what_they_mean_to_version_2() {
        check("v: on", &json!({"v": true}));
        check("v: 0777", &json!({"v": 511}));
        check("v: 1e3", &json!({"v": 1000}));
        check("v: 2024-01-01", &json!({"v": "2024-01-01"}));
        check("v: !!str 1", &json!({"v": "1"}));
        check("v: !!int \"3\"", &json!({"v": 3}));
        check("v: !custom x", &json!({"v": "x"}));
        check("v: !!binary aGk=", &json!({"v": "hi"}));
        check("v: 'yes'", &json!({"v": "yes"}));
        check("v: 0.10", &json!({"v": 0.1}));
        check("v:", &json!({"v": null}));
        refuses("v: .inf", "unsupported value");
        refuses("v: !!int x", "cannot decode");
    }

    #[test]
    fn keys_become_strings() {
        check(
            "{1: a, true: b, 1.5: c, 'y': d}",
            &json!({"1": "a", "true": "b", "1.5": "c", "y": "d"}),
        );
        refuses("? : a", "map key");
        refuses("{[1]: a}", "map key");
    }

    #[test]
    fn a_merge_is_done_in_the_order_of_the_text() {
        let anchors = "a: &a {x: 1, q: 2}\nb: &b {q: 3, z: 4}\n";
        let want = |v: Value| json!({"a": {"x": 1, "q": 2}, "b": {"q": 3, "z": 4}, "v": v});
        check(
            &format!("{anchors}v: {{<<: *a, q: 9}}"),
            &want(json!({"x": 1, "q": 9})),
        );
        check(
            &format!("{anchors}v: {{<<: [*a, *b]}}"),
            &want(json!({"x": 1, "q": 2, "z": 4})),
        );
        check(
            &format!("{anchors}v: {{q: 9, <<: *a}}"),
            &want(json!({"x": 1, "q": 2})),
        );
        refuses("v: {<<: 1}", "map merge");
    }

    #[test]
    fn the_last_of_two_equal_keys_wins_unless_strict() {
        check("a: 1\na: 2", &json!({"a": 2}));
        let error = to_values_strict("a: 1\nb:\n  c: 1\n  c: 2").expect_err("a key twice");
        assert_eq!((error.line, error.column), (4, 3));
        assert_eq!(error.problem, Problem::DuplicateKey("c".into()));
        assert!(to_values_strict("a: &a {x: 1}\nv: {<<: *a, x: 2}").is_ok());
    }

    #[test]
    fn documents_without_content_are_left_out() {
        let values = to_values("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n...\n").expect("yaml");
        assert_eq!(values, [json!({"a": 1}), json!({"b": 2})]);
        assert!(to_values("").expect("yaml").is_empty());
    }

    #[test]
    fn aliases_cannot_explode() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        refuses(&bomb, "too much through aliases");
        refuses("a: &a [*a]", "contains itself");
        let long = "y".repeat(1 << 20);
        let copies = vec!["*a"; 100].join(", ");
        refuses(
            &format!("a: &a {long}\nb: [{copies}]"),
            "too much through aliases",
        );
    }

    #[test]
    fn depth_is_bounded() {
        assert!(to_values(&"[".repeat(100_000)).is_err());
        assert!(to_values(&format!("{}x", "- ".repeat(100_000))).is_err());
        let mut chain = String::from("a0: &a0 x\n");
        for level in 1..1000 {
            chain.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        refuses(&chain, "too deeply");
    }

    #[test]
    fn control_characters_are_refused_with_their_place() {
        let error = to_values("a: 1\nb: \"x\u{7f}\"").expect_err("a control character");
        assert_eq!((error.line, error.column), (2, 6));
    }
}
