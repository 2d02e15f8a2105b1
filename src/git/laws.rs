//! Laws of what Git servers send: packet lines, and the report of a push.
//!
//! In: any bytes. Out: nothing; a law that is broken panics. Fuzzed and replayed as `crate::laws`
//! says.

use super::{
    pkt::{self, PKT_BYTES_MAX, Pkt},
    report::{MESSAGES_MAX, Reader, Report},
};

/// A line that was read is written back as it came; what is cut short is asked for again, and more
/// bytes behind a line do not change it.
pub fn pkt_lines(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((line, length))) = pkt::decode(rest) {
        assert!((4..=PKT_BYTES_MAX).contains(&length));
        let taken = &rest[..length];
        assert_eq!(pkt::decode(taken), Ok(Some((line.clone(), length))));
        assert_eq!(pkt::decode(&taken[..length - 1]), Ok(None));
        if let Pkt::Data(data) = line {
            let mut written = Vec::new();
            pkt::line(&mut written, data);
            // Digits of a length may be capitals.
            assert!(written.eq_ignore_ascii_case(taken) && written[4..] == taken[4..]);
            assert!(pkt::text(data).len() <= 3 * data.len());
        }
        rest = &rest[length..];
    }
}

/// A push is taken only when the server says so; what hooks say is lines without control characters;
/// how the status is cut into packet lines is no part of it.
pub fn report_status(bytes: &[u8]) {
    for is_banded in [false, true] {
        if let Ok(report) = report_of(is_banded, |reader| each_line(bytes, reader)) {
            let says_ok = bytes.windows(9).any(|at| at == b"unpack ok");
            assert!(is_banded || says_ok || report.unpack != "ok");
            assert!(report.messages.len() <= MESSAGES_MAX);
            let lines = report.messages.iter();
            assert!(lines.flat_map(|line| line.chars()).all(|c| !c.is_control()));
        }
    }
    let status = |cut: usize| {
        report_of(true, |reader| {
            let (head, tail) = bytes.split_at(cut);
            reader.take(&[&[1], head].concat())?;
            reader.take(&[&[1], tail].concat())
        })
    };
    assert_eq!(status(0), status(bytes.len() / 2));
}

fn report_of(
    is_banded: bool,
    read: impl Fn(&mut Reader) -> Result<(), String>,
) -> Result<Report, String> {
    let mut reader = Reader::new(is_banded);
    read(&mut reader)?;
    reader.finish(str::to_owned)
}

fn each_line(mut bytes: &[u8], reader: &mut Reader) -> Result<(), String> {
    while let Ok(Some((line, length))) = pkt::decode(bytes) {
        if let Pkt::Data(data) = line {
            reader.take(data)?;
        }
        bytes = &bytes[length..];
    }
    Ok(())
}
