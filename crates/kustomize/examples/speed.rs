//! Prints the CPU time of a build, for a small and a large input (on Linux).
//!
//! Run it with `cargo run --release -p kustomize --example speed`. The time per object
//! should be the same: the cost is linear in the objects.

use kustomize::{MemoryFiles, Options, build, render};

fn main() {
    let mut per_object = Vec::new();
    for n_objects in [1_000, 20_000] {
        let files = input(n_objects);
        let started = cpu_seconds();
        let objects = build(&files, "overlay", &Options::default()).expect("a valid input");
        let built = cpu_seconds() - started;
        let bytes = render(&objects).len();
        let total = cpu_seconds() - started;
        println!(
            "{} objects: {total:.3} s of CPU, {built:.3} s of it to build; {bytes} bytes",
            objects.len(),
        );
        per_object.push(total / objects.len() as f64);
    }
    println!(
        "per object, large against small: {:.2}",
        per_object[1] / per_object[0]
    );
}

/// Returns the time that this thread has run, whatever else the machine does.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|text| text.parse::<f64>().ok());
    nanoseconds.expect("a number") / 1e9
}

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
        env: [{name: A, value: b}]
        envFrom: [{configMapRef: {name: NAME}}]
      volumes: [{name: v, configMap: {name: NAME}}]
";

const MERGE_PATCH: &str = "---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec: {template: {spec: {containers: [{name: main, env: [{name: B, value: c}]}]}}}
";

const JSON_PATCH: &str = "- target: {kind: Deployment, name: NAME}
  patch: '[{\"op\": \"add\", \"path\": \"/spec/paused\", \"value\": true}]'
";

const OVERLAY: &str = "resources: [../base]
namespace: production
nameSuffix: -v1
commonLabels: {team: a}
commonAnnotations: {note: b}
images: [{name: nginx, newTag: '1.26'}]
configMapGenerator: [{name: made, literals: [a=b]}]
patches:
- path: patches.yaml
";

/// A base of deployments and config maps that refer to each other, and an overlay over it in which
/// a tenth of them is patched.
fn input(n_objects: usize) -> MemoryFiles {
    let (mut base, mut patches, mut overlay) = (String::new(), String::new(), OVERLAY.to_owned());
    for at in 0..n_objects / 2 {
        let name = format!("app-{at}");
        base.push_str(&OBJECTS.replace("NAME", &name));
        if at % 10 == 0 {
            patches.push_str(&MERGE_PATCH.replace("NAME", &name));
            overlay.push_str(&JSON_PATCH.replace("NAME", &name));
        }
    }
    let mut files = MemoryFiles::new();
    files.insert("base/all.yaml", base);
    files.insert(
        "base/kustomization.yaml",
        "resources: [all.yaml]\nnamePrefix: base-\n",
    );
    files.insert("overlay/patches.yaml", patches);
    files.insert("overlay/kustomization.yaml", overlay);
    files
}
