//! Runs the recorded tables of image automation: references, durations, versions, patterns,
//! policies and marker edits.
//!
//! The tables stand in `testdata/image`; folders named in `TOWPATH_CASES_IMAGE`, parted by colons,
//! are run as well where they have a table of that name. Each table prints how many rows it ran.

#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

mod forms;
mod setters;
mod templates;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use towpath::duration::Duration;
use towpath::image::{self, Identifier, Reference, Repository, Scheme};
use towpath::pattern::Pattern;
use towpath::policy::{self, Choice, Filter, Policy};
use towpath::version::{self, Constraint, Version};

/// Returns the folders that hold tables, our own first.
pub(crate) fn folders() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/image");
    let others = std::env::var("TOWPATH_CASES_IMAGE").unwrap_or_default();
    let others = others.split(':').filter(|folder| !folder.is_empty());
    std::iter::once(own)
        .chain(others.map(PathBuf::from))
        .collect()
}

/// Prints a count even where the test passes, past the capture of test output.
pub(crate) fn count(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("because stdout is open while tests run");
}

/// Runs every row of a table through `check`, which says what is wrong; fails with all of that.
fn run_table(name: &str, check: impl Fn(&Value) -> Result<(), String>) {
    let mut wrong = Vec::new();
    let mut n_rows = 0;
    for folder in folders() {
        let Ok(table) = std::fs::read_to_string(folder.join(name)) else {
            continue;
        };
        let mut n_here = 0;
        for line in table.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            n_here += 1;
            if let Err(difference) = check(&row) {
                wrong.push(format!("{difference}\n    {line}"));
            }
        }
        count(&format!("{}: {n_here} rows of {name}", folder.display()));
        n_rows += n_here;
    }
    assert!(n_rows > 0, "no rows of {name}");
    let shown = wrong[..wrong.len().min(20)].join("\n");
    assert!(
        wrong.is_empty(),
        "{} rows of {name} differ:\n{shown}",
        wrong.len()
    );
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Result<(), String> {
    if got == want {
        return Ok(());
    }
    Err(format!("{what}: got {got:?}, want {want:?}"))
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

/// Compares a result with a pair of fields, `value` and `error`, of which one is there.
fn same_result<E: std::fmt::Display>(
    row: &Value,
    (value, error): (&str, &str),
    got: Result<Value, E>,
) -> Result<(), String> {
    match got {
        Ok(got) => same(value, &got, &row[value]),
        Err(got) => same(error, got.to_string().as_str(), text(row, error)),
    }
}

fn described(reference: &Reference) -> Value {
    let repository = reference.repository();
    let mut fields = serde_json::json!({
        "kind": "digest",
        "name": reference.to_string(),
        "string": reference.as_written(),
        "registry": repository.registry().as_str(),
        "repository": repository.path(),
        "identifier": reference.identifier().to_string(),
        "scheme": match repository.registry().scheme() {
            Scheme::Http => "http",
            Scheme::Https => "https",
        },
    });
    if let Identifier::Tag(tag) = reference.identifier() {
        fields["kind"] = "tag".into();
        fields["tag"] = tag.as_str().into();
    }
    fields
}

#[test]
fn references_are_read_as_go_containerregistry_reads_them() {
    run_table("refs.jsonl", |row| {
        let input = text(row, "in");
        let weak = Reference::parse(input).map(|reference| described(&reference));
        same_result(row, ("weak", "weak_error"), weak)?;
        let strict = Reference::parse_as(input, image::Reading::Strict);
        let strict = strict.map(|reference| described(&reference));
        same_result(row, ("strict", "strict_error"), strict)?;
        let canonical = Repository::parse_image_field(input).map(|name| name.to_string().into());
        same_result(row, ("canonical", "canonical_error"), canonical)
    });
}

#[test]
fn durations_are_read_and_printed_as_go_does() {
    run_table("duration.jsonl", |row| {
        let input = text(row, "in");
        let decoded = serde_json::from_value::<Duration>(input.into());
        match (Duration::parse(input), decoded) {
            (Ok(duration), Ok(decoded)) => {
                same("decoded", decoded, duration)?;
                same_printed(row, duration)
            }
            (Err(error), Err(decode_error)) => {
                same("error", error.to_string().as_str(), text(row, "error"))?;
                let decode_error = decode_error.to_string();
                same(
                    "json_decode_error",
                    decode_error.as_str(),
                    text(row, "json_decode_error"),
                )
            }
            (parsed, decoded) => Err(format!("{parsed:?} differs from {decoded:?}")),
        }
    });
}

fn same_printed(row: &Value, duration: Duration) -> Result<(), String> {
    let nanoseconds = row["nanoseconds"].as_i64();
    same("nanoseconds", Some(duration.as_nanoseconds()), nanoseconds)?;
    same("string", duration.to_string().as_str(), text(row, "string"))?;
    let rounded = duration.round_to_seconds().to_string();
    same(
        "round_seconds",
        rounded.as_str(),
        text(row, "round_seconds"),
    )?;
    let json = serde_json::to_string(&duration).unwrap();
    let want = row["json"].as_str().unwrap_or(&json);
    same("json", json.as_str(), want)
}

#[test]
fn durations_are_printed_as_go_prints_them() {
    run_table("duration-print.jsonl", |row| {
        let nanoseconds = row["nanoseconds"].as_i64().unwrap();
        same_printed(row, Duration::from_nanoseconds(nanoseconds))
    });
}

#[test]
fn durations_in_json_are_strings_and_nothing_else() {
    run_table("duration-json.jsonl", |row| {
        let decoded: Result<Duration, _> = serde_json::from_str(text(row, "json_in"));
        match decoded {
            Ok(duration) => {
                let nanoseconds = row["nanoseconds"].as_i64();
                same("nanoseconds", Some(duration.as_nanoseconds()), nanoseconds)?;
                let json = serde_json::to_string(&duration).unwrap();
                same("json", json.as_str(), text(row, "json"))
            }
            Err(error) => {
                // serde_json adds the place; the message before it is Go's.
                let error = error.to_string();
                let message = error.split(" at line ").next().unwrap_or(&error);
                same("error", message, text(row, "error"))
            }
        }
    });
}

#[test]
fn patterns_match_and_expand_as_in_go() {
    run_table("regex.jsonl", |row| {
        let pattern = match (Pattern::new(text(row, "pattern")), row["compiles"] == true) {
            (Ok(pattern), true) => pattern,
            (Err(error), false) => {
                return same("error", error.to_string().as_str(), text(row, "error"));
            }
            (got, _) => return Err(format!("{got:?}")),
        };
        same(
            "groups",
            serde_json::json!(pattern.names()),
            row["groups"].clone(),
        )?;
        let input = text(row, "input");
        let found = pattern.find(input);
        same("matches", pattern.is_match(input), row["matches"] == true)?;
        let Some(found) = found else {
            return same("matches", false, row["matches"] == true);
        };
        let groups = 0..pattern.names().len();
        let submatches: Vec<_> = groups.clone().map(|group| found.group(group)).collect();
        same(
            "submatches",
            serde_json::json!(submatches),
            row["submatches"].clone(),
        )?;
        let loc: Vec<i64> = groups
            .flat_map(|group| match found.range(group) {
                Some(range) => [range.start as i64, range.end as i64],
                None => [-1, -1],
            })
            .collect();
        same("loc", serde_json::json!(loc), row["loc"].clone())?;
        let expanded = pattern.expand(text(row, "template"), &found);
        same("expanded", expanded.as_str(), text(row, "expanded"))
    });
}

#[test]
fn constraints_admit_what_masterminds_semver_admits() {
    run_table("semver-constraints.jsonl", |row| {
        let constraint = Constraint::parse(text(row, "constraint"));
        let version = Version::parse(text(row, "version"));
        let tag = Version::parse_tag(text(row, "version"));
        same("parses", constraint.is_ok(), row["parses"] == true)?;
        same(
            "version_parses",
            version.is_ok(),
            row["version_parses"] == true,
        )?;
        same("tag_parses", tag.is_ok(), row["tag_parses"] == true)?;
        match (constraint, version) {
            (Ok(constraint), Ok(version)) => {
                let admits = constraint.admits(&version);
                same("satisfied", admits, row["satisfied"] == true)
            }
            (constraint, version) => {
                let error = constraint.err().map(|error| error.to_string());
                same(
                    "constraint_error",
                    error.as_deref(),
                    row["constraint_error"].as_str(),
                )?;
                let error = version.err().map(|error| error.to_string());
                same(
                    "version_error",
                    error.as_deref(),
                    row["version_error"].as_str(),
                )
            }
        }
    });
}

#[test]
fn versions_compare_by_precedence() {
    run_table("semver-compare.jsonl", |row| {
        let version = |field| Version::parse(text(row, field));
        match (version("a"), version("b")) {
            (Ok(a), Ok(b)) => {
                let order = a.cmp_precedence(&b) as i64;
                same("cmp", Some(order), row["cmp"].as_i64())
            }
            (a, b) => same(
                "error",
                Some(format!("{a:?} {b:?}").as_str()),
                row["error"].as_str(),
            ),
        }
    });
}

#[test]
fn tags_are_sorted_newest_first() {
    run_table("semver-order.jsonl", |row| {
        let constraint = row["constraint"]
            .as_str()
            .map(|text| Constraint::parse(text).unwrap());
        let tags = row["in"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str);
        let sorted = version::newest_first(tags, constraint.as_ref());
        let sorted: Vec<_> = sorted.iter().map(Version::as_str).collect();
        same("out", serde_json::json!(sorted), row["out"].clone())
    });
}

fn choice(policy: &Value) -> Result<Choice, policy::Error> {
    let member = |name| policy[name].as_str().map(str::to_owned);
    if let Some(range) = member("semver") {
        return Ok(Choice::SemVer { range });
    }
    if let Some(order) = member("alphabetical") {
        return Ok(Choice::Alphabetical { order });
    }
    let order = member("numerical").ok_or(policy::Error::NoChoice)?;
    Ok(Choice::Numerical { order })
}

#[test]
fn policies_choose_as_flux_does() {
    run_table("policy.jsonl", |row| {
        let filter = row["filterTags"].as_object().map(|_| Filter {
            pattern: text(&row["filterTags"], "pattern").to_owned(),
            extract: text(&row["filterTags"], "extract").to_owned(),
        });
        let tags = row["tags"].as_array().unwrap();
        let tags: Vec<&str> = tags.iter().filter_map(Value::as_str).collect();
        let policy =
            choice(&row["policy"]).and_then(|choice| Policy::new(&choice, filter.as_ref()));
        let selection = policy.and_then(|policy| {
            let selection = policy.choose(tags.iter().copied());
            let explanation = policy.explain(tags.iter().copied());
            assert_eq!(
                selection, explanation.selection,
                "explain chooses what choose chooses"
            );
            if let Some(want) = row["candidates"].as_object() {
                let values = explanation.verdicts.iter().filter_map(|verdict| {
                    let stands = !matches!(verdict.outcome, policy::Outcome::SameValue { .. });
                    Some((verdict.value.clone()?, Value::from(verdict.tag.as_str())))
                        .filter(|_| stands)
                });
                assert_eq!(&values.collect::<serde_json::Map<_, _>>(), want, "{row}");
            }
            selection
        });
        match selection {
            Ok(selection) => {
                // Numbers that one float stands for are compared digit by digit.
                let want = match row["want_exact_decimal"].as_str() {
                    Some(exact) => exact,
                    None => text(row, "want"),
                };
                same("want", selection.tag.as_str(), want)
            }
            Err(error) => {
                same("stalled", error.is_invalid_policy(), row["stalled"] == true)?;
                same("error", error.to_string().as_str(), text(row, "error"))
            }
        }
    });
}

/// Every policy that is shipped stands beside its table and passes it.
#[test]
fn shipped_policies_pass_their_tables() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let read = |path: &Path| {
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let mut n_policies = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".yaml") || name.ends_with(".test.yaml") {
            continue;
        }
        n_policies += 1;
        let table = path.with_extension("test.yaml");
        let outcomes = policy::table::run(&read(&path), &read(&table))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!outcomes.is_empty(), "{name} has no cases");
        count(&format!("{name}: {} cases", outcomes.len()));
        for outcome in outcomes {
            assert!(
                outcome.passes(),
                "{name}, {}: {:#?}",
                outcome.name,
                outcome.differences
            );
        }
    }
    assert_eq!(n_policies, 9);
}
