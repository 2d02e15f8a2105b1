//! Pushes one commit, recomputed on the newest head until nobody was faster.
//!
//! In: a branch and a closure from the head's tree to a [`Change`]. Out: [`Pushed`]: landed, nothing
//! to do, refused in the server's words, or beaten too often. Every push names the old value, so it
//! never overwrites what it has not seen; the branch itself is never forced.

use std::{sync::Arc, time::Duration};

use gix::ObjectId;

use super::{
    Error,
    checkout::{Checkout, Selector},
    commit::{Change, commit},
    edit::edit,
    objects::{self, Object},
    receive::{Command, request, send},
    references::{self, Offer},
    refspec::RefSpec,
    report::Report,
    repository::{Repository, blocking, checkout},
    transport::Service,
    tree::Tree,
};
use crate::failpoint;

/// How often a push is recomputed after somebody else was faster.
pub const ATTEMPTS_MAX: u32 = 10;
/// The longest wait before an attempt after the first: it grows with attempts and is scattered.
const WAIT_MAX: Duration = Duration::from_millis(1500);

/// Where a commit goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// What the edit is made on.
    pub start: Start,
    /// The branch's head as it was just seen: the edit is made on it before the server is asked to
    /// take anything, and a branch that vanished since is not made again.
    pub seen: Option<ObjectId>,
    /// References that get the commit in the same push.
    pub refspecs: Vec<RefSpec>,
    /// Options for the server, each `key=value`.
    pub options: Vec<String>,
}

/// What an edit is made on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The branch's head; nothing where there is none.
    Head,
    /// The branch's head; where there is none, what is selected here.
    HeadElse(Selector),
    /// What is selected here: the branch must be there, or not be at all.
    Only(Selector),
}

impl Target {
    /// Returns the branch as a target that starts from its head.
    pub fn branch(branch: impl Into<String>) -> Self {
        Self {
            branch: branch.into(),
            start: Start::Head,
            seen: None,
            refspecs: Vec::new(),
            options: Vec::new(),
        }
    }
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

impl Basis {
    /// Returns it as a checkout of a branch; nothing where there is no commit.
    pub fn checkout(&self, branch: &str) -> Option<Checkout> {
        let commit = self.commit?;
        Some(Checkout {
            revision: Selector::Branch(branch.to_owned()).revision(commit),
            commit,
            message: self.message.clone(),
            tree: self.tree.clone(),
        })
    }
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
    /// What the server does not have: blobs, trees, the commit.
    new: Vec<Object>,
}

/// What one try to push came to.
enum Tried {
    Ended(Box<Pushed>),
    /// Somebody else was faster: the branch's head is another.
    Behind(Offer),
}

/// One try to push.
struct Try<'t> {
    target: &'t Target,
    reference: &'t str,
    basis: Basis,
    prepared: Prepared,
    attempt: u32,
}

impl Repository {
    /// Commits what `recompute` returns for the branch's head and pushes it. When the head has moved
    /// meanwhile, `recompute` runs again on the new one at once. It runs on a blocking thread. Pushes
    /// of this process to one branch of one URL go one after the other.
    pub async fn push_with<F>(&self, target: &Target, mut recompute: F) -> Result<Pushed, Error>
    where
        F: FnMut(&Basis) -> Recomputed + Send + 'static,
    {
        let selector = Selector::Branch(target.branch.clone());
        let reference = selector.reference()?.unwrap_or_default();
        let turns = Arc::clone(&self.turns);
        let (_turn, has_waited) = turns.take(self.url(), &reference).await;
        // What was seen before others had their turn is no longer so.
        let mut known = target.seen.map(Some).filter(|_| !has_waited);
        let mut offer = None;
        // A commit that was sent and not answered for: it may be below the branch's head.
        let mut unanswered = None;
        for attempt in 1..=ATTEMPTS_MAX {
            wait_before(attempt).await;
            let head = match known.take() {
                Some(head) => head,
                None => head_of(offer.insert(self.offer_to_push().await?), &reference),
            };
            let basis = self.basis(target, &reference, head).await?;
            let (again, prepared) = self.prepare(recompute, basis.clone()).await?;
            recompute = again;
            let Some(prepared) = prepared else {
                return match unanswered {
                    Some(sent) => self.unchanged(&selector, basis, (sent, attempt)).await,
                    None => Ok(Pushed::Unchanged(basis)),
                };
            };
            let current = match offer.take() {
                Some(offer) => offer,
                None => self.offer_to_push().await?,
            };
            let now = head_of(&current, &reference);
            if now != head {
                (known, offer) = (Some(now), Some(current));
                continue;
            }
            let commit = prepared.commit;
            let one = Try {
                target,
                reference: &reference,
                basis,
                prepared,
                attempt,
            };
            match self.try_to_push(one, &current).await? {
                Tried::Ended(pushed) => return Ok(*pushed),
                Tried::Behind(later) => {
                    unanswered = Some(commit);
                    known = Some(head_of(&later, &reference));
                    offer = Some(later);
                }
            }
        }
        Ok(Pushed::Beaten)
    }

    /// Gives a commit that the branch has already to the refspecs of the target that lack it. Returns
    /// what a server refused.
    pub async fn push_refspecs(
        &self,
        target: &Target,
        checkout: &Checkout,
    ) -> Result<Option<Refusal>, Error> {
        if target.refspecs.is_empty() {
            return Ok(None);
        }
        let offer = self.offer_to_push().await?;
        let basis = Basis {
            tree: checkout.tree.clone(),
            commit: Some(checkout.commit),
            message: String::new(),
        };
        let commands = self
            .refspec_commands(target, &offer, (&basis, checkout.commit))
            .await?;
        if commands.is_empty() {
            return Ok(None);
        }
        let request = request(
            &self.transport,
            &offer,
            &commands,
            &target.options,
            &objects::pack_of(&[])?,
        )?;
        let report = self.timed(send(&self.transport, &offer, request)).await?;
        Ok(report.refused.map(|refused| Refusal {
            reference: refused.0,
            reason: refused.1,
            messages: report.messages,
        }))
    }

    /// Returns what an edit for the target would be made on now.
    pub async fn basis_of_target(&self, target: &Target) -> Result<Basis, Error> {
        let selector = Selector::Branch(target.branch.clone());
        let reference = selector.reference()?.unwrap_or_default();
        let head = match self.head(&selector).await {
            Err(Error::Empty | Error::ReferenceNotFound { .. }) => None,
            head => Some(head?.commit),
        };
        self.basis(target, &reference, head).await
    }

    async fn offer_to_push(&self) -> Result<Offer, Error> {
        self.timed(references::offer(&self.transport, Service::ReceivePack))
            .await
    }

    /// Sends a commit, and finds out what became of it when that is not said.
    async fn try_to_push(&self, one: Try<'_>, offer: &Offer) -> Result<Tried, Error> {
        let Try {
            target,
            reference,
            basis,
            prepared,
            attempt,
        } = one;
        let (commit, head) = (prepared.commit, head_of(offer, reference));
        let mut commands = vec![Command {
            reference: reference.to_owned(),
            old: head,
            new: commit,
        }];
        let refspecs = self.refspec_commands(target, offer, (&basis, commit));
        commands.extend(refspecs.await?);
        let pack = match offer.capabilities.has("no-thin") {
            true => objects::whole_pack_of(&prepared.new)?,
            false => objects::pack_of(&prepared.new)?,
        };
        let request = request(&self.transport, offer, &commands, &target.options, &pack)?;
        failpoint::hit("push.before_send");
        let sent = self.timed(send(&self.transport, offer, request)).await;
        let selector = Selector::Branch(target.branch.clone());
        let report = match sent {
            Ok(report) if report.refused.is_none() => {
                failpoint::hit("push.after_reply_before_record");
                let landed = self.landed(&selector, commit, (basis, attempt, report));
                return Ok(Tried::Ended(Box::new(landed.await?)));
            }
            sent => sent,
        };
        // Refused, or the answer was lost: the head tells which.
        let later = self.offer_to_push().await;
        let now = match (&later, &report) {
            (Ok(later), _) => head_of(later, reference),
            // The first error is the one that explains.
            (Err(_), Err(_)) => {
                let first = report.expect_err("because it is an error here");
                return Err(first.of_lost_answer());
            }
            (Err(_), Ok(_)) => head,
        };
        let refused_elsewhere = |report: &Report| {
            let refused = report.refused.as_ref();
            refused.is_some_and(|(refused, _)| refused != reference)
        };
        if now == Some(commit) && !report.as_ref().is_ok_and(refused_elsewhere) {
            let report = report.unwrap_or_default();
            let landed = self.landed(&selector, commit, (basis, attempt, report));
            return Ok(Tried::Ended(Box::new(landed.await?)));
        }
        match later {
            Ok(later) if now != head && now != Some(commit) => Ok(Tried::Behind(later)),
            _ => {
                let report = report?;
                let (refused, reason) = report.refused.unwrap_or_default();
                Ok(Tried::Ended(Box::new(Pushed::Refused(Refusal {
                    reference: refused,
                    reason,
                    messages: report.messages,
                }))))
            }
        }
    }

    /// Returns the end of a push that found nothing left to change: nothing was to be done, or a
    /// commit of which the answer was lost has landed below what others have pushed since.
    async fn unchanged(
        &self,
        selector: &Selector,
        basis: Basis,
        (sent, attempts): (ObjectId, u32),
    ) -> Result<Pushed, Error> {
        let Some(head) = basis.commit else {
            return Ok(Pushed::Unchanged(basis));
        };
        let history = self.history(head).await?;
        let Some(commit) = history.into_iter().find(|commit| commit.id == sent) else {
            return Ok(Pushed::Unchanged(basis));
        };
        Ok(Pushed::Landed(Landed {
            parent: commit.parents.first().copied(),
            checkout: checkout(&selector.revision(sent), commit),
            attempts,
            messages: Vec::new(),
        }))
    }

    /// Returns the commands that give a commit to the target's refspecs. Fails when a reference would
    /// lose commits and the refspec does not ask for that.
    async fn refspec_commands(
        &self,
        target: &Target,
        offer: &Offer,
        (basis, new): (&Basis, ObjectId),
    ) -> Result<Vec<Command>, Error> {
        let mut commands = Vec::new();
        for refspec in &target.refspecs {
            let old = head_of(offer, &refspec.to);
            if old == Some(new) {
                continue;
            }
            if let (Some(old), Some(below)) = (old, basis.commit)
                && !refspec.forces
                && old != below
                && !self
                    .history(below)
                    .await?
                    .iter()
                    .any(|commit| commit.id == old)
            {
                return Err(Error::NotForward {
                    reference: refspec.to.clone(),
                });
            }
            commands.push(Command {
                reference: refspec.to.clone(),
                old,
                new,
            });
        }
        Ok(commands)
    }

    /// Returns what to compute on, as the target says.
    async fn basis(
        &self,
        target: &Target,
        reference: &str,
        head: Option<ObjectId>,
    ) -> Result<Basis, Error> {
        match (&target.start, head) {
            (Start::Only(base), head) => {
                let basis = self.basis_of(base).await?;
                if head.is_some() && head != basis.commit {
                    let reference = reference.to_owned();
                    return Err(Error::NotForward { reference });
                }
                Ok(basis)
            }
            (_, Some(id)) => {
                let _turn = self.mirror.turn.acquire().await;
                let commit = match self.stored(id).await? {
                    Some(commit) => commit,
                    None => self.fetch_pack(id, 1).await?,
                };
                Ok(Basis {
                    tree: commit.tree,
                    commit: Some(commit.id),
                    message: commit.message,
                })
            }
            (Start::HeadElse(base), None) => self.basis_of(base).await,
            // What was deleted by others is not made again.
            (Start::Head, None) if target.seen.is_some() => Err(Error::ReferenceNotFound {
                url: self.url().to_owned(),
                reference: reference.to_owned(),
            }),
            (Start::Head, None) => Ok(self.nothing()),
        }
    }

    async fn basis_of(&self, base: &Selector) -> Result<Basis, Error> {
        let checkout = match self.checkout(base).await {
            Err(Error::Empty) => return Ok(self.nothing()),
            checkout => checkout?,
        };
        Ok(Basis {
            tree: checkout.tree,
            commit: Some(checkout.commit),
            message: checkout.message,
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
            failpoint::hit("commit.before_write_object");
            mirror.take_own(&objects::pack_of(&new)?)?;
            failpoint::hit("commit.after_write_object");
            Ok((recompute, Some(Prepared { commit, new })))
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
