//! `towpath policy test PATH`: policies against the tables that stand beside them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;

use crate::cli::hint::Hint;
use crate::cli::output;
use crate::policy::table;

/// The end of a table's file name; what is before it, with `.yaml`, is the policy's.
const TABLE: &str = ".test.yaml";

/// Tests policies.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every NAME.test.yaml against the ImagePolicy in NAME.yaml beside it.
    Test {
        /// A table, or a folder of them.
        #[arg(default_value = ".", value_name = "PATH")]
        path: PathBuf,
        /// The form of the output.
        #[arg(short, long, value_enum, default_value_t)]
        output: output::Format,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Command::Test { path, output } = &arguments.command;
    test(path, *output)
}

fn test(path: &Path, format: output::Format) -> anyhow::Result<ExitCode> {
    let mut tables = Vec::new();
    find(path, &mut tables)?;
    tables.sort();
    anyhow::ensure!(
        !tables.is_empty(),
        "{}: no file ends in {TABLE}",
        path.display()
    );
    let mut rows = Vec::new();
    for table in &tables {
        rows.extend(run_table(table)?);
    }
    let failed = rows.iter().filter(|row| !row.problems.is_empty()).count();
    let passed = rows.len() - failed;
    match format {
        output::Format::Table => {
            let cells: Vec<_> = rows.iter().map(Row::cells).collect();
            output::text_out(&output::table(&["POLICY", "CASE", "RESULT"], &cells))?;
            for row in rows.iter().filter(|row| !row.problems.is_empty()) {
                for problem in &row.problems {
                    eprintln!("{}: {}: {problem}", row.policy, row.case);
                }
            }
            eprintln!("{passed} passed, {failed} failed");
        }
        format => {
            let cases: Vec<_> = rows.iter().map(Row::json).collect();
            output::print(
                format,
                &json!({"passed": passed, "failed": failed, "cases": cases}),
            )?;
        }
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One case of one policy.
struct Row {
    policy: String,
    case: String,
    problems: Vec<String>,
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let result = if self.problems.is_empty() {
            "passed"
        } else {
            "FAILED"
        };
        vec![self.policy.clone(), self.case.clone(), result.to_owned()]
    }

    fn json(&self) -> serde_json::Value {
        json!({"policy": self.policy, "case": self.case, "problems": self.problems})
    }
}

fn run_table(table: &Path) -> anyhow::Result<Vec<Row>> {
    let name = table.to_string_lossy().trim_end_matches(TABLE).to_owned();
    let policy = PathBuf::from(format!("{name}.yaml"));
    let read = |file: &Path| {
        std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))
    };
    let text = read(&policy).hint(format!(
        "a table {} tests the policy beside it",
        table.display()
    ))?;
    let outcomes = table::run(&text, &read(table)?)
        .with_context(|| format!("test {} by {}", policy.display(), table.display()))?;
    let stem = policy
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let rows = outcomes.into_iter().map(|outcome| Row {
        policy: stem.clone(),
        case: outcome.name,
        problems: outcome.differences,
    });
    Ok(rows.collect())
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
