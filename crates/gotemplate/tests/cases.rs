//! Runs testdata/cases.jsonl: templates on `{"a": "b", "c": "d e"}` and what Go 1.26 made of them.

use gotemplate::{Limits, Template, Value};

/// Returns what is wrong with a row, if anything.
fn check(row: &serde_json::Value, data: &Value) -> Option<String> {
    let text = row["template"].as_str().unwrap_or("");
    let got =
        Template::parse("t", text, Limits::default()).and_then(|template| template.execute(data));
    let is_right = match &got {
        Ok(text) => row["want"] == text.as_str(),
        Err(error) => row["error"] == error.to_string(),
    };
    (!is_right).then(|| format!("{row}\n  got {got:?}"))
}

#[test]
fn templates_give_what_go_gave() {
    let rows = include_str!("../testdata/cases.jsonl");
    let pairs = [("a", "b"), ("c", "d e")];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let data = Value::text_map(&pairs.into());
    let rows: Vec<serde_json::Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).expect("each row is JSON"))
        .collect();
    assert!(rows.len() > 300, "only {} rows", rows.len());
    let wrong: Vec<String> = rows.iter().filter_map(|row| check(row, &data)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
