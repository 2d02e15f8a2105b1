//! One generated overlay: its folders, and what the generator remembers of the objects in them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::objects::Id;
use super::random::Random;

/// An overlay while it is made.
pub struct Overlay {
    pub random: Random,
    /// Texts by path.
    pub files: BTreeMap<String, String>,
    /// Objects that are in files, in the order they were made.
    pub ids: Vec<Id>,
    /// Names of generators, by whether they make Secrets.
    pub generated: Vec<(bool, &'static str)>,
    pub n_vars: usize,
    /// The namespaces of objects in files.
    pub spaces: BTreeMap<Id, &'static str>,
}

impl Overlay {
    /// Returns the files and the folder to build.
    pub fn make(seed: u64) -> (BTreeMap<String, String>, String) {
        let mut overlay = Self {
            random: Random::new(seed),
            files: BTreeMap::new(),
            ids: Vec::new(),
            generated: Vec::new(),
            n_vars: 0,
            spaces: BTreeMap::new(),
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
        text += &self.resources(&folder, layer);
        if self.random.once_in(4) {
            text += &self.components(layer);
        }
        text += &self.fields(&folder, 4);
        if self.random.once_in(4) {
            text += self.random.pick(&[
                "sortOptions:\n  order: fifo\n",
                "sortOptions: {order: legacy}\n",
                "sortOptions:\n  order: legacy\n  legacySortOptions:\n    orderFirst: [Widget, ConfigMap]\n    \
                 orderLast: [Deployment, Namespace]\n",
            ]);
        }
        if self.random.once_in(5) {
            text += self.random.pick(&[
                "buildMetadata: [originAnnotations]\n",
                "buildMetadata: [originAnnotations, transformerAnnotations]\n",
                "buildMetadata: [managedByLabel]\n",
                "buildMetadata: [transformerAnnotations]\n",
            ]);
        }
        let name = self
            .random
            .pick(&["kustomization.yaml", "kustomization.yml", "Kustomization"]);
        self.files.insert(format!("{folder}/{name}"), text);
    }

    /// Returns the fields that name files and folders of objects.
    fn resources(&mut self, folder: &str, layer: usize) -> String {
        let mut text = String::new();
        let mut bases = Vec::new();
        if layer > 0 {
            bases.push(format!("../l{}", layer - 1));
        }
        if layer > 1 && self.random.once_in(25) {
            // Two ways to one base: ids meet, unless one way renames.
            bases.push("../l0".to_owned());
        }
        if !bases.is_empty() && self.random.once_in(5) {
            writeln!(text, "bases: [{}]", bases.join(", ")).unwrap();
            bases.clear();
        }
        let n_files = if layer == 0 {
            1 + self.random.below(2)
        } else {
            self.random.below(2)
        };
        for file in 0..n_files {
            let objects = self.objects();
            self.files.insert(format!("{folder}/r{file}.yaml"), objects);
            bases.push(format!("r{file}.yaml"));
        }
        if !bases.is_empty() {
            text += "resources:\n";
            for base in bases {
                writeln!(text, "- {base}").unwrap();
            }
        }
        if text.is_empty() {
            text += "resources: []\nnameSuffix: \"\"\n";
        }
        text
    }

    fn components(&mut self, layer: usize) -> String {
        let mut text = "components:\n".to_owned();
        for at in 0..1 + self.random.below(2) {
            let component = format!("c{layer}-{at}");
            let mut inner =
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n".to_owned();
            if self.random.once_in(4) {
                let objects = self.objects();
                self.files.insert(format!("{component}/own.yaml"), objects);
                inner += "resources: [own.yaml]\n";
            }
            inner += &self.fields(&component, 6);
            if inner.lines().count() == 2 {
                inner += "namePrefix: c-\n";
            }
            self.files
                .insert(format!("{component}/kustomization.yaml"), inner);
            writeln!(text, "- ../{component}").unwrap();
        }
        text
    }

    /// Returns the fields that a kustomization and a component share, each once in `n` times.
    fn fields(&mut self, folder: &str, n: usize) -> String {
        let mut text = self.simple_fields(n);
        text += &self.patches(folder, n);
        text += &self.old_patches(folder, n * 2);
        text += &self.generators(folder, n);
        text += &self.replacements(folder, n);
        text += &self.vars(n * 2);
        text += &self.configurations(folder, n * 3);
        text += &self.plugins(folder, n * 2);
        text
    }

    /// Returns one of the objects in files.
    pub fn known(&mut self) -> Option<Id> {
        if self.ids.is_empty() {
            return None;
        }
        let at = self.random.below(self.ids.len());
        Some(self.ids[at])
    }
}

/// Returns a text with every line after the first indented.
pub fn indented(text: &str, indent: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        if line.is_empty() {
            out.push('\n');
        } else {
            writeln!(out, "{indent}{line}").unwrap();
        }
    }
    out
}
