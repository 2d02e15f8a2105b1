//! Signed commits: made here, pushed, and found good by `git verify-commit` with real keys.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use towpath::git::{Error, SigningKey};

use super::{FILES, change, landed, open, room, target};
use crate::world::git::{GitServer, command, git};
use crate::world::keys::{Gpg, SshKey};

/// A Secret's data.
type Data<'a> = &'a [(&'a str, &'a str)];

fn openpgp(data: Data<'_>) -> Result<SigningKey, Error> {
    SigningKey::openpgp("apps/key", |key| value(data, key))
}

fn ssh(data: Data<'_>) -> Result<SigningKey, Error> {
    SigningKey::ssh("apps/key", |key| value(data, key))
}

fn value<'a>(data: Data<'a>, key: &str) -> Option<&'a [u8]> {
    let found = data.iter().find(|(name, _)| *name == key);
    found.map(|(_, value)| value.as_bytes())
}

/// Pushes a signed commit and returns the server that has it.
async fn pushed(key: SigningKey) -> GitServer {
    let server = GitServer::with_repository(FILES).await;
    let room = room();
    let repository = open(&room, &server.url("repo.git")).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut signed = change(&[("README.md", "signed\n")]);
    signed.time_s = i64::try_from(now.as_secs()).unwrap();
    signed.signing_key = Some(Arc::new(key));
    let target = target();
    let pushed = repository.push_with(&target, move |_| Ok(Some(signed.clone())));
    landed(pushed.await.unwrap());
    server.check("repo.git");
    server
}

/// Returns what git says of the newest commit's signature. Fails when it is not good.
fn verified(server: &GitServer, set: &[&str], variables: &[(&str, &str)]) -> String {
    let arguments = [set, &["verify-commit", "--verbose", "main"]].concat();
    let mut command = command(&server.path("repo.git"), &arguments);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

#[tokio::test]
async fn openpgp_signatures_are_good_to_git_and_gpg() {
    let keys = [
        ("ed25519", Gpg::with_key("ed25519", ""), ""),
        (
            "rsa2048",
            Gpg::with_key("rsa2048", "pass phrase"),
            "pass phrase",
        ),
        ("subkey", Gpg::with_subkey("pass phrase"), "pass phrase"),
    ];
    for (name, gpg, passphrase) in keys {
        let armored = gpg.private_key(passphrase);
        let mut data = vec![("git.asc", armored.as_str())];
        if !passphrase.is_empty() {
            data.push(("passphrase", passphrase));
        }
        let server = pushed(openpgp(&data).unwrap()).await;
        let home = gpg.home().to_str().unwrap();
        let said = verified(&server, &[], &[("GNUPGHOME", home)]);
        assert!(
            said.contains("Good signature from \"Bot <bot@example.com>\""),
            "{name}: {said}"
        );
    }
}

#[tokio::test]
async fn ssh_signatures_are_good_to_git_and_ssh_keygen() {
    let keys: [(&[&str], &str); 4] = [
        (&["-t", "ed25519"], ""),
        (&["-t", "ed25519"], "pass phrase"),
        (&["-t", "rsa", "-b", "2048"], ""),
        (&["-t", "ecdsa", "-b", "256"], "pass phrase"),
    ];
    for (kind, passphrase) in keys {
        let pair = SshKey::new(kind, passphrase);
        let private_key = pair.private_key();
        let data = [("identity", private_key.as_str()), ("password", passphrase)];
        let server = pushed(ssh(&data).unwrap()).await;
        let allowed = pair.path().with_extension("allowed");
        std::fs::write(&allowed, format!("bot@example.com {}\n", pair.public_key())).unwrap();
        let set = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
        let said = verified(&server, &["-c", &set], &[]);
        let good = "Good \"git\" signature for bot@example.com";
        assert!(said.contains(good), "{kind:?}: {said}");
    }
}

#[tokio::test]
async fn a_signed_commit_says_what_an_unsigned_one_says() {
    let pair = SshKey::ed25519();
    let private_key = pair.private_key();
    let server = pushed(ssh(&[("identity", &private_key)]).unwrap()).await;
    let path = server.path("repo.git");
    let shown = git(&path, &["log", "-1", "--format=%an <%ae>%n%cn%n%B", "main"]);
    assert_eq!(
        shown,
        "Towpath <towpath@example.com>\nTowpath\nUpdate images"
    );
    let object = git(&path, &["cat-file", "commit", "main"]);
    let n_headers = object
        .matches("\ngpgsig -----BEGIN SSH SIGNATURE-----\n ")
        .count();
    assert_eq!(n_headers, 1, "{object}");
}

#[test]
fn keys_that_cannot_sign_are_named_and_never_shown() {
    let locked = Gpg::with_key("ed25519", "pass phrase");
    let armored = locked.private_key("pass phrase");
    let ssh_locked = SshKey::new(&["-t", "ed25519"], "pass phrase").private_key();
    let short = SshKey::new(&["-t", "rsa", "-b", "1024"], "").private_key();
    let cut = armored.replace("-----END", "");
    let cases: [(Result<_, _>, &str); 9] = [
        (openpgp(&[("identity", &ssh_locked)]), "has no \"git.asc\""),
        (
            openpgp(&[("git.asc", "s3cret")]),
            "\"git.asc\" is no armored OpenPGP private key",
        ),
        (
            openpgp(&[("git.asc", &cut)]),
            "\"git.asc\" is no armored OpenPGP private key",
        ),
        (openpgp(&[("git.asc", &armored)]), "\"git.asc\" is locked"),
        (
            openpgp(&[("git.asc", &armored), ("passphrase", "s3cret")]),
            "\"passphrase\" does not unlock \"git.asc\"",
        ),
        (ssh(&[("git.asc", &armored)]), "has no \"identity\""),
        (
            ssh(&[("identity", "s3cret")]),
            "\"identity\" is no private key",
        ),
        (ssh(&[("identity", &ssh_locked)]), "\"identity\" is locked"),
        (
            ssh(&[("identity", &ssh_locked), ("password", "s3cret")]),
            "\"password\" does not unlock \"identity\"",
        ),
    ];
    for (key, want) in cases {
        let text = key.unwrap_err().to_string();
        assert!(text.starts_with("secret \"apps/key\": "), "{text}");
        assert!(text.contains(want), "{want}: {text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
    locked.add_key("Other <other@example.com>", "pass phrase");
    let together = locked.private_key("pass phrase");
    for two in [format!("{armored}\n{armored}"), together] {
        let text = openpgp(&[("git.asc", &two), ("passphrase", "pass phrase")]).unwrap_err();
        assert!(text.to_string().contains("several private keys"), "{text}");
    }
    let text = ssh(&[("identity", &short)]).unwrap_err().to_string();
    assert!(
        text.ends_with("RSA key of 1024 bits; at least 2048 are needed"),
        "{text}"
    );
}
