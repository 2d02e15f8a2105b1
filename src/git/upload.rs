//! Fetches one commit at depth one: `fetch` of protocol version 2, or version 0 where a server
//! knows no other.
//!
//! In: the wanted id and the commits already here. Out: a pack, written to a file as it arrives.
//! It neither checks nor unpacks it.

use gix::ObjectId;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::{
    AGENT, Error,
    lines::{Line, Lines},
    pkt,
    references::Offer,
    transport::{Service, Transport},
};

/// Largest pack taken, in bytes.
pub const PACK_BYTES_MAX: u64 = 1 << 30;

/// What to ask for.
pub(super) struct Want<'a> {
    /// The commit or tag object.
    pub(super) id: ObjectId,
    /// Commits whose trees are complete here; their parents need not be.
    pub(super) haves: &'a [ObjectId],
    /// Those of them whose parents are not here.
    pub(super) shallow: &'a [ObjectId],
    /// How many commits deep.
    pub(super) depth: u32,
    /// What is wanted of each.
    pub(super) parts: Parts,
}

/// What is wanted of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parts {
    /// The commits with their trees and files.
    All,
    /// The commits alone; for servers that offer [`Offer::filters`].
    Commits,
}

/// Asks for a pack and writes it to `sink`.
pub(super) async fn fetch(
    transport: &Transport,
    offer: &Offer,
    want: &Want<'_>,
    sink: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Error> {
    let version_2 = offer.references.is_none();
    let body = match version_2 {
        true => request_2(offer, want),
        false => request_0(transport, offer, want)?,
    };
    let bound = ("pack", PACK_BYTES_MAX);
    let mut lines = transport
        .post(&offer.base, Service::UploadPack, body, bound)
        .await?;
    let first = match version_2 {
        true => skip_sections(transport, &mut lines).await?,
        false => skip_answers(transport, &mut lines).await?,
    };
    read_bands(transport, &mut lines, first, sink).await?;
    if version_2 {
        transport.keep(Service::UploadPack, lines);
    }
    Ok(())
}

fn request_2(offer: &Offer, want: &Want<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    pkt::line(&mut body, "command=fetch");
    if offer.capabilities.has("agent") {
        pkt::line(&mut body, format!("agent={AGENT}"));
    }
    if offer.capabilities.has("object-format") {
        pkt::line(&mut body, "object-format=sha1");
    }
    pkt::delimiter(&mut body);
    for word in ["thin-pack", "ofs-delta", "no-progress"] {
        pkt::line(&mut body, word);
    }
    for id in want.shallow {
        pkt::line(&mut body, format!("shallow {id}"));
    }
    pkt::line(&mut body, format!("deepen {}", want.depth));
    if want.parts == Parts::Commits {
        pkt::line(&mut body, "filter tree:0");
    }
    pkt::line(&mut body, format!("want {}", want.id));
    for id in want.haves {
        pkt::line(&mut body, format!("have {id}"));
    }
    pkt::line(&mut body, "done");
    pkt::flush(&mut body);
    body
}

fn request_0(transport: &Transport, offer: &Offer, want: &Want<'_>) -> Result<Vec<u8>, Error> {
    let capabilities = &offer.capabilities;
    for (name, what) in [
        ("shallow", "a server without shallow fetches"),
        ("side-band-64k", "a server without side bands"),
    ] {
        if !capabilities.has(name) {
            let url = transport.remote().url.to_string();
            return Err(Error::Unsupported { url, what });
        }
    }
    let mut line = format!("want {} side-band-64k", want.id);
    for name in [
        "multi_ack_detailed",
        "thin-pack",
        "ofs-delta",
        "no-progress",
    ] {
        if capabilities.has(name) {
            line.push(' ');
            line.push_str(name);
        }
    }
    if capabilities.has("agent") {
        line.push_str(&format!(" agent={AGENT}"));
    }
    let mut body = Vec::new();
    pkt::line(&mut body, format!("{line}\n"));
    for id in want.shallow {
        pkt::line(&mut body, format!("shallow {id}\n"));
    }
    pkt::line(&mut body, format!("deepen {}\n", want.depth));
    pkt::flush(&mut body);
    for id in want.haves {
        pkt::line(&mut body, format!("have {id}\n"));
    }
    pkt::line(&mut body, "done\n");
    Ok(body)
}

/// Reads up to the `packfile` section and returns the first line within it.
async fn skip_sections(transport: &Transport, lines: &mut Lines) -> Result<Line, Error> {
    loop {
        match lines.expect().await? {
            Line::Data(data) => {
                let text = pkt::text(&data);
                if let Some(text) = text.strip_prefix("ERR ") {
                    return Err(transport.says(lines, text));
                }
                if text == "packfile" {
                    return lines.expect().await;
                }
            }
            Line::Delimiter => {}
            Line::Flush => return Err(lines.broken("the answer holds no pack")),
        }
    }
}

/// Reads `shallow`, `ACK` and `NAK` lines and returns the first line behind them.
async fn skip_answers(transport: &Transport, lines: &mut Lines) -> Result<Line, Error> {
    loop {
        let line = lines.expect().await?;
        match &line {
            Line::Data(data) if data.first().is_some_and(|byte| *byte <= 3) => return Ok(line),
            Line::Data(data) => {
                let text = pkt::text(data);
                if let Some(text) = text.strip_prefix("ERR ") {
                    return Err(transport.says(lines, text));
                }
            }
            Line::Flush | Line::Delimiter => {}
        }
    }
}

/// Writes side band 1 to `sink`; band 2 is progress, band 3 the server's last words.
async fn read_bands(
    transport: &Transport,
    lines: &mut Lines,
    first: Line,
    sink: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Error> {
    let failed = |cause: std::io::Error| Error::Mirror {
        act: "write",
        path: "the fetched pack".to_owned(),
        cause: cause.to_string(),
    };
    let mut next = first;
    while let Line::Data(data) = &next {
        match data.split_first() {
            Some((1, pack)) => sink.write_all(pack).await.map_err(failed)?,
            Some((2, _)) => {}
            Some((3, text)) => return Err(transport.says(lines, &pkt::text(text))),
            _ => return Err(lines.broken("a line of no side band within the pack")),
        }
        next = lines.expect().await?;
    }
    sink.flush().await.map_err(failed)
}
