//! Every YAML block of the documentation parses, and every object in it is one that the API accepts.

mod generated;

use std::fs;
use std::path::{Path, PathBuf};

use apiserver::kinds::TypeInfo;
use apiserver::{crd, kinds, schema};
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One YAML block, and where it begins.
struct Block {
    place: String,
    text: String,
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    let mut folders = vec![root().join("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let name = page.strip_prefix(root()).unwrap().display().to_string();
        let mut open: Option<Block> = None;
        for (number, line) in text.lines().enumerate() {
            match (&mut open, line.trim_end()) {
                (None, "```yaml") => {
                    let place = format!("{name}:{}", number + 1);
                    open = Some(Block {
                        place,
                        text: String::new(),
                    });
                }
                (Some(_), "```") => blocks.extend(open.take()),
                (Some(block), line) => block.text += &format!("{line}\n"),
                (None, _) => {}
            }
        }
        assert!(open.is_none(), "{name}: a block is not closed");
    }
    blocks
}

fn served() -> Vec<TypeInfo> {
    let mut served = kinds::builtin();
    for definition in towpath::api::crds() {
        let definition = serde_json::to_value(definition).unwrap();
        served.extend(crd::compile(&definition).unwrap());
    }
    served
}

/// Returns what is wrong with an object; nothing for files that are no objects of an API.
fn problems(object: &Value, served: &[TypeInfo]) -> Vec<String> {
    let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if api_version.starts_with("kustomize.config.k8s.io/") {
        return Vec::new();
    }
    let named = |info: &&TypeInfo| info.api_version() == api_version && info.kind == kind;
    let Some(info) = served.iter().find(named) else {
        return vec![format!("no such kind: {api_version} {kind}")];
    };
    let unknown = schema::unknown(&info.schema, object);
    let mut problems: Vec<_> = unknown
        .iter()
        .map(|path| format!("unknown: {path}"))
        .collect();
    let mut object = object.clone();
    schema::apply_defaults(&info.schema, &mut object);
    let wrong = schema::validate(&info.schema, &object, None);
    problems.extend(
        wrong
            .iter()
            .map(|error| format!("{}: {}", error.field, error.message)),
    );
    problems
}

#[test]
fn every_yaml_block_parses_and_is_accepted() {
    let served = served();
    let blocks = blocks();
    assert!(blocks.len() >= 5, "{} YAML blocks found", blocks.len());
    let mut wrong = Vec::new();
    for block in &blocks {
        match yaml::to_values_strict(&block.text) {
            Ok(objects) => {
                let found = objects.iter().flat_map(|object| problems(object, &served));
                wrong.extend(found.map(|problem| format!("{}: {problem}", block.place)));
            }
            Err(error) => wrong.push(format!("{}: {error}", block.place)),
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn a_wrong_field_in_a_block_would_be_found() {
    let text = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: a}\n\
        spec: {imageRepositoryRef: {name: a}, policy: {semver: {range: 1.x}}, typo: 1}\n";
    let object = &yaml::to_values(text).unwrap()[0];
    assert_eq!(problems(object, &served()), ["unknown: spec.typo"]);
}

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
    let summary = fs::read_to_string(root().join("docs/src/SUMMARY.md")).unwrap();
    let mut wrong = Vec::new();
    for page in pages() {
        let name = page.strip_prefix(root()).unwrap().display().to_string();
        let text = fs::read_to_string(&page).unwrap();
        if let Some(path) = name.strip_prefix("docs/src/")
            && path != "SUMMARY.md"
            && !summary.contains(&format!("({path})"))
        {
            wrong.push(format!("{name} is not in the summary"));
        }
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = link.split('#').next().unwrap_or_default();
            let elsewhere = link.contains("://") || path.is_empty();
            if !elsewhere && !page.parent().unwrap().join(path).exists() {
                wrong.push(format!("{name}: {link} leads nowhere"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}
