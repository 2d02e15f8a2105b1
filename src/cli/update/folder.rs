//! A folder on disk as the update engine visits it, and the files that are written there.
//!
//! In: a folder, and what policies chose. Out: the files that change, written unless it is a dry run.
//! It never leaves the folder, and it never touches Git's own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::controllers::{Chosen, FileUpdate, Updated};
use crate::reconcile::Key;
use crate::safe::SafePath;
use crate::update::{Kind, PolicyChoice, Setters};

/// Writes the choices into the marked files of a folder, or finds what would be written.
pub(super) fn update(
    chosen: &Chosen,
    folder: &Path,
    dry_run: bool,
) -> anyhow::Result<Vec<Updated>> {
    let choices = chosen.choices();
    let mut automations = chosen.automations();
    if automations.is_empty() {
        automations.push((Key::new("", "all policies"), String::new()));
    }
    let mut updated = Vec::new();
    for (automation, path) in automations {
        let own: BTreeMap<&Key, _> = choices
            .iter()
            .filter(|(key, _)| {
                automation.namespace.is_empty() || key.namespace == automation.namespace
            })
            .collect();
        let policies = own.iter().map(|(key, latest)| PolicyChoice {
            namespace: &key.namespace,
            name: &key.name,
            latest,
        });
        let files = Folder(folder.to_owned());
        let report = crate::update::run(&files, &path, &Setters::new(policies)?)
            .with_context(|| format!("update {}", folder.display()))?;
        let mut changed = Vec::new();
        for (file, bytes) in report.writes() {
            let target = folder.join(file.as_str());
            let before =
                std::fs::read(&target).with_context(|| format!("read {}", target.display()))?;
            if !dry_run {
                write(&target, bytes).with_context(|| format!("write {}", target.display()))?;
            }
            changed.push(FileUpdate {
                path: file.to_string(),
                before,
                after: bytes.to_vec(),
            });
        }
        for file in &report.files {
            for marker in &file.ineffective {
                eprintln!(
                    "{}:{}: {}: {}",
                    file.path, marker.line, marker.marker, marker.reason
                );
            }
        }
        updated.push(Updated {
            automation,
            path,
            commit: None,
            files: changed,
        });
    }
    Ok(updated)
}

/// Puts new content in place of a file, whole or not at all, with the mode that it has.
fn write(target: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".towpath");
    let temporary = target.with_file_name(name);
    std::fs::write(&temporary, bytes)?;
    std::fs::set_permissions(&temporary, std::fs::metadata(target)?.permissions())?;
    std::fs::rename(&temporary, target)
}

/// A folder on disk, as the update engine visits it.
struct Folder(PathBuf);

impl Folder {
    fn at(&self, path: &SafePath) -> PathBuf {
        self.0.join(path.as_str())
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
        std::fs::read(self.at(file))
    }

    fn target(&self, link: &SafePath) -> Result<String, Self::Error> {
        Ok(std::fs::read_link(self.at(link))?
            .to_string_lossy()
            .into_owned())
    }
}
