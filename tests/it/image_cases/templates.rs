//! Tables of commit messages: templates, data and what Flux makes of them.
//!
//! Runs testdata/image and each folder of TOWPATH_CASES_IMAGE that has a `templates.jsonl`, and
//! prints a count for each.

use std::collections::BTreeMap;

use serde_json::Value;
use towpath::template::{Change, Data, FileChange, ObjectChange, message};

use super::{count, folders};

/// Functions that are refused by name; rows that call one must say so.
const REFUSED: [&str; 5] = ["bcrypt", "derivePassword", "htpasswd", "randInt", "shuffle"];

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or("").to_owned()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn data(row: &Value, all: &Value) -> Data {
    let data = &all[text(row, "data")];
    let change = |change: &Value| Change {
        old_value: text(change, "oldValue"),
        new_value: text(change, "newValue"),
        setter: text(change, "setter"),
    };
    let object = |object: &Value| ObjectChange {
        api_version: text(object, "apiVersion"),
        kind: text(object, "kind"),
        namespace: text(object, "namespace"),
        name: text(object, "name"),
        changes: list(object, "changes").iter().map(change).collect(),
    };
    let file = |file: &Value| FileChange {
        file: text(file, "file"),
        objects: list(file, "objects").iter().map(object).collect(),
    };
    let values = row["messageTemplateValues"].as_object();
    let values = values.into_iter().flatten();
    Data {
        namespace: text(&data["automationObject"], "namespace"),
        name: text(&data["automationObject"], "name"),
        changed: list(data, "changed").iter().map(file).collect(),
        values: values
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or("").to_owned()))
            .collect::<BTreeMap<_, _>>(),
    }
}

/// Returns lines in an order that does not depend on theirs; changes in one line count as lines.
fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split(['\n', '{', '}']).collect();
    lines.sort_unstable();
    lines
}

/// Returns the function of a row that is refused.
fn refused(row: &Value) -> Option<&'static str> {
    let template = text(row, "messageTemplate");
    let mut names = REFUSED.into_iter();
    names.find(|name| template.contains(&format!("{name} ")))
}

/// Returns what is wrong with the row's result, if anything.
fn check(row: &Value, all: &Value) -> Option<String> {
    let template = text(row, "messageTemplate");
    let got = message(&template, &data(row, all));
    if let Some(name) = refused(row) {
        let want = format!("error calling {name}: is not supported here");
        let text = got.unwrap_or_else(|error| error.to_string());
        return (!text.contains(&want))
            .then(|| format!("{template}\n  got  {text:?}\n  want {want:?}"));
    }
    let is_right = match &got {
        Ok(text) => {
            // Flux's order is random there: any order of the same lines is right.
            let any = list(row, "want_any_of").iter().filter_map(Value::as_str);
            let mut lines = any.map(sorted_lines);
            row["want"] == text.as_str() || lines.any(|lines| lines == sorted_lines(text))
        }
        Err(error) => {
            row["error"] == error.to_string()
                && row["removed_field"].is_string() == error.is_removed_field()
        }
    };
    let want = [&row["want"], &row["error"], &row["want_any_of"][0]];
    let want = want.iter().find(|want| !want.is_null());
    let got = got.map_err(|error| error.to_string());
    (!is_right).then(|| format!("{template}\n  got  {got:?}\n  want {want:?}"))
}

#[test]
fn messages_are_those_that_flux_makes() {
    let mut wrong = Vec::new();
    let mut n_folders = 0;
    for folder in folders() {
        let read = |name: &str| std::fs::read_to_string(folder.join(name));
        let Ok(rows) = read("templates.jsonl") else {
            continue;
        };
        let all = read("templates-data.json").expect("the data is beside the templates");
        let all: Value = serde_json::from_str(&all).expect("the data is JSON");
        n_folders += 1;
        let (mut n_rows, mut n_refused) = (0, 0);
        let before = wrong.len();
        for line in rows.lines() {
            let row: Value = serde_json::from_str(line).expect("each row is JSON");
            n_rows += 1;
            n_refused += usize::from(refused(&row).is_some());
            wrong.extend(check(&row, &all));
        }
        let n_right = n_rows - n_refused - (wrong.len() - before);
        count(&format!(
            "{}: {n_right} of {n_rows} templates, {n_refused} refused by name",
            folder.display()
        ));
        assert!(n_rows > 0, "{} has no rows", folder.display());
    }
    assert!(n_folders > 0, "there is no folder with templates.jsonl");
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
