//! One build: the folder, its root file, `kustomize build`, and substitution.
//!
//! Files and a Kustomization's spec come in; objects and the digest of their text go out.

use ::kustomize::{FileError, Files, Found, LoadRestrictor, Options};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::file::{RootFile, is_empty, overlay, root_file};
use super::{Error, Variables, substitute};
use crate::api::KustomizationSpec;

/// What a build gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    /// The objects, in the order of the build.
    pub objects: Vec<Value>,
    /// `sha256:` and the hex digest of the objects' text, as Flux keeps it in `status.history`.
    pub digest: String,
}

/// Builds `spec.path` of a source.
///
/// A path that would leave the source is held to its root, as upstream does. Fails when the path is
/// missing, a file cannot be read, kustomize refuses, or a variable has no value.
pub fn build(
    files: &dyn Files,
    spec: &KustomizationSpec,
    variables: &Variables,
) -> Result<Build, Error> {
    let folder = clamp(spec.path.as_deref().unwrap_or(""));
    match files.find(&folder) {
        Ok(found) if found.kind == ::kustomize::Kind::Folder => {}
        _ => {
            return Err(Error::Path {
                path: spec.path.clone().unwrap_or_default(),
            });
        }
    }
    let mut file = root_file(files, &folder)?;
    overlay(&mut file, files, &folder, spec)?;
    let objects = if is_empty(&file.content) {
        Vec::new()
    } else {
        run(files, &folder, &file)?
    };
    let objects = substitute(flatten(objects)?, variables)?;
    let mut hasher = Sha256::new();
    for object in &objects {
        hasher.update("---\n");
        hasher.update(yaml::to_yaml(object));
    }
    let hex: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Build {
        objects,
        digest: format!("sha256:{hex}"),
    })
}

fn run(files: &dyn Files, folder: &str, file: &RootFile) -> Result<Vec<Value>, Error> {
    let text = yaml::to_yaml(&file.content);
    let files = Overlay {
        files,
        path: &file.path,
        bytes: text.as_bytes(),
    };
    let options = Options {
        load_restrictor: LoadRestrictor::None,
        ..Options::default()
    };
    let objects = ::kustomize::build(&files, folder, &options).map_err(Error::Build)?;
    objects
        .iter()
        .map(|object| object.to_value().map_err(Error::Build))
        .collect()
}

/// Returns a path below the root: `..` that would leave it is dropped.
fn clamp(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Takes lists apart and refuses what names no object.
fn flatten(objects: Vec<Value>) -> Result<Vec<Value>, Error> {
    let mut flat = Vec::with_capacity(objects.len());
    for mut object in objects {
        if object["kind"] == "List" && object["apiVersion"] == "v1" {
            let items = object["items"].take();
            flat.extend(items.as_array().into_iter().flatten().cloned());
        } else {
            flat.push(object);
        }
    }
    for object in &flat {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("")
        };
        let parts = [text("/apiVersion"), text("/kind"), text("/metadata/name")];
        if parts.contains(&"") {
            return Err(Error::Object {
                object: parts.join(" ").trim().to_owned(),
            });
        }
    }
    Ok(flat)
}

/// The source with one file replaced.
struct Overlay<'a> {
    files: &'a dyn Files,
    path: &'a str,
    bytes: &'a [u8],
}

impl Files for Overlay<'_> {
    fn find(&self, path: &str) -> Result<Found, FileError> {
        match self.files.find(path) {
            Err(FileError::NotFound) if path == self.path => Ok(Found {
                path: path.to_owned(),
                kind: ::kustomize::Kind::File,
            }),
            found => found,
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        if path == self.path {
            Ok(self.bytes.to_vec())
        } else {
            self.files.read(path)
        }
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        self.files.list(path)
    }
}
