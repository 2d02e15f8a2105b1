//! `towpath update --dry-run`: its diff, given to Git, is the update.

use std::path::Path;

use serde_json::Value;

use super::{data, run, write};
use crate::world::fleet::{Fleet, REPOSITORY};
use crate::world::git::command;

/// A second policy and automation; both automations edit the same files of the same branch.
const SECOND: &str = r#"
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: old, namespace: flux-system, labels: {which: old}}
spec: {imageRepositoryRef: {name: app}, policy: {semver: {range: <1.1.0}}}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata: {name: second, namespace: flux-system}
spec:
  interval: 1h
  sourceRef: {kind: GitRepository, name: fleet}
  policySelector: {matchLabels: {which: old}}
  git:
    commit: {author: {email: towpath@example.com}}
    push: {branch: main}
  update: {path: ./apps, strategy: Setters}
"#;

/// Returns the fleet's objects and the second ones; each automation has its policy for itself.
fn objects_of_two(fleet: &Fleet) -> String {
    let objects = std::fs::read_to_string(fleet.objects()).expect("it is written");
    let label = "kind: ImagePolicy\nmetadata:\n  labels: {which: new}\n";
    let objects = objects.replace("kind: ImagePolicy\nmetadata:\n", label);
    let selector = "  policySelector: {matchLabels: {which: new}}\n  git:\n";
    objects.replace("  git:\n", selector) + SECOND
}

/// Files that are hard to patch.
const ODD: [(&str, &str); 4] = [
    (
        "apps/crlf.yaml",
        "\u{feff}a: 1\r\nb: x # {\"$imagepolicy\": \"flux-system:app:tag\"}\r\nc: 1\r\nd: 1\r\n\
         e: 1\r\nf: x # {\"$imagepolicy\": \"flux-system:old:tag\"}",
    ),
    (
        "apps/with a blank.yaml",
        "x: 0.9.0 # {\"$imagepolicy\": \"flux-system:old:tag\"}",
    ),
    (
        "apps/block.yaml",
        "a: |+ # {\"$imagepolicy\": \"flux-system:app:tag\"}\n  1\n  2\n\nb: # é\n- 'x' # \
         {\"$imagepolicy\": \"flux-system:app\"}\n",
    ),
    (
        "apps/none.yaml",
        "a: x # {\"$imagepolicy\": \"flux-system:typo\"}\n",
    ),
];

/// Runs git in a folder and returns what it prints.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = command(folder, arguments).output().expect("git runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("git prints text")
}

/// Returns the tree of a clone after a diff.
fn applied(clone: &Path, diff: &str) -> String {
    std::fs::write(clone.join("../change.diff"), diff).expect("the folder is writable");
    git(clone, &["apply", "--index", "../change.diff"]);
    let tree = git(clone, &["write-tree"]);
    git(clone, &["reset", "--quiet", "--hard"]);
    tree
}

#[tokio::test(flavor = "multi_thread")]
async fn the_diff_of_a_dry_run_is_what_the_update_commits() {
    let fleet = Fleet::start().await;
    fleet.push_image("1.1.0").await;
    fleet.git.commit(REPOSITORY, "main", &ODD);
    std::fs::write(fleet.objects(), objects_of_two(&fleet)).expect("the folder is writable");
    let objects = fleet.objects();
    let objects = objects.to_str().expect("the path is text");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (clone, bare) = (folder.path().join("clone"), fleet.git.path(REPOSITORY));
    std::fs::create_dir(&clone).expect("the folder is writable");
    let bare = bare.to_str().expect("the path is text");
    git(&clone, &["clone", "--quiet", bare, "."]);
    let path = clone.to_str().expect("the path is text");

    let of_branch = run(&["update", "-f", objects, "--dry-run"]);
    assert_eq!(of_branch.code, Some(0), "{}", of_branch.stderr);
    for line in [
        "apps/none.yaml:1: # {\"$imagepolicy\": \"flux-system:typo\"}: no policy",
        "flux-system/fleet: 4 files change\n",
        "flux-system/second: 2 files change\n",
    ] {
        let stderr = &of_branch.stderr;
        assert!(stderr.contains(line), "{line:?} in {stderr}");
    }
    // Each leaves the markers of the other alone, and says nothing of them.
    assert!(
        !of_branch.stderr.contains("apps/app.yaml"),
        "{}",
        of_branch.stderr
    );
    let of_folder = data(&["update", "-f", objects, "--path", path, "--dry-run"]);
    assert_eq!(of_folder, of_branch.stdout);
    let json = data(&["update", "-f", objects, "--dry-run", "-o", "json"]);
    let json: Value = serde_json::from_str(&json).expect("it is JSON");
    let files = json.as_array().expect("it is a list").iter();
    let files = files.flat_map(|each| each["files"].as_array().expect("it lists files"));
    let diffs: String = files
        .map(|file| file["diff"].as_str().expect("it is text"))
        .collect();
    assert_eq!(diffs, of_branch.stdout);
    let change = &json[1]["files"][1]["changes"][0];
    assert_eq!(change["setter"], "flux-system:old:tag");
    assert_eq!(
        (&change["oldValue"], &change["newValue"]),
        (&"0.9.0".into(), &"1.0.0".into())
    );
    assert_eq!(change["line"], 1);

    let tree = applied(&clone, &of_branch.stdout);
    let before = git(&clone, &["rev-parse", "HEAD^{tree}"]);
    assert_ne!(tree, before);
    data(&["update", "-f", objects]);
    assert_eq!(tree.trim(), fleet.git(&["rev-parse", "main^{tree}"]));
    data(&["update", "-f", objects, "--path", path]);
    git(&clone, &["add", "--all"]);
    assert_eq!(
        git(&clone, &["write-tree"]),
        tree,
        "a folder comes to the same"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hc2_an_update_of_a_folder_leaves_policies_alone_that_are_not_selected() {
    let fleet = Fleet::start().await;
    // Of the two automations only the second one runs.
    let objects = objects_of_two(&fleet);
    let new = "  policySelector: {matchLabels: {which: new}}\n";
    let objects = objects.replace(new, &format!("  suspend: true\n{new}"));
    assert!(objects.contains("suspend"));
    std::fs::write(fleet.objects(), objects).expect("the folder is writable");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    std::fs::create_dir(folder.path().join("apps")).expect("the folder is writable");
    let text = "a: x # {\"$imagepolicy\": \"flux-system:app:tag\"}\n\
                b: x # {\"$imagepolicy\": \"flux-system:old:tag\"}\n";
    write(&folder.path().join("apps"), "a.yaml", text);
    let path = folder.path().to_str().expect("the path is text");
    let objects = fleet.objects();
    let objects = objects.to_str().expect("the path is text");
    let diff = data(&["update", "-f", objects, "--path", path]);
    assert!(diff.contains("\n-b: x #"), "{diff}");
    let written = std::fs::read_to_string(folder.path().join("apps/a.yaml"));
    assert_eq!(
        written.expect("it is there"),
        text.replace("b: x", "b: 1.0.0")
    );
}
