//! Artifacts by owner: a small record on disk, the tree's handle in memory, the archive when asked.
//!
//! In: drafts from controllers. Out: records for a status, handles for our own consumers, files for
//! the server. Archives are named by their digest, written beside and renamed, so a crash leaves
//! either nothing or the whole. The newest two artifacts of an owner are kept.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Contents, Error, IgnoreRules,
    archive::{self, FORMAT, Summary, summarise},
    ignore::ignore_rules,
};

/// Artifacts kept for one owner: the current one and the one before, which somebody may be reading.
pub const RECORDS_MAX: usize = 2;
/// Most bytes of one owner's records.
pub const RECORD_BYTES_MAX: u64 = 1 << 20;
/// Longest part of an artifact's path.
const NAME_BYTES_MAX: usize = 253;

/// The object that an artifact belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    kind: String,
    namespace: String,
    name: String,
}

impl Owner {
    /// Returns the owner; the kind becomes lower case. Fails when a part is no plain name of a file.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Result<Self, Error> {
        let kind = kind.to_lowercase();
        for (field, value) in [
            ("kind", kind.as_str()),
            ("namespace", namespace),
            ("name", name),
        ] {
            check_name(field, value)?;
        }
        Ok(Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    fn path(&self, file: &str) -> String {
        format!("{}/{}/{}/{file}", self.kind, self.namespace, self.name)
    }
}

fn check_name(field: &'static str, value: &str) -> Result<(), Error> {
    let plain = !value.is_empty()
        && value.len() <= NAME_BYTES_MAX
        && value != "."
        && value != ".."
        && !value.contains(['/', '\\', '\0']);
    match plain {
        true => Ok(()),
        false => Err(Error::Name {
            field,
            value: value.to_owned(),
        }),
    }
}

/// What an artifact is to be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Flux's revision.
    pub revision: String,
    /// The file's name, such as `<commit>.tar.gz`.
    pub file: String,
    /// Names the tree's content: the same id is always the same tree.
    pub tree: String,
    /// `spec.ignore`.
    pub ignore: Option<String>,
}

/// What is known of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The path below the server's root.
    pub path: String,
    /// Flux's revision.
    pub revision: String,
    /// The archive's digest.
    pub digest: String,
    /// The archive's size in bytes.
    pub size: u64,
    /// When this content was first published.
    pub updated: DateTime<Utc>,
    /// The draft's tree.
    pub tree: String,
    /// The draft's `spec.ignore`.
    pub ignore: Option<String>,
    format: u32,
}

impl Record {
    /// Returns whether the archive of a draft is this record's, so that it need not be made.
    fn holds(&self, draft: &Draft) -> bool {
        self.format == FORMAT && self.tree == draft.tree && self.ignore == draft.ignore
    }
}

/// An artifact whose tree is at hand.
#[derive(Debug, Clone)]
pub struct Found<T> {
    /// What is known of it.
    pub record: Record,
    /// The tree's handle, as it was published.
    pub handle: T,
    /// What the artifact leaves out of the tree.
    pub rules: Arc<IgnoreRules>,
}

/// A tree that archives can be made of.
#[derive(Clone)]
struct Live<T> {
    handle: T,
    contents: Contents,
    rules: Arc<IgnoreRules>,
}

#[derive(Clone)]
struct Kept<T> {
    record: Record,
    /// Nothing after a restart, until the owner publishes again.
    live: Option<Live<T>>,
}

/// All artifacts, newest first for each owner. `T` is what our own consumers read a tree by.
pub struct Storage<T>(Arc<Shared<T>>);

impl<T> Clone for Storage<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Storage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({})", self.0.folder.display())
    }
}

struct Shared<T> {
    folder: PathBuf,
    advertised: String,
    owners: Mutex<BTreeMap<Owner, Vec<Kept<T>>>>,
    /// One writer of files at a time.
    writing: Mutex<()>,
}

impl<T: Clone + Send + Sync + 'static> Storage<T> {
    /// Returns the storage over `folder` with the records that are there. `advertised` is the host and
    /// port, or the URL, under which others reach the server.
    pub fn open(folder: &Path, advertised: &str) -> Result<Self, Error> {
        for name in ["files", "records"] {
            let path = folder.join(name);
            std::fs::create_dir_all(&path).map_err(|cause| failed("create", &path, cause))?;
        }
        let advertised = match advertised.contains("://") {
            true => advertised.trim_end_matches('/').to_owned(),
            false => format!("http://{}", advertised.trim_end_matches('/')),
        };
        let storage = Self(Arc::new(Shared {
            folder: folder.to_owned(),
            advertised,
            owners: Mutex::new(load(&folder.join("records"))?),
            writing: Mutex::new(()),
        }));
        storage.0.sweep()?;
        Ok(storage)
    }

    /// Returns the URL of an artifact.
    pub fn url(&self, record: &Record) -> String {
        format!("{}/{}", self.0.advertised, record.path)
    }

    /// Makes a draft the owner's current artifact. The archive is hashed, not written; when the tree
    /// and `spec.ignore` are those of the current artifact it is not even read, so publishing again
    /// after a restart is cheap. Fails when the tree cannot be read or passes a bound; the current
    /// artifact stays then.
    pub async fn publish(
        &self,
        owner: &Owner,
        draft: Draft,
        (handle, contents): (T, Contents),
        now: DateTime<Utc>,
    ) -> Result<Found<T>, Error> {
        let (shared, owner) = (Arc::clone(&self.0), owner.clone());
        blocking(move || shared.publish(&owner, draft, (handle, contents), now)).await
    }

    /// Returns the owner's current record, also when its tree is not at hand.
    pub fn current(&self, owner: &Owner) -> Option<Record> {
        let owners = lock(&self.0.owners);
        Some(owners.get(owner)?.first()?.record.clone())
    }

    /// Returns the artifact with this path and digest, when its tree is at hand.
    pub fn find(&self, path: &str, digest: &str) -> Option<Found<T>> {
        let kept = self.0.kept(path)?;
        let live = kept.live?;
        (kept.record.digest == digest).then_some(Found {
            record: kept.record,
            handle: live.handle,
            rules: live.rules,
        })
    }

    /// Forgets an owner and removes its files.
    pub async fn remove(&self, owner: &Owner) -> Result<(), Error> {
        let (shared, owner) = (Arc::clone(&self.0), owner.clone());
        blocking(move || shared.remove(&owner)).await
    }

    /// Returns the record and the file of a path, which is written when it is not there; nothing when
    /// there is no such artifact, or it has no file yet and its tree is not at hand.
    pub(super) async fn file(&self, path: &str) -> Result<Option<(Record, PathBuf)>, Error> {
        let (shared, path) = (Arc::clone(&self.0), path.to_owned());
        blocking(move || shared.file(&path)).await
    }
}

impl<T: Clone> Shared<T> {
    fn publish(
        &self,
        owner: &Owner,
        draft: Draft,
        (handle, contents): (T, Contents),
        now: DateTime<Utc>,
    ) -> Result<Found<T>, Error> {
        check_name("file", &draft.file)?;
        let path = owner.path(&draft.file);
        let known = {
            let owners = lock(&self.owners);
            let kept = owners.get(owner).and_then(|kept| kept.first());
            kept.filter(|kept| kept.record.holds(&draft)).cloned()
        };
        let rules = match known.as_ref().and_then(|kept| kept.live.as_ref()) {
            Some(live) => Arc::clone(&live.rules),
            None => Arc::new(ignore_rules(&contents, draft.ignore.as_deref())?),
        };
        let record = match known.map(|kept| kept.record) {
            // The same content under a newer commit has the same bytes.
            Some(record) => Record {
                path,
                revision: draft.revision,
                ..record
            },
            None => {
                let Summary { digest, size } = summarise(&contents, &rules)?;
                Record {
                    path,
                    revision: draft.revision,
                    digest,
                    size,
                    updated: now,
                    tree: draft.tree,
                    ignore: draft.ignore,
                    format: FORMAT,
                }
            }
        };
        let found = Found {
            record: record.clone(),
            handle: handle.clone(),
            rules: Arc::clone(&rules),
        };
        let live = Some(Live {
            handle,
            contents,
            rules,
        });
        self.keep(owner, Kept { record, live })?;
        Ok(found)
    }

    /// Puts an artifact first, on disk and then in memory.
    fn keep(&self, owner: &Owner, new: Kept<T>) -> Result<(), Error> {
        let _turn = lock(&self.writing);
        let mut list = lock(&self.owners).get(owner).cloned().unwrap_or_default();
        let same = list.first().is_some_and(|first| first.record == new.record);
        list.retain(|kept| kept.record.path != new.record.path);
        list.insert(0, new);
        list.truncate(RECORDS_MAX);
        if !same {
            let records: Vec<&Record> = list.iter().map(|kept| &kept.record).collect();
            let bytes = serde_json::to_vec_pretty(&records).map_err(std::io::Error::other);
            let path = self.record_path(owner);
            bytes
                .and_then(|bytes| write_whole(&path, |file| file.write_all(&bytes)))
                .map_err(|cause| failed("write", &path, cause))?;
        }
        lock(&self.owners).insert(owner.clone(), list);
        match same {
            true => Ok(()),
            false => self.sweep(),
        }
    }

    fn remove(&self, owner: &Owner) -> Result<(), Error> {
        let _turn = lock(&self.writing);
        let path = self.record_path(owner);
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("remove", &path, cause));
            }
            _ => {}
        }
        lock(&self.owners).remove(owner);
        self.sweep()
    }

    fn kept(&self, path: &str) -> Option<Kept<T>> {
        let mut parts = path.split('/');
        let owner = Owner {
            kind: parts.next()?.to_owned(),
            namespace: parts.next()?.to_owned(),
            name: parts.next()?.to_owned(),
        };
        let owners = lock(&self.owners);
        owners
            .get(&owner)?
            .iter()
            .find(|kept| kept.record.path == path)
            .cloned()
    }

    fn file(&self, path: &str) -> Result<Option<(Record, PathBuf)>, Error> {
        let Some(Kept { record, live }) = self.kept(path) else {
            return Ok(None);
        };
        let file = self.file_path(&record.digest);
        if file.is_file() {
            return Ok(Some((record, file)));
        }
        let Some(live) = live else {
            return Ok(None);
        };
        let _turn = lock(&self.writing);
        if file.is_file() {
            return Ok(Some((record, file)));
        }
        let mut summary = None;
        write_whole(&file, |out| {
            let out = std::io::BufWriter::new(out);
            let (made, mut out) =
                archive::write(&live.contents, &live.rules, out).map_err(std::io::Error::other)?;
            out.flush()?;
            if made.digest != record.digest {
                return Err(std::io::Error::other(Error::Digest {
                    path: path.to_owned(),
                    expected: record.digest.clone(),
                    found: made.digest,
                }));
            }
            summary = Some(made);
            Ok(())
        })
        .map_err(|cause| failed("write", &file, cause))?;
        Ok(summary.map(|_| (record, file)))
    }

    /// Removes files that no record names, and what a crash left half written.
    fn sweep(&self) -> Result<(), Error> {
        let named: HashSet<PathBuf> = lock(&self.owners)
            .values()
            .flatten()
            .map(|kept| self.file_path(&kept.record.digest))
            .collect();
        let folder = self.folder.join("files");
        let entries = std::fs::read_dir(&folder).map_err(|cause| failed("list", &folder, cause))?;
        for entry in entries {
            let path = entry
                .map_err(|cause| failed("list", &folder, cause))?
                .path();
            if !named.contains(&path) {
                std::fs::remove_file(&path).map_err(|cause| failed("remove", &path, cause))?;
            }
        }
        Ok(())
    }

    fn record_path(&self, owner: &Owner) -> PathBuf {
        let path = self
            .folder
            .join("records")
            .join(&owner.kind)
            .join(&owner.namespace);
        path.join(format!("{}.json", owner.name))
    }

    fn file_path(&self, digest: &str) -> PathBuf {
        let name = digest.replace(':', "-");
        self.folder.join("files").join(format!("{name}.tar.gz"))
    }
}

/// Reads all records; one that cannot be read is as if it were not there, since its owner publishes
/// again.
fn load<T>(folder: &Path) -> Result<BTreeMap<Owner, Vec<Kept<T>>>, Error> {
    let mut owners = BTreeMap::new();
    for (kind, kind_path) in list(folder)? {
        for (namespace, namespace_path) in list(&kind_path)? {
            for (file, path) in list(&namespace_path)? {
                let Some(name) = file.strip_suffix(".json") else {
                    continue;
                };
                let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
                if size > RECORD_BYTES_MAX {
                    continue;
                }
                let bytes = std::fs::read(&path).map_err(|cause| failed("read", &path, cause))?;
                let owner = Owner {
                    kind: kind.clone(),
                    namespace: namespace.clone(),
                    name: name.to_owned(),
                };
                let Ok(records) = serde_json::from_slice::<Vec<Record>>(&bytes) else {
                    tracing::warn!(path = %path.display(), "An artifact's record is unreadable; it is made anew.");
                    continue;
                };
                let kept = records
                    .into_iter()
                    .filter(|record| record.format == FORMAT)
                    .map(|record| Kept { record, live: None });
                owners.insert(owner, kept.collect());
            }
        }
    }
    Ok(owners)
}

fn list(folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let error = |cause| failed("list", folder, cause);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        names.push((
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        ));
    }
    Ok(names)
}

/// Writes a file beside its place, makes it durable and puts it in place.
fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = std::fs::File::create(&beside)?;
    let written = write(&mut file).and_then(|()| file.sync_all());
    if let Err(cause) = written {
        // What is left is swept at the next start in any case.
        let _ = std::fs::remove_file(&beside);
        return Err(cause);
    }
    crate::failpoint::hit("source.before_artifact_rename");
    std::fs::rename(&beside, path)?;
    std::fs::File::open(folder)?.sync_all()
}

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, Error> + Send + 'static,
) -> Result<R, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|cause| {
            Err(Error::Storage {
                act: "work on",
                path: "the storage".to_owned(),
                cause: std::io::Error::other(cause),
            })
        })
}

fn failed(act: &'static str, path: &Path, cause: std::io::Error) -> Error {
    Error::Storage {
        act,
        path: path.display().to_string(),
        cause,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
