//! How a registry is reached: names (RG10), TLS (RG11), HTTP/2, proxies, and lists that have not
//! changed.

use std::collections::BTreeMap;

use towpath::image::Repository;
use towpath::registry::{Access, Proxy, Tls};

use super::{TAGS, TIMEOUT, client, insecure, list, list_error, ok, open, repository};
use crate::world::proxy;
use crate::world::registry::{Scripted, answer};
use crate::world::registry_raw::Raw;
use crate::world::registry_tls::{Authority, Flaw, Leaf};

#[test]
fn rg10_names_are_taken_and_refused_as_the_reference_parser_does() {
    for (image, want) in [
        ("alpine", Some(("index.docker.io", "library/alpine"))),
        (
            "localhost:5000/team/app",
            Some(("localhost:5000", "team/app")),
        ),
        ("r.io:443/team/app", Some(("r.io:443", "team/app"))),
        ("[::1]:5000/team/app", Some(("[::1]:5000", "team/app"))),
        ("10.0.0.1:80/team/app", Some(("10.0.0.1:80", "team/app"))),
        (
            "xn--bcher-kva.example/team/app",
            Some(("xn--bcher-kva.example", "team/app")),
        ),
        ("R.IO/team/app", Some(("R.IO", "team/app"))),
        ("r.io/Team/app", None),
        ("r.io/team/bücher", None),
        ("r.io:x/team/app", None),
        ("r.io/team/app@sha256:00", None),
        ("r.io/a b/app", None),
        ("r.io/team/app:1.0", None),
        ("https://r.io/team/app", None),
        ("", None),
    ] {
        let parsed = Repository::parse_image_field(image).ok();
        let got = parsed.as_ref().map(|r| (r.registry().as_str(), r.path()));
        assert_eq!(got, want, "{image}");
    }
}

fn tls(parts: &[(&str, String)]) -> Option<Tls> {
    let data: BTreeMap<String, Vec<u8>> = parts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone().into_bytes()))
        .collect();
    Some(Tls::from_secret(&data).unwrap())
}

fn access(tls: Option<Tls>) -> Access {
    Access {
        tls,
        ..Access::anonymous(TIMEOUT)
    }
}

async fn serve(authority: &Authority, leaf: &Leaf, asks_for_client: bool) -> Scripted {
    let config = authority.config(leaf, asks_for_client);
    Scripted::start_tls(config, open(|_, _| ok(TAGS))).await
}

#[tokio::test]
async fn rg11_bad_certificates_are_refused_by_what_is_wrong_with_them() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let trusting = || tls(&[("ca.crt", authority.pem.clone())]);
    for (flaw, tls, want) in [
        (Flaw::None, trusting(), None),
        (Flaw::Expired, trusting(), Some("certificate expired")),
        (Flaw::NotYet, trusting(), Some("certificate not valid yet")),
        (
            Flaw::OtherHost,
            trusting(),
            Some("certificate not valid for name \"127.0.0.1\""),
        ),
        (Flaw::None, None, Some("UnknownIssuer")),
        (
            Flaw::None,
            tls(&[("caFile", stranger.pem.clone())]),
            Some("certificate"),
        ),
    ] {
        let registry = serve(&authority, &authority.server(flaw), false).await;
        let listed = list(&client(), registry.host(), &access(tls)).await;
        match want {
            None => assert_eq!(listed.unwrap().tags, ["2", "1"], "{flaw:?}"),
            Some(want) => {
                let text = listed.unwrap_err().to_string();
                assert!(text.contains(want), "{flaw:?}: {text}");
                assert!(registry.seen().is_empty());
            }
        }
    }
}

#[tokio::test]
async fn rg11_a_client_certificate_opens_a_registry_that_asks_for_one() {
    let authority = Authority::new();
    let (leaf, shown) = (authority.server(Flaw::None), authority.client());
    let registry = serve(&authority, &leaf, true).await;
    for names in [
        ["ca.crt", "tls.crt", "tls.key"],
        ["caFile", "certFile", "keyFile"],
    ] {
        let parts = [
            (names[0], authority.pem.clone()),
            (names[1], shown.pem.clone()),
            (names[2], shown.key_pem()),
        ];
        let listed = list(&client(), registry.host(), &access(tls(&parts))).await;
        assert_eq!(listed.unwrap().tags, ["2", "1"], "{names:?}");
        let without = list(&client(), registry.host(), &access(tls(&parts[..1]))).await;
        let text = without.unwrap_err().to_string();
        assert!(text.contains("CertificateRequired"), "{text}");
    }
}

#[tokio::test]
async fn rg11_tls_before_1_2_is_refused() {
    let registry = Raw::start(|_| Vec::new()).await;
    let listed = list(&client(), registry.host(), &access(None)).await;
    let text = listed.unwrap_err().to_string();
    assert!(text.contains("peer is incompatible"), "{text}");
    assert_eq!(registry.n_asked(), 0);
}

#[tokio::test]
async fn rg6_rg7_rg12_nothing_leads_from_https_to_http() {
    let authority = Authority::new();
    let tls = tls(&[("ca.crt", authority.pem.clone())]);
    let plain = Scripted::start(open(|_, _| ok(TAGS))).await;
    let url = format!("http://{}/x", plain.host());
    let realm = format!("Bearer realm=\"{url}\"");
    let link = format!("<{url}>; rel=\"next\"");
    type Downgrade = (u16, &'static str, String, &'static str);
    let cases: [Downgrade; 3] = [
        (302, "location", url.clone(), "redirect from https to http"),
        (
            401,
            "www-authenticate",
            realm,
            "a token service without TLS",
        ),
        (200, "link", link, "which is not this registry"),
    ];
    for (status, name, value, want) in cases {
        let config = authority.config(&authority.server(Flaw::None), false);
        let script = open(move |_, _| answer(status, &[(name, &value)], TAGS));
        let registry = Scripted::start_tls(config, script).await;
        let listed = list(&client(), registry.host(), &access(tls.clone())).await;
        let text = listed.unwrap_err().to_string();
        assert!(text.contains(want), "{text}");
    }
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn registries_with_tls_are_spoken_to_in_http_2_over_one_connection() {
    let authority = Authority::new();
    let registry = serve(&authority, &authority.server(Flaw::None), false).await;
    let access = access(tls(&[("ca.crt", authority.pem.clone())]));
    let client = client();
    for _ in 0..3 {
        list(&client, registry.host(), &access).await.unwrap();
    }
    let seen = registry.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|s| s.version == "HTTP/2.0"), "{seen:?}");
}

fn proxied(parts: Vec<(&str, String)>) -> Option<Proxy> {
    let data: BTreeMap<String, Vec<u8>> = parts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into_bytes()))
        .collect();
    Some(Proxy::from_secret(&data).unwrap())
}

#[tokio::test]
async fn a_registry_is_reached_through_the_proxy_of_the_secret() {
    let authority = Authority::new();
    let registry = serve(&authority, &authority.server(Flaw::None), false).await;
    let proxy = proxy::Proxy::start().await;
    let through = |proxy| Access {
        proxy,
        ..access(tls(&[("ca.crt", authority.pem.clone())]))
    };
    let listed = list(
        &client(),
        registry.host(),
        &through(proxied(proxy.secret())),
    )
    .await;
    assert_eq!(listed.unwrap().tags, ["2", "1"]);
    let asked = format!("CONNECT {} HTTP/1.1", registry.host());
    assert_eq!(proxy.asked(), [asked]);

    let mut wrong = proxy.secret();
    wrong[2].1 = "wr0ng-word".to_owned();
    let refused = list(&client(), registry.host(), &through(proxied(wrong))).await;
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("GET https://") && !text.contains("word"),
        "{text}"
    );

    let nobody = vec![("address", "http://127.0.0.1:1".to_owned())];
    let refused = list(&client(), registry.host(), &through(proxied(nobody))).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.to_lowercase().contains("connection refused"), "{text}");

    let metadata = vec![("address", "http://169.254.169.254".to_owned())];
    let refused = list(&client(), registry.host(), &through(proxied(metadata))).await;
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("proxy: address 169.254.169.254 is link-local"),
        "{text}"
    );
    assert_eq!(registry.seen().len(), 1);
}

#[tokio::test]
async fn plain_http_goes_through_the_proxy_too() {
    let proxy = Scripted::start(|seen, _| match seen.path.as_str() {
        "http://r.example.com/v2/" => ok("{}"),
        path if path.starts_with("http://r.example.com/v2/") => ok(TAGS),
        _ => answer(502, &[], ""),
    });
    let proxy = proxy.await;
    let access = Access {
        proxy: proxied(vec![("address", format!("http://{}", proxy.host()))]),
        ..insecure(None)
    };
    let listed = list(&client(), "r.example.com", &access).await;
    assert_eq!(listed.unwrap().tags, ["2", "1"]);
}

#[tokio::test]
async fn a_list_that_has_not_changed_is_not_read_again() {
    let page = |seen_path: &str| match seen_path.contains("page=1") {
        true => ("\"b\"", r#"{"tags":["2"]}"#, None),
        false => (
            "\"a\"",
            r#"{"tags":["1"]}"#,
            Some("</v2/team/app/tags/list?page=1>; rel=\"next\""),
        ),
    };
    let registry = Scripted::start(open(move |seen, n| {
        let (etag, body, link) = page(&seen.path);
        // From the seventh request on the second page is another.
        let changed = n >= 6 && etag == "\"b\"";
        let etag = if changed { "\"c\"" } else { etag };
        let body = if changed { r#"{"tags":["3"]}"# } else { body };
        if seen.header("if-none-match") == etag {
            return answer(304, &[("etag", etag)], "");
        }
        let mut headers = vec![("etag", etag)];
        headers.extend(link.map(|link| ("link", link)));
        answer(200, &headers, body)
    }));
    let registry = registry.await;
    let (client, access) = (client(), insecure(None));
    let repository = repository(registry.host(), "team/app");
    let again = |known| {
        let (client, repository, access) = (&client, &repository, &access);
        async move {
            let listed = client
                .tags_if_changed(repository, access, &|_| true, known)
                .await;
            listed.unwrap()
        }
    };
    let first = again(None).await.unwrap();
    assert_eq!(first.tags, ["2", "1"]);
    for n_asked in [4, 6] {
        assert_eq!(again(first.validator.as_ref()).await, None);
        assert_eq!(registry.seen().len(), n_asked);
    }
    // The first page is the same and the second is not: all are read.
    let changed = again(first.validator.as_ref()).await.unwrap();
    assert_eq!(changed.tags, ["3", "1"]);
    assert_eq!(registry.seen().len(), 10);
    assert_eq!(again(changed.validator.as_ref()).await, None);
}

#[tokio::test]
async fn an_only_page_without_an_etag_is_compared_by_its_body() {
    let next = ("link", "</v2/team/app/tags/list?page=1>; rel=\"next\"");
    let registry = Scripted::start(open(move |seen, n| match n {
        _ if seen.path.contains("page=1") => ok(r#"{"tags":["9"]}"#),
        ..=1 => ok(TAGS),
        2 => ok(r#"{"name":"team/app","tags":["1","3"]}"#),
        3 => ok("<html>"),
        _ => answer(200, &[next], TAGS),
    }));
    let registry = registry.await;
    let (client, access) = (client(), insecure(None));
    let repository = repository(registry.host(), "team/app");
    let again = async |known| {
        let keep = |_: &str| true;
        let listed = client.tags_if_changed(&repository, &access, &keep, known);
        listed.await
    };
    let first = again(None).await.unwrap().unwrap();
    let known = first.validator.as_ref();
    assert_eq!(first.tags, ["2", "1"]);
    assert_eq!(again(known).await.unwrap(), None);
    let changed = again(known).await.unwrap().unwrap();
    assert_eq!(changed.tags, ["3", "1"]);
    let error = again(known).await.unwrap_err().to_string();
    assert!(error.contains("is not a tag list"), "{error}");
    // The same body, and now a page behind it: all are read.
    let longer = again(known).await.unwrap().unwrap();
    assert_eq!((longer.n_pages, longer.validator), (2, None));
    assert_eq!(longer.tags, ["9", "2", "1"]);
}

#[tokio::test]
async fn a_304_that_nobody_asked_for_is_an_error() {
    let registry = Scripted::start(open(|_, _| answer(304, &[], ""))).await;
    let text = list_error(&client(), registry.host()).await;
    assert!(text.contains("unexpected status code 304"), "{text}");
}
