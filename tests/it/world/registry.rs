//! Registries: Debian's docker-registry as a process of its own, and a [`Script`]ed server for
//! what no real registry can be made to do.
//!
//! In: a folder or a function from requests to answers. Out: a host to scan, and what was asked.
//! Both listen on loopback and end when dropped.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// The name and password that a registry with [`Lock::Basic`] lets in.
pub const USER: (&str, &str) = ("bob", "s3cret-word");

/// Bcrypt of [`USER`], as `htpasswd -B` writes it.
const HTPASSWD: &str = "bob:$2y$05$abcdefghijklmnopqrstuuEpHRRKIlpAGo.iP7Bpa.htQEJMAAnRe\n";

/// Bytes of a request's body that are taken.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Lines of the log that are looked at until the address is told.
const LOG_LINES_MAX: usize = 200;

/// How a docker-registry is closed off.
#[derive(Debug, Clone, Copy)]
pub enum Lock<'a> {
    /// Plain http for everybody.
    Open,
    /// Plain http with a name and password.
    Basic,
    /// TLS with a certificate and key, both as PEM.
    Tls(&'a str, &'a str),
}

/// A running docker-registry with an empty folder.
pub struct DockerRegistry {
    process: Child,
    host: String,
    _folder: tempfile::TempDir,
}

impl DockerRegistry {
    /// Starts one on a free port and returns when it listens.
    pub fn start(lock: Lock<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let config = folder.path().join("config.yml");
        std::fs::write(&config, text_of_config(folder.path(), lock)).expect("folder is writable");
        let mut process = Command::new("docker-registry")
            .args(["serve".as_ref(), config.as_os_str()])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("docker-registry: {error}; install it: apt-get install docker-registry")
            });
        let log = process.stderr.take().expect("stderr is piped");
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let mut heard = String::new();
        let host = lines.by_ref().take(LOG_LINES_MAX).find_map(|line| {
            heard = format!("{heard}{line}\n");
            let (_, after) = line.split_once("listening on ")?;
            let end = after.find([',', '"', ' ']).unwrap_or(after.len());
            Some(after[..end].to_owned())
        });
        let host = host.unwrap_or_else(|| panic!("docker-registry did not listen:\n{heard}"));
        // The pipe is read to its end, so that the registry never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            host,
            _folder: folder,
        }
    }

    /// Returns the host and port.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text_of_config(folder: &Path, lock: Lock<'_>) -> String {
    let folder = folder.display();
    let write = |name: &str, text: &str| {
        let path = format!("{folder}/{name}");
        std::fs::write(&path, text).expect("folder is writable");
        path
    };
    let locked = match lock {
        Lock::Open => String::new(),
        Lock::Basic => {
            let path = write("htpasswd", HTPASSWD);
            format!("auth:\n  htpasswd:\n    realm: test\n    path: {path}\n")
        }
        Lock::Tls(certificate, key) => {
            let (certificate, key) = (write("tls.crt", certificate), write("tls.key", key));
            format!("  tls:\n    certificate: {certificate}\n    key: {key}\n")
        }
    };
    format!(
        "version: 0.1\nlog:\n  level: info\n  accesslog:\n    disabled: true\nstorage:\n  \
         filesystem:\n    rootdirectory: {folder}/store\nhttp:\n  addr: 127.0.0.1:0\n{locked}"
    )
}

/// One request that a scripted registry saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The `Host` header: the registry's own name.
    pub host: String,
    /// The `Authorization` header, or empty.
    pub authorization: String,
    /// All headers that are text, with names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, if it is text.
    pub body: String,
    /// The version of http, such as `HTTP/2.0`.
    pub version: String,
    /// When it came.
    pub at: Instant,
}

impl Seen {
    /// Returns a header, or empty.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Answers the request, given that and how many there were before it.
type Script = dyn Fn(&Seen, usize) -> Response + Send + Sync;

/// A registry that does what a function says.
pub struct Scripted {
    host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<std::io::Result<()>>,
}

struct Play {
    script: Box<Script>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Scripted {
    /// Starts one. Requests for `/v2/` get an open registry's answer unless the script wants them.
    pub async fn start(script: impl Fn(&Seen, usize) -> Response + Send + Sync + 'static) -> Self {
        Self::start_with(None, script).await
    }

    /// Starts one that speaks TLS, and http as both sides like it.
    pub async fn start_tls(
        tls: rustls::ServerConfig,
        script: impl Fn(&Seen, usize) -> Response + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(Some(TlsAcceptor::from(Arc::new(tls))), script).await
    }

    async fn start_with(
        tls: Option<TlsAcceptor>,
        script: impl Fn(&Seen, usize) -> Response + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has a free port");
        let host = listener.local_addr().expect("it is bound").to_string();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let play = Play {
            script: Box::new(script),
            seen: Arc::clone(&seen),
        };
        let router = Router::new().fallback(play_one).with_state(Arc::new(play));
        let task = match tls {
            Some(tls) => tokio::spawn(serve_tls(listener, tls, router)),
            None => tokio::spawn(axum::serve(listener, router).into_future()),
        };
        Self { host, seen, task }
    }

    /// Returns the host and port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns what was asked so far, `/v2/` aside.
    pub fn seen(&self) -> Vec<Seen> {
        let seen = self.seen.lock().expect("no script panicked");
        seen.iter().filter(|s| s.path != "/v2/").cloned().collect()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve_tls(listener: TcpListener, tls: TlsAcceptor, router: Router) -> io::Result<()> {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let (tls, router) = (tls.clone(), router.clone());
        connections.spawn(async move {
            // A client that does not trust us ends the connection; that is what tests look for.
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let service = TowerToHyperService::new(router);
            let server = auto::Builder::new(TokioExecutor::new());
            let served = server.serve_connection(TokioIo::new(stream), service);
            // It ends when the client goes.
            let _ = served.await;
        });
    }
}

async fn play_one(State(play): State<Arc<Play>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await;
    let headers: BTreeMap<String, String> = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let seen = Seen {
        method: parts.method.to_string(),
        path: match (parts.version, parts.uri.path_and_query()) {
            // HTTP/2 always tells the whole URL; before, only those who take us for a proxy do.
            (http::Version::HTTP_2, Some(path)) => path.to_string(),
            _ => parts.uri.to_string(),
        },
        host: header("host"),
        authorization: header("authorization"),
        version: format!("{:?}", parts.version),
        at: Instant::now(),
        body: String::from_utf8(body.unwrap_or_default().to_vec()).unwrap_or_default(),
        headers,
    };
    let n_before = {
        let mut all = play.seen.lock().expect("no script panicked");
        let n_before = all.iter().filter(|s| s.path != "/v2/").count();
        all.push(seen.clone());
        n_before
    };
    (play.script)(&seen, n_before)
}

/// Makes an answer.
pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.into()).expect("headers are plain text")
}
