//! Commits as objects.
//!
//! In: a [`Change`], a tree, a parent. Out: the commit object, signed when there is a key. Pure; the
//! time comes in.

use std::{collections::BTreeMap, sync::Arc};

use gix::{ObjectId, objs::Commit};

use super::{Error, objects::Object, sign::SigningKey};

/// The header of a commit that holds its signature, whatever kind it is.
const SIGNATURE: &str = "gpgsig";

/// A name and an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

/// New bytes for paths, and what the commit says.
#[derive(Debug, Clone)]
pub struct Change {
    /// Path below the root, with `/` between its parts, to the file's new content. A file keeps its
    /// mode; a new one is a regular file.
    pub edits: BTreeMap<String, Vec<u8>>,
    /// Author and committer.
    pub author: Person,
    /// The commit's time in seconds since 1970, UTC.
    pub time_s: i64,
    /// The message, taken as it is.
    pub message: String,
    /// Lines `key: value` put below the message, by which a push is recognised later.
    pub trailers: Vec<(String, String)>,
    /// What signs the commit, if anything.
    pub signing_key: Option<Arc<SigningKey>>,
}

/// Returns the commit object of a change.
pub(super) fn commit(
    change: &Change,
    tree: ObjectId,
    parent: Option<ObjectId>,
) -> Result<Object, Error> {
    let author = gix::actor::Signature {
        name: plain(&change.author.name).into(),
        email: plain(&change.author.email).into(),
        time: gix::date::Time::new(change.time_s, 0),
    };
    let mut commit = Commit {
        tree,
        parents: parent.into_iter().collect(),
        committer: author.clone(),
        author,
        encoding: None,
        message: message(&change.message, &change.trailers).into(),
        extra_headers: Vec::new(),
    };
    let unsigned = Object::of(&commit)?;
    let Some(key) = &change.signing_key else {
        return Ok(unsigned);
    };
    let signature = key.sign(&unsigned.data, change.time_s)?;
    let header = (SIGNATURE.into(), signature.trim_end().into());
    commit.extra_headers.push(header);
    Object::of(&commit)
}

/// Returns a name or address without what would end it: Git drops these bytes, too.
fn plain(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| !matches!(c, '<' | '>' | '\n' | '\r' | '\0'))
        .collect();
    kept.trim().to_owned()
}

/// Returns the message with its trailers in the last paragraph: in the one that is there when that
/// holds trailers already, since readers of trailers look at the last one alone.
fn message(text: &str, trailers: &[(String, String)]) -> String {
    // A NUL would end the message for most readers of Git objects.
    let mut text = text.replace('\0', "");
    if trailers.is_empty() {
        return text;
    }
    text.truncate(text.trim_end().len());
    text.push_str(match ends_with_trailers(&text) {
        true => "\n",
        false => "\n\n",
    });
    for (key, value) in trailers {
        text.push_str(&format!("{key}: {value}\n"));
    }
    text
}

/// Returns whether the last paragraph of a message, which is not its first, holds trailers alone.
fn ends_with_trailers(text: &str) -> bool {
    let Some((_, last)) = text.rsplit_once("\n\n") else {
        return false;
    };
    let is_key = |key: &str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !key.is_empty() && key.chars().all(is_letter)
    };
    last.lines().all(|line| {
        let key = line.split_once(": ").is_some_and(|(key, _)| is_key(key));
        key || line.starts_with([' ', '\t'])
    })
}

/// Returns a message without its last line, if that is a trailer of this key.
pub(super) fn without_trailer<'m>(message: &'m str, key: &str) -> &'m str {
    let text = message.trim_end();
    let start = text.rfind('\n').map_or(0, |at| at + 1);
    match text[start..].split_once(": ") {
        Some((found, _)) if found == key => text[..start].trim_end(),
        _ => message,
    }
}

/// Returns whether a message has the line `key: value`.
pub(super) fn has_trailer(message: &str, key: &str, value: &str) -> bool {
    message
        .lines()
        .any(|line| line.split_once(": ") == Some((key, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_trailers_stays_as_it_is() {
        assert_eq!(message("one\n\ntwo", &[]), "one\n\ntwo");
    }

    #[test]
    fn trailers_are_a_paragraph_that_is_found_again() {
        let trailers = [("Towpath-Update".to_owned(), "abc".to_owned())];
        let text = message("one\n", &trailers);
        assert_eq!(text, "one\n\nTowpath-Update: abc\n");
        assert!(has_trailer(&text, "Towpath-Update", "abc"));
        assert!(!has_trailer(&text, "Towpath-Update", "ab"));
    }

    #[test]
    fn trailers_join_those_that_are_there() {
        let trailers = [("Towpath-Update".to_owned(), "abc".to_owned())];
        for (text, want) in [
            (
                "one\n\nChange-Id: I12\n",
                "one\n\nChange-Id: I12\nTowpath-Update: abc\n",
            ),
            ("fix: it", "fix: it\n\nTowpath-Update: abc\n"),
            (
                "one\n\nNote that: two\n",
                "one\n\nNote that: two\n\nTowpath-Update: abc\n",
            ),
        ] {
            let message = message(text, &trailers);
            assert_eq!(message, want);
            assert_eq!(without_trailer(&message, "Towpath-Update"), text.trim_end());
        }
        assert_eq!(without_trailer("one: two\n", "three"), "one: two\n");
    }

    #[test]
    fn names_cannot_break_the_commit_header() {
        assert_eq!(plain(" Eve <x>\ncommitter "), "Eve xcommitter");
    }
}
