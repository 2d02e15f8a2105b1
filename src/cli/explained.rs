//! What a policy makes of tags, for people and for programs.
//!
//! In: an [`Explanation`], and what automations make of the choice. Out: a row a tag and a row an
//! automation on stdout; the choice, why the newest tag is not it and what helps on stderr; or all of
//! that as one document.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::output;
use super::policy::writers::Writers;
use crate::policy::{Explanation, Verdict};
use crate::safe::printable;

/// What of an explanation is printed, and how.
pub(super) struct View<'v> {
    /// What is explained, such as the name of the policy.
    pub subject: &'v str,
    /// The only tag whose verdict is printed; all of them without it.
    pub tag: Option<&'v str>,
    /// The form.
    pub format: output::Format,
    /// What automations make of the choice, where that was asked.
    pub writers: Option<&'v Writers>,
}

/// Prints an explanation; a policy that chooses nothing is a failure. Fails when stdout is closed.
pub(super) fn show(explanation: &Explanation, view: &View<'_>) -> anyhow::Result<ExitCode> {
    let shown = |verdict: &&Verdict| view.tag.is_none_or(|tag| tag == verdict.tag);
    let verdicts: Vec<&Verdict> = explanation.verdicts.iter().filter(shown).collect();
    if let (Some(tag), true) = (view.tag, verdicts.is_empty()) {
        anyhow::bail!("{tag} is not among the {} tags", explanation.verdicts.len());
    }
    match view.format {
        output::Format::Table => {
            let rows: Vec<_> = verdicts.iter().map(|verdict| row(verdict)).collect();
            let header = ["TAG", "COMPARED", "RULE", "VERDICT"];
            let mut text = output::table(&header, &rows);
            if let Some(writers) = view.writers {
                text += &writers.table();
            }
            output::text_out(&text)?;
        }
        format => {
            let mut document = document(explanation, &verdicts);
            if let Some(writers) = view.writers {
                document["automations"] = writers.document();
            }
            output::print(format, &document)?;
        }
    }
    tell(explanation, view.subject);
    if let Some(writers) = view.writers {
        writers.tell();
    }
    Ok(match explanation.selection {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn row(verdict: &Verdict) -> Vec<String> {
    let value = verdict.value.as_deref().unwrap_or_default();
    vec![
        printable(&verdict.tag),
        printable(value),
        verdict.outcome.code().to_owned(),
        printable(&verdict.outcome.to_string()),
    ]
}

fn document(explanation: &Explanation, verdicts: &[&Verdict]) -> Value {
    let each = verdicts.iter().map(|verdict| {
        json!({"tag": verdict.tag, "value": verdict.value, "rule": verdict.outcome.code(),
            "verdict": verdict.outcome.to_string(), "refused": verdict.outcome.is_refused()})
    });
    let (chosen, error) = match &explanation.selection {
        Ok(selection) => (Some(&selection.tag), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let newest = explanation.newest_not_chosen().map(|newest| {
        json!({"tag": newest.tag, "rule": newest.outcome.code(),
            "verdict": newest.outcome.to_string()})
    });
    json!({"chosen": chosen, "error": error, "newest": newest, "hint": explanation.advice(),
        "counts": explanation.counts(), "tags": each.collect::<Vec<_>>()})
}

fn tell(explanation: &Explanation, subject: &str) {
    let counts = explanation.counts();
    let counts: Vec<_> = counts
        .iter()
        .map(|(code, n)| format!("{n} {code}"))
        .collect();
    let (n_tags, counts) = (explanation.verdicts.len(), counts.join(", "));
    match &explanation.selection {
        Ok(selection) => eprintln!(
            "{subject} chooses {} of {n_tags} tags: {counts}",
            printable(&selection.tag)
        ),
        Err(error) => super::hint::print(&anyhow::anyhow!(
            "{subject} chooses none of {n_tags} tags: {}{}{counts}",
            printable(&error.to_string()),
            if counts.is_empty() { "" } else { ": " }
        )),
    }
    if let Some(newest) = explanation.newest_not_chosen() {
        let (tag, why) = (
            printable(&newest.tag),
            printable(&newest.outcome.to_string()),
        );
        eprintln!("the newest, {tag}, {why}");
    }
    if let Some(advice) = explanation.advice() {
        super::hint::advise(advice);
    }
}
