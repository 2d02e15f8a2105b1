//! Hostile input: it must be refused or built, in bounded time, and never stop the program.

use kustomize::{MemoryFiles, Options, Order, build, render};

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  template:
    spec:
      containers:
      - {name: web, image: 'nginx:1', env: [{name: A, value: $(V)}], ports: [{containerPort: 80}]}
";

fn files(entries: &[(&str, &str)]) -> MemoryFiles {
    let mut files = MemoryFiles::new();
    for (path, text) in entries {
        files.insert(*path, *text);
    }
    files
}

/// Builds and prints; what matters is that it comes back.
fn run(files: &MemoryFiles, path: &str) -> Result<String, String> {
    let options = Options {
        order: Order::Legacy,
        ..Options::default()
    };
    let objects = build(files, path, &options).map_err(|error| error.to_string())?;
    Ok(render(&objects))
}

fn refuses(entries: &[(&str, &str)], problem: &str) {
    let error = run(&files(entries), ".").expect_err("the input is hostile");
    assert!(error.contains(problem), "{error}");
}

#[test]
fn a_folder_that_leads_back_to_itself_is_refused() {
    refuses(
        &[("kustomization.yaml", "resources: [.]")],
        "cycle detected",
    );
    refuses(
        &[
            ("kustomization.yaml", "resources: [a]"),
            ("a/kustomization.yaml", "resources: [../b]"),
            ("b/kustomization.yaml", "resources: [../a]"),
        ],
        "cycle detected",
    );
    refuses(
        &[
            ("kustomization.yaml", "components: [c]"),
            (
                "c/kustomization.yaml",
                "kind: Component\ncomponents: [../c]",
            ),
        ],
        "cycle detected",
    );
    let mut linked = files(&[("kustomization.yaml", "resources: [link]")]);
    linked.insert_link("link", ".");
    assert!(run(&linked, ".").is_err_and(|error| error.contains("cycle detected")));
}

#[test]
fn layers_that_double_are_bounded() {
    let mut tree = MemoryFiles::new();
    tree.insert("l0/kustomization.yaml", "resources: [x.yaml]");
    tree.insert(
        "l0/x.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}",
    );
    for level in 1..30 {
        let below = level - 1;
        tree.insert(
            format!("l{level}/kustomization.yaml"),
            format!("resources: [a, b]\nnameSuffix: '-{level}'"),
        );
        for side in ["a", "b"] {
            tree.insert(
                format!("l{level}/{side}/kustomization.yaml"),
                format!("resources: [../../l{below}]\nnamePrefix: {side}-"),
            );
        }
    }
    let error = run(&tree, "l29").expect_err("too much");
    assert!(error.contains("too many kustomizations"), "{error}");
}

#[test]
fn a_chain_of_folders_is_bounded() {
    let mut tree = MemoryFiles::new();
    for level in 0..200 {
        tree.insert(
            format!("l{level}/kustomization.yaml"),
            format!("resources: [../l{}]", level + 1),
        );
    }
    let error = run(&tree, "l0").expect_err("too deep");
    assert!(error.contains("nested too deeply"), "{error}");
}

#[test]
fn aliases_cannot_explode_anywhere() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let resource = format!("apiVersion: v1\nkind: X\nmetadata: {{name: x}}\n{bomb}");
    let both = [
        ("kustomization.yaml", "resources: [r.yaml]"),
        ("r.yaml", resource.as_str()),
    ];
    refuses(&both, "too much through aliases");
    refuses(
        &[("kustomization.yaml", bomb.as_str())],
        "too much through aliases",
    );
}

#[test]
fn deep_nesting_is_refused() {
    let open = "[".repeat(50_000);
    let resource = format!("apiVersion: v1\nkind: X\nmetadata: {{name: x}}\na: {open}");
    assert!(
        run(
            &files(&[
                ("kustomization.yaml", "resources: [r.yaml]"),
                ("r.yaml", &resource)
            ]),
            "."
        )
        .is_err()
    );
    assert!(
        run(
            &files(&[("kustomization.yaml", &format!("resources: {open}"))]),
            "."
        )
        .is_err()
    );
    let patch = format!(
        "resources: [r.yaml]\npatches:\n- target: {{kind: Deployment}}\n  patch: '[{{\"op\": \"add\", \"path\": \"/a\", \"value\": {open}'"
    );
    assert!(
        run(
            &files(&[("kustomization.yaml", &patch), ("r.yaml", DEPLOYMENT)]),
            "."
        )
        .is_err()
    );
}

#[test]
fn long_lists_with_repeated_merge_keys_are_bounded() {
    let ports = "{containerPort: 1}, ".repeat(20_000);
    let patch = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {{template: {{spec: {{containers: [{{name: web, ports: [{ports}]}}]}}}}}}"
    );
    refuses(
        &[
            (
                "kustomization.yaml",
                "resources: [r.yaml]\npatches: [{path: p.yaml}]",
            ),
            ("r.yaml", DEPLOYMENT),
            ("p.yaml", &patch),
        ],
        "too long",
    );
}

#[rustfmt::skip]
const FIELDS: &[&str] = &[
        "apiVersion",
        "kind",
        "metadata",
        "openapi",
        "namePrefix",
        "nameSuffix",
        "namespace",
        "commonLabels",
        "labels",
        "commonAnnotations",
        "patchesStrategicMerge",
        "patchesJson6902",
        "patches",
        "images",
        "imageTags",
        "replacements",
        "replicas",
        "vars",
        "sortOptions",
        "resources",
        "components",
        "crds",
        "bases",
        "configMapGenerator",
        "secretGenerator",
        "generatorOptions",
        "helmGlobals",
        "helmCharts",
        "helmChartInflationGenerator",
        "configurations",
        "generators",
        "transformers",
        "validators",
        "buildMetadata",
    ];

#[rustfmt::skip]
const VALUES: &[&str] = &[
        "1",
        "true",
        "x",
        "''",
        "[]",
        "{}",
        "[1]",
        "[x]",
        "[[]]",
        "[{}]",
        "[null]",
        "{x: 1}",
        "{x: y}",
        "{x: [y]}",
        "{x: null}",
        "[{name: x}]",
        "[{x: y}]",
        "2024-01-01",
        ".inf",
        "[r.yaml]",
        "['../../../..']",
        "['/']",
        "['']",
        "['[']",
        "[{patch: x}]",
        "[{path: r.yaml, target: {kind: '('}}]",
        "[{pairs: {a: b}, fields: [{path: ''}]}]",
        "[{source: {kind: Deployment}, targets: [{select: {}, fieldPaths: ['', '.', '[', '*']}]}]",
        "[{name: V, objref: {kind: Deployment, apiVersion: apps/v1, name: web}, fieldref: {fieldPath: '['}}]",
        "{path: r.yaml}",
        "['apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: x}']",
    ];

#[test]
fn every_field_with_a_value_of_the_wrong_shape_is_refused_or_built() {
    for field in FIELDS {
        for value in VALUES {
            let text = format!("resources: [r.yaml]\n{field}: {value}\n");
            let _ = run(
                &files(&[("kustomization.yaml", &text), ("r.yaml", DEPLOYMENT)]),
                ".",
            );
        }
    }
}

#[test]
fn objects_of_odd_shapes_are_refused_or_built_under_every_transformer() {
    let kustomization = "resources: [r.yaml]
namePrefix: p-
namespace: n
commonLabels: {a: b}
commonAnnotations: {a: b}
images: [{name: nginx, newTag: '2'}]
buildMetadata: [originAnnotations, transformerAnnotations, managedByLabel]
vars: [{name: V, objref: {kind: X, apiVersion: v1, name: x}}]
replacements: [{source: {kind: X}, targets: [{select: {kind: X}, fieldPaths: [a.b], options: {create: true}}]}]
patches:
- {target: {kind: X}, patch: '{apiVersion: v1, kind: X, metadata: {name: x}, spec: {a: {b: c}}}'}
- {target: {kind: X}, patch: '[{op: add, path: /q, value: 1}]'}
";
    let shapes = [
        "null",
        "1",
        "x",
        "''",
        "[]",
        "{}",
        "[1]",
        "[{}]",
        "{a: 1}",
        "{a: {b: [c]}}",
        "{1: 2}",
    ];
    let places = [
        "metadata: {name: x, labels: SHAPE}",
        "metadata: {name: x, annotations: SHAPE}",
        "metadata: {name: SHAPE}",
        "metadata: {name: x, namespace: SHAPE}",
        "metadata: SHAPE",
        "metadata: {name: x}\nspec: SHAPE",
        "metadata: {name: x}\nspec: {template: SHAPE}",
        "metadata: {name: x}\nspec: {containers: SHAPE}",
        "metadata: {name: x}\nsubjects: SHAPE",
        "metadata: {name: x}\nspec: {template: {spec: {containers: SHAPE}}}",
        "metadata: {name: x}\ndata: SHAPE",
        "metadata: {name: x}\nitems: SHAPE",
        "metadata: {name: x}\n<<: SHAPE",
        "metadata: {name: x}\nroleRef: SHAPE",
    ];
    let kinds = [
        ("v1", "X"),
        ("apps/v1", "Deployment"),
        ("v1", "XList"),
        ("v1", "Secret"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ];
    for (version, kind) in kinds {
        let kustomization = kustomization.replace("kind: X", &format!("kind: {kind}"));
        for place in places {
            for shape in shapes {
                let body = place.replace("SHAPE", shape);
                let text = format!("apiVersion: {version}\nkind: {kind}\n{body}\n");
                let _ = run(
                    &files(&[("kustomization.yaml", &kustomization), ("r.yaml", &text)]),
                    ".",
                );
            }
        }
    }
}

/// A small generator of numbers, the same on every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap_or(0)
    }
}

#[test]
fn damaged_files_are_refused_or_built() {
    let kustomization = "resources: [r.yaml]
namePrefix: p-
labels: [{pairs: {a: b}, includeSelectors: true}]
configMapGenerator: [{name: c, literals: [a=b], behavior: create}]
replacements: [{source: {kind: Deployment, fieldPath: metadata.name}, targets: [{select: {name: 'w.*'}, fieldPaths: ['spec.template.spec.containers.[name=web].image']}]}]
patches:
- {target: {kind: Deployment}, patch: '[{op: replace, path: /spec/replicas, value: 3}]'}
- path: p.yaml
";
    let patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, $patch: delete}, {name: b}]}}}";
    let rounds = std::env::var("KUSTOMIZE_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(300);
    let splices = [
        "- ",
        ": ",
        "[",
        "]",
        "{",
        "}",
        "null",
        "&a ",
        "*a",
        "<<: ",
        "\"",
        "'",
        "|\n",
        "---\n",
        "!!int ",
        "$patch: replace",
        "\u{0}",
        "\u{85}",
        "é",
        "~1",
        "..",
        "/",
    ];
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for _ in 0..rounds {
        let mut texts = [
            kustomization.to_owned(),
            DEPLOYMENT.to_owned(),
            patch.to_owned(),
        ];
        for _ in 0..=numbers.below(3) {
            let text = &mut texts[numbers.below(3)];
            let mut at = numbers.below(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            match numbers.below(3) {
                0 => text.insert_str(at, splices[numbers.below(splices.len())]),
                1 => {
                    text.remove(at);
                }
                _ => text.truncate(at.max(1)),
            }
        }
        let [kustomization, resource, patch] = &texts;
        let tree = files(&[
            ("kustomization.yaml", kustomization),
            ("r.yaml", resource),
            ("p.yaml", patch),
        ]);
        let _ = run(&tree, ".");
    }
}

#[test]
fn what_one_build_reads_is_bounded() {
    let large = "x".repeat(32 << 20);
    let literals: String = (0..40)
        .map(|at| format!("- {{name: c{at}, files: [f]}}\n"))
        .collect();
    refuses(
        &[
            (
                "kustomization.yaml",
                &format!("configMapGenerator:\n{literals}"),
            ),
            ("f", &large),
        ],
        "reads more than",
    );
}

#[test]
fn a_value_copied_into_itself_again_and_again_is_bounded() {
    let entry = format!(
        "- {{source: {{kind: Deployment, fieldPath: spec}}, targets: [{{select: {{kind: Deployment}}, fieldPaths: [spec{}], options: {{create: true}}}}]}}\n",
        ".a".repeat(60)
    );
    let replacements = format!("resources: [r.yaml]\nreplacements:\n{}", entry.repeat(12));
    refuses(
        &[
            ("kustomization.yaml", &replacements),
            ("r.yaml", DEPLOYMENT),
        ],
        "would stand too deep",
    );
}
