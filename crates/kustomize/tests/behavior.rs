//! Small builds, one for each rule that the recorded cases do not single out.

use kustomize::{MemoryFiles, Options, build, render};

/// Builds a kustomization over the resources of `r.yaml`.
fn run(kustomization: &str, resources: &str) -> Result<String, String> {
    let mut files = MemoryFiles::new();
    files.insert(
        "kustomization.yaml",
        format!("resources: [r.yaml]\n{kustomization}"),
    );
    files.insert("r.yaml", resources);
    files.insert("env", "E2 = v\n# no\n  K=a=b \nempty\n");
    let objects = build(&files, ".", &Options::default()).map_err(|error| error.to_string())?;
    Ok(render(&objects))
}

fn check(kustomization: &str, resources: &str, want: &str) {
    let got = run(kustomization, resources).expect(kustomization);
    assert!(
        got.contains(want),
        "{kustomization}\nwants {want}\ngives {got}"
    );
}

fn refuses(kustomization: &str, resources: &str, problem: &str) {
    let error = run(kustomization, resources).expect_err(kustomization);
    assert!(error.contains(problem), "{kustomization}: {error}");
}

/// A custom resource with these fields beside its name.
fn custom(fields: &str) -> String {
    format!("apiVersion: example.com/v1\nkind: Foo\nmetadata: {{name: foo}}\n{fields}\n")
}

/// A patch for it, without a target.
fn patch(fields: &str) -> String {
    let lines: Vec<String> = custom(fields)
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    format!("patches:\n- patch: |\n{}", lines.concat())
}

#[test]
fn a_patched_field_keeps_the_quotes_it_had() {
    check(&patch("x: 2"), &custom("x: \"1\""), "\nx: \"2\"\n");
    check(
        &patch("x: false"),
        &custom("x: \"true\""),
        "\nx: \"false\"\n",
    );
    check(&patch("x: \"2\""), &custom("x: 1"), "\nx: \"2\"\n");
    check(&patch("x: 2"), &custom("x: 1"), "\nx: 2\n");
    check(&patch("z: \"2\""), &custom("x: 1"), "\nz: \"2\"\n");
}

#[test]
fn a_merge_drops_empty_nulls_and_keeps_written_ones() {
    check(
        &patch("c: 1"),
        &custom("a:\nb: ~"),
        "apiVersion: example.com/v1\nb: null\nc: 1\n",
    );
    check(
        &patch("a: null"),
        &custom("a: 1\nb: 1"),
        "apiVersion: example.com/v1\nb: 1\n",
    );
}

#[test]
fn a_merge_of_different_shapes_is_refused() {
    refuses(&patch("a: 1"), &custom("a: {b: 1}"), "wrong node kind");
    refuses(&patch("a: {b: 1}"), &custom("a: [1]"), "wrong node kind");
}

#[test]
fn images_go_where_containers_are_and_fail_where_they_cannot() {
    let images = "images: [{name: nginx, newTag: '2'}]";
    check(
        images,
        &custom("spec: {containers: null}"),
        "containers: []",
    );
    check(
        images,
        &custom("a: {containers: [{image: nginx}]}"),
        "image: nginx:2",
    );
    refuses(
        images,
        &custom("spec: text"),
        "expected sequence or mapping node",
    );
    refuses(
        "images: [{name: '(', newTag: '2'}]",
        &custom("a: 1"),
        "images",
    );
}

#[test]
fn labels_stay_what_they_are_and_annotations_become_strings() {
    let object = "apiVersion: v1\nkind: A\nmetadata: {name: a, labels: {l: 1}, annotations: {n: 1, t: true, z: }}";
    check(
        "",
        object,
        "annotations:\n    \"n\": \"1\"\n    t: \"true\"\n    z: \"\"\n  labels:\n    l: 1\n",
    );
    check(
        "",
        "apiVersion: v1\nkind: A\nmetadata: {name: a, annotations: {}}",
        "metadata:\n  name: a\n",
    );
}

#[test]
fn a_name_of_digits_stays_a_number_under_a_prefix() {
    check(
        "namePrefix: '1'",
        "apiVersion: v1\nkind: A\nmetadata: {name: 5}",
        "name: 15\n",
    );
}

#[test]
fn a_replacement_changes_the_text_and_not_the_type() {
    let replace = |from: &str, to: &str, options: &str| {
        format!(
            "replacements: [{{source: {{kind: Foo, fieldPath: {from}}}, targets: [{{select: {{kind: Foo}}, fieldPaths: [{to}]{options}}}]}}]"
        )
    };
    check(&replace("s", "i", ""), &custom("s: '5'\ni: 1"), "\ni: 5\n");
    check(
        &replace("i", "s", ""),
        &custom("s: a\ni: 5"),
        "\ns: \"5\"\n",
    );
    refuses(
        &replace("s", "i", ""),
        &custom("s: abc\ni: 1"),
        "cannot decode",
    );
    check(
        &replace("s", "new.x", ", options: {create: true}"),
        &custom("s: '5'"),
        "new:\n  x: 5\n",
    );
    refuses(
        &replace("s", "none", ""),
        &custom("s: a"),
        "unable to find field \"none\"",
    );
    check(
        &replace("s", "'l.[=q]'", ""),
        &custom("s: a\nl: [qq, b]"),
        "l:\n- a\n- b\n",
    );
}

#[test]
fn environment_files_and_literals_are_read_as_they_stand() {
    let options = "options: {disableNameSuffixHash: true}";
    let generator = format!(
        "configMapGenerator: [{{name: g, envs: [env], literals: ['q=\"x\"', \"r='\"], {options}}}]"
    );
    check(
        &generator,
        &custom(""),
        "data:\n  'E2 ': ' v'\n  K: 'a=b '\n  empty: \"\"\n  q: x\n  r: ''''\n",
    );
}

#[test]
fn a_subject_that_is_a_user_is_renamed_like_the_account_of_its_name() {
    let objects = "apiVersion: v1
kind: ServiceAccount
metadata: {name: sa}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: rb}
subjects: [{kind: User, name: sa}]
";
    check(
        "namePrefix: p-",
        objects,
        "subjects:\n- kind: User\n  name: p-sa\n",
    );
}

#[test]
fn what_is_elsewhere_is_refused_in_every_position() {
    let address = "https://example.com/x.yaml";
    for field in [
        "components: [ADDRESS]",
        "crds: [ADDRESS]",
        "configurations: [ADDRESS]",
        "openapi: {path: ADDRESS}",
        "patches: [{path: ADDRESS}]",
        "patchesStrategicMerge: [ADDRESS]",
        "patchesJson6902: [{path: ADDRESS, target: {name: x}}]",
        "configMapGenerator: [{name: a, files: [ADDRESS]}]",
        "secretGenerator: [{name: a, envs: [ADDRESS]}]",
        "replacements: [{path: ADDRESS}]",
        "generators: [ADDRESS]",
        "transformers: [ADDRESS]",
        "validators: [ADDRESS]",
        "bases: [ADDRESS]",
        "bases: ['github.com/org/repo//path?ref=v1']",
        "components: ['git@example.com:org/repo']",
    ] {
        refuses(
            &field.replace("ADDRESS", address),
            &custom(""),
            "is an address",
        );
    }
}

#[test]
fn what_needs_a_program_is_refused_by_name() {
    refuses("helmCharts: [{name: c}]", &custom(""), "helmCharts");
    refuses(
        "helmChartInflationGenerator: [{chartName: c}]",
        &custom(""),
        "helmChartInflationGenerator",
    );
    let plugin = "['{apiVersion: someteam.example.com/v1, kind: Sed, metadata: {name: x}}']";
    refuses(
        &format!("transformers: {plugin}"),
        &custom(""),
        "external plugin 'Sed'",
    );
    refuses(
        &format!("generators: {plugin}"),
        &custom(""),
        "external plugin 'Sed'",
    );
    let labels = "labels: [{pairs: {a: b}, includeVolumeClaimTemplates: true}]";
    refuses(
        labels,
        &custom(""),
        "unknown field \"includeVolumeClaimTemplates\"",
    );
}

#[test]
fn two_objects_that_meet_in_one_namespace_are_refused() {
    let objects = "apiVersion: v1\nkind: A\nmetadata: {name: a, namespace: x}\n---\napiVersion: v1\nkind: A\nmetadata: {name: a, namespace: y}";
    refuses("namespace: z", objects, "ID conflict");
}

#[test]
fn errors_name_the_file_and_the_field() {
    let mut files = MemoryFiles::new();
    files.insert("app/kustomization.yaml", "resources: [../base]");
    files.insert("base/kustomization.yaml", "resources: [r.yaml]");
    files.insert("base/r.yaml", "apiVersion: v1\nkind: A\n---\na: [\n");
    let error = build(&files, "app", &Options::default())
        .expect_err("not YAML")
        .to_string();
    for part in [
        "app/kustomization.yaml",
        "base/kustomization.yaml",
        "resources",
        "r.yaml",
        "line ",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_validator_may_only_add_its_own_label() {
    let label = |key: &str| {
        format!(
            "validators: ['{{apiVersion: builtin, kind: LabelTransformer, metadata: {{name: v}}, labels: {{{key}: b}}, fieldSpecs: [{{path: metadata/labels, create: true}}]}}']"
        )
    };
    check(
        &label("validated-by"),
        &custom(""),
        "labels:\n    validated-by: b\n",
    );
    refuses(&label("a"), &custom(""), "validator shouldn't modify");
}

#[test]
fn objects_get_the_file_names_that_kustomize_gives_them() {
    let names = |namespace: &str| {
        let mut files = MemoryFiles::new();
        files.insert("kustomization.yaml", "resources: [r.yaml]");
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: A.b{namespace}}}
---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: dep}}
---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: 'system:x'}}
---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n}}\n"
        );
        files.insert("r.yaml", text);
        let objects = build(&files, ".", &Options::default()).expect("a build");
        let files = kustomize::render_files(&objects).expect("file names");
        files.into_keys().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        names(""),
        "apps_v1_deployment_dep.yaml rbac.authorization.k8s.io_v1_clusterrole_system:x.yaml \
         v1_configmap_a.b.yaml v1_namespace_n.yaml"
    );
    assert_eq!(
        names(", namespace: One"),
        "default_apps_v1_deployment_dep.yaml one_v1_configmap_a.b.yaml \
         rbac.authorization.k8s.io_v1_clusterrole_system:x.yaml v1_namespace_n.yaml"
    );
}

#[test]
fn what_a_base_puts_on_its_objects_stays_with_them() {
    let mut files = MemoryFiles::new();
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    for name in ["a", "b"] {
        let text = format!("resources: [r.yaml]\ncommonAnnotations: {{of: {name}}}\n");
        files.insert(format!("{name}/kustomization.yaml"), text);
        files.insert(format!("{name}/r.yaml"), map(name));
    }
    files.insert("c.yaml", map("c"));
    files.insert(
        "kustomization.yaml",
        "resources: [a, b, c.yaml]\nnamePrefix: p-\ncommonLabels: {all: \"yes\"}\n",
    );
    let objects = build(&files, ".", &Options::default()).expect("a build");
    let text = render(&objects);
    for (name, annotations) in [
        ("a", "  annotations:\n    of: a\n"),
        ("b", "  annotations:\n    of: b\n"),
        ("c", ""),
    ] {
        let metadata =
            format!("metadata:\n{annotations}  labels:\n    all: \"yes\"\n  name: p-{name}\n");
        assert!(text.contains(&metadata), "{metadata}\n{text}");
    }
}

#[test]
fn a_change_that_was_put_off_is_blamed_on_its_file() {
    let mut files = MemoryFiles::new();
    files.insert("kustomization.yaml", "resources: [base]\nnamePrefix: p-\n");
    files.insert(
        "base/kustomization.yaml",
        "resources: [r.yaml]\ncommonAnnotations: {a: b}\n",
    );
    files.insert(
        "base/r.yaml",
        custom("").replace("{name: foo}", "{name: foo, annotations: x}"),
    );
    let error = build(&files, ".", &Options::default()).expect_err("annotations are a text");
    let error = error.to_string();
    assert!(error.contains("base/kustomization.yaml"), "{error}");
    assert!(error.contains("commonAnnotations"), "{error}");
}
