//! Generated configurations, schemas, and builtin plugins given as objects.

use std::fmt::Write as _;

use super::overlay::{Overlay, indented};

const CONFIGURATIONS: [&str; 6] = [
    "namePrefix:\n- path: spec/a\n  kind: Widget\n- path: metadata/name\n",
    "nameReference:\n- kind: ConfigMap\n  version: v1\n  fieldSpecs:\n  - path: spec/a\n    kind: Widget\n  \
     - path: spec/list\n    kind: Widget\n",
    "commonLabels:\n- path: spec/deep\n  create: true\n  kind: Widget\n",
    "images:\n- path: spec/a\n  kind: Widget\n",
    "varReference:\n- path: spec\n  kind: Widget\n- path: data\n  kind: ConfigMap\n",
    "namespace:\n- path: spec/ns\n  kind: Widget\n  create: true\ncommonAnnotations:\n- path: spec/notes\n  kind: Widget\n  create: true\n",
];

const CRD: &str = r##"{"org.example.v1.Widget": {"Schema": {"properties": {
  "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
  "spec": {"$ref": "org.example.v1.WidgetSpec"}}}},
"org.example.v1.WidgetSpec": {"Schema": {"properties": {
  "ref": {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "ConfigMap"},
  "base": {"x-kubernetes-label-selector": ""}}}}}
"##;

const SCHEMA: &str = r##"{"definitions": {"org.example.v1.Widget": {
  "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"},
    "spec": {"properties": {"things": {"type": "array", "items": {"type": "object"},
      "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge"}}}},
  "x-kubernetes-group-version-kind": [{"group": "example.org", "version": "v1", "kind": "Widget"}]}}}
"##;

impl Overlay {
    /// Returns fields that change what other fields mean.
    pub fn configurations(&mut self, folder: &str, n: usize) -> String {
        let mut text = String::new();
        if self.random.once_in(n) {
            let configuration = self.random.pick(&CONFIGURATIONS);
            self.files
                .insert(format!("{folder}/config.yaml"), configuration.to_owned());
            text += "configurations: [config.yaml]\n";
        }
        if self.random.once_in(n) {
            self.files
                .insert(format!("{folder}/crd.json"), CRD.to_owned());
            text += "crds: [crd.json]\n";
        }
        if self.random.once_in(n) {
            if self.random.once_in(2) {
                text += "openapi: {version: v1.21.2}\n";
            } else {
                self.files
                    .insert(format!("{folder}/schema.json"), SCHEMA.to_owned());
                text += "openapi: {path: schema.json}\n";
            }
        }
        text
    }

    /// Returns plugins that are configured as objects.
    pub fn plugins(&mut self, folder: &str, n: usize) -> String {
        let mut text = String::new();
        if self.random.once_in(n) {
            text += "transformers:\n";
            for at in 0..1 + self.random.below(2) {
                let plugin = self.transformer(at);
                text += &self.plugin(folder, &format!("t{at}"), &plugin);
            }
        }
        if self.random.once_in(n * 2) {
            let kind = self.random.pick(&["ConfigMapGenerator", "SecretGenerator"]);
            let plugin = format!(
                "apiVersion: builtin\nkind: {kind}\nmetadata:\n  name: {}\nname: {}\nliterals:\n- x={}\n",
                self.random.pick(&["one", "two"]),
                self.random.pick(&["made", "gen1"]),
                self.random.below(3),
            );
            text += "generators:\n";
            text += &self.plugin(folder, "g", &plugin);
        }
        if self.random.once_in(n * 6) {
            text += "validators:\n- |-\n  apiVersion: builtin\n  kind: LabelTransformer\n  metadata: {name: v}\n  \
                     labels: {validated-by: me}\n  fieldSpecs: [{path: metadata/labels, create: true}]\n";
        }
        text
    }

    fn plugin(&mut self, folder: &str, name: &str, plugin: &str) -> String {
        if self.random.once_in(3) {
            let file = format!("{name}.yaml");
            self.files
                .insert(format!("{folder}/{file}"), plugin.to_owned());
            format!("- {file}\n")
        } else {
            format!("- |-\n{}", indented(plugin, "  "))
        }
    }

    fn transformer(&mut self, at: usize) -> String {
        let word = self.quoted();
        let (kind, body) = match self.random.below(10) {
            0 => ("AnnotationsTransformer", format!("annotations: {{made: {word}}}\nfieldSpecs:\n- path: metadata/annotations\n  create: true\n")),
            1 => ("LabelTransformer", format!("labels: {{made: {word}}}\nfieldSpecs:\n- path: metadata/labels\n  create: true\n- path: spec/template/metadata/labels\n  create: true\n  kind: Deployment\n")),
            2 => ("PrefixTransformer", "prefix: t-\nfieldSpecs:\n- path: metadata/name\n".to_owned()),
            3 => ("SuffixTransformer", "suffix: \"1\"\nfieldSpecs:\n- path: metadata/name\n".to_owned()),
            4 => ("ImageTagTransformer", "imageTag:\n  name: nginx\n  newTag: \"9\"\nfieldSpecs:\n- path: spec/template/spec/containers[]/image\n".to_owned()),
            5 => {
                let options = self.random.pick(&["", "unsetOnly: true\n", "setRoleBindingSubjects: allServiceAccounts\n", "setRoleBindingSubjects: none\n"]);
                let mut text = format!("{options}fieldSpecs:\n- path: metadata/name\n  kind: Namespace\n  create: true\n");
                text += self.random.pick(&["", "- path: spec/ns\n  kind: Widget\n  create: true\n"]);
                ("NamespaceTransformer", text)
            }
            6 => ("PatchTransformer", format!("patch: '[{{\"op\": \"add\", \"path\": \"/made\", \"value\": {}}}]'\ntarget: {{kind: Widget}}\n", self.random.below(5))),
            7 => ("ReplicaCountTransformer", "replica: {name: web, count: 4}\nfieldSpecs:\n- path: spec/replicas\n  create: true\n  kind: Deployment\n".to_owned()),
            8 => ("ValueAddTransformer", format!("value: {word}\ntargets:\n- selector: {{kind: Widget}}\n  fieldPath: spec/added\n")),
            _ => ("ReplacementTransformer", format!("replacements:\n- sourceValue: {word}\n  targets:\n  - select: {{kind: Widget}}\n    fieldPaths: [spec.made]\n    options: {{create: true}}\n")),
        };
        let namespace = match kind {
            "NamespaceTransformer" => format!("\n  namespace: {}", self.random.namespace()),
            _ => String::new(),
        };
        let mut text = String::new();
        write!(
            text,
            "apiVersion: builtin\nkind: {kind}\nmetadata:\n  name: t{at}{namespace}\n{body}"
        )
        .unwrap();
        text
    }
}
