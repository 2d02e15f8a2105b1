//! Runs testdata/*.jsonl: templates on `{"a": "b", "c": "d e"}` and what Go 1.26 made of them;
//! `printf.jsonl` has formats by verb, flag, width, precision and index.

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

/// Checks rows, of which there must be `n_min`.
fn check_all(rows: &str, n_min: usize) {
    let pairs = [("a", "b"), ("c", "d e")];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let data = Value::text_map(&pairs.into());
    let rows: Vec<serde_json::Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).expect("each row is JSON"))
        .collect();
    assert!(rows.len() > n_min, "only {} rows", rows.len());
    let wrong: Vec<String> = rows.iter().filter_map(|row| check(row, &data)).collect();
    let n_wrong = wrong.len();
    assert!(wrong.is_empty(), "{n_wrong} rows:\n{}", wrong.join("\n"));
}

#[test]
fn templates_give_what_go_gave() {
    check_all(include_str!("../testdata/cases.jsonl"), 300);
}

#[test]
fn formats_print_what_go_printed() {
    check_all(include_str!("../testdata/printf.jsonl"), 3000);
}

#[test]
fn a_width_or_precision_is_at_most_a_million_and_the_text_is_bounded() {
    let run = |text: &str, limits: Limits| {
        let template = Template::parse("t", text, limits).expect("it is a template");
        template.execute(&Value::Nil)
    };
    for verb in [
        "1000000d",
        ".1000000d",
        "-1000000s",
        "01000000f",
        ".1000000f",
        ".999998x",
    ] {
        let text = format!("{{{{ printf \"%{verb}\" 1.0 }}}}");
        let text = text.replace("1.0", if verb.ends_with('d') { "1" } else { "1.0" });
        let printed = run(&text, Limits::default()).expect("it is within the bound");
        assert!(printed.len() >= 1_000_000, "{verb}: {}", printed.len());
        let tight = Limits {
            output_bytes: 999_999,
            ..Limits::default()
        };
        let refused = run(&text, tight).expect_err("it is beyond the bound");
        assert!(
            refused.to_string().contains("larger than 999999 bytes"),
            "{refused}"
        );
    }
    let twice = run("{{ printf \"%1000000d%1000000d\" 1 2 }}", Limits::default());
    assert!(
        twice
            .expect_err("it is beyond the bound")
            .to_string()
            .contains("larger than")
    );
}
