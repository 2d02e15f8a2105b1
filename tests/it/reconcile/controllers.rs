//! The controllers on the embedded API: each hop from what the world has to what a status tells.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, ResourceExt};
use serde_json::json;
use towpath::api::{
    GitRepository, ImagePolicy, ImageRepository, ImageUpdateAutomation, Kustomization,
};

use super::stage::{Registry, Stage, lines, says, within};
use crate::world::git::GitServer;

#[tokio::test]
async fn a_new_tag_is_scanned_and_chosen_without_a_poll() {
    let registry = Registry::with_tags(&["1.0.0", "latest", "v0.9.0"]).await;
    let mut stage = Stage::start().await;
    let spec = json!({"image": registry.image(), "interval": "1h", "insecure": true});
    // The policy first: it waits for its repository and is woken by it.
    let policy =
        json!({"imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": "^1"}}});
    stage.create::<ImagePolicy>("app", policy).await;
    let waiting: ImagePolicy = stage.until_says("app", "does not exist").await;
    assert!(says(&waiting, "Ready=False DependencyNotReady"));
    stage.create::<ImageRepository>("app", spec).await;
    let scanned: ImageRepository = stage.until_says("app", "Ready=True").await;
    let status = scanned.status.clone().expect("because it is ready");
    let scan = status.last_scan_result.expect("because it is ready");
    assert_eq!(scan.tag_count, 3);
    assert_eq!(scan.latest_tags, ["v0.9.0", "latest", "1.0.0"]);
    assert_eq!(status.canonical_image_name, Some(registry.image()));
    let message = format!(
        "Latest image tag for {} resolved to 1.0.0",
        registry.image()
    );
    let chosen: ImagePolicy = stage.until_says("app", &message).await;
    assert_eq!(lines(&chosen), [format!("Ready=True Succeeded: {message}")]);

    registry.push("1.1.0");
    stage.request::<ImageRepository>("app", "one").await;
    let before = format!("resolved to 1.1.0 (previously {}:1.0.0)", registry.image());
    stage.until_says::<ImagePolicy>("app", &before).await;
    stage.event("successful scan: found 4 tags").await;
    // After a restart nothing is due and the choice stands.
    stage.restart().await;
    stage.request::<ImagePolicy>("app", "two").await;
    let handled = |policy: &ImagePolicy| {
        let status = policy.status.as_ref();
        status.and_then(|s| s.last_handled_reconcile_at.as_deref()) == Some("two")
    };
    let chosen: ImagePolicy = stage.until("app", handled).await;
    assert!(says(&chosen, &before));
    stage.end().await;
}

#[tokio::test]
async fn a_failed_scan_tells_keeps_the_last_and_recovers() {
    let registry = Registry::with_tags(&["1.0.0"]).await;
    let mut stage = Stage::start().await;
    let spec = json!({"image": registry.image(), "interval": "1h", "insecure": true});
    stage.create::<ImageRepository>("app", spec).await;
    stage
        .until_says::<ImageRepository>("app", "Ready=True")
        .await;
    registry.clear();
    stage.request::<ImageRepository>("app", "one").await;
    let failed: ImageRepository = stage
        .until_says("app", "Ready=False ReadOperationFailed")
        .await;
    assert!(says(&failed, "scan failed: "), "{:?}", lines(&failed));
    let status = failed.status.expect("because it has conditions");
    assert_eq!(status.last_scan_result.map(|scan| scan.tag_count), Some(1));
    assert_eq!(status.last_handled_reconcile_at.as_deref(), Some("one"));
    registry.push("1.0.1");
    let good: ImageRepository = stage.until_says("app", "Ready=True").await;
    let scan = good.status.and_then(|status| status.last_scan_result);
    let latest = scan.map(|scan| scan.latest_tags);
    assert_eq!(latest, Some(vec!["1.0.1".to_owned()]));
    stage.end().await;
}

#[tokio::test]
async fn a_missing_secret_is_told() {
    let mut stage = Stage::start().await;
    let spec =
        json!({"image": "ghcr.io/acme/app", "interval": "1h", "secretRef": {"name": "pull"}});
    stage.create::<ImageRepository>("app", spec).await;
    let failed: ImageRepository = stage.until_says("app", "AuthenticationFailed").await;
    let message = "failed to configure authentication options: secret 'apps/pull' not found";
    assert!(says(&failed, message), "{:?}", lines(&failed));
    stage.end().await;
}

#[tokio::test]
async fn a_commit_becomes_an_artifact_that_a_restart_keeps() {
    let git = GitServer::with_repository(&[("apps/web.yaml", "a: 1\n")]).await;
    let mut stage = Stage::start().await;
    let spec = json!({"url": git.url("repo.git"), "interval": "1h", "ref": {"branch": "main"}});
    stage.create::<GitRepository>("fleet", spec).await;
    let first: GitRepository = stage.until_says("fleet", "Ready=True").await;
    let commit = git.commit("repo.git", "main", &[("apps/web.yaml", "a: 2\n")]);
    stage.request::<GitRepository>("fleet", "one").await;
    let message = format!("stored artifact for revision 'main@sha1:{commit}'");
    let second: GitRepository = stage.until_says("fleet", &message).await;
    assert_eq!(
        lines(&second),
        [
            format!("Ready=True Succeeded: {message}"),
            format!("ArtifactInStorage=True Succeeded: {message}")
        ]
    );
    let artifact = |object: &GitRepository| {
        let status = object.status.as_ref();
        status
            .and_then(|status| status.artifact.clone())
            .expect("because it is ready")
    };
    assert_ne!(artifact(&first).digest, artifact(&second).digest);
    assert_eq!(
        artifact(&second).path,
        format!("gitrepository/apps/fleet/{commit}.tar.gz")
    );
    stage.restart().await;
    stage.request::<GitRepository>("fleet", "two").await;
    let handled = |object: &GitRepository| {
        let status = object.status.as_ref();
        status.and_then(|s| s.last_handled_reconcile_at.as_deref()) == Some("two")
    };
    let third: GitRepository = stage.until("fleet", handled).await;
    assert_eq!(artifact(&third), artifact(&second));
    stage.end().await;
}

/// Waits until a ConfigMap has a value under `a`.
async fn until_a_is(maps: &Api<ConfigMap>, name: &str, value: &str) -> ConfigMap {
    let is_so = |map: Option<&ConfigMap>| {
        let data = map.and_then(|map| map.data.as_ref());
        data.and_then(|data| data.get("a")).map(String::as_str) == Some(value)
    };
    let map = within(await_condition(maps.clone(), name, is_so)).await;
    map.expect("the watch goes on")
        .expect("because the condition asks for an object")
}

fn map(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\ndata:\n  a: \"{value}\"\n")
}

#[tokio::test]
async fn an_artifact_is_applied_repaired_and_pruned() {
    let git = GitServer::with_repository(&[("apps/web.yaml", &map("1"))]).await;
    let mut stage = Stage::start().await;
    let maps: Api<ConfigMap> = stage.api();
    let spec = json!({"interval": "1h", "prune": true, "path": "./apps", "targetNamespace": "apps",
        "sourceRef": {"kind": "GitRepository", "name": "fleet"}, "wait": true});
    stage.create::<Kustomization>("web", spec).await;
    stage
        .until_says::<Kustomization>("web", "ArtifactFailed")
        .await;
    let spec = json!({"url": git.url("repo.git"), "interval": "1h", "ref": {"branch": "main"}});
    stage.create::<GitRepository>("fleet", spec).await;
    let applied: Kustomization = stage.until_says("web", "Ready=True").await;
    let status = applied.status.expect("because it is ready");
    let inventory = status.inventory.expect("because something was applied");
    let ids: Vec<_> = inventory
        .entries
        .iter()
        .map(|entry| entry.id.as_str())
        .collect();
    assert_eq!(ids, ["apps_web__ConfigMap"]);
    let first = until_a_is(&maps, "web", "1").await;

    // A new commit travels by the change of the source's status.
    git.commit("repo.git", "main", &[("apps/web.yaml", &map("2"))]);
    stage.request::<GitRepository>("fleet", "one").await;
    until_a_is(&maps, "web", "2").await;
    // A change by hand is seen by watch and repaired.
    stage.until_says::<Kustomization>("web", "Ready=True").await;
    let by_hand = Patch::Merge(json!({"data": {"a": "by hand"}}));
    let patched = maps.patch("web", &PatchParams::default(), &by_hand).await;
    patched.expect("the patch is taken");
    until_a_is(&maps, "web", "2").await;
    // The applied object goes with the Kustomization.
    let kustomizations: Api<Kustomization> = stage.api();
    let deleted = kustomizations.delete("web", &DeleteParams::default()).await;
    deleted.expect("the deletion is taken");
    let uid = first.uid().expect("because the server gives it one");
    within(await_condition(maps, "web", conditions::is_deleted(&uid)))
        .await
        .expect("the object goes");
    stage.end().await;
}

fn deployment(image: &str) -> String {
    [
        "apiVersion: apps/v1",
        "kind: Deployment",
        "metadata:",
        "  name:   web   # kept as it is",
        "spec:",
        "  selector: {matchLabels: {app: web}}",
        "  template:",
        "    metadata: {labels: {app: web}}",
        "    spec:",
        "      containers:",
        "        - name: web",
        &format!("          image: {image} # {{\"$imagepolicy\": \"apps:app\"}}"),
        "",
    ]
    .join("\n")
}

/// Creates the five objects of a river and waits until nothing is left to do.
async fn river(stage: &Stage, image: &str, url: &str) {
    let spec = json!({"url": url, "interval": "1h", "ref": {"branch": "main"}});
    stage.create::<GitRepository>("fleet", spec).await;
    let spec = json!({"interval": "1h", "prune": true, "path": "./apps", "targetNamespace": "apps",
        "sourceRef": {"kind": "GitRepository", "name": "fleet"}});
    stage.create::<Kustomization>("web", spec).await;
    let spec = json!({"image": image, "interval": "1h", "insecure": true});
    stage.create::<ImageRepository>("app", spec).await;
    let spec =
        json!({"imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": "^1"}}});
    stage.create::<ImagePolicy>("app", spec).await;
    let spec = json!({"interval": "1h", "sourceRef": {"kind": "GitRepository", "name": "fleet"},
        "git": {"commit": {"author": {"name": "bot", "email": "bot@example.com"},
            "messageTemplate": "Update{{ range .Changed.Changes }} {{ .NewValue }}{{ end }}"}},
        "update": {"path": "./apps", "strategy": "Setters"}});
    stage.create::<ImageUpdateAutomation>("bot", spec).await;
    let is_settled = |object: &ImageUpdateAutomation| {
        let status = object.status.as_ref();
        says(object, "Ready=True") && status.is_some_and(|s| s.observed_policies.len() == 1)
    };
    let ready = stage.until("bot", is_settled).await;
    assert_eq!(
        lines(&ready),
        ["Ready=True Succeeded: repository up-to-date"]
    );
    stage.until_says::<Kustomization>("web", "Ready=True").await;
}

#[tokio::test]
async fn a_pushed_tag_becomes_a_commit_an_artifact_and_an_applied_object() {
    let registry = Registry::with_tags(&["1.0.0"]).await;
    let image = registry.image();
    let before = deployment(&format!("{image}:1.0.0"));
    let git = GitServer::with_repository(&[("apps/web.yaml", &before)]).await;
    let mut stage = Stage::start().await;
    river(&stage, &image, &git.url("repo.git")).await;
    git.take_requests();

    registry.push("1.1.0");
    stage.request::<ImageRepository>("app", "one").await;
    let deployments: Api<Deployment> = stage.api();
    let wanted = format!("{image}:1.1.0");
    let is_applied = |object: Option<&Deployment>| {
        let pod = object.and_then(|object| object.spec.template.spec.as_ref());
        pod.is_some_and(|pod| pod.containers[0].image.as_ref() == Some(&wanted))
    };
    within(await_condition(deployments, "web", is_applied))
        .await
        .expect("the watch goes on");
    // The source took the commit from the automation's hands: nothing was fetched for it.
    let requests = git.take_requests();
    let is_push = |request: &&String| request.contains("git-receive-pack");
    assert!(
        requests.iter().any(|request| is_push(&request)),
        "{requests:?}"
    );
    let n_listed = requests.iter().filter(|request| !is_push(request)).count();
    assert!(
        n_listed <= 2,
        "more than one look at the remote: {requests:?}"
    );
    let has_pushed = |object: &ImageUpdateAutomation| {
        let status = object.status.as_ref();
        status.is_some_and(|status| status.last_push_commit.is_some())
    };
    let pushed = stage.until("bot", has_pushed).await;
    let commit = git.git("repo.git", &["rev-parse", "main"]);
    let status = pushed.status.expect("because it pushed");
    assert_eq!(status.last_push_commit.as_ref(), Some(&commit));
    let revision = format!("main@sha1:{commit}");
    assert_eq!(status.observed_source_revision, Some(revision));
    // The scalar's bytes are written and nothing else is.
    let after = git.git("repo.git", &["show", "main:apps/web.yaml"]);
    assert_eq!(after.trim_end(), deployment(&wanted).trim_end());
    let message = git.git("repo.git", &["log", "-1", "--format=%an <%ae> %B", "main"]);
    let want = format!("bot <bot@example.com> Update {wanted}\n\nTowpath-Update: ");
    let state = message.strip_prefix(&want).unwrap_or_default();
    assert_eq!(state.trim_end().len(), 32, "{message}");
    git.check("repo.git");
    let event = format!("pushed commit '{}' to branch 'main'", &commit[..7]);
    stage.event(&event).await;
    stage.end().await;
}

#[tokio::test]
async fn a_refused_push_shows_the_hook_and_recovers_without_a_second_commit() {
    let registry = Registry::with_tags(&["1.0.0"]).await;
    let image = registry.image();
    let before = deployment(&format!("{image}:1.0.0"));
    let broken = "a: [\n# {\"$imagepolicy\": \"apps:app\"}\n";
    let files = [("apps/web.yaml", before.as_str()), ("broken.yaml", broken)];
    let git = GitServer::with_repository(&files).await;
    let mut stage = Stage::start().await;
    river(&stage, &image, &git.url("repo.git")).await;
    let refusal = "#!/bin/sh\necho 'no robots on this branch' >&2\nexit 1\n";
    git.hook("repo.git", "pre-receive", refusal);
    registry.push("1.1.0");
    stage.request::<ImageRepository>("app", "one").await;
    let failed: ImageUpdateAutomation = stage.until_says("bot", "no robots on this branch").await;
    assert!(says(
        &failed,
        "Ready=False GitOperationFailed: failed to update source: failed to push"
    ));
    let status = failed.status.expect("because it has conditions");
    assert_eq!(status.last_push_commit, None);
    assert_eq!(status.observed_policies["app"].tag, "1.0.0");

    git.hook("repo.git", "pre-receive", "#!/bin/sh\nexit 0\n");
    // Somebody else is faster than the first push that is taken.
    git.before_push(|root| {
        let repository = root.join("repo.git");
        crate::world::git::commit(&repository, "main", &[("README.md", "by hand\n")]);
    });
    let has_pushed = |object: &ImageUpdateAutomation| {
        let status = object.status.as_ref();
        status.is_some_and(|status| status.last_push_commit.is_some())
    };
    stage.until("bot", has_pushed).await;
    let log = git.git("repo.git", &["log", "--format=%an %s", "-2", "main"]);
    assert!(log.starts_with("bot Update"), "{log}");
    assert_eq!(log.matches("bot Update").count(), 1, "{log}");
    let kept = git.git("repo.git", &["show", "main:README.md"]);
    assert_eq!(kept, "by hand");
    let after = git.git("repo.git", &["show", "main:apps/web.yaml"]);
    assert_eq!(
        after.trim_end(),
        deployment(&format!("{image}:1.1.0")).trim_end()
    );
    stage.end().await;
}
