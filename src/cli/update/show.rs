//! What an update did or would do: a diff of the files or the commits on stdout, the rest on stderr.
//!
//! On a terminal the diff is for people; into a pipe or a file it is for `git apply`, byte for byte.

use std::io::{IsTerminal as _, Write as _};

use serde_json::{Value, json};

use super::diff::{self, Reader};
use crate::cli::output;
use crate::controllers::{FileUpdate, Updated};
use crate::safe::printable;
use crate::update::ObjectChanges;

/// Prints what came of an update. Fails when stdout is closed.
pub(super) fn show(updated: &[Updated], format: output::Format) -> anyhow::Result<()> {
    if format == output::Format::Table {
        write(updated)?;
    } else {
        output::print(format, &updated.iter().map(document).collect())?;
    }
    for updated in updated {
        tell(updated);
    }
    Ok(())
}

fn write(updated: &[Updated]) -> std::io::Result<()> {
    let stdout = std::io::stdout();
    let reader = match stdout.is_terminal() {
        true => Reader::Person {
            colour: anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never,
        },
        false => Reader::Program,
    };
    let mut text = Vec::new();
    for updated in updated {
        for file in &updated.files {
            diff::write(&file.path, &file.before, &file.after, reader, &mut text);
        }
        if let Some(commit) = &updated.commit {
            text.extend(format!("{}: pushed {commit}\n", updated.automation).bytes());
        }
    }
    let mut stdout = stdout.lock();
    stdout.write_all(&text)?;
    stdout.flush()
}

fn document(updated: &Updated) -> Value {
    let files: Vec<Value> = updated.files.iter().map(file).collect();
    json!({"automation": updated.automation.to_string(), "path": updated.path,
        "commit": updated.commit, "files": files, "ineffective": updated.ineffective})
}

fn file(file: &FileUpdate) -> Value {
    let mut text = Vec::new();
    let (before, after) = (&file.before, &file.after);
    diff::write(&file.path, before, after, Reader::Program, &mut text);
    // Only files that are UTF-8 are edited.
    let text = String::from_utf8_lossy(&text);
    let changes: Vec<Value> = file.objects.iter().flat_map(changes).collect();
    json!({"path": file.path, "diff": text, "changes": changes})
}

fn changes(of: &ObjectChanges) -> impl Iterator<Item = Value> {
    let object = &of.object;
    let object = json!({"apiVersion": object.api_version, "kind": object.kind,
        "namespace": object.namespace, "name": object.name});
    of.changes.iter().map(move |change| {
        json!({"object": object, "line": change.line, "oldValue": change.old_value,
            "newValue": change.new_value, "setter": change.setter})
    })
}

fn tell(updated: &Updated) {
    for line in &updated.ineffective {
        eprintln!("{}", printable(line));
    }
    match (updated.files.len(), &updated.commit) {
        (0, None) => eprintln!("{}: up to date", updated.automation),
        (0, Some(_)) => {}
        (1, _) => eprintln!("{}: 1 file changes", updated.automation),
        (n_files, _) => eprintln!("{}: {n_files} files change", updated.automation),
    }
}
