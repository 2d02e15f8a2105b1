//! What a build costs, beside the real kustomize 5.8.1 in kubectl 1.37 on the same inputs.
//!
//! In: `cargo bench --bench kustomize`; `-- --peer-large` lets the peer build 5,000 objects too, which
//! takes it minutes. Out: a table, each ratio beside its target. Output must be equal before it counts.
//! Without `--bench`, as `cargo test --benches` runs it, 100 objects are built once.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kustomize::{FolderFiles, Options, Order};

/// Ticks of a second in `/proc/self/stat`: the same on all of Linux's usual architectures.
const TICKS_A_SECOND: f64 = 100.0;
/// Objects, and the target for the ratio of CPU time.
const SIZES: [(usize, f64); 3] = [(100, 20.0), (1_000, 50.0), (5_000, 1_000.0)];
/// The peer builds no more than this unless it is asked to.
const PEER_OBJECTS_MAX: usize = 1_000;
/// The size at which memory is measured, in a process of its own.
const LARGE: usize = 20_000;
/// The argument of that process.
const ALONE: &str = "--alone";
/// The inputs by name.
const SHAPES: [&str; 3] = ["transformers", "references", "50 layers"];

const OBJECTS: &str = "---
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME}
data: {key: value, other: \"1\"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, labels: {app: NAME}}
spec:
  replicas: 1
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      containers:
      - name: main
        image: nginx:1.25
        envFrom: [{configMapRef: {name: NAME}}]
";
const TRANSFORMERS: &str = "namespace: production
namePrefix: p-
labels:
- pairs: {team: a}
  includeSelectors: true
images: [{name: nginx, newTag: \"1.26\"}]
patches:
- target: {kind: Deployment}
  patch: |-
    - op: replace
      path: /spec/replicas
      value: 3
";
const REFERENCES: &str = "components: [../component]
configMapGenerator:
- {name: made, literals: [a=b]}
replacements:
- source: {kind: ConfigMap, name: made, fieldPath: data.a}
  targets:
  - select: {kind: Deployment}
    fieldPaths: [metadata.annotations.made]
    options: {create: true}
";
const COMPONENT: &str = "apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
nameSuffix: -c
secretGenerator:
- {name: token, literals: [t=1]}
";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    if has(ALONE) {
        return alone();
    }
    if !has("--bench") {
        return compare("transformers", 100, 20.0, true);
    }
    println!("CPU seconds of the peer are those of the whole process, its start included");
    for shape in SHAPES {
        for (n_objects, target) in SIZES {
            let with_peer = n_objects <= PEER_OBJECTS_MAX || has("--peer-large");
            compare(shape, n_objects, target, with_peer).with_context(|| shape.to_owned())?;
        }
    }
    let small = tempfile::tempdir()?;
    write(small.path(), "transformers", 1_000)?;
    let (small, _) = ours(small.path(), 10)?;
    let output = Command::new(std::env::current_exe()?).arg(ALONE).output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let (seconds, peak) = text.trim().split_once(' ').context("two figures")?;
    let large: f64 = seconds.parse()?;
    let growth = (large / LARGE as f64) / (small.as_secs_f64() / 1_000.0);
    println!(
        "transformers, {LARGE} objects: {large:.3} s (target 1 s), peak {peak} kB (target 400 MB)"
    );
    println!("time per object at {LARGE} against that at 1000: {growth:.2} (target 1.5)");
    Ok(())
}

/// Builds the large input once and prints seconds and the peak of memory.
fn alone() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    write(folder.path(), "transformers", LARGE)?;
    let (time, _) = ours(folder.path(), 1)?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.context("VmHWM")?.trim().trim_end_matches(" kB");
    println!("{} {peak}", time.as_secs_f64());
    Ok(())
}

/// Prints one line: both sides on one input. Fails when the outputs differ.
fn compare(shape: &str, n_objects: usize, target: f64, with_peer: bool) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    write(folder.path(), shape, n_objects)?;
    let (time, text) = ours(folder.path(), (5_000 / n_objects).max(1))?;
    let ours = time.as_secs_f64();
    if !with_peer {
        println!(
            "{shape}, {n_objects} objects: {ours:.4} s; peer skipped, it takes minutes (--peer-large)"
        );
        return Ok(());
    }
    let before = children()?;
    let output = Command::new("kubectl")
        .arg("kustomize")
        .arg(folder.path().join("top"))
        .output();
    let output = output.context("run kubectl; tools/test installs it")?;
    let theirs = children()? - before;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(
        output.stdout == text.as_bytes(),
        "{shape}, {n_objects} objects: the outputs differ"
    );
    println!(
        "{shape}, {n_objects} objects: {ours:.4} s, peer {theirs:.2} s: {:.0}x (target {target:.0}x)",
        theirs / ours
    );
    Ok(())
}

/// Returns the mean time of a build, which is CPU time as it has one thread, and the output.
fn ours(folder: &Path, n_times: usize) -> anyhow::Result<(Duration, String)> {
    let options = Options {
        order: Order::Legacy,
        ..Options::default()
    };
    let started = Instant::now();
    let mut text = String::new();
    for _ in 0..n_times {
        let files = FolderFiles::new(folder)?;
        text = kustomize::render(&kustomize::build(&files, "top", &options)?);
    }
    Ok((started.elapsed() / u32::try_from(n_times)?, text))
}

/// Returns the CPU seconds of all children that have ended.
fn children() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("a name in brackets")?;
    let ticks = fields.split_whitespace().skip(13).take(2);
    let ticks: f64 = ticks.map(str::parse::<f64>).sum::<Result<_, _>>()?;
    Ok(ticks / TICKS_A_SECOND)
}

/// Writes an input: `base` with the objects, `top` to build.
fn write(folder: &Path, shape: &str, n_objects: usize) -> anyhow::Result<()> {
    let file = |path: String, text: &str| -> anyhow::Result<()> {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(std::fs::write(path, text)?)
    };
    let mut objects = String::new();
    for at in 0..n_objects / 2 {
        objects += &OBJECTS.replace("NAME", &format!("app-{at}"));
    }
    file("base/all.yaml".into(), &objects)?;
    file("base/kustomization.yaml".into(), "resources: [all.yaml]\n")?;
    let mut top = String::from("resources: [../base]\n");
    match shape {
        "50 layers" => {
            for layer in 1..50 {
                let below = if layer == 1 {
                    "base".into()
                } else {
                    format!("layer{}", layer - 1)
                };
                let text = format!("resources: [../{below}]\ncommonAnnotations: {{l{layer}: a}}\n");
                file(format!("layer{layer}/kustomization.yaml"), &text)?;
            }
            top = String::from("resources: [../layer49]\nnamePrefix: p-\n");
        }
        "references" => {
            file("component/kustomization.yaml".into(), COMPONENT)?;
            write!(top, "{TRANSFORMERS}{REFERENCES}")?;
        }
        _ => top += TRANSFORMERS,
    }
    file("top/kustomization.yaml".into(), &top)
}
