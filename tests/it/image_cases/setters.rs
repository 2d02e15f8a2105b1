//! Runs the recorded trees of marked files: which bytes change, and what is reported.
//!
//! The cases are lines of `testdata/image/setters.jsonl`, or folders below `setters/` of the
//! folders named in `TOWPATH_CASES_IMAGE`. Only the bytes of marked scalars may change.

#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use towpath::api::ImageRef;
use towpath::safe::SafePath;
use towpath::update::{self, Files, Kind, PolicyChoice, Report, Setters};

use super::{count, folders};

/// Bytes of a file or the target of a link.
enum Entry {
    File(Vec<u8>),
    Link(String),
}

/// A tree in memory.
struct Tree(BTreeMap<String, Entry>);

impl Files for Tree {
    type Error = Infallible;

    fn kind(&self, path: &SafePath) -> Result<Option<Kind>, Infallible> {
        let below = format!("{}/", path.as_str());
        Ok(match self.0.get(path.as_str()) {
            Some(Entry::File(_)) => Some(Kind::File),
            Some(Entry::Link(_)) => Some(Kind::Link),
            None if path.as_str().is_empty() => Some(Kind::Folder),
            None => (self.0.keys().any(|path| path.starts_with(&below))).then_some(Kind::Folder),
        })
    }

    fn entries(&self, folder: &SafePath) -> Result<Vec<(String, Kind)>, Infallible> {
        let mut entries = BTreeMap::new();
        for path in self.0.keys() {
            let below = match folder.as_str() {
                "" => Some(path.as_str()),
                folder => path
                    .strip_prefix(folder)
                    .and_then(|path| path.strip_prefix('/')),
            };
            if let Some(name) = below.and_then(|below| below.split('/').next()) {
                let kind = self.kind(&folder.join(name).unwrap())?.unwrap();
                entries.insert(name.to_owned(), kind);
            }
        }
        Ok(entries.into_iter().collect())
    }

    fn read(&self, file: &SafePath) -> Result<Vec<u8>, Infallible> {
        match &self.0[file.as_str()] {
            Entry::File(bytes) => Ok(bytes.clone()),
            Entry::Link(_) => panic!("{file} is a link"),
        }
    }

    fn target(&self, link: &SafePath) -> Result<String, Infallible> {
        match &self.0[link.as_str()] {
            Entry::Link(target) => Ok(target.clone()),
            Entry::File(_) => panic!("{link} is a file"),
        }
    }
}

/// A tree, what is done to it, and what must come of it.
struct Case {
    name: String,
    path: String,
    policies: Value,
    files: Tree,
    /// The files that change.
    want: BTreeMap<String, Vec<u8>>,
    changed: Option<Value>,
    error: Option<String>,
    problem_files: Value,
}

fn packed(folder: &Path) -> Vec<Case> {
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let Ok(lines) = read("setters.jsonl") else {
        return Vec::new();
    };
    let common: Value = serde_json::from_str(&read("setters-policies.json").unwrap()).unwrap();
    let case = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let entry = |(path, entry): (&String, &Value)| {
            let entry = match entry["link"].as_str() {
                Some(target) => Entry::Link(target.to_owned()),
                None => Entry::File(entry["text"].as_str().unwrap().into()),
            };
            (path.clone(), entry)
        };
        let wanted =
            |(path, text): (&String, &Value)| (path.clone(), text.as_str().unwrap().into());
        Case {
            name: text("name"),
            path: text("path"),
            policies: row.get("policies").unwrap_or(&common).clone(),
            files: Tree(
                row["files"]
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(entry)
                    .collect(),
            ),
            want: row["want"]
                .as_object()
                .unwrap()
                .iter()
                .map(wanted)
                .collect(),
            changed: row.get("changed").cloned(),
            error: row["error"].as_str().map(str::to_owned),
            problem_files: row["problem_files"].clone(),
        }
    };
    lines.lines().map(case).collect()
}

fn unpacked(folder: &Path) -> Vec<Case> {
    let Ok(entries) = fs::read_dir(folder.join("setters")) else {
        return Vec::new();
    };
    let mut cases = Vec::new();
    for entry in entries {
        let folder = entry.unwrap().path();
        if !folder.join("case.json").exists() {
            continue;
        }
        let json = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
        };
        let (case, result) = (json("case.json"), json("result.json"));
        let (mut files, mut want) = (BTreeMap::new(), BTreeMap::new());
        collect(&folder.join("in"), "", &mut files);
        collect(&folder.join("want-exact"), "", &mut want);
        let changes = |(path, entry): (String, Entry)| match (entry, files.get(&path)) {
            (Entry::File(want), Some(Entry::File(before))) if want == *before => None,
            (Entry::File(want), _) => Some((path, want)),
            (Entry::Link(_), _) => None,
        };
        let exact = result.get("changed_exact");
        let error = result["error"].as_str().filter(|_| exact.is_none());
        cases.push(Case {
            name: case["name"].as_str().unwrap().to_owned(),
            path: case["path"].as_str().unwrap_or_default().to_owned(),
            policies: json("policies.json"),
            want: want.into_iter().filter_map(changes).collect(),
            files: Tree(files),
            changed: exact
                .or(result.get("changed"))
                .filter(|_| error.is_none())
                .cloned(),
            error: error.map(str::to_owned),
            problem_files: result["problem_files"].clone(),
        });
    }
    cases
}

fn collect(folder: &Path, prefix: &str, into: &mut BTreeMap<String, Entry>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), into);
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            into.insert(path, Entry::Link(target.to_str().unwrap().to_owned()));
        } else {
            into.insert(path, Entry::File(fs::read(entry.path()).unwrap()));
        }
    }
}

fn run(case: &Case) -> Result<Report, String> {
    let latest = |policy: &Value| ImageRef {
        name: policy["image"].as_str().unwrap().to_owned(),
        tag: policy["tag"].as_str().unwrap().to_owned(),
        digest: policy["digest"].as_str().map(str::to_owned),
    };
    let policies = case.policies.as_object().unwrap().iter();
    let policies: Vec<_> = policies
        .map(|(name, policy)| (name.split_once(':').unwrap(), latest(policy)))
        .collect();
    let choices = policies
        .iter()
        .map(|((namespace, name), latest)| PolicyChoice {
            namespace,
            name,
            latest,
        });
    let setters = Setters::new(choices).map_err(|error| error.to_string())?;
    update::run(&case.files, &case.path, &setters).map_err(|error| error.to_string())
}

/// The report as the cases have it: objects sorted by what they call themselves.
fn changed(report: &Report) -> Value {
    let files = report.files.iter().filter(|file| !file.objects.is_empty());
    let files = files.map(|file| {
        let mut objects: Vec<_> = file.objects.iter().collect();
        objects.sort_by_key(|changes| changes.object.clone());
        let objects = objects.into_iter().map(|changes| {
            let values = changes.changes.iter().map(|change| {
                json!({
                    "oldValue": change.old_value,
                    "newValue": change.new_value,
                    "setter": change.setter,
                })
            });
            json!({
                "apiVersion": changes.object.api_version,
                "kind": changes.object.kind,
                "name": changes.object.name,
                "namespace": changes.object.namespace,
                "changes": values.collect::<Vec<_>>(),
            })
        });
        json!({"file": file.file, "objects": objects.collect::<Vec<_>>()})
    });
    let mut files: Vec<_> = files.collect();
    files.sort_by_key(|file| file["file"].as_str().unwrap().to_owned());
    files.into()
}

fn differences(case: &Case) -> Vec<String> {
    let report = match (run(case), &case.error) {
        (Ok(report), None) => report,
        (Err(got), Some(want)) if *want.replace("<root>/", "") == got => return Vec::new(),
        (Ok(_), Some(want)) => return vec![format!("want error {want}")],
        (Err(got), want) => return vec![format!("got error {got}, want {want:?}")],
    };
    let mut differences = Vec::new();
    let mut got: BTreeMap<_, _> = report.writes().map(|(p, b)| (p.to_string(), b)).collect();
    for (path, want) in &case.want {
        match got.remove(path) {
            Some(got) if got == want => {}
            got => differences.push(format!(
                "{path}: got {:?}\n  want {:?}",
                got.map(String::from_utf8_lossy),
                String::from_utf8_lossy(want)
            )),
        }
    }
    differences.extend(got.keys().map(|path| format!("{path} is written")));
    if let Some(want) = case.changed.as_ref().map(|want| match want {
        Value::Null => json!([]),
        want => want.clone(),
    }) && changed(&report) != want
    {
        differences.push(format!("report {}\n  want {want}", changed(&report)));
    }
    for problem in case.problem_files.as_array().into_iter().flatten() {
        let told = |file: &&update::FileReport| Some(file.path.as_str()) == problem.as_str();
        if (report.files.iter().find(told)).is_none_or(|file| file.problems.is_empty()) {
            differences.push(format!("{problem} is not told as a problem"));
        }
    }
    differences
}

#[test]
fn marked_scalars_change_and_no_other_byte() {
    let mut n_cases = 0;
    let mut wrong = Vec::new();
    for folder in folders() {
        let cases = packed(&folder).into_iter().chain(unpacked(&folder));
        let mut n_here = 0;
        for case in cases {
            n_here += 1;
            let differences = differences(&case);
            if !differences.is_empty() {
                wrong.push(format!("{}: {}", case.name, differences.join("\n")));
            }
        }
        count(&format!("{}: {n_here} trees of setters", folder.display()));
        n_cases += n_here;
    }
    assert!(n_cases > 0);
    assert!(
        wrong.is_empty(),
        "{} trees differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
