//! `towpath policy explain` about what becomes of a choice: whether a commit follows, and why none does.

use kube::Api;
use serde_json::Value;
use towpath::api::{ConditionStatus, ImageUpdateAutomation};

use super::{data, run};
use crate::world::fleet::{Fleet, MARKED, REPOSITORY, USER};
use crate::world::process::Process;

/// Runs an explanation of the fleet's policy and returns the row of its automation and what is said.
fn explained(arguments: &[&str]) -> (Value, String) {
    let arguments = [&["policy", "explain", "flux-system/app"], arguments].concat();
    let table = run(&arguments);
    assert_eq!(table.code, Some(0), "{}", table.stderr);
    let json = data(&[&arguments[..], &["-o", "json"]].concat());
    let json: Value = serde_json::from_str(&json).expect("it is JSON");
    let row = json["automations"][0].clone();
    let text = |field: &str| row[field].as_str().unwrap_or("-").to_owned();
    for part in [
        text("automation"),
        text("branch"),
        text("rule"),
        text("verdict"),
    ] {
        assert!(table.stdout.contains(&part), "{part:?} in {}", table.stdout);
    }
    let says_no = table.stderr.contains("no commit follows");
    assert_eq!(row["good"], !says_no, "{}", table.stderr);
    if let Some(hint) = row["hint"].as_str() {
        assert!(
            table.stderr.contains(&format!("hint: {hint}")),
            "{}",
            table.stderr
        );
    }
    (row, table.stderr)
}

/// Returns the fleet's objects with a change to its automation, written as `from => to`.
fn with_automation(objects: &str, change: &str) -> String {
    const KIND: &str = "kind: ImageUpdateAutomation";
    let (before, automation) = objects.split_once(KIND).expect("it is there");
    let (from, to) = change.split_once(" => ").expect("it is a change");
    let changed = automation.replacen(from, to, 1);
    assert_ne!(changed, automation, "{change}");
    format!("{before}{KIND}{changed}")
}

/// Changes to the automation, and what it makes of the choice then.
const OBSTACLES: [(&str, &str, &str); 6] = [
    (
        "spec: => spec:\n  suspend: true",
        "SUSPENDED",
        "is suspended",
    ),
    (
        "spec: => spec:\n  policySelector: {matchLabels: {team: a}}",
        "NOT_SELECTED",
        "selects policies with team=a",
    ),
    (
        "spec: => spec:\n  policySelector: {matchExpressions: [{key: a, operator: b}]}",
        "BLOCKED",
        "cannot run: failed to parse policy selector",
    ),
    (
        "name: fleet\n  git => name: other\n  git",
        "BLOCKED",
        "cannot run: failed configuring source manager: referenced git repository does not exist",
    ),
    (
        "./apps => ./nowhere",
        "UNREAD",
        "could not be looked through: walking path",
    ),
    (
        "namespace: flux-system => namespace: apps",
        "OTHER_NAMESPACE",
        "writes policies of its own namespace alone",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn manifests_say_what_each_automation_makes_of_a_choice() {
    let fleet = Fleet::start().await;
    fleet.push_image("1.1.0").await;
    let objects = std::fs::read_to_string(fleet.objects()).expect("it is written");
    let file = fleet.objects();
    let file = file.to_str().expect("the path is text");
    let (row, _) = explained(&["-f", file]);
    assert_eq!(row["rule"], "DUE");
    assert_eq!(row["branch"], "main");
    let verdict = row["verdict"].as_str().expect("it is text");
    for path in MARKED {
        assert!(verdict.contains(&format!("{path}:")), "{verdict}");
    }
    let wrong = (
        objects.replace(USER.1, "wr0ng"),
        "UNREAD",
        "could not be looked through: failed to checkout source",
    );
    let obstacles =
        OBSTACLES.map(|(change, rule, verdict)| (with_automation(&objects, change), rule, verdict));
    for (objects, rule, verdict) in obstacles.into_iter().chain([wrong]) {
        std::fs::write(fleet.objects(), &objects).expect("the folder is writable");
        let (row, said) = explained(&["-f", file]);
        assert_eq!(row["rule"], rule, "{row}");
        let told = row["verdict"].as_str().expect("it is text");
        assert!(told.starts_with(verdict), "{told}");
        assert!(!said.contains("wr0ng"), "{said}");
    }
    std::fs::write(fleet.objects(), &objects).expect("the folder is writable");
    data(&["update", "-f", file]);
    let (row, _) = explained(&["-f", file]);
    assert_eq!(
        (&row["rule"], &row["good"]),
        (&"CURRENT".into(), &true.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_stands_for_the_branch_and_a_list_of_tags_for_the_registry() {
    let fleet = Fleet::start().await;
    let file = fleet.objects();
    let file = file.to_str().expect("the path is text");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    std::fs::create_dir(folder.path().join("apps")).expect("the folder is writable");
    let tags = folder.path().join("tags");
    std::fs::write(&tags, "1.0.0\n1.1.0\n").expect("the folder is writable");
    let tags = tags.to_str().expect("the path is text");
    fleet.git.take_requests();
    for (text, rule) in [
        ("a: 1.1.0\n", "NO_MARKER"),
        (
            "a: 1.1.0 # {\"$imagepolicy\": \"flux-system:app:tag\"}\n",
            "CURRENT",
        ),
        (
            "a: 1.0.0 # {\"$imagepolicy\": \"flux-system:app:tag\"}\n",
            "DUE",
        ),
        (
            "a: 1.0.0 # {\"$imagepolicy\": \"flux-system:app:Tag\"}\n",
            "NO_EFFECT",
        ),
    ] {
        let path = folder.path();
        std::fs::write(path.join("apps/a.yaml"), text).expect("the folder is writable");
        let path = path.to_str().expect("the path is text");
        let (row, _) = explained(&["-f", file, "--path", path, "--tags-file", tags]);
        assert_eq!(row["rule"], rule, "{row}");
    }
    assert_eq!(fleet.git.take_requests(), [""; 0], "no branch was read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_says_what_keeps_a_choice_from_a_commit() {
    let fleet = Fleet::start().await;
    fleet.push_image("1.1.0").await;
    fleet.git.hook(
        REPOSITORY,
        "pre-receive",
        "echo closed for the night; exit 1",
    );
    let process = Process::run(&fleet.data(), &fleet.objects(), &[]).await;
    let automations: Api<ImageUpdateAutomation> = Api::namespaced(process.client(), "flux-system");
    let has_failed = |object: &ImageUpdateAutomation| {
        let conditions = object.status.iter().flat_map(|status| &status.conditions);
        let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
        ready.any(|ready| ready.status == ConditionStatus::False && ready.message.contains("push"))
    };
    process
        .until(automations.clone(), "fleet", has_failed)
        .await;
    let folder = fleet.data();
    let folder = folder.to_str().expect("the path is text");
    let (row, _) = explained(&["--data", folder]);
    assert_eq!(row["rule"], "FAILED");
    let verdict = row["verdict"].as_str().expect("it is text");
    assert!(verdict.contains("closed for the night"), "{verdict}");

    // The next scan is far away.
    fleet.push_image("1.2.0").await;
    let (row, _) = explained(&["--data", folder]);
    assert_eq!(row["rule"], "BEHIND");
    assert_eq!(row["verdict"], "knows the policy with 1.1.0");
    drop(process);
}
