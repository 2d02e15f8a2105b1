//! Laws of building: kustomization files, patches, and YAML that is printed and read again.
//!
//! In: any bytes. Out: nothing; a law that is broken panics. Fuzzed and replayed as `crate::laws`
//! says.

use ::kustomize::{MemoryFiles, Options, build, render};
use serde_json::Value;

/// What a kustomization file finds beside it.
const RESOURCE: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  template:
    spec:
      containers:
      - {name: web, image: 'nginx:1', args: [$(V)], ports: [{containerPort: 80}]}
      volumes: [{name: v, configMap: {name: settings}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {key: value, text: \"a: 1\"}
";
/// Bytes that a build may make of a few thousand.
const OUTPUT_BYTES_MAX: usize = 16 << 20;

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Builds files, and once more when they are built at all.
fn run(files: &[(&str, &str)]) {
    let mut tree = MemoryFiles::new();
    for (path, text) in files {
        tree.insert(*path, *text);
    }
    let objects = match build(&tree, ".", &Options::default()) {
        Ok(objects) => objects,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let again = build(&tree, ".", &Options::default()).expect("because it was built once");
    let text = render(&objects);
    assert_eq!(text, render(&again), "the same files are built differently");
    assert!(text.len() <= OUTPUT_BYTES_MAX);
    let values: Vec<Value> = objects
        .into_iter()
        .map(|object| object.into_value())
        .collect();
    let read = yaml::to_values_strict(&text).expect("because what was printed is YAML");
    assert_eq!(read, values, "what was printed means something else");
}

/// Any kustomization file is refused or built, twice alike, and the output means what was built.
pub fn kustomization(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        run(&[("kustomization.yaml", text), ("r.yaml", RESOURCE)]);
    }
}

/// Any patch is refused or applied to any object, twice alike; object and patch have a NUL between
/// them, and without one the text is the patch of a known object.
pub fn patch(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let (object, patch) = text.split_once('\0').unwrap_or((RESOURCE, text));
    let file = "resources: [r.yaml]\npatches: [{path: p.yaml, target: {kind: '.*'}}]\n";
    run(&[
        ("kustomization.yaml", file),
        ("r.yaml", object),
        ("p.yaml", patch),
    ]);
}

/// What a text means is still the same when it is printed and read again.
///
/// Go's writer takes three characters for line breaks that are none since YAML 1.2, and so they are
/// none for the reader: texts with them are left out.
pub fn round_trip(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Ok(values) = yaml::to_values(text) else {
        return;
    };
    for value in values {
        let printed = yaml::to_yaml(&value);
        if printed.contains(['\u{85}', '\u{2028}', '\u{2029}']) {
            continue;
        }
        let read = yaml::to_values_strict(&printed).expect("because what was printed is YAML");
        let want = if value.is_null() { vec![] } else { vec![value] };
        assert_eq!(read, want, "{printed:?}");
    }
}
