//! Bad input, named for its symptom: a clear error, in bounded time and memory, never a panic.
//!
//! `testdata/kustomize/types.jsonl` holds what kustomize 5.8.1 says to a value of each type in each
//! field of a kustomization file. Time is compared to that of reading the same text, in one run.

use std::time::{Duration, Instant};

use kustomize::{FILE_BYTES_MAX, MemoryFiles, Options, build, render};
use serde_json::Value;

const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: r}\ndata: {a: b}\n";

fn run(files: &MemoryFiles) -> Result<String, String> {
    let objects = build(files, ".", &Options::default()).map_err(|error| error.to_string())?;
    Ok(render(&objects))
}

fn files<const N: usize>(entries: [(&str, &str); N]) -> MemoryFiles {
    let mut files = MemoryFiles::new();
    for (path, text) in entries {
        files.insert(path, text);
    }
    files
}

/// Checks that the files are refused, and that the error names every part.
fn refuses<const N: usize>(entries: [(&str, &str); N], parts: &[&str]) {
    let error = run(&files(entries)).expect_err("bad input");
    for part in parts {
        assert!(error.contains(part), "{part:?} in: {error}");
    }
}

#[test]
fn a_value_of_any_type_in_any_field_is_taken_and_refused_as_by_kustomize() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/kustomize/types.jsonl"
    );
    let text = std::fs::read_to_string(path).expect("the recorded cases");
    let (mut wrong, mut n_cases) = (Vec::new(), 0);
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).expect("JSON");
        let text = |field: &str| case[field].as_str();
        let file = text("file").expect("a file");
        let got = run(&files([
            ("kustomization.yaml", file),
            ("r.yaml", CONFIG_MAP),
        ]));
        n_cases += 1;
        match (&got, text("output")) {
            (Ok(output), Some(want)) if output == want => {}
            (Err(error), None) => {
                let top = text("field")
                    .unwrap_or_default()
                    .split('.')
                    .next()
                    .unwrap_or_default();
                let peer = text("refused").unwrap_or_default();
                let is_type = peer.contains("cannot unmarshal");
                let names = |part: &str| error.to_lowercase().contains(&part.to_lowercase());
                if !names("kustomization.yaml") || is_type && !names(top) {
                    wrong.push(format!(
                        "{file}  is refused without its place: {error}\n  {peer}"
                    ));
                }
            }
            _ => wrong.push(format!("{file}  gives {got:?}\n  and there: {case}")),
        }
    }
    assert!(n_cases > 1_000, "{n_cases}");
    assert!(
        wrong.is_empty(),
        "{} of {n_cases}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_missing_file_is_named_with_its_field() {
    let named = |field: &str, value: &str| {
        let file = format!("resources: [r.yaml]\n{field}: {value}\n");
        let field = field.to_owned();
        refuses(
            [("kustomization.yaml", &file), ("r.yaml", CONFIG_MAP)],
            &["kustomization.yaml", &field, "none.yaml"],
        );
    };
    for field in [
        "components",
        "crds",
        "configurations",
        "bases",
        "patchesStrategicMerge",
    ] {
        // An old name is shown as the one that replaced it.
        let shown = if field == "bases" { "resources" } else { field };
        let file = format!("resources: [r.yaml]\n{field}: [none.yaml]\n");
        refuses(
            [("kustomization.yaml", &file), ("r.yaml", CONFIG_MAP)],
            &["kustomization.yaml", shown, "none.yaml"],
        );
    }
    named("patches", "[{path: none.yaml, target: {kind: A}}]");
    named("configMapGenerator", "[{name: c, files: [none.yaml]}]");
    named("secretGenerator", "[{name: c, envs: [none.yaml]}]");
    named("replacements", "[{path: none.yaml}]");
    named("openapi", "{path: none.yaml}");
}

#[test]
fn a_path_or_link_out_of_the_root_is_refused_before_it_is_read() {
    let mut tree = files([("top/kustomization.yaml", "resources: [../../../etc]\n")]);
    let error = build(&tree, "top", &Options::default()).expect_err("outside");
    assert!(
        error.to_string().contains("top/kustomization.yaml"),
        "{error}"
    );
    tree.insert(
        "top/kustomization.yaml",
        "configMapGenerator: [{name: c, files: [link]}]\n",
    );
    tree.insert_link("top/link", "../../secret");
    let error = build(&tree, "top", &Options::default()).expect_err("outside");
    assert!(error.to_string().contains("link"), "{error}");
}

#[test]
fn two_objects_with_one_id_are_named() {
    refuses(
        [
            ("kustomization.yaml", "resources: [r.yaml, s.yaml]\n"),
            ("r.yaml", CONFIG_MAP),
            ("s.yaml", CONFIG_MAP),
        ],
        &[
            "kustomization.yaml",
            "resources",
            "s.yaml",
            "already registered id",
            "ConfigMap",
            "/r.",
        ],
    );
}

#[test]
fn a_patch_without_a_target_is_named() {
    let patch = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {a: c}\n";
    refuses(
        [
            (
                "kustomization.yaml",
                "resources: [r.yaml]\npatches: [{path: p.yaml}]\n",
            ),
            ("r.yaml", CONFIG_MAP),
            ("p.yaml", patch),
        ],
        &[
            "kustomization.yaml",
            "patches[0]",
            "no matches for Id",
            "other",
        ],
    );
    let operation = "resources: [r.yaml]\npatches: [{patch: '- {op: remove, path: /data/x}', target: {kind: ConfigMap}}]\n";
    refuses(
        [("kustomization.yaml", operation), ("r.yaml", CONFIG_MAP)],
        &["kustomization.yaml", "patches[0]", "ConfigMap", "remove"],
    );
}

#[test]
fn a_binary_file_as_a_resource_or_patch_is_refused() {
    let mut tree = files([("kustomization.yaml", "resources: [r.bin]\n")]);
    tree.insert("r.bin", (0..=255).collect::<Vec<u8>>());
    let error = run(&tree).expect_err("no text");
    assert!(error.contains("r.bin"), "{error}");
    let file = "resources: [r.yaml]\npatches: [{path: r.bin}]\n";
    tree.insert("kustomization.yaml", file);
    tree.insert("r.yaml", CONFIG_MAP);
    let error = run(&tree).expect_err("no text");
    assert!(error.contains("r.bin"), "{error}");
}

#[test]
fn a_file_of_100_mb_is_refused_unread() {
    let mut tree = files([("kustomization.yaml", "resources: [r.yaml]\n")]);
    tree.insert("r.yaml", vec![b' '; 100 << 20]);
    let started = Instant::now();
    let error = run(&tree).expect_err("too large");
    assert!(
        error.contains("r.yaml") && error.contains(&FILE_BYTES_MAX.to_string()),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(2));
}

/// Returns how many times longer a build takes than reading its texts.
fn against_reading(tree: &MemoryFiles, texts: &[&str]) -> f64 {
    let started = Instant::now();
    for text in texts {
        yaml::to_values(text).expect("YAML");
    }
    let reading = started.elapsed();
    let started = Instant::now();
    run(tree).expect("a build");
    started.elapsed().as_secs_f64() / reading.as_secs_f64()
}

#[test]
fn time_is_bounded_by_that_of_reading_the_text() {
    let words = "word ".repeat(200_000);
    let literal = format!("{CONFIG_MAP}  b: '{words}'\n").replace("data: {a: b}", "data:\n  a: b");
    let keys: String = (0..20_000)
        .map(|at| format!("  key{at}: value\n"))
        .collect();
    let wide = format!("{CONFIG_MAP}{keys}").replace("data: {a: b}", "data:");
    let items: String = (0..20_000)
        .map(|at| format!("- {{name: n{at}}}\n"))
        .collect();
    let long = format!("{CONFIG_MAP}list:\n{items}");
    let names = |at: usize| CONFIG_MAP.replace("name: r", &format!("name: r{at}"));
    let many = (0..4_000).map(names).collect::<Vec<_>>().join("---\n");
    let kustomization = "resources: [r.yaml]
namePrefix: p-
namespace: ns
commonLabels: {a: b}
commonAnnotations: {a: b}
images: [{name: nginx, newTag: '2'}]
";
    for (name, text) in [
        ("text", literal),
        ("keys", wide),
        ("items", long),
        ("objects", many),
    ] {
        let tree = files([("kustomization.yaml", kustomization), ("r.yaml", &text)]);
        let ratio = against_reading(&tree, &[&text]);
        assert!(ratio < 20.0, "{name}: {ratio:.1} times as long as reading");
    }
}

#[test]
fn a_generator_of_everything_is_bounded() {
    let entry = "- {name: c, files: [f]}\n";
    let entries: String = (0..40)
        .map(|at| entry.replace("name: c", &format!("name: c{at}")))
        .collect();
    let mut tree = files([(
        "kustomization.yaml",
        &format!("secretGenerator:\n{entries}"),
    )]);
    tree.insert("f", vec![0_u8; 16 << 20]);
    let error = run(&tree).expect_err("too much");
    assert!(
        error.contains("secretGenerator") && error.contains("reads more than"),
        "{error}"
    );
}
