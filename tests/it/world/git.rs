//! A real Git server: Debian's `git http-backend` behind a small HTTP bridge.
//!
//! The bridge adds what a hosting service adds (Basic auth, TLS by an own CA) and what networks do
//! (cut, stalled and lost answers). It also makes repositories and commits, as other people would.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use base64::Engine as _;
use tokio::io::AsyncWriteExt as _;

use super::places;
use super::registry_tls::{Authority, Flaw};

/// What one answer does instead of arriving whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends after so many bytes of the body.
    CutAfter(usize),
    /// Nothing ever comes.
    Stall,
    /// The server does its work, then the connection ends without an answer.
    LoseAnswer,
    /// A status without Git's words.
    Status(u16),
    /// A web page.
    Page,
    /// References as a server of files sends them.
    Dumb,
    /// The same path below another origin and prefix, such as `http://other:80/moved`.
    RedirectTo(&'static str),
}

/// Where a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The request from now on, from 0.
    pub request: usize,
    /// Which of its two messages.
    pub message: Message,
    /// Which of the message's places, from 0.
    pub place: usize,
}

/// A message of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// What the client sends: the server takes what has come, and nothing is answered.
    Request,
    /// What the server sends, after it has done its work.
    Answer,
}

type Hook = Box<dyn FnOnce(&Shared) + Send>;

/// What tests change while the server runs.
#[derive(Default)]
pub struct Shared {
    root: PathBuf,
    credentials: Option<(String, String)>,
    /// Whether the server hides protocol version 2.
    only_version_0: Mutex<bool>,
    /// Faults for requests whose URL contains the text; each is used once.
    faults: Mutex<Vec<(&'static str, Fault)>>,
    /// Where the connection is cut next.
    cut: Mutex<Option<Cut>>,
    was_cut: Mutex<bool>,
    /// Runs once, just before a push reaches Git.
    before_push: Mutex<Option<Hook>>,
    requests: Mutex<Vec<String>>,
    /// What servers for pushes say that they can, beside what they say themselves.
    further_capability: Mutex<Option<&'static str>>,
    /// The body of the last push.
    pushed: Mutex<Bytes>,
}

/// How a server is started.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// Who may ask, when not everybody.
    pub credentials: Option<(&'static str, &'static str)>,
    /// Whether it speaks TLS.
    pub tls: Tls,
}

/// Whether a server speaks TLS, and with whom.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    #[default]
    No,
    /// With everybody, by a certificate of its own CA.
    Yes,
    /// With those who have a certificate of that CA, too.
    Mutual,
}

/// A running server; it ends with this value.
pub struct GitServer {
    shared: Arc<Shared>,
    _folder: tempfile::TempDir,
    origin: String,
    /// The CA's certificate as PEM, when it speaks TLS.
    pub ca: Option<String>,
    /// The CA.
    pub authority: Authority,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl GitServer {
    /// Starts a server without repositories.
    pub async fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared {
            root: folder.path().to_owned(),
            credentials: options
                .credentials
                .map(|(user, password)| (user.into(), password.into())),
            ..Shared::default()
        });
        let router = Router::new()
            .fallback(bridge)
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let authority = Authority::new();
        let (ca, task, scheme) = if options.tls != Tls::No {
            let leaf = authority.server(Flaw::None);
            let config = authority.config(&leaf, options.tls == Tls::Mutual);
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
            (
                Some(authority.pem.clone()),
                tokio::spawn(serve_tls(listener, acceptor, router)),
                "https",
            )
        } else {
            let serve = async move { axum::serve(listener, router).await.unwrap() };
            (None, tokio::spawn(serve), "http")
        };
        Self {
            shared,
            _folder: folder,
            origin: format!("{scheme}://localhost:{port}"),
            ca,
            authority,
            task,
        }
    }

    /// Starts an open server with one repository `repo.git` whose `main` holds `files`.
    pub async fn with_repository(files: &[(&str, &str)]) -> Self {
        let server = Self::start(Options::default()).await;
        server.create("repo.git");
        server.commit("repo.git", "main", files);
        server
    }

    /// Returns the URL of a repository.
    pub fn url(&self, repository: &str) -> String {
        format!("{}/{repository}", self.origin)
    }

    /// Returns the folder of a repository.
    pub fn path(&self, repository: &str) -> PathBuf {
        self.shared.root.join(repository)
    }

    /// Makes an empty bare repository that may be pushed to.
    pub fn create(&self, repository: &str) {
        create(&self.path(repository));
    }

    /// Commits files to a branch, as somebody else would. Returns the commit.
    pub fn commit(&self, repository: &str, branch: &str, files: &[(&str, &str)]) -> String {
        commit(&self.path(repository), branch, files)
    }

    /// Runs git in a repository and returns its output.
    pub fn git(&self, repository: &str, arguments: &[&str]) -> String {
        git(&self.path(repository), arguments)
    }

    /// Fails unless `git fsck --strict` finds nothing.
    pub fn check(&self, repository: &str) {
        fsck(&self.path(repository));
    }

    /// Puts a hook script into a repository.
    pub fn hook(&self, repository: &str, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(repository).join("hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Lets the next request whose URL contains `part` fail.
    pub fn fail(&self, part: &'static str, fault: Fault) {
        self.shared.faults.lock().unwrap().push((part, fault));
    }

    /// Cuts the connection once.
    pub fn cut(&self, cut: Cut) {
        *self.shared.cut.lock().unwrap() = Some(cut);
    }

    /// Returns whether the last cut was made; it is not made any more.
    pub fn was_cut(&self) -> bool {
        self.shared.cut.lock().unwrap().take();
        std::mem::take(&mut *self.shared.was_cut.lock().unwrap())
    }

    /// Runs `act` with the server's folder just before the next push reaches Git.
    pub fn before_push(&self, act: impl FnOnce(&Path) + Send + 'static) {
        let hook: Hook = Box::new(move |shared| act(&shared.root));
        *self.shared.before_push.lock().unwrap() = Some(hook);
    }

    /// Hides protocol version 2, as old servers do.
    pub fn only_version_0(&self) {
        *self.shared.only_version_0.lock().unwrap() = true;
    }

    /// Says of pushes that the server has one capability more.
    pub fn offer(&self, capability: &'static str) {
        *self.shared.further_capability.lock().unwrap() = Some(capability);
    }

    /// Returns the pack of the last push.
    pub fn pushed_pack(&self) -> Bytes {
        let body = self.shared.pushed.lock().unwrap().clone();
        let at = body.windows(4).position(|four| four == b"PACK");
        body.slice(at.expect("something was pushed")..)
    }

    /// Returns the requests so far and forgets them.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.requests.lock().unwrap())
    }
}

/// Makes an empty bare repository that may be pushed to.
pub fn create(path: &Path) {
    std::fs::create_dir_all(path).unwrap();
    git(
        path,
        &["init", "--quiet", "--bare", "--initial-branch=main", "."],
    );
    git(path, &["config", "http.receivepack", "true"]);
}

/// Commits files to a branch of the bare repository at `path` and returns the commit.
pub fn commit(path: &Path, branch: &str, files: &[(&str, &str)]) -> String {
    let reference = format!("refs/heads/{branch}");
    let exists = command(path, &["rev-parse", "--quiet", "--verify", &reference])
        .output()
        .unwrap()
        .status
        .success();
    let message = "somebody else was here\n";
    let mut stream = format!(
        "commit {reference}\ncommitter Somebody <somebody@example.com> 1700000000 +0000\ndata {}\n{message}",
        message.len()
    );
    if exists {
        stream.push_str(&format!("from {reference}^0\n"));
    }
    for (path, content) in files {
        let (mode, path) = match path.strip_prefix('*') {
            Some(path) => ("100755", path),
            None => ("100644", *path),
        };
        stream.push_str(&format!(
            "M {mode} inline {path}\ndata {}\n{content}\n",
            content.len()
        ));
    }
    let mut child = command(path, &["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), stream.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "git fast-import failed");
    git(path, &["rev-parse", &reference])
}

/// Runs git in a folder and returns its trimmed output.
pub fn git(path: &Path, arguments: &[&str]) -> String {
    let output = command(path, arguments)
        .output()
        .unwrap_or_else(|cause| panic!("git does not start ({cause}); run: apt-get install git"));
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Fails unless `git fsck --strict` finds nothing.
pub fn fsck(path: &Path) {
    let output = command(path, &["fsck", "--strict", "--full"])
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    for word in ["error", "warning", "missing", "broken"] {
        assert!(!text.contains(word), "{text}");
    }
}

/// Returns a git command that reads no configuration of this machine.
pub fn command(path: &Path, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new("git");
    command.current_dir(path).args(arguments);
    for (name, value) in hermetic() {
        command.env(name, value);
    }
    command
}

fn hermetic() -> BTreeMap<&'static str, &'static str> {
    [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_AUTHOR_NAME", "Somebody"),
        ("GIT_AUTHOR_EMAIL", "somebody@example.com"),
        ("GIT_COMMITTER_NAME", "Somebody"),
        ("GIT_COMMITTER_EMAIL", "somebody@example.com"),
        ("LC_ALL", "C"),
    ]
    .into()
}

async fn bridge(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    shared
        .requests
        .lock()
        .unwrap()
        .push(format!("{method} {uri}"));
    if let Some((user, password)) = &shared.credentials {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        if text(&headers, "authorization") != format!("Basic {pair}") {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
            return (StatusCode::UNAUTHORIZED, challenge, "who are you?").into_response();
        }
    }
    let fault = {
        let mut faults = shared.faults.lock().unwrap();
        let at = faults
            .iter()
            .position(|(part, _)| uri.to_string().contains(part));
        at.map(|at| faults.remove(at).1)
    };
    match fault {
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::Status(status)) => {
            return (StatusCode::from_u16(status).unwrap(), "not today").into_response();
        }
        Some(Fault::RedirectTo(place)) => {
            let to = format!("{place}{uri}");
            return (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
        }
        Some(Fault::Dumb) => {
            let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            return (
                kind,
                "b59a33ac2ab4d6a0c6b8c0c2e1f7b9c0d5e4f3a2\trefs/heads/main\n",
            )
                .into_response();
        }
        Some(Fault::Page) => return axum::response::Html("<html>hello</html>").into_response(),
        _ => {}
    }
    if method == Method::POST && uri.path().ends_with("git-receive-pack") {
        *shared.pushed.lock().unwrap() = body.clone();
        run_hook(&shared).await;
    }
    let due = shared.due_cut();
    if let Some(n) = due.and_then(|due| shared.cut_of(due, Message::Request, &body)) {
        // It hands on what has come. Of a length that does not come, `git http-backend` never finds the
        // end.
        let sent = body.slice(..n);
        let lost = backend(&shared, &method, &uri, &headers, &sent).await;
        return cut(lost, 0).await;
    }
    let response = backend(&shared, &method, &uri, &headers, &body).await;
    if let Some(due) = due {
        return shared.cut_answer(due, response).await;
    }
    let further = *shared.further_capability.lock().unwrap();
    if let Some(further) = further.filter(|_| uri.to_string().contains("service=git-receive")) {
        return with_capability(response, further).await;
    }
    match fault {
        Some(Fault::CutAfter(n)) => cut(response, n).await,
        Some(Fault::LoseAnswer) => cut(response, 0).await,
        _ => response,
    }
}

async fn run_hook(shared: &Arc<Shared>) {
    let hook = shared.before_push.lock().unwrap().take();
    if let Some(hook) = hook {
        let shared = Arc::clone(shared);
        let run = tokio::task::spawn_blocking(move || hook(&shared));
        run.await.unwrap();
    }
}

impl Shared {
    /// Returns the cut that is to be made in this request.
    fn due_cut(&self) -> Option<Cut> {
        let mut cut = self.cut.lock().unwrap();
        let armed = cut.as_mut()?;
        match armed.request.checked_sub(1) {
            Some(left) => {
                armed.request = left;
                None
            }
            None => cut.take(),
        }
    }

    /// Returns the answer, cut where it is to be.
    async fn cut_answer(&self, due: Cut, response: Response) -> Response {
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let at = self.cut_of(due, Message::Answer, &bytes);
        let response = Response::from_parts(parts, Body::from(bytes));
        match at {
            Some(n) => cut(response, n).await,
            None => response,
        }
    }

    /// Returns how many bytes of a message pass when it is cut; nothing when it has no such place.
    fn cut_of(&self, cut: Cut, message: Message, bytes: &[u8]) -> Option<usize> {
        if cut.message != message {
            return None;
        }
        let place = places::of(bytes).get(cut.place).copied()?;
        *self.was_cut.lock().unwrap() = true;
        Some(place)
    }
}

/// Returns what a server offers, and one capability more.
async fn with_capability(response: Response, capability: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let (service, rest) = text.split_once("0000").unwrap();
    let length = usize::from_str_radix(&rest[..4], 16).unwrap();
    let line = rest[4..length].replacen('\0', &format!("\0{capability} "), 1);
    let longer = format!(
        "{service}0000{:04x}{line}{}",
        line.len() + 4,
        &rest[length..]
    );
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(longer))
}

/// Returns the answer with a body that breaks after `n` bytes.
async fn cut(response: Response, n: usize) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let kept = bytes.slice(..n.min(bytes.len()));
    parts.headers.remove(header::CONTENT_LENGTH);
    let stream = futures::stream::iter([
        Ok(kept),
        Err(std::io::Error::new(
            std::io::ErrorKind::ConnectionReset,
            "cut",
        )),
    ]);
    Response::from_parts(parts, Body::from_stream(stream))
}

/// Runs `git http-backend` for one request.
async fn backend(
    shared: &Shared,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let mut command = tokio::process::Command::new("git");
    command.arg("http-backend").envs(hermetic());
    command
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", text(headers, "content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("REMOTE_USER", "bob")
        .env("REMOTE_ADDR", "127.0.0.1");
    if !*shared.only_version_0.lock().unwrap() {
        command.env("GIT_PROTOCOL", text(headers, "git-protocol"));
    }
    if text(headers, "content-encoding") == "gzip" {
        command.env("HTTP_CONTENT_ENCODING", "gzip");
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = body.clone();
    // A backend that refuses early closes its input.
    let write = tokio::spawn(async move {
        let _ = stdin.write_all(&body).await;
    });
    let output = child.wait_with_output().await.unwrap();
    write.await.unwrap();
    let split = output
        .stdout
        .windows(4)
        .position(|four| four == b"\r\n\r\n");
    let Some(at) = split else {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return (StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
    };
    let mut response = Response::new(Body::from(output.stdout[at + 4..].to_vec()));
    for line in String::from_utf8_lossy(&output.stdout[..at]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name.eq_ignore_ascii_case("status") {
            *response.status_mut() = value[..3].parse().unwrap();
        } else {
            let name: header::HeaderName = name.parse().unwrap();
            response.headers_mut().insert(name, value.parse().unwrap());
        }
    }
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

async fn serve_tls(
    listener: tokio::net::TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
    router: Router,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            // A client that does not trust us ends the handshake; that is its answer.
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = hyper_util::service::TowerToHyperService::new(router);
            let io = hyper_util::rt::TokioIo::new(stream);
            let _ =
                hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new())
                    .serve_connection(io, service)
                    .await;
        });
    }
}

/// Returns a timeout that is short for a stalled server and long for a busy machine.
pub fn patience() -> Duration {
    Duration::from_secs(20)
}
