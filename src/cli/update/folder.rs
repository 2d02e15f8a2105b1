//! A folder on disk as the update engine visits it, and the files that are written there.
//!
//! In: a folder, and what policies chose. Out: the files that change, written unless it is a dry run.
//! It never leaves the folder, and it never touches Git's own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::file;
use crate::controllers::{Active, Chosen, FileUpdate, Updated};
use crate::reconcile::Key;
use crate::safe::SafePath;
use crate::update::Kind;

/// Writes the choices into the marked files of a folder, or finds what would be written. Fails when
/// the folder cannot be read or written.
pub(super) fn update(
    chosen: &Chosen,
    folder: &Path,
    dry_run: bool,
) -> anyhow::Result<Vec<Updated>> {
    let mut automations = chosen.automations()?;
    if automations.is_empty() {
        automations.push(Active {
            automation: Key::new("", "all policies"),
            path: String::new(),
            setters: chosen.setters()?,
        });
    }
    let mut files = Folder::new(folder);
    let mut updated = Vec::new();
    for active in automations {
        let report = crate::update::run(&files, &active.path, &active.setters)
            .with_context(|| format!("update {}", folder.display()))?;
        let ineffective = active.ineffective(&report);
        let mut changed = Vec::new();
        for edited in report.files {
            let Some(after) = edited.bytes else {
                continue;
            };
            let target = folder.join(edited.path.as_str());
            let before = crate::update::Files::read(&files, &edited.path)
                .with_context(|| format!("read {}", target.display()))?;
            if dry_run {
                files.unwritten.insert(edited.path.clone(), after.clone());
            } else {
                file::replace(&target, &after)
                    .with_context(|| format!("write {}", target.display()))?;
            }
            changed.push(FileUpdate {
                path: edited.path.to_string(),
                before,
                after,
                objects: edited.objects,
            });
        }
        updated.push(Updated {
            automation: active.automation,
            path: active.path,
            commit: None,
            files: changed,
            ineffective,
        });
    }
    Ok(updated)
}

/// A folder on disk, as the update engine visits it.
pub(in crate::cli) struct Folder {
    root: PathBuf,
    /// What a dry run has made of files so far.
    unwritten: BTreeMap<SafePath, Vec<u8>>,
}

impl Folder {
    /// Returns a folder. Nothing is read yet.
    pub(in crate::cli) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            unwritten: BTreeMap::new(),
        }
    }

    fn at(&self, path: &SafePath) -> PathBuf {
        self.root.join(path.as_str())
    }
}

fn kind_of(file_type: std::fs::FileType) -> Kind {
    if file_type.is_symlink() {
        Kind::Link
    } else if file_type.is_dir() {
        Kind::Folder
    } else {
        Kind::File
    }
}

impl crate::update::Files for Folder {
    type Error = std::io::Error;

    fn kind(&self, path: &SafePath) -> Result<Option<Kind>, Self::Error> {
        match std::fs::symlink_metadata(self.at(path)) {
            Ok(metadata) => Ok(Some(kind_of(metadata.file_type()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn entries(&self, folder: &SafePath) -> Result<Vec<(String, Kind)>, Self::Error> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(self.at(folder))? {
            let entry = entry?;
            // A name that is no text cannot be a manifest's; Git's own folder is no part of a tree.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name != ".git" {
                entries.push((name, kind_of(entry.file_type()?)));
            }
        }
        Ok(entries)
    }

    fn read(&self, file: &SafePath) -> Result<Vec<u8>, Self::Error> {
        match self.unwritten.get(file) {
            Some(bytes) => Ok(bytes.clone()),
            None => std::fs::read(self.at(file)),
        }
    }

    fn target(&self, link: &SafePath) -> Result<String, Self::Error> {
        Ok(std::fs::read_link(self.at(link))?
            .to_string_lossy()
            .into_owned())
    }
}
