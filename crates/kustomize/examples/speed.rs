//! Prints how many objects a second a build makes, for a small and a large input.
//!
//! Run it with `cargo run --release -p kustomize --example speed`. The two figures should be near
//! each other: the cost is linear in the objects.

use std::time::Instant;

use kustomize::{MemoryFiles, Options, build, render};

fn main() {
    for n_objects in [1_000, 20_000] {
        let files = input(n_objects);
        let started = Instant::now();
        let objects = build(&files, "overlay", &Options::default()).expect("a valid input");
        let built = started.elapsed();
        let bytes = render(&objects).len();
        let total = started.elapsed();
        println!(
            "{} objects: {:.0} objects/s (build {built:.2?}, in all {total:.2?}, {bytes} bytes)",
            objects.len(),
            objects.len() as f64 / total.as_secs_f64(),
        );
    }
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
