//! Reads an answer's body, piece by piece and up to a bound.
//!
//! In: a response, plain or gzip. Out: its pieces or its bytes, or an error when it is longer than
//! allowed, ends early or comes in another encoding. A gzip body is unpacked as it comes, and the
//! bound is on what it unpacks to, so that a small bomb stays small.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use reqwest::header::CONTENT_ENCODING;
use reqwest::{Method, Response};

use super::Error;

/// Hands each piece of the body to `take`. Fails when the body has more than `bytes_max` bytes,
/// ends early, is no gzip where it says so, and with the reason of `take`.
pub(super) async fn pieces(
    method: &Method,
    response: Response,
    bytes_max: usize,
    take: &mut (dyn FnMut(&[u8]) -> Result<(), String> + Send),
) -> Result<(), Error> {
    let url = response.url().clone();
    let refuse = |reason: String| Error::answer(method, &url, reason);
    let expected = response.content_length().unwrap_or(0);
    if usize::try_from(expected).map_or(true, |expected| expected > bytes_max) {
        return Err(refuse(too_long(bytes_max)));
    }
    let encoding = response.headers().get(CONTENT_ENCODING).cloned();
    let encoding = encoding.as_ref().map_or(&b""[..], |value| value.as_bytes());
    let mut bounded = Bounded {
        take,
        bytes_max,
        left: bytes_max,
        reason: None,
    };
    if encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") {
        return each(method, response, |piece| bounded.piece(piece)).await;
    }
    if !encoding.eq_ignore_ascii_case(b"gzip") && !encoding.eq_ignore_ascii_case(b"x-gzip") {
        let encoding = String::from_utf8_lossy(encoding);
        return Err(refuse(format!(
            "body has the encoding {encoding:?}, which was not asked for"
        )));
    }
    let mut unpacked = MultiGzDecoder::new(&mut bounded);
    let read = each(method, response, |piece| {
        let written = unpacked.write_all(piece);
        written.map_err(|error| reason_of(unpacked.get_mut(), &error))
    });
    read.await?;
    let ended = unpacked.try_finish();
    ended.map_err(|error| refuse(reason_of(unpacked.get_mut(), &error)))
}

/// Returns the whole body. Fails when it has more than `bytes_max` bytes or ends early.
pub(super) async fn whole(
    method: &Method,
    response: Response,
    bytes_max: usize,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut take = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    pieces(method, response, bytes_max, &mut take).await?;
    Ok(bytes)
}

/// Returns the first `bytes_max` bytes of a body, or fewer; for texts of errors only.
pub(super) async fn beginning(mut response: Response, bytes_max: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < bytes_max
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(bytes_max);
    bytes
}

async fn each(
    method: &Method,
    mut response: Response,
    mut take: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), Error> {
    let url = response.url().clone();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|source| Error::exchange(method, &url, source))?
    {
        take(&chunk).map_err(|reason| Error::answer(method, &url, reason))?;
    }
    Ok(())
}

fn too_long(bytes_max: usize) -> String {
    format!("body is larger than {bytes_max} bytes")
}

/// Returns why the pieces were refused, or else why they could not be unpacked.
fn reason_of(bounded: &mut Bounded<'_>, error: &io::Error) -> String {
    let reason = bounded.reason.take();
    reason.unwrap_or_else(|| format!("body is not gzip as its header says: {error}"))
}

/// Takes pieces up to a bound.
struct Bounded<'a> {
    take: &'a mut (dyn FnMut(&[u8]) -> Result<(), String> + Send),
    bytes_max: usize,
    left: usize,
    reason: Option<String>,
}

impl Bounded<'_> {
    fn piece(&mut self, piece: &[u8]) -> Result<(), String> {
        let left = self.left.checked_sub(piece.len());
        self.left = left.ok_or_else(|| too_long(self.bytes_max))?;
        (self.take)(piece)
    }
}

impl Write for &mut Bounded<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        match self.piece(piece) {
            Ok(()) => Ok(piece.len()),
            Err(reason) => {
                self.reason.get_or_insert(reason);
                Err(io::Error::other("refused"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
