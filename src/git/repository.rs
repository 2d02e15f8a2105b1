//! The room's front: mirrors below one folder, and what can be done with one remote.
//!
//! In: a [`Remote`]. Out: heads, checkouts, pins. Network calls are async and bound by the remote's
//! timeout; disk work runs on blocking threads, a few at a time. `push` holds the writing half.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use gix::ObjectId;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::{
    Error,
    checkout::{Checkout, Head, Selector},
    github::{self, Lent, Tokens},
    http::{Clients, Http},
    mirror::{Commit, Mirror, lock},
    references::{self, Offer, References},
    remote::{Credentials, Remote},
    ssh::Ssh,
    transport::{Service, Transport},
    turns::Turns,
    upload::{self, Parts, Want},
};
use crate::{failpoint, outbound::Hosts};

/// Blocking pieces of work at one time.
pub const BLOCKING_MAX: usize = 4;
/// Commits looked through for a trailer.
pub const HISTORY_MAX: usize = 20;

/// All mirrors below one folder.
#[derive(Clone)]
pub struct Git(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    clients: Clients,
    tokens: Arc<Tokens>,
    mirrors: Mutex<HashMap<String, Arc<Mirror>>>,
    turns: Arc<Turns>,
    permits: Arc<Semaphore>,
}

impl Git {
    /// Returns the room over `folder`, which is made when missing.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Self::open_for(folder, Hosts::default())
    }

    /// Returns the room over `folder`, as [`Git::open`] does, which asks only hosts that may be asked.
    pub fn open_for(folder: &Path, hosts: Hosts) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|cause| Error::Mirror {
            act: "create",
            path: folder.display().to_string(),
            cause: cause.to_string(),
        })?;
        Ok(Self(Arc::new(Shared {
            folder: folder.to_owned(),
            clients: Clients::new(hosts),
            tokens: Arc::default(),
            mirrors: Mutex::default(),
            turns: Arc::default(),
            permits: Arc::new(Semaphore::new(BLOCKING_MAX)),
        })))
    }

    /// Returns a remote's repository. Remotes of the same URL and identity share one mirror. Fails
    /// when the TLS settings or the folder cannot be used, or a GitHub App gets no token; does not speak
    /// to the remote itself.
    pub async fn repository(&self, remote: Remote) -> Result<Repository, Error> {
        let (remote, lent) = self.logged_in(remote).await?;
        let key = mirror_key(&remote);
        let shared = Arc::clone(&self.0);
        let permits = Arc::clone(&self.0.permits);
        blocking(&permits, move || {
            let transport = match remote.url.is_ssh() {
                true => Transport::Ssh(Ssh::new(remote, shared.clients.hosts().clone())),
                false => Transport::Http(Http {
                    client: shared.clients.client(&remote)?,
                    remote,
                }),
            };
            let mut mirrors = lock(&shared.mirrors);
            let mirror = match mirrors.get(&key) {
                Some(mirror) => Arc::clone(mirror),
                None => {
                    let path = shared.folder.join(&key);
                    let mirror = Arc::new(Mirror::open(&path, transport.remote().url.as_str())?);
                    mirrors.insert(key, Arc::clone(&mirror));
                    mirror
                }
            };
            Ok(Repository {
                transport,
                lent,
                mirror,
                turns: Arc::clone(&shared.turns),
                permits: Arc::clone(&shared.permits),
            })
        })
        .await
    }
}

impl Git {
    /// Returns the remote with a token in place of a GitHub App, and what forgets the token.
    async fn logged_in(&self, remote: Remote) -> Result<(Remote, Option<Lent>), Error> {
        let Credentials::GithubApp(app) = &remote.credentials else {
            return Ok((remote, None));
        };
        self.0.clients.check(app.base_url())?;
        let client = self.0.clients.client(&remote)?;
        let token = self.0.tokens.token(&client, app, &remote).await?;
        let lent = self.0.tokens.lent(app);
        let credentials = Credentials::Basic {
            username: github::USER.to_owned(),
            password: token,
        };
        let remote = Remote {
            credentials,
            ..remote
        };
        Ok((remote, Some(lent)))
    }
}

/// Returns the folder name of a remote's mirror: no text of the URL, nothing secret.
fn mirror_key(remote: &Remote) -> String {
    let mut hasher = Sha256::new();
    hasher.update(remote.url.as_str());
    hasher.update([0]);
    hasher.update(&remote.identity);
    let digest = hasher.finalize();
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Runs disk work on a blocking thread.
pub(super) async fn blocking<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let permit = Arc::clone(permits).acquire_owned().await;
    let permit = permit.expect("because the semaphore is never closed");
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    match done.await {
        Ok(result) => result,
        Err(cause) => Err(Error::Mirror {
            act: "work on",
            path: "a mirror".to_owned(),
            cause: cause.to_string(),
        }),
    }
}

/// Stops blocking work when the caller goes away.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A file that is removed when nobody needs it any more.
struct Incoming(PathBuf);

impl Drop for Incoming {
    fn drop(&mut self) {
        // What is left over is removed when the mirror is opened again.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// One remote and its mirror.
#[derive(Clone)]
pub struct Repository {
    pub(super) transport: Transport,
    lent: Option<Lent>,
    pub(super) mirror: Arc<Mirror>,
    pub(super) turns: Arc<Turns>,
    pub(super) permits: Arc<Semaphore>,
}

impl Repository {
    /// Returns the remote's URL, without userinfo.
    pub fn url(&self) -> &str {
        self.transport.remote().url.as_str()
    }

    /// Returns the folder of the mirror.
    pub fn mirror_path(&self) -> &Path {
        self.mirror.path()
    }

    /// Returns the remote's references whose full names start with one of `prefixes`.
    pub async fn references(&self, prefixes: &[&str]) -> Result<References, Error> {
        let prefixes: Vec<String> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        self.timed(self.list(&prefixes)).await
    }

    /// Returns what the remote has for `selector`, without fetching: one exchange once the server is
    /// known to speak protocol version 2. Fails with [`Error::Empty`] when the remote has no
    /// reference at all, and with [`Error::ReferenceNotFound`] when it has only others.
    pub async fn head(&self, selector: &Selector) -> Result<Head, Error> {
        let url = self.url();
        let found = match (selector, selector.reference()?) {
            (Selector::Semver(range), _) => {
                let tags = self.references(&["refs/tags/"]).await?;
                Selector::choose(range, &tags).and_then(|tag| tag.find(&tags, url))
            }
            (selector, Some(name)) => selector.find(&self.references(&[&name]).await?, url),
            (selector, None) => selector.find(&References::default(), url),
        };
        match found {
            Err(Error::ReferenceNotFound { .. } | Error::Range { .. })
                if self.is_empty().await? =>
            {
                Err(Error::Empty)
            }
            found => found,
        }
    }

    /// Returns whether the remote has neither branches nor tags.
    async fn is_empty(&self) -> Result<bool, Error> {
        Ok(self
            .references(&["refs/heads/", "refs/tags/"])
            .await?
            .is_empty())
    }

    /// Returns the commit of `head` with its tree: from the mirror when it is there, fetched at depth
    /// one when it is not.
    pub async fn fetch(&self, head: &Head) -> Result<Checkout, Error> {
        let _turn = self.mirror.turn.acquire().await;
        let commit = match self.stored(head.commit).await? {
            Some(commit) => commit,
            None => self.fetch_pack(head.want, 1).await?,
        };
        // Old servers may not say what a tag names; the fetched tag object does.
        Ok(checkout(&head.selector.revision(commit.id), commit))
    }

    /// Returns what the remote has for `selector`, fetched.
    pub async fn checkout(&self, selector: &Selector) -> Result<Checkout, Error> {
        self.fetch(&self.head(selector).await?).await
    }

    /// Keeps a checkout's objects under a name, over restarts, until it is unpinned or the name pins
    /// another.
    pub async fn pin(&self, name: &str, checkout: &Checkout) -> Result<(), Error> {
        let (mirror, name, id) = (Arc::clone(&self.mirror), name.to_owned(), checkout.commit);
        // Moved in, so that its lease outlives the write.
        let kept = checkout.clone();
        blocking(&self.permits, move || {
            let _kept = kept;
            mirror.pin(&name, id)
        })
        .await
    }

    /// Keeps nothing under a name any more.
    pub async fn unpin(&self, name: &str) -> Result<(), Error> {
        let (mirror, name) = (Arc::clone(&self.mirror), name.to_owned());
        blocking(&self.permits, move || mirror.unpin(&name)).await
    }

    /// Returns the checkout pinned under a name, without the remote; `revision` is the caller's.
    pub async fn pinned(&self, name: &str, revision: &str) -> Result<Option<Checkout>, Error> {
        let (mirror, name) = (Arc::clone(&self.mirror), name.to_owned());
        let revision = revision.to_owned();
        blocking(&self.permits, move || {
            let Some(id) = mirror.pinned(&name) else {
                return Ok(None);
            };
            Ok(mirror.commit(id)?.map(|commit| checkout(&revision, commit)))
        })
        .await
    }

    /// Throws away what neither the newest commits, nor pins, nor living trees need. Runs by itself
    /// now and then.
    pub async fn collect(&self) -> Result<(), Error> {
        let _turn = self.mirror.turn.acquire().await;
        let mirror = Arc::clone(&self.mirror);
        blocking(&self.permits, move || mirror.collect()).await
    }

    /// Returns the newest commit on a branch, among its last `HISTORY_MAX`, whose message has the
    /// line `key: value`: how a push is recognised whose answer was lost.
    pub async fn find_trailer(
        &self,
        branch: &str,
        key: &str,
        value: &str,
    ) -> Result<Option<Checkout>, Error> {
        let selector = Selector::Branch(branch.to_owned());
        let head = match self.head(&selector).await {
            Err(Error::Empty | Error::ReferenceNotFound { .. }) => return Ok(None),
            head => head?,
        };
        let newest = self.fetch(&head).await?;
        if newest.has_trailer(key, value) {
            return Ok(Some(newest));
        }
        let history = self.history(head.commit).await?;
        let found = history
            .into_iter()
            .find(|commit| super::commit::has_trailer(&commit.message, key, value));
        Ok(found.map(|commit| checkout(&selector.revision(commit.id), commit)))
    }

    /// Returns a commit of the remote and its ancestors, at most `HISTORY_MAX`, children first.
    pub(super) async fn history(&self, id: ObjectId) -> Result<Vec<Commit>, Error> {
        let _turn = self.mirror.turn.acquire().await;
        self.fetch_pack(id, HISTORY_MAX as u32).await?;
        let mirror = Arc::clone(&self.mirror);
        blocking(&self.permits, move || mirror.history(id, HISTORY_MAX)).await
    }

    /// Returns a commit that is complete here; nothing when its objects were lost.
    pub(super) async fn stored(&self, id: ObjectId) -> Result<Option<Commit>, Error> {
        let mirror = Arc::clone(&self.mirror);
        blocking(&self.permits, move || match mirror.commit(id) {
            Err(Error::Object { .. }) => Ok(None),
            commit => commit,
        })
        .await
    }

    /// Fetches `want`; the caller holds the mirror's turn. A mirror that has lost objects fetches
    /// once more, as if it had none.
    pub(super) async fn fetch_pack(&self, want: ObjectId, depth: u32) -> Result<Commit, Error> {
        match self.timed(self.fetch_once(want, depth, Parts::All)).await {
            Err(Error::Object { .. }) => self.timed(self.fetch_once(want, depth, Parts::All)).await,
            result => result,
        }
    }

    pub(super) async fn fetch_once(
        &self,
        want: ObjectId,
        depth: u32,
        parts: Parts,
    ) -> Result<Commit, Error> {
        let mirror = Arc::clone(&self.mirror);
        let (haves, shallow) = blocking(&self.permits, move || match mirror.haves() {
            // Objects are missing: ask for everything.
            Err(Error::Object { .. }) => Ok((Vec::new(), Vec::new())),
            haves => haves,
        })
        .await?;
        let incoming = Incoming(self.mirror.incoming());
        let file = tokio::fs::File::create(&incoming.0).await;
        let file = file.map_err(|cause| self.mirror.failed("create", &incoming.0, &cause))?;
        let mut sink = tokio::io::BufWriter::with_capacity(1 << 16, file);
        let wanted = Want {
            id: want,
            haves: &haves,
            shallow: &shallow,
            depth,
            parts,
        };
        let offer = self.offer().await?;
        failpoint::hit("git.before_fetch");
        upload::fetch(&self.transport, &offer, &wanted, &mut sink).await?;
        drop(sink);
        failpoint::hit("git.after_fetch_before_index");
        let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
        let (mirror, flag) = (Arc::clone(&self.mirror), Arc::clone(&stop.0));
        blocking(&self.permits, move || mirror.take(&incoming.0, want, &flag)).await
    }

    async fn list(&self, prefixes: &[String]) -> Result<References, Error> {
        let remembered = lock(&self.mirror.offer).clone();
        if let Some(offer) = remembered {
            match references::list(&self.transport, &offer, prefixes).await {
                // The server may have changed; ask it anew.
                Err(Error::Protocol { .. } | Error::Status { .. } | Error::NotFound { .. }) => {
                    *lock(&self.mirror.offer) = None;
                }
                found => return found,
            }
        }
        let offer = self.offer().await?;
        references::list(&self.transport, &offer, prefixes).await
    }

    /// Returns what the server offers for fetching, remembered when it is protocol version 2.
    pub(super) async fn offer(&self) -> Result<Offer, Error> {
        let remembered = lock(&self.mirror.offer).clone();
        if let Some(offer) = remembered {
            return Ok(offer);
        }
        let offer = references::offer(&self.transport, Service::UploadPack).await?;
        if offer.references.is_none() {
            *lock(&self.mirror.offer) = Some(offer.clone());
        }
        Ok(offer)
    }

    /// Bounds an exchange by the remote's timeout.
    pub(super) async fn timed<T>(
        &self,
        exchange: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let after = self.transport.remote().timeout;
        match tokio::time::timeout(after, exchange).await {
            Ok(result) => {
                if let (Err(Error::Authentication { .. }), Some(lent)) = (&result, &self.lent) {
                    lent.forget();
                }
                result
            }
            Err(_) => Err(Error::Timeout {
                url: self.url().to_owned(),
                after,
            }),
        }
    }
}

pub(super) fn checkout(revision: &str, commit: Commit) -> Checkout {
    Checkout {
        revision: revision.to_owned(),
        commit: commit.id,
        message: commit.message,
        tree: commit.tree,
    }
}
