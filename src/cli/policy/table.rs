//! `towpath policy test PATH`: policies against the tables that stand beside them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::json;
use yaml::document::{self, Document, SpanNode};

use super::junit::{self, Case};
use crate::cli::hint::Hint;
use crate::cli::output;
use crate::policy::table;

/// The end of a table's file name; what is before it, with `.yaml`, is the policy's.
const TABLE: &str = ".test.yaml";

/// Runs every NAME.test.yaml against the ImagePolicy in NAME.yaml beside it.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A table, or a folder of them.
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,
    /// The form of the output.
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t)]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Form {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
    /// JUnit's XML, for CI systems.
    Junit,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let path = &arguments.path;
    let mut tables = Vec::new();
    find(path, &mut tables)?;
    tables.sort();
    if tables.is_empty() {
        return Err(anyhow::anyhow!(
            "{}: no file ends in {TABLE}",
            path.display()
        ))
        .hint("NAME.test.yaml stands beside the policy in NAME.yaml; the cookbook shows nine");
    }
    let mut cases = Vec::new();
    for table in &tables {
        cases.extend(run_table(table)?);
    }
    let failed = cases
        .iter()
        .filter(|case| !case.problems.is_empty())
        .count();
    let passed = cases.len() - failed;
    let form = match arguments.output {
        Form::Table => {
            let rows: Vec<_> = cases.iter().map(row).collect();
            output::text_out(&output::table(&["POLICY", "CASE", "RESULT"], &rows))?;
            tell(&cases);
            eprintln!("{passed} passed, {failed} failed");
            return Ok(code(failed));
        }
        Form::Junit => {
            output::text_out(&junit::document(&cases))?;
            tell(&cases);
            return Ok(code(failed));
        }
        Form::Json => output::Format::Json,
        Form::Yaml => output::Format::Yaml,
    };
    let each = cases.iter().map(|case| {
        json!({"policy": case.suite, "case": case.name, "file": case.file, "line": case.line,
            "problems": case.problems})
    });
    let each: Vec<_> = each.collect();
    output::print(
        form,
        &json!({"passed": passed, "failed": failed, "cases": each}),
    )?;
    Ok(code(failed))
}

fn code(n_failed: usize) -> ExitCode {
    match n_failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn row(case: &Case) -> Vec<String> {
    let result = match case.problems.is_empty() {
        true => "passed",
        false => "FAILED",
    };
    vec![case.suite.clone(), case.name.clone(), result.to_owned()]
}

/// Tells what is wrong, by file and line.
fn tell(cases: &[Case]) {
    for case in cases {
        for problem in &case.problems {
            eprintln!("{}:{}: {}: {problem}", case.file, case.line, case.name);
        }
    }
}

fn run_table(file: &Path) -> anyhow::Result<Vec<Case>> {
    let name = file.to_string_lossy().trim_end_matches(TABLE).to_owned();
    let policy = PathBuf::from(format!("{name}.yaml"));
    let read = |file: &Path| {
        std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))
    };
    let text = read(&policy).hint(format!(
        "a table {} tests the policy beside it",
        file.display()
    ))?;
    let table = read(file)?;
    let outcomes = table::run(&text, &table)
        .with_context(|| format!("test {} by {}", policy.display(), file.display()))?;
    let stem = policy.file_stem().unwrap_or_default().to_string_lossy();
    let lines = lines(&table).into_iter().chain(std::iter::repeat(1));
    let cases = outcomes.into_iter().zip(lines).map(|(outcome, line)| Case {
        suite: stem.clone().into_owned(),
        name: outcome.name,
        file: file.display().to_string(),
        line,
        problems: outcome.differences,
    });
    Ok(cases.collect())
}

/// Returns the line that each case of a table begins in.
fn lines(table: &str) -> Vec<u32> {
    let Some(Ok(document)) = document::read(table).into_iter().next() else {
        return Vec::new();
    };
    let cases = document
        .root
        .as_ref()
        .and_then(|root| document.get(root, "cases"));
    let Some(SpanNode::Sequence(cases)) = cases else {
        return Vec::new();
    };
    cases.iter().map(|case| line(&document, case)).collect()
}

/// Returns the line of the first scalar of a node.
fn line(document: &Document, node: &SpanNode) -> u32 {
    match node {
        SpanNode::Scalar(index) => document.scalars.get(*index).map_or(1, |scalar| scalar.line),
        SpanNode::Mapping(entries) => entries.first().map_or(1, |(key, _)| line(document, key)),
        SpanNode::Sequence(items) => items.first().map_or(1, |item| line(document, item)),
        SpanNode::Alias => 1,
    }
}

fn find(path: &Path, tables: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        tables.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).with_context(|| format!("read {}", path.display()))? {
        let entry = entry?.path();
        if entry.is_dir() || entry.to_string_lossy().ends_with(TABLE) {
            find(&entry, tables)?;
        }
    }
    Ok(())
}
