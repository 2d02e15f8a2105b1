//! A Git server over smart HTTP, for the demo: bare repositories below one folder.
//!
//! In: the requests of `git` (protocol versions 0 and 2) and of our own client. Out: references,
//! packs, reports. It runs no hook and asks for no credentials, so it must listen on loopback only.
//! Bodies are bounded; pushes are checked to be complete before a reference moves.

mod receive;
mod upload;

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use gix::{ObjectId, objs::Kind};

use crate::{
    git::{AGENT, objects, pkt},
    safe::SafePath,
};

/// Largest request taken, packed and unpacked: the demo pushes kilobytes.
pub const REQUEST_BYTES_MAX: usize = 128 << 20;
/// Most packet lines of a request.
pub const LINES_MAX: usize = 100_000;

/// The folder and the turn of its writers.
struct Shared {
    folder: PathBuf,
    pushes: Mutex<()>,
}

/// What a request cannot have.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// Wrong use of HTTP, or no repository.
    #[error("{1}")]
    Http(StatusCode, String),
    /// Said within Git's protocol.
    #[error("{0}")]
    Git(String),
    /// The repository on disk.
    #[error(transparent)]
    Objects(#[from] crate::git::Error),
}

/// Returns a router that serves the bare repositories below `folder`.
pub fn router(folder: PathBuf) -> Router {
    let shared = Arc::new(Shared {
        folder,
        pushes: Mutex::new(()),
    });
    Router::new().fallback(answer).with_state(shared)
}

/// Makes an empty bare repository below `folder`, whose `HEAD` names the branch `main`. Fails when
/// the name leaves the folder or there is something already.
pub fn create(folder: &Path, name: &str) -> anyhow::Result<()> {
    let path = folder.join(SafePath::parse(name)?.as_str());
    std::fs::create_dir_all(&path)?;
    gix::ThreadSafeRepository::init_opts(
        &path,
        gix::create::Kind::Bare,
        gix::create::Options {
            destination_must_be_empty: Some(true),
            ..Default::default()
        },
        gix::open::Options::isolated(),
    )?;
    Ok(())
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let result = match read(request).await {
        Ok(call) => {
            let work = tokio::task::spawn_blocking(move || serve(&shared, &call));
            work.await.unwrap_or_else(|cause| {
                Err(Refusal::Http(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    cause.to_string(),
                ))
            })
        }
        Err(refusal) => Err(refusal),
    };
    result.unwrap_or_else(|refusal| match refusal {
        Refusal::Http(status, text) => (status, text).into_response(),
        refusal => (StatusCode::INTERNAL_SERVER_ERROR, refusal.to_string()).into_response(),
    })
}

/// One request, read whole.
struct Call {
    repository: String,
    action: Action,
    version_2: bool,
    body: Vec<u8>,
}

enum Action {
    Advertise(Service),
    Serve(Service),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    UploadPack,
    ReceivePack,
}

impl Service {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "git-upload-pack" => Some(Self::UploadPack),
            "git-receive-pack" => Some(Self::ReceivePack),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

async fn read(request: Request) -> Result<Call, Refusal> {
    let (parts, body) = request.into_parts();
    let not_found = || Refusal::Http(StatusCode::NOT_FOUND, "no such thing here".to_owned());
    let path = parts.uri.path();
    let (repository, action) = match path.strip_suffix("/info/refs") {
        Some(repository) if parts.method == Method::GET => {
            let query = parts.uri.query().unwrap_or_default();
            let service = query.strip_prefix("service=").and_then(Service::parse);
            let service = service.ok_or_else(|| {
                let text = "only the smart HTTP protocol is served here".to_owned();
                Refusal::Http(StatusCode::FORBIDDEN, text)
            })?;
            (repository, Action::Advertise(service))
        }
        _ => {
            let (repository, name) = path.rsplit_once('/').ok_or_else(not_found)?;
            let service = Service::parse(name).ok_or_else(not_found)?;
            if parts.method != Method::POST {
                return Err(Refusal::Http(StatusCode::METHOD_NOT_ALLOWED, String::new()));
            }
            (repository, Action::Serve(service))
        }
    };
    let version_2 = header(&parts.headers, "git-protocol")
        .split(':')
        .any(|word| word == "version=2");
    let too_large = |_| Refusal::Http(StatusCode::PAYLOAD_TOO_LARGE, "too large".to_owned());
    let bytes = axum::body::to_bytes(body, REQUEST_BYTES_MAX)
        .await
        .map_err(too_large)?;
    let body = match header(&parts.headers, "content-encoding") {
        "gzip" => unzip(&bytes)?,
        _ => bytes.into(),
    };
    Ok(Call {
        repository: repository.to_owned(),
        action,
        version_2,
        body,
    })
}

fn unzip(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let bad = |text: String| Refusal::Http(StatusCode::BAD_REQUEST, text);
    let mut out = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(bytes).take(REQUEST_BYTES_MAX as u64 + 1);
    reader
        .read_to_end(&mut out)
        .map_err(|cause| bad(cause.to_string()))?;
    match out.len() > REQUEST_BYTES_MAX {
        true => Err(bad("too large".to_owned())),
        false => Ok(out),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn serve(shared: &Shared, call: &Call) -> Result<Response, Refusal> {
    let repository = open(&shared.folder, &call.repository)?;
    match call.action {
        Action::Advertise(service) => {
            let body = advertise(&repository, service, call.version_2)?;
            Ok(reply(
                &format!("application/x-{}-advertisement", service.name()),
                body,
            ))
        }
        Action::Serve(Service::UploadPack) => {
            let body = match upload::serve(&repository, &call.body, call.version_2) {
                Err(Refusal::Git(text)) => {
                    let mut body = Vec::new();
                    pkt::line(&mut body, format!("ERR {text}\n"));
                    body
                }
                body => body?,
            };
            Ok(reply("application/x-git-upload-pack-result", body))
        }
        Action::Serve(Service::ReceivePack) => {
            let _turn = shared.pushes.lock().unwrap_or_else(PoisonError::into_inner);
            let body = receive::serve(&repository, &call.body)?;
            Ok(reply("application/x-git-receive-pack-result", body))
        }
    }
}

fn reply(content_type: &str, body: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (
            header::CACHE_CONTROL,
            "no-cache, max-age=0, must-revalidate",
        ),
    ];
    (headers, Body::from(body)).into_response()
}

fn open(folder: &Path, name: &str) -> Result<gix::Repository, Refusal> {
    let not_found = || Refusal::Http(StatusCode::NOT_FOUND, "repository not found".to_owned());
    let name = SafePath::parse(name).map_err(|_| not_found())?;
    let path = folder.join(name.as_str());
    if name.as_str().is_empty() || !path.join("HEAD").is_file() {
        return Err(not_found());
    }
    gix::open_opts(path, gix::open::Options::isolated()).map_err(|_| not_found())
}

/// A reference on disk.
#[derive(Debug, Clone, Copy)]
struct Reference {
    id: ObjectId,
    peeled: Option<ObjectId>,
}

/// Returns the references below `refs/`, by full name.
fn references(repository: &gix::Repository) -> Result<BTreeMap<String, Reference>, Refusal> {
    let failed =
        |cause: gix::Error| Refusal::Http(StatusCode::INTERNAL_SERVER_ERROR, cause.to_string());
    let platform = repository.references().map_err(failed)?;
    let mut found = BTreeMap::new();
    for reference in platform.all().map_err(failed)? {
        let reference = reference
            .map_err(|cause| Refusal::Http(StatusCode::INTERNAL_SERVER_ERROR, cause.to_string()))?;
        let Some(id) = reference.try_id() else {
            continue;
        };
        let id = id.detach();
        let peeled = peel(repository, id)?;
        let name = reference.name().as_bstr().to_string();
        let peeled = (peeled != id).then_some(peeled);
        found.insert(name, Reference { id, peeled });
    }
    Ok(found)
}

/// Follows annotated tags to what they name at last.
fn peel(repository: &gix::Repository, id: ObjectId) -> Result<ObjectId, Refusal> {
    const TAG_DEPTH_MAX: usize = 5;
    let mut id = id;
    for _ in 0..TAG_DEPTH_MAX {
        let (kind, data) = objects::read(&repository.objects, id)?;
        match kind {
            Kind::Tag => id = objects::tag_target(id, &data)?,
            _ => break,
        }
    }
    Ok(id)
}

/// Returns the branch that `HEAD` names, born or not.
fn head_name(repository: &gix::Repository) -> Option<String> {
    Some(repository.head_name().ok()??.as_bstr().to_string())
}

fn advertise(
    repository: &gix::Repository,
    service: Service,
    version_2: bool,
) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    pkt::line(&mut body, format!("# service={}\n", service.name()));
    pkt::flush(&mut body);
    if version_2 && service == Service::UploadPack {
        pkt::line(&mut body, "version 2\n");
        pkt::line(&mut body, format!("agent={AGENT}\n"));
        for word in ["ls-refs=unborn", "fetch=shallow", "object-format=sha1"] {
            pkt::line(&mut body, format!("{word}\n"));
        }
        pkt::flush(&mut body);
        return Ok(body);
    }
    let references = references(repository)?;
    let head = head_name(repository);
    let mut lines = Vec::new();
    let mut words = match service {
        Service::UploadPack => upload::CAPABILITIES.to_owned(),
        Service::ReceivePack => receive::CAPABILITIES.to_owned(),
    };
    if service == Service::UploadPack
        && let Some(head) = &head
        && let Some(reference) = references.get(head)
    {
        words.push_str(&format!(" symref=HEAD:{head}"));
        lines.push((reference.id, "HEAD".to_owned()));
    }
    for (name, reference) in &references {
        lines.push((reference.id, name.clone()));
        if service == Service::UploadPack
            && let Some(peeled) = reference.peeled
        {
            lines.push((peeled, format!("{name}^{{}}")));
        }
    }
    if lines.is_empty() {
        lines.push((ObjectId::null(objects::HASH), "capabilities^{}".to_owned()));
    }
    for (n, (id, name)) in lines.iter().enumerate() {
        match n {
            0 => pkt::line(&mut body, format!("{id} {name}\0{words} agent={AGENT}\n")),
            _ => pkt::line(&mut body, format!("{id} {name}\n")),
        }
    }
    pkt::flush(&mut body);
    Ok(body)
}

/// A request's packet lines: text, `None` for a flush, and what follows them.
struct Lines<'a> {
    rest: &'a [u8],
    n_read: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Text(String),
    Flush,
    Delimiter,
}

impl<'a> Lines<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self {
            rest: body,
            n_read: 0,
        }
    }

    /// Returns the next line, or nothing at the end of the body.
    fn next(&mut self) -> Result<Option<Line>, Refusal> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.n_read += 1;
        let bad = |text: String| Refusal::Http(StatusCode::BAD_REQUEST, text);
        if self.n_read > LINES_MAX {
            return Err(bad(format!("more than {LINES_MAX} lines")));
        }
        let decoded = pkt::decode(self.rest).map_err(|cause| bad(cause.to_string()))?;
        let (line, n) = decoded.ok_or_else(|| bad("the request is cut short".to_owned()))?;
        self.rest = self.rest.get(n..).unwrap_or_default();
        Ok(Some(match line {
            pkt::Pkt::Data(data) => Line::Text(pkt::text(data)),
            pkt::Pkt::Flush => Line::Flush,
            pkt::Pkt::Delimiter | pkt::Pkt::ResponseEnd => Line::Delimiter,
        }))
    }
}

fn parse_id(text: &str) -> Result<ObjectId, Refusal> {
    let id = ObjectId::from_hex(text.as_bytes());
    id.map_err(|_| Refusal::Http(StatusCode::BAD_REQUEST, format!("{text:?} is no object id")))
}
