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
    Ok(objects
        .into_iter()
        .map(::kustomize::Object::into_value)
        .collect())
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

#[cfg(test)]
mod tests {
    use ::kustomize::MemoryFiles;
    use serde_json::json;

    use super::*;

    fn config_map(name: &str) -> String {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
    }

    fn files(entries: &[(&str, String)]) -> MemoryFiles {
        let mut files = MemoryFiles::new();
        for (path, text) in entries {
            files.insert(*path, text.as_bytes());
        }
        files
    }

    fn built(files: &MemoryFiles, spec: Value) -> Result<Vec<String>, String> {
        let mut full = json!({"interval": "1m", "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": "x"}});
        full.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        let spec: KustomizationSpec = serde_json::from_value(full).unwrap();
        let built = build(files, &spec, &Variables::default()).map_err(|e| e.to_string())?;
        let line = |object: &Value| {
            let metadata = &object["metadata"];
            let text = |key: &str| metadata[key].as_str().unwrap_or("").to_owned();
            format!("{}/{}", text("namespace"), text("name"))
        };
        Ok(built.objects.iter().map(line).collect())
    }

    #[test]
    fn a_folder_without_a_kustomization_file_builds_every_manifest_below() {
        let files = files(&[
            ("apps/b.yaml", config_map("b")),
            ("apps/sub/a.yml", config_map("a")),
            ("apps/note.txt", "not YAML: [".to_owned()),
            (
                "apps/own/kustomization.yaml",
                "resources: [c.yaml]\nnamePrefix: p-\n".to_owned(),
            ),
            ("apps/own/c.yaml", config_map("c")),
            ("elsewhere.yaml", config_map("d")),
        ]);
        assert_eq!(
            built(&files, json!({"path": "./apps"})).unwrap(),
            ["/b", "/p-c", "/a"]
        );
    }

    #[test]
    fn the_kustomizations_fields_lie_over_the_root_file() {
        let files = files(&[
            ("kustomization.yaml", "resources: [a.yaml]\n".to_owned()),
            ("a.yaml", config_map("a")),
        ]);
        let spec = json!({"targetNamespace": "team", "namePrefix": "x-", "nameSuffix": "-y"});
        assert_eq!(built(&files, spec).unwrap(), ["team/x-a-y"]);
    }

    #[test]
    fn a_path_is_held_to_the_root_and_must_be_there() {
        let files = files(&[("apps/a.yaml", config_map("a"))]);
        assert_eq!(
            built(&files, json!({"path": "../../apps"})).unwrap(),
            ["/a"]
        );
        let error = built(&files, json!({"path": "./missing"})).unwrap_err();
        assert_eq!(error, "kustomization path not found: \"./missing\"");
    }

    #[test]
    fn what_is_no_manifest_is_named() {
        let files = files(&[("a.yaml", config_map("a")), ("b.yaml", "x: [\n".to_owned())]);
        let error = built(&files, json!({})).unwrap_err();
        assert!(
            error.starts_with("failed to decode Kubernetes YAML from b.yaml: "),
            "{error}"
        );
    }

    #[test]
    fn a_missing_file_and_a_cycle_name_the_place() {
        let missing = files(&[("kustomization.yaml", "resources: [gone.yaml]\n".to_owned())]);
        let error = built(&missing, json!({})).unwrap_err();
        assert!(error.starts_with("kustomize build failed: "), "{error}");
        assert!(error.contains("gone.yaml"), "{error}");
        let cycle = files(&[
            ("a/kustomization.yaml", "resources: [../b]\n".to_owned()),
            ("b/kustomization.yaml", "resources: [../a]\n".to_owned()),
        ]);
        let error = built(&cycle, json!({"path": "a"})).unwrap_err();
        assert!(error.contains("cycle"), "{error}");
    }

    #[test]
    fn an_empty_file_builds_nothing() {
        let files = files(&[("kustomization.yaml", "namespace: x\n".to_owned())]);
        assert!(built(&files, json!({})).unwrap().is_empty());
    }

    #[test]
    fn images_are_merged_by_name() {
        let text = "resources: [d.yaml]\nimages: [{name: web, newTag: \"1\"}]\n";
        let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  \
            template:\n    spec:\n      containers: [{name: c, image: web}]\n";
        let files = files(&[
            ("kustomization.yaml", text.to_owned()),
            ("d.yaml", deployment.to_owned()),
        ]);
        let spec = json!({"interval": "1m", "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": "x"},
            "images": [{"name": "web", "newName": "ghcr.io/a/web"}]});
        let spec: KustomizationSpec = serde_json::from_value(spec).unwrap();
        let objects = build(&files, &spec, &Variables::default()).unwrap().objects;
        let image = objects[0]
            .pointer("/spec/template/spec/containers/0/image")
            .unwrap();
        assert_eq!(image, "ghcr.io/a/web:1");
    }
}
