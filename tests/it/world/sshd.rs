//! A real ssh server on loopback: Debian's `sshd`, one process a connection, which runs `git-shell` and
//! nothing else.
//!
//! In: whose key opens the door. Out: URLs of repositories anywhere on this machine, the Secret that
//! reaches them, and which programs were asked for. It ends with its value.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::process::Command;

use super::keys::SshKey;

const PROGRAM: &str = "/usr/sbin/sshd";
/// The file that says where a program's input or output ends.
const CUT: &str = "cut";

/// A running server.
pub struct Sshd {
    folder: tempfile::TempDir,
    port: u16,
    user: String,
    host_key: SshKey,
    identity: SshKey,
    passphrase: &'static str,
    n_connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

/// How a server is started.
pub struct Options {
    /// What the host shows.
    pub host_key: SshKey,
    /// What opens the door, and its passphrase.
    pub identity: (SshKey, &'static str),
    /// Whether protocol version 2 is hidden, as old servers do.
    pub only_version_0: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host_key: SshKey::ed25519(),
            identity: (SshKey::ed25519(), ""),
            only_version_0: false,
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sshd {
    /// Starts a server.
    pub async fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has a port");
        let port = listener.local_addr().expect("it is bound").port();
        let (identity, passphrase) = options.identity;
        configure(
            folder.path(),
            &options.host_key,
            &identity,
            options.only_version_0,
        );
        let n_connections = Arc::<AtomicUsize>::default();
        let config = folder.path().join("config");
        let task = tokio::spawn(serve(listener, config, Arc::clone(&n_connections)));
        Self {
            folder,
            port,
            user: user(),
            host_key: options.host_key,
            identity,
            passphrase,
            n_connections,
            task,
        }
    }

    /// Returns the URL of the repository in a folder.
    pub fn url(&self, path: &Path) -> String {
        let Self { user, port, .. } = self;
        format!("ssh://{user}@127.0.0.1:{port}{}", path.display())
    }

    /// Returns the line of `known_hosts` for this server.
    pub fn known_hosts(&self) -> String {
        format!("[127.0.0.1]:{} {}\n", self.port, self.host_key.public_key())
    }

    /// Returns the data of the Secret that opens the door.
    pub fn secret(&self) -> Vec<(&'static str, String)> {
        let mut secret = vec![
            ("identity", self.identity.private_key()),
            ("identity.pub", self.identity.public_key()),
            ("known_hosts", self.known_hosts()),
        ];
        if !self.passphrase.is_empty() {
            secret.push(("password", self.passphrase.to_owned()));
        }
        secret
    }

    /// Ends the input (`up`) or the output (`down`) of a program after so many bytes, once.
    pub fn cut(&self, program: &str, way: &str, n_bytes: usize) {
        let line = format!("{program} {way} {n_bytes}\n");
        fs::write(self.folder.path().join(CUT), line).expect("the folder is writable");
    }

    /// Returns whether the last cut has been met.
    pub fn was_cut(&self) -> bool {
        !self.folder.path().join(CUT).exists()
    }

    /// Returns how many connections there were.
    pub fn n_connections(&self) -> usize {
        self.n_connections.load(Ordering::SeqCst)
    }

    /// Returns the programs that were asked for, in order.
    pub fn programs(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("asked")).unwrap_or_default();
        let words = text.lines().filter_map(|line| line.split(' ').next());
        words.map(str::to_owned).collect()
    }
}

/// Writes what a process of the server reads.
fn configure(folder: &Path, host_key: &SshKey, identity: &SshKey, only_version_0: bool) {
    let write = |name: &str, text: String| {
        fs::write(folder.join(name), text).expect("the folder is writable");
        folder.join(name)
    };
    let keys = write("authorized", format!("{}\n", identity.public_key()));
    let [asked, cut, out] = ["asked", CUT, "out"].map(|name| folder.join(name));
    let script = [
        "#!/bin/sh",
        &format!("echo \"$SSH_ORIGINAL_COMMAND\" >> {}", asked.display()),
        "export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null LC_ALL=C",
        &format!(
            "read program way n < {cut} 2> /dev/null",
            cut = cut.display()
        ),
        "case \"$SSH_ORIGINAL_COMMAND\" in \"$program \"*) ;; *) way= ;; esac",
        &format!("test -z \"$way\" || rm {}", cut.display()),
        "case \"$way\" in",
        "up) dd bs=1 count=\"$n\" status=none | git-shell -c \"$SSH_ORIGINAL_COMMAND\"; exit 1 ;;",
        // What ends is the output alone; the program may go on with its work.
        &format!(
            "down) mkfifo {0}; exec 3<&0; git-shell -c \"$SSH_ORIGINAL_COMMAND\" \\",
            out.display()
        ),
        &format!(
            "<&3 > {0} 2> /dev/null & exec 3<&-; dd bs=1 count=\"$n\" status=none < {0}; rm {0}; exit 1 ;;",
            out.display()
        ),
        "esac",
        "exec git-shell -c \"$SSH_ORIGINAL_COMMAND\"\n",
    ];
    let script = write("serve", script.join("\n"));
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&script, mode).expect("the file is ours");
    let mut config = vec![
        format!("HostKey {}", host_key.path().display()),
        format!("AuthorizedKeysFile {}", keys.display()),
        format!("ForceCommand {}", script.display()),
        "PidFile none".to_owned(),
        "StrictModes no".to_owned(),
        "UsePAM no".to_owned(),
        "PasswordAuthentication no".to_owned(),
        "KbdInteractiveAuthentication no".to_owned(),
        "PermitRootLogin yes".to_owned(),
        "RequiredRSASize 1024".to_owned(),
        "LogLevel ERROR".to_owned(),
    ];
    if !only_version_0 {
        config.push("AcceptEnv GIT_PROTOCOL".to_owned());
    }
    write("config", config.join("\n") + "\n");
    if user() == "root" {
        // Debian's service makes it when it starts.
        fs::create_dir_all("/run/sshd").expect("root may make it");
    }
}

/// Hands each connection to a process of its own, as inetd does.
async fn serve(listener: TcpListener, config: PathBuf, n_connections: Arc<AtomicUsize>) {
    let mut processes = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("the listener is open");
        n_connections.fetch_add(1, Ordering::SeqCst);
        let stream = stream.into_std().expect("the socket is ours");
        stream.set_nonblocking(false).expect("the socket is ours");
        let socket = OwnedFd::from(stream);
        let same = socket.try_clone().expect("there are descriptors left");
        let mut command = Command::new(PROGRAM);
        command.arg("-i").arg("-e").arg("-f").arg(&config);
        command.stdin(Stdio::from(socket)).stdout(Stdio::from(same));
        let child = command.stderr(Stdio::null()).kill_on_drop(true).spawn();
        let mut child = child.unwrap_or_else(|cause| {
            panic!("{PROGRAM} does not start ({cause}); run: apt-get install openssh-server")
        });
        processes.spawn(async move { child.wait().await });
    }
}

/// Returns who runs the tests: the only one who may log in when that is not root.
fn user() -> String {
    let output = std::process::Command::new("id").arg("-un").output();
    let name = output.expect("there is an id").stdout;
    String::from_utf8_lossy(&name).trim().to_owned()
}
