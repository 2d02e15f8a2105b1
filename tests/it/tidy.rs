//! Keeps the house as it is drawn: arrows that point down, files that say what they are and stay
//! small, engines that know nothing of the world.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file without its tests.
const LINES_MAX: usize = 600;
/// River rooms never use each other; the mill carries what flows between them.
const RIVER: [&str; 8] = [
    "registry",
    "tags",
    "policy",
    "update",
    "git",
    "source",
    "kustomize",
    "apply",
];
/// Modules and crates that are pure.
const ENGINES: [&str; 13] = [
    "src/safe",
    "src/duration",
    "src/image",
    "src/pattern",
    "src/version",
    "src/template",
    "src/policy",
    "src/update",
    "src/kustomize",
    "src/api",
    "crates/yaml/src",
    "crates/gotemplate/src",
    "crates/kustomize/src",
];
/// What an engine does not do.
const WORLD: [&str; 10] = [
    "std::fs",
    "std::env",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "std::process",
    "tokio::",
    "SystemTime::now",
    "Instant::now",
    "Utc::now",
];
/// The one place where an engine's crate reads a disk: the folder that a caller hands in.
const FOLDER: &str = "crates/kustomize/src/folder.rs";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns all Rust files below a folder, or the file itself, by path from the root.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&root().join(folder), &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let name = path
            .strip_prefix(root())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        (name, fs::read_to_string(&path).unwrap())
    };
    files.into_iter().map(read).collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), files);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        files.push(path.to_owned());
    }
}

fn all_sources() -> Vec<(String, String)> {
    let folders = ["src", "crates", "tests", "benches"];
    folders.iter().flat_map(|folder| sources(folder)).collect()
}

/// Returns a text up to its test module.
fn without_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod ")
        .map_or(text, |at| &text[..at])
}

fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    without_tests(text)
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

/// Returns the modules of `lib.rs`, in its order.
fn map() -> Vec<String> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    modules.map(str::to_owned).collect()
}

/// Returns the modules of this package that a line of code names.
fn uses(line: &str) -> Vec<String> {
    let words = line.split("crate::").skip(1).flat_map(|rest| {
        let group = rest
            .strip_prefix('{')
            .and_then(|rest| rest.split('}').next());
        let parts: Vec<&str> = group.map_or(vec![rest], |group| group.split(',').collect());
        parts
            .into_iter()
            .map(|part| {
                let name = part
                    .trim()
                    .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .next();
                name.unwrap_or("").to_owned()
            })
            .collect::<Vec<_>>()
    });
    words.collect()
}

fn fail_if_any(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn arrows_point_down() {
    let map = map();
    assert!(map.len() > 15, "lib.rs names {} modules", map.len());
    let place = |name: &str| map.iter().position(|module| module == name);
    let mut wrong = Vec::new();
    for (file, text) in sources("src") {
        let own = file["src/".len()..]
            .split(['/', '.'])
            .next()
            .unwrap()
            .to_owned();
        let Some(at) = place(&own) else { continue };
        let lines = code_lines(&text);
        for used in lines
            .filter(|line| !line.contains("$crate::"))
            .flat_map(uses)
        {
            let Some(below) = place(&used) else { continue };
            let river = RIVER.contains(&own.as_str()) && RIVER.contains(&used.as_str());
            if below > at || (river && own != used) {
                wrong.push(format!("{file} uses {used}"));
            }
        }
    }
    fail_if_any(
        "a module uses only modules above it in lib.rs, a river room no other",
        &wrong,
    );
}

#[test]
fn every_file_says_what_it_is() {
    let sources = all_sources();
    assert!(sources.len() > 50, "{} files found", sources.len());
    let silent = sources.iter().filter(|(_, text)| !text.starts_with("//! "));
    let silent: Vec<_> = silent.map(|(file, _)| file.clone()).collect();
    fail_if_any("open the file with //! lines", &silent);
}

#[test]
fn no_file_is_long() {
    let lengths = all_sources()
        .into_iter()
        .filter(|(file, _)| !file.starts_with("tests/"));
    let long = lengths.filter_map(|(file, text)| {
        let lines = without_tests(&text).lines().count();
        (lines > LINES_MAX).then(|| format!("{file}: {lines} lines"))
    });
    fail_if_any(
        "split the file where its story splits",
        &long.collect::<Vec<_>>(),
    );
}

#[test]
fn engines_know_nothing_of_the_world() {
    let engines: Vec<_> = ENGINES
        .iter()
        .flat_map(|engine| {
            let file = format!("{engine}.rs");
            let single = if root().join(&file).exists() {
                sources(&file)
            } else {
                Vec::new()
            };
            sources(engine)
                .into_iter()
                .chain(single)
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(
        engines.len() > 20,
        "{} files of engines found",
        engines.len()
    );
    let mut wrong = Vec::new();
    for (file, text) in engines.iter().filter(|(file, _)| file != FOLDER) {
        for word in WORLD {
            if code_lines(text).any(|line| line.contains(word)) {
                wrong.push(format!("{file} uses {word}"));
            }
        }
    }
    fail_if_any("an engine is pure", &wrong);
}

#[test]
fn crates_know_nothing_of_the_product() {
    let own = ["flux", "towpath"];
    let crates = sources("crates")
        .into_iter()
        .filter(|(file, _)| file.contains("/src/"));
    let named = crates.filter(|(_, text)| {
        let text = without_tests(text).to_lowercase();
        own.iter().any(|word| text.contains(word))
    });
    let named: Vec<_> = named.map(|(file, _)| file).collect();
    fail_if_any("a crate is useful to a stranger", &named);
}

#[test]
fn nothing_is_left_undone_or_skipped() {
    let this = "tests/it/tidy.rs";
    let banned = ["#[ignore", "todo!(", "unimplemented!(", "dbg!("];
    let mut wrong = Vec::new();
    for (file, text) in all_sources().iter().filter(|(file, _)| file != this) {
        for word in banned {
            if code_lines(text).any(|line| line.contains(word)) {
                wrong.push(format!("{file}: {word}"));
            }
        }
    }
    fail_if_any("finish it or leave it out", &wrong);
}

#[test]
fn every_test_file_is_part_of_the_binary() {
    let main = fs::read_to_string(root().join("tests/it/main.rs")).unwrap();
    let mut lost = Vec::new();
    for entry in fs::read_dir(root().join("tests/it")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        if module != "main" && !main.contains(&format!("mod {module};")) {
            lost.push(name);
        }
    }
    fail_if_any("declare the file in tests/it/main.rs", &lost);
}
