//! Speaks to receive-pack: commands, options and a pack go out, a report comes back.
//!
//! In: an offer and what to move. Out: a [`Report`] in the server's words, without secrets. Every command
//! names the old value, so nothing is overwritten unseen. It decides nothing.

use gix::ObjectId;

use super::{
    AGENT, Error,
    lines::Line,
    objects, pkt,
    references::Offer,
    remote::redact_values,
    report::{Reader, Report},
    transport::{Service, Transport},
};

/// Most bytes of a server's answer to a push.
pub const REPORT_BYTES_MAX: u64 = 1 << 20;

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
    // What the reader keeps is bounded as the whole answer is.
    let mut reader = Reader::new(offer.capabilities.has("side-band-64k"));
    while let Some(line) = lines.next().await? {
        match line {
            Line::Data(data) => reader.take(&data).map_err(|what| lines.broken(what))?,
            Line::Flush => break,
            Line::Delimiter => {}
        }
    }
    let secrets = transport.remote().secrets();
    let report = reader.finish(|text| redact_values(text, &secrets));
    let mut report = report.map_err(|what| lines.broken(what))?;
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
