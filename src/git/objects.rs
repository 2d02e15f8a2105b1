//! Git objects and packs: made, written, read back.
//!
//! In: objects or the bytes of a pack. Out: a pack, thin when its reader has what was edited, or a pack
//! and its index in a repository. Blocking. It speaks to no server.

use std::{
    collections::HashSet,
    io::{BufRead, Write},
    path::Path,
    sync::atomic::AtomicBool,
};

use gix::{
    ObjectId,
    objs::{CommitRef, Find, Kind, TagRef, TreeRefIter, WriteTo},
};

use super::{Error, delta::delta, error::chain};

/// Largest single object taken, in bytes.
pub const OBJECT_BYTES_MAX: usize = 256 << 20;
/// Most objects walked for one pack.
pub const OBJECTS_MAX: usize = 5_000_000;

/// The number of a delta whose base is named by its id, within a pack.
const REF_DELTA: u8 = 7;

/// The only object format there is here.
pub(crate) const HASH: gix::hash::Kind = gix::hash::Kind::Sha1;

/// An object and its id.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) id: ObjectId,
    pub(crate) kind: Kind,
    pub(crate) data: Vec<u8>,
    /// What it was made of, and how; only when that is much shorter than its content.
    delta: Option<(ObjectId, Vec<u8>)>,
}

impl Object {
    /// Returns the object with this content.
    pub(crate) fn new(kind: Kind, data: Vec<u8>) -> Result<Self, Error> {
        let id = gix::objs::compute_hash(HASH, kind, &data).map_err(|cause| Error::Object {
            id: format!("new {kind}"),
            cause: chain(&cause),
        })?;
        Ok(Self {
            id,
            kind,
            data,
            delta: None,
        })
    }

    /// Returns this object as one that was edited: `old` is its content under the id `base`, which
    /// whoever gets a thin pack has.
    pub(super) fn edited_from(self, base: ObjectId, old: &[u8]) -> Self {
        let delta = delta(old, &self.data);
        let is_short = delta.len() < self.data.len() / 2;
        Self {
            delta: is_short.then_some((base, delta)),
            ..self
        }
    }

    /// Returns the object that `value` is written as.
    pub(crate) fn of(value: &dyn WriteTo) -> Result<Self, Error> {
        let mut data = Vec::new();
        value.write_to(&mut data).map_err(|cause| Error::Object {
            id: format!("new {}", value.kind()),
            cause: cause.to_string(),
        })?;
        Self::new(value.kind(), data)
    }
}

/// Returns the kind and content of an object. Fails when it is missing.
pub(crate) fn read(db: &impl Find, id: ObjectId) -> Result<(Kind, Vec<u8>), Error> {
    try_read(db, id)?.ok_or_else(|| Error::Object {
        id: id.to_string(),
        cause: "not found".to_owned(),
    })
}

/// Returns the kind and content of an object, or nothing when it is missing.
pub(crate) fn try_read(db: &impl Find, id: ObjectId) -> Result<Option<(Kind, Vec<u8>)>, Error> {
    let mut buffer = Vec::new();
    let kind = match db.try_find(&id, &mut buffer) {
        Ok(Some(data)) => data.kind,
        Ok(None) => return Ok(None),
        Err(cause) => {
            return Err(Error::Object {
                id: id.to_string(),
                cause: chain(&cause),
            });
        }
    };
    Ok(Some((kind, buffer)))
}

/// The parts of a commit that are used here.
pub(crate) struct CommitParts {
    pub(crate) tree: ObjectId,
    pub(crate) parents: Vec<ObjectId>,
    pub(crate) message: String,
}

/// Returns the parts of a commit's content.
pub(crate) fn commit_parts(id: ObjectId, data: &[u8]) -> Result<CommitParts, Error> {
    let commit = CommitRef::from_bytes(data, HASH).map_err(|cause| malformed(id, &cause))?;
    Ok(CommitParts {
        tree: commit.tree(),
        parents: commit.parents().collect(),
        message: String::from_utf8_lossy(commit.message).into_owned(),
    })
}

/// Returns what an annotated tag's content names.
pub(crate) fn tag_target(id: ObjectId, data: &[u8]) -> Result<ObjectId, Error> {
    let tag = TagRef::from_bytes(data, HASH).map_err(|cause| malformed(id, &cause))?;
    Ok(tag.target())
}

fn malformed(id: ObjectId, cause: &dyn std::error::Error) -> Error {
    Error::Object {
        id: id.to_string(),
        cause: chain(cause),
    }
}

/// Appends to `found` a tree and all below it that `seen` does not hold yet; submodules are not
/// followed.
pub(crate) fn walk_tree(
    db: &impl Find,
    tree: ObjectId,
    seen: &mut HashSet<ObjectId>,
    found: &mut Vec<ObjectId>,
) -> Result<(), Error> {
    let mut todo = vec![tree];
    while let Some(id) = todo.pop() {
        if !seen.insert(id) {
            continue;
        }
        found.push(id);
        if found.len() > OBJECTS_MAX {
            return Err(Error::TooLarge {
                what: format!("the number of objects below {tree}"),
                max: OBJECTS_MAX as u64,
            });
        }
        let (_, data) = read(db, id)?;
        for entry in TreeRefIter::from_bytes(&data, HASH) {
            let entry = entry.map_err(|cause| malformed(id, &cause))?;
            if entry.mode.is_tree() {
                todo.push(entry.oid.to_owned());
            } else if !entry.mode.is_commit() && seen.insert(entry.oid.to_owned()) {
                found.push(entry.oid.to_owned());
            }
        }
    }
    Ok(())
}

/// Writes a pack, one object after the other; its deltas are of objects outside.
pub(crate) struct PackWriter<W: Write> {
    out: W,
    hasher: gix::hash::Hasher,
}

impl<W: Write> PackWriter<W> {
    /// Starts a pack of exactly `n_objects`.
    pub(crate) fn start(out: W, n_objects: u32) -> std::io::Result<Self> {
        let mut pack = Self {
            out,
            hasher: gix::hash::hasher(HASH),
        };
        let mut header = b"PACK\0\0\0\x02".to_vec();
        header.extend_from_slice(&n_objects.to_be_bytes());
        pack.write(&header)?;
        Ok(pack)
    }

    /// Adds an object.
    pub(crate) fn add(&mut self, kind: Kind, data: &[u8]) -> std::io::Result<()> {
        let code = match kind {
            Kind::Commit => 1,
            Kind::Tree => 2,
            Kind::Blob => 3,
            Kind::Tag => 4,
        };
        self.entry(code, &[], data)
    }

    /// Adds an object as what was changed of another one, which is not in the pack.
    fn add_delta(&mut self, base: ObjectId, delta: &[u8]) -> std::io::Result<()> {
        self.entry(REF_DELTA, base.as_slice(), delta)
    }

    fn entry(&mut self, code: u8, base: &[u8], data: &[u8]) -> std::io::Result<()> {
        let mut size = data.len();
        let mut header = vec![(code << 4) | (size & 0x0f) as u8];
        size >>= 4;
        while size > 0 {
            if let Some(last) = header.last_mut() {
                *last |= 0x80;
            }
            header.push((size & 0x7f) as u8);
            size >>= 7;
        }
        header.extend_from_slice(base);
        let mut zlib = flate2::write::ZlibEncoder::new(header, flate2::Compression::fast());
        zlib.write_all(data)?;
        let entry = zlib.finish()?;
        self.write(&entry)
    }

    /// Ends the pack and returns its sink.
    pub(crate) fn finish(mut self) -> std::io::Result<W> {
        let hasher = std::mem::replace(&mut self.hasher, gix::hash::hasher(HASH));
        let id = hasher.try_finalize().map_err(std::io::Error::other)?;
        self.out.write_all(id.as_slice())?;
        Ok(self.out)
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Returns a thin pack of these objects, for somebody who has what they were edited from.
pub(crate) fn pack_of(objects: &[Object]) -> Result<Vec<u8>, Error> {
    write_pack(objects, |pack, object| match &object.delta {
        Some((base, delta)) => pack.add_delta(*base, delta),
        None => pack.add(object.kind, &object.data),
    })
}

/// Returns a pack of these objects for somebody who takes no thin ones.
pub(super) fn whole_pack_of(objects: &[Object]) -> Result<Vec<u8>, Error> {
    write_pack(objects, |pack, object| pack.add(object.kind, &object.data))
}

fn write_pack(
    objects: &[Object],
    add: impl Fn(&mut PackWriter<Vec<u8>>, &Object) -> std::io::Result<()>,
) -> Result<Vec<u8>, Error> {
    let write = || {
        let n = u32::try_from(objects.len()).map_err(std::io::Error::other)?;
        let mut pack = PackWriter::start(Vec::new(), n)?;
        for object in objects {
            add(&mut pack, object)?;
        }
        pack.finish()
    };
    write().map_err(|cause: std::io::Error| Error::Object {
        id: "new pack".to_owned(),
        cause: cause.to_string(),
    })
}

/// Checks a pack, completes it when it is thin, and puts it with an index below `objects/pack`.
/// Returns the path of the pack, or nothing when it holds no object. Nothing is kept on an error.
pub(crate) fn absorb(
    pack: &mut dyn BufRead,
    repository: &gix::Repository,
    stop: &AtomicBool,
) -> Result<Option<std::path::PathBuf>, Error> {
    let folder = repository.objects.store_ref().path().join("pack");
    let failed = |cause: String| Error::Mirror {
        act: "index a pack below",
        path: folder.display().to_string(),
        cause,
    };
    std::fs::create_dir_all(&folder).map_err(|cause| failed(cause.to_string()))?;
    let outcome = gix::odb::pack::Bundle::write_to_directory(
        pack,
        Some(&folder),
        &mut gix::progress::Discard,
        stop,
        Some(&repository.objects),
        HASH,
        gix::odb::pack::bundle::write::Options {
            thread_limit: Some(1),
            alloc_limit_bytes: Some(OBJECT_BYTES_MAX),
            ..Default::default()
        },
    )
    .map_err(|cause| failed(chain(&cause)))?;
    for path in [&outcome.data_path, &outcome.index_path]
        .into_iter()
        .flatten()
    {
        sync_file(path).map_err(|cause| failed(cause.to_string()))?;
    }
    sync_file(&folder).map_err(|cause| failed(cause.to_string()))?;
    if let Some(keep) = &outcome.keep_path {
        std::fs::remove_file(keep).map_err(|cause| failed(cause.to_string()))?;
    }
    Ok(outcome.data_path)
}

/// Makes a file or folder durable.
pub(crate) fn sync_file(path: &Path) -> std::io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginnings of two files of one hash, as they were published. No objects of Git are known that
    /// collide: their first bytes are others.
    const COLLIDING: [&[u8]; 2] = [
        include_bytes!("../../testdata/git/shattered-1.bin"),
        include_bytes!("../../testdata/git/shattered-2.bin"),
    ];

    #[test]
    fn gt7_content_that_was_made_to_collide_gets_no_hash() {
        assert_ne!(COLLIDING[0], COLLIDING[1]);
        for content in COLLIDING {
            // Packs that come in are indexed by the same hasher.
            let mut hasher = gix::hash::hasher(HASH);
            hasher.update(content);
            let error = hasher.try_finalize().unwrap_err();
            assert!(error.to_string().contains("collision"), "{error}");
        }
    }
}
