//! What is known of one object, as bytes of the index's file.
//!
//! In: a [`Record`]. Out: a frame: the length and the checksum of its body, then the body: what it is
//! of, the object's id and, where there is something to tell, JSON. Back: the records of a file from
//! its first frame up to the first one that is not whole. Pure.

use flate2::Crc;
use serde::{Deserialize, Serialize};

use crate::git::{Entry, EntryKind, ObjectId};
use crate::update::Survey;

/// The longest body; of an object that has more to tell nothing is kept.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

const FILE: u8 = 0;
const FOLDER: u8 = 1;
const ID_BYTES: usize = 20;
/// Length and checksum.
const HEAD_BYTES: usize = 8;

/// What is known of one object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Record {
    /// A file; nothing when it has no marker.
    File(ObjectId, Option<Survey>),
    /// A folder; nothing when there is no marker below it.
    Folder(ObjectId, Option<Vec<Entry>>),
}

/// An entry of a folder as JSON.
#[derive(Serialize, Deserialize)]
struct Row {
    name: String,
    kind: EntryKind,
    id: String,
}

impl From<&Entry> for Row {
    fn from(entry: &Entry) -> Self {
        Self {
            name: entry.name.clone(),
            kind: entry.kind,
            id: entry.id().to_string(),
        }
    }
}

/// Returns the frame of a file; nothing when it has too much to tell.
pub(super) fn of_file(id: ObjectId, survey: Option<&Survey>) -> Option<Vec<u8>> {
    frame(FILE, id, survey)
}

/// Returns the frame of a folder; nothing when it has too much to tell.
pub(super) fn of_folder(id: ObjectId, entries: Option<&[Entry]>) -> Option<Vec<u8>> {
    let rows: Option<Vec<Row>> = entries.map(|entries| entries.iter().map(Row::from).collect());
    frame(FOLDER, id, rows.as_ref())
}

fn frame<T: Serialize>(kind: u8, id: ObjectId, told: Option<&T>) -> Option<Vec<u8>> {
    let mut body = vec![kind];
    body.extend_from_slice(id.as_slice());
    if let Some(told) = told {
        serde_json::to_writer(&mut body, told).expect("because texts and numbers are JSON");
    }
    if body.len() > BODY_BYTES_MAX {
        return None;
    }
    let length = u32::try_from(body.len()).ok()?;
    let mut frame = Vec::with_capacity(HEAD_BYTES + body.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&checksum(&body).to_le_bytes());
    frame.extend_from_slice(&body);
    Some(frame)
}

/// Takes the first record off the bytes, with the length of its frame. Returns nothing when it is not
/// whole.
pub(super) fn take_first(bytes: &[u8]) -> Option<(Record, usize)> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if length > BODY_BYTES_MAX {
        return None;
    }
    let body = rest.get(..length)?;
    if checksum(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    Some((read(body)?, HEAD_BYTES + length))
}

fn read(body: &[u8]) -> Option<Record> {
    let (kind, rest) = body.split_first()?;
    let (id, told) = rest.split_at_checked(ID_BYTES)?;
    let id = ObjectId::try_from(id).ok()?;
    match *kind {
        FILE => Some(Record::File(id, told_of(told)?)),
        FOLDER => {
            let rows: Option<Vec<Row>> = told_of(told)?;
            let Some(rows) = rows else {
                return Some(Record::Folder(id, None));
            };
            let entries: Option<Vec<Entry>> = rows.into_iter().map(entry).collect();
            Some(Record::Folder(id, Some(entries?)))
        }
        _ => None,
    }
}

fn told_of<T: for<'de> Deserialize<'de>>(told: &[u8]) -> Option<Option<T>> {
    match told {
        [] => Some(None),
        told => serde_json::from_slice(told).ok().map(Some),
    }
}

fn entry(row: Row) -> Option<Entry> {
    let id = ObjectId::from_hex(row.id.as_bytes()).ok()?;
    Some(Entry::new(row.name, row.kind, id))
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::Problem;

    fn id(n: u8) -> ObjectId {
        ObjectId::from_bytes_or_panic(&[n; ID_BYTES])
    }

    fn records() -> Vec<(Record, Vec<u8>)> {
        let survey = crate::update::survey(b"a: 1 # {\"$imagepolicy\": \"ns:app:tag\"}\n").unwrap();
        let entries = [
            Entry::new(
                "a.yaml".to_owned(),
                EntryKind::File { executable: true },
                id(8),
            ),
            Entry::new("b".to_owned(), EntryKind::Folder, id(9)),
            Entry::new("c.yaml".to_owned(), EntryKind::Link, id(10)),
        ];
        let frames = [
            of_file(id(1), None),
            of_file(id(2), Some(&survey)),
            of_folder(id(3), None),
            of_folder(id(4), Some(&entries)),
        ];
        let records = [
            Record::File(id(1), None),
            Record::File(id(2), Some(survey)),
            Record::Folder(id(3), None),
            Record::Folder(id(4), Some(entries.to_vec())),
        ];
        records
            .into_iter()
            .zip(frames.map(Option::unwrap))
            .collect()
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        for (record, frame) in records() {
            let followed = [frame.as_slice(), b"more"].concat();
            assert_eq!(take_first(&followed), Some((record, frame.len())));
        }
    }

    #[test]
    fn a_record_that_is_cut_or_altered_anywhere_does_not_read() {
        for (_, frame) in records() {
            for n in 0..frame.len() {
                assert_eq!(take_first(&frame[..n]), None, "cut at {n}");
                let mut altered = frame.clone();
                altered[n] ^= 0x10;
                assert_eq!(take_first(&altered), None, "altered at {n}");
            }
        }
    }

    #[test]
    fn an_object_with_too_much_to_tell_is_not_kept() {
        let survey = Survey {
            problems: vec![Problem {
                line: 1,
                reason: "x".repeat(BODY_BYTES_MAX),
            }],
            ..Survey::default()
        };
        assert_eq!(of_file(id(1), Some(&survey)), None);
    }
}
