//! What a server offers: capabilities and references.
//!
//! In: the lines of `info/refs` (protocol versions 0 to 2) or of `ls-refs`. Out: [`References`],
//! ordered by name. It fetches no object.

use std::collections::BTreeMap;

use gix::ObjectId;

use super::{
    AGENT, Error,
    lines::{Line, Lines},
    pkt,
    transport::{Service, Transport},
};

/// Most bytes of references read: about a million of them.
pub const REFERENCES_BYTES_MAX: u64 = 64 << 20;
/// Most references kept.
pub const REFERENCES_MAX: usize = 1_000_000;

/// One reference of a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// What it points at; of an annotated tag, the tag object.
    pub id: ObjectId,
    /// The commit that an annotated tag names.
    pub peeled: Option<ObjectId>,
}

impl Reference {
    /// Returns the commit: the peeled id when there is one.
    pub fn commit(&self) -> ObjectId {
        self.peeled.unwrap_or(self.id)
    }
}

/// References of a remote, by full name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References(BTreeMap<String, Reference>);

impl References {
    /// Returns the reference of this full name.
    pub fn find(&self, name: &str) -> Option<Reference> {
        self.0.get(name).copied()
    }

    /// Returns the tags, without `refs/tags/`, in order of name.
    pub fn tags(&self) -> impl Iterator<Item = (&str, Reference)> {
        self.0
            .iter()
            .filter_map(|(name, reference)| Some((name.strip_prefix("refs/tags/")?, *reference)))
    }

    /// Returns whether the remote has no reference that was asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn insert(&mut self, name: &str, id: ObjectId) -> Result<(), Error> {
        match name.strip_suffix("^{}") {
            Some(tag) => {
                if let Some(reference) = self.0.get_mut(tag) {
                    reference.peeled = Some(id);
                }
            }
            None => {
                self.0
                    .insert(name.to_owned(), Reference { id, peeled: None });
            }
        }
        if self.0.len() > REFERENCES_MAX {
            return Err(Error::TooLarge {
                what: "the number of references".to_owned(),
                max: REFERENCES_MAX as u64,
            });
        }
        Ok(())
    }
}

/// Capabilities by name; a value is empty when there is none.
#[derive(Debug, Clone, Default)]
pub(super) struct Capabilities(BTreeMap<String, String>);

impl Capabilities {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn insert(&mut self, word: &str) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        self.0.insert(name.to_owned(), value.to_owned());
    }
}

/// What a server offers for one service.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    /// Where requests go.
    pub(super) base: String,
    pub(super) capabilities: Capabilities,
    /// Protocol version 0 sends them at once; version 2 on request.
    pub(super) references: Option<References>,
}

impl Offer {
    /// Returns whether commits may be asked for without what is in them.
    pub(super) fn filters(&self) -> bool {
        let words = self.capabilities.0.get("fetch");
        self.references.is_none()
            && words.is_some_and(|words| words.split(' ').any(|word| word == "filter"))
    }
}

/// Returns what the server offers for `service`.
pub(super) async fn offer(transport: &Transport, service: Service) -> Result<Offer, Error> {
    let (base, mut lines) = transport
        .advertisement(service, REFERENCES_BYTES_MAX)
        .await?;
    let mut offer = Offer {
        base,
        capabilities: Capabilities::default(),
        references: None,
    };
    let mut line = lines.expect().await?;
    if let Line::Data(data) = &line
        && data.starts_with(b"# service=")
    {
        if lines.expect().await? != Line::Flush {
            return Err(lines.broken("the service line is not followed by a flush"));
        }
        line = lines.expect().await?;
    }
    if let Line::Data(data) = &line
        && data.starts_with(b"version 1")
    {
        line = lines.expect().await?;
    }
    match &line {
        Line::Data(data) if pkt::text(data) == "version 2" => {
            while let Line::Data(data) = lines.expect().await? {
                offer.capabilities.insert(&pkt::text(&data));
            }
        }
        _ => read_version_0(transport, &mut lines, line, &mut offer).await?,
    }
    if offer
        .capabilities
        .0
        .get("object-format")
        .is_some_and(|format| format != "sha1")
    {
        return Err(Error::Unsupported {
            url: transport.remote().url.to_string(),
            what: "a repository with SHA-256 objects",
        });
    }
    transport.keep(service, lines);
    Ok(offer)
}

/// Reads references with the capabilities behind the first one's NUL.
async fn read_version_0(
    transport: &Transport,
    lines: &mut Lines,
    first: Line,
    offer: &mut Offer,
) -> Result<(), Error> {
    let mut references = References::default();
    let mut next = first;
    let mut is_first = true;
    while let Line::Data(data) = &next {
        let mut line = pkt::text(data);
        if let Some(text) = line.strip_prefix("ERR ") {
            return Err(transport.says(lines, text));
        }
        if is_first && let Some((head, words)) = line.split_once('\0') {
            words
                .split_whitespace()
                .for_each(|word| offer.capabilities.insert(word));
            line = head.to_owned();
        }
        is_first = false;
        // `.have` names objects of an alternate, `shallow` a cut in the server's own history.
        if !line.starts_with("shallow ") {
            let (id, name) = line
                .split_once(' ')
                .ok_or_else(|| lines.broken("a reference line without a name"))?;
            if name != "capabilities^{}" && name != ".have" {
                references.insert(name, parse_id(lines, id)?)?;
            }
        }
        next = lines.expect().await?;
    }
    offer.references = Some(references);
    Ok(())
}

/// Returns the references whose full names start with one of `prefixes`.
pub(super) async fn list(
    transport: &Transport,
    offer: &Offer,
    prefixes: &[String],
) -> Result<References, Error> {
    if let Some(references) = &offer.references {
        let mut references = references.clone();
        references.0.retain(|name, _| {
            prefixes
                .iter()
                .any(|prefix| name.starts_with(prefix.as_str()))
        });
        return Ok(references);
    }
    let mut body = Vec::new();
    pkt::line(&mut body, "command=ls-refs\n");
    if offer.capabilities.has("agent") {
        pkt::line(&mut body, format!("agent={AGENT}\n"));
    }
    if offer.capabilities.has("object-format") {
        pkt::line(&mut body, "object-format=sha1\n");
    }
    pkt::delimiter(&mut body);
    pkt::line(&mut body, "peel\n");
    for prefix in prefixes {
        pkt::line(&mut body, format!("ref-prefix {prefix}\n"));
    }
    pkt::flush(&mut body);
    let bound = ("reference list", REFERENCES_BYTES_MAX);
    transport.renew();
    let mut lines = transport
        .post(&offer.base, Service::UploadPack, body, bound)
        .await?;
    let mut references = References::default();
    while let Line::Data(data) = lines.expect().await? {
        let line = pkt::text(&data);
        if let Some(text) = line.strip_prefix("ERR ") {
            return Err(transport.says(&lines, text));
        }
        let mut words = line.split(' ');
        let (Some(id), Some(name)) = (words.next(), words.next()) else {
            return Err(lines.broken("a reference line without a name"));
        };
        if id == "unborn" {
            continue;
        }
        references.insert(name, parse_id(&lines, id)?)?;
        if let Some(peeled) = words.find_map(|word| word.strip_prefix("peeled:")) {
            references.insert(&format!("{name}^{{}}"), parse_id(&lines, peeled)?)?;
        }
    }
    transport.keep(Service::UploadPack, lines);
    // A prefix also matches longer names, and servers may send more than was asked for.
    Ok(references)
}

/// Returns an id of 40 hex digits.
pub(super) fn parse_id(lines: &Lines, text: &str) -> Result<ObjectId, Error> {
    ObjectId::from_hex(text.as_bytes())
        .map_err(|_| lines.broken(format!("{text:?} is no SHA-1 object id at {}", lines.url())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gt6_a_million_references_are_the_most() {
        let id = ObjectId::null(gix::hash::Kind::Sha1);
        let full = (0..REFERENCES_MAX).map(|n| {
            let name = format!("refs/heads/{n:07}");
            (name, Reference { id, peeled: None })
        });
        let mut references = References(full.collect());
        references.insert("refs/heads/0000007", id).unwrap();
        let error = references.insert("refs/heads/one-more", id).unwrap_err();
        let want = "the number of references is larger than the bound of 1000000";
        assert_eq!(error.to_string(), want);
    }
}
