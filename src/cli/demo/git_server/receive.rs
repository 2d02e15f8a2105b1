//! Pushes: unpack, check that nothing is missing, move references that still have their old value.
//!
//! In: commands and a pack. Out: `report-status`. The caller gives one push the turn at a time.

use std::collections::HashSet;

use axum::http::StatusCode;
use gix::{
    ObjectId,
    objs::{Kind, TreeRefIter},
    refs::{
        Target,
        transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog},
    },
};

use super::{Line, Lines, Refusal, head_name, parse_id, references};
use crate::git::{
    check_name,
    objects::{self, HASH, absorb, commit_parts},
    pkt,
};

/// What a push may ask for.
pub(super) const CAPABILITIES: &str =
    "report-status delete-refs side-band-64k ofs-delta object-format=sha1";
/// Most references moved by one push.
const COMMANDS_MAX: usize = 1000;

/// One reference to move; a null id is no value.
struct Command {
    old: ObjectId,
    new: ObjectId,
    name: String,
}

/// Returns the answer to a push.
pub(super) fn serve(repository: &gix::Repository, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut lines = Lines::new(body);
    let mut commands = Vec::new();
    let mut banded = false;
    while let Some(Line::Text(line)) = lines.next()? {
        if line.starts_with("shallow ") {
            // The client's own cut; what is missing here is found below.
            continue;
        }
        let (command, words) = line.split_once('\0').unwrap_or((&line, ""));
        banded |= words.split(' ').any(|word| word == "side-band-64k");
        commands.push(parse(command)?);
        if commands.len() > COMMANDS_MAX {
            let text = format!("more than {COMMANDS_MAX} references");
            return Err(Refusal::Http(StatusCode::BAD_REQUEST, text));
        }
    }
    // Git asks with a lone flush whether a large push would be let in.
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let mut report = Vec::new();
    let unpacked = match lines.rest.is_empty() {
        true => Ok(None),
        false => absorb(&mut &lines.rest[..], repository, &false.into()),
    };
    match &unpacked {
        Ok(_) => pkt::line(&mut report, "unpack ok\n"),
        Err(cause) => pkt::line(&mut report, format!("unpack {}\n", one_line(cause))),
    }
    for command in &commands {
        let name = &command.name;
        let moved = match &unpacked {
            Ok(_) => update(repository, command),
            Err(_) => Err(Refusal::Git("unpacker error".to_owned())),
        };
        match moved {
            Ok(()) => pkt::line(&mut report, format!("ok {name}\n")),
            Err(cause) => pkt::line(&mut report, format!("ng {name} {}\n", one_line(&cause))),
        }
    }
    pkt::flush(&mut report);
    if !banded {
        return Ok(report);
    }
    let mut body = Vec::new();
    pkt::band(&mut body, 1, &report);
    pkt::flush(&mut body);
    Ok(body)
}

fn one_line(cause: &dyn std::error::Error) -> String {
    let text: String = cause
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    text.chars().take(500).collect()
}

fn parse(command: &str) -> Result<Command, Refusal> {
    let mut words = command.split(' ');
    let (Some(old), Some(new), Some(name), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        let text = format!("malformed command {command:?}");
        return Err(Refusal::Http(StatusCode::BAD_REQUEST, text));
    };
    Ok(Command {
        old: parse_id(old)?,
        new: parse_id(new)?,
        name: name.to_owned(),
    })
}

/// Moves one reference when it still has its old value.
fn update(repository: &gix::Repository, command: &Command) -> Result<(), Refusal> {
    let refuse = |text: &str| Refusal::Git(text.to_owned());
    let name = gix::refs::FullName::try_from(command.name.as_str());
    let name = name.map_err(|_| refuse("funny refname"))?;
    if !command.name.starts_with("refs/") {
        return Err(refuse("funny refname"));
    }
    let deletes = command.new.is_null();
    if deletes && head_name(repository).as_deref() == Some(&command.name) {
        return Err(refuse("deletion of the current branch prohibited"));
    }
    if !deletes {
        check(repository, command)?;
    }
    let expected = match command.old.is_null() {
        true => PreviousValue::MustNotExist,
        false => PreviousValue::MustExistAndMatch(Target::Object(command.old)),
    };
    let change = match deletes {
        true => Change::Delete {
            expected,
            log: RefLog::AndReference,
        },
        false => Change::Update {
            log: LogChange::default(),
            expected,
            new: Target::Object(command.new),
        },
    };
    let edit = RefEdit {
        change,
        name,
        deref: false,
    };
    repository
        .edit_references_as(Some(edit), None)
        .map_err(|_| refuse("failed to update ref: it has another value now"))?;
    Ok(())
}

/// Fails unless everything reachable from the new value is here and has names that Git allows.
fn check(repository: &gix::Repository, command: &Command) -> Result<(), Refusal> {
    let db = &repository.objects;
    let known: HashSet<ObjectId> = references(repository)?
        .values()
        .flat_map(|reference| [Some(reference.id), reference.peeled])
        .flatten()
        .collect();
    let mut seen = HashSet::new();
    let mut todo = vec![command.new];
    let (mut n_commits, mut checked) = (0, HashSet::new());
    while let Some(id) = todo.pop() {
        // What references name was complete before this push.
        if known.contains(&id) || !seen.insert(id) {
            continue;
        }
        let read = objects::try_read(db, id)?;
        let (kind, data) =
            read.ok_or_else(|| Refusal::Git("missing necessary objects".to_owned()))?;
        match kind {
            Kind::Tag => todo.push(objects::tag_target(id, &data)?),
            Kind::Commit => {
                let parts = commit_parts(id, &data)?;
                todo.extend(parts.parents);
                check_tree(repository, parts.tree, &mut checked)?;
                n_commits += 1;
            }
            kind if command.name.starts_with("refs/heads/") || n_commits > 0 => {
                return Err(Refusal::Git(format!("{id} is a {kind}, not a commit")));
            }
            Kind::Tree => check_tree(repository, id, &mut checked)?,
            Kind::Blob => {}
        }
    }
    Ok(())
}

fn check_tree(
    repository: &gix::Repository,
    root: ObjectId,
    checked: &mut HashSet<ObjectId>,
) -> Result<(), Refusal> {
    use gix::objs::Exists as _;
    let missing = || Refusal::Git("missing necessary objects".to_owned());
    let mut todo = vec![root];
    while let Some(id) = todo.pop() {
        if id.is_empty_tree() || !checked.insert(id) {
            continue;
        }
        let (_, data) = objects::try_read(&repository.objects, id)?.ok_or_else(missing)?;
        for entry in TreeRefIter::from_bytes(&data, HASH) {
            let entry = entry.map_err(|cause| Refusal::Git(cause.to_string()))?;
            let name = entry.filename.to_string();
            check_name(&name, &name)?;
            if entry.mode.is_tree() {
                todo.push(entry.oid.to_owned());
            } else if !entry.mode.is_commit() && !repository.objects.exists(entry.oid) {
                return Err(missing());
            }
        }
    }
    Ok(())
}
