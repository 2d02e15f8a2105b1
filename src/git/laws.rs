//! Laws of what Git servers send: packet lines.
//!
//! In: any bytes. Out: nothing; a law that is broken panics. Fuzzed and replayed as `crate::laws`
//! says.

use super::pkt::{self, PKT_BYTES_MAX, Pkt};

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
