//! JSON values as YAML text, byte for byte as sigs.k8s.io/yaml over go-yaml version 2 prints them.
//!
//! In: a `serde_json::Value` or a [`Tree`]. Out: block style, keys in natural order, two spaces, lines folded
//! at 80 columns, the quoting that YAML 1.1 readers need. It keeps nothing of any source text.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::scalar::{Analysis, Writer};
use crate::tree::{Level, Levels, Tree};

/// Longer keys are written as `? key`.
const SIMPLE_KEY_MAX: usize = 128;
/// Floats with more digits before the point are written with an exponent.
const PLAIN_FLOAT_DIGITS: i32 = 6;

/// Returns the value as one YAML document that ends in a newline.
pub fn to_yaml(value: &Value) -> String {
    let mut writer = Writer::new(String::new());
    emit(&mut writer, value, Place::Root, 0);
    writer.finish()
}

/// Adds a value to a text, as one YAML document that ends in a newline.
pub fn write_tree(out: &mut String, tree: &Tree) {
    let mut writer = Writer::new(std::mem::take(out));
    emit(&mut writer, tree, Place::Root, 0);
    *out = writer.finish();
}

/// Where a value stands; it decides whether a sequence is indented.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    MappingValue,
    SequenceItem,
}

/// Returns whether a string is written without quotes.
pub fn is_plain(text: &str) -> bool {
    Analysis::new(text).is_plain()
}

/// Writes a value whose collection, if it is one, begins at the column `indent`.
fn emit<T: Levels>(writer: &mut Writer, value: &T, place: Place, indent: usize) {
    match value.level() {
        Level::Array([]) => writer.word("[]"),
        Level::Array(items) => {
            for item in items {
                writer.break_to(indent);
                writer.indicator("-", true, true);
                emit(writer, item, Place::SequenceItem, indent + 2);
            }
        }
        Level::Object(entries) if entries.is_empty() => writer.word("{}"),
        Level::Object(mut entries) => {
            sort_keys(&mut entries);
            for (key, child) in entries {
                writer.break_to(indent);
                emit_entry(writer, key, child, indent);
            }
        }
        Level::Null => writer.word("null"),
        Level::Bool(true) => writer.word("true"),
        Level::Bool(false) => writer.word("false"),
        Level::Number(number) => writer.word(&number_text(number)),
        Level::String(text) => {
            // A scalar is indented under its parent, also under the document.
            let indent = if place == Place::Root { 2 } else { indent };
            writer.string(text, &Analysis::new(text), indent, false);
        }
    }
}

fn emit_entry<T: Levels>(writer: &mut Writer, key: &str, child: &T, indent: usize) {
    let analysis = Analysis::new(key);
    if key.len() > SIMPLE_KEY_MAX || analysis.is_multiline() {
        writer.indicator("?", true, true);
        writer.string(key, &analysis, indent + 2, false);
        writer.break_to(indent);
        writer.indicator(":", true, true);
        // After this indicator a sequence is indented.
        emit(writer, child, Place::SequenceItem, indent + 2);
        return;
    }
    writer.string(key, &analysis, indent + 2, true);
    writer.indicator(":", false, false);
    // A sequence stands under its key without indentation.
    let is_sequence = child.is_array();
    let child_indent = if is_sequence { indent } else { indent + 2 };
    emit(writer, child, Place::MappingValue, child_indent);
}

fn number_text(number: &Number) -> String {
    if number.is_f64() {
        let float = number.as_f64().unwrap_or_default();
        return match crate::json::json_number(float) {
            Some(whole) if !whole.is_f64() => whole.to_string(),
            _ => go_float(float),
        };
    }
    number.to_string()
}

/// Returns a float as Go's `FormatFloat(x, 'g', -1, 64)` prints it, with YAML's words for
/// infinities.
pub fn go_float(float: f64) -> String {
    if float.is_nan() {
        return ".nan".into();
    }
    if float.is_infinite() {
        return if float > 0.0 {
            ".inf".into()
        } else {
            "-.inf".into()
        };
    }
    // Shortest digits, as `d.ddde±x`.
    let scientific = format!("{float:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let power: i32 = exponent.parse().unwrap_or_default();
    if !(-4..PLAIN_FLOAT_DIGITS).contains(&power) {
        let sign = if power < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", power.abs());
    }
    format!("{float}")
}

/// Sorts keys as go-yaml does. The order is not one a general sort may rely on, so this is a
/// plain merge sort, which ends whatever the order says.
fn sort_keys<T>(entries: &mut Vec<(&str, T)>)
where
    T: Copy,
{
    if entries.is_sorted_by(|(a, _), (b, _)| key_order(a, b) != Ordering::Greater) {
        return;
    }
    let mut width = 1;
    while width < entries.len() {
        let mut merged = Vec::with_capacity(entries.len());
        for run in entries.chunks(width * 2) {
            let (mut left, mut right) = run.split_at(width.min(run.len()));
            while let ([l, ..], [r, ..]) = (left, right) {
                if key_order(r.0, l.0) == Ordering::Less {
                    merged.push(*r);
                    right = &right[1..];
                } else {
                    merged.push(*l);
                    left = &left[1..];
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        *entries = merged;
        width *= 2;
    }
}

/// Compares two keys in natural order: digits by their number, letters after everything else.
pub fn key_order(a: &str, b: &str) -> Ordering {
    let common = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let at = (0..=common)
        .rev()
        .find(|at| a.is_char_boundary(*at) && b.is_char_boundary(*at));
    let at = at.unwrap_or(0);
    let (Some(x), Some(y)) = (a[at..].chars().next(), b[at..].chars().next()) else {
        return a.len().cmp(&b.len());
    };
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let mut start = 0_i64;
    if x == '0' || y == '0' {
        let before = a[..at].bytes().rev().take_while(u8::is_ascii_digit);
        if before.into_iter().any(|digit| digit != b'0') {
            start = 1;
        }
    }
    let run = |text: &str| {
        let digits = text.bytes().take_while(u8::is_ascii_digit);
        digits.fold((start, 0_usize), |(number, length), digit| {
            (
                number
                    .wrapping_mul(10)
                    .wrapping_add(i64::from(digit - b'0')),
                length + 1,
            )
        })
    };
    let (a_run, b_run) = (run(&a[at..]), run(&b[at..]));
    a_run
        .0
        .cmp(&b_run.0)
        .then(a_run.1.cmp(&b_run.1))
        .then(x.cmp(&y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: &Value, want: &str) {
        assert_eq!(to_yaml(value), want);
    }

    #[test]
    fn collections_are_blocks_with_sequences_under_their_key() {
        check(
            &json!({"b": [1, {"x": 1, "y": [[2, 3], []]}], "a": {"c": {}, "d": null}}),
            "a:\n  c: {}\n  d: null\nb:\n- 1\n- x: 1\n  \"y\":\n  - - 2\n    - 3\n  - []\n",
        );
        check(&json!([[1, 2], "x"]), "- - 1\n  - 2\n- x\n");
        check(&json!({}), "{}\n");
        check(&json!("a\nb"), "|-\n  a\n  b\n");
    }

    #[test]
    fn strings_are_quoted_where_a_reader_of_yaml_1_1_needs_it() {
        for (text, want) in [
            ("", "\"\"\n"),
            ("yes", "\"yes\"\n"),
            ("nO", "nO\n"),
            ("1:30", "\"1:30\"\n"),
            ("2020-01-01", "\"2020-01-01\"\n"),
            ("a: b", "'a: b'\n"),
            ("a #b", "'a #b'\n"),
            ("-x", "-x\n"),
            ("- x", "'- x'\n"),
            ("it's: x", "'it''s: x'\n"),
            ("tab\there", "\"tab\\there\"\n"),
            ("é", "é\n"),
            ("\u{1F600}", "\"\\U0001F600\"\n"),
            (" lead", "' lead'\n"),
        ] {
            check(&Value::String(text.into()), want);
        }
    }

    #[test]
    fn texts_of_several_lines_are_blocks_when_they_can_be() {
        check(&json!({"a": "x\ny\n"}), "a: |\n  x\n  y\n");
        check(&json!({"a": "x\n\n"}), "a: |+\n  x\n\n");
        check(&json!({"a": " x\n"}), "a: |2\n   x\n");
        check(&json!({"a": "x \ny"}), "a: \"x \\ny\"\n");
        check(&json!({"a": "x\ty\n", "b": 1}), "a: \"x\\ty\\n\"\nb: 1\n");
    }

    #[test]
    fn long_values_are_folded_and_keys_are_not() {
        let words = vec!["word"; 30].join(" ");
        let folded = format!(
            "a: {}\n  {}\n",
            vec!["word"; 16].join(" "),
            vec!["word"; 14].join(" ")
        );
        check(&json!({"a": words}), &folded);
        let key = "k".repeat(129);
        check(&json!({ key.clone(): 1 }), &format!("? {key}\n: 1\n"));
    }

    #[test]
    fn floats_are_printed_as_go_prints_them() {
        for (float, want) in [
            (100_000_000.5, "1.000000005e+08"),
            (1e-7, "1e-07"),
            (0.5, "0.5"),
            (0.0001, "0.0001"),
            (123_456.5, "123456.5"),
            (1_234_567.5, "1.2345675e+06"),
            (1e20, "1e+20"),
        ] {
            assert_eq!(go_float(float), want);
        }
        check(
            &json!({"a": 1.0, "b": -0.0, "c": 1e30}),
            "a: 1\nb: 0\nc: 1e+30\n",
        );
    }

    fn sorted(names: &[String]) -> String {
        let mut keys: Vec<(&str, ())> = names.iter().map(|name| (name.as_str(), ())).collect();
        sort_keys(&mut keys);
        let keys: Vec<&str> = keys.into_iter().map(|(key, ())| key).collect();
        keys.join(" ")
    }

    #[test]
    fn keys_are_in_natural_order() {
        let want = "1 9 10 Ab a-b a.b a_b a9 a10 aB";
        let mut names: Vec<String> = want.split(' ').map(str::to_owned).collect();
        names.reverse();
        assert_eq!(sorted(&names), want);
        let want = "x1 x1-a x1_a x1a x01 x001 x10 x010 x100";
        let mut names: Vec<String> = want.split(' ').map(str::to_owned).collect();
        names.sort();
        assert_eq!(sorted(&names), want);
    }
}
