//! How sources and automations get to their repository, as the cluster tells it: ssh, providers, proxies,
//! signing keys.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use towpath::api::{GitRepository, ImageUpdateAutomation};

use super::stage::{Stage, lines, says};
use crate::world::git::GitServer;
use crate::world::github::Github;
use crate::world::keys::SshKey;
use crate::world::sshd::{Options, Sshd};

/// Creates or replaces a Secret.
async fn secret(stage: &Stage, name: &str, data: &[(&'static str, String)]) {
    let data: serde_json::Map<String, Value> = data
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone().into()))
        .collect();
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "stringData": data});
    let (parameters, patch) = (PatchParams::apply("test"), Patch::Apply(object));
    let applied = stage.api::<Secret>().patch(name, &parameters, &patch).await;
    applied.expect("the Secret is taken");
}

#[tokio::test]
async fn gt9_a_source_over_ssh_keeps_its_artifact_when_the_host_shows_another_key() {
    let git = GitServer::with_repository(&[("a.yaml", "a: 1\n")]).await;
    let sshd = Sshd::start(Options::default()).await;
    let mut stage = Stage::start().await;
    secret(&stage, "key", &sshd.secret()).await;
    let url = sshd.url(&git.path("repo.git"));
    let spec = json!({"url": url, "interval": "1h", "ref": {"branch": "main"},
        "secretRef": {"name": "key"}});
    stage.create::<GitRepository>("fleet", spec).await;
    let ready: GitRepository = stage.until_says("fleet", "Ready=True").await;
    let artifact = |object: &GitRepository| object.status.clone().and_then(|s| s.artifact);

    let mut changed = sshd.secret();
    let other = SshKey::ed25519().public_key();
    for (key, value) in &mut changed {
        if *key == "known_hosts" {
            let place = value.split(' ').next().unwrap_or_default();
            *value = format!("{place} {other}\n");
        }
    }
    secret(&stage, "key", &changed).await;
    stage.request::<GitRepository>("fleet", "one").await;
    let failed: GitRepository = stage.until_says("fleet", "knownhosts: key mismatch").await;
    let line = "FetchFailed=True GitOperationFailed: failed to checkout and determine revision: ";
    assert!(says(&failed, line), "{:?}", lines(&failed));
    assert_eq!(artifact(&failed), artifact(&ready));
    stage.end().await;
}

#[tokio::test]
async fn providers_and_secrets_that_do_not_belong_together_are_told() {
    let github = Github::start().await;
    let mut stage = Stage::start().await;
    secret(&stage, "app", &github.secret(false)).await;
    secret(&stage, "basic", &[("username", "bob".to_owned())]).await;
    let url = "https://localhost:1/fleet";
    let app_data =
        "secretRef with github app data must be specified when provider is set to github";
    for (name, spec, want) in [
        ("no-secret", json!({"provider": "github"}), app_data),
        (
            "no-app",
            json!({"provider": "github", "secretRef": {"name": "basic"}}),
            "secretRef 'apps/basic' with github app data must be specified",
        ),
        (
            "no-provider",
            json!({"secretRef": {"name": "app"}}),
            "secretRef 'apps/app' has github app data but provider is not set to github",
        ),
    ] {
        let mut all = json!({"url": url, "interval": "1h"});
        let fields = spec.as_object().expect("it is written out").clone();
        all.as_object_mut()
            .expect("it is written out")
            .extend(fields);
        stage.create::<GitRepository>(name, all).await;
        let stalled: GitRepository = stage.until_says(name, want).await;
        let line = format!("Stalled=True InvalidProviderConfiguration: {want}");
        assert!(says(&stalled, &line), "{:?}", lines(&stalled));
    }
    let spec = json!({"url": url, "interval": "1h", "proxySecretRef": {"name": "basic"}});
    stage.create::<GitRepository>("no-proxy", spec).await;
    let failed: GitRepository = stage.until_says("no-proxy", "has no \"address\"").await;
    assert!(says(
        &failed,
        "FetchFailed=True AuthenticationFailed: secret \"apps/basic\""
    ));
    stage.end().await;
}

#[tokio::test]
async fn a_signing_key_that_is_not_there_is_told_and_nothing_is_pushed() {
    let git = GitServer::with_repository(&[("a.yaml", "a: 1\n")]).await;
    let mut stage = Stage::start().await;
    let spec = json!({"url": git.url("repo.git"), "interval": "1h", "ref": {"branch": "main"}});
    stage.create::<GitRepository>("fleet", spec).await;
    let spec = json!({"interval": "1h", "sourceRef": {"kind": "GitRepository", "name": "fleet"},
        "git": {"commit": {"author": {"email": "bot@example.com"},
            "signingKey": {"type": "ssh", "secretRef": {"name": "signing"}}}}});
    stage.create::<ImageUpdateAutomation>("bot", spec).await;
    let line = "Ready=False SourceManagerFailed: failed configuring source manager: failed to get \
                signing key: secret 'apps/signing' not found";
    stage.until_says::<ImageUpdateAutomation>("bot", line).await;
    secret(&stage, "signing", &[("identity", "s3cret".to_owned())]).await;
    stage.request::<ImageUpdateAutomation>("bot", "one").await;
    let want = "secret \"apps/signing\": the key \"identity\" is no private key";
    let failed: ImageUpdateAutomation = stage.until_says("bot", want).await;
    assert!(!says(&failed, "s3cret"), "{:?}", lines(&failed));
    secret(
        &stage,
        "signing",
        &[("identity", SshKey::ed25519().private_key())],
    )
    .await;
    stage.request::<ImageUpdateAutomation>("bot", "two").await;
    stage
        .until_says::<ImageUpdateAutomation>("bot", "Ready=True")
        .await;
    assert_eq!(git.git("repo.git", &["rev-list", "--count", "main"]), "1");
    stage.end().await;
}
