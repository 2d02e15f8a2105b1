//! What receive-pack says about a push: the status of what was sent, and the words of hooks.
//!
//! In: the data of packet lines, in side bands or without. Out: a [`Report`]. Pure; what it keeps is as
//! long as what came, and the reader of the lines bounds that.

use super::pkt::{self, Pkt};

/// Most lines of a hook kept.
pub const MESSAGES_MAX: usize = 100;

/// What a review server says to a commit that it has already.
const NO_NEW_CHANGES: &str = "no new changes";

/// What a server said about a push.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Report {
    /// The outcome of unpacking, `ok` or a reason; empty when the server did not say.
    pub(super) unpack: String,
    /// The reference and the reason; the first counts.
    pub(super) refused: Option<(String, String)>,
    /// Lines of hooks, without control characters.
    pub(super) messages: Vec<String>,
}

/// Gathers a report from packet lines.
pub(super) struct Reader {
    is_banded: bool,
    status: Vec<u8>,
    said: Vec<u8>,
    report: Report,
}

impl Reader {
    /// Returns a reader of lines that come in side bands, or of plain ones.
    pub(super) fn new(is_banded: bool) -> Self {
        Self {
            is_banded,
            status: Vec::new(),
            said: Vec::new(),
            report: Report::default(),
        }
    }

    /// Takes the data of one packet line. Fails when it belongs to no side band though it should.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<(), String> {
        if !self.is_banded {
            self.report.read(&pkt::text(data));
            return Ok(());
        }
        // A line of the status may come in pieces.
        match data.split_first() {
            Some((1, bytes)) => self.status.extend_from_slice(bytes),
            Some((2, text)) => self.said.extend_from_slice(text),
            Some((3, text)) => {
                self.said.extend_from_slice(text);
                self.report.refused = Some((String::new(), pkt::text(text)));
            }
            _ => return Err("a line of no side band in the answer to the push".to_owned()),
        }
        Ok(())
    }

    /// Returns the report; `redact` takes secrets out of texts. Fails on a broken packet line within
    /// side band 1.
    pub(super) fn finish(mut self, redact: impl Fn(&str) -> String) -> Result<Report, String> {
        let mut status = self.status.as_slice();
        while let Some((line, n)) = pkt::decode(status).map_err(|cause| cause.to_string())? {
            if let Pkt::Data(data) = line {
                self.report.read(&pkt::text(data));
            }
            status = status.get(n..).unwrap_or_default();
        }
        let mut report = self.report;
        report.messages = messages(&redact(&String::from_utf8_lossy(&self.said)));
        report.unpack = redact(&report.unpack);
        if let Some((_, reason)) = &mut report.refused {
            *reason = redact(reason);
        }
        Ok(report)
    }
}

impl Report {
    fn read(&mut self, line: &str) {
        if let Some(unpack) = line.strip_prefix("unpack ") {
            unpack.clone_into(&mut self.unpack);
        } else if let Some(refused) = line.strip_prefix("ng ") {
            let (reference, reason) = refused.split_once(' ').unwrap_or((refused, ""));
            let is_done = reason.starts_with(NO_NEW_CHANGES);
            // Of commands that go together, the first that is refused explains the others.
            if !is_done && self.refused.is_none() {
                self.refused = Some((reference.to_owned(), reason.trim().to_owned()));
            }
        }
    }
}

/// Returns the lines of a side band's text, without control characters.
fn messages(text: &str) -> Vec<String> {
    let lines = text.split(['\n', '\r']).map(|line| {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        line.trim_end().to_owned()
    });
    lines
        .filter(|line| !line.is_empty())
        .take(MESSAGES_MAX)
        .collect()
}
