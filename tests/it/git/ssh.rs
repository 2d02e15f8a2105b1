//! The `git` room over ssh: against a real `sshd`, and against hosts that are not what they should be.

use std::time::Duration;

use towpath::git::{Error, Pushed, Remote, Repository};

use super::lost::{n_commits, try_push};
use super::{FILES, Room, landed, main_branch, push, read, room};
use crate::world::git::{GitServer, fsck, patience};
use crate::world::keys::SshKey;
use crate::world::sshd::{Options, Sshd};

/// Returns the remote at `url` with the data of a Secret.
fn remote(url: &str, secret: &[(&str, String)]) -> Result<Remote, Error> {
    let mut remote = Remote::anonymous(url)?;
    remote.timeout = patience();
    remote.with_secret("apps/ssh", |key| {
        let found = secret.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| value.as_bytes())
    })
}

async fn open(room: &Room, sshd: &Sshd, git: &GitServer) -> Repository {
    let url = sshd.url(&git.path("repo.git"));
    let remote = remote(&url, &sshd.secret()).unwrap();
    room.git.repository(remote).await.unwrap()
}

#[tokio::test]
async fn a_branch_is_read_and_pushed_to_within_one_session() {
    let git = GitServer::with_repository(FILES).await;
    let identity = SshKey::new(&["-t", "ed25519"], "pass phrase");
    let sshd = Sshd::start(Options {
        identity: (identity, "pass phrase"),
        ..Options::default()
    })
    .await;
    let room = room();
    let repository = open(&room, &sshd, &git).await;
    let first = repository.checkout(&main_branch()).await.unwrap();
    assert_eq!(read(&first, "README.md").as_deref(), Some("hello\n"));

    git.commit("repo.git", "main", &[("README.md", "second\n")]);
    let second = repository.checkout(&main_branch()).await.unwrap();
    assert_eq!(read(&second, "README.md").as_deref(), Some("second\n"));

    let landed = landed(push(&repository, &[("apps/new.yaml", "a: 1\n")]).await);
    assert_eq!(landed.parent, Some(second.commit));
    git.check("repo.git");
    assert_eq!(git.git("repo.git", &["show", "main:apps/new.yaml"]), "a: 1");
    let log = git.git("repo.git", &["log", "--format=%an %s", "-1", "main"]);
    assert_eq!(log, "Towpath Update images");
    assert_eq!(sshd.n_connections(), 1);
    // A program lists and packs; the next list is one's that knows of the new commit.
    let programs = ["git-upload-pack", "git-upload-pack", "git-receive-pack"];
    assert_eq!(sshd.programs(), programs);
}

#[tokio::test]
async fn old_servers_rsa_keys_and_hashed_hosts_are_spoken_to() {
    let git = GitServer::with_repository(FILES).await;
    for (kind, old) in [
        (&["-t", "rsa", "-b", "2048"][..], false),
        (&["-t", "ecdsa", "-b", "384"], true),
    ] {
        let sshd = Sshd::start(Options {
            host_key: SshKey::new(kind, ""),
            identity: (SshKey::new(kind, ""), ""),
            only_version_0: old,
        })
        .await;
        let mut secret = sshd.secret();
        for (name, value) in &mut secret {
            if *name == "known_hosts" {
                *value = hashed(value);
            }
        }
        let room = room();
        let url = sshd.url(&git.path("repo.git"));
        let remote = remote(&url, &secret).unwrap();
        let repository = room.git.repository(remote).await.unwrap();
        let text = format!("{kind:?}\n");
        landed(push(&repository, &[("README.md", &text)]).await);
        git.commit("repo.git", "main", &[("other", "x\n")]);
        let checkout = repository.checkout(&main_branch()).await.unwrap();
        assert_eq!(read(&checkout, "README.md"), Some(text));
        git.check("repo.git");
    }
}

/// Returns lines with their hosts hashed by `ssh-keygen -H`.
fn hashed(lines: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    std::fs::write(&path, lines).unwrap();
    let mut command = std::process::Command::new("ssh-keygen");
    let output = command.args(["-H", "-f"]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("|1|"), "{text}");
    text
}

#[tokio::test]
async fn gt4_a_hook_that_refuses_over_ssh_is_quoted() {
    let git = GitServer::with_repository(FILES).await;
    git.hook("repo.git", "pre-receive", "echo 'no robots'; exit 1");
    let sshd = Sshd::start(Options::default()).await;
    let room = room();
    let repository = open(&room, &sshd, &git).await;
    match push(&repository, &[("README.md", "x\n")]).await {
        Pushed::Refused(refusal) => {
            assert_eq!(refusal.reason, "pre-receive hook declined");
            assert_eq!(refusal.messages, ["no robots"]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(git.git("repo.git", &["rev-list", "--count", "main"]), "1");
}

#[tokio::test]
async fn what_an_ssh_server_will_not_do_is_said_in_its_words() {
    let git = GitServer::with_repository(FILES).await;
    let sshd = Sshd::start(Options::default()).await;
    let room = room();
    let ask = async |url: &str, secret: &[(&str, String)]| {
        let remote = remote(url, secret).unwrap();
        let repository = room.git.repository(remote).await.unwrap();
        repository
            .head(&main_branch())
            .await
            .unwrap_err()
            .to_string()
    };
    let missing = ask(&sshd.url(&git.path("none.git")), &sshd.secret()).await;
    assert!(
        missing.contains("none.git' does not appear to be a git repository"),
        "{missing}"
    );

    let url = sshd.url(&git.path("repo.git"));
    let stranger = SshKey::ed25519();
    let secret = [
        ("identity", stranger.private_key()),
        ("known_hosts", sshd.known_hosts()),
    ];
    let refused = ask(&url, &secret).await;
    assert!(
        refused.starts_with("authentication refused by ssh://"),
        "{refused}"
    );
    assert!(
        refused.contains("does not take key ssh-ed25519 SHA256:"),
        "{refused}"
    );

    let anonymous = Remote::anonymous(&url).unwrap();
    let repository = room.git.repository(anonymous).await.unwrap();
    let text = repository
        .head(&main_branch())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("needs a Secret with identity and known_hosts"),
        "{text}"
    );
}

#[tokio::test]
async fn gt9_hosts_that_are_not_known_are_left_before_anything_is_said() {
    let git = GitServer::with_repository(FILES).await;
    let sshd = Sshd::start(Options::default()).await;
    let weak = Sshd::start(Options {
        host_key: SshKey::new(&["-t", "rsa", "-b", "1024"], ""),
        ..Options::default()
    })
    .await;
    let good = sshd.known_hosts();
    let place = good.split(' ').next().unwrap();
    let other_key = SshKey::ed25519().public_key();
    let changed = format!("{place} {other_key}\n");
    let revoked = format!("{good}@revoked {good}");
    let authority = format!("@cert-authority {place} {other_key}\n");
    for (server, known_hosts, want) in [
        (
            &sshd,
            changed,
            "ssh: handshake failed: knownhosts: key mismatch: ",
        ),
        (
            &sshd,
            weak.known_hosts(),
            "ssh: handshake failed: knownhosts: key is unknown: ",
        ),
        (&sshd, revoked, "is revoked"),
        (&sshd, authority, "@cert-authority"),
        (
            &weak,
            weak.known_hosts(),
            "RSA key of 1024 bits; at least 2048 are needed",
        ),
    ] {
        let mut secret = server.secret();
        secret.retain(|(name, _)| *name != "known_hosts");
        secret.push(("known_hosts", known_hosts));
        let room = room();
        let url = server.url(&git.path("repo.git"));
        let repository = room
            .git
            .repository(remote(&url, &secret).unwrap())
            .await
            .unwrap();
        let error = repository.head(&main_branch()).await.unwrap_err();
        assert!(matches!(error, Error::HostKey { .. }), "{want}: {error}");
        assert!(error.to_string().contains(want), "{want}: {error}");
        assert!(!error.is_transient(), "{error}");
        assert_eq!(server.programs(), [""; 0]);
    }
}

#[tokio::test]
async fn gt9_a_host_that_never_sends_its_banner_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let key = SshKey::ed25519();
    let secret = [
        ("identity", key.private_key()),
        (
            "known_hosts",
            format!("[127.0.0.1]:{port} {}\n", key.public_key()),
        ),
    ];
    let mut remote = remote(&format!("ssh://git@127.0.0.1:{port}/x"), &secret).unwrap();
    remote.timeout = Duration::from_millis(300);
    let room = room();
    let repository = room.git.repository(remote).await.unwrap();
    let error = repository.head(&main_branch()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(error.is_transient());
    silent.abort();
}

#[test]
fn gt9_secrets_that_open_no_door_name_the_key_that_is_wrong() {
    let good = SshKey::ed25519();
    let short = SshKey::new(&["-t", "rsa", "-b", "1024"], "");
    let locked = SshKey::new(&["-t", "ed25519"], "pass phrase");
    let known = || ("known_hosts", format!("host {}\n", good.public_key()));
    for (secret, want) in [
        (vec![known()], "has no \"identity\""),
        (
            vec![("identity", good.private_key())],
            "has no \"known_hosts\"",
        ),
        (
            vec![
                ("identity", good.private_key()),
                ("known_hosts", "s3cret".to_owned()),
            ],
            "\"known_hosts\" cannot be read at line 1",
        ),
        (
            vec![known(), ("identity", short.private_key())],
            "RSA key of 1024 bits; at least 2048 are needed",
        ),
        (
            vec![known(), ("identity", locked.private_key())],
            "\"identity\" is locked",
        ),
        (
            vec![
                known(),
                ("username", "s3cret".to_owned()),
                ("password", "s3cret".to_owned()),
            ],
            "has no \"identity\"",
        ),
    ] {
        let text = remote("ssh://git@host/x", &secret).unwrap_err().to_string();
        assert!(text.starts_with("secret \"apps/ssh\": "), "{text}");
        assert!(
            text.contains(want) && !text.contains("s3cret"),
            "{want}: {text}"
        );
    }
}

#[tokio::test]
async fn gt5_a_push_cut_anywhere_over_ssh_lands_once() {
    let git = GitServer::with_repository(FILES).await;
    let sshd = Sshd::start(Options::default()).await;
    let room = room();
    let repository = open(&room, &sshd, &git).await;
    let mut n_told = 0;
    for (way, n) in places(&[0, 3, 60, 200, 290, 350], &[0, 4, 100, 250, 280]) {
        sshd.cut("git-receive-pack", way, n);
        let (text, before) = (format!("{way} {n}\n"), n_commits(&git));
        if let Err(error) = try_push(&repository, &text).await {
            n_told += 1;
            assert!(error.is_transient(), "{way} {n}: {error}");
        }
        assert!(sshd.was_cut(), "{way} {n}");
        try_push(&repository, &text).await.unwrap();
        assert_eq!(n_commits(&git), before + 1, "{way} {n}");
        assert_eq!(
            git.git("repo.git", &["show", "main:README.md"]),
            text.trim()
        );
    }
    println!("{n_told} cuts were told");
    assert!(n_told > 0);
    git.check("repo.git");
}

#[tokio::test]
async fn gt5_a_fetch_cut_anywhere_over_ssh_leaves_nothing_half() {
    let git = GitServer::with_repository(FILES).await;
    let sshd = Sshd::start(Options::default()).await;
    let mut n_told = 0;
    for (way, n) in places(&[0, 3, 100, 300], &[0, 4, 100, 300, 500, 600, 700]) {
        let room = room();
        let repository = open(&room, &sshd, &git).await;
        sshd.cut("git-upload-pack", way, n);
        if let Err(error) = repository.checkout(&main_branch()).await {
            n_told += 1;
            assert!(error.is_transient(), "{way} {n}: {error}");
        }
        assert!(sshd.was_cut(), "{way} {n}");
        let checkout = repository.checkout(&main_branch()).await.unwrap();
        assert_eq!(read(&checkout, "README.md").as_deref(), Some("hello\n"));
        fsck(repository.mirror_path());
    }
    println!("{n_told} cuts were told");
    assert!(n_told > 0);
}

/// Returns after how many bytes of each way a program is cut.
fn places(up: &[usize], down: &[usize]) -> Vec<(&'static str, usize)> {
    let up = up.iter().map(|n| ("up", *n));
    up.chain(down.iter().map(|n| ("down", *n))).collect()
}

#[tokio::test]
async fn a_session_that_starts_many_programs_closes_their_channels() {
    let git = GitServer::with_repository(FILES).await;
    git.hook("repo.git", "pre-receive", "exit 1");
    let sshd = Sshd::start(Options::default()).await;
    let room = room();
    let repository = open(&room, &sshd, &git).await;
    // More than the ten channels that a server gives a session.
    for n in 0..12 {
        git.commit("repo.git", "main", &[("n", &format!("{n}\n"))]);
        let refused = push(&repository, &[("README.md", "x\n")]).await;
        assert!(matches!(refused, Pushed::Refused(_)), "{refused:?}");
    }
    assert_eq!(sshd.n_connections(), 1);
}
