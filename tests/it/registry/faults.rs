//! Every fault of a registry, by the id that it has in the fault matrix: what a client must hold
//! when answers are late, broken, endless, elsewhere or hostile.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::future::Either;
use futures::{StreamExt, future, stream};
use towpath::image::Tag;
use towpath::outbound::Hosts;
use towpath::registry::{Access, Client, Credential, Error, Retries};
use towpath::safe::{AddressRule, Secret};

use super::{TAGS, client, cut, insecure, list, list_error, ok, open, repository, stalled};
use crate::world::registry::{Scripted, Seen, USER, answer};
use crate::world::registry_raw::Raw;

/// Bytes of an answer with status 200.
fn raw(headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{headers}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn rg1_a_host_that_asks_for_quiet_is_left_alone_however_often_it_is_due() {
    let date = (chrono::Utc::now() + chrono::Duration::seconds(600))
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    for wait in ["600", date.as_str()] {
        let wait = wait.to_owned();
        let busy = Scripted::start(open(move |_, _| answer(429, &[("retry-after", &wait)], "")));
        let (busy, free) = (busy.await, Scripted::start(open(|_, _| ok(TAGS))).await);
        let client = client();
        for _ in 0..20 {
            let error = list(&client, busy.host(), &insecure(None)).await;
            let error = error.unwrap_err();
            let asked = error.retry_after().unwrap().as_secs();
            assert!((598..=600).contains(&asked), "{error}");
            let text = error.to_string();
            assert!(text.contains("no requests for"), "{text}");
        }
        assert_eq!(busy.seen().len(), 1);
        assert!(list(&client, free.host(), &insecure(None)).await.is_ok());
    }
}

#[tokio::test]
async fn rg1_a_short_wait_is_waited_for_by_all_scans_of_the_host() {
    let registry = Scripted::start(open(|_, n| match n {
        0 => answer(429, &[("retry-after", "1")], ""),
        _ => ok(TAGS),
    }));
    let registry = registry.await;
    let client = client();
    let access = insecure(None);
    let first = list(&client, registry.host(), &access);
    // The second begins when the first was told to wait.
    let second = async {
        while registry.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::time::timeout(Duration::from_millis(20), future::pending::<()>())
            .await
            .unwrap_err();
        list(&client, registry.host(), &access).await
    };
    let (first, second) = future::join(first, second).await;
    assert_eq!(first.unwrap(), second.unwrap());
    let seen = registry.seen();
    assert_eq!(seen.len(), 3);
    for later in &seen[1..] {
        let waited = later.at - seen[0].at;
        assert!(waited >= Duration::from_secs(1), "{waited:?}");
    }
}

#[tokio::test]
async fn rg1_a_wait_that_does_not_fit_into_the_timeout_is_told_at_once() {
    let registry = Scripted::start(open(|_, _| answer(429, &[("retry-after", "5")], "")));
    let registry = registry.await;
    let client = Client::with_retries(Retries {
        n_more: 2,
        first_wait: Duration::from_millis(1),
        wait_max: Duration::from_secs(10),
    });
    let access = Access {
        timeout: Duration::from_secs(2),
        ..insecure(None)
    };
    let began = Instant::now();
    let error = list(&client, registry.host(), &access).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2));
    let want = format!(
        "GET http://{}/v2/team/app/tags/list?n=1000: unexpected status code 429 Too Many Requests \
         (asks for no requests for 5s)",
        registry.host()
    );
    assert_eq!(error.to_string(), want);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
    let next = list(&client, registry.host(), &access).await.unwrap_err();
    assert!(matches!(next, Error::Throttled { .. }), "{next}");
    assert_eq!(registry.seen().len(), 1);
}

#[tokio::test]
async fn rg2_requests_slow_down_before_the_allowance_is_used_up() {
    let registry = Scripted::start(open(|seen, _| {
        let next = "</v2/team/app/tags/list?last=1>; rel=\"next\"";
        let scarce = [
            ("ratelimit-limit", "100;w=60"),
            ("ratelimit-remaining", "4;w=60"),
            ("ratelimit-reset", "1"),
            ("link", next),
        ];
        match seen.path.contains("last=") {
            true => answer(200, &scarce[..3], r#"{"tags":["2"]}"#),
            false => answer(200, &scarce, r#"{"tags":["1"]}"#),
        }
    }));
    let registry = registry.await;
    let listing = list(&client(), registry.host(), &insecure(None)).await;
    assert_eq!(listing.unwrap().tags, ["2", "1"]);
    let seen = registry.seen();
    let gap = seen[1].at - seen[0].at;
    assert!(gap >= Duration::from_millis(199), "{gap:?}");
}

#[tokio::test]
async fn rg2_a_listing_that_has_begun_is_finished_and_the_next_one_waits() {
    let registry = Scripted::start(open(|seen, _| {
        let scarce = [
            ("ratelimit-limit", "100;w=21600"),
            ("ratelimit-remaining", "2;w=21600"),
            ("link", "</v2/team/app/tags/list?last=1>; rel=\"next\""),
        ];
        match seen.path.contains("last=") {
            true => answer(200, &scarce[..2], r#"{"tags":["2"]}"#),
            false => answer(200, &scarce, r#"{"tags":["1"]}"#),
        }
    }));
    let registry = registry.await;
    let client = client();
    let listing = list(&client, registry.host(), &insecure(None)).await;
    assert_eq!(listing.unwrap().tags, ["2", "1"]);
    let next = list(&client, registry.host(), &insecure(None)).await;
    let next = next.unwrap_err();
    assert!(matches!(next, Error::Throttled { .. }), "{next}");
    assert!(next.retry_after().unwrap() > Duration::from_secs(200));
    assert_eq!(registry.seen().len(), 2);
}

/// Three pages, with a fault once at one of them.
async fn with_fault(at: usize, fault: impl Fn() -> Response + Send + Sync + 'static) -> Scripted {
    Scripted::start(open(move |seen, n| {
        let page = ["page=1", "page=2"]
            .iter()
            .position(|page| seen.path.contains(page))
            .map_or(0, |page| page + 1);
        if n == at {
            return fault();
        }
        let link = format!("</v2/team/app/tags/list?page={}>; rel=\"next\"", page + 1);
        let body = format!(r#"{{"tags":["{page}-a","{page}-b"]}}"#);
        match page {
            2 => ok(body),
            _ => answer(200, &[("link", &link)], body),
        }
    }))
    .await
}

#[tokio::test]
async fn rg3_a_page_that_fails_is_read_again_and_no_tag_is_lost_or_doubled() {
    type Fault = (&'static str, fn() -> Response);
    let broken: [Fault; 5] = [
        ("500", || answer(500, &[], "")),
        ("502", || answer(502, &[], "")),
        ("503", || answer(503, &[], "")),
        ("504", || answer(504, &[], "")),
        ("cut", || ok(cut())),
    ];
    for (name, fault) in broken {
        for at in 0..3 {
            let registry = with_fault(at, fault).await;
            let listing = list(&client(), registry.host(), &insecure(None)).await;
            let listing = listing.unwrap();
            let want = ["2-b", "2-a", "1-b", "1-a", "0-b", "0-a"];
            assert_eq!(listing.tags, want, "{name} at page {at}");
            assert_eq!(listing.n_pages, 3);
            assert_eq!(registry.seen().len(), 4, "{name} at page {at}");
        }
    }
}

#[tokio::test]
async fn rg3_a_connection_that_breaks_before_the_answer_is_made_again() {
    let registry = Raw::start(|n| match n {
        0 | 1 => Vec::new(),
        _ => raw("", TAGS),
    });
    let registry = registry.await;
    let listing = list(&client(), registry.host(), &insecure(None)).await;
    assert_eq!(listing.unwrap().tags, ["2", "1"]);
    assert_eq!(registry.n_asked(), 3);
}

#[tokio::test]
async fn rg4_slow_registries_hold_up_nobody_else() {
    let slow = Scripted::start(open(|_, _| ok(stalled()))).await;
    let good = Scripted::start(open(|_, _| ok(TAGS))).await;
    let (client, access) = (client(), insecure(None));
    let slow = future::join_all((0..100).map(|_| list(&client, slow.host(), &access)));
    let good = future::join_all((0..100).map(|_| list(&client, good.host(), &access)));
    match future::select(slow, good).await {
        Either::Right((good, _slow)) => assert!(good.iter().all(Result::is_ok)),
        Either::Left((slow, _good)) => panic!("the slow ones ended first: {slow:?}"),
    }
}

#[tokio::test]
async fn rg4_a_body_that_stalls_ends_by_the_time_between_two_pieces() {
    let registry = Scripted::start(open(|_, _| ok(stalled()))).await;
    let client = Client::with_retries(Retries {
        n_more: 0,
        ..Retries::default()
    });
    let client = client.with_read_timeout(Duration::from_millis(100));
    let error = list(&client, registry.host(), &insecure(None)).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Exchange { .. }), "{error}");
    assert!(error.to_string().contains("timed out"), "{error}");
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn rg5_packed_lists_are_unpacked_as_they_come_and_bombs_are_refused() {
    let bomb = packed(&format!("{{\"tags\":[{}\"1\"]}}", " ".repeat(10 << 20)));
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    let cases: [(&str, Vec<u8>, Result<(), &str>); 6] = [
        ("gzip", packed(TAGS), Ok(())),
        ("X-GZip", packed(TAGS), Ok(())),
        ("identity", TAGS.into(), Ok(())),
        ("gzip", bomb, Err("body is larger than 100000 bytes")),
        (
            "gzip",
            TAGS.into(),
            Err("body is not gzip as its header says"),
        ),
        (
            "br",
            TAGS.into(),
            Err("encoding \"br\", which was not asked for"),
        ),
    ];
    for (encoding, body, want) in cases {
        let registry = Scripted::start(open(move |seen, _| {
            assert_eq!(seen.header("accept-encoding"), "gzip");
            answer(200, &[("content-encoding", encoding)], body.clone())
        }));
        let registry = registry.await;
        let client = client().bounded(2, 2, 100_000);
        let listed = list(&client, registry.host(), &insecure(None)).await;
        match want {
            Ok(()) => assert_eq!(listed.unwrap().tags, ["2", "1"], "{encoding}"),
            Err(want) => {
                let text = listed.unwrap_err().to_string();
                assert!(text.contains(want), "{text}");
            }
        }
    }
    let cut = packed(TAGS);
    let registry = Scripted::start(open(move |_, _| {
        answer(
            200,
            &[("content-encoding", "gzip")],
            cut[..cut.len() - 9].to_vec(),
        )
    }));
    let text = list_error(&client(), registry.await.host()).await;
    assert!(text.contains("body is not gzip"), "{text}");
}

#[tokio::test]
async fn rg5_lengths_that_lie_are_noticed() {
    for (length, want) in [(500, "GET http://"), (1_000_000_000, "body is larger than")] {
        let registry = Raw::start(move |_| raw(&format!("content-length: {length}\r\n"), TAGS));
        let text = list_error(&client(), registry.await.host()).await;
        assert!(text.contains(want), "{text}");
    }
    // A shorter length leaves a list that is not whole.
    let registry = Raw::start(|_| raw("content-length: 20\r\n", TAGS)).await;
    let text = list_error(&client(), registry.host()).await;
    assert!(text.contains("is not a tag list: EOF"), "{text}");
}

/// A body of so many tags, made as it is read.
fn many(n_tags: usize) -> Body {
    let tags = stream::iter(0..n_tags / 1000).map(|part| {
        let tags: String = (0..1000)
            .map(|n| format!("\"main-{part:05}-{n:03}\","))
            .collect();
        Ok::<_, std::io::Error>(Bytes::from(tags))
    });
    let start = stream::iter([Ok(Bytes::from_static(b"{\"tags\":["))]);
    let end = stream::iter([Ok(Bytes::from_static(b"\"last\"]}"))]);
    Body::from_stream(start.chain(tags).chain(end))
}

#[tokio::test]
async fn rg5_more_tags_than_the_limit_are_refused_with_what_helps() {
    let registry = Scripted::start(open(|_, _| ok(many(100_000)))).await;
    let client = client().bounded(10, 20_000, 10 << 20);
    let text = list_error(&client, registry.host()).await;
    let want = "more than 20000 tags, which is the limit of one repository; \
                spec.exclusionList can leave some out";
    assert!(text.ends_with(want), "{text}");
    // What is left out does not count.
    let keep = |tag: &str| !tag.starts_with("main-");
    let repository = repository(registry.host(), "team/app");
    let listing = client
        .tags(&repository, &insecure(None), &keep)
        .await
        .unwrap();
    assert_eq!(listing.tags, ["last"]);
    assert_eq!(listing.n_excluded, 100_000);
}

/// A registry that asks for a token of a service at another address.
async fn with_realm(realm: String) -> Scripted {
    let challenge = format!("Bearer realm=\"{realm}\",service=\"test\"");
    Scripted::start(move |seen, _| match seen.authorization == "Bearer token" {
        true => ok(TAGS),
        false => answer(401, &[("www-authenticate", &challenge)], ""),
    })
    .await
}

#[tokio::test]
async fn rg7_credentials_go_to_the_registrys_own_site_only() {
    let service = Scripted::start(|_, _| ok(r#"{"token":"token"}"#)).await;
    let address = service.host().parse().unwrap();
    let known = BTreeMap::from([("token.evil.io".to_owned(), vec![address])]);
    let fresh = || client().with_hosts(Hosts::default().with_known(known.clone()));
    let registry = with_realm("http://token.evil.io/t".to_owned()).await;

    let refused = list(&fresh(), registry.host(), &insecure(Some(USER))).await;
    let text = refused.unwrap_err().to_string();
    let want = "challenge sends the credential to token.evil.io, which is not of this registry's \
                site; --registry-token-host token.evil.io allows it";
    assert!(text.ends_with(want), "{text}");
    assert!(service.seen().is_empty());

    let anonymous = list(&fresh(), registry.host(), &insecure(None)).await;
    assert_eq!(anonymous.unwrap().tags, ["2", "1"]);
    assert_eq!(service.seen()[0].authorization, "");

    let allowed = fresh().with_realms(["Token.Evil.io".to_owned()].into_iter().collect());
    let listing = list(&allowed, registry.host(), &insecure(Some(USER))).await;
    assert_eq!(listing.unwrap().tags, ["2", "1"]);
    assert!(service.seen()[1].authorization.starts_with("Basic "));
}

#[tokio::test]
async fn rg7_is2_token_services_at_metadata_addresses_are_never_asked() {
    for realm in [
        "http://169.254.169.254/token",
        "http://[fd00:ec2::254]/token",
        "http://[::ffff:169.254.169.254]/token",
    ] {
        let registry = with_realm(realm.to_owned()).await;
        let text = list_error(&client(), registry.host()).await;
        assert!(text.contains("which must not be asked"), "{text}");
    }
    let registry = with_realm("file:///etc/passwd".to_owned()).await;
    let text = list_error(&client(), registry.host()).await;
    assert!(
        text.contains("a token service that is no http URL"),
        "{text}"
    );
}

#[tokio::test]
async fn rg7_a_token_of_the_wrong_scope_is_asked_for_again_once() {
    let registry = Scripted::start(|seen, _| {
        let realm = format!("http://{}/token", seen.host);
        let challenge = format!("Bearer realm=\"{realm}\",error=\"insufficient_scope\"");
        match seen.path.starts_with("/token") {
            true => ok(r#"{"token":"narrow","expires_in":300}"#),
            false => answer(401, &[("www-authenticate", &challenge)], ""),
        }
    });
    let registry = registry.await;
    let client = client();
    let n_tokens = || {
        let seen = registry.seen();
        seen.iter().filter(|s| s.path.starts_with("/token")).count()
    };
    for n_asked in [1, 2] {
        let error = list(&client, registry.host(), &insecure(Some(USER))).await;
        assert_eq!(error.unwrap_err().status(), Some(401));
        assert_eq!(n_tokens(), n_asked);
    }
}

/// A registry whose token service takes what a script takes.
async fn with_token_service(takes: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |seen, _| {
        let challenge = format!("Bearer realm=\"http://{}/token\",service=\"s\"", seen.host);
        match (seen.path.starts_with("/token"), seen.authorization.as_str()) {
            (true, _) => takes(seen),
            (false, "Bearer token") => ok(TAGS),
            (false, _) => answer(401, &[("www-authenticate", &challenge)], ""),
        }
    })
    .await
}

#[tokio::test]
async fn tokens_are_asked_for_in_the_way_of_each_credential() {
    let scope = "scope=repository%3Ateam%2Fapp%3Apull&client_id=towpath";
    let secret = || Secret::new("s3cret-word".to_owned());
    let cases = [
        (
            Credential::IdentityToken(secret()),
            format!("service=s&{scope}&grant_type=refresh_token&refresh_token=s3cret-word"),
        ),
        (
            Credential::password("bob", "s3cret-word"),
            format!("service=s&{scope}&grant_type=password&username=bob&password=s3cret-word"),
        ),
    ];
    for (credential, want) in cases {
        let registry = with_token_service(move |seen| match seen.method.as_str() {
            "POST" if seen.body == want => ok(r#"{"access_token":"token","expires_in":300}"#),
            "GET" => answer(405, &[], ""),
            _ => answer(400, &[], seen.body.clone()),
        });
        let registry = registry.await;
        let access = Access {
            credential: Some(credential.clone()),
            ..insecure(None)
        };
        let listing = list(&client(), registry.host(), &access).await;
        assert_eq!(listing.unwrap().tags, ["2", "1"], "{credential:?}");
    }
    // A registry token is shown as it is, and no token service is asked.
    let registry = with_token_service(|_| answer(500, &[], "")).await;
    let access = Access {
        credential: Some(Credential::RegistryToken(Secret::new("token".to_owned()))),
        ..insecure(None)
    };
    let listing = list(&client(), registry.host(), &access).await;
    assert_eq!(listing.unwrap().tags, ["2", "1"]);
    assert!(registry.seen().iter().all(|s| s.path.starts_with("/v2/")));
}

#[tokio::test]
async fn an_identity_token_that_is_refused_is_not_told() {
    let registry = with_token_service(|seen| answer(400, &[], seen.body.clone())).await;
    let access = Access {
        credential: Some(Credential::IdentityToken(Secret::new(
            "s3cret-word".to_owned(),
        ))),
        ..insecure(None)
    };
    let error = list(&client(), registry.host(), &access).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("refresh_token=***"), "{text}");
    assert!(!text.contains("s3cret-word"), "{text}");

    let basic = Scripted::start(|_, _| answer(401, &[("www-authenticate", "Basic")], "")).await;
    let error = list(&client(), basic.host(), &access).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("holds an identitytoken, which is for token services"),
        "{text}"
    );
}

#[tokio::test]
async fn rg9_a_tag_that_was_moved_has_its_new_digest() {
    let digest = |n: usize| format!("sha256:{}", n.to_string().repeat(64));
    let registry = Scripted::start(open(move |_, n| {
        answer(200, &[("docker-content-digest", &digest(n))], "")
    }));
    let registry = registry.await;
    let (client, tag) = (client(), Tag::parse("latest").unwrap());
    let repository = repository(registry.host(), "team/app");
    for n in 0..3 {
        let found = client.digest(&repository, &tag, &insecure(None)).await;
        assert_eq!(found.unwrap().as_str(), digest(n));
    }
}

#[tokio::test]
async fn rg12_is2_redirects_to_metadata_addresses_are_not_followed() {
    for target in [
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
    ] {
        let registry = Scripted::start(open(move |_, _| answer(302, &[("location", target)], "")));
        let registry = registry.await;
        let text = list_error(&client(), registry.host()).await;
        assert!(
            text.contains("is link-local, which must not be asked"),
            "{text}"
        );
        assert_eq!(registry.seen().len(), 1);
    }
}

#[tokio::test]
async fn is2_images_at_metadata_addresses_are_never_asked() {
    for host in [
        "169.254.169.254",
        "169.254.169.254:80",
        "[fd00:ec2::254]:80",
    ] {
        let error = list(&client(), host, &insecure(None)).await.unwrap_err();
        assert!(matches!(error, Error::Address { .. }), "{error}");
    }
    // A name that has become one: checked where it is resolved, and not tried again.
    let address = "169.254.169.254:80".parse().unwrap();
    let known = BTreeMap::from([("rebound.example.com".to_owned(), vec![address])]);
    let client = Client::new().with_hosts(Hosts::default().with_known(known));
    let began = Instant::now();
    let error = list(&client, "rebound.example.com", &insecure(None)).await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("169.254.169.254 is link-local"), "{text}");
    assert!(began.elapsed() < Duration::from_millis(900));
}

#[tokio::test]
async fn is2_private_hosts_are_refused_where_the_process_says_so() {
    let registry = Scripted::start(open(|_, _| ok(TAGS))).await;
    let strict = || client().with_hosts(Hosts::new(AddressRule::PublicOnly));
    let error = list(&strict(), registry.host(), &insecure(None)).await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("127.0.0.1 is this machine's own"), "{text}");
    let (_, port) = registry.host().rsplit_once(':').unwrap();
    let error = list(&strict(), &format!("localhost:{port}"), &insecure(None)).await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("is this machine's own"), "{text}");
    assert!(registry.seen().is_empty());
    let listing = list(&client(), &format!("localhost:{port}"), &insecure(None)).await;
    assert_eq!(listing.unwrap().tags, ["2", "1"]);
}
