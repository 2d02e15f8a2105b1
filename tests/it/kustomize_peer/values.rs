//! Generated replacements and vars: values of one object in others.

use std::fmt::Write as _;

use super::overlay::{Overlay, indented};

impl Overlay {
    /// Returns the field `replacements`.
    pub fn replacements(&mut self, folder: &str, n: usize) -> String {
        if !self.random.once_in(n) {
            return String::new();
        }
        let Some(entry) = self.replacement() else {
            return String::new();
        };
        if self.random.once_in(4) {
            self.files
                .insert(format!("{folder}/replacement.yaml"), entry);
            return "replacements:\n- path: replacement.yaml\n".to_owned();
        }
        format!("replacements:\n- {}", indented(&entry, "  ").trim_start())
    }

    fn replacement(&mut self) -> Option<String> {
        let mut text = String::new();
        if self.random.once_in(6) {
            writeln!(text, "sourceValue: {}", self.quoted()).unwrap();
        } else {
            let (kind, name) = self.known()?;
            writeln!(text, "source:\n  kind: {kind}\n  name: {name}").unwrap();
            let path = match kind {
                "ConfigMap" => self
                    .random
                    .pick(&["data.[file.txt]", "data.k", r"data.file\.txt"]),
                "Widget" => self.random.pick(&[
                    "spec.list.0",
                    "spec.a",
                    "spec.deep",
                    "spec.things.[name=one].value",
                    "spec.list.-",
                ]),
                "Deployment" => self.random.pick(&[
                    "spec.template.spec.containers.0.image",
                    "spec.replicas",
                    "spec.template.spec.containers.[name=main].image",
                ]),
                _ => "metadata.name",
            };
            if !self.random.once_in(3) {
                writeln!(text, "  fieldPath: {path}").unwrap();
            }
            if self.random.once_in(12) {
                text += self.random.pick(&[
                    "  options: {delimiter: \":\", index: 0}\n",
                    "  options: {delimiter: \"-\"}\n",
                    "  options: {delimiter: e, index: 1}\n",
                ]);
            }
        }
        let is_name = !text.contains("sourceValue") && !text.contains("fieldPath");
        text += "targets:\n";
        for _ in 0..1 + self.random.below(2) {
            text += &self.replaced(is_name)?;
        }
        Some(text)
    }

    /// Returns one target of a replacement.
    fn replaced(&mut self, is_name: bool) -> Option<String> {
        let (kind, name) = self.known()?;
        let mut text = format!("- select:\n    kind: {kind}\n");
        match self.random.below(6) {
            0 | 1 => writeln!(text, "    name: {name}").unwrap(),
            2 => text += "    name: \".*\"\n",
            _ => {}
        }
        if self.random.once_in(10) {
            text += self.random.pick(&[
                "    labelSelector: app\n",
                "  reject:\n  - name: web\n",
                "  reject:\n  - kind: Nothing\n  - annotationSelector: note\n",
                "    version: v1\n",
            ]);
        }
        let (path, options) = match kind {
            "Widget" => self.random.pick(&[
                ("spec.list.0", ""),
                ("metadata.annotations.made", "create: true"),
                ("spec.list.0", "delimiter: l\n    index: 1"),
                ("spec.a", ""),
                ("spec.new.deep", "create: true"),
                ("spec.things.[name=two].value", ""),
                ("spec.things.[name=three].value", "create: true"),
                ("spec.things.*.value", ""),
                ("spec.list.2", "create: true"),
                ("spec.deep.c.d", ""),
                ("spec.list.[=nginx]", ""),
                ("spec.b.c", "create: true"),
            ]),
            "Deployment" | "DaemonSet" => self.random.pick(&[
                (
                    "spec.template.spec.containers.[name=main].image",
                    "delimiter: ':'\n    index: 1",
                ),
                ("spec.template.spec.containers.*.args.0", ""),
                ("spec.template.metadata.labels.copied", "create: true"),
                ("spec.replicas", ""),
                (
                    "spec.template.spec.containers.[name=main].env.[name=A].value",
                    "create: true",
                ),
                ("metadata.labels.app", "create: true"),
                ("spec.selector.matchLabels.app", ""),
            ]),
            "ConfigMap" => self.random.pick(&[
                ("data.k", ""),
                ("data.[config.json].a.b", "create: true"),
                ("data.[config.yaml].a.b", "create: true"),
                ("data.new", "create: true"),
                ("data.k", "delimiter: '-'\n    index: -1"),
                ("data.k.inner", "create: true"),
            ]),
            _ => self.random.pick(&[
                ("metadata.annotations.replaced", "create: true"),
                ("metadata.labels.replaced", "create: true"),
                ("metadata.name", ""),
                ("metadata.namespace", "create: true"),
                ("metadata.annotations.[a.b/c]", "create: true"),
            ]),
        };
        // A text of several lines inside of YAML is refused here.
        let path = match path {
            "data.[config.yaml].a.b" if !is_name => "data.k",
            path => path,
        };
        writeln!(text, "  fieldPaths:\n  - \"{}\"", path).unwrap();
        if !options.is_empty() {
            writeln!(text, "  options:\n    {options}").unwrap();
        }
        Some(text)
    }

    /// Returns the field `vars`; the strings use the names of the first two.
    pub fn vars(&mut self, n: usize) -> String {
        if !self.random.once_in(n) || self.n_vars > 1 {
            return String::new();
        }
        let Some((kind, name)) = self.known() else {
            return String::new();
        };
        let var = ["VAR", "OTHER"][self.n_vars];
        self.n_vars += 1;
        let api_version = super::objects::api_version(kind);
        let mut text = format!(
            "vars:\n- name: {var}\n  objref:\n    apiVersion: {api_version}\n    kind: {kind}\n    name: {name}\n"
        );
        let path = match kind {
            "Widget" => {
                self.random
                    .pick(&["spec.a", "spec.list[0]", "spec.things[1].value", "spec.b"])
            }
            "Deployment" => self.random.pick(&[
                "spec.replicas",
                "metadata.labels.app",
                "spec.template.spec.containers[0].image",
            ]),
            "ConfigMap" => self.random.pick(&["data.k", "data.image"]),
            _ => "metadata.name",
        };
        if !self.random.once_in(3) {
            writeln!(
                text,
                "  fieldref:\n    {}: {path}",
                self.random.pick(&["fieldPath", "fieldpath"])
            )
            .unwrap();
        }
        text
    }
}
