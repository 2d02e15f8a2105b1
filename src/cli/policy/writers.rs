//! What automations make of a policy's choice, as `towpath policy explain` shows it.
//!
//! In: a cluster, a policy and its choice, and where to look for markers. Out: a row an automation, and
//! what helps where none writes the choice.

use std::path::Path;

use anyhow::Context as _;
use kube::Client;
use serde_json::{Value, json};

use crate::api::{ImagePolicy, ImageRef};
use crate::cli::scratch::Scratch;
use crate::cli::update::folder::Folder;
use crate::cli::{hint, output, progress};
use crate::controllers::{self, Choice, Trees, Writer};
use crate::git::Git;
use crate::reconcile::Key;
use crate::safe::printable;

/// The automations of a policy's namespace.
pub(in crate::cli) struct Writers {
    policy: Key,
    writers: Vec<Writer>,
}

/// Where a policy's choice is looked for.
pub(super) struct Question<'q> {
    /// The policy.
    pub policy: &'q ImagePolicy,
    /// Its choice.
    pub latest: ImageRef,
    /// Whether controllers keep the statuses of the cluster.
    pub is_served: bool,
    /// A folder in place of the branches of the automations.
    pub folder: Option<&'q Path>,
}

impl Writers {
    /// Looks for the choice where automations write. Fails when the cluster does not answer.
    pub(super) async fn find(client: &Client, question: Question<'_>) -> anyhow::Result<Self> {
        let policy = Key::of(question.policy);
        let scratch = Scratch::new("explain")?;
        let choice = Choice {
            policy: question.policy,
            latest: question.latest,
            is_served: question.is_served,
        };
        let trees = match question.folder {
            Some(folder) => Trees::Folder(Folder::new(folder)),
            None => Trees::Branches(Git::open(scratch.path())?),
        };
        let writers = controllers::writers(client, &choice, &trees);
        let writers = progress::during("looking for markers", writers).await;
        let writers = writers.context("read the ImageUpdateAutomations")?;
        Ok(Self { policy, writers })
    }

    /// Returns a table of them behind an empty line; nothing where there is none.
    pub(in crate::cli) fn table(&self) -> String {
        if self.writers.is_empty() {
            return String::new();
        }
        let row = |writer: &Writer| {
            let branch = writer.branch.as_deref().unwrap_or("-");
            let path = Some(writer.path.as_str()).filter(|path| !path.is_empty());
            vec![
                writer.automation.to_string(),
                printable(branch),
                printable(path.unwrap_or(".")),
                writer.verdict.code().to_owned(),
                printable(&writer.verdict.to_string()),
            ]
        };
        let rows: Vec<_> = self.writers.iter().map(row).collect();
        let header = ["AUTOMATION", "BRANCH", "PATH", "RULE", "VERDICT"];
        format!("\n{}", output::table(&header, &rows))
    }

    /// Returns them as data.
    pub(in crate::cli) fn document(&self) -> Value {
        let each = self.writers.iter().map(|writer| {
            json!({"automation": writer.automation.to_string(), "branch": writer.branch,
                "path": writer.path, "rule": writer.verdict.code(),
                "verdict": writer.verdict.to_string(), "good": writer.verdict.is_good(),
                "hint": writer.verdict.advice(&self.policy),
                "lastPushCommit": writer.last_push_commit})
        });
        Value::Array(each.collect())
    }

    /// Says on stderr whether somebody writes the choice, and what helps where nobody does.
    pub(in crate::cli) fn tell(&self) {
        if self.writers.iter().any(|writer| writer.verdict.is_good()) {
            return;
        }
        if self.writers.is_empty() {
            eprintln!("no commit follows: no ImageUpdateAutomation is known");
            return;
        }
        eprintln!("no commit follows: no automation writes the choice");
        let mut advice: Vec<String> = Vec::new();
        for writer in &self.writers {
            let new = writer.verdict.advice(&self.policy);
            advice.extend(new.filter(|new| !advice.contains(new)));
        }
        advice
            .iter()
            .for_each(|advice| hint::advise(&printable(advice)));
    }
}
