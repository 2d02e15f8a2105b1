//! [`Mark`]: what a page of a listing was, and whether the one that is there now is the same.
//!
//! In: a page's `ETag`, and its body as it comes. Out: a mark of both; of a body that is compared
//! with its mark, either that it is the same or its pieces, to be read after all. What is compared
//! is held until then, so long bodies have no mark. Pure.

use reqwest::Url;
use sha2::{Digest, Sha256};

/// Bytes of a body that has a mark: about forty thousand tags.
const MARKED_BYTES_MAX: usize = 1 << 20;

/// What a page was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) url: Url,
    /// The registry's own word for it.
    pub(super) etag: Option<String>,
    pub(super) body: Option<BodyMark>,
}

/// What a body was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BodyMark {
    n_bytes: usize,
    digest: [u8; 32],
}

/// Marks a body while it comes, and compares it with one that is known.
pub(super) struct Marking {
    n_bytes: usize,
    hash: Sha256,
    known: Option<BodyMark>,
    /// What has come of a body that may be the known one.
    held: Vec<u8>,
}

/// What became of a body.
pub(super) enum Ended {
    /// It is the known one.
    Same,
    /// It is another, with this mark; these bytes were held until now.
    Other(Option<BodyMark>, Vec<u8>),
}

impl Marking {
    /// Starts with a body that may be the known one.
    pub(super) fn new(known: Option<BodyMark>) -> Self {
        Self {
            n_bytes: 0,
            hash: Sha256::new(),
            known,
            held: Vec::new(),
        }
    }

    /// Takes a piece. Hands to `read` what can be no part of the known body; fails as that does.
    pub(super) fn take(
        &mut self,
        piece: &[u8],
        read: &mut impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        self.n_bytes += piece.len();
        if self.n_bytes <= MARKED_BYTES_MAX {
            self.hash.update(piece);
        }
        match self.known {
            Some(known) if self.n_bytes <= known.n_bytes => {
                self.held.extend_from_slice(piece);
                return Ok(());
            }
            Some(_) => {
                self.known = None;
                read(&std::mem::take(&mut self.held))?;
            }
            None => {}
        }
        read(piece)
    }

    /// Ends the body.
    pub(super) fn end(self) -> Ended {
        let mark = (self.n_bytes <= MARKED_BYTES_MAX).then(|| BodyMark {
            n_bytes: self.n_bytes,
            digest: self.hash.finalize().into(),
        });
        match mark.is_some() && mark == self.known {
            true => Ended::Same,
            false => Ended::Other(mark, self.held),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the mark of a body that comes in pieces of one size, and what of it was read; `None`
    /// when it is the known one.
    fn read(body: &[u8], size: usize, known: Option<BodyMark>) -> Option<(BodyMark, Vec<u8>)> {
        let (mut marking, mut told) = (Marking::new(known), Vec::new());
        let mut tell = |piece: &[u8]| {
            told.extend_from_slice(piece);
            Ok(())
        };
        for piece in body.chunks(size) {
            marking.take(piece, &mut tell).unwrap();
        }
        match marking.end() {
            Ended::Same => None,
            Ended::Other(mark, held) => {
                tell(&held).unwrap();
                Some((mark.unwrap(), told))
            }
        }
    }

    #[test]
    fn a_body_is_the_known_one_or_is_read_whole() {
        let known = read(b"[\"a\"]", 1, None).unwrap().0;
        for size in 1..9 {
            assert_eq!(read(b"[\"a\"]", size, Some(known)), None);
            for other in [
                &b""[..],
                b"[\"b\"]",
                b"[\"a\"",
                b"[\"a\"] ",
                b"[\"a\",\"b\"]",
            ] {
                let (mark, told) = read(other, size, Some(known)).unwrap();
                assert_eq!(told, other, "in pieces of {size}");
                assert_ne!(mark, known);
            }
        }
    }

    #[test]
    fn rg5_a_long_body_has_no_mark_and_is_not_held() {
        let mut marking = Marking::new(read(b"[]", 1, None).map(|(mark, _)| mark));
        let piece = vec![b' '; MARKED_BYTES_MAX / 8];
        let mut n_read = 0;
        for _ in 0..9 {
            let mut count = |piece: &[u8]| {
                n_read += piece.len();
                Ok(())
            };
            marking.take(&piece, &mut count).unwrap();
            assert!(marking.held.is_empty());
        }
        assert_eq!(n_read, 9 * piece.len());
        assert!(matches!(marking.end(), Ended::Other(None, held) if held.is_empty()));
    }
}
