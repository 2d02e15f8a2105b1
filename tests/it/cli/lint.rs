//! `towpath lint` as people and CI meet it: places, exit codes, and what `--fix` writes.

use std::path::Path;

use serde_json::Value;

use super::{data, run, write};

const POLICIES: &str = r#"apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: app, namespace: flux-system}
spec: {image: ghcr.io/acme/app, interval: 1h}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: app, namespace: flux-system}
spec: {imageRepositoryRef: {name: app}, policy: {semver: {range: 1.x}}}
"#;
const CLEAN: &str = "image: ghcr.io/acme/app:1.0.0 # {\"$imagepolicy\": \"flux-system:app\"}\n";

/// Faulty texts, and how the first finding reads.
const FAULTS: [(&str, &str, &str); 9] = [
    (
        "a",
        "x: y # {\"$imagepolicy\": \"flux-system:ap\"}\n",
        "1:6: unknown: no policy",
    ),
    (
        "b",
        "x: y # {\"$imagepolicy\": \"flux-system:app:Tag\"}\n",
        "1:6: malformed: ",
    ),
    (
        "c",
        "x: y # {'$imagepolicy': 'flux-system:app'}\n",
        "1:10: malformed: the key",
    ),
    (
        "d",
        "x: 1\n# {\"$imagepolicy\": \"flux-system:app\"}\ny: z\n",
        "2:1: place: ",
    ),
    (
        "e",
        "x: # {\"$imagepolicy\": \"flux-system:app\"}\n  y: z\n",
        "1:4: place: ",
    ),
    (
        "f",
        "x: |\n  a\n  b: c # {\"$imagepolicy\": \"flux-system:app\"}\n",
        "place: ",
    ),
    (
        "g",
        "é: 1\nimage: ghcr.io/acme/app:1.0.0\n",
        "2:8: missing: ",
    ),
    (
        "h",
        "x: [ # {\"$imagepolicy\": \"flux-system:app\"}\n",
        ": broken: ",
    ),
    (
        "i",
        "x: y # {\"$imagepolicy\": \"flux-system:app:digest\"}\n",
        "unknown: \"flux-system:app:digest\"",
    ),
];

fn linted(folder: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let path = folder.to_str().expect("it is text");
    let done = run(&[&["lint", path], more].concat());
    (done.code, done.stdout.replace(path, ""), done.stderr)
}

#[test]
fn a_folder_without_faults_is_silent_and_zero() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write(folder.path(), "policies.yaml", POLICIES);
    write(folder.path(), "app.yaml", CLEAN);
    let (code, stdout, stderr) = linted(folder.path(), &[]);
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    assert_eq!(stderr, "2 files, 0 findings\n");
}

#[test]
fn every_fault_has_its_place_and_its_kind() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write(folder.path(), "policies.yaml", POLICIES);
    for (name, text, want) in FAULTS {
        write(folder.path(), "x.yaml", text);
        let (code, stdout, stderr) = linted(folder.path(), &[]);
        assert_eq!(code, Some(1), "{name}: {stdout}{stderr}");
        let first = stdout.lines().next().expect("it says something");
        assert!(first.starts_with("/x.yaml:"), "{name}: {stdout}");
        assert!(first.contains(want), "{name}: {want:?} in {stdout}");
        assert!(
            stdout
                .lines()
                .nth(1)
                .expect("it helps")
                .starts_with("  hint: "),
            "{name}: {stdout}"
        );
    }
    write(folder.path(), "x.yaml", "image: ghcr.io/acme/app:1.0.0\n");
    let (_, stdout, _) = linted(folder.path(), &["-o", "json"]);
    let found: Value = serde_json::from_str(&stdout).expect("it is JSON");
    assert_eq!(found[0]["kind"], "missing");
    assert_eq!(found[0]["marker"], "flux-system:app");
    assert_eq!(
        (&found[0]["line"], &found[0]["column"]),
        (&1.into(), &8.into())
    );
}

#[test]
fn fix_inserts_missing_markers_and_changes_no_other_byte() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let policies = folder.path().join("policies.yaml");
    write(folder.path(), "policies.yaml", POLICIES);
    let other = POLICIES.replace("name: app, namespace", "name: other, namespace");
    let before = "\u{feff}# Head\r\nimage:   'ghcr.io/acme/app:1.0.0'  \r\nb: \"é\"\r\n---\r\n\
        images:\r\n- name: ghcr.io/acme/app\r\n  newTag: 1.0.0\r\n- {image: 'ghcr.io/acme/app:1', a: b}";
    write(folder.path(), "x.yaml", before);
    let (code, stdout, stderr) = linted(folder.path(), &["--fix"]);
    assert_eq!(code, Some(1), "one cannot be fixed: {stdout}{stderr}");
    assert_eq!(stdout.lines().count(), 2, "{stdout}");
    assert!(stdout.contains("/x.yaml:8:11: missing: "), "{stdout}");
    assert!(stderr.starts_with("2 markers inserted\n"), "{stderr}");
    let file = folder.path().join("x.yaml");
    let after = std::fs::read_to_string(&file).expect("it is there");
    let want = before
        .replace(
            "app:1.0.0'",
            "app:1.0.0' # {\"$imagepolicy\": \"flux-system:app\"}",
        )
        .replace(
            "newTag: 1.0.0",
            "newTag: 1.0.0 # {\"$imagepolicy\": \"flux-system:app:tag\"}",
        );
    assert_eq!(after, want);

    // Of two policies of one image, somebody must say which.
    std::fs::write(&policies, format!("{POLICIES}---\n{other}")).expect("it is writable");
    write(folder.path(), "x.yaml", "image: ghcr.io/acme/app:1.0.0\n");
    let (code, stdout, _) = linted(folder.path(), &["--fix"]);
    assert_eq!(code, Some(1));
    assert!(stdout.contains("--fix --policy NAME"), "{stdout}");
    let (code, _, stderr) = linted(folder.path(), &["--fix", "--policy", "other"]);
    assert_eq!(code, Some(0), "{stderr}");
    let text = std::fs::read_to_string(&file).expect("it is there");
    assert_eq!(
        text,
        "image: ghcr.io/acme/app:1.0.0 # {\"$imagepolicy\": \"flux-system:other\"}\n"
    );
    data(&["lint", folder.path().to_str().expect("it is text")]);
}

/// An automation of a namespace with a selector.
fn automation(namespace: &str, selector: &str) -> String {
    format!(
        "---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {{name: bot, \
         namespace: {namespace}}}\nspec: {{{selector}interval: 1h, sourceRef: {{kind: GitRepository, \
         name: fleet}}}}\n"
    )
}

#[test]
fn hc2_a_marker_whose_policy_no_automation_selects_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write(folder.path(), "app.yaml", CLEAN);
    let own = "flux-system";
    let selector = |text: &str| format!("policySelector: {text}, ");
    let labelled = POLICIES.replace(
        "namespace: flux-system}\nspec: {imageRepositoryRef",
        "namespace: flux-system, labels: {team: a}}\nspec: {imageRepositoryRef",
    );
    assert_ne!(labelled, POLICIES);
    for (policies, automations, want, hint) in [
        (POLICIES, automation(own, ""), "", ""),
        (
            &labelled,
            automation(own, &selector("{matchLabels: {team: a}}")),
            "",
            "",
        ),
        (
            POLICIES,
            automation("apps", ""),
            "no ImageUpdateAutomation is in the namespace of policy \"flux-system:app\"",
            "put one into \"flux-system\"",
        ),
        (
            POLICIES,
            automation(own, &selector("{matchLabels: {team: a}}")),
            "no ImageUpdateAutomation selects policy \"flux-system:app\"",
            "the policySelector of flux-system/bot wants team=a",
        ),
        (
            &labelled,
            automation(
                own,
                &selector("{matchExpressions: [{key: team, operator: NotIn, values: [a]}]}"),
            ),
            "no ImageUpdateAutomation selects policy",
            "wants team notin (a)",
        ),
        (
            &labelled,
            automation(
                own,
                &selector("{matchExpressions: [{key: team, operator: in, values: [a]}]}"),
            ),
            "no ImageUpdateAutomation selects policy",
            "is none: \"in\" is not a valid",
        ),
    ] {
        write(
            folder.path(),
            "policies.yaml",
            &format!("{policies}{automations}"),
        );
        let (code, stdout, stderr) = linted(folder.path(), &[]);
        assert_eq!(code, Some(i32::from(!want.is_empty())), "{stdout}{stderr}");
        assert_eq!(stdout.is_empty(), want.is_empty(), "{stdout}");
        if !want.is_empty() {
            let at = "/app.yaml:1:31: unselected: ";
            assert!(stdout.starts_with(&format!("{at}{want}")), "{stdout}");
            assert!(
                stdout.contains("\n  hint: ") && stdout.contains(hint),
                "{stdout}"
            );
        }
    }
}

#[test]
fn a_marker_in_a_file_that_no_update_looks_into_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    // Policies may be JSON, as everywhere.
    let policies: Vec<Value> = yaml::to_values(POLICIES).expect("they are YAML");
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": policies});
    write(folder.path(), "policies.json", &list.to_string());
    let object =
        "{\n  \"image\": \"ghcr.io/acme/app:1.0.0\" # {\"$imagepolicy\": \"flux-system:app\"}\n}\n";
    write(folder.path(), "as-yaml.yaml", object);
    let (code, stdout, stderr) = linted(folder.path(), &[]);
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    for name in ["app.json", "app.YAML", "kustomization"] {
        write(folder.path(), name, object);
        let (code, stdout, _) = linted(folder.path(), &["--fix"]);
        assert_eq!(code, Some(1), "{name}");
        let want =
            format!("/{name}:2:40: place: no update looks into a file of this name\n  hint: ");
        assert!(stdout.starts_with(&want), "{stdout}");
        std::fs::remove_file(folder.path().join(name)).expect("it is there");
    }
}
