//! `towpath lint PATH`: markers that name nothing, stand in a wrong place, are no markers, or miss.
//!
//! Reads the manifests below a path, decides by the rules that `towpath update` writes by, prints what
//! is wrong with its place. With `--fix` it inserts missing markers and changes no other byte.

mod automations;
mod finding;
mod folder;
mod insert;
mod missing;
mod policies;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use self::finding::Finding;
use self::policies::Policies;
use super::hint::Hint;
use super::output;
use crate::safe::printable;

/// Checks the markers of manifests: those that name nothing, stand wrong, are malformed, or miss.
///
/// Policies and automations are those among the manifests themselves, and those that -f names; where
/// there are automations, each marker's policy must be one that an automation selects. Exit code 1 says
/// that something is wrong; with --fix, that something still is.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A file, or a folder of them.
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,
    /// More manifests with policies, repositories and automations, or folders of them.
    #[arg(short, long = "filename", value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// The namespace of objects that name none.
    #[arg(short, long, value_name = "NAMESPACE", default_value = "flux-system")]
    namespace: String,
    /// Inserts the missing markers.
    #[arg(long)]
    fix: bool,
    /// With --fix, inserts markers of this policy alone.
    #[arg(long, value_name = "[NAMESPACE/]NAME", requires = "fix")]
    policy: Option<String>,
    /// The form of the output.
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t)]
    output: output::Format,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let files = folder::files(&arguments.path)?;
    let mut policies = Policies::new(&arguments.namespace);
    for path in arguments.files.iter().chain([&arguments.path]) {
        for file in folder::files(path)? {
            policies.read(&folder::read(&file)?);
        }
    }
    let setters = policies.setters()?;
    let only = arguments.policy.as_deref().map(|name| policies.named(name));
    let only = only
        .transpose()
        .hint("-f names the manifests that hold the policy")?;
    let (mut findings, mut n_inserted) = (Vec::new(), 0);
    for file in &files {
        let mut bytes = folder::read(file)?;
        if !folder::is_candidate(file) {
            let found = finding::overlooked(&bytes).into_iter();
            findings.extend(found.map(|finding| (file.as_path(), finding)));
            continue;
        }
        let mut found = finding::check(&bytes, &policies, &setters);
        if arguments.fix {
            let fixed = insert::markers(&bytes, &found, only, &setters);
            if let Some((new, n)) = fixed {
                super::file::replace(file, &new)
                    .with_context(|| format!("write {}", file.display()))?;
                n_inserted += n;
                bytes = new;
                found = finding::check(&bytes, &policies, &setters);
            }
        }
        findings.extend(found.into_iter().map(|finding| (file.as_path(), finding)));
    }
    show(&findings, arguments.output)?;
    if n_inserted > 0 {
        eprintln!("{n_inserted} markers inserted");
    }
    eprintln!("{} files, {} findings", files.len(), findings.len());
    Ok(match findings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn show(findings: &[(&Path, Finding)], format: output::Format) -> anyhow::Result<()> {
    if format != output::Format::Table {
        let each = findings.iter().map(|(file, finding)| {
            json!({"file": file.display().to_string(), "line": finding.line,
                "column": finding.column, "kind": finding.kind.word(), "marker": finding.marker,
                "message": finding.message, "hint": finding.hint})
        });
        output::print(format, &Value::Array(each.collect()))?;
        return Ok(());
    }
    let mut text = String::new();
    for (file, finding) in findings {
        let Finding {
            line,
            column,
            kind,
            message,
            ..
        } = finding;
        let (place, message) = (printable(&file.display().to_string()), printable(message));
        text += &format!("{place}:{line}:{column}: {}: {message}\n", kind.word());
        if let Some(hint) = &finding.hint {
            text += &format!("  hint: {}\n", printable(hint));
        }
    }
    output::text_out(&text)?;
    Ok(())
}
