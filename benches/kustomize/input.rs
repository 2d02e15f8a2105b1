//! The inputs of the benchmark: a base with the objects and an overlay to build, one shape each.
//!
//! In: a shape and a number of objects. Out: files in a folder, `top` being the one to build. The
//! same shape and number always make the same files.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;

/// A map and a workload that takes its environment from it.
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
/// A workload that names three maps in four places.
const REFERRER: &str = "---
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME}
data: {key: value}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  template:
    spec:
      containers:
      - name: main
        env: [{name: A, valueFrom: {configMapKeyRef: {name: NAME, key: key}}}]
        envFrom: [{configMapRef: {name: NEXT}}, {configMapRef: {name: FIRST}}]
      volumes: [{name: v, configMap: {name: NAME}}]
";
/// Every shape renames objects, so that references have to follow.
const RENAMED: &str = "namePrefix: p-\nnameSuffix: -s\n";
const N_COMPONENTS: usize = 20;
const N_LAYERS: usize = 50;
/// One replacement by name for so many objects.
const OBJECTS_A_REPLACEMENT: usize = 100;

/// What an overlay does to the objects below it.
#[derive(Clone, Copy)]
pub enum Shape {
    /// Namespace, prefix, labels with selectors, an image and a JSON patch.
    Transformers,
    /// Every object is generated, half of them Secrets.
    Generators,
    /// Twenty components one after the other, each with a generator and a patch.
    Components,
    /// A value that goes to every workload, and values that go to one each.
    Replacements,
    /// Every workload names three maps, all are renamed in two layers.
    References,
    /// Fifty overlays one over the other, each with an annotation.
    Layers,
}

impl Shape {
    pub const ALL: [Self; 6] = [
        Self::Transformers,
        Self::Generators,
        Self::Components,
        Self::Replacements,
        Self::References,
        Self::Layers,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Transformers => "transformers",
            Self::Generators => "generators",
            Self::Components => "components",
            Self::Replacements => "replacements",
            Self::References => "references",
            Self::Layers => "layers",
        }
    }
}

/// Writes the files of a shape.
pub fn write(folder: &Path, shape: Shape, n_objects: usize) -> anyhow::Result<()> {
    let file = |path: &str, text: &str| -> anyhow::Result<()> {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(std::fs::write(path, text)?)
    };
    let n_apps = n_objects / 2;
    file("base/all.yaml", &objects(shape, n_apps))?;
    file("base/kustomization.yaml", "resources: [all.yaml]\n")?;
    let mut top = String::from("resources: [../base]\n");
    match shape {
        Shape::Transformers => top += TRANSFORMERS,
        Shape::Generators => top = generators(n_apps)?,
        Shape::Components => {
            top += "components:\n";
            for at in 0..N_COMPONENTS {
                writeln!(top, "- ../component{at}")?;
                file(&format!("component{at}/kustomization.yaml"), &component(at))?;
            }
            top += RENAMED;
        }
        Shape::Replacements => top = top + RENAMED + &replacements(n_apps)?,
        Shape::References => {
            file(
                "middle/kustomization.yaml",
                "resources: [../base]\nnamePrefix: m-\n",
            )?;
            top = String::from("resources: [../middle]\n") + RENAMED;
        }
        Shape::Layers => {
            let mut below = String::from("base");
            for at in 1..N_LAYERS {
                let text = format!("resources: [../{below}]\ncommonAnnotations: {{l{at}: a}}\n");
                below = format!("layer{at}");
                file(&format!("{below}/kustomization.yaml"), &text)?;
            }
            top = format!("resources: [../{below}]\n{RENAMED}");
        }
    }
    file("top/kustomization.yaml", &top)
}

fn objects(shape: Shape, n_apps: usize) -> String {
    let mut objects = String::new();
    for at in 0..n_apps {
        let name = format!("app-{at}");
        objects += &match shape {
            Shape::References => REFERRER
                .replace("NAME", &name)
                .replace("NEXT", &format!("app-{}", (at + 1) % n_apps))
                .replace("FIRST", "app-0"),
            _ => OBJECTS.replace("NAME", &name),
        };
    }
    objects
}

fn generators(n_each: usize) -> anyhow::Result<String> {
    let mut text = String::from(RENAMED);
    for field in ["configMapGenerator", "secretGenerator"] {
        writeln!(text, "{field}:")?;
        for at in 0..n_each {
            writeln!(text, "- {{name: made-{at}, literals: [key={at}, other=x]}}")?;
        }
    }
    Ok(text)
}

fn component(at: usize) -> String {
    format!(
        "apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
secretGenerator:
- {{name: token-{at}, literals: [t={at}]}}
patches:
- target: {{kind: Deployment, name: app-{at}}}
  patch: '[{{\"op\": \"add\", \"path\": \"/spec/paused\", \"value\": true}}]'
labels:
- pairs: {{c{at}: a}}
"
    )
}

fn replacements(n_apps: usize) -> anyhow::Result<String> {
    let mut text = String::from(
        "configMapGenerator:
- {name: made, literals: [a=b]}
replacements:
- source: {kind: ConfigMap, name: made, fieldPath: data.a}
  targets:
  - select: {kind: Deployment}
    fieldPaths: [metadata.annotations.made]
    options: {create: true}
",
    );
    for at in (0..n_apps).step_by(OBJECTS_A_REPLACEMENT / 2) {
        writeln!(
            text,
            "- source: {{kind: ConfigMap, name: app-{at}, fieldPath: data.key}}
  targets:
  - select: {{kind: Deployment, name: app-{at}}}
    fieldPaths: ['spec.template.spec.containers.[name=main].image']
    options: {{delimiter: ':', index: 1}}"
        )?;
    }
    Ok(text)
}
