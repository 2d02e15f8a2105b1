//! One bare repository on disk for each remote and identity.
//!
//! In: packs. Out: commits that are complete, with their trees. `state.json` says which ones; it is
//! written last and atomically, so a crash leaves at most a pack that nothing names. Blocking. A
//! mirror is a cache: when it cannot be read it is made anew.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use gix::{ObjectId, objs::Kind};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{
    Error, Tree,
    error::chain,
    objects::{self, PackWriter, absorb, commit_parts, sync_file, walk_tree},
    references::Offer,
};

/// Commits that are remembered besides pins and leases; each is offered to the server.
pub const TIPS_MAX: usize = 16;
/// Packs kept before what nothing needs is thrown away and the rest becomes one pack.
pub const PACKS_MAX: u32 = 64;
/// Pack indices that the object database can hold: several times [`PACKS_MAX`], since it still holds
/// those that a collection removed.
const INDEX_SLOTS: u16 = 512;
/// Pins kept; a source pins one or two.
pub const PINS_MAX: usize = 4096;
/// Annotated tags followed to a commit.
const TAG_DEPTH_MAX: usize = 5;
const FORMAT: u32 = 1;
const STATE: &str = "state.json";
const INCOMING: &str = "incoming-";

/// What a mirror holds for certain.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    format: u32,
    url: String,
    /// Commits whose trees are complete, oldest first.
    tips: Vec<String>,
    /// Commits kept for somebody, by name.
    pins: BTreeMap<String, String>,
}

/// Commits held by living [`Tree`]s, counted.
type Leases = Arc<Mutex<BTreeMap<ObjectId, usize>>>;

/// Keeps a commit's objects while it lives.
#[derive(Debug)]
pub(super) struct Lease {
    leases: Leases,
    commit: ObjectId,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut leases = lock(&self.leases);
        if let Some(count) = leases.get_mut(&self.commit) {
            *count -= 1;
            if *count == 0 {
                leases.remove(&self.commit);
            }
        }
    }
}

/// A commit's tree and message.
pub(super) struct Commit {
    pub(super) id: ObjectId,
    pub(super) parents: Vec<ObjectId>,
    pub(super) message: String,
    pub(super) tree: Tree,
}

/// A remote's objects on disk.
pub(super) struct Mirror {
    path: PathBuf,
    repository: Mutex<gix::ThreadSafeRepository>,
    state: Mutex<State>,
    leases: Leases,
    /// One writer at a time; also keeps two fetches from asking for the same pack.
    pub(super) turn: Semaphore,
    /// What the server offers for fetching, when it speaks protocol version 2.
    pub(super) offer: Mutex<Option<Offer>>,
    n_incoming: AtomicU64,
    /// Packs on disk; those of refused pushes count, too.
    n_packs: AtomicU32,
}

impl Mirror {
    /// Returns the mirror at `path`, made anew when it is missing or cannot be read.
    pub(super) fn open(path: &Path, url: &str) -> Result<Self, Error> {
        let (repository, state) = match reopen(path) {
            Some(found) => found,
            None => make(path, url)?,
        };
        Ok(Self {
            path: path.to_owned(),
            repository: Mutex::new(repository),
            state: Mutex::new(state),
            leases: Leases::default(),
            turn: Semaphore::new(1),
            offer: Mutex::new(None),
            n_incoming: AtomicU64::new(0),
            n_packs: AtomicU32::new(count_packs(path)),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a path for a pack on its way in.
    pub(super) fn incoming(&self) -> PathBuf {
        let n = self.n_incoming.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("{INCOMING}{n}"))
    }

    /// Returns the objects, for this thread.
    pub(super) fn objects(&self) -> gix::Repository {
        lock(&self.repository).to_thread_local()
    }

    /// Returns the tree of nothing.
    pub(super) fn empty_tree(&self) -> Tree {
        let id = ObjectId::empty_tree(objects::HASH);
        Tree::new(lock(&self.repository).clone(), id, None)
    }

    /// Returns the complete commits, newest first, and those of them whose parents are not here.
    pub(super) fn haves(&self) -> Result<(Vec<ObjectId>, Vec<ObjectId>), Error> {
        let tips = ids(lock(&self.state).tips.iter().rev());
        let db = self.objects();
        let mut shallow = Vec::new();
        for id in &tips {
            let (_, data) = objects::read(&db.objects, *id)?;
            let parents = commit_parts(*id, &data)?.parents;
            if !parents.iter().all(|parent| tips.contains(parent)) {
                shallow.push(*id);
            }
        }
        Ok((tips, shallow))
    }

    /// Returns a complete commit, or nothing when it is not here.
    pub(super) fn commit(&self, id: ObjectId) -> Result<Option<Commit>, Error> {
        // The lease comes first, so that no collection slips between the look and the use.
        let lease = self.lease(id);
        let hex = id.to_string();
        let known = {
            let state = lock(&self.state);
            state.tips.contains(&hex) || state.pins.values().any(|pin| *pin == hex)
        };
        match known {
            true => self.load(id, lease).map(Some),
            false => Ok(None),
        }
    }

    /// Returns whether a commit is among the `n_max` newest that are here below another, or is it.
    pub(super) fn is_below(
        &self,
        wanted: ObjectId,
        head: ObjectId,
        n_max: usize,
    ) -> Result<bool, Error> {
        let db = self.objects();
        let (mut todo, mut seen) = (VecDeque::from([head]), HashSet::new());
        while let Some(id) = todo.pop_front()
            && seen.len() < n_max
        {
            if id == wanted {
                return Ok(true);
            }
            if seen.insert(id)
                && let Some((_, data)) = objects::try_read(&db.objects, id)?
            {
                todo.extend(commit_parts(id, &data)?.parents);
            }
        }
        Ok(false)
    }

    /// Returns the commits from `id` on that are here, at most `n_max`, children before parents.
    pub(super) fn history(&self, id: ObjectId, n_max: usize) -> Result<Vec<Commit>, Error> {
        let db = self.objects();
        let (mut found, mut todo) = (Vec::new(), VecDeque::from([id]));
        let mut seen = HashSet::new();
        while let Some(id) = todo.pop_front() {
            if found.len() >= n_max || !seen.insert(id) {
                continue;
            }
            if objects::try_read(&db.objects, id)?.is_none() {
                continue;
            }
            let commit = self.load(id, self.lease(id))?;
            todo.extend(&commit.parents);
            found.push(commit);
        }
        Ok(found)
    }

    fn lease(&self, commit: ObjectId) -> Arc<Lease> {
        *lock(&self.leases).entry(commit).or_default() += 1;
        Arc::new(Lease {
            leases: Arc::clone(&self.leases),
            commit,
        })
    }

    fn load(&self, id: ObjectId, lease: Arc<Lease>) -> Result<Commit, Error> {
        let db = self.objects();
        let (kind, data) = objects::read(&db.objects, id)?;
        if kind != Kind::Commit {
            return Err(Error::Object {
                id: id.to_string(),
                cause: format!("is a {kind}, not a commit"),
            });
        }
        let parts = commit_parts(id, &data)?;
        let tree = Tree::new(lock(&self.repository).clone(), parts.tree, Some(lease));
        Ok(Commit {
            id,
            parents: parts.parents,
            message: parts.message,
            tree,
        })
    }

    /// Takes a fetched pack, follows `want` to its commit and remembers it as complete. Fails, and
    /// forgets everything but pins, when the commit or its root tree did not come.
    pub(super) fn take(
        &self,
        pack: &Path,
        want: ObjectId,
        stop: &AtomicBool,
    ) -> Result<Commit, Error> {
        let file = std::fs::File::open(pack).map_err(|cause| self.failed("open", pack, &cause))?;
        self.absorb(&mut BufReader::new(file), stop)?;
        let result = self.peel(want).and_then(|id| {
            let commit = self.load(id, self.lease(id))?;
            if !commit.tree.id().is_empty_tree() {
                objects::read(&self.objects().objects, commit.tree.id())?;
            }
            Ok(commit)
        });
        match result {
            Ok(commit) => {
                self.remember(commit.id)?;
                Ok(commit)
            }
            Err(cause) => {
                self.update(|state| state.tips.clear())?;
                Err(cause)
            }
        }
    }

    /// Takes a pack of our own making.
    pub(super) fn take_own(&self, mut pack: &[u8]) -> Result<(), Error> {
        self.absorb(&mut pack, &AtomicBool::new(false))
    }

    /// Adds a pack, after a collection when there are many: the object database cannot hold more
    /// than [`INDEX_SLOTS`].
    fn absorb(&self, pack: &mut dyn BufRead, stop: &AtomicBool) -> Result<(), Error> {
        if self.n_packs.load(Ordering::Relaxed) >= PACKS_MAX {
            self.collect()?;
        }
        absorb(pack, &self.objects(), stop)?;
        self.n_packs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Remembers a commit as complete.
    pub(super) fn remember(&self, commit: ObjectId) -> Result<(), Error> {
        let hex = commit.to_string();
        self.update(|state| {
            state.tips.retain(|tip| *tip != hex);
            state.tips.push(hex);
            let excess = state.tips.len().saturating_sub(TIPS_MAX);
            state.tips.drain(..excess);
        })
    }

    /// Keeps a commit under a name, instead of what the name kept before.
    pub(super) fn pin(&self, name: &str, commit: ObjectId) -> Result<(), Error> {
        let full = {
            let state = lock(&self.state);
            state.pins.len() >= PINS_MAX && !state.pins.contains_key(name)
        };
        if full {
            return Err(Error::TooLarge {
                what: format!("the number of pins of {}", self.path.display()),
                max: PINS_MAX as u64,
            });
        }
        self.update(|state| {
            state.pins.insert(name.to_owned(), commit.to_string());
        })
    }

    /// Keeps nothing under a name any more.
    pub(super) fn unpin(&self, name: &str) -> Result<(), Error> {
        if !lock(&self.state).pins.contains_key(name) {
            return Ok(());
        }
        self.update(|state| {
            state.pins.remove(name);
        })
    }

    /// Returns the commit kept under a name.
    pub(super) fn pinned(&self, name: &str) -> Option<ObjectId> {
        let hex = lock(&self.state).pins.get(name)?.clone();
        ObjectId::from_hex(hex.as_bytes()).ok()
    }

    fn peel(&self, want: ObjectId) -> Result<ObjectId, Error> {
        let db = self.objects();
        let mut id = want;
        for _ in 0..TAG_DEPTH_MAX {
            let (kind, data) = objects::read(&db.objects, id)?;
            match kind {
                Kind::Tag => id = objects::tag_target(id, &data)?,
                _ => return Ok(id),
            }
        }
        Err(Error::TooLarge {
            what: format!("the chain of tags at {want}"),
            max: TAG_DEPTH_MAX as u64,
        })
    }

    /// Changes the state, on disk first.
    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, Error> {
        let mut state = lock(&self.state);
        let mut next = state.clone();
        let result = change(&mut next);
        write_state(&self.path, &next)?;
        *state = next;
        Ok(result)
    }

    /// Writes everything that tips, pins and leases need into one pack and removes the rest.
    pub(super) fn collect(&self) -> Result<(), Error> {
        let roots: HashSet<ObjectId> = {
            let state = lock(&self.state);
            let named = ids(state.tips.iter().chain(state.pins.values()));
            let leased: Vec<ObjectId> = lock(&self.leases).keys().copied().collect();
            named.into_iter().chain(leased).collect()
        };
        let db = self.objects();
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        for root in roots {
            let Some((_, data)) = objects::try_read(&db.objects, root)? else {
                continue;
            };
            if seen.insert(root) {
                found.push(root);
            }
            let tree = commit_parts(root, &data)?.tree;
            if !tree.is_empty_tree() {
                walk_tree(&db.objects, tree, &mut seen, &mut found)?;
            }
        }
        let kept = self.repack(&db, &found)?;
        self.sweep(kept.as_deref())?;
        let fresh = open(&self.path).map_err(|cause| Error::Mirror {
            act: "open",
            path: self.path.display().to_string(),
            cause,
        })?;
        *lock(&self.repository) = fresh;
        self.n_packs
            .store(count_packs(&self.path), Ordering::Relaxed);
        Ok(())
    }

    fn repack(&self, db: &gix::Repository, ids: &[ObjectId]) -> Result<Option<PathBuf>, Error> {
        let path = self.incoming();
        let write = || -> Result<(), Error> {
            let failed = |cause: std::io::Error| self.failed("write", &path, &cause);
            let file = std::fs::File::create(&path).map_err(failed)?;
            let n = u32::try_from(ids.len()).unwrap_or(u32::MAX);
            let mut pack = PackWriter::start(std::io::BufWriter::new(file), n).map_err(failed)?;
            for id in ids {
                let (kind, data) = objects::read(&db.objects, *id)?;
                pack.add(kind, &data).map_err(failed)?;
            }
            pack.finish()
                .and_then(|mut file| file.flush())
                .map_err(failed)
        };
        let kept = write().and_then(|()| {
            let file =
                std::fs::File::open(&path).map_err(|cause| self.failed("open", &path, &cause))?;
            absorb(&mut BufReader::new(file), db, &AtomicBool::new(false))
        });
        // A file that is already gone is what was wanted.
        let _ = std::fs::remove_file(&path);
        kept
    }

    /// Removes all packs but `kept`. Nothing here is ever a loose object.
    fn sweep(&self, kept: Option<&Path>) -> Result<(), Error> {
        let folder = self.path.join("objects/pack");
        let failed = |cause: std::io::Error| self.failed("sweep", &folder, &cause);
        let stem = kept.and_then(Path::file_stem);
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let named = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("pack-"));
            if named && path.file_stem() != stem {
                std::fs::remove_file(&path).map_err(failed)?;
            }
        }
        Ok(())
    }

    pub(super) fn failed(&self, act: &'static str, path: &Path, cause: &std::io::Error) -> Error {
        Error::Mirror {
            act,
            path: path.display().to_string(),
            cause: cause.to_string(),
        }
    }
}

/// Returns the guard; a panic elsewhere leaves no half state, since changes replace the whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ids<'a>(hex: impl Iterator<Item = &'a String>) -> Vec<ObjectId> {
    hex.filter_map(|hex| ObjectId::from_hex(hex.as_bytes()).ok())
        .collect()
}

fn options() -> gix::open::Options {
    let slots = gix::odb::store::init::Slots::Given(INDEX_SLOTS);
    gix::open::Options::isolated().object_store_slots(slots)
}

fn open(path: &Path) -> Result<gix::ThreadSafeRepository, String> {
    gix::ThreadSafeRepository::open_opts(path, options()).map_err(|cause| chain(&cause))
}

/// Returns how many packs are on disk; none when the folder cannot be read, which the next use says.
fn count_packs(path: &Path) -> u32 {
    let Ok(entries) = std::fs::read_dir(path.join("objects/pack")) else {
        return 0;
    };
    let is_pack = |path: PathBuf| path.extension().is_some_and(|ending| ending == "pack");
    let n_packs = entries
        .flatten()
        .filter(|entry| is_pack(entry.path()))
        .count();
    u32::try_from(n_packs).unwrap_or(u32::MAX)
}

fn reopen(path: &Path) -> Option<(gix::ThreadSafeRepository, State)> {
    let bytes = std::fs::read(path.join(STATE)).ok()?;
    let state: State = serde_json::from_slice(&bytes).ok()?;
    if state.format != FORMAT {
        return None;
    }
    for entry in std::fs::read_dir(path).ok()?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(INCOMING) {
            std::fs::remove_file(entry.path()).ok()?;
        }
    }
    Some((open(path).ok()?, state))
}

fn make(path: &Path, url: &str) -> Result<(gix::ThreadSafeRepository, State), Error> {
    let failed = |act: &'static str, cause: String| Error::Mirror {
        act,
        path: path.display().to_string(),
        cause,
    };
    if path.exists() {
        std::fs::remove_dir_all(path).map_err(|cause| failed("remove", cause.to_string()))?;
    }
    std::fs::create_dir_all(path).map_err(|cause| failed("create", cause.to_string()))?;
    let repository = gix::ThreadSafeRepository::init_opts(
        path,
        gix::create::Kind::Bare,
        gix::create::Options::default(),
        options(),
    )
    .map_err(|cause| failed("create", chain(&cause)))?;
    let state = State {
        format: FORMAT,
        url: url.to_owned(),
        ..State::default()
    };
    write_state(path, &state)?;
    Ok((repository, state))
}

/// Writes the state beside, makes it durable and puts it in place.
fn write_state(path: &Path, state: &State) -> Result<(), Error> {
    let write = || -> std::io::Result<()> {
        let beside = path.join("state.json.new");
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(state)?)?;
        file.sync_all()?;
        std::fs::rename(&beside, path.join(STATE))?;
        sync_file(path)
    };
    write().map_err(|cause| Error::Mirror {
        act: "write the state of",
        path: path.display().to_string(),
        cause: cause.to_string(),
    })
}

#[cfg(test)]
mod tests;
