//! The registry room against Debian's docker-registry, the demo's registry and scripted faults.

mod clouds;
mod faults;
mod reach;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt, stream};
use towpath::cli::demo::registry as demo;
use towpath::image::{Repository, Tag};
use towpath::registry::{Access, Client, Credential, Error, Keychain, Listing, Retries, Tls};

use crate::world::registry::{DockerRegistry, Lock, Scripted, Seen, USER, answer};

/// The budget of a call that is meant to succeed.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Retries without a wait that a test would have to sit through.
const AT_ONCE: Retries = Retries {
    n_more: 2,
    first_wait: Duration::from_millis(1),
    wait_max: Duration::from_secs(1),
};

fn client() -> Client {
    Client::with_retries(AT_ONCE)
}

fn insecure(credential: Option<(&str, &str)>) -> Access {
    Access {
        credential: credential.map(|(username, password)| Credential::password(username, password)),
        insecure: true,
        ..Access::anonymous(TIMEOUT)
    }
}

fn repository(host: &str, path: &str) -> Repository {
    Repository::parse(&format!("{host}/{path}")).expect("it is a repository")
}

async fn list(client: &Client, host: &str, access: &Access) -> Result<Listing, Error> {
    let repository = repository(host, "team/app");
    client.tags(&repository, access, &|_| true).await
}

/// Returns the text of the error that a listing ends with.
async fn list_error(client: &Client, host: &str) -> String {
    let listed = list(client, host, &insecure(None)).await;
    listed.expect_err("the listing is refused").to_string()
}

/// What any registry must do for us: take a push, list its tags, name its digests.
async fn check_push_and_pull(host: &str) {
    let name = format!("{host}/team/app");
    for tag in ["1.0.0", "1.1.0", "sha256-aa.sig", "latest"] {
        let pushed = demo::push(&name, tag, tag.as_bytes()).await.unwrap();
        let digest = client()
            .digest(
                &repository(host, "team/app"),
                &Tag::parse(tag).unwrap(),
                &insecure(None),
            )
            .await
            .unwrap();
        assert_eq!(digest.as_str(), pushed, "{tag}");
        assert_eq!(pulled(&format!("{name}:{tag}")).await, tag.as_bytes());
    }
    let keep = |tag: &str| !tag.ends_with(".sig");
    let listing = client()
        .tags(&repository(host, "team/app"), &insecure(None), &keep)
        .await
        .unwrap();
    assert_eq!(listing.tags, ["latest", "1.1.0", "1.0.0"]);
    assert_eq!((listing.n_excluded, listing.n_pages), (1, 1));

    let nowhere = client()
        .tags(&repository(host, "nowhere"), &insecure(None), &keep)
        .await
        .unwrap_err();
    let (text, want) = (
        nowhere.to_string(),
        format!(
            "GET http://{host}/v2/nowhere/tags/list?n=1000: \
             NAME_UNKNOWN: repository name not known to registry"
        ),
    );
    assert!(text.starts_with(&want), "{text}");

    let missing = client()
        .digest(
            &repository(host, "team/app"),
            &Tag::parse("2.0.0").unwrap(),
            &insecure(None),
        )
        .await
        .unwrap_err();
    assert_eq!(missing.status(), Some(404));
    assert_eq!(
        missing.to_string(),
        format!(
            "HEAD http://{host}/v2/team/app/manifests/2.0.0: unexpected status code 404 Not Found \
             (HEAD responses have no body, use GET for details)"
        )
    );
}

/// Returns the only layer of an image, pulled by the client for artifacts.
async fn pulled(image: &str) -> Bytes {
    use oci_distribution::client::{ClientConfig, ClientProtocol};
    use oci_distribution::manifest::IMAGE_LAYER_MEDIA_TYPE;
    use oci_distribution::secrets::RegistryAuth;

    let config = ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    };
    let client = oci_distribution::Client::try_from(config).unwrap();
    let image = image.parse().unwrap();
    let kinds = vec![IMAGE_LAYER_MEDIA_TYPE];
    let data = client.pull(&image, &RegistryAuth::Anonymous, kinds).await;
    let mut layers = data.unwrap().layers;
    assert_eq!(layers.len(), 1);
    layers.remove(0).data
}

#[tokio::test]
async fn docker_registry_is_pushed_to_listed_and_asked_for_digests() {
    let registry = DockerRegistry::start(Lock::Open);
    check_push_and_pull(registry.host()).await;
}

#[tokio::test]
async fn the_demos_registry_does_what_docker_registry_does() {
    let registry = demo::Registry::start().await.unwrap();
    check_push_and_pull(&registry.host()).await;
}

#[tokio::test]
async fn docker_registry_with_a_password_opens_to_the_right_pull_secret_only() {
    let registry = DockerRegistry::start(Lock::Basic);
    let host = registry.host();
    let right = format!(
        r#"{{"auths":{{"http://{host}/v2/":{{"username":"{}","password":"{}"}}}}}}"#,
        USER.0, USER.1
    );
    let data = BTreeMap::from([(".dockerconfigjson".to_owned(), right.into_bytes())]);
    let keychain = Keychain::from_secret("kubernetes.io/dockerconfigjson", &data);
    let keychain = keychain.unwrap().unwrap();
    let credential = keychain.credential(&repository(host, "team/app")).unwrap();
    let access = Access {
        credential,
        ..insecure(None)
    };
    // Nothing was pushed, so the one who is let in is told that there is no such repository.
    let inside = list(&client(), host, &access).await.unwrap_err();
    assert_eq!(inside.status(), Some(404), "{inside}");

    for credential in [None, Some(("bob", "wr0ng-word")), Some(("eve", USER.1))] {
        let outside = list(&client(), host, &insecure(credential)).await;
        let error = outside.unwrap_err();
        assert_eq!(error.status(), Some(401));
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("UNAUTHORIZED: authentication required"),
            "{text}"
        );
        assert!(!text.contains("-word"), "{text}");
    }
}

#[tokio::test]
async fn docker_registry_with_its_own_authority_is_trusted_when_told_so() {
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let pem = signed.cert.pem();
    let registry = DockerRegistry::start(Lock::Tls(&pem, &signed.signing_key.serialize_pem()));
    let data = BTreeMap::from([("ca.crt".to_owned(), pem.into_bytes())]);
    let trusting = Access {
        tls: Some(Tls::from_secret(&data).unwrap()),
        ..Access::anonymous(TIMEOUT)
    };
    let known = list(&client(), registry.host(), &trusting).await;
    assert_eq!(known.unwrap_err().status(), Some(404));

    let unknown = list(&client(), registry.host(), &Access::anonymous(TIMEOUT)).await;
    let text = unknown.unwrap_err().to_string();
    assert!(text.contains("certificate"), "{text}");
}

#[tokio::test]
async fn plain_http_is_spoken_only_where_it_is_allowed() {
    let registry = demo::Registry::start().await.unwrap();
    let refused = list(&client(), &registry.host(), &Access::anonymous(TIMEOUT)).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.starts_with("GET https://"), "{text}");
}

#[tokio::test]
async fn pages_of_the_demos_registry_are_all_read() {
    let registry = demo::Registry::start().await.unwrap();
    let name = format!("{}/team/app", registry.host());
    demo::push(&name, "0000", b"layer").await.unwrap();
    let url = |tag: &str| format!("http://{}/v2/team/app/manifests/{tag}", registry.host());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let manifest = http.get(url("0000")).send().await.unwrap();
    let manifest = manifest.bytes().await.unwrap();
    let n_pushed = stream::iter(1..=2000)
        .map(|n| {
            http.put(url(&format!("{n:04}")))
                .body(manifest.clone())
                .send()
        })
        .buffer_unordered(16)
        .filter(|sent| std::future::ready(sent.as_ref().is_ok_and(|r| r.status() == 201)))
        .count()
        .await;
    assert_eq!(n_pushed, 2000);
    let listing = list(&client(), &registry.host(), &insecure(None))
        .await
        .unwrap();
    assert_eq!((listing.tags.len(), listing.n_pages), (2001, 3));
    assert_eq!(listing.tags.get(0), Some("2000"));
}

const TAGS: &str = r#"{"name":"team/app","tags":["1","2"]}"#;

fn ok(body: impl Into<Body>) -> Response {
    answer(200, &[], body)
}

/// A body that breaks off: the connection ends before the answer does.
fn cut() -> Body {
    let parts = [
        Ok(Bytes::from_static(b"{\"tags\":[\"1\",")),
        Err(std::io::Error::other("cut")),
    ];
    Body::from_stream(stream::iter(parts))
}

/// A body that never ends.
fn endless() -> Body {
    let part = Bytes::from(vec![b' '; 64 << 10]);
    Body::from_stream(stream::repeat_with(move || {
        Ok::<_, std::io::Error>(part.clone())
    }))
}

/// A body that starts and then says nothing more.
fn stalled() -> Body {
    let start = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
    Body::from_stream(start.chain(stream::pending()))
}

/// Lets `/v2/` through and answers everything else by the function.
fn open(
    script: impl Fn(&Seen, usize) -> Response + Send + Sync + 'static,
) -> impl Fn(&Seen, usize) -> Response + Send + Sync + 'static {
    move |seen, n| match seen.path.as_str() {
        "/v2/" => ok("{}"),
        _ => script(seen, n),
    }
}

#[tokio::test]
async fn refusals_are_typed_worded_and_sent_again_only_when_that_can_help() {
    for (status, body, n_requests, want) in [
        (400, "no", 1, "unexpected status code 400 Bad Request: no"),
        (401, "", 1, "unexpected status code 401 Unauthorized"),
        (
            403,
            r#"{"errors":[{"code":"DENIED","message":"no"}]}"#,
            1,
            "DENIED: no",
        ),
        (404, "", 1, "unexpected status code 404 Not Found"),
        (408, "", 3, "unexpected status code 408 Request Timeout"),
        (429, "", 3, "unexpected status code 429 Too Many Requests"),
        (
            500,
            "",
            3,
            "unexpected status code 500 Internal Server Error",
        ),
        (502, "", 3, "unexpected status code 502 Bad Gateway"),
        (503, "", 3, "unexpected status code 503 Service Unavailable"),
        (504, "", 3, "unexpected status code 504 Gateway Timeout"),
        (522, "", 3, "unexpected status code 522"),
    ] {
        let registry = Scripted::start(open(move |_, _| answer(status, &[], body))).await;
        let error = list(&client(), registry.host(), &insecure(None)).await;
        let error = error.unwrap_err();
        assert_eq!(error.status(), Some(status));
        let url = format!("http://{}/v2/team/app/tags/list?n=1000", registry.host());
        assert_eq!(error.to_string(), format!("GET {url}: {want}"));
        assert_eq!(registry.seen().len(), n_requests, "{status}");
    }
}

#[tokio::test]
async fn a_registry_that_recovers_is_listed() {
    for status in [429, 500, 503] {
        let registry = Scripted::start(open(move |_, n| match n {
            0 | 1 => answer(status, &[("retry-after", "0")], ""),
            _ => ok(TAGS),
        }))
        .await;
        let listing = list(&client(), registry.host(), &insecure(None)).await;
        assert_eq!(listing.unwrap().tags, ["2", "1"], "{status}");
    }
    let registry = Scripted::start(open(|_, n| if n == 0 { ok(cut()) } else { ok(TAGS) })).await;
    let listing = list(&client(), registry.host(), &insecure(None)).await;
    assert_eq!(listing.unwrap().tags, ["2", "1"]);
}

#[tokio::test]
async fn rg5_bodies_that_are_broken_endless_or_too_large_are_refused() {
    type Reply = fn() -> Body;
    let cases: [(Reply, &str); 6] = [
        (|| cut(), "GET http://"),
        (|| endless(), "body is larger than 100000 bytes"),
        (|| Body::from("<html>sign in</html>"), "is not a tag list"),
        (|| Body::from(r#"{"tags":["1""#), "is not a tag list: EOF"),
        (
            || Body::from(r#"{"errors":[]}"#),
            "neither \"name\" nor \"tags\"",
        ),
        (
            || Body::from(r#"{"tags":["1","2","3"]}"#),
            "more than 2 tags",
        ),
    ];
    for (reply, want) in cases {
        let registry = Scripted::start(open(move |_, _| ok(reply()))).await;
        let client = client().bounded(2, 2, 100_000);
        let text = list_error(&client, registry.host()).await;
        assert!(text.contains(want), "{text}");
    }
}

#[tokio::test]
async fn rg4_a_body_that_stalls_ends_with_the_budget() {
    let registry = Scripted::start(open(|_, _| ok(stalled()))).await;
    let access = Access {
        timeout: Duration::from_millis(200),
        ..insecure(None)
    };
    let error = list(&client(), registry.host(), &access).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("context deadline exceeded"), "{text}");
}

#[tokio::test]
async fn rg6_pages_that_loop_leave_or_never_end_are_refused() {
    let elsewhere = Scripted::start(open(|_, _| ok(TAGS))).await;
    let away = format!("<http://{}/v2/x>; rel=\"next\"", elsewhere.host());
    for (link, want) in [
        (
            "</v2/team/app/tags/list?n=1000>; rel=\"next\"",
            "read before",
        ),
        (
            "</v2/team/app/tags/list?page=$n>; rel=\"next\"",
            "more than 3 pages",
        ),
        (away.as_str(), "which is not this registry"),
        (
            "<http://169.254.169.254/latest>; rel=\"next\"",
            "leads to http://169.254.169.254",
        ),
        (
            "<file:///etc/passwd>; rel=\"next\"",
            "leads to file://, which is not this registry",
        ),
    ] {
        let link = link.to_owned();
        let registry = Scripted::start(open(move |_, n| {
            let link = link.replace("$n", &n.to_string());
            answer(200, &[("link", &link)], TAGS)
        }))
        .await;
        let client = client().bounded(3, 100, 100_000);
        let text = list_error(&client, registry.host()).await;
        assert!(text.contains(want), "{text}");
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn rg12_redirects_end_and_do_not_carry_the_credential_elsewhere() {
    let registry = Scripted::start(open(|_, n| {
        answer(307, &[("location", &format!("/v2/again?n={n}"))], "")
    }))
    .await;
    let text = list_error(&client(), registry.host()).await;
    assert!(text.contains("too many redirects"), "{text}");

    let elsewhere = Scripted::start(|_, _| ok(TAGS)).await;
    let away = format!("http://{}/tags", elsewhere.host());
    let registry = Scripted::start(move |seen, _| match seen.path.as_str() {
        "/v2/" => answer(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
        _ => answer(307, &[("location", &away)], ""),
    })
    .await;
    let listing = list(&client(), registry.host(), &insecure(Some(USER))).await;
    assert_eq!(listing.unwrap().tags, ["2", "1"]);
    assert!(registry.seen()[0].authorization.starts_with("Basic "));
    let seen = elsewhere.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].authorization, "");
}

/// A registry with its own token service: tokens `t0`, `t1`, …, each good for `n_uses` requests,
/// and two pages of tags.
async fn with_tokens(n_uses: usize) -> Scripted {
    let state = std::sync::Mutex::new((0, BTreeMap::<String, usize>::new()));
    Scripted::start(move |seen, _| {
        let mut state = state.lock().expect("no script panicked");
        let (n_granted, used) = &mut *state;
        if seen.path.starts_with("/token") {
            *n_granted += 1;
            return ok(format!(r#"{{"token":"t{n_granted}","expires_in":300}}"#));
        }
        let token = seen.authorization.strip_prefix("Bearer ");
        let is_good = token.is_some_and(|token| {
            let n = used.entry(token.to_owned()).or_default();
            *n += 1;
            *n <= n_uses
        });
        let challenge = format!(
            r#"Bearer realm="http://{}/token",service="test",scope="repository:x:push""#,
            seen.host
        );
        let next = "</v2/team/app/tags/list?last=1>; rel=\"next\"";
        match (is_good, seen.path.contains("last=1")) {
            (false, _) => answer(401, &[("www-authenticate", &challenge)], "no"),
            (true, true) => ok(r#"{"tags":["2"]}"#),
            (true, false) => answer(200, &[("link", next)], r#"{"tags":["1"]}"#),
        }
    })
    .await
}

fn n_tokens(registry: &Scripted) -> usize {
    let seen = registry.seen();
    seen.iter().filter(|s| s.path.starts_with("/token")).count()
}

#[tokio::test]
async fn a_token_is_asked_for_once_for_each_credential_and_scope() {
    let registry = with_tokens(1000).await;
    let (client, access) = (client(), insecure(Some(USER)));
    for _ in 0..3 {
        let listing = list(&client, registry.host(), &access).await.unwrap();
        assert_eq!((listing.tags.len(), listing.n_pages), (2, 2));
    }
    assert_eq!(n_tokens(&registry), 1);
    let asked = &registry.seen()[0];
    assert_eq!(
        asked.path,
        "/token?scope=repository%3Ateam%2Fapp%3Apull&service=test"
    );
    assert!(asked.authorization.starts_with("Basic "));
    // Pages are all that a later scan costs.
    assert_eq!(registry.seen().len(), 1 + 3 * 2);

    list(&client, registry.host(), &insecure(None))
        .await
        .unwrap();
    assert_eq!(n_tokens(&registry), 2);
    let other = repository(registry.host(), "team/other");
    client.tags(&other, &access, &|_| true).await.unwrap();
    assert_eq!(n_tokens(&registry), 3);
}

#[tokio::test]
async fn rg7_a_token_that_runs_out_between_pages_is_renewed_once() {
    // The third use of the first token is the first page of the second scan.
    let registry = with_tokens(2).await;
    let (client, access) = (client(), insecure(Some(USER)));
    for _ in 0..2 {
        let listing = list(&client, registry.host(), &access).await.unwrap();
        assert_eq!(listing.tags, ["2", "1"]);
    }
    assert_eq!(n_tokens(&registry), 2);

    // Tokens that are never good do not make us ask for ever.
    let registry = with_tokens(0).await;
    let error = list(&client, registry.host(), &access).await.unwrap_err();
    assert_eq!(error.status(), Some(401), "{error}");
    assert_eq!(n_tokens(&registry), 1);
}

#[tokio::test]
async fn a_token_service_that_refuses_is_told_without_the_password() {
    let registry = Scripted::start(|seen, _| match seen.path.as_str() {
        "/v2/" => {
            let realm = format!("Bearer realm=\"http://{}/token\"", seen.host);
            answer(401, &[("www-authenticate", &realm)], "")
        }
        path if path.starts_with("/token") => {
            answer(401, &[], format!("bad: {} {}", seen.authorization, USER.1))
        }
        _ => ok(TAGS),
    })
    .await;
    let error = list(&client(), registry.host(), &insecure(Some(USER))).await;
    let error = error.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("/token?scope=repository:team/app:pull: unexpected"),
        "{text}"
    );
    assert!(text.contains("bad: Basic *** ***"), "{text}");
    let debug = format!("{error:?} {:?}", insecure(Some(USER)));
    assert!(!debug.contains(USER.1), "{debug}");
}

#[tokio::test]
async fn digests_come_from_the_body_where_no_header_tells_them() {
    let tag = Tag::parse("1").unwrap();
    let body = "{}";
    let want = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let wrong = format!("sha256:{}", "0".repeat(64));
    type Told = (
        u16,
        Option<&'static str>,
        Option<String>,
        Result<&'static str, &'static str>,
    );
    let cases: [Told; 5] = [
        (200, Some(want), None, Ok(want)),
        (200, None, None, Ok(want)),
        (405, None, Some(want.to_owned()), Ok(want)),
        (405, None, Some(wrong), Err("as its header says")),
        (
            401,
            None,
            None,
            Err("unexpected status code 401 Unauthorized"),
        ),
    ];
    for (head_status, head_digest, get_digest, want) in cases {
        let registry = Scripted::start(open(move |seen, _| {
            let (status, digest) = match seen.method.as_str() {
                "HEAD" => (head_status, head_digest),
                _ => (200, get_digest.as_deref()),
            };
            let headers: Vec<_> = digest
                .map(|d| ("docker-content-digest", d))
                .into_iter()
                .collect();
            answer(status, &headers, body)
        }))
        .await;
        let repository = repository(registry.host(), "team/app");
        let got = client().digest(&repository, &tag, &insecure(None)).await;
        match (got, want) {
            (Ok(digest), Ok(want)) => assert_eq!(digest.as_str(), want),
            (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{error}"),
            (got, want) => panic!("{got:?}, want {want:?}"),
        }
    }
}
