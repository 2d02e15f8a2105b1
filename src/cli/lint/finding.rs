//! What is wrong with the markers of one file, and where.
//!
//! In: the bytes of a file and the policies. Out: findings in the order of the text, decided by the
//! engine that writes updates; hints for people. Pure.

use super::automations::Unwritten;
use super::missing::{self, Missing};
use super::policies::Policies;
use crate::update::{Named, Reason, Setters, rewrite, survey};

/// The key of a marker.
const KEY: &str = "$imagepolicy";
/// Without these bytes no update looks into a file.
const TOKEN: &str = "\"$imagepolicy\"";

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: usize,
    /// What kind of thing.
    pub kind: Kind,
    /// The marker, as far as there is one; the one to insert where it misses.
    pub marker: String,
    /// What is wrong.
    pub message: String,
    /// What helps.
    pub hint: Option<String>,
    /// Where a marker misses.
    pub missing: Option<Missing>,
}

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The marker names no policy, or a part that the policy does not have.
    Unknown,
    /// No automation writes the policy that the marker names.
    Unselected,
    /// The marker stands where it has no effect.
    Place,
    /// The comment is no marker.
    Malformed,
    /// An image of a policy has no marker.
    Missing,
    /// The document cannot be read.
    Broken,
}

impl Kind {
    /// Returns the word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Unselected => "unselected",
            Self::Place => "place",
            Self::Malformed => "malformed",
            Self::Missing => "missing",
            Self::Broken => "broken",
        }
    }
}

/// Returns what is wrong in a file, in the order of the text.
pub(super) fn check(bytes: &[u8], policies: &Policies, setters: &Setters) -> Vec<Finding> {
    let mut findings = marked(bytes, policies, setters);
    findings.extend(unwritten(bytes, policies));
    if let Ok(text) = std::str::from_utf8(bytes) {
        findings.extend(misspelt(text));
        let missing = missing::find(text, policies).into_iter();
        findings.extend(missing.map(|missing| lacks(text, missing)));
    }
    findings.sort_by_key(|finding| (finding.line, finding.column));
    findings
}

/// Finds markers without effect, and documents that are left alone.
fn marked(bytes: &[u8], policies: &Policies, setters: &Setters) -> Vec<Finding> {
    let rewritten = rewrite(bytes, setters);
    let text = String::from_utf8_lossy(bytes);
    let mut findings = Vec::new();
    for told in rewritten.ineffective {
        let (kind, hint) = judged(&told.reason, policies);
        findings.push(Finding {
            line: told.line,
            column: column(&text, told.line, &told.marker),
            kind,
            message: told.reason.to_string(),
            marker: told.marker,
            hint,
            missing: None,
        });
    }
    for problem in rewritten.problems {
        findings.push(Finding {
            line: problem.line,
            column: 1,
            kind: Kind::Broken,
            marker: String::new(),
            message: problem.reason,
            hint: Some("markers in it have no effect".to_owned()),
            missing: None,
        });
    }
    let changes = rewritten
        .objects
        .into_iter()
        .flat_map(|object| object.changes);
    for change in changes {
        if change.setter.ends_with(":digest") && !policies.has_digest(&change.setter) {
            findings.push(Finding {
                line: change.line,
                column: column(&text, change.line, KEY),
                kind: Kind::Unknown,
                message: format!(
                    "{:?} asks for a digest that the policy does not reflect",
                    change.setter
                ),
                marker: change.setter,
                hint: Some("set spec.digestReflectionPolicy to Always or IfNotPresent".to_owned()),
                missing: None,
            });
        }
    }
    findings
}

/// Finds markers of policies that no automation writes.
fn unwritten(bytes: &[u8], policies: &Policies) -> Vec<Finding> {
    let Some(survey) = survey(bytes) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(bytes);
    let finding = |named: Named| {
        let Unwritten { message, hint } = policies.why_unwritten(&named.name)?;
        Some(Finding {
            line: named.line,
            column: column(&text, named.line, &named.marker),
            kind: Kind::Unselected,
            marker: named.name,
            message,
            hint: Some(hint),
            missing: None,
        })
    };
    survey.named.into_iter().filter_map(finding).collect()
}

/// Returns the markers in a file that no update looks into, in the order of the text.
pub(super) fn overlooked(bytes: &[u8]) -> Vec<Finding> {
    let text = String::from_utf8_lossy(bytes);
    let lines = (1..).zip(text.lines());
    let finding = |(line, text): (u32, &str)| Finding {
        line,
        column: in_line(text, TOKEN),
        kind: Kind::Place,
        marker: TOKEN.to_owned(),
        message: "no update looks into a file of this name".to_owned(),
        hint: Some(
            "markers count in files that end in .yaml or .yml, which may hold JSON, and in \
             Kustomization"
                .to_owned(),
        ),
        missing: None,
    };
    let lines = lines.filter(|(_, line)| line.contains(TOKEN));
    lines.map(finding).collect()
}

fn judged(reason: &Reason, policies: &Policies) -> (Kind, Option<String>) {
    let hint = |text: &str| Some(text.to_owned());
    match reason {
        Reason::UnknownPolicy(_) if policies.is_empty() => (
            Kind::Unknown,
            hint("name the manifests that hold the policies with -f"),
        ),
        Reason::UnknownPolicy(name) => {
            let like = policies.like(name);
            (Kind::Unknown, like.map(|like| format!("there is {like:?}")))
        }
        Reason::NoTagYet(_) => (
            Kind::Unknown,
            hint("a scan that finds a tag which the policy takes gives it one"),
        ),
        Reason::LeftOut(_) => (Kind::Unselected, None),
        Reason::NotAName(_) => (
            Kind::Malformed,
            hint("write namespace:policy, or one of its parts behind another colon"),
        ),
        Reason::NotJson(_) | Reason::NoKey => {
            let text =
                "nothing else may stand in the comment: # {\"$imagepolicy\": \"namespace:policy\"}";
            (Kind::Malformed, hint(text))
        }
        Reason::NoValue => (
            Kind::Place,
            hint("put it behind the value, on the same line"),
        ),
        Reason::MissingValue => (
            Kind::Place,
            hint("write a value in front of it, any will do"),
        ),
        Reason::Shadowed => (Kind::Place, hint("leave one of the two comments")),
        Reason::SeveralLines => (
            Kind::Place,
            hint("put it behind the value, on the same line"),
        ),
        Reason::DuplicateKey(_) => (Kind::Place, hint("remove the second one")),
        Reason::InText => (
            Kind::Place,
            hint("a comment within a text is text; take the value out of it"),
        ),
    }
}

/// Finds what was meant as a marker in a file that no update looks into.
fn misspelt(text: &str) -> Vec<Finding> {
    if text.contains(TOKEN) {
        return Vec::new();
    }
    let lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| line.contains(KEY) && line.contains('#'));
    let finding = |(line, text): (u32, &str)| Finding {
        line,
        column: in_line(text, KEY),
        kind: Kind::Malformed,
        marker: text
            .split_once('#')
            .map_or("", |(_, comment)| comment)
            .trim()
            .to_owned(),
        message: format!("the key of a marker stands in double quotes: {TOKEN}"),
        hint: Some("write # {\"$imagepolicy\": \"namespace:policy\"}".to_owned()),
        missing: None,
    };
    lines.map(finding).collect()
}

fn lacks(text: &str, missing: Missing) -> Finding {
    let names: Vec<String> = missing
        .markers
        .iter()
        .map(|marker| format!("{marker:?}"))
        .collect();
    let hint = match (&missing.obstacle, names.len()) {
        (Some(obstacle), _) => (*obstacle).to_owned(),
        (None, 1) => "--fix inserts it".to_owned(),
        (None, _) => "--fix --policy NAME inserts one of them".to_owned(),
    };
    let line_start = text[..missing.start].rfind('\n').map_or(0, |at| at + 1);
    Finding {
        line: missing.line,
        column: text[line_start..missing.start].chars().count() + 1,
        kind: Kind::Missing,
        marker: missing.markers.first().cloned().unwrap_or_default(),
        message: format!(
            "{:?} has no marker for {}",
            missing.value,
            names.join(" or ")
        ),
        hint: Some(hint),
        missing: Some(missing),
    }
}

/// Returns the column of a text in a line.
fn column(text: &str, line: u32, part: &str) -> usize {
    let at = usize::try_from(line).unwrap_or(usize::MAX);
    let line = text.lines().nth(at.saturating_sub(1)).unwrap_or_default();
    in_line(line, part)
}

fn in_line(line: &str, part: &str) -> usize {
    let before = line.find(part).map_or("", |at| &line[..at]);
    before.chars().count() + 1
}
