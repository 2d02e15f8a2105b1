//! The command line as scripts and people meet it: exit codes, what goes to stdout and what to
//! stderr, hints, and the commands that need no cluster.

mod explain;
mod lint;
mod update;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::world::kubectl::kubectl;
use crate::world::process::{Process, towpath};
use crate::world::registry::{DockerRegistry, Lock};

/// What a command did.
struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(arguments: &[&str]) -> Done {
    let output = towpath(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the binary starts");
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    Done {
        code: status.code(),
        stdout: String::from_utf8(stdout).expect("stdout is text"),
        stderr: String::from_utf8(stderr).expect("stderr is text"),
    }
}

/// Runs a command that is done, and returns its data.
fn data(arguments: &[&str]) -> String {
    let done = run(arguments);
    assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.stderr);
    done.stdout
}

/// Runs a command that is not done: no data, and the texts on stderr.
fn refused(arguments: &[&str], code: i32, texts: &[&str]) {
    let done = run(arguments);
    assert_eq!(done.code, Some(code), "{arguments:?}: {}", done.stderr);
    assert_eq!(done.stdout, "", "{arguments:?}");
    for text in texts {
        let stderr = &done.stderr;
        assert!(stderr.contains(text), "{arguments:?}: {text:?} in {stderr}");
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("the folder is writable");
}

#[test]
fn every_command_explains_itself() {
    let whole = data(&["--help"]);
    let commands = whole
        .split("Commands:\n")
        .nth(1)
        .expect("it lists commands");
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    for name in ["apiserver", "build", "demo", "policy", "run", "tags"] {
        assert!(commands.contains(&name), "{name} in {commands:?}");
    }
    for name in commands {
        let help = data(&[name, "--help"]);
        assert!(help.contains(&format!("Usage: towpath {name}")), "{help}");
    }
    assert_eq!(
        data(&["--version"]),
        format!("towpath {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn wrong_arguments_are_two_and_nothing_is_printed_as_data() {
    refused(&["tags"], 2, &["<IMAGE>", "Usage: towpath tags"]);
    refused(&["build", "--colour"], 2, &["unexpected argument"]);
    refused(&["punt"], 2, &["unrecognized subcommand 'punt'"]);
    let both = ["tags", "a/b", "--semver", "1.x", "--numerical"];
    refused(&both, 2, &["cannot be used with"]);
    refused(&["--log", "a=b=c", "build"], 2, &["error: ", "hint: "]);
}

/// What people do wrong first: the exit code, a part of the error, and a part of the hint.
const MISTAKES: [(&[&str], i32, &str, &str); 13] = [
    (
        &["tags", "ghcr.io/a/b:1"],
        1,
        "remove ':1'",
        "without a tag",
    ),
    (
        &["tags", "UPPER/x"],
        1,
        "could not parse reference",
        "small letters",
    ),
    (
        &["tags", "a/b", "--semver", "abc"],
        1,
        "improper constraint",
        "1.x",
    ),
    (&["update", "-f", "EMPTY"], 1, "no ImagePolicy", "-f names"),
    (
        &["policy", "explain", "x", "-f", "EMPTY"],
        1,
        "no such ImagePolicy",
        "-f names",
    ),
    (
        &["policy", "explain", "x", "-f", "policies/calver.yaml"],
        1,
        "no such",
        "default/calver",
    ),
    (
        &["policy", "explain", "x", "--data", "EMPTY"],
        1,
        "kubeconfig",
        "towpath run",
    ),
    (
        &["policy", "explain", "x", "--kubeconfig", "EMPTY/x"],
        1,
        "kubeconfig",
        "~/.kube/config",
    ),
    (
        &["policy", "test", "EMPTY"],
        1,
        "no file ends in .test.yaml",
        "NAME.test.yaml",
    ),
    (
        &["lint", "EMPTY", "--fix", "--policy", "x"],
        1,
        "no ImagePolicy x",
        "-f names",
    ),
    (
        &["build", "EMPTY"],
        1,
        "unable to find one of",
        "towpath build apps",
    ),
    (
        &["apiserver", "--data", "/proc/x"],
        1,
        "open the embedded API",
        "can be written to",
    ),
    (&["--log", "a=b=c", "build"], 2, "", "a filter is"),
];

#[test]
fn every_first_mistake_gets_a_hint_and_no_cause_is_said_twice() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let empty = folder.path().to_str().expect("it is text");
    for (arguments, code, error, hint) in MISTAKES {
        let arguments: Vec<_> = arguments
            .iter()
            .map(|text| text.replace("EMPTY", empty))
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let done = run(&arguments);
        assert_eq!(done.code, Some(code), "{arguments:?}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{arguments:?}");
        let (said, advice) = done.stderr.split_once("\nhint: ").unwrap_or_default();
        assert!(
            said.starts_with("error: ") && said.contains(error),
            "{}",
            done.stderr
        );
        assert!(advice.contains(hint), "{}", done.stderr);
        let causes: Vec<&str> = said.split(": ").collect();
        let once: BTreeSet<&str> = causes.iter().copied().collect();
        assert_eq!(once.len(), causes.len(), "{}", done.stderr);
    }
}

#[test]
fn bash_can_complete() {
    let script = data(&["completion", "bash"]);
    assert!(script.contains("complete -F _towpath"), "{script}");
    refused(&["completion", "csh"], 2, &["invalid value 'csh'"]);
    // As bash itself does after a tab.
    let complete = |words: &[&str]| {
        let last = words.last().expect("there is a word");
        let tab = format!(
            "{script}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_towpath towpath '{last}' ''\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words.len() - 1
        );
        let output = std::process::Command::new("bash")
            .args(["-c", &tab])
            .output();
        let output = output.expect("there is a bash");
        String::from_utf8(output.stdout).expect("it is text")
    };
    assert_eq!(complete(&["towpath", "pol"]), "policy\n");
    assert_eq!(complete(&["towpath", "policy", "ex"]), "explain\n");
    assert_eq!(complete(&["towpath", "lint", "--f"]), "--filename\n--fix\n");
    for shell in ["elvish", "fish", "powershell", "zsh"] {
        let script = data(&["completion", shell]);
        assert!(script.contains("explain"), "{shell}");
    }
}

#[test]
fn the_demos_fleet_builds_as_kustomize_builds_it() {
    let fleet = "src/cli/demo/fleet";
    let built = data(&["build", fleet]);
    assert!(
        built.contains("app.kubernetes.io/part-of: fleet"),
        "{built}"
    );
    let peer = Command::new(kubectl())
        .args(["kustomize", fleet])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("kubectl starts");
    assert_eq!(String::from_utf8_lossy(&peer.stdout), built);
}

#[test]
fn a_build_prints_the_objects_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().to_str().expect("it is text");
    write(
        folder.path(),
        "kustomization.yaml",
        "resources: [map.yaml]\nnamePrefix: blue-\nnamespace: apps\n",
    );
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\ndata:\n  a: \"1\"\n";
    write(folder.path(), "map.yaml", map);
    let want = "apiVersion: v1\ndata:\n  a: \"1\"\nkind: ConfigMap\nmetadata:\n  name: blue-web\n  \
                namespace: apps\n";
    let done = run(&["build", path]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), want));
    assert_eq!(done.stderr, "");
    let file = folder.path().join("out.yaml");
    let file = file.to_str().expect("it is text");
    assert_eq!(data(&["build", path, "-o", file]), "");
    assert_eq!(std::fs::read_to_string(file).expect("it is there"), want);
    let objects = tempfile::tempdir().expect("a temporary folder can be made");
    let into = objects.path().to_str().expect("it is text");
    assert_eq!(data(&["build", path, "--output", into]), "");
    let object = std::fs::read_to_string(objects.path().join("v1_configmap_blue-web.yaml"));
    assert_eq!(object.expect("it is there"), want);
    let labelled = data(&["build", path, "--enable-managedby-label"]);
    assert!(labelled.contains("app.kubernetes.io/managed-by: kustomize-v5.8.1"));
    assert_eq!(data(&["build", path, "--enable-helm=false"]), want);
    refused(
        &["build", path, "--enable-helm"],
        1,
        &["--enable-helm is not supported"],
    );
    refused(&["build", path, "-e"], 1, &["--env is not supported"]);

    write(
        folder.path(),
        "kustomization.yaml",
        "resources: [gone.yaml]\n",
    );
    refused(&["build", path], 1, &["error: ", "gone.yaml"]);
    let nowhere = format!("{path}/nowhere");
    refused(&["build", &nowhere], 1, &["error: ", "nowhere", "hint: "]);
}

#[test]
fn the_shipped_policies_pass_their_tables() {
    let done = run(&["policy", "test", "policies"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.starts_with("POLICY"), "{}", done.stdout);
    assert!(
        done.stderr.ends_with(" passed, 0 failed\n"),
        "{}",
        done.stderr
    );
    let cases = data(&["policy", "test", "policies", "-o", "json"]);
    let cases: Value = serde_json::from_str(&cases).expect("it is JSON");
    assert_eq!(cases["failed"], 0);
    let n_lines = done.stdout.lines().count() - 1;
    assert_eq!(cases["passed"], n_lines);
    assert!(n_lines >= 5, "{n_lines} cases");
}

#[test]
fn a_table_that_is_wrong_fails_and_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().to_str().expect("it is text");
    refused(
        &["policy", "test", path],
        1,
        &["no file ends in .test.yaml"],
    );
    let policy = include_str!("../../policies/semver-stable.yaml");
    write(folder.path(), "mine.yaml", policy);
    let table = "cases:\n  - name: the smaller wins\n    tags: [1.0.0, 1.1.0]\n    choose: 1.0.0\n";
    write(folder.path(), "mine.test.yaml", table);
    let done = run(&["policy", "test", path]);
    assert_eq!(done.code, Some(1));
    assert!(done.stdout.contains("FAILED"), "{}", done.stdout);
    for text in [
        "mine.test.yaml:2: the smaller wins: ",
        "1.1.0",
        "0 passed, 1 failed",
    ] {
        assert!(done.stderr.contains(text), "{text:?} in {}", done.stderr);
    }
    let done = run(&["policy", "test", path, "-o", "junit"]);
    assert_eq!(done.code, Some(1));
    let place = format!("file=\"{path}/mine.test.yaml\" line=\"2\"");
    for text in [
        "<?xml ",
        "<testsuites tests=\"1\" failures=\"1\">",
        "<testsuite name=\"mine\" tests=\"1\" failures=\"1\">",
        "name=\"the smaller wins\"",
        &place,
        "<failure message=\"want: chooses 1.0.0; got: chooses 1.1.0\">",
    ] {
        assert!(done.stdout.contains(text), "{text:?} in {}", done.stdout);
    }
}

/// An ImagePolicy and its ImageRepository.
fn policy_of(image: &str) -> String {
    let policy = include_str!("../../policies/semver-stable.yaml");
    format!(
        "{policy}---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\n\
         metadata:\n  name: app\nspec:\n  image: {image}\n  interval: 1h\n  insecure: true\n"
    )
}

#[test]
fn an_explanation_of_a_list_of_tags_names_the_rule_of_each() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = |name: &str| format!("{}/{name}", folder.path().display());
    write(folder.path(), "policy.yaml", &policy_of("127.0.0.1:1/a/b"));
    write(
        folder.path(),
        "tags",
        "1.0.0\nlatest\n1.1.0\n2.0.0\n1.2.0-rc.1\n",
    );
    let (policy, tags) = (path("policy.yaml"), path("tags"));
    let explain = ["policy", "explain", "-f", &policy, "--tags-file", &tags];
    let done = run(&explain);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let want = "TAG          COMPARED     RULE           VERDICT\n\
        latest       latest       NOT_SEMVER     is not a version\n\
        2.0.0        2.0.0        OUT_OF_RANGE   is outside of the range \"1.x\"\n\
        1.2.0-rc.1   1.2.0-rc.1   PRERELEASE     is a pre-release, and the range \"1.x\" names none\n\
        1.1.0        1.1.0        CHOSEN         is the latest\n\
        1.0.0        1.0.0        KEPT           takes part and is not the latest\n";
    assert_eq!(done.stdout, want);
    let stderr = "default/semver-stable chooses 1.1.0 of 5 tags: 1 CHOSEN, 1 KEPT, 1 NOT_SEMVER, \
        1 OUT_OF_RANGE, 1 PRERELEASE\n\
        the newest, 2.0.0, is outside of the range \"1.x\"\n";
    assert_eq!(done.stderr, stderr);

    let one = data(&[&explain[..], &["--tag", "2.0.0", "-o", "json"]].concat());
    let one: Value = serde_json::from_str(&one).expect("it is JSON");
    assert_eq!(one["chosen"], "1.1.0");
    assert_eq!(one["newest"]["rule"], "OUT_OF_RANGE");
    assert_eq!(one["tags"][0]["tag"], "2.0.0");
    assert_eq!(one["tags"][1], Value::Null);
    refused(
        &[&explain[..], &["--tag", "9.9.9"]].concat(),
        1,
        &["9.9.9 is not among the 5 tags"],
    );

    write(folder.path(), "tags", "[\"latest\", \"edge\"]");
    let none = run(&explain);
    assert_eq!(none.code, Some(1), "no choice is a failure");
    for text in ["error: ", "chooses none of 2 tags", "hint: "] {
        assert!(none.stderr.contains(text), "{text:?} in {}", none.stderr);
    }
    refused(&["policy", "explain", "app"], 2, &["--data", "--filename"]);
    let other = ["policy", "explain", "other", "-f", &policy];
    refused(&other, 1, &["no such ImagePolicy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_scans_the_registry_that_manifests_or_a_cluster_name() {
    let registry = DockerRegistry::start(Lock::Open);
    let image = format!("{}/acme/app", registry.host());
    for tag in ["1.0.0", "1.1.0", "1.1.0.sig"] {
        let pushed = towpath::cli::demo::registry::push(&image, tag, tag.as_bytes()).await;
        pushed.expect("the registry takes it");
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("policy.yaml");
    write(folder.path(), "policy.yaml", &policy_of(&image));
    let path = file.to_str().expect("it is text");
    let rows = data(&["policy", "explain", "-f", path]);
    assert_eq!(rows.lines().count(), 3, "signatures are left out: {rows}");
    assert!(rows.contains("1.1.0   1.1.0      CHOSEN"), "{rows}");

    let text = policy_of(&image).replace("metadata:\n", "metadata:\n  namespace: default\n");
    write(folder.path(), "policy.yaml", &text);
    let folder = folder.path().join("data");
    let process = Process::run(&folder, &file, &[]).await;
    let folder = folder.to_str().expect("it is text");
    let served = [
        "policy",
        "explain",
        "default/semver-stable",
        "--data",
        folder,
    ];
    assert_eq!(data(&served), rows);
    drop(process);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_listed_and_a_policy_says_why() {
    let registry = DockerRegistry::start(Lock::Open);
    let image = format!("{}/acme/app", registry.host());
    for tag in ["1.0.0", "1.1.0", "2.0.0", "latest"] {
        let pushed = towpath::cli::demo::registry::push(&image, tag, tag.as_bytes()).await;
        pushed.expect("the registry takes it");
    }
    let list = data(&["tags", &image, "--insecure"]);
    assert_eq!(list, "latest\n2.0.0\n1.1.0\n1.0.0\n", "as Flux keeps them");
    let list = data(&["tags", &image, "--insecure", "-o", "json"]);
    let list: Value = serde_json::from_str(&list).expect("it is JSON");
    assert_eq!(list, json!({"tags": ["latest", "2.0.0", "1.1.0", "1.0.0"]}));

    let policy = ["tags", &image, "--insecure", "--semver", "1.x"];
    let rows = data(&policy);
    assert!(rows.starts_with("TAG"), "{rows}");
    let verdict = |tag: &str| rows.lines().find(|line| line.starts_with(tag));
    let refusal = verdict("2.0.0").expect("every tag is listed");
    assert!(refusal.contains("outside of the range"), "{rows}");
    let chosen = data(&[&policy[..], &["-o", "json"]].concat());
    let chosen: Value = serde_json::from_str(&chosen).expect("it is JSON");
    assert_eq!(chosen["chosen"], "1.1.0");
    let tags = chosen["tags"].as_array().expect("it lists tags");
    let refused_tags: Vec<_> = tags
        .iter()
        .filter(|tag| tag["refused"] == true)
        .map(|tag| tag["tag"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(refused_tags, ["latest", "2.0.0"]);

    let none = run(&["tags", &image, "--insecure", "--semver", "3.x"]);
    assert_eq!(none.code, Some(1), "no choice is a failure");
    assert!(none.stderr.contains("hint: "), "{}", none.stderr);
    // On this machine plain http is no risk; elsewhere it takes the flag.
    assert_eq!(data(&["tags", &image]), "latest\n2.0.0\n1.1.0\n1.0.0\n");
    refused(
        &["tags", "127.0.0.1:1/acme/app", "--timeout", "2"],
        1,
        &["error: scan ", "hint: ", "--insecure"],
    );
    let tagged = format!("{image}:1.0.0");
    refused(
        &["tags", &tagged, "--insecure"],
        1,
        &["error: ", "without a tag"],
    );
}

#[test]
fn manifests_that_cannot_be_read_end_a_run_before_it_begins() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let data = data.to_str().expect("it is text");
    let broken = folder.path().join("broken.yaml");
    write(folder.path(), "broken.yaml", "a: [1\n");
    let broken = broken.to_str().expect("it is text");
    refused(
        &["run", "--data", data, "-f", broken],
        1,
        &["error: ", "broken.yaml"],
    );
    let gone = format!("{broken}.gone");
    refused(
        &["run", "--data", data, "-f", &gone],
        1,
        &["error: ", "broken.yaml.gone"],
    );
    let kubeconfig = ["run", "--data", data, "--kubeconfig", &gone];
    refused(
        &kubeconfig,
        1,
        &["error: ", "kubeconfig", "broken.yaml.gone"],
    );
}
