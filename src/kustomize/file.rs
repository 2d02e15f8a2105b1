//! The root kustomization file of a build: found or generated, with the Kustomization's own fields
//! laid over it.
//!
//! Files come in through the engine's trait; the file that kustomize shall see goes out. What stands
//! in the source is never changed.

use ::kustomize::{FileError, Files, Kind};
use serde_json::{Map, Value, json};

use super::Error;
use crate::api::{BuildMetadata, ImageReplacement, KustomizationSpec};

/// The names of a kustomization file, in the order in which they are looked for.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// How deep folders are searched for manifests when there is no kustomization file.
const DEPTH_MAX: usize = 64;
/// Prefixes of what is not on this disk.
const REMOTE: [&str; 8] = [
    "git::",
    "gh:",
    "ssh://",
    "https://",
    "http://",
    "git@",
    "github.com:",
    "github.com/",
];

/// The root kustomization file of a build.
pub(super) struct RootFile {
    /// Its path from the root of the source.
    pub path: String,
    /// Its content.
    pub content: Value,
}

/// Returns the root file for `folder`: the one that is there, or one that names every manifest
/// below. Fails when it cannot be read or a manifest is none.
pub(super) fn root_file(files: &dyn Files, folder: &str) -> Result<RootFile, Error> {
    let Some(path) = find(files, folder)? else {
        let mut resources = Vec::new();
        generate(files, folder, "", &mut resources, 0)?;
        let mut content = Map::new();
        content.insert("resources".to_owned(), json!(resources));
        return Ok(RootFile {
            path: join(folder, NAMES[0]),
            content: Value::Object(content),
        });
    };
    let failed = |reason: String| Error::File {
        file: path.clone(),
        reason,
    };
    let bytes = files
        .read(&path)
        .map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| failed("is not UTF-8".to_owned()))?;
    let mut values = yaml::to_values_strict(&text).map_err(|error| failed(error.to_string()))?;
    let content = match (values.pop(), values.is_empty()) {
        (Some(content @ Value::Object(_)), true) => content,
        (None, _) => json!({}),
        _ => return Err(failed("is not one YAML mapping".to_owned())),
    };
    Ok(RootFile { path, content })
}

fn find(files: &dyn Files, folder: &str) -> Result<Option<String>, Error> {
    for name in NAMES {
        let path = join(folder, name);
        match files.find(&path) {
            Ok(found) if found.kind == Kind::File => return Ok(Some(path)),
            Ok(_) | Err(FileError::NotFound) => {}
            Err(error) => {
                return Err(Error::File {
                    file: path,
                    reason: error.to_string(),
                });
            }
        }
    }
    Ok(None)
}

/// Collects what a folder without a kustomization file holds: manifests, and folders that have one.
fn generate(
    files: &dyn Files,
    root: &str,
    below: &str,
    resources: &mut Vec<String>,
    depth: usize,
) -> Result<(), Error> {
    let folder = join(root, below);
    let failed = |error: FileError| Error::File {
        file: folder.clone(),
        reason: error.to_string(),
    };
    if depth > DEPTH_MAX {
        return Err(failed(FileError::Other(
            "folders are nested too deeply".to_owned(),
        )));
    }
    for name in files.list(&folder).map_err(failed)? {
        let relative = join(below, &name);
        let path = join(root, &relative);
        // Links are no part of an artifact: what they lead to is found at its own place.
        let Ok(found) = files.find(&path) else {
            continue;
        };
        if found.path != path {
            continue;
        }
        match found.kind {
            Kind::Folder if find(files, &path)?.is_some() => {
                resources.push(format!("./{relative}"))
            }
            Kind::Folder => generate(files, root, &relative, resources, depth + 1)?,
            Kind::File if name.ends_with(".yaml") || name.ends_with(".yml") => {
                check(files, &path)?;
                resources.push(format!("./{relative}"));
            }
            Kind::File => {}
        }
    }
    Ok(())
}

/// A manifest that is none would be left out in silence or fail without its name; it fails here.
fn check(files: &dyn Files, path: &str) -> Result<(), Error> {
    let failed = |reason: String| Error::Decode {
        file: path.to_owned(),
        reason,
    };
    let bytes = files
        .read(path)
        .map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| failed("is not UTF-8".to_owned()))?;
    for value in yaml::to_values(&text).map_err(|error| failed(error.to_string()))? {
        for field in ["apiVersion", "kind"] {
            if value
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or("")
                .is_empty()
            {
                return Err(failed(format!("an object has no {field}")));
            }
        }
    }
    Ok(())
}

/// Lays the fields of a Kustomization over its root file, in upstream's order.
pub(super) fn overlay(
    file: &mut RootFile,
    files: &dyn Files,
    folder: &str,
    spec: &KustomizationSpec,
) -> Result<(), Error> {
    let wrong = |reason: &str| Error::File {
        file: file.path.clone(),
        reason: reason.to_owned(),
    };
    let mut components = Vec::new();
    for component in &spec.components {
        if is_remote(component) {
            return Err(Error::Component {
                path: component.clone(),
            });
        }
        let missing = files.find(&join(folder, component)) == Err(FileError::NotFound);
        if !(missing && spec.ignore_missing_components) {
            components.push(json!(component));
        }
    }
    let patches = spec.patches.iter().map(|patch| match &patch.target {
        Some(target) => json!({"patch": patch.patch, "target": target}),
        None => json!({"patch": patch.patch}),
    });
    let scalars = [
        ("namespace", &spec.target_namespace),
        ("namePrefix", &spec.name_prefix),
        ("nameSuffix", &spec.name_suffix),
    ];
    let mut merged = file.content.clone();
    let content = merged
        .as_object_mut()
        .ok_or_else(|| wrong("is not a YAML mapping"))?;
    for (field, value) in scalars {
        if let Some(value) = value {
            content.insert(field.to_owned(), json!(value));
        }
    }
    for (field, added) in [("patches", patches.collect()), ("components", components)] {
        append(content, field, added).ok_or_else(|| wrong(&format!("{field} is not a list")))?;
    }
    for image in &spec.images {
        merge_image(content, image).ok_or_else(|| wrong("images is not a list of objects"))?;
    }
    if !spec.build_metadata.is_empty() {
        let metadata: &[BuildMetadata] = &spec.build_metadata;
        content.insert("buildMetadata".to_owned(), json!(metadata));
    }
    file.content = merged;
    Ok(())
}

fn append(content: &mut Map<String, Value>, field: &str, added: Vec<Value>) -> Option<()> {
    if added.is_empty() {
        return Some(());
    }
    let list = content.entry(field).or_insert(Value::Null);
    if list.is_null() {
        *list = json!([]);
    }
    list.as_array_mut()?.extend(added);
    Some(())
}

/// An entry of the same name is changed: the new name if there is one, and tag and digest together.
fn merge_image(content: &mut Map<String, Value>, image: &ImageReplacement) -> Option<()> {
    append(content, "images", Vec::new())?;
    let list = content
        .entry("images")
        .or_insert_with(|| json!([]))
        .as_array_mut()?;
    let Some(found) = list
        .iter_mut()
        .find(|entry| entry["name"] == json!(image.name))
    else {
        list.push(json!(image));
        return Some(());
    };
    let entry = found.as_object_mut()?;
    if let Some(name) = &image.new_name {
        entry.insert("newName".to_owned(), json!(name));
    }
    if image.new_tag.is_some() || image.digest.is_some() {
        for (field, value) in [("newTag", &image.new_tag), ("digest", &image.digest)] {
            entry.remove(field);
            if let Some(value) = value {
                entry.insert(field.to_owned(), json!(value));
            }
        }
    }
    Some(())
}

fn is_remote(path: &str) -> bool {
    let lower = path.to_lowercase();
    let local = lower.strip_prefix("file://").unwrap_or(&lower);
    local.starts_with('/') || REMOTE.iter().any(|prefix| lower.starts_with(prefix))
}

/// Whether a root file builds nothing by itself; kustomize would refuse it, Flux builds nothing.
pub(super) fn is_empty(content: &Value) -> bool {
    let builds = [
        "resources",
        "bases",
        "components",
        "configMapGenerator",
        "secretGenerator",
        "generators",
        "helmCharts",
        "helmChartInflationGenerator",
    ];
    let filled = |field: &str| {
        content
            .get(field)
            .and_then(Value::as_array)
            .is_some_and(|l| !l.is_empty())
    };
    !builds.iter().any(|field| filled(field))
}

/// Returns the path of `path` within `folder`, both from the root of the source.
pub(super) fn join(folder: &str, path: &str) -> String {
    match (folder, path) {
        ("", path) => path.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}
