//! Generated overlays, built here and by the real kustomize 5.8.1 in kubectl: equal bytes, or both refuse.
//!
//! A seed makes every overlay. `TOWPATH_PEER_SEED` and `TOWPATH_PEER_OVERLAYS` ask for others and for
//! more; `TOWPATH_PEER_KEEP` names a folder that keeps what differs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use kustomize::{FolderFiles, Options, Order};

use crate::world::kubectl::kubectl;

/// Overlays of the ordinary run.
const N_OVERLAYS: u64 = 60;
/// The seed of the ordinary run.
const SEED: u64 = 20_261_124;
/// How many peers run at a time.
const N_THREADS: u64 = 2;

const KINDS: [&str; 11] = [
    "Deployment",
    "Service",
    "ConfigMap",
    "Secret",
    "CronJob",
    "Ingress",
    "Role",
    "RoleBinding",
    "HorizontalPodAutoscaler",
    "Widget",
    "ServiceAccount",
];
const NAMES: [&str; 10] = [
    "app", "web", "db", "api-1", "\"yes\"", "\"012\"", "\"1e3\"", "'on'", "\"0777\"", "x.y",
];
/// Texts as YAML writes them: all are strings.
const STRINGS: [&str; 58] = [
    "plain",
    "\"yes\"",
    "'on'",
    "\"Off\"",
    "\"y\"",
    "\"N\"",
    "\"0777\"",
    "\"0o17\"",
    "\"0b11\"",
    "\"1e3\"",
    "\"1E-3\"",
    "\"012\"",
    "\"09\"",
    "\"~\"",
    "\"null\"",
    "\"Null\"",
    "\"\"",
    "''",
    "é",
    "\"日本語\"",
    "\"\\U0001F600 face\"",
    "\" lead\"",
    "\"trail \"",
    "\"a: b\"",
    "\"a #b\"",
    "\"#b\"",
    "\"a:\"",
    "\":a\"",
    "\"true\"",
    "\"1.5\"",
    "\"0x1f\"",
    "\"1_000\"",
    "\".inf\"",
    "\".nan\"",
    "\"-\"",
    "\"- a\"",
    "\"[x\"",
    "\"{x}\"",
    "\"*a\"",
    "\"&a\"",
    "\"!a\"",
    "\"%a\"",
    "\"@a\"",
    "\"`a\"",
    "\"multi\\nline\\n\"",
    "\"no end\\nline\"",
    "\"two ends\\n\\n\"",
    "\"  indented\\nline\"",
    "\"tab\\there\"",
    "\"2020-01-01\"",
    "\"12:30:45\"",
    "\"=\"",
    "\"<<\"",
    "'it''s'",
    "\"a \\\"q\\\" \\\\ b\"",
    "\"\\n\"",
    "\"line \\nblank behind\"",
    "\"a long line of many words that goes on and on, past eighty columns and past a hundred, until it has to be folded: see\"",
];
/// Scalars that are no strings, or look so.
const OTHERS: [&str; 20] = [
    "yes",
    "on",
    "off",
    "n",
    "0777",
    "1e3",
    "012",
    "~",
    "null",
    "true",
    "1.5",
    "0x1f",
    "1_000",
    "-7",
    "1.0",
    "2020-01-01",
    "1234567890123456789",
    "{}",
    "[]",
    "1e100",
];
const IMAGES: [&str; 6] = [
    "nginx",
    "nginx:1.25",
    "ghcr.io/acme/app:1.0",
    "localhost:5000/a/b:v1@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3",
    "redis@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3",
    "busybox:latest",
];

/// A xorshift generator.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from((self.next() >> 33) % end as u64).unwrap()
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    fn string(&mut self) -> &'static str {
        self.pick(&STRINGS)
    }

    fn scalar(&mut self) -> &'static str {
        if self.once_in(3) {
            self.pick(&OTHERS)
        } else {
            self.string()
        }
    }
}

type Id = (&'static str, &'static str);

/// An overlay while it is made.
struct Overlay {
    random: Random,
    files: BTreeMap<String, String>,
    ids: Vec<Id>,
    /// Names of generators, by whether they make Secrets.
    generated: Vec<(bool, String)>,
}

impl Overlay {
    /// Returns the files and the folder to build.
    fn make(seed: u64) -> (BTreeMap<String, String>, String) {
        let mut overlay = Self {
            random: Random::new(seed),
            files: BTreeMap::new(),
            ids: Vec::new(),
            generated: Vec::new(),
        };
        let n_layers = 1 + overlay.random.below(4);
        for layer in 0..n_layers {
            overlay.layer(layer);
        }
        (overlay.files, format!("l{}", n_layers - 1))
    }

    fn layer(&mut self, layer: usize) {
        let folder = format!("l{layer}");
        let mut text = String::new();
        if self.random.once_in(3) {
            text += "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
        }
        text += "resources:\n";
        if layer > 0 {
            writeln!(text, "- ../l{}", layer - 1).unwrap();
        }
        let n_files = if layer == 0 {
            1 + self.random.below(2)
        } else {
            self.random.below(2)
        };
        for file in 0..n_files {
            let objects = self.objects();
            self.files.insert(format!("{folder}/r{file}.yaml"), objects);
            writeln!(text, "- r{file}.yaml").unwrap();
        }
        if self.random.once_in(4) {
            let component = format!("c{layer}");
            let mut inner =
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n".to_owned();
            inner += &self.fields(&component, 6);
            if inner.lines().count() == 2 {
                inner += "namePrefix: c-\n";
            }
            self.files
                .insert(format!("{component}/kustomization.yaml"), inner);
            writeln!(text, "components:\n- ../{component}").unwrap();
        }
        text += &self.fields(&folder, 4);
        if self.random.once_in(4) {
            text += [
                "sortOptions:\n  order: fifo\n",
                "sortOptions: {order: legacy}\n",
            ][self.random.below(2)];
        }
        if self.random.once_in(6) {
            text += "buildMetadata: [originAnnotations]\n";
        }
        self.files
            .insert(format!("{folder}/kustomization.yaml"), text);
    }

    fn objects(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.random.below(5) {
            let id = (self.random.pick(&KINDS), self.random.pick(&NAMES));
            if self.ids.contains(&id) && !self.random.once_in(60) {
                continue;
            }
            self.ids.push(id);
            text += "---\n";
            self.object(id, &mut text);
        }
        if text.is_empty() {
            let id = ("ServiceAccount", "extra");
            self.ids.push(id);
            self.object(id, &mut text);
        }
        text
    }

    fn object(&mut self, (kind, name): Id, text: &mut String) {
        let api_version = match kind {
            "Deployment" => "apps/v1",
            "CronJob" => "batch/v1",
            "Ingress" => "networking.k8s.io/v1",
            "Role" | "RoleBinding" => "rbac.authorization.k8s.io/v1",
            "HorizontalPodAutoscaler" => "autoscaling/v2",
            "Widget" => "example.org/v1",
            _ => "v1",
        };
        write!(
            text,
            "apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: {name}\n"
        )
        .unwrap();
        for field in ["labels", "annotations"] {
            if self.random.once_in(3) {
                writeln!(text, "  {field}:").unwrap();
                for key in ["app", "b.example/c", "\"on\""] {
                    if key == "app" || self.random.once_in(2) {
                        writeln!(text, "    {key}: {}", self.random.string()).unwrap();
                    }
                }
            }
        }
        *text += &self.body(kind, name);
    }

    fn body(&mut self, kind: &str, name: &str) -> String {
        let other = self.random.pick(&NAMES);
        let (a, b) = (self.random.scalar(), self.random.scalar());
        match kind {
            "Deployment" => {
                let pod = self.pod("      ");
                format!(
                    "spec:\n  replicas: {}\n  selector:\n    matchLabels:\n      app: {name}\n  \
                     template:\n    metadata:\n      labels:\n        app: {name}\n    spec:\n{pod}",
                    1 + self.random.below(3)
                )
            }
            "CronJob" => {
                let pod = self.pod("          ");
                format!(
                    "spec:\n  schedule: \"*/5 * * * *\"\n  jobTemplate:\n    spec:\n      template:\n        \
                     spec:\n{pod}"
                )
            }
            "Service" => format!(
                "spec:\n  selector:\n    app: {other}\n  ports:\n  - port: 80\n    name: {}\n    \
                 targetPort: 8080\n",
                self.random.string()
            ),
            "ConfigMap" => {
                let mut text = "data:\n".to_owned();
                for key in ["k", "file.txt", "\"1\"", "image"] {
                    writeln!(text, "  {key}: {}", self.random.string()).unwrap();
                }
                text + "  block: |\n    first\n      second\n\n    third # no comment\n"
            }
            "Secret" => format!(
                "type: Opaque\nstringData:\n  a: {}\ndata:\n  p: cGFzcw==\n",
                self.random.string()
            ),
            "Ingress" => format!(
                "spec:\n  rules:\n  - host: a.example\n    http:\n      paths:\n      - path: /\n        \
                 pathType: Prefix\n        backend:\n          service:\n            name: {other}\n            \
                 port:\n              number: 80\n  tls:\n  - secretName: {other}\n"
            ),
            "Role" => format!(
                "rules:\n- apiGroups: [\"\"]\n  resources: [configmaps]\n  resourceNames: [{other}]\n  \
                 verbs: [get, '*']\n"
            ),
            "RoleBinding" => format!(
                "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: Role\n  name: {other}\nsubjects:\n\
                 - kind: ServiceAccount\n  name: {}\n  namespace: default\n",
                self.random.pick(&NAMES)
            ),
            "HorizontalPodAutoscaler" => format!(
                "spec:\n  scaleTargetRef:\n    apiVersion: apps/v1\n    kind: Deployment\n    name: {other}\n  \
                 minReplicas: 1\n  maxReplicas: 3\n"
            ),
            "Widget" => format!(
                "spec:\n  a: {a}\n  b: {b}\n  list: [{}, {}]\n  deep: {{c: {{d: {}}}, \"yes\": 1}}\n  \
                 folded: >-\n    some text\n    goes on\n\n    here\n",
                self.random.string(),
                self.random.string(),
                self.random.string(),
            ),
            _ => String::new(),
        }
    }

    fn pod(&mut self, indent: &str) -> String {
        let mut text = String::new();
        let mut lines = vec!["containers:".to_owned()];
        for name in ["main", "side"].iter().take(1 + self.random.below(2)) {
            lines.push(format!("- name: {name}"));
            lines.push(format!("  image: {}", self.random.pick(&IMAGES)));
            lines.push(format!("  args: [{}, \"--x\"]", self.random.string()));
            if self.random.once_in(2) {
                lines.push("  env:".to_owned());
                lines.push("  - name: A".to_owned());
                lines.push(format!("    value: {}", self.random.string()));
                lines.push("  - name: B".to_owned());
                lines.push("    valueFrom:".to_owned());
                lines.push("      configMapKeyRef:".to_owned());
                lines.push("        key: k".to_owned());
                lines.push(format!("        name: {}", self.reference()));
            }
            if self.random.once_in(3) {
                lines.push("  ports:".to_owned());
                lines.push("  - containerPort: 8080".to_owned());
            }
        }
        if self.random.once_in(3) {
            lines.push(format!("serviceAccountName: {}", self.random.pick(&NAMES)));
        }
        if self.random.once_in(2) {
            lines.push("volumes:".to_owned());
            lines.push("- name: v".to_owned());
            lines.push(format!("  configMap: {{name: {}}}", self.reference()));
            lines.push("- name: s".to_owned());
            lines.push(format!("  secret: {{secretName: {}}}", self.reference()));
        }
        for line in lines {
            writeln!(text, "{indent}{line}").unwrap();
        }
        text
    }

    fn reference(&mut self) -> String {
        if self.random.once_in(2) {
            format!("gen{}", self.random.below(3))
        } else {
            self.random.pick(&NAMES).to_owned()
        }
    }

    /// Returns the fields that a kustomization and a component share, each once in `n` times.
    fn fields(&mut self, folder: &str, n: usize) -> String {
        let mut text = String::new();
        if self.random.once_in(n) {
            writeln!(
                text,
                "namespace: {}",
                self.random.pick(&["ns", "\"yes\"", "prod-1"])
            )
            .unwrap();
        }
        if self.random.once_in(n) {
            writeln!(
                text,
                "namePrefix: {}",
                self.random.pick(&["p-", "x1-", "dev-"])
            )
            .unwrap();
        }
        if self.random.once_in(n) {
            writeln!(
                text,
                "nameSuffix: {}",
                self.random.pick(&["-s", "\"-2\"", "-é"])
            )
            .unwrap();
        }
        self.labels(&mut text, n);
        if self.random.once_in(n) {
            writeln!(text, "commonAnnotations:\n  note: {}", self.random.string()).unwrap();
            if self.random.once_in(40) {
                writeln!(text, "  \"true\": {}", self.random.string()).unwrap();
            }
        }
        self.images(&mut text, n);
        self.patches(&mut text, n);
        self.generators(folder, &mut text, n);
        self.replacements(&mut text, n);
        text
    }

    fn labels(&mut self, text: &mut String, n: usize) {
        if self.random.once_in(n) {
            writeln!(text, "commonLabels:\n  team: {}", self.random.string()).unwrap();
        }
        if self.random.once_in(n) {
            *text += "labels:\n";
            for _ in 0..1 + self.random.below(2) {
                // The real one lets places share a label that it made: each form has its own keys.
                let (value, form) = (self.random.string(), self.random.below(4));
                let (key, fields) = [
                    ("app", "  includeSelectors: true\n"),
                    ("tier", ""),
                    ("x.org/y", "  includeTemplates: true\n"),
                    (
                        "tag",
                        "  fields:\n  - path: spec/tags\n    kind: Widget\n    create: true\n",
                    ),
                ][form];
                write!(text, "- pairs:\n    {key}: {value}\n{fields}").unwrap();
            }
        }
    }

    fn images(&mut self, text: &mut String, n: usize) {
        if self.random.once_in(n) {
            let name =
                self.random
                    .pick(&["nginx", "ghcr.io/acme/app", "redis", "localhost:5000/a/b"]);
            writeln!(text, "images:\n- name: {name}").unwrap();
            let change = self.random.pick(&[
                "newTag: v2",
                "newTag: \"1.10\"",
                "newName: other.io/x",
                "newName: other.io/x\n  newTag: \"012\"",
                "digest: sha256:aaa0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3",
                "tagSuffix: -dev",
            ]);
            writeln!(text, "  {change}").unwrap();
        }
        let deployed = self
            .ids
            .iter()
            .find(|(kind, _)| *kind == "Deployment")
            .copied();
        if let Some((_, name)) = deployed
            && self.random.once_in(n)
        {
            writeln!(
                text,
                "replicas:\n- name: {name}\n  count: {}",
                self.random.below(9)
            )
            .unwrap();
        }
    }

    fn patches(&mut self, text: &mut String, n: usize) {
        if !self.random.once_in(n - 2) || self.ids.is_empty() {
            return;
        }
        *text += "patches:\n";
        for _ in 0..1 + self.random.below(2) {
            if self.ids.is_empty() {
                *text += "- patch: '[]'\n  target: {kind: None}\n";
                return;
            }
            let (kind, name) = self.ids[self.random.below(self.ids.len())];
            let value = self.random.scalar();
            let string = self.random.string();
            let operations = match (kind, self.random.below(3)) {
                ("Widget", 0) => format!("- op: replace\n  path: /spec/a\n  value: {value}\n"),
                ("Widget", _) => {
                    format!("- op: add\n  path: /spec/list/-\n  value: {value}\n- op: remove\n  path: /spec/b\n")
                }
                ("Deployment", 0) => {
                    format!("- op: add\n  path: /spec/template/spec/containers/0/args/1\n  value: {string}\n")
                }
                ("ConfigMap", _) => format!("- op: copy\n  from: /data/k\n  path: /data/z\n- {{op: test, path: /data/file.txt, value: {string}}}\n")
                    .lines().take(3).map(|line| format!("{line}\n")).collect(),
                _ => format!("- op: add\n  path: /metadata/labels\n  value: {{\"a/b\": {string}}}\n"),
            };
            let is_json = self.random.once_in(2);
            let patch = if is_json {
                operations
            } else {
                self.merge((kind, name))
            };
            *text += "- patch: |-\n";
            for line in patch.lines() {
                writeln!(text, "    {line}").unwrap();
            }
            if is_json || self.random.once_in(3) {
                writeln!(text, "  target:\n    kind: {kind}").unwrap();
                if kind == "ConfigMap" || self.random.once_in(2) {
                    writeln!(text, "    name: {name}").unwrap();
                }
                if self.random.once_in(8) {
                    *text += "    labelSelector: app\n";
                }
            }
        }
    }

    /// Returns a strategic merge patch.
    fn merge(&mut self, (kind, name): Id) -> String {
        let mut text = String::new();
        let mut bare = String::new();
        self.object((kind, name), &mut bare);
        for line in bare.lines().take(4) {
            writeln!(text, "{line}").unwrap();
        }
        let (value, string) = (self.random.scalar(), self.random.string());
        let choice = self.random.below(6);
        if choice == 5 {
            self.ids.retain(|id| *id != (kind, name));
            return format!("{text}$patch: delete\n");
        }
        if choice == 4 {
            return format!("{text}  annotations:\n    added: {string}\n");
        }
        text += &match (kind, choice) {
            ("Deployment", 0) => format!(
                "spec:\n  template:\n    spec:\n      containers:\n      - name: new\n        image: nginx\n        \
                 args: [{string}]\n"
            ),
            ("Deployment", 1) => {
                "spec:\n  template:\n    spec:\n      containers:\n      - name: side\n        $patch: delete\n".into()
            }
            ("Deployment", 2) => format!(
                "spec:\n  replicas: null\n  template:\n    spec:\n      containers:\n      - name: main\n        \
                 env:\n        - name: A\n          value: {string}\n        - name: C\n          value: {string}\n"
            ),
            ("Deployment", _) => {
                "spec:\n  template:\n    spec:\n      containers:\n      - $patch: replace\n      - name: only\n        \
                 image: redis\n".into()
            }
            ("Service", _) => format!("spec:\n  ports:\n  - port: {}\n    name: {string}\n", 80 + choice),
            ("ConfigMap", 0) => format!("data:\n  $patch: replace\n  only: {string}\n"),
            ("ConfigMap", _) => format!("data:\n  image: null\n  more: {string}\n"),
            ("Widget", 0) => format!("spec:\n  $patch: replace\n  e: {value}\n"),
            ("Widget", _) => format!("spec:\n  a: {value}\n  list: [{string}]\n  deep: {{c: {{x: {value}}}}}\n"),
            _ => format!("  labels:\n    patched: {string}\n"),
        };
        text
    }

    fn generators(&mut self, folder: &str, text: &mut String, n: usize) {
        for (field, is_secret) in [("configMapGenerator", false), ("secretGenerator", true)] {
            if !self.random.once_in(n) {
                continue;
            }
            let name = format!("gen{}", self.random.below(3));
            let key = (is_secret, name.clone());
            writeln!(text, "{field}:\n- name: {name}").unwrap();
            if self.generated.contains(&key) {
                let behavior = self
                    .random
                    .pick(&["merge", "replace", "merge", "replace", "merge"]);
                writeln!(text, "  behavior: {behavior}").unwrap();
            } else {
                self.generated.push(key);
            }
            if is_secret && self.random.once_in(3) {
                *text += "  type: example.org/t\n";
            }
            *text += "  literals:\n";
            for key in ["a", "b"] {
                let value = self.random.pick(&[
                    "yes", "0777", "", "a=b", "'quoted'", "x: y", " sp ", "é", "1e3", "null", "a#b",
                ]);
                writeln!(text, "  - \"{key}{}={value}\"", self.random.below(3)).unwrap();
            }
            if self.random.once_in(2) {
                let file = if is_secret { "s.txt" } else { "c.txt" };
                let content = self.random.pick(&[
                    "one\ntwo\n",
                    "no end",
                    "",
                    "tab\there\n",
                    " lead\nx\n",
                    "x \n",
                    "\n\n",
                    "a: 1\n",
                    "é\n",
                    "\u{feff}bom\n",
                    "crlf\r\nx\r\n",
                ]);
                self.files
                    .insert(format!("{folder}/{file}"), content.to_owned());
                let source = self.random.pick(&["", "renamed="]);
                writeln!(text, "  files:\n  - {source}{file}").unwrap();
            }
            if self.random.once_in(4) {
                let env = format!("E1=x\n# note\nE2= y z\nE3={}\n", self.random.below(100));
                let file = if is_secret { "s.env" } else { "c.env" };
                self.files.insert(format!("{folder}/{file}"), env);
                writeln!(text, "  envs: [{file}]").unwrap();
            }
            if self.random.once_in(3) {
                let (label, is_off) = (self.random.string(), self.random.once_in(2));
                writeln!(
                    text,
                    "  options:\n    disableNameSuffixHash: {is_off}\n    labels: {{o: {label}}}"
                )
                .unwrap();
                if self.random.once_in(3) {
                    *text += "    immutable: true\n";
                }
            }
        }
        if self.random.once_in(n * 2) {
            let value = self.random.string();
            writeln!(text, "generatorOptions:\n  annotations: {{g: {value}}}").unwrap();
        }
    }

    fn replacements(&mut self, text: &mut String, n: usize) {
        if !self.random.once_in(n) || self.ids.is_empty() {
            return;
        }
        let (kind, name) = self.ids[self.random.below(self.ids.len())];
        let (target, _) = self.ids[self.random.below(self.ids.len())];
        // A copied text that reads as a number may keep another type (compatibility.md).
        if name.contains(['"', '\'']) {
            return;
        }
        writeln!(
            text,
            "replacements:\n- source:\n    kind: {kind}\n    name: {name}"
        )
        .unwrap();
        match kind {
            "ConfigMap" if self.random.once_in(2) => *text += "    fieldPath: data.[file.txt]\n",
            "Widget" if self.random.once_in(2) => *text += "    fieldPath: spec.list.0\n",
            _ => {}
        }
        writeln!(
            text,
            "  targets:\n  - select:\n      kind: {target}\n    fieldPaths:"
        )
        .unwrap();
        let (path, options) = match target {
            "Widget" => [
                ("spec.list.0", ""),
                ("metadata.annotations.made", "create: true"),
                ("spec.list.0", "delimiter: l\n      index: 1"),
            ][self.random.below(3)],
            "Deployment" => [
                (
                    "spec.template.spec.containers.[name=main].image",
                    "delimiter: ':'\n      index: 1",
                ),
                ("spec.template.spec.containers.*.args.0", ""),
                ("spec.template.metadata.labels.copied", "create: true"),
            ][self.random.below(3)],
            _ => ("metadata.annotations.replaced", "create: true"),
        };
        writeln!(text, "    - {path}").unwrap();
        if !options.is_empty() {
            writeln!(text, "    options:\n      {options}").unwrap();
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("it is a number"))
}

/// Returns what differs between the peer and this engine, and whether both built the overlay.
fn check(kubectl: &Path, seed: u64) -> Result<bool, String> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (files, top) = Overlay::make(seed);
    for (path, text) in &files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let theirs = Command::new(kubectl)
        .arg("kustomize")
        .arg(folder.path().join(&top))
        .stdin(Stdio::null())
        .output()
        .expect("kubectl starts");
    let tree = FolderFiles::new(folder.path()).unwrap();
    let options = Options {
        order: Order::Legacy,
        ..Options::default()
    };
    let ours = kustomize::build(&tree, &top, &options);
    let ours = ours.map(|objects| kustomize::render(&objects));
    let problem = match (theirs.status.success(), ours) {
        (true, Ok(ours)) if ours.as_bytes() == theirs.stdout.as_slice() => return Ok(true),
        (true, Ok(ours)) => {
            let theirs = String::from_utf8_lossy(&theirs.stdout).into_owned();
            let mut lines = theirs.lines().zip(ours.lines()).enumerate();
            let first = lines.find(|(_, (theirs, ours))| theirs != ours);
            let (at, (wanted, got)) = first.unwrap_or((0, ("(one is longer)", "")));
            format!("line {}: peer {wanted:?}, here {got:?}", at + 1)
        }
        (false, Err(_)) => return Ok(false),
        (true, Err(error)) => format!("only refused here: {error}"),
        (false, Ok(_)) => {
            let text = String::from_utf8_lossy(&theirs.stderr).into_owned();
            format!("only refused by the peer: {text}")
        }
    };
    if let Some(kept) = std::env::var_os("TOWPATH_PEER_KEEP") {
        let kept = PathBuf::from(kept).join(seed.to_string());
        for (path, text) in &files {
            let path = kept.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }
    Err(format!("seed {seed}, folder {top}: {problem}"))
}

#[test]
fn generated_overlays_build_as_the_real_kustomize_builds_them() {
    let kubectl = kubectl();
    let (seed, n_overlays) = (
        number("TOWPATH_PEER_SEED", SEED),
        number("TOWPATH_PEER_OVERLAYS", N_OVERLAYS),
    );
    let (next, n_built) = (AtomicU64::new(0), AtomicU64::new(0));
    let run = || {
        let mut wrong = Vec::new();
        loop {
            let at = next.fetch_add(1, Relaxed);
            if at >= n_overlays {
                return wrong;
            }
            match check(&kubectl, seed.wrapping_add(at)) {
                Ok(is_built) => {
                    n_built.fetch_add(u64::from(is_built), Relaxed);
                }
                Err(problem) => wrong.push(problem),
            }
        }
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..N_THREADS).map(|_| scope.spawn(run)).collect();
        let found = threads.into_iter().map(|thread| thread.join().unwrap());
        found.flatten().collect()
    });
    let n_built = n_built.into_inner();
    println!(
        "seed {seed}: {n_overlays} overlays, {n_built} built alike, {} refused by both, {} differ",
        n_overlays - n_built - wrong.len() as u64,
        wrong.len()
    );
    assert!(
        wrong.is_empty(),
        "seed {seed}: {} of {n_overlays} differ:\n  {}",
        wrong.len(),
        wrong.join("\n  ")
    );
    assert!(
        n_built * 2 > n_overlays,
        "only {n_built} of {n_overlays} were built"
    );
}
