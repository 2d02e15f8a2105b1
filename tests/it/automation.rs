//! Automations against `git http-backend`: many writers on one branch, people who edit the same lines,
//! pushes that are not recorded, markers without effect.

use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use towpath::api::{GitRepository, ImagePolicy, ImageRepository, ImageUpdateAutomation};

use crate::reconcile::stage::{NAMESPACE, Registry, Stage, says};
use crate::world::git::{GitServer, command, commit, git};

/// Automations of one branch.
const AUTOMATIONS: usize = 20;
/// People who push to the branch meanwhile.
const WRITERS: usize = 5;
/// How often each of them pushes.
const PUSHES: usize = 2;
/// What all of them together may take.
const TARGET: Duration = Duration::from_secs(5);
/// How often a person pulls and pushes again before giving up.
const TRIES: usize = 200;

/// A registry, a repository, and the controllers between them.
struct Work {
    stage: Stage,
    registry: Registry,
    git: GitServer,
}

impl Work {
    /// Starts with the tag 1.0.0 and files in which `IMAGE` stands for it.
    async fn start(files: &[(&str, &str)]) -> Self {
        let registry = Registry::with_tags(&["1.0.0"]).await;
        let image = format!("{}:1.0.0", registry.image());
        let files = files
            .iter()
            .map(|(path, text)| (*path, text.replace("IMAGE", &image)));
        let files: Vec<(&str, String)> = files.collect();
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        let git = GitServer::with_repository(&files).await;
        git.git(
            "repo.git",
            &["config", "receive.denyNonFastForwards", "true"],
        );
        let stage = Stage::start().await;
        let spec = json!({"url": git.url("repo.git"), "interval": "1h", "ref": {"branch": "main"}});
        stage.create::<GitRepository>("fleet", spec).await;
        let spec = json!({"image": registry.image(), "interval": "1h", "insecure": true});
        stage.create::<ImageRepository>("app", spec).await;
        let spec =
            json!({"imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": "^1"}}});
        stage.create::<ImagePolicy>("app", spec).await;
        Self {
            stage,
            registry,
            git,
        }
    }

    /// Creates an automation of a folder and waits until it has nothing to do.
    async fn automate(&self, name: &str, path: &str, push: Value) {
        let spec = json!({"interval": "1h", "sourceRef": {"kind": "GitRepository", "name": "fleet"},
            "git": {"commit": {"author": {"name": "bot", "email": "bot@example.com"},
                "messageTemplate": "Update {{ .AutomationObject }}"}, "push": push},
            "update": {"path": path, "strategy": "Setters"}});
        self.stage.create::<ImageUpdateAutomation>(name, spec).await;
        let is_settled = |object: &ImageUpdateAutomation| {
            let status = object.status.as_ref();
            says(object, "Ready=True") && status.is_some_and(|s| s.observed_policies.len() == 1)
        };
        self.stage.until(name, is_settled).await;
    }

    /// Pushes a tag and has it scanned.
    async fn push_tag(&self, tag: &str) {
        self.registry.push(tag);
        self.stage.request::<ImageRepository>("app", tag).await;
    }

    /// Waits until an automation tells that it has dealt with a tag.
    async fn until_written(&self, name: &str, tag: &str) -> ImageUpdateAutomation {
        let is_so = |object: &ImageUpdateAutomation| {
            let status = object.status.as_ref();
            let observed = status.and_then(|status| status.observed_policies.get("app"));
            says(object, "Ready=True") && observed.is_some_and(|latest| latest.tag == tag)
        };
        self.stage.until(name, is_so).await
    }

    fn n_commits(&self) -> usize {
        let n = self.git.git("repo.git", &["rev-list", "--count", "main"]);
        n.parse().unwrap()
    }

    fn show(&self, path: &str) -> String {
        self.git.git("repo.git", &["show", &format!("main:{path}")])
    }

    fn head(&self) -> String {
        self.git.git("repo.git", &["rev-parse", "main"])
    }
}

const MARKED: &str = "image: IMAGE # {\"$imagepolicy\": \"apps:app\"}\n";

/// Pushes files from a clone as people do: pull, push, and once more when somebody was faster.
fn push_by_hand(url: &str, folder: &Path, person: usize) {
    git(folder, &["clone", "-q", url, "."]);
    for n in 0..PUSHES {
        let name = format!("person-{person}-{n}");
        std::fs::write(folder.join(&name), &name).unwrap();
        git(folder, &["add", &name]);
        git(folder, &["commit", "-qm", &name]);
        let pushes = || {
            let push = command(folder, &["push", "-q", "origin", "main"]).output();
            push.unwrap().status.success()
        };
        let mut n_tries = 0;
        while !pushes() {
            n_tries += 1;
            assert!(n_tries < TRIES, "{name} is always late");
            git(folder, &["pull", "-q", "--rebase", "origin", "main"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gt1_twenty_automations_and_five_people_share_a_branch() {
    let paths: Vec<_> = (0..AUTOMATIONS)
        .map(|n| format!("teams/{n}/app.yaml"))
        .collect();
    let files: Vec<_> = paths.iter().map(|path| (path.as_str(), MARKED)).collect();
    let work = Work::start(&files).await;
    for n in 0..AUTOMATIONS {
        work.automate(&format!("bot-{n}"), &format!("./teams/{n}"), json!({}))
            .await;
    }
    let before = work.n_commits();
    let began = Instant::now();
    let people = (0..WRITERS).map(|person| {
        let url = work.git.url("repo.git");
        tokio::task::spawn_blocking(move || {
            let folder = tempfile::tempdir().unwrap();
            push_by_hand(&url, folder.path(), person);
        })
    });
    let people: Vec<_> = people.collect();
    work.push_tag("1.1.0").await;
    for n in 0..AUTOMATIONS {
        work.until_written(&format!("bot-{n}"), "1.1.0").await;
    }
    let automated = began.elapsed();
    for person in people {
        person.await.unwrap();
    }
    let took = began.elapsed();
    println!(
        "{AUTOMATIONS} automations: {automated:?}; with {WRITERS} people: {took:?}, target {TARGET:?}"
    );
    assert_eq!(work.n_commits(), before + AUTOMATIONS + WRITERS * PUSHES);
    for path in &paths {
        let wanted = MARKED.replace("IMAGE", &format!("{}:1.1.0", work.registry.image()));
        assert_eq!(work.show(path), wanted.trim_end());
    }
    for person in 0..WRITERS {
        for n in 0..PUSHES {
            let name = format!("person-{person}-{n}");
            assert_eq!(work.show(&name), name);
        }
    }
    let merges = work
        .git
        .git("repo.git", &["rev-list", "--merges", "--count", "main"]);
    assert_eq!(merges, "0");
    work.git.check("repo.git");
}

#[tokio::test]
async fn gt3_what_a_person_writes_beside_a_marker_stays() {
    let file = format!("a: 1\n{MARKED}");
    let mut work = Work::start(&[("app.yaml", &file)]).await;
    work.automate("bot", "./", json!({})).await;
    let image = work.registry.image();
    let theirs = format!(
        "a: 2 # mine\nimage:   \"{image}:0.9.0\"  # {{\"$imagepolicy\": \"apps:app\"}}\nb: 3\n"
    );
    let text = theirs.clone();
    work.git.before_push(move |root| {
        commit(&root.join("repo.git"), "main", &[("app.yaml", &text)]);
    });
    work.push_tag("1.1.0").await;
    work.until_written("bot", "1.1.0").await;
    assert_eq!(
        work.show("app.yaml"),
        theirs.replace("0.9.0", "1.1.0").trim_end()
    );
    assert_eq!(work.n_commits(), 3);
    work.stage.end().await;
}

#[tokio::test]
async fn a_refspec_and_options_reach_the_server_and_the_event() {
    let mut work = Work::start(&[("app.yaml", MARKED)]).await;
    work.git.git(
        "repo.git",
        &["config", "receive.advertisePushOptions", "true"],
    );
    let print = "echo \"$GIT_PUSH_OPTION_0\" > told";
    work.git.hook("repo.git", "pre-receive", print);
    let push = json!({"branch": "auto", "refspec": "refs/heads/auto:refs/heads/live",
        "options": {"merge_request.create": ""}});
    work.automate("bot", "./", push).await;
    work.push_tag("1.1.0").await;
    let written = work.until_written("bot", "1.1.0").await;
    let commit = written.status.unwrap().last_push_commit.unwrap();
    for branch in ["auto", "live"] {
        assert_eq!(work.git.git("repo.git", &["rev-parse", branch]), commit);
    }
    let told = std::fs::read_to_string(work.git.path("repo.git").join("told")).unwrap();
    assert_eq!(told, "merge_request.create=\n");
    let event = format!(
        "pushed commit '{}' to branch 'auto' and refspecs 'refs/heads/auto:refs/heads/live'\n\
         Update apps/bot",
        &commit[..7]
    );
    let event = work.stage.event(&event).await;
    assert!(!event.message.unwrap().contains("Towpath-Update"));
    work.stage.end().await;
}

#[tokio::test]
async fn gt2_a_branch_that_is_set_back_is_told_and_written_where_it_is() {
    let mut work = Work::start(&[("app.yaml", MARKED)]).await;
    work.automate("bot", "./", json!({})).await;
    let first = work.head();
    work.push_tag("1.1.0").await;
    work.until_written("bot", "1.1.0").await;
    let second = work.head();
    // What others push is followed without a word.
    work.git.commit("repo.git", "main", &[("other", "1\n")]);
    let third = work.git.commit("repo.git", "main", &[("other", "2\n")]);
    let is_seen = |commit: &str| {
        let revision = format!("main@sha1:{commit}");
        move |object: &ImageUpdateAutomation| {
            let status = object.status.as_ref();
            status.and_then(|s| s.observed_source_revision.as_ref()) == Some(&revision)
        }
    };
    work.stage
        .request::<ImageUpdateAutomation>("bot", "on")
        .await;
    work.stage.until("bot", is_seen(&third)).await;

    // At another time it is another commit.
    work.stage.set_ahead(60);
    work.git
        .git("repo.git", &["update-ref", "refs/heads/main", &first]);
    work.stage
        .request::<ImageUpdateAutomation>("bot", "back")
        .await;
    let event = work.stage.event("branch 'main' was set back").await;
    let text = format!("'{}' does not follow on '{}'", &first[..7], &third[..7]);
    assert!(event.message.as_ref().unwrap().contains(&text), "{event:?}");
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    assert_eq!(event.reason.as_deref(), Some("BranchRewritten"));
    let is_rewritten = |object: &ImageUpdateAutomation| {
        let status = object.status.as_ref();
        let commit = status.and_then(|status| status.last_push_commit.as_ref());
        says(object, "Ready=True") && commit.is_some_and(|commit| *commit != second)
    };
    let written = work.stage.until("bot", is_rewritten).await;
    let commit = written.status.unwrap().last_push_commit.unwrap();
    assert_eq!(work.head(), commit);
    assert_eq!(work.git.git("repo.git", &["rev-parse", "main^"]), first);
    assert_eq!(work.n_commits(), 2, "nothing that is gone comes back");
    let events = work.stage.api::<Event>();
    let events = events.list(&ListParams::default()).await.unwrap();
    let told = events.items.iter();
    let told = told.filter(|event| event.reason.as_deref() == Some("BranchRewritten"));
    assert_eq!(told.count(), 1);
    work.git.check("repo.git");
    work.stage.end().await;
}

#[tokio::test]
async fn gt2_a_branch_that_is_deleted_is_told_and_not_made_again() {
    let mut work = Work::start(&[("app.yaml", MARKED)]).await;
    work.automate("bot", "./", json!({})).await;
    work.git.git("repo.git", &["branch", "-m", "main", "other"]);
    work.push_tag("1.1.0").await;
    let failed: ImageUpdateAutomation = work.stage.until_says("bot", "Ready=False").await;
    assert!(says(&failed, "refs/heads/main"), "{failed:?}");
    let event = work.stage.event("failed to checkout source").await;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    let branches = ["branch", "--format=%(refname:short)"];
    assert_eq!(work.git.git("repo.git", &branches), "other");
    work.stage.end().await;
}

#[tokio::test]
async fn gt5_a_push_that_was_not_recorded_is_recorded_and_not_made_again() {
    for n_on_top in [0, 3] {
        let mut work = Work::start(&[("app.yaml", MARKED)]).await;
        work.automate("bot", "./", json!({})).await;
        let recorded = work.stage.api::<ImageUpdateAutomation>();
        let before = recorded.get_status("bot").await.unwrap().status.unwrap();
        work.push_tag("1.1.0").await;
        work.until_written("bot", "1.1.0").await;
        let pushed = work.head();
        // As if the process had ended before its last write.
        work.stage.end().await;
        for n in 0..n_on_top {
            work.git
                .commit("repo.git", "main", &[("other", &format!("{n}\n"))]);
        }
        let status = json!({"status": {"lastPushCommit": null, "lastPushTime": null,
            "observedPolicies": before.observed_policies,
            "observedSourceRevision": before.observed_source_revision}});
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(status));
        recorded
            .patch_status("bot", &parameters, &patch)
            .await
            .unwrap();
        let n_commits = work.n_commits();
        work.stage.restart().await;
        let written = work.until_written("bot", "1.1.0").await;
        assert_eq!(written.status.unwrap().last_push_commit, Some(pushed));
        assert_eq!(work.n_commits(), n_commits);
        work.stage.end().await;
    }
}

#[tokio::test]
async fn after_a_restart_no_file_is_read_that_was_seen() {
    let typo = format!("{MARKED}b: x # {{\"$imagepolicy\": \"apps:nobody\"}}\n");
    let files = [
        ("one/app.yaml", MARKED),
        ("two/app.yaml", typo.as_str()),
        ("two/plain.yaml", "a: 1\n"),
    ];
    let mut work = Work::start(&files).await;
    work.automate("bot", "./", json!({})).await;
    assert_eq!(work.stage.markers.n_read(), 3);
    work.stage.restart().await;
    work.push_tag("1.1.0").await;
    work.until_written("bot", "1.1.0").await;
    assert_eq!(work.stage.markers.n_read(), 0);
    work.stage.end().await;
}

#[tokio::test]
async fn a_marker_without_effect_is_told_once_and_one_that_waits_is_not() {
    let typo =
        "b: x # {\"$imagepolicy\": \"apps:app:Tag\"}\nc: y # {\"$imagepolicy\": \"apps:later\"}\n";
    let file = format!("{MARKED}{typo}");
    let mut work = Work::start(&[("app.yaml", &file)]).await;
    let spec =
        json!({"imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": "^9"}}});
    work.stage.create::<ImagePolicy>("later", spec).await;
    work.automate("bot", "./", json!({})).await;
    work.stage.event("app.yaml:2: ").await;
    work.push_tag("1.1.0").await;
    work.until_written("bot", "1.1.0").await;
    work.stage.event("pushed commit").await;
    let events = work
        .stage
        .api::<Event>()
        .list(&ListParams::default())
        .await
        .unwrap();
    let told: Vec<_> = events
        .items
        .iter()
        .filter_map(|event| event.message.as_deref())
        .collect();
    let told: Vec<_> = told
        .into_iter()
        .filter(|text| text.contains("app.yaml:"))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("apps:app:Tag"), "{told:?}");
    assert!(!told[0].contains("later"), "{told:?}");
    assert!(
        events
            .items
            .iter()
            .all(|event| event.metadata.namespace.as_deref() == Some(NAMESPACE))
    );
    work.stage.end().await;
}
