//! Bad input through all controllers: each fault is told in the condition that Flux gives, names the
//! thing, leaves the last good state alone, and is over by itself when its cause is.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::response::Response;
use base64::Engine as _;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::api::{ListParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde_json::json;
use towpath::api::{
    GitRepository, ImagePolicy, ImageRepository, ImageUpdateAutomation, Kustomization,
};

use crate::reconcile::stage::{Stage, from, lines, says};
use crate::world::fleet::{Fleet, MARKED, REPOSITORY, USER, deployments, image_of};
use crate::world::git::{GitServer, Options};
use crate::world::process::{PATIENCE, Process};
use crate::world::registry::{Scripted, answer};

/// The password of the Git server; it must be nowhere.
const PASSWORD: &str = USER.1;

/// Makes the answer to one request for tags.
type Fault = fn() -> Response;

/// Lets a scanned repository meet a fault that a condition tells by `text`, and lets that pass.
async fn check_registry(fault: Fault, text: &str) {
    let is_broken = Arc::new(AtomicBool::new(false));
    let current = Arc::clone(&is_broken);
    let registry = Scripted::start(move |seen, _| {
        match seen.path.contains("/tags/list") && current.load(Ordering::SeqCst) {
            true => fault(),
            false => answer(200, &[], r#"{"name": "acme/app", "tags": ["1.0.0"]}"#),
        }
    });
    let registry = registry.await;
    let mut stage = Stage::start().await;
    let image = format!("{}/acme/app", registry.host());
    let spec = json!({"image": image, "interval": "1h", "insecure": true});
    stage.create::<ImageRepository>("app", spec).await;
    stage
        .until_says::<ImageRepository>("app", "Ready=True")
        .await;
    is_broken.store(true, Ordering::SeqCst);
    stage.request::<ImageRepository>("app", "one").await;
    let reason = "Ready=False ReadOperationFailed";
    let failed: ImageRepository = stage.until_says("app", reason).await;
    for text in [
        text,
        registry.host(),
        "Reconciling=True ProgressingWithRetry",
    ] {
        assert!(says(&failed, text), "{text}: {:?}", lines(&failed));
    }
    let scan = failed.status.and_then(|status| status.last_scan_result);
    let latest = scan.map(|scan| scan.latest_tags);
    assert_eq!(latest, Some(vec!["1.0.0".to_owned()]));
    is_broken.store(false, Ordering::SeqCst);
    stage
        .until_says::<ImageRepository>("app", "Ready=True")
        .await;
    stage.end().await;
}

#[tokio::test]
async fn a_registry_that_wants_a_password_keeps_the_last_scan() {
    check_registry(|| answer(401, &[], ""), "401 Unauthorized").await;
}

#[tokio::test]
async fn a_registry_that_wants_quiet_keeps_the_last_scan() {
    check_registry(|| answer(429, &[], ""), "429 Too Many Requests").await;
}

#[tokio::test]
async fn a_registry_that_is_down_keeps_the_last_scan() {
    check_registry(|| answer(503, &[], ""), "503 Service Unavailable").await;
}

#[tokio::test]
async fn a_registry_whose_pages_go_round_keeps_the_last_scan() {
    let fault = || {
        let link = [("link", "</v2/acme/app/tags/list?last=x>; rel=\"next\"")];
        answer(200, &link, r#"{"name": "acme/app", "tags": ["x"]}"#)
    };
    check_registry(fault, "page").await;
}

#[tokio::test]
async fn a_branch_that_goes_keeps_its_artifact_until_it_is_back() {
    let git = GitServer::with_repository(&[("a.yaml", "a: 1\n")]).await;
    let mut stage = Stage::start().await;
    let spec = json!({"url": git.url("repo.git"), "interval": "1h", "ref": {"branch": "main"}});
    stage.create::<GitRepository>("fleet", spec).await;
    let good: GitRepository = stage.until_says("fleet", "Ready=True").await;
    let artifact = |object: &GitRepository| {
        let status = object.status.as_ref();
        status.and_then(|status| status.artifact.clone())
    };
    let commit = git.git("repo.git", &["rev-parse", "main"]);
    git.git("repo.git", &["branch", "other", "main"]);
    git.git("repo.git", &["update-ref", "-d", "refs/heads/main"]);
    stage.request::<GitRepository>("fleet", "one").await;
    let failed: GitRepository = stage.until_says("fleet", "Ready=False").await;
    for text in ["Ready=False GitOperationFailed", "FetchFailed=True"] {
        assert!(says(&failed, text), "{:?}", lines(&failed));
    }
    assert!(says(&failed, "main"), "{:?}", lines(&failed));
    assert_eq!(artifact(&failed), artifact(&good));
    git.git("repo.git", &["update-ref", "refs/heads/main", &commit]);
    let back: GitRepository = stage.until_says("fleet", "Ready=True").await;
    assert!(!says(&back, "FetchFailed"), "{:?}", lines(&back));
    stage.end().await;
}

#[tokio::test]
async fn an_empty_repository_is_told_until_it_has_a_commit() {
    let git = GitServer::start(Options::default()).await;
    git.create("repo.git");
    let mut stage = Stage::start().await;
    let spec = json!({"url": git.url("repo.git"), "interval": "1h", "ref": {"branch": "main"}});
    stage.create::<GitRepository>("fleet", spec).await;
    let failed: GitRepository = stage.until_says("fleet", "Ready=False").await;
    assert!(says(&failed, "empty"), "{:?}", lines(&failed));
    git.commit("repo.git", "main", &[("a.yaml", "a: 1\n")]);
    stage
        .until_says::<GitRepository>("fleet", "Ready=True")
        .await;
    stage.end().await;
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\ndata:\n  a: \"1\"\n";

#[tokio::test]
async fn a_build_or_an_object_that_is_refused_keeps_what_is_applied() {
    let good = "resources: [web.yaml]\n";
    let git = GitServer::with_repository(&[
        ("apps/web.yaml", MAP),
        ("apps/kustomization.yaml", good),
        ("apps/round/kustomization.yaml", "resources: [../]\n"),
        ("apps/far.yaml", MAP),
    ])
    .await;
    let mut stage = Stage::start().await;
    let spec = json!({"url": git.url("repo.git"), "interval": "1h", "ref": {"branch": "main"}});
    stage.create::<GitRepository>("fleet", spec).await;
    let spec = json!({"interval": "1h", "prune": true, "path": "./apps", "targetNamespace": "apps",
        "sourceRef": {"kind": "GitRepository", "name": "fleet"}});
    stage.create::<Kustomization>("web", spec).await;
    let applied: Kustomization = stage.until_says("web", "Ready=True").await;
    let inventory = |object: &Kustomization| {
        let status = object.status.clone().unwrap_or_default();
        (status.inventory, status.last_applied_revision)
    };
    let mut before = inventory(&applied);
    let refused = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: Not_A_Name\n";
    let faults = [
        (
            "resources: [web.yaml, gone.yaml]\n",
            "BuildFailed",
            "gone.yaml",
        ),
        ("resources: [web.yaml, round]\n", "BuildFailed", "cycle"),
        (
            "resources: [web.yaml, ../../../etc/passwd]\n",
            "BuildFailed",
            "etc/passwd",
        ),
        (
            "resources: [web.yaml, refused.yaml]\n",
            "ReconciliationFailed",
            "ConfigMap/apps/Not_A_Name",
        ),
    ];
    for (text, reason, names) in faults {
        let files = [
            ("apps/kustomization.yaml", text),
            ("apps/refused.yaml", refused),
        ];
        git.commit("repo.git", "main", &files);
        stage.request::<GitRepository>("fleet", text).await;
        let failed: Kustomization = stage.until_says("web", names).await;
        let reason = format!("Ready=False {reason}: ");
        assert!(says(&failed, &reason), "{text}: {:?}", lines(&failed));
        assert_eq!(inventory(&failed), before, "{text}");
        let maps: Api<ConfigMap> = stage.api();
        let map = maps.get_opt("web").await.expect("the API answers");
        assert!(map.is_some(), "{text}: what is applied stays");
        git.commit("repo.git", "main", &[("apps/kustomization.yaml", good)]);
        stage
            .request::<GitRepository>("fleet", &format!("{text}, good"))
            .await;
        let revision = format!("main@sha1:{}", git.git("repo.git", &["rev-parse", "main"]));
        let is_back = |object: &Kustomization| {
            says(object, "Ready=True") && inventory(object).1.as_ref() == Some(&revision)
        };
        let back: Kustomization = stage.until("web", is_back).await;
        assert_eq!(inventory(&back).0, before.0);
        before = inventory(&back);
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_push_is_quoted_without_secrets_and_lands_when_it_may() {
    let fleet = Fleet::start().await;
    let variables = [("TOWPATH_LOG", "debug")];
    let process = Process::run(&fleet.data(), &fleet.objects(), &variables).await;
    let is_ready = |object: &Kustomization| says(object, "Ready=True");
    process.until(process.flux(), "apps", is_ready).await;
    let before = fleet.head();
    let script = format!("echo 'frozen until Monday, {PASSWORD}' >&2; exit 1");
    fleet.git.hook(REPOSITORY, "pre-receive", &script);
    fleet.push_image("1.1.0").await;
    process.request::<ImageRepository>("app", "the tag").await;
    let is_refused = |object: &ImageUpdateAutomation| says(object, "frozen until Monday");
    let refused = process.until(process.flux(), "fleet", is_refused).await;
    let reason =
        "Ready=False GitOperationFailed: failed to update source: failed to push to remote";
    assert!(says(&refused, reason), "{:?}", lines(&refused));
    assert!(
        says(&refused, "pre-receive hook declined"),
        "{:?}",
        lines(&refused)
    );
    assert_eq!(fleet.head(), before);

    let hook = fleet.git.path(REPOSITORY).join("hooks/pre-receive");
    std::fs::remove_file(hook).expect("it is there");
    let image = format!("{}:1.1.0", fleet.image());
    let is_new = |deployment: &_| image_of(deployment) == image;
    process
        .until(deployments(process.client()), "app", is_new)
        .await;
    let is_well = |object: &ImageUpdateAutomation| says(object, "Ready=True");
    process.until(process.flux(), "fleet", is_well).await;
    check_nowhere(&process).await;
}

/// Fails if a secret is in a status, an event or a log.
async fn check_nowhere(process: &Process) {
    async fn all<K>(client: Client) -> String
    where
        K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug,
        K: serde::Serialize + serde::de::DeserializeOwned,
    {
        let list = Api::<K>::all(client).list(&ListParams::default()).await;
        let items = list.expect("the API lists").items;
        assert!(!items.is_empty(), "there is a {}", K::kind(&()));
        serde_json::to_string(&items).expect("objects are JSON")
    }
    let client = || process.client();
    let texts = [
        all::<ImageRepository>(client()).await,
        all::<ImagePolicy>(client()).await,
        all::<ImageUpdateAutomation>(client()).await,
        all::<GitRepository>(client()).await,
        all::<Kustomization>(client()).await,
        all::<Event>(client()).await,
        process.said(),
    ];
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let secrets = [
        PASSWORD.to_owned(),
        encode(PASSWORD),
        encode(&format!("{}:{PASSWORD}", USER.0)),
    ];
    for text in texts {
        for secret in &secrets {
            let place = text
                .find(secret)
                .map(|at| &text[at.saturating_sub(200)..at]);
            assert_eq!(place, None, "a secret is after this text");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_files_and_marks_without_policies_do_not_hold_up_good_ones() {
    let fleet = Fleet::start().await;
    let marked = |policy: &str| {
        let mark = format!("{{\"$imagepolicy\": \"{policy}\"}}");
        format!("image: {}:1.0.0 # {mark}\n", fleet.image())
    };
    let files = [
        (
            "apps/broken.yaml",
            format!("a: [1\n{}", marked("flux-system:app")),
        ),
        ("apps/unknown.yaml", marked("flux-system:nobody")),
        ("apps/foreign.yaml", marked("apps:app")),
    ];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let before = fleet.git.commit(REPOSITORY, "main", &files);
    let process = Process::run(&fleet.data(), &fleet.objects(), &[]).await;
    // The foreign policy chooses too; automations write for their own namespace alone.
    let repository: ImageRepository = from(json!({"metadata": {"name": "app"},
        "spec": {"image": fleet.image(), "insecure": true, "interval": "1h"}}));
    let policy: ImagePolicy = from(json!({"metadata": {"name": "app"}, "spec":
        {"imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": "1.x"}}}}));
    let parameters = PostParams::default();
    let repositories = Api::namespaced(process.client(), "apps");
    let created = repositories.create(&parameters, &repository).await;
    created.expect("the repository is taken");
    let policies: Api<ImagePolicy> = Api::namespaced(process.client(), "apps");
    let created = policies.create(&parameters, &policy).await;
    created.expect("the policy is taken");
    let has_chosen = |object: &ImagePolicy| says(object, "Ready=True");
    process.until(policies, "app", has_chosen).await;

    fleet.push_image("1.1.0").await;
    process.request::<ImageRepository>("app", "the tag").await;
    let image = format!("{}:1.1.0", fleet.image());
    let is_new = |deployment: &_| image_of(deployment) == image;
    process
        .until(deployments(process.client()), "app", is_new)
        .await;
    let changed = fleet.git(&["diff", "--name-only", &before, "main"]);
    assert_eq!(changed.lines().collect::<Vec<_>>(), MARKED);
    let is_well = |object: &ImageUpdateAutomation| says(object, "Ready=True");
    process.until(process.flux(), "fleet", is_well).await;
    let told = told_by_events(&process, &["apps/broken.yaml:", "apps/unknown.yaml:"]).await;
    // Another namespace's automations may write those.
    assert!(!told.contains("apps/foreign.yaml:"), "{told}");
}

/// Waits until events have told all of the texts, and returns all messages.
async fn told_by_events(process: &Process, texts: &[&str]) -> String {
    let events = watcher(process.flux::<Event>(), watcher::Config::default());
    let mut events = pin!(events.applied_objects());
    let mut told = String::new();
    while !texts.iter().all(|text| told.contains(text)) {
        let next = tokio::time::timeout(PATIENCE, events.next()).await;
        let event = next.unwrap_or_else(|_| panic!("only this was told: {told}"));
        let event = event.expect("the watch goes on").expect("it is an event");
        told.push_str(&event.message.unwrap_or_default());
        told.push('\n');
    }
    told
}
