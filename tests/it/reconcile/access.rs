//! How an ImageRepository reaches its registry: Secrets, certificates, accounts and proxies that its
//! spec names, and what its conditions say when one of them is missing or refused.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::PostParams;
use serde_json::json;
use towpath::api::ImageRepository;

use super::stage::{Stage, from, lines, says};
use crate::world::proxy::Proxy;
use crate::world::registry::{Scripted, USER, answer};
use crate::world::registry_tls::{Authority, Flaw};

const TAGS: &str = r#"{"name":"team/app","tags":["1.0.0","1.1.0"]}"#;

/// A registry that asks for a certificate of the authority, and for a name and password.
async fn locked(authority: &Authority) -> Scripted {
    let config = authority.config(&authority.server(Flaw::None), true);
    let script = |seen: &crate::world::registry::Seen, _| {
        // The name and password of `USER`, in base64.
        match seen.authorization == "Basic Ym9iOnMzY3JldC13b3Jk" {
            true => answer(200, &[], TAGS),
            false => answer(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
        }
    };
    Scripted::start_tls(config, script).await
}

async fn secret(stage: &Stage, name: &str, type_: &str, data: Vec<(&str, String)>) {
    let mut secret: Secret = from(json!({"metadata": {"name": name}, "type": type_}));
    let data = data.into_iter();
    let data = data.map(|(name, value)| (name.to_owned(), ByteString(value.into_bytes())));
    secret.data = Some(data.collect());
    let created = stage
        .api::<Secret>()
        .create(&PostParams::default(), &secret)
        .await;
    created.expect("the Secret is taken");
}

/// The login of [`USER`] at a host, as a docker config has it.
fn login(host: &str) -> String {
    json!({ host: {"username": USER.0, "password": USER.1} }).to_string()
}

#[tokio::test]
async fn a_registry_is_opened_by_all_that_the_spec_names() {
    let authority = Authority::new();
    let registry = locked(&authority).await;
    let proxy = Proxy::start().await;
    let mut stage = Stage::start().await;
    let client = authority.client();
    let certificates = vec![
        ("ca.crt", authority.pem.clone()),
        ("tls.crt", client.pem.clone()),
        ("tls.key", client.key_pem()),
    ];
    let login = login(registry.host());
    let config = format!(r#"{{"auths":{login}}}"#);
    secret(&stage, "certificates", "Opaque", certificates).await;
    secret(&stage, "proxy", "Opaque", proxy.secret()).await;
    let (new, old) = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg");
    secret(&stage, "new", new, vec![(".dockerconfigjson", config)]).await;
    secret(&stage, "old", old, vec![(".dockercfg", login)]).await;
    let account: ServiceAccount = from(json!({
        "metadata": {"name": "puller"}, "imagePullSecrets": [{"name": "new"}],
    }));
    let accounts = stage.api::<ServiceAccount>();
    let created = accounts.create(&PostParams::default(), &account).await;
    created.expect("the account is taken");
    let image = format!("{}/team/app", registry.host());
    for (name, more) in [
        ("by-new", json!({"secretRef": {"name": "new"}})),
        ("by-old", json!({"secretRef": {"name": "old"}})),
        ("by-account", json!({"serviceAccountName": "puller"})),
        (
            "by-proxy",
            json!({"secretRef": {"name": "new"}, "proxySecretRef": {"name": "proxy"}}),
        ),
    ] {
        let mut spec = more;
        spec["image"] = json!(image);
        spec["interval"] = json!("1h");
        spec["certSecretRef"] = json!({"name": "certificates"});
        stage.create::<ImageRepository>(name, spec).await;
        let ready: ImageRepository = stage.until_says(name, "Ready=").await;
        assert!(says(&ready, "Ready=True"), "{name}: {:?}", lines(&ready));
    }
    assert_eq!(proxy.asked().len(), 1);

    // One Secret may hold both the certificates and, for another kind of reader, a login.
    let spec = json!({
        "image": image, "interval": "1h", "certSecretRef": {"name": "certificates"},
        "secretRef": {"name": "certificates"},
    });
    stage.create::<ImageRepository>("same", spec).await;
    let refused: ImageRepository = stage.until_says("same", "Ready=False").await;
    assert!(says(&refused, "401 Unauthorized"), "{:?}", lines(&refused));
    stage.end().await;
}

#[tokio::test]
async fn what_is_missing_or_refused_is_named_in_the_condition() {
    let busy = Scripted::start(|_, _| answer(429, &[("retry-after", "600")], "")).await;
    let open = Scripted::start(|_, _| answer(200, &[], TAGS)).await;
    let mut stage = Stage::start().await;
    secret(&stage, "empty", "Opaque", Vec::new()).await;
    let image = format!("{}/team/app", busy.host());
    for (name, more, want) in [
        (
            "secret",
            json!({"secretRef": {"name": "none"}}),
            "Ready=False AuthenticationFailed: failed to configure authentication options: \
             secret 'apps/none' not found",
        ),
        (
            "account",
            json!({"serviceAccountName": "none"}),
            "serviceaccount 'apps/none' not found",
        ),
        (
            "certificate",
            json!({"certSecretRef": {"name": "empty"}}),
            "secret 'apps/empty': certificate secret: needs ca.crt, or tls.crt and tls.key",
        ),
        (
            "proxy",
            json!({"proxySecretRef": {"name": "empty"}}),
            "secret 'apps/empty': proxy secret: key address is missing",
        ),
        (
            "gate",
            json!({"provider": "aws", "serviceAccountName": "none"}),
            "Stalled=True FeatureGateDisabled: to use spec.serviceAccountName",
        ),
        (
            "cloud",
            json!({"provider": "gcp"}),
            "Ready=False ReadOperationFailed: scan failed: gcp login: \"127.0.0.1:",
        ),
        (
            "busy",
            json!({"image": image}),
            "429 Too Many Requests (asks for no requests for 600s)",
        ),
        (
            "metadata",
            json!({"image": "169.254.169.254/team/app"}),
            "address 169.254.169.254 is link-local, which must not be asked",
        ),
    ] {
        let mut spec = more;
        if spec["image"].is_null() {
            spec["image"] = json!(format!("{}/team/app", open.host()));
        }
        spec["insecure"] = json!(true);
        spec["interval"] = json!("1h");
        stage.create::<ImageRepository>(name, spec).await;
        stage.until_says::<ImageRepository>(name, want).await;
    }
    assert!(open.seen().is_empty());
    stage.end().await;
}
