//! Generated fields of a kustomization that set one thing: names, labels, images, generators.

use std::fmt::Write as _;

use super::overlay::Overlay;

impl Overlay {
    /// Returns fields that hold a text, a map or a short list.
    pub fn simple_fields(&mut self, n: usize) -> String {
        let mut text = String::new();
        if self.random.once_in(n) {
            writeln!(text, "namespace: {}", self.random.namespace()).unwrap();
        }
        if self.random.once_in(n) {
            let prefix = self
                .random
                .pick(&["p-", "x1-", "dev-", "\"1\"", "\"0\"", "\"-\""]);
            writeln!(text, "namePrefix: {prefix}").unwrap();
        }
        if self.random.once_in(n) {
            let suffix = self
                .random
                .pick(&["-s", "\"-2\"", "-é", "\"1\"", "\": x\""]);
            writeln!(text, "nameSuffix: {suffix}").unwrap();
        }
        self.labels(&mut text, n);
        if self.random.once_in(n) {
            writeln!(text, "commonAnnotations:\n  note: {}", self.quoted()).unwrap();
            if self.random.once_in(20) {
                writeln!(text, "  \"true\": {}", self.quoted()).unwrap();
            }
        }
        self.images(&mut text, n);
        text
    }

    /// Returns a string that is one by the rules of YAML 1.1 too.
    pub fn quoted(&mut self) -> &'static str {
        match self.random.string() {
            "yes" | "on" | "8080" => "plain",
            other => other,
        }
    }

    fn labels(&mut self, text: &mut String, n: usize) {
        if self.random.once_in(n) {
            writeln!(text, "commonLabels:\n  team: {}", self.quoted()).unwrap();
            if self.random.once_in(3) {
                writeln!(text, "  app: {}", self.quoted()).unwrap();
            }
        }
        if !self.random.once_in(n) {
            return;
        }
        *text += "labels:\n";
        for _ in 0..1 + self.random.below(2) {
            let key = self
                .random
                .pick(&["app", "tier", "x.org/y", "tag", "\"on\""]);
            writeln!(text, "- pairs:\n    {key}: {}", self.quoted()).unwrap();
            if self.random.once_in(3) {
                *text += "  includeSelectors: true\n";
            }
            if self.random.once_in(3) {
                *text += "  includeTemplates: true\n";
            }
            if self.random.once_in(4) {
                *text += self.random.pick(&[
                    "  fields:\n  - path: spec/tags\n    kind: Widget\n    create: true\n",
                    "  fields:\n  - path: spec/template/metadata/labels\n    kind: Deployment\n    create: true\n",
                    "  fields:\n  - path: spec/deep/c\n    group: example.org\n",
                    "  fields:\n  - path: metadata/labels\n    kind: Widget\n    create: true\n",
                ]);
            }
        }
    }

    fn images(&mut self, text: &mut String, n: usize) {
        if self.random.once_in(n) {
            let field = self.random.pick(&["images", "images", "imageTags"]);
            writeln!(text, "{field}:").unwrap();
            for _ in 0..1 + self.random.below(2) {
                let name = self.random.pick(&[
                    "nginx",
                    "ghcr.io/acme/app",
                    "redis",
                    "localhost:5000/a/b",
                    "\"1.10\"",
                    "ngin.",
                    "\"nginx|redis\"",
                    "busybox",
                ]);
                let change = self.random.pick(&[
                    "newTag: v2",
                    "newTag: \"1.10\"",
                    "newName: other.io/x",
                    "newName: other.io/x\n  newTag: \"012\"",
                    "digest: sha256:aaa0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3",
                    "tagSuffix: -dev",
                    "newName: \"12\"",
                    "newTag: v3\n  digest: sha256:bbb0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3",
                ]);
                writeln!(text, "- name: {name}\n  {change}").unwrap();
            }
        }
        let deployed = self.ids.iter().find(|(kind, _)| {
            matches!(
                *kind,
                "Deployment" | "StatefulSet" | "ReplicationController"
            )
        });
        if let Some((_, name)) = deployed.copied()
            && self.random.once_in(n)
        {
            let count = self.random.below(9);
            writeln!(text, "replicas:\n- name: {name}\n  count: {count}").unwrap();
        }
    }

    /// Returns generators of ConfigMaps and Secrets.
    pub fn generators(&mut self, folder: &str, n: usize) -> String {
        let mut text = String::new();
        for (field, is_secret) in [("configMapGenerator", false), ("secretGenerator", true)] {
            if self.random.once_in(n) {
                writeln!(text, "{field}:").unwrap();
                text += &self.generator(folder, is_secret);
            }
        }
        if self.random.once_in(n * 2) {
            text += "generatorOptions:\n";
            writeln!(text, "  annotations: {{g: {}}}", self.quoted()).unwrap();
            text += self.random.pick(&[
                "",
                "  disableNameSuffixHash: true\n",
                "  labels: {o: global, p: \"1\"}\n",
                "  immutable: true\n",
            ]);
        }
        text
    }

    fn generator(&mut self, folder: &str, is_secret: bool) -> String {
        let name = self
            .random
            .pick(&["gen0", "gen1", "gen2", "\"012\"", "web"]);
        let kind = if is_secret { "Secret" } else { "ConfigMap" };
        let mut text = format!("- name: {name}\n");
        if self.random.once_in(6) {
            writeln!(text, "  namespace: {}", self.random.namespace()).unwrap();
        }
        if self.generated.contains(&(is_secret, name)) || self.ids.contains(&(kind, name)) {
            let behavior = self.random.pick(&["merge", "replace", "merge"]);
            writeln!(text, "  behavior: {behavior}").unwrap();
        } else {
            self.generated.push((is_secret, name));
            text += self.random.pick(&["", "", "  behavior: create\n"]);
        }
        if is_secret && self.random.once_in(3) {
            text += self
                .random
                .pick(&["  type: example.org/t\n", "  type: \"12\"\n"]);
        }
        text += &self.sources(folder, is_secret);
        if self.random.once_in(3) {
            let (label, is_off) = (self.quoted(), self.random.once_in(2));
            writeln!(
                text,
                "  options:\n    disableNameSuffixHash: {is_off}\n    labels: {{o: {label}}}"
            )
            .unwrap();
            if self.random.once_in(3) {
                text += "    immutable: true\n";
            }
        }
        text
    }

    fn sources(&mut self, folder: &str, is_secret: bool) -> String {
        let mut text = String::new();
        if !self.random.once_in(6) {
            text += "  literals:\n";
            for key in ["a", "b"] {
                let value = self.random.pick(&[
                    "yes",
                    "0777",
                    "",
                    "a=b",
                    "'quoted'",
                    "x: y",
                    " sp ",
                    "é",
                    "1e3",
                    "null",
                    "a#b",
                    "'",
                    "'a",
                    "multi\\nline",
                    "012",
                ]);
                writeln!(text, "  - \"{key}{}={value}\"", self.random.below(3)).unwrap();
            }
        }
        let kind = if is_secret { "s" } else { "c" };
        if self.random.once_in(2) {
            let file = format!("{kind}.txt");
            let content = self.random.pick(&[
                "one\ntwo\n", "no end", "", "tab\there\n", " lead\nx\n", "x \n", "\n\n", "a: 1\n", "é\n",
                "\u{feff}bom\n", "crlf\r\nx\r\n", "a long line with many words that goes past seventy \
                 and past eighty columns, and then goes on for a bit until it has more than a hundred\n",
                "\u{1}\u{2}control", "{\"json\": [1, 2]}\n", "---\n", "# note\n",
            ]);
            self.files
                .insert(format!("{folder}/{file}"), content.to_owned());
            let source = self.random.pick(&["", "renamed=", "\"1.5\"=", "a b="]);
            let source = if source.starts_with('"') {
                "x.y="
            } else {
                source
            };
            writeln!(text, "  files:\n  - {source}{file}").unwrap();
        }
        if self.random.once_in(4) {
            let env = format!(
                "E1=x\n# note\nE2= y z\n  E3={}\nE4\nE5=\"q\"\n",
                self.random.below(100)
            );
            let file = format!("{kind}.env");
            self.files.insert(format!("{folder}/{file}"), env);
            let field = self.random.pick(&["envs: [FILE]", "env: FILE"]);
            writeln!(text, "  {}", field.replace("FILE", &file)).unwrap();
        }
        text
    }
}
