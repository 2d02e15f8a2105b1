//! Pushes one commit, recomputed on the newest head until nobody was faster.
//!
//! In: a branch and a closure from the head's tree to a [`Change`]. Out: [`Pushed`]: landed, nothing
//! to do, refused in the server's words, or beaten too often. Every push names the old value, so it
//! never overwrites; it never forces.

use std::{sync::Arc, time::Duration};

use gix::ObjectId;

use super::{
    AGENT, Error,
    checkout::{Checkout, Selector},
    commit::{Change, commit},
    edit::edit,
    lines::{Line, Lines},
    objects, pkt,
    references::{self, Offer},
    remote::redact_values,
    repository::{Repository, blocking, checkout},
    transport::{Service, Transport},
    tree::Tree,
};
use crate::failpoint;

/// How often a push is recomputed after somebody else was faster.
pub const ATTEMPTS_MAX: u32 = 10;
/// The longest wait before an attempt after the first: it grows with attempts and is scattered.
const WAIT_MAX: Duration = Duration::from_millis(1500);
/// Most bytes of a server's answer to a push.
pub const REPORT_BYTES_MAX: u64 = 1 << 20;
/// Most lines of a hook kept.
pub const MESSAGES_MAX: usize = 100;

/// Where a commit goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// What the branch starts from when the remote does not have it; nothing starts an empty one.
    pub base: Option<Selector>,
}

/// What edits are computed on.
#[derive(Debug, Clone)]
pub struct Basis {
    /// The tree; empty when there is no commit.
    pub tree: Tree,
    /// The commit, unless the branch starts empty.
    pub commit: Option<ObjectId>,
    /// Its message, or empty.
    pub message: String,
}

/// How a push ended.
#[derive(Debug)]
pub enum Pushed {
    /// The commit is the branch's head.
    Landed(Landed),
    /// The recomputation found nothing to change.
    Unchanged(Basis),
    /// The server would not take it; trying again at once is useless.
    Refused(Refusal),
    /// Somebody else was faster `ATTEMPTS_MAX` times.
    Beaten,
}

/// A push that landed.
#[derive(Debug)]
pub struct Landed {
    /// The new head with its tree, kept in the mirror.
    pub checkout: Checkout,
    /// What it was computed on.
    pub parent: Option<ObjectId>,
    /// How many times it was computed.
    pub attempts: u32,
    /// What the server's hooks said.
    pub messages: Vec<String>,
}

/// A push that the server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The full name of the branch.
    pub reference: String,
    /// The server's reason, such as `pre-receive hook declined`.
    pub reason: String,
    /// What its hooks said, without secrets.
    pub messages: Vec<String>,
}

/// What a caller's recomputation returns.
pub type Recomputed = Result<Option<Change>, Box<dyn std::error::Error + Send + Sync>>;

/// A commit ready to go.
struct Prepared {
    commit: ObjectId,
    pack: Vec<u8>,
}

/// What a server said about a push.
#[derive(Debug, Default)]
struct Report {
    unpack: String,
    refused: Option<String>,
    messages: Vec<String>,
}

impl Repository {
    /// Commits what `recompute` returns for the branch's head and pushes it. When the head has moved
    /// meanwhile, `recompute` runs again on the new one at once. It runs on a blocking thread.
    pub async fn push_with<F>(&self, target: &Target, mut recompute: F) -> Result<Pushed, Error>
    where
        F: FnMut(&Basis) -> Recomputed + Send + 'static,
    {
        let selector = Selector::Branch(target.branch.clone());
        let reference = selector.reference()?.unwrap_or_default();
        let _turn = self.mirror.push_turn.acquire().await;
        for attempt in 1..=ATTEMPTS_MAX {
            wait_before(attempt).await;
            let offer = self
                .timed(references::offer(&self.transport, Service::ReceivePack))
                .await?;
            let head = head_of(&offer, &reference);
            let basis = self.basis(target, head).await?;
            let (again, prepared) = self.prepare(recompute, basis.clone()).await?;
            recompute = again;
            let Some(prepared) = prepared else {
                return Ok(Pushed::Unchanged(basis));
            };
            let request = request(&offer, head, prepared.commit, &reference, &prepared.pack);
            failpoint::hit("push.before_send");
            let sent = self
                .timed(send(&self.transport, &offer, request, &reference))
                .await;
            let report = match sent {
                Ok(report) if report.refused.is_none() => {
                    failpoint::hit("push.after_reply");
                    return self
                        .landed(&selector, prepared.commit, (basis, attempt, report))
                        .await;
                }
                sent => sent,
            };
            // Refused, or the answer was lost: the head tells which.
            let offer = self
                .timed(references::offer(&self.transport, Service::ReceivePack))
                .await;
            let now = match (&offer, &report) {
                (Ok(offer), _) => head_of(offer, &reference),
                // The first error is the one that explains.
                (Err(_), Err(_)) => return Err(report.expect_err("because it is an error here")),
                (Err(_), Ok(_)) => head,
            };
            if now == Some(prepared.commit) {
                let report = report.unwrap_or_default();
                return self
                    .landed(&selector, prepared.commit, (basis, attempt, report))
                    .await;
            }
            if now == head {
                let report = report?;
                return Ok(Pushed::Refused(Refusal {
                    reference,
                    reason: report.refused.unwrap_or(report.unpack),
                    messages: report.messages,
                }));
            }
        }
        Ok(Pushed::Beaten)
    }

    /// Returns what to compute on: the branch's head, else the base, else nothing.
    async fn basis(&self, target: &Target, head: Option<ObjectId>) -> Result<Basis, Error> {
        let commit = match (head, &target.base) {
            (Some(id), _) => {
                let _turn = self.mirror.turn.acquire().await;
                match self.stored(id).await? {
                    Some(commit) => commit,
                    None => self.fetch_pack(id, 1).await?,
                }
            }
            (None, Some(base)) => match self.checkout(base).await {
                Err(Error::Empty) => return Ok(self.nothing()),
                checkout => {
                    let checkout = checkout?;
                    return Ok(Basis {
                        tree: checkout.tree,
                        commit: Some(checkout.commit),
                        message: checkout.message,
                    });
                }
            },
            (None, None) => return Ok(self.nothing()),
        };
        Ok(Basis {
            tree: commit.tree,
            commit: Some(commit.id),
            message: commit.message,
        })
    }

    fn nothing(&self) -> Basis {
        Basis {
            tree: self.mirror.empty_tree(),
            commit: None,
            message: String::new(),
        }
    }

    /// Computes the change and writes its commit into the mirror; gives the closure back. There is
    /// no commit when nothing changes.
    async fn prepare<F>(
        &self,
        mut recompute: F,
        basis: Basis,
    ) -> Result<(F, Option<Prepared>), Error>
    where
        F: FnMut(&Basis) -> Recomputed + Send + 'static,
    {
        let _turn = self.mirror.turn.acquire().await;
        let mirror = Arc::clone(&self.mirror);
        blocking(&self.permits, move || {
            let Some(change) = recompute(&basis).map_err(Error::Recompute)? else {
                return Ok((recompute, None));
            };
            let db = mirror.objects();
            let (tree, mut new) = edit(&db.objects, basis.tree.id(), &change.edits)?;
            if tree == basis.tree.id() {
                return Ok((recompute, None));
            }
            let object = commit(&change, tree, basis.commit)?;
            let commit = object.id;
            new.push(object);
            let pack = objects::pack_of(&new)?;
            mirror.take_own(&pack)?;
            Ok((recompute, Some(Prepared { commit, pack })))
        })
        .await
    }

    async fn landed(
        &self,
        selector: &Selector,
        id: ObjectId,
        (basis, attempts, report): (Basis, u32, Report),
    ) -> Result<Pushed, Error> {
        let _turn = self.mirror.turn.acquire().await;
        let mirror = Arc::clone(&self.mirror);
        let commit = blocking(&self.permits, move || {
            mirror.remember(id)?;
            mirror.commit(id)
        });
        let commit = commit.await?.ok_or_else(|| Error::Object {
            id: id.to_string(),
            cause: "not found after the push".to_owned(),
        })?;
        Ok(Pushed::Landed(Landed {
            checkout: checkout(&selector.revision(id), commit),
            parent: basis.commit,
            attempts,
            messages: report.messages,
        }))
    }
}

/// Waits a little before every attempt but the first two: the second follows at once.
async fn wait_before(attempt: u32) {
    if attempt <= 2 {
        return;
    }
    // The hasher's keys differ for each state: enough to scatter writers.
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(attempt);
    let longest = WAIT_MAX.as_millis() as u64 * u64::from(attempt) / u64::from(ATTEMPTS_MAX);
    tokio::time::sleep(Duration::from_millis(random % longest.max(1))).await;
}

fn head_of(offer: &Offer, reference: &str) -> Option<ObjectId> {
    Some(offer.references.as_ref()?.find(reference)?.id)
}

/// Returns the body of a push: one command with its old value, then the pack.
fn request(
    offer: &Offer,
    old: Option<ObjectId>,
    new: ObjectId,
    reference: &str,
    pack: &[u8],
) -> Vec<u8> {
    let old = old.unwrap_or_else(|| ObjectId::null(objects::HASH));
    let mut words = Vec::new();
    for word in ["report-status", "side-band-64k"] {
        if offer.capabilities.has(word) {
            words.push(word.to_owned());
        }
    }
    if offer.capabilities.has("object-format") {
        words.push("object-format=sha1".to_owned());
    }
    words.push(format!("agent={AGENT}"));
    let mut body = Vec::with_capacity(pack.len() + 256);
    let words = words.join(" ");
    pkt::line(&mut body, format!("{old} {new} {reference}\0 {words}"));
    pkt::flush(&mut body);
    body.extend_from_slice(pack);
    body
}

async fn send(
    transport: &Transport,
    offer: &Offer,
    body: Vec<u8>,
    reference: &str,
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
    let mut status = Vec::new();
    let banded = offer.capabilities.has("side-band-64k");
    while let Some(line) = lines.next().await? {
        match (line, banded) {
            (Line::Data(data), true) => match data.split_first() {
                Some((1, bytes)) => status.extend_from_slice(bytes),
                Some((2, text)) => messages(transport, text, &mut report.messages),
                Some((3, text)) => {
                    messages(transport, text, &mut report.messages);
                    report.refused = Some(pkt::text(text));
                }
                _ => return Err(lines.broken("a line of no side band in the answer to the push")),
            },
            (Line::Data(data), false) => read_status(&pkt::text(&data), reference, &mut report),
            (Line::Flush, _) => break,
            (Line::Delimiter, _) => {}
        }
    }
    read_banded_status(&lines, &status, reference, &mut report)?;
    if report.refused.is_some() {
        return Ok(report);
    }
    match report.unpack.as_str() {
        "ok" => Ok(report),
        "" => Err(lines.broken("the server did not say whether it took the push")),
        unpack => {
            report.refused = Some(format!("unpack {unpack}"));
            Ok(report)
        }
    }
}

/// Reads the packet lines within side band 1.
fn read_banded_status(
    lines: &Lines,
    mut status: &[u8],
    reference: &str,
    report: &mut Report,
) -> Result<(), Error> {
    while let Some((line, n)) =
        pkt::decode(status).map_err(|cause| lines.broken(cause.to_string()))?
    {
        if let pkt::Pkt::Data(data) = line {
            read_status(&pkt::text(data), reference, report);
        }
        status = status.get(n..).unwrap_or_default();
    }
    Ok(())
}

fn read_status(line: &str, reference: &str, report: &mut Report) {
    if let Some(unpack) = line.strip_prefix("unpack ") {
        report.unpack = unpack.to_owned();
    } else if let Some(refused) = line.strip_prefix("ng ") {
        let reason = refused.strip_prefix(reference).unwrap_or(refused).trim();
        report.refused = Some(reason.to_owned());
    }
}

/// Keeps the lines of a side band's text, without secrets and control characters.
fn messages(transport: &Transport, text: &[u8], messages: &mut Vec<String>) {
    let text = redact_values(
        &String::from_utf8_lossy(text),
        &transport.remote().secrets(),
    );
    for line in text.split(['\n', '\r']) {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        let line = line.trim_end();
        if !line.is_empty() && messages.len() < MESSAGES_MAX {
            messages.push(line.to_owned());
        }
    }
}
