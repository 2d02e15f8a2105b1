//! Generated patches: strategic merge and JSON 6902, in the new field and the old ones.

use std::fmt::Write as _;

use super::objects::{Id, api_version};
use super::overlay::{Overlay, indented};

impl Overlay {
    /// Returns the field `patches`.
    pub fn patches(&mut self, folder: &str, n: usize) -> String {
        if !self.random.once_in(n - 2) || self.ids.is_empty() {
            return String::new();
        }
        let mut text = "patches:\n".to_owned();
        for at in 0..1 + self.random.below(2) {
            let Some((kind, name)) = self.known() else {
                break;
            };
            let is_json = self.random.once_in(2);
            let patch = if is_json {
                self.operations(kind)
            } else {
                self.merge((kind, name))
            };
            text += &self.held(folder, &format!("p{at}"), "patch", &patch);
            if is_json || self.random.once_in(3) {
                text += &self.target((kind, name), is_json);
            }
            if self.random.once_in(8) {
                text += self.random.pick(&[
                    "  options: {allowNameChange: true}\n",
                    "  options: {allowKindChange: true}\n",
                    "  options:\n    allowNameChange: true\n    allowKindChange: true\n",
                ]);
            }
        }
        if text == "patches:\n" {
            String::new()
        } else {
            text
        }
    }

    /// Returns an entry of a list that holds a patch, in a file or in place.
    fn held(&mut self, folder: &str, name: &str, field: &str, patch: &str) -> String {
        if self.random.once_in(4) {
            let file = format!("{name}.yaml");
            self.files
                .insert(format!("{folder}/{file}"), patch.to_owned());
            format!("- path: {file}\n")
        } else {
            format!("- {field}: |-\n{}", indented(patch, "    "))
        }
    }

    fn target(&mut self, (kind, name): Id, is_json: bool) -> String {
        let mut text = "  target:\n".to_owned();
        let kind_pattern = match self.random.below(6) {
            0 if !is_json => format!("{}.*", &kind[..3]),
            1 => format!("{kind}|Nothing"),
            _ => kind.to_owned(),
        };
        writeln!(text, "    kind: {kind_pattern}").unwrap();
        if self.random.once_in(2) {
            writeln!(text, "    name: {name}").unwrap();
        } else if self.random.once_in(5) {
            text += self.random.pick(&[
                "    name: a.*\n",
                "    name: \"[a-w]+\"\n",
                "    name: \".*\"\n",
            ]);
        }
        for (field, values) in [
            ("version", &["v1", "v.*", "v2"][..]),
            ("namespace", &["default", "ns|default", "prod-1"][..]),
            (
                "labelSelector",
                &[
                    "app",
                    "app!=x",
                    "\"!team\"",
                    "app in (nginx, plain)",
                    "team=plain",
                ][..],
            ),
            (
                "annotationSelector",
                &["note", "app=plain", "\"!note\""][..],
            ),
        ] {
            if self.random.once_in(9) {
                writeln!(text, "    {field}: {}", self.random.pick(values)).unwrap();
            }
        }
        text
    }

    /// Returns the old fields of patches.
    pub fn old_patches(&mut self, folder: &str, n: usize) -> String {
        let mut text = String::new();
        if self.random.once_in(n)
            && let Some(id) = self.known()
        {
            let patch = self.merge(id);
            text += "patchesStrategicMerge:\n";
            if self.random.once_in(2) {
                self.files.insert(format!("{folder}/sm.yaml"), patch);
                text += "- sm.yaml\n";
            } else {
                write!(text, "- |-\n{}", indented(&patch, "  ")).unwrap();
            }
        }
        if self.random.once_in(n)
            && let Some((kind, name)) = self.known()
        {
            let patch = self.operations(kind);
            text += "patchesJson6902:\n";
            text += &self.held(folder, "late", "patch", &patch);
            let (group, version) = match api_version(kind).split_once('/') {
                Some((group, version)) => (group, version),
                None => ("\"\"", api_version(kind)),
            };
            writeln!(
                text,
                "  target:\n    group: {group}\n    version: {version}\n    kind: {kind}\n    name: {name}"
            )
            .unwrap();
        }
        text
    }

    /// Returns the operations of a JSON patch.
    fn operations(&mut self, kind: &str) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.random.below(3) {
            let operation = match self.random.below(10) {
                at @ 0..=2 => self.metadata_operation(at),
                at if matches!(kind, "Widget" | "Gizmo") => self.custom_operation(at),
                at => self.operation(kind, at),
            };
            writeln!(text, "- {operation}").unwrap();
        }
        text
    }

    fn metadata_operation(&mut self, at: usize) -> String {
        let string = self.random.string();
        match at {
            0 => format!(
                "op: add\n  path: /metadata/labels\n  value: {{\"a/b\": {}}}",
                self.random.word()
            ),
            1 => {
                format!("op: add\n  path: /metadata/annotations/added\n  value: {string}")
            }
            _ => format!(
                "op: {}\n  path: /metadata/annotations\n  value: {{only: {}}}",
                self.random.pick(&["replace", "add"]),
                self.random.word()
            ),
        }
    }

    fn custom_operation(&mut self, at: usize) -> String {
        let (value, string) = (self.random.scalar(), self.random.string());
        match at {
            3 => {
                format!("op: replace\n  path: /spec/a\n  value: {value}")
            }
            4 => {
                format!("op: add\n  path: /spec/list/-\n  value: {value}")
            }
            5 => "op: move\n  from: /spec/deep/c\n  path: /spec/moved".to_owned(),
            6 => {
                format!(
                    "op: copy\n  from: /spec/{}\n  path: /spec/copied",
                    self.random.pick(&["a", "list", "none", "list/0"])
                )
            }
            7 if self.random.once_in(5) => {
                format!("op: test\n  path: /spec/list/1\n  value: {string}")
            }
            _ => format!(
                "op: add\n  path: /spec/things/{}\n  value: {{name: new, value: {}}}",
                self.random.pick(&["0", "1", "-", "2", "-1"]),
                self.random.word()
            ),
        }
    }

    fn operation(&mut self, kind: &str, at: usize) -> String {
        let (value, string) = (self.random.scalar(), self.random.string());
        match (kind, at) {
            ("ConfigMap", 3..=5) => {
                format!(
                    "op: copy\n  from: /data/{}\n  path: /data/z",
                    self.random.pick(&["k", "file.txt", "none"])
                )
            }
            ("ConfigMap", 6) if self.random.once_in(5) => {
                format!("op: test\n  path: /data/k\n  value: {string}")
            }
            ("ConfigMap", 7) if self.random.once_in(3) => "op: remove\n  path: /data/k".to_owned(),
            ("ConfigMap", _) => format!("op: replace\n  path: /data/image\n  value: {string}"),
            ("Deployment" | "DaemonSet" | "StatefulSet", 3..=5) => {
                format!(
                    "op: add\n  path: /spec/template/spec/containers/0/args/1\n  value: {string}"
                )
            }
            ("Deployment" | "DaemonSet" | "StatefulSet", 6) => {
                "op: replace\n  path: /spec/template/spec/containers/0/image\n  value: redis:7"
                    .to_owned()
            }
            ("Deployment" | "DaemonSet" | "StatefulSet", 7) => {
                "op: replace\n  path: /spec/replicas\n  value: 5".to_owned()
            }
            (_, 3) if self.random.once_in(3) => format!(
                "op: replace\n  path: /metadata/name\n  value: {}",
                self.random.name()
            ),
            (_, 4) => format!("op: add\n  path: /extra\n  value: {value}"),
            _ => format!(
                "op: replace\n  path: /metadata/labels\n  value: {{x: {}}}",
                self.random.word()
            ),
        }
    }

    /// Returns a strategic merge patch.
    pub fn merge(&mut self, (kind, name): Id) -> String {
        let mut head = format!(
            "apiVersion: {}\nkind: {kind}\nmetadata:\n  name: {name}\n",
            api_version(kind)
        );
        if let Some(namespace) = self.spaces.get(&(kind, name)) {
            writeln!(head, "  namespace: {namespace}").unwrap();
        }
        let (value, string) = (self.random.scalar(), self.random.string());
        match self.random.below(12) {
            0 => {
                self.ids.retain(|id| *id != (kind, name));
                return format!("{head}$patch: delete\n");
            }
            1 => {
                return format!("{head}  annotations:\n    added: {value}\n")
                    .replace("[]", "x")
                    .replace("{}", "x");
            }
            2 => return format!("{head}  labels:\n    app: {string}\n    team: null\n"),
            3 => return head + &self.metadata(),
            4..=6 => {
                let metadata = self.metadata();
                let body = self.body(kind, name);
                return format!("{head}{metadata}{}", self.damaged(&body));
            }
            7 => {
                return format!(
                    "{head}  {}: null\n",
                    self.random.pick(&["labels", "annotations"])
                );
            }
            _ => {}
        }
        let choice = self.random.below(4);
        head + &match (kind, choice) {
            ("Deployment" | "DaemonSet" | "StatefulSet", 0) => format!(
                "spec:\n  template:\n    spec:\n      containers:\n      - name: new\n        image: nginx\n        \
                 args: [{}]\n",
                self.random.word()
            ),
            ("Deployment" | "DaemonSet" | "StatefulSet", 1) => {
                "spec:\n  template:\n    spec:\n      containers:\n      - name: side\n        $patch: delete\n".into()
            }
            ("Deployment" | "DaemonSet" | "StatefulSet", 2) => format!(
                "spec:\n  replicas: null\n  template:\n    spec:\n      containers:\n      - name: main\n        \
                 env:\n        - name: A\n          value: {string}\n        - name: C\n          value: {string}\n"
            ),
            ("Deployment" | "DaemonSet" | "StatefulSet", _) => {
                "spec:\n  template:\n    spec:\n      containers:\n      - $patch: replace\n      - name: only\n        \
                 image: redis\n".into()
            }
            ("Service", _) => format!(
                "spec:\n  ports:\n  - port: {}\n    name: {string}\n{}",
                80 + choice,
                self.random.pick(&["", "    protocol: TCP\n"])
            ),
            ("ConfigMap", 0) => format!("data:\n  $patch: replace\n  only: {string}\n"),
            ("ConfigMap", _) => format!("data:\n  image: null\n  more: {string}\n"),
            ("Widget" | "Gizmo", 0) => format!("spec:\n  $patch: replace\n  e: {value}\n"),
            ("Widget" | "Gizmo", _) => format!(
                "spec:\n  a: {value}\n  list: [{}]\n  deep: {{c: {{x: {}}}}}\n  things:\n  - name: one\n    $patch: delete\n",
                self.random.word(),
                if value.is_empty() { "null" } else { value },
            ),
            _ => format!("  labels:\n    patched: {string}\n"),
        }
    }

    /// Returns a body some of whose scalars are null or other ones.
    fn damaged(&mut self, body: &str) -> String {
        let mut text = String::new();
        for line in body.lines() {
            let end = line
                .find(": ")
                .filter(|_| !line.contains(['&', '*', '|', '>', '{']));
            match end {
                Some(end) if self.random.once_in(8) => {
                    let value = self.random.pick(&["null", "~", "", "5", "other", "true"]);
                    writeln!(text, "{}: {value}", &line[..end]).unwrap();
                }
                _ => writeln!(text, "{line}").unwrap(),
            }
        }
        text
    }
}
