//! Speaks to receive-pack: commands, options and a pack go out, a report comes back.
//!
//! In: an offer and what to move. Out: a [`Report`] in the server's words, without secrets. Every command
//! names the old value, so nothing is overwritten unseen. It decides nothing.

use gix::ObjectId;

use super::{
    AGENT, Error,
    lines::{Line, Lines},
    objects, pkt,
    references::Offer,
    remote::redact_values,
    transport::{Service, Transport},
};

/// Most bytes of a server's answer to a push.
pub const REPORT_BYTES_MAX: u64 = 1 << 20;
/// Most lines of a hook kept.
pub const MESSAGES_MAX: usize = 100;

/// What a review server says to a commit that it has already.
const NO_NEW_CHANGES: &str = "no new changes";

/// What a server said about a push.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) unpack: String,
    /// The reference and the reason; the first counts.
    pub(super) refused: Option<(String, String)>,
    pub(super) messages: Vec<String>,
}

/// One reference that a push moves.
pub(super) struct Command {
    pub(super) reference: String,
    /// What it has now; the server refuses when that is no longer so.
    pub(super) old: Option<ObjectId>,
    pub(super) new: ObjectId,
}

/// Returns the body of a push: commands with their old values, options, then the pack. Fails when the
/// server takes no options and there are some.
pub(super) fn request(
    transport: &Transport,
    offer: &Offer,
    commands: &[Command],
    options: &[String],
    pack: &[u8],
) -> Result<Vec<u8>, Error> {
    let mut words = Vec::new();
    for word in ["report-status", "side-band-64k"] {
        if offer.capabilities.has(word) {
            words.push(word.to_owned());
        }
    }
    // Servers that make a review of a push to a reference that never is there take those one by one.
    let is_plain = |command: &Command| {
        let plain = ["refs/heads/", "refs/tags/"];
        plain
            .iter()
            .any(|prefix| command.reference.starts_with(prefix))
    };
    if commands.len() > 1 && commands.iter().all(is_plain) && offer.capabilities.has("atomic") {
        words.push("atomic".to_owned());
    }
    if !options.is_empty() {
        if !offer.capabilities.has("push-options") {
            return Err(Error::Unsupported {
                url: transport.remote().url.to_string(),
                what: "a push with options (spec.git.push.options) to a server that takes none",
            });
        }
        words.push("push-options".to_owned());
    }
    if offer.capabilities.has("object-format") {
        words.push("object-format=sha1".to_owned());
    }
    words.push(format!("agent={AGENT}"));
    let mut body = Vec::with_capacity(pack.len() + 256);
    let mut words = format!("\0 {}", words.join(" "));
    for Command {
        reference,
        old,
        new,
    } in commands
    {
        let old = old.unwrap_or_else(|| ObjectId::null(objects::HASH));
        pkt::line(&mut body, format!("{old} {new} {reference}{words}"));
        words.clear();
    }
    pkt::flush(&mut body);
    if !options.is_empty() {
        for option in options {
            pkt::line(&mut body, option);
        }
        pkt::flush(&mut body);
    }
    body.extend_from_slice(pack);
    Ok(body)
}

/// Sends the body of a push and reads what the server says about it.
pub(super) async fn send(
    transport: &Transport,
    offer: &Offer,
    body: Vec<u8>,
) -> Result<Report, Error> {
    if !offer.capabilities.has("report-status") {
        return Err(Error::Unsupported {
            url: transport.remote().url.to_string(),
            what: "a server that does not report the outcome of a push",
        });
    }
    let bound = ("answer to the push", REPORT_BYTES_MAX);
    let mut lines = transport
        .post(&offer.base, Service::ReceivePack, body, bound)
        .await?;
    let mut report = Report::default();
    // A line may come in pieces; what is kept is bounded as the whole answer is.
    let (mut status, mut said) = (Vec::new(), Vec::new());
    let banded = offer.capabilities.has("side-band-64k");
    while let Some(line) = lines.next().await? {
        match (line, banded) {
            (Line::Data(data), true) => match data.split_first() {
                Some((1, bytes)) => status.extend_from_slice(bytes),
                Some((2, text)) => said.extend_from_slice(text),
                Some((3, text)) => {
                    said.extend_from_slice(text);
                    report.refused = Some((String::new(), pkt::text(text)));
                }
                _ => return Err(lines.broken("a line of no side band in the answer to the push")),
            },
            (Line::Data(data), false) => read_status(&pkt::text(&data), &mut report),
            (Line::Flush, _) => break,
            (Line::Delimiter, _) => {}
        }
    }
    report.messages = messages(transport, &said);
    read_banded_status(&lines, &status, &mut report)?;
    let secrets = transport.remote().secrets();
    report.unpack = redact_values(&report.unpack, &secrets);
    if let Some((_, reason)) = &mut report.refused {
        *reason = redact_values(reason, &secrets);
    }
    if report.refused.is_some() {
        return Ok(report);
    }
    match report.unpack.as_str() {
        "ok" => Ok(report),
        "" => Err(lines.broken("the server did not say whether it took the push")),
        unpack => {
            report.refused = Some((String::new(), format!("unpack {unpack}")));
            Ok(report)
        }
    }
}

/// Reads the packet lines within side band 1.
fn read_banded_status(lines: &Lines, mut status: &[u8], report: &mut Report) -> Result<(), Error> {
    while let Some((line, n)) =
        pkt::decode(status).map_err(|cause| lines.broken(cause.to_string()))?
    {
        if let pkt::Pkt::Data(data) = line {
            read_status(&pkt::text(data), report);
        }
        status = status.get(n..).unwrap_or_default();
    }
    Ok(())
}

fn read_status(line: &str, report: &mut Report) {
    if let Some(unpack) = line.strip_prefix("unpack ") {
        report.unpack = unpack.to_owned();
    } else if let Some(refused) = line.strip_prefix("ng ") {
        let (reference, reason) = refused.split_once(' ').unwrap_or((refused, ""));
        let is_done = reason.starts_with(NO_NEW_CHANGES);
        // Of commands that go together, the first that is refused explains the others.
        if !is_done && report.refused.is_none() {
            report.refused = Some((reference.to_owned(), reason.trim().to_owned()));
        }
    }
}

/// Returns the lines of a side band's text, without secrets and control characters.
fn messages(transport: &Transport, text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let text = redact_values(&text, &transport.remote().secrets());
    let lines = text.split(['\n', '\r']).map(|line| {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        line.trim_end().to_owned()
    });
    lines
        .filter(|line| !line.is_empty())
        .take(MESSAGES_MAX)
        .collect()
}
