//! Git's packet lines: four hex digits of length, then bytes; three special lines.
//!
//! In: bytes. Out: lines, and back. Pure; it is used by the client and by the demo's server.

/// The longest packet line that the protocol allows, its length included.
pub const PKT_BYTES_MAX: usize = 65520;

/// One packet line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pkt<'a> {
    /// A line with content.
    Data(&'a [u8]),
    /// `0000`, the end of a message.
    Flush,
    /// `0001`, the end of a section.
    Delimiter,
    /// `0002`, the end of a response.
    ResponseEnd,
}

/// A length that is no length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed packet line {0:?}")]
pub struct PktError(pub String);

/// Returns the first line of `bytes` and how many bytes it took; nothing when it is incomplete.
pub fn decode(bytes: &[u8]) -> Result<Option<(Pkt<'_>, usize)>, PktError> {
    let Some(head) = bytes.get(..4) else {
        return Ok(None);
    };
    let error = || PktError(String::from_utf8_lossy(head).into_owned());
    // `from_str_radix` takes a sign; a length has none.
    if !head.iter().all(u8::is_ascii_hexdigit) {
        return Err(error());
    }
    let digits = std::str::from_utf8(head).map_err(|_| error())?;
    let length = usize::from_str_radix(digits, 16).map_err(|_| error())?;
    match length {
        0 => Ok(Some((Pkt::Flush, 4))),
        1 => Ok(Some((Pkt::Delimiter, 4))),
        2 => Ok(Some((Pkt::ResponseEnd, 4))),
        3 => Err(error()),
        length if length > PKT_BYTES_MAX => Err(error()),
        length => Ok(bytes.get(4..length).map(|data| (Pkt::Data(data), length))),
    }
}

/// Appends a line with `content`, which must be shorter than [`PKT_BYTES_MAX`].
pub fn line(out: &mut Vec<u8>, content: impl AsRef<[u8]>) {
    let content = content.as_ref();
    debug_assert!(content.len() + 4 <= PKT_BYTES_MAX);
    out.extend_from_slice(format!("{:04x}", content.len() + 4).as_bytes());
    out.extend_from_slice(content);
}

/// Appends a flush.
pub fn flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Appends a delimiter.
pub fn delimiter(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0001");
}

/// Appends `content` as lines of side band `band`, as many as it takes.
pub fn band(out: &mut Vec<u8>, band: u8, content: &[u8]) {
    for chunk in content.chunks(PKT_BYTES_MAX - 5) {
        out.extend_from_slice(format!("{:04x}", chunk.len() + 5).as_bytes());
        out.push(band);
        out.extend_from_slice(chunk);
    }
}

/// Returns a line without its line feed.
pub fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_went() {
        let mut bytes = Vec::new();
        line(&mut bytes, "want x\n");
        delimiter(&mut bytes);
        flush(&mut bytes);
        let (first, n) = decode(&bytes).unwrap().unwrap();
        assert_eq!(first, Pkt::Data(b"want x\n"));
        assert_eq!(decode(&bytes[n..]).unwrap(), Some((Pkt::Delimiter, 4)));
        assert_eq!(decode(&bytes[n + 4..]).unwrap(), Some((Pkt::Flush, 4)));
        assert_eq!(decode(&bytes[..6]).unwrap(), None);
    }

    #[test]
    fn lengths_that_are_none_are_refused() {
        for bytes in [&b"0003"[..], b"fff1", b"+00a", b"zzzz", b"<htm"] {
            assert!(decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
