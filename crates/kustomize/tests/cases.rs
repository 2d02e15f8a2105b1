//! Recorded builds: what kustomize 5.8.1 prints for an input, and what it refuses.
//!
//! The project's cases are packed in `testdata/kustomize/*.json`, one archive a name prefix.
//! `TOWPATH_CASES_KUSTOMIZE` names further folders of cases, separated by `:`; a case there is a
//! folder with `in/`, perhaps `target` and `args`, and `want.yaml` or `want.err`. A case that is
//! known to fail stands in `testdata/kustomize-pending.txt`; one that is listed and passes fails
//! the test, so that the list stays true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine;
use kustomize::{LoadRestrictor, MemoryFiles, Options, Order, build, render};
use serde_json::Value;

struct Case {
    files: MemoryFiles,
    target: String,
    args: Vec<String>,
    want: Want,
}

enum Want {
    Output(String),
    Refusal,
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Passed,
    /// Other bytes than wanted, or a build of what must be refused.
    WrongOutput(String),
    Refused(String),
}

fn check(case: &Case) -> Outcome {
    let options = match options(&case.args) {
        Ok(options) => options,
        Err(problem) => return judge(case, Err(problem)),
    };
    let built = build(&case.files, &case.target, &options);
    judge(
        case,
        built
            .map(|objects| render(&objects))
            .map_err(|error| error.to_string()),
    )
}

fn judge(case: &Case, got: Result<String, String>) -> Outcome {
    match (&case.want, got) {
        (Want::Output(want), Ok(got)) if *want == got => Outcome::Passed,
        (Want::Refusal, Err(_)) => Outcome::Passed,
        (_, Ok(got)) => Outcome::WrongOutput(got),
        (_, Err(problem)) => Outcome::Refused(problem),
    }
}

fn options(args: &[String]) -> Result<Options, String> {
    // The command line sorts unless it is told not to.
    let mut options = Options {
        order: Order::Legacy,
        ..Options::default()
    };
    for arg in args {
        match arg.as_str() {
            "--load-restrictor=LoadRestrictionsNone" => {
                options.load_restrictor = LoadRestrictor::None;
            }
            "--reorder=legacy" => options.order = Order::Legacy,
            other => return Err(format!("unknown flag {other}")),
        }
    }
    Ok(options)
}

/// Runs the cases of one source and returns the names of those that fail.
fn run(source: &str, cases: &BTreeMap<String, Case>) -> BTreeSet<String> {
    let show = std::env::var("SHOW").unwrap_or_default();
    let mut failed = BTreeSet::new();
    let mut wrong = 0;
    for (name, case) in cases {
        match check(case) {
            Outcome::Passed => {}
            outcome => {
                wrong += usize::from(matches!(outcome, Outcome::WrongOutput(_)));
                failed.insert(name.clone());
                report(name, case, &outcome, &show);
            }
        }
    }
    let passed = cases.len() - failed.len();
    println!(
        "{source}: {passed} passed, {} failed, {wrong} of them with output",
        failed.len()
    );
    failed
}

fn report(name: &str, case: &Case, outcome: &Outcome, show: &str) {
    if show.is_empty() || !name.contains(show) && show != "all" {
        return;
    }
    match (outcome, &case.want) {
        (Outcome::WrongOutput(got), Want::Output(want)) => {
            println!("== {name}\n{}", difference(want, got));
        }
        (Outcome::WrongOutput(got), Want::Refusal) => println!("== {name} is built:\n{got}"),
        (Outcome::Refused(problem), _) => println!("== {name} is refused: {problem}"),
        (Outcome::Passed, _) => {}
    }
}

/// Returns the lines around the first difference.
fn difference(want: &str, got: &str) -> String {
    let (want, got): (Vec<&str>, Vec<&str>) = (want.lines().collect(), got.lines().collect());
    let at = want.iter().zip(&got).take_while(|(w, g)| w == g).count();
    let part = |lines: &[&str], mark: &str| -> String {
        let lines = lines.iter().skip(at.saturating_sub(4)).take(12);
        lines.map(|line| format!("{mark} {line}\n")).collect()
    };
    format!("line {}:\n{}{}", at + 1, part(&want, "-"), part(&got, "+"))
}

fn packed(path: &Path) -> BTreeMap<String, Case> {
    let text = std::fs::read_to_string(path).expect("an archive of cases");
    let archive: Value = serde_json::from_str(&text).expect("an archive is JSON");
    let shared = archive["shared"].as_object().expect("shared files");
    let cases = archive["cases"].as_object().expect("cases");
    cases
        .iter()
        .map(|(name, case)| (name.clone(), unpack(case, shared)))
        .collect()
}

fn unpack(case: &Value, shared: &serde_json::Map<String, Value>) -> Case {
    let mut files = MemoryFiles::new();
    let own = case["files"].as_object().expect("files of a case");
    let uses = case["shared"].as_array().into_iter().flatten();
    let uses = uses.map(|name| name.as_str().expect("a name"));
    let common = uses.map(|name| (name, &shared[name]));
    for (path, content) in own
        .iter()
        .map(|(path, content)| (path.as_str(), content))
        .chain(common)
    {
        if let Some(text) = content.as_str() {
            files.insert(path, text);
        } else if let Some(target) = content["link"].as_str() {
            files.insert_link(path, target);
        } else {
            let text = content["base64"].as_str().expect("bytes");
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text)
                .expect("base64");
            files.insert(path, bytes);
        }
    }
    let text = |field: &str| case[field].as_str();
    Case {
        files,
        target: text("target").unwrap_or(".").trim().to_owned(),
        args: text("args")
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect(),
        want: text("want").map_or(Want::Refusal, |want| Want::Output(want.to_owned())),
    }
}

fn folder(path: &Path) -> BTreeMap<String, Case> {
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(path).expect("a folder of cases") {
        let path = entry.expect("a case").path();
        if !path.join("in").is_dir() {
            continue;
        }
        let mut files = MemoryFiles::new();
        read_tree(&path.join("in"), "", &mut files);
        let text = |name: &str| std::fs::read_to_string(path.join(name)).ok();
        let case = Case {
            files,
            target: text("target")
                .unwrap_or_else(|| ".".into())
                .trim()
                .to_owned(),
            args: text("args")
                .unwrap_or_default()
                .lines()
                .map(str::to_owned)
                .collect(),
            want: text("want.yaml").map_or(Want::Refusal, Want::Output),
        };
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        cases.insert(name, case);
    }
    cases
}

fn read_tree(folder: &Path, prefix: &str, files: &mut MemoryFiles) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().expect("a kind");
        if kind.is_symlink() {
            let target = std::fs::read_link(entry.path()).expect("a link");
            files.insert_link(name, target.to_string_lossy());
        } else if kind.is_dir() {
            read_tree(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, std::fs::read(entry.path()).expect("a file"));
        }
    }
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

fn pending() -> BTreeSet<String> {
    let text =
        std::fs::read_to_string(testdata().join("kustomize-pending.txt")).unwrap_or_default();
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn recorded_cases_are_built_byte_for_byte() {
    let mut failed = BTreeSet::new();
    let mut ran = BTreeSet::new();
    let mut take = |source: &str, cases: BTreeMap<String, Case>| {
        assert!(!cases.is_empty(), "no cases in {source}");
        failed.extend(run(source, &cases));
        ran.extend(cases.into_keys());
    };
    for prefix in ["error", "field", "lenient", "peer", "yaml"] {
        let path = testdata().join(format!("kustomize/{prefix}.json"));
        take(prefix, packed(&path));
    }
    if let Ok(folders) = std::env::var("TOWPATH_CASES_KUSTOMIZE") {
        for path in folders.split(':').filter(|path| !path.is_empty()) {
            take(path, folder(Path::new(path)));
        }
    }
    let pending: BTreeSet<String> = pending().intersection(&ran).cloned().collect();
    let unexpected: Vec<_> = failed.difference(&pending).collect();
    let passing: Vec<_> = pending.difference(&failed).collect();
    assert!(
        unexpected.is_empty() && passing.is_empty(),
        "failing: {unexpected:#?}\nlisted as failing, but passing: {passing:#?}"
    );
}
