//! Keys as people make them: by `gpg` and `ssh-keygen`, each in a folder of its own.
//!
//! Out: the texts that go into Secrets, and what `git` needs to check signatures with.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Who signs.
pub const SIGNER: &str = "Bot <bot@example.com>";

/// A home of GnuPG with one key; its agent ends with this value.
pub struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    /// Makes a key that may sign: `algorithm` as GnuPG names it, locked if there is a passphrase.
    pub fn with_key(algorithm: &str, passphrase: &str) -> Self {
        let gpg = Self::empty();
        let make = ["--quick-generate-key", SIGNER, algorithm, "sign", "never"];
        gpg.run(passphrase, &make);
        gpg
    }

    /// Makes a key that may only certify, with a subkey that signs.
    pub fn with_subkey(passphrase: &str) -> Self {
        let gpg = Self::empty();
        let make = ["--quick-generate-key", SIGNER, "ed25519", "cert", "never"];
        gpg.run(passphrase, &make);
        let listed = gpg.run(passphrase, &["--list-keys", "--with-colons"]);
        let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:"));
        let fingerprint = fingerprint.expect("there is a key").trim_matches(':');
        let add = ["--quick-add-key", fingerprint, "ed25519", "sign", "never"];
        gpg.run(passphrase, &add);
        gpg
    }

    /// Makes one key more, of somebody else.
    pub fn add_key(&self, name: &str, passphrase: &str) {
        let make = ["--quick-generate-key", name, "ed25519", "sign", "never"];
        self.run(passphrase, &make);
    }

    fn empty() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        // Locks that open fast, also for code that is not optimised.
        let settings = home.path().join("gpg-agent.conf");
        std::fs::write(settings, "s2k-count 65536\n").expect("the folder is writable");
        Self { home }
    }

    /// Returns the armored private keys, locked as they were made.
    pub fn private_key(&self, passphrase: &str) -> String {
        self.run(passphrase, &["--armor", "--export-secret-keys"])
    }

    /// Returns the folder for `GNUPGHOME`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    fn run(&self, passphrase: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.home());
        command.args(["--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"]);
        command.args(["--passphrase", passphrase]).args(arguments);
        output(command, "gnupg")
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let mut command = Command::new("gpgconf");
        command
            .arg("--homedir")
            .arg(self.home())
            .args(["--kill", "all"]);
        // An agent that is left ends by itself when its folder is gone.
        let _ = command.output();
    }
}

/// A key pair of ssh in a folder of its own.
pub struct SshKey {
    folder: tempfile::TempDir,
}

impl SshKey {
    /// Makes a key of a kind and size, such as `["-t", "rsa", "-b", "3072"]`, locked if there is a
    /// passphrase.
    pub fn new(kind: &[&str], passphrase: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let key = Self { folder };
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-a", "1", "-C", "bot@example.com", "-N", passphrase]);
        command.args(kind).arg("-f").arg(key.path());
        output(command, "openssh-client");
        key
    }

    /// Makes an ed25519 key that is not locked.
    pub fn ed25519() -> Self {
        Self::new(&["-t", "ed25519"], "")
    }

    /// Returns the file of the private key.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("identity")
    }

    /// Returns the private key.
    pub fn private_key(&self) -> String {
        std::fs::read_to_string(self.path()).expect("it is made")
    }

    /// Returns the public key as `kind base64`.
    pub fn public_key(&self) -> String {
        let text = std::fs::read_to_string(self.path().with_extension("pub"));
        let text = text.expect("it is made");
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }
}

/// Returns what a program prints. Fails with the Debian package when it is not there.
fn output(mut command: Command, package: &str) -> String {
    let output = command
        .output()
        .unwrap_or_else(|cause| panic!("{command:?}: {cause}; run: apt-get install {package}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).expect("it prints text")
}
