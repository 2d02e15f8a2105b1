//! What stands before repositories at companies and hosts: GitHub Apps and proxies.

use std::time::Duration;

use axum::http::StatusCode;
use towpath::git::{Error, Git, Proxy as ProxySpec, Remote, Repository};
use towpath::outbound::Hosts;
use towpath::safe::AddressRule;

use super::{FILES, Room, landed, main_branch, push, read, room};
use crate::world::git::{GitServer, Options, Tls, patience};
use crate::world::github::{Github, INSTALLATION, TOKEN};
use crate::world::keys::SshKey;
use crate::world::proxy::{Proxy, USER};
use crate::world::sshd::{self, Sshd};

type Data = Vec<(&'static str, String)>;

fn value<'a>(data: &'a Data, key: &str) -> Option<&'a [u8]> {
    let found = data.iter().find(|(name, _)| *name == key);
    found.map(|(_, value)| value.as_bytes())
}

fn with_app(url: &str, data: &Data) -> Result<Remote, Error> {
    let mut remote = Remote::anonymous(url)?;
    remote.timeout = patience();
    remote.with_github_app("apps/github", |key| value(data, key))
}

/// Returns a Git server that the app's token opens.
async fn hosted() -> GitServer {
    let server = GitServer::start(Options {
        credentials: Some(("x-access-token", TOKEN)),
        tls: Tls::No,
    })
    .await;
    server.create("repo.git");
    server.commit("repo.git", "main", FILES);
    server
}

async fn open(room: &Room, url: &str, data: &Data) -> Result<Repository, Error> {
    room.git.repository(with_app(url, data).unwrap()).await
}

#[tokio::test]
async fn a_github_app_reads_and_pushes_with_one_token() {
    let (github, server) = (Github::start().await, hosted().await);
    let (room, url) = (room(), server.url("repo.git"));
    let data = github.secret(false);
    for n in 1..=2 {
        let repository = open(&room, &url, &data).await.unwrap();
        landed(push(&repository, &[("README.md", &format!("{n}\n"))]).await);
        let checkout = repository.checkout(&main_branch()).await.unwrap();
        assert_eq!(read(&checkout, "README.md"), Some(format!("{n}\n")));
    }
    let asked = format!("POST /api/v3/app/installations/{INSTALLATION}/access_tokens");
    assert_eq!(github.take_requests(), [asked]);
}

#[tokio::test]
async fn a_github_app_finds_its_installation_and_renews_a_token_that_ends() {
    let (github, server) = (Github::start().await, hosted().await);
    let (room, url) = (room(), server.url("repo.git"));
    github.tokens_live(Duration::from_secs(240));
    let data = github.secret(true);
    for _ in 0..2 {
        let repository = open(&room, &url, &data).await.unwrap();
        repository.head(&main_branch()).await.unwrap();
        let requests = github.take_requests();
        let [first, second, third] = requests.as_slice() else {
            panic!("{requests:?}");
        };
        assert!(
            first.ends_with("/app/installations?per_page=100&page=1"),
            "{first}"
        );
        assert!(second.ends_with("&page=2"), "{second}");
        assert!(third.ends_with("/access_tokens"), "{third}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_used_again() {
    let github = Github::start().await;
    let server = GitServer::start(Options {
        credentials: Some(("x-access-token", "another")),
        tls: Tls::No,
    })
    .await;
    server.create("repo.git");
    let (room, url, data) = (room(), server.url("repo.git"), github.secret(false));
    for _ in 0..2 {
        let repository = open(&room, &url, &data).await.unwrap();
        let error = repository.head(&main_branch()).await.unwrap_err();
        assert!(matches!(error, Error::Authentication { .. }), "{error}");
        assert!(!error.to_string().contains(TOKEN), "{error}");
        assert_eq!(github.take_requests().len(), 1);
    }
}

#[tokio::test]
async fn a_github_that_gives_no_token_is_quoted_without_secrets() {
    let (github, server) = (Github::start().await, hosted().await);
    let url = server.url("repo.git");
    let good = github.secret(false);
    let replaced = |name: &'static str, value: &str| {
        let mut data = good.clone();
        data.retain(|(key, _)| *key != name);
        data.push((name, value.to_owned()));
        data
    };
    let other_key = SshKey::new(&["-t", "rsa", "-b", "2048", "-m", "PEM"], "").private_key();
    let mut nobody = github.secret(true);
    nobody.retain(|(key, _)| *key != "githubAppInstallationOwner");
    nobody.push(("githubAppInstallationOwner", "nobody".to_owned()));
    for (data, want) in [
        (
            replaced("githubAppPrivateKey", &other_key),
            "HTTP 401: A JSON web token could not be",
        ),
        (
            replaced("githubAppInstallationID", "9"),
            "HTTP 404: Not Found",
        ),
        (nobody, "the app is not installed for \"nobody\""),
    ] {
        let error = open(&room(), &url, &data).await.err().unwrap();
        assert!(error.to_string().contains(want), "{want}: {error}");
        assert!(!error.is_transient(), "{error}");
    }
    for (status, body, want) in [
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "<html>",
            "answered HTTP 500",
        ),
        (
            StatusCode::CREATED,
            "{\"token\": \"s3cret\"}",
            "cannot be read",
        ),
        (
            StatusCode::CREATED,
            "{\"token\": \"s3cret\", \"expires_at\": \"?\"}",
            "is no time",
        ),
    ] {
        github.answer(status, body);
        let error = open(&room(), &url, &good).await.err().unwrap();
        assert!(error.to_string().contains(want), "{want}: {error}");
        assert!(
            error.is_transient() && !error.to_string().contains("s3cret"),
            "{error}"
        );
    }
    github.answer(StatusCode::CREATED, &"x".repeat(5 << 20));
    let error = open(&room(), &url, &good).await.err().unwrap();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn secrets_that_are_no_github_app_name_the_key() {
    let github = Github::start().await;
    let url = "https://github.com/acme/fleet";
    let good = github.secret(false);
    let without = |name: &str| {
        let mut data = good.clone();
        data.retain(|(key, _)| *key != name);
        data
    };
    let with = |name: &'static str, value: &str| {
        let mut data = without(name);
        data.push((name, value.to_owned()));
        data
    };
    let short = SshKey::new(&["-t", "rsa", "-b", "1024", "-m", "PEM"], "").private_key();
    for (data, want) in [
        (without("githubAppID"), "has no \"githubAppID\""),
        (
            with("githubAppID", "s3cret"),
            "\"githubAppID\" is no number",
        ),
        (without("githubAppInstallationID"), "needs either"),
        (with("githubAppInstallationOwner", "acme"), "needs either"),
        (
            without("githubAppPrivateKey"),
            "has no \"githubAppPrivateKey\"",
        ),
        (
            with("githubAppPrivateKey", "s3cret"),
            "\"githubAppPrivateKey\" is no private key in PEM",
        ),
        (
            with("githubAppPrivateKey", &short),
            "is no RSA key of 2048 to 4096 bits",
        ),
        (
            with("githubAppBaseURL", "s3cret"),
            "\"githubAppBaseURL\" is no plain URL",
        ),
        (
            with("githubAppBaseURL", "https://bob:s3cret@host"),
            "is no plain URL",
        ),
    ] {
        let text = with_app(url, &data).unwrap_err().to_string();
        assert!(text.starts_with("secret \"apps/github\": "), "{text}");
        assert!(
            text.contains(want) && !text.contains("s3cret"),
            "{want}: {text}"
        );
    }
    let plain = vec![("username", "bob".to_owned())];
    let text = with_app(url, &plain).unwrap_err().to_string();
    assert!(
        text.contains("must be specified when provider is set to github"),
        "{text}"
    );
    assert!(with_app("ssh://git@github.com/acme/fleet", &good).is_err());
    let remote = Remote::anonymous(url).unwrap();
    let text = remote
        .with_secret("apps/github", |key| value(&good, key))
        .unwrap_err();
    assert_eq!(
        text.to_string(),
        "secretRef 'apps/github' has github app data but provider is not set to github: invalid \
         source configuration"
    );
}

#[tokio::test]
async fn a_proxy_carries_https_and_is_told_its_own_password() {
    let server = GitServer::start(Options {
        credentials: Some(("bob", "s3cret")),
        tls: Tls::Yes,
    })
    .await;
    server.create("repo.git");
    server.commit("repo.git", "main", FILES);
    let proxy = Proxy::start().await;
    let secret = vec![
        ("username", "bob".to_owned()),
        ("password", "s3cret".to_owned()),
        ("ca.crt", server.ca.clone().unwrap()),
    ];
    let room = room();
    let opened = async |proxy_secret: Data| {
        let mut remote = Remote::anonymous(&server.url("repo.git")).unwrap();
        remote.timeout = patience();
        let remote = remote
            .with_secret("apps/git", |key| value(&secret, key))
            .unwrap();
        let proxy = ProxySpec::from_secret("apps/proxy", |key| value(&proxy_secret, key)).unwrap();
        room.git
            .repository(remote.through(proxy).unwrap())
            .await
            .unwrap()
    };
    let repository = opened(proxy.secret()).await;
    landed(push(&repository, &[("README.md", "through\n")]).await);
    let place = server.url("").replace("https://", "");
    let place = place.trim_end_matches('/');
    let asked = proxy.asked();
    assert!(!asked.is_empty());
    for line in &asked {
        assert_eq!(line, &format!("CONNECT {place} HTTP/1.1"));
    }

    let mut wrong = proxy.secret();
    wrong[2].1 = "s3cret-but-wrong".to_owned();
    let error = opened(wrong).await.head(&main_branch()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("connect to https://localhost:"), "{text}");
    assert!(!text.contains("s3cret") && !text.contains(USER.1), "{text}");
    assert_eq!(proxy.asked().len(), asked.len());

    let ssh = Remote::anonymous("ssh://git@host/repo").unwrap();
    let data = proxy.secret();
    let spec = ProxySpec::from_secret("apps/proxy", |key| value(&data, key)).unwrap();
    let text = ssh.through(spec).unwrap_err().to_string();
    assert!(text.contains("proxies of socks5 alone"), "{text}");
}

#[tokio::test]
async fn a_proxy_of_socks5_carries_http_and_ssh() {
    let server = GitServer::with_repository(FILES).await;
    let sshd = Sshd::start(sshd::Options::default()).await;
    let proxy = Proxy::socks5().await;
    let room = room();
    let opened = async |remote: Remote, proxy_secret: Data| {
        let proxy = ProxySpec::from_secret("apps/proxy", |key| value(&proxy_secret, key)).unwrap();
        let mut remote = remote.through(proxy).unwrap();
        remote.timeout = patience();
        room.git.repository(remote).await.unwrap()
    };
    let http = || Remote::anonymous(&server.url("repo.git")).unwrap();
    let url = sshd.url(&server.path("repo.git"));
    let secret = sshd.secret();
    let ssh = || {
        let remote = Remote::anonymous(&url).unwrap();
        remote
            .with_secret("apps/ssh", |key| value(&secret, key))
            .unwrap()
    };
    let place = |url: &str| {
        let place = url.split("://").nth(1).unwrap().split('/').next().unwrap();
        place.rsplit('@').next().unwrap().to_owned()
    };
    for (remote, place) in [(http(), place(&server.url(""))), (ssh(), place(&url))] {
        let n_before = proxy.asked().len();
        let repository = opened(remote, proxy.secret()).await;
        landed(push(&repository, &[("README.md", &place)]).await);
        let asked = &proxy.asked()[n_before..];
        assert!(!asked.is_empty() && asked.iter().all(|asked| *asked == place));
    }
    server.check("repo.git");

    let mut wrong = proxy.secret();
    wrong[2].1 = "s3cret-but-wrong".to_owned();
    let mut closed = proxy.secret();
    closed[0].1 = "socks5://127.0.0.1:1".to_owned();
    let n_before = proxy.asked().len();
    for data in [wrong, closed] {
        for remote in [http(), ssh()] {
            let repository = opened(remote, data.clone()).await;
            let error = repository.head(&main_branch()).await.unwrap_err();
            assert!(matches!(error, Error::Connection { .. }), "{error}");
            assert!(error.is_transient(), "{error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
    assert_eq!(proxy.asked().len(), n_before);
}

#[tokio::test]
async fn is2_addresses_that_nobody_may_ask_are_refused_on_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let server = GitServer::with_repository(FILES).await;
    let asked = async |rule: AddressRule, remote: Remote| {
        let git = Git::open_for(folder.path(), Hosts::new(rule)).unwrap();
        let repository = git.repository(remote).await?;
        repository.head(&main_branch()).await
    };
    let key = SshKey::ed25519();
    let ssh = |host: &str| {
        let known_hosts = format!("{host} {}\n", key.public_key());
        let data = vec![
            ("identity", key.private_key()),
            ("known_hosts", known_hosts),
        ];
        let remote = Remote::anonymous(&format!("ssh://git@{host}/repo")).unwrap();
        remote
            .with_secret("apps/git", |key| value(&data, key))
            .unwrap()
    };
    let http = |url: &str| Remote::anonymous(url).unwrap();
    let mut app = Github::start().await.secret(false);
    app.retain(|(key, _)| *key != "githubAppBaseURL");
    app.push(("githubAppBaseURL", "http://169.254.169.254/api".to_owned()));
    let spec = vec![("address", "http://169.254.169.254:80".to_owned())];
    let spec = ProxySpec::from_secret("apps/proxy", |key| value(&spec, key)).unwrap();
    let inside = server.url("repo.git");
    for (rule, remote) in [
        (
            AddressRule::WithPrivate,
            http("http://169.254.169.254/latest"),
        ),
        (AddressRule::WithPrivate, ssh("169.254.169.254")),
        (AddressRule::WithPrivate, with_app(&inside, &app).unwrap()),
        (
            AddressRule::WithPrivate,
            http(&inside).through(spec).unwrap(),
        ),
        (AddressRule::PublicOnly, http("http://127.0.0.1:1/repo")),
        (AddressRule::PublicOnly, http(&inside)),
        (AddressRule::PublicOnly, ssh("10.0.0.1")),
    ] {
        let url = remote.url.to_string();
        let error = asked(rule, remote).await.unwrap_err();
        assert!(matches!(error, Error::Host { .. }), "{url}: {error}");
        assert!(!error.is_transient(), "{error}");
    }
    asked(AddressRule::WithPrivate, http(&inside))
        .await
        .unwrap();
}
