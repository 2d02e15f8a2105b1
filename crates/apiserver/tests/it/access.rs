//! Who may do what: tokens, roles, impersonation, and the kubeconfig.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use apiserver::{Identity, Options, Server};
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tower::ServiceExt;

use crate::client::{MAPS, World, config_map};

/// Sends a GET as somebody and returns the code and the message.
async fn get_as(
    world: &World,
    identity: Identity,
    headers: &[(&str, &str)],
    path: &str,
) -> (u16, Value) {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    let response = world
        .server
        .service(identity)
        .oneshot(request)
        .await
        .expect("an answer");
    let code = response.status().as_u16();
    let body = response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    (code, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn bind_reader(world: &World) {
    let group = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "reader" },
        "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"] }],
    });
    world.post(&format!("{group}/roles"), role).await;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": "b" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader" },
        "subjects": [{ "kind": "ServiceAccount", "name": "x", "namespace": "default" }],
    });
    world.post(&format!("{group}/rolebindings"), binding).await;
}

#[tokio::test]
async fn a_service_account_may_do_what_its_role_says() {
    let world = World::memory().await;
    let account = Identity::service_account("default", "x");
    let (code, body) = get_as(&world, account.clone(), &[], MAPS).await;
    assert_eq!(code, 403);
    let want = "configmaps is forbidden: User \"system:serviceaccount:default:x\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"";
    assert_eq!(body["message"], want);
    bind_reader(&world).await;
    assert_eq!(get_as(&world, account.clone(), &[], MAPS).await.0, 200);
    assert_eq!(
        get_as(&world, account, &[], "/api/v1/namespaces/default/secrets")
            .await
            .0,
        403
    );
}

#[tokio::test]
async fn impersonation_takes_the_rights_of_the_other_and_an_empty_user_is_refused() {
    let world = World::memory().await;
    bind_reader(&world).await;
    let admin = Identity::administrator;
    let account = [("impersonate-user", "system:serviceaccount:default:x")];
    assert_eq!(get_as(&world, admin(), &account, MAPS).await.0, 200);
    assert_eq!(
        get_as(&world, admin(), &account, "/api/v1/nodes").await.0,
        403
    );
    assert_eq!(
        get_as(&world, admin(), &[("impersonate-user", "")], MAPS)
            .await
            .0,
        400
    );
    assert_eq!(
        get_as(&world, admin(), &[("impersonate-group", "g")], MAPS)
            .await
            .0,
        400
    );
    let own = Identity::service_account("default", "x");
    assert_eq!(
        get_as(&world, own, &[("impersonate-user", "embedded-admin")], MAPS)
            .await
            .0,
        403
    );
}

/// Sends a request over TLS, trusting the authority of the kubeconfig, and returns the answer.
async fn over_tls(address: SocketAddr, kubeconfig: &str, token: &str, path: &str) -> String {
    let line = kubeconfig
        .lines()
        .find_map(|l| l.trim().strip_prefix("certificate-authority-data: "));
    let pem = {
        use base64::Engine;
        let engine = base64::engine::general_purpose::STANDARD;
        engine.decode(line.expect("an authority")).expect("base64")
    };
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&pem).expect("a certificate"))
        .expect("a root");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(address).await.expect("a connection");
    let name = ServerName::from(address.ip());
    let mut tls = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .expect("a handshake");
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    tls.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    // The server closes the connection without TLS's own farewell.
    let _ = tls.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn the_kubeconfig_is_private_and_opens_the_server_over_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::open(Options::default()).await.expect("a server");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let path = folder.path().join("kubeconfig");
    server
        .write_kubeconfig(&path, address)
        .expect("a kubeconfig");
    let mode = std::fs::metadata(&path)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let kubeconfig = std::fs::read_to_string(&path).expect("a file");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn({
        let server = server.clone();
        async move {
            let until = async {
                let _ = stopped.await;
            };
            server.serve_tls(listener, until).await;
        }
    });
    let answer = over_tls(address, &kubeconfig, server.token(), "/livez").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = over_tls(address, &kubeconfig, "wrong", "/livez").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    drop(stop);
    serving.await.expect("the server ends");
}

#[tokio::test]
async fn the_token_of_a_service_account_ends_with_it() {
    let world = World::memory().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "x" } });
    world.post(accounts, account).await;
    let request =
        json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
    let answer = world.post(&format!("{accounts}/x/token"), request).await;
    let token = answer["status"]["token"].clone();
    let review = || {
        json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": { "token": token },
        })
    };
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let answer = world.post(path, review()).await;
    assert_eq!(
        answer["status"]["user"]["username"],
        "system:serviceaccount:default:x"
    );
    world.delete(&format!("{accounts}/x"), json!(null)).await;
    let answer = world.post(path, review()).await;
    assert_eq!(answer["status"].get("authenticated"), None);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused_and_the_server_goes_on() {
    let world = World::memory().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "x" } });
    world.post(accounts, account).await;
    let bodies = [
        json!([]),
        json!(1),
        json!(""),
        json!({ "spec": [[]] }),
        json!({ "metadata": 1 }),
    ];
    let paths = [
        format!("{accounts}/x/token"),
        accounts.to_owned(),
        MAPS.to_owned(),
        "/apis/authorization.k8s.io/v1/subjectaccessreviews".to_owned(),
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned(),
    ];
    for path in &paths {
        for body in &bodies {
            let (code, answer) = world.ask(http::Method::POST, path, body.clone()).await;
            assert!(code < 500, "{path} {body}: {answer}");
        }
    }
}

#[tokio::test]
async fn services_get_addresses_of_their_own() {
    let world = World::memory().await;
    let path = "/api/v1/namespaces/default/services";
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
            "spec": { "type": "NodePort", "ports": [{ "port": 80 }] },
        })
    };
    let names: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    let made =
        futures::future::join_all(names.iter().map(|name| world.post(path, service(name)))).await;
    let unique = |at: &str| {
        let values: std::collections::BTreeSet<String> = made
            .iter()
            .map(|s| s.pointer(at).expect(at).to_string())
            .collect();
        values.len()
    };
    assert_eq!(
        (unique("/spec/clusterIP"), unique("/spec/ports/0/nodePort")),
        (20, 20)
    );
    let mut taken = service("again");
    taken["spec"]["clusterIP"] = made[0]["spec"]["clusterIP"].clone();
    let (code, answer) = world.ask(http::Method::POST, path, taken).await;
    assert_eq!(code, 422, "{answer}");
}

#[tokio::test]
async fn an_object_above_the_limit_is_refused() {
    let world = World::memory().await;
    let mut map = config_map("large", "1");
    map["data"]["x"] = "y".repeat(1_000_000).into();
    map["data"]["z"] = "y"
        .repeat(apiserver::store::OBJECT_BYTES_MAX - 1_000_000)
        .into();
    let (code, _) = world.ask(http::Method::POST, MAPS, map).await;
    // ConfigMaps have a limit of their own, below the store's.
    assert!(matches!(code, 413 | 422), "{code}");
}
