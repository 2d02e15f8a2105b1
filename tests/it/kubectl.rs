//! Real kubectl against `towpath demo --keep`: what the README tells people to try.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use towpath::api::ImageUpdateAutomation;

use crate::world::git;
use crate::world::kubectl::kubectl;
use crate::world::process::{PATIENCE, client, terminate, towpath};

/// Flux's five kinds with its columns.
const KINDS: [(&str, &str); 5] = [
    ("imagepolicies", "IMAGE TAG READY STATUS AGE"),
    ("imagerepositories", "IMAGE TAGS READY STATUS AGE"),
    ("imageupdateautomations", "READY STATUS AGE"),
    ("gitrepositories", "URL AGE READY STATUS"),
    ("kustomizations", "AGE READY STATUS"),
];

/// A running demo.
struct Demo {
    child: Child,
    folder: tempfile::TempDir,
    kubectl: PathBuf,
}

impl Demo {
    /// Starts one and returns when its story is told.
    async fn start() -> Self {
        let kubectl = kubectl();
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut child = towpath(&["demo", "--keep"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let (told, heard) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut told = Some(told);
            for line in lines.map_while(Result::ok) {
                if line == "Interrupt to end."
                    && let Some(told) = told.take()
                {
                    // Nobody listens any more when the test has failed.
                    let _ = told.send(());
                }
            }
        });
        let demo = Self {
            child,
            folder,
            kubectl,
        };
        let heard = tokio::time::timeout(PATIENCE, heard).await;
        heard
            .expect("the story is told in time")
            .expect("the story is told");
        demo
    }

    /// Runs kubectl and returns what it prints.
    fn kubectl(&self, arguments: &str) -> String {
        self.with_input(arguments, None)
    }

    fn with_input(&self, arguments: &str, input: Option<&Path>) -> String {
        let mut command = Command::new(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(self.folder.path().join("kubeconfig"))
            .args(arguments.split(' '))
            .env("HOME", self.folder.path())
            .env_remove("KUBECONFIG");
        if let Some(input) = input {
            command.arg("-f").arg(input);
        }
        let output = command.output().expect("kubectl starts");
        let (stdout, stderr) = (output.stdout, output.stderr);
        let stderr = String::from_utf8_lossy(&stderr);
        assert!(output.status.success(), "kubectl {arguments}: {stderr}");
        String::from_utf8(stdout).expect("kubectl prints text")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the titles of a table and its rows as cells by title; at least two blanks stand between.
fn table(text: &str) -> (Vec<&str>, Vec<BTreeMap<&str, &str>>) {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let mut columns = Vec::new();
    for title in header.split("  ").map(str::trim).filter(|t| !t.is_empty()) {
        let (last, begin) = columns.last().copied().unwrap_or(("", 0));
        let after = begin + last.len();
        let begin = header[after..].find(title).expect("it is a part of it");
        columns.push((title, after + begin));
    }
    let rows = lines.map(|line| {
        let ends = columns.iter().skip(1).map(|(_, begin)| *begin);
        let spans = columns.iter().zip(ends.chain([line.len()]));
        spans
            .map(|((title, begin), end)| {
                let cell = line.get(*begin..end.min(line.len()));
                (*title, cell.unwrap_or_default().trim())
            })
            .collect()
    });
    let rows = rows.collect();
    (columns.into_iter().map(|(title, _)| title).collect(), rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_sees_waits_explains_and_changes_what_the_demo_serves() {
    let mut demo = Demo::start().await;
    let waited = demo.kubectl(
        "wait --for=condition=Ready --timeout=30s -n flux-system kustomization/apps imagepolicy/app",
    );
    assert_eq!(waited.matches("condition met").count(), 2, "{waited}");
    let all = demo.kubectl(&format!("get {} -A", KINDS.map(|(kind, _)| kind).join(",")));
    assert_eq!(all.matches("NAMESPACE").count(), KINDS.len(), "{all}");
    for (kind, columns) in KINDS {
        let text = demo.kubectl(&format!("get {kind} -A"));
        let (titles, rows) = table(&text);
        assert_eq!(titles.join(" "), format!("NAMESPACE NAME {columns}"));
        assert_eq!(rows.len(), 1, "{text}");
        assert_eq!(rows[0]["READY"], "True", "{text}");
        assert!(!rows[0]["STATUS"].is_empty(), "{text}");
    }

    let described = demo.kubectl("describe imagepolicy app -n flux-system");
    for text in ["Latest Ref:", "Tag:", "Type:                  Ready"] {
        assert!(described.contains(text), "{text:?} in {described}");
    }
    let explained = demo.kubectl("explain imagepolicy.spec");
    for text in [
        "KIND:       ImagePolicy",
        "imageRepositoryRef",
        "-required-",
    ] {
        assert!(explained.contains(text), "{text:?} in {explained}");
    }
    check_version_before(&demo);
    check_commit(&demo).await;
    terminate(&demo.child);
    let ended = demo.child.wait().expect("it is our child");
    assert_eq!(ended.code(), Some(0));
}

/// Image kinds of the version before, as manifests of old have them.
const BEFORE: &str = "
apiVersion: image.toolkit.fluxcd.io/v1beta2
kind: ImageRepository
metadata: {name: before, namespace: flux-system}
spec: {image: ghcr.io/acme/before, interval: 1h, suspend: true}
---
apiVersion: image.toolkit.fluxcd.io/v1beta2
kind: ImagePolicy
metadata: {name: before, namespace: flux-system}
spec:
  imageRepositoryRef: {name: app}
  filterTags: {pattern: '^[0-9.]+$'}
  policy: {semver: {range: '>=1.0.0'}}
---
apiVersion: image.toolkit.fluxcd.io/v1beta2
kind: ImageUpdateAutomation
metadata: {name: before, namespace: flux-system}
spec:
  suspend: true
  interval: 1h
  sourceRef: {kind: GitRepository, name: fleet}
  git: {commit: {author: {email: a@example.com}}}
  update: {path: ./apps, strategy: Setters}
";

/// Applies objects of the version before, and reads them in both versions.
fn check_version_before(demo: &Demo) {
    let file = demo.folder.path().join("before.yaml");
    std::fs::write(&file, BEFORE).expect("the folder is writable");
    demo.with_input("apply", Some(&file));
    let again = demo.with_input("apply", Some(&file));
    assert_eq!(again.matches("unchanged").count(), 3, "{again}");
    for kind in [
        "imagerepositories",
        "imagepolicies",
        "imageupdateautomations",
    ] {
        let read = |version: &str| {
            let resource = format!("{kind}.{version}.image.toolkit.fluxcd.io");
            demo.kubectl(&format!("get {resource} before -n flux-system -o json"))
        };
        let (now, before) = (read("v1"), read("v1beta2"));
        assert!(
            now.contains(r#""apiVersion": "image.toolkit.fluxcd.io/v1","#),
            "{now}"
        );
        let renamed = now.replacen("fluxcd.io/v1\"", "fluxcd.io/v1beta2\"", 1);
        let spec = |text: &str| {
            let object: serde_json::Value = serde_json::from_str(text).expect("it is JSON");
            (object["apiVersion"].clone(), object["spec"].clone())
        };
        assert_eq!(spec(&before), spec(&renamed), "{kind}");
    }
    // The controllers act on it as on any other.
    let policies = "imagepolicies.v1beta2.image.toolkit.fluxcd.io";
    demo.kubectl(&format!(
        "wait --for=condition=Ready --timeout=30s -n flux-system {policies}/before"
    ));
    let text = demo.kubectl(&format!("get {policies} -n flux-system"));
    let (titles, rows) = table(&text);
    assert_eq!(titles.join(" "), "NAME IMAGE TAG READY STATUS AGE");
    assert!(rows.iter().any(|row| row["NAME"] == "before"), "{text}");
    demo.with_input("delete", Some(&file));
}

/// Applies a changed policy, which makes the automation commit.
async fn check_commit(demo: &Demo) {
    let repository = demo.folder.path().join("git/fleet.git");
    let before = git::git(&repository, &["rev-parse", "main"]);
    // The story ends with a suspended automation.
    demo.kubectl(
        r#"patch imageupdateautomation fleet -n flux-system --type merge -p {"spec":{"suspend":false}}"#,
    );
    let objects = std::fs::read_to_string(demo.folder.path().join("objects.yaml"));
    let objects = objects.expect("the demo keeps its manifests");
    let policy = objects
        .split("---\n")
        .find(|o| o.contains("kind: ImagePolicy"));
    let policy = policy.expect("there is a policy");
    let changed = policy.replace("range: 1.x", "range: 2.x");
    assert_ne!(changed, policy);
    let file = demo.folder.path().join("policy.yaml");
    std::fs::write(&file, changed).expect("the folder is writable");
    demo.with_input("apply", Some(&file));

    let client = client(&demo.folder.path().join("kubeconfig")).await;
    let automations: kube::Api<ImageUpdateAutomation> =
        kube::Api::namespaced(client, "flux-system");
    let committed = kube::runtime::wait::await_condition(
        automations,
        "fleet",
        |automation: Option<&ImageUpdateAutomation>| {
            let status = automation.and_then(|automation| automation.status.as_ref());
            let commit = status.and_then(|status| status.last_push_commit.as_deref());
            let head = git::git(&repository, &["rev-parse", "main"]);
            commit == Some(head.as_str()) && head != before && {
                let text = git::git(&repository, &["show", "main:apps/deployment.yaml"]);
                text.contains("/acme/app:2.0.0")
            }
        },
    );
    let committed = tokio::time::timeout(PATIENCE, committed).await;
    committed
        .expect("the commit comes")
        .expect("the watch goes on");
}
