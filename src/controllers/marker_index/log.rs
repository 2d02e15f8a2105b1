//! The index's file: a header that says whose it is, then records, each appended once.
//!
//! In: a folder; frames. Out: the records that the file held. It is a cache: whatever is not whole, was
//! written by other rules, or has grown too large is left behind, and the file begins anew. So nothing
//! is synced: what a power failure takes is read again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::record::{self, Record};
use crate::update::RULES;

/// Most bytes of the file.
pub(super) const BYTES_MAX: usize = 64 << 20;
/// The file in the folder.
const NAME: &str = "markers";
/// Raised when records are written otherwise.
const FORMAT: u32 = 1;

/// An open file.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    /// Where the next record goes: behind all that is known to be whole.
    end: u64,
}

impl Log {
    /// Opens the file in a folder, which is made when missing, and gives each record that it holds to
    /// `take`. Fails when the folder or the file cannot be used.
    pub fn open(folder: &Path, mut take: impl FnMut(Record, usize)) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path)?;
        let mut bytes = Vec::new();
        let most = BYTES_MAX as u64 + 1;
        Read::by_ref(&mut file).take(most).read_to_end(&mut bytes)?;
        let mut log = Self { path, file, end: 0 };
        let header = header();
        let records = bytes.strip_prefix(header.as_bytes());
        match records.filter(|_| bytes.len() <= BYTES_MAX) {
            Some(mut rest) => {
                while let Some((record, length)) = record::take_first(rest) {
                    take(record, length);
                    rest = rest.split_at(length).1;
                }
                log.cut(bytes.len() - rest.len())?;
            }
            None => log.begin_anew()?,
        }
        Ok(log)
    }

    /// Returns where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Throws all records away.
    pub fn begin_anew(&mut self) -> io::Result<()> {
        self.cut(0)?;
        self.append(header().as_bytes())
    }

    /// Writes frames behind the others. When that fails, what was written of them is written over the
    /// next time.
    pub fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(frames)?;
        self.end += frames.len() as u64;
        Ok(())
    }

    fn cut(&mut self, length: usize) -> io::Result<()> {
        self.end = length as u64;
        self.file.set_len(self.end)
    }
}

/// Returns the first line: other rules, and another release, begin anew.
fn header() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("towpath markers, format {FORMAT}, rules {RULES}, release {version}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::ObjectId;

    fn frame(n: u8) -> Vec<u8> {
        record::of_file(ObjectId::from_bytes_or_panic(&[n; 20]), None).unwrap()
    }

    fn reopened(folder: &Path) -> (Log, Vec<Record>) {
        let mut records = Vec::new();
        let log = Log::open(folder, |record, _| records.push(record)).unwrap();
        (log, records)
    }

    fn first(n: u8) -> Record {
        record::take_first(&frame(n)).unwrap().0
    }

    #[test]
    fn records_are_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, records) = reopened(folder.path());
        assert_eq!(records, []);
        log.append(&frame(1)).unwrap();
        log.append(&frame(2)).unwrap();
        assert_eq!(reopened(folder.path()).1, [first(1), first(2)]);
    }

    #[test]
    fn a_torn_file_keeps_what_is_whole_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = reopened(folder.path());
        log.append(&frame(1)).unwrap();
        log.append(&frame(2)).unwrap();
        let bytes = std::fs::read(log.path()).unwrap();
        let (whole, header) = (bytes.len(), header().len());
        for length in header..whole {
            std::fs::write(log.path(), &bytes[..length]).unwrap();
            let (mut log, records) = reopened(folder.path());
            let want: Vec<_> = [first(1)][..usize::from(length >= header + frame(1).len())].into();
            assert_eq!(records, want, "torn at {length}");
            log.append(&frame(3)).unwrap();
            assert_eq!(reopened(folder.path()).1, [want, vec![first(3)]].concat());
        }
    }

    #[test]
    fn a_file_of_others_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (log, _) = reopened(folder.path());
        let of_other_rules = header().replace("rules 1", "rules 0");
        let foreign = [b"SQLite format 3\0".to_vec(), vec![0; 4096]].concat();
        let too_large = [header().into_bytes(), vec![0; BYTES_MAX]].concat();
        let no_frame = [header().as_bytes(), &frame(1), &[0; 64]].concat();
        for (bytes, kept) in [
            ([of_other_rules.as_bytes(), &frame(1)].concat(), vec![]),
            (foreign, vec![]),
            (header().as_bytes()[..7].to_vec(), vec![]),
            (too_large, vec![]),
            (no_frame, vec![first(1)]),
        ] {
            std::fs::write(log.path(), bytes).unwrap();
            assert_eq!(reopened(folder.path()).1, kept);
            let length = std::fs::metadata(log.path()).unwrap().len();
            let want = header().len() + kept.len() * frame(1).len();
            assert_eq!(length, want as u64, "what is left behind is gone");
        }
    }

    #[test]
    fn what_could_not_be_written_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = reopened(folder.path());
        // As after a write that failed in the middle.
        log.file.write_all(&frame(7)[..20]).unwrap();
        log.append(&frame(1)).unwrap();
        assert_eq!(reopened(folder.path()).1, [first(1)]);
    }
}
