//! A small OCI registry in this process, for the demo and for tests: blobs, manifests and tags in
//! memory, over plain http on loopback, by the distribution specification.
//!
//! In: pushes (one PUT, or POST, PATCH and PUT), pulls, tag lists with `n` and `last`, deletions.
//! Out: what was pushed, checked by digest. It asks nobody who they are, keeps nothing after the
//! process ends, and refuses what would not fit its bounds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LINK, LOCATION, RANGE};
use http::{HeaderMap, Method, StatusCode, Uri};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Bytes of one request's body.
const BODY_BYTES_MAX: usize = 64 << 20;

/// Bytes of one manifest.
const MANIFEST_BYTES_MAX: usize = 4 << 20;

/// Bytes of all blobs, manifests and uploads together.
const STORE_BYTES_MAX: usize = 256 << 20;

/// Uploads that are open at once.
const UPLOADS_MAX: usize = 64;

/// Tags of one page where the client asks for more, or does not say.
const PAGE_TAGS_MAX: usize = 1000;

/// A running registry; it ends when this is dropped.
pub struct Registry {
    address: SocketAddr,
    stop: CancellationToken,
    /// Ends once `stop` is told and the open requests are answered.
    _task: JoinHandle<std::io::Result<()>>,
}

impl Registry {
    /// Starts a registry on a free port of the loopback address. Fails when there is none.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts a registry at an address. Fails when it is taken.
    pub async fn start_at(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::<Mutex<Store>>::default());
        let stop = CancellationToken::new();
        let serving =
            axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let task = tokio::spawn(serving.into_future());
        Ok(Self {
            address,
            stop,
            _task: task,
        })
    }

    /// Returns the registry's host and port, as image names have it.
    pub fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Pushes an image of one layer to `repository` (`host:port/path`) over plain http, and returns
/// its digest. Fails when the registry refuses it.
pub async fn push(repository: &str, tag: &str, layer: &[u8]) -> anyhow::Result<String> {
    use anyhow::Context;
    use oci_distribution::Reference;
    use oci_distribution::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
    use oci_distribution::secrets::RegistryAuth;

    // An error means that the process has chosen its provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let reference: Reference = format!("{repository}:{tag}").parse()?;
    let client = oci_distribution::Client::try_from(ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    })?;
    let layers = [ImageLayer::oci_v1(layer.to_vec(), None)];
    let config =
        r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config = Config::oci_v1(config.as_bytes().to_vec(), None);
    let manifest = oci_distribution::manifest::OciImageManifest::build(&layers, &config, None);
    client
        .push(
            &reference,
            &layers,
            config,
            &RegistryAuth::Anonymous,
            Some(manifest),
        )
        .await
        .with_context(|| format!("push {reference}"))?;
    let digest = client
        .fetch_manifest_digest(&reference, &RegistryAuth::Anonymous)
        .await?;
    Ok(digest)
}

/// All that was pushed.
#[derive(Default)]
struct Store {
    repositories: BTreeMap<String, Contents>,
    uploads: BTreeMap<u64, Upload>,
    next_upload: u64,
    size_bytes: usize,
}

#[derive(Default)]
struct Contents {
    blobs: BTreeMap<String, Bytes>,
    manifests: BTreeMap<String, Manifest>,
    tags: BTreeMap<String, String>,
}

#[derive(Clone)]
struct Manifest {
    media_type: String,
    bytes: Bytes,
}

struct Upload {
    repository: String,
    bytes: Vec<u8>,
}

/// A refusal by the specification: status, code, message.
struct Refusal(StatusCode, &'static str, String);

type Answer = Result<Response, Refusal>;

/// What a path names.
enum Target<'a> {
    Root,
    Tags(&'a str),
    Manifest(&'a str, &'a str),
    Blob(&'a str, &'a str),
    Uploads(&'a str),
    Upload(&'a str, u64),
}

/// A request that was read to its end.
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

async fn answer(State(store): State<Arc<Mutex<Store>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answered = match to_bytes(body, BODY_BYTES_MAX).await {
        Ok(body) => {
            let asked = Asked {
                method: parts.method,
                uri: parts.uri,
                headers: parts.headers,
                body,
            };
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            store.answer(&asked)
        }
        Err(_) => Err(refusal(413, "SIZE_INVALID", "body is too large or was cut")),
    };
    answered.unwrap_or_else(|Refusal(status, code, message)| {
        let errors = serde_json::json!({"errors": [{"code": code, "message": message}]});
        response(
            status,
            &[("content-type", "application/json")],
            errors.to_string(),
        )
    })
}

impl Store {
    fn answer(&mut self, asked: &Asked) -> Answer {
        let Some(target) = target(asked.uri.path()) else {
            return Err(refusal(404, "NAME_UNKNOWN", "no such path"));
        };
        match (&asked.method, target) {
            (&Method::GET | &Method::HEAD, Target::Root) => Ok(response(
                StatusCode::OK,
                &[("content-type", "application/json")],
                "{}",
            )),
            (&Method::GET, Target::Tags(name)) => self.list_tags(name, asked),
            (&Method::GET | &Method::HEAD, Target::Manifest(name, reference)) => {
                self.pull_manifest(name, reference)
            }
            (&Method::PUT, Target::Manifest(name, reference)) => {
                self.push_manifest(name, reference, asked)
            }
            (&Method::DELETE, Target::Manifest(name, reference)) => {
                self.delete_manifest(name, reference)
            }
            (&Method::GET | &Method::HEAD, Target::Blob(name, digest)) => {
                self.pull_blob(name, digest)
            }
            (&Method::POST, Target::Uploads(name)) => self.begin_upload(name, asked),
            (&Method::GET, Target::Upload(name, id)) => self.upload_state(name, id),
            (&Method::PATCH, Target::Upload(name, id)) => self.append_upload(name, id, asked),
            (&Method::PUT, Target::Upload(name, id)) => self.end_upload(name, id, asked),
            (&Method::DELETE, Target::Upload(name, id)) => self.cancel_upload(name, id),
            _ => Err(refusal(405, "UNSUPPORTED", "method is not supported here")),
        }
    }

    fn contents(&self, name: &str) -> Result<&Contents, Refusal> {
        self.repositories
            .get(name)
            .ok_or_else(|| refusal(404, "NAME_UNKNOWN", "repository name not known to registry"))
    }

    fn list_tags(&self, name: &str, asked: &Asked) -> Answer {
        let tags = &self.contents(name)?.tags;
        let n = match query(asked, "n") {
            None => PAGE_TAGS_MAX,
            Some(n) => n
                .parse::<usize>()
                .map_err(|_| refusal(400, "PAGINATION_NUMBER_INVALID", "n is no number"))?
                .min(PAGE_TAGS_MAX),
        };
        let last = query(asked, "last").unwrap_or_default();
        let after = (std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded);
        let mut rest = tags.range::<String, _>(after).map(|(tag, _)| tag);
        let page: Vec<&String> = rest.by_ref().take(n).collect();
        let body = serde_json::json!({"name": name, "tags": page}).to_string();
        let next = match (page.last(), rest.next()) {
            (Some(last), Some(_)) => {
                format!("</v2/{name}/tags/list?last={last}&n={n}>; rel=\"next\"")
            }
            _ => String::new(),
        };
        let mut headers = vec![(CONTENT_TYPE.as_str(), "application/json")];
        if !next.is_empty() {
            headers.push((LINK.as_str(), next.as_str()));
        }
        Ok(response(StatusCode::OK, &headers, body))
    }

    fn pull_manifest(&self, name: &str, reference: &str) -> Answer {
        let contents = self.contents(name)?;
        let digest = contents.tags.get(reference).map_or(reference, |d| d);
        let manifest = contents
            .manifests
            .get(digest)
            .ok_or_else(|| refusal(404, "MANIFEST_UNKNOWN", "manifest unknown"))?;
        Ok(response(
            StatusCode::OK,
            &[
                (CONTENT_TYPE.as_str(), manifest.media_type.as_str()),
                ("docker-content-digest", digest),
            ],
            manifest.bytes.clone(),
        ))
    }

    fn push_manifest(&mut self, name: &str, reference: &str, asked: &Asked) -> Answer {
        if asked.body.len() > MANIFEST_BYTES_MAX {
            return Err(refusal(
                413,
                "SIZE_INVALID",
                "manifest is larger than 4 MiB",
            ));
        }
        let manifest: serde_json::Value = serde_json::from_slice(&asked.body)
            .map_err(|error| refusal(400, "MANIFEST_INVALID", &error.to_string()))?;
        let contents = self.repositories.get(name);
        for digest in named_blobs(&manifest) {
            if !contents.is_some_and(|contents| contents.blobs.contains_key(digest)) {
                return Err(refusal(404, "MANIFEST_BLOB_UNKNOWN", digest));
            }
        }
        let digest = digest_of(&asked.body);
        if reference.contains(':') && reference != digest {
            return Err(refusal(
                400,
                "DIGEST_INVALID",
                "manifest has another digest",
            ));
        }
        if !reference.contains(':') && crate::image::Tag::parse(reference).is_err() {
            return Err(refusal(400, "TAG_INVALID", "reference is no tag"));
        }
        let said = asked
            .headers
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok());
        let written = manifest.get("mediaType").and_then(|v| v.as_str());
        let media_type = said
            .or(written)
            .unwrap_or("application/vnd.oci.image.manifest.v1+json")
            .to_owned();
        if !contents.is_some_and(|contents| contents.manifests.contains_key(&digest)) {
            self.grow(asked.body.len())?;
        }
        let contents = self.repositories.entry(name.to_owned()).or_default();
        let bytes = asked.body.clone();
        let manifest = Manifest { media_type, bytes };
        contents.manifests.insert(digest.clone(), manifest);
        if !reference.contains(':') {
            contents.tags.insert(reference.to_owned(), digest.clone());
        }
        Ok(created(&format!("/v2/{name}/manifests/{digest}"), &digest))
    }

    /// Deletes a tag, or a manifest with all its tags.
    fn delete_manifest(&mut self, name: &str, reference: &str) -> Answer {
        let unknown = || refusal(404, "MANIFEST_UNKNOWN", "manifest unknown");
        let contents = self.repositories.get_mut(name).ok_or_else(unknown)?;
        if contents.tags.remove(reference).is_none() {
            let manifest = contents.manifests.remove(reference).ok_or_else(unknown)?;
            contents.tags.retain(|_, digest| digest != reference);
            self.size_bytes = self.size_bytes.saturating_sub(manifest.bytes.len());
        }
        Ok(response(StatusCode::ACCEPTED, &[], ""))
    }

    fn pull_blob(&self, name: &str, digest: &str) -> Answer {
        let blob = self
            .contents(name)?
            .blobs
            .get(digest)
            .ok_or_else(|| refusal(404, "BLOB_UNKNOWN", "blob unknown to registry"))?;
        Ok(response(
            StatusCode::OK,
            &[
                (CONTENT_TYPE.as_str(), "application/octet-stream"),
                ("docker-content-digest", digest),
            ],
            blob.clone(),
        ))
    }

    /// Opens an upload, or takes a blob from another repository or from the body at once.
    fn begin_upload(&mut self, name: &str, asked: &Asked) -> Answer {
        if let (Some(digest), Some(from)) = (query(asked, "mount"), query(asked, "from"))
            && let Some(blob) = self.contents(&from).ok().and_then(|c| c.blobs.get(&digest))
        {
            let blob = blob.clone();
            return self.keep_blob(name, &digest, blob);
        }
        if let Some(digest) = query(asked, "digest") {
            return self.keep_blob(name, &digest, asked.body.clone());
        }
        if self.uploads.len() >= UPLOADS_MAX {
            return Err(refusal(429, "TOOMANYREQUESTS", "too many open uploads"));
        }
        let id = self.next_upload;
        self.next_upload += 1;
        let upload = Upload {
            repository: name.to_owned(),
            bytes: Vec::new(),
        };
        self.uploads.insert(id, upload);
        Ok(progress(StatusCode::ACCEPTED, name, id, 0))
    }

    fn upload(&mut self, name: &str, id: u64) -> Result<&mut Upload, Refusal> {
        self.uploads
            .get_mut(&id)
            .filter(|upload| upload.repository == name)
            .ok_or_else(|| refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown"))
    }

    fn upload_state(&mut self, name: &str, id: u64) -> Answer {
        let size_bytes = self.upload(name, id)?.bytes.len();
        Ok(progress(StatusCode::NO_CONTENT, name, id, size_bytes))
    }

    fn append_upload(&mut self, name: &str, id: u64, asked: &Asked) -> Answer {
        self.grow(asked.body.len())?;
        let upload = self.upload(name, id)?;
        let range = asked.headers.get(CONTENT_RANGE);
        if let Some(range) = range.and_then(|range| range.to_str().ok()) {
            let start = range
                .split_once('-')
                .and_then(|(start, _)| start.parse().ok());
            if start != Some(upload.bytes.len()) {
                return Err(refusal(416, "BLOB_UPLOAD_INVALID", "chunk is out of order"));
            }
        }
        upload.bytes.extend_from_slice(&asked.body);
        let size_bytes = upload.bytes.len();
        Ok(progress(StatusCode::ACCEPTED, name, id, size_bytes))
    }

    fn end_upload(&mut self, name: &str, id: u64, asked: &Asked) -> Answer {
        let digest = query(asked, "digest")
            .ok_or_else(|| refusal(400, "DIGEST_INVALID", "digest is missing"))?;
        let upload = self.upload(name, id)?;
        upload.bytes.extend_from_slice(&asked.body);
        let bytes = Bytes::from(std::mem::take(&mut upload.bytes));
        self.uploads.remove(&id);
        self.size_bytes = self
            .size_bytes
            .saturating_sub(bytes.len() - asked.body.len());
        self.keep_blob(name, &digest, bytes)
    }

    fn cancel_upload(&mut self, name: &str, id: u64) -> Answer {
        let size_bytes = self.upload(name, id)?.bytes.len();
        self.uploads.remove(&id);
        self.size_bytes = self.size_bytes.saturating_sub(size_bytes);
        Ok(response(StatusCode::NO_CONTENT, &[], ""))
    }

    fn keep_blob(&mut self, name: &str, digest: &str, bytes: Bytes) -> Answer {
        if digest_of(&bytes) != digest {
            return Err(refusal(400, "DIGEST_INVALID", "blob has another digest"));
        }
        let known = self.contents(name).ok();
        if !known.is_some_and(|contents| contents.blobs.contains_key(digest)) {
            self.grow(bytes.len())?;
        }
        let contents = self.repositories.entry(name.to_owned()).or_default();
        contents.blobs.insert(digest.to_owned(), bytes);
        Ok(created(&format!("/v2/{name}/blobs/{digest}"), digest))
    }

    /// Counts bytes that are to be kept. Fails when they would not fit.
    fn grow(&mut self, by_bytes: usize) -> Result<(), Refusal> {
        let size_bytes = self.size_bytes + by_bytes;
        if size_bytes > STORE_BYTES_MAX {
            return Err(refusal(507, "DENIED", "this registry is full"));
        }
        self.size_bytes = size_bytes;
        Ok(())
    }
}

/// Reads a path; the repository's name may have slashes.
fn target(path: &str) -> Option<Target<'_>> {
    let path = path.strip_prefix("/v2")?;
    if matches!(path, "" | "/") {
        return Some(Target::Root);
    }
    let path = path.strip_prefix('/')?;
    let target = if let Some(name) = path.strip_suffix("/tags/list") {
        Target::Tags(name)
    } else if let Some((name, id)) = path.rsplit_once("/blobs/uploads") {
        match id.trim_start_matches('/') {
            "" => Target::Uploads(name),
            id => Target::Upload(name, id.parse().ok()?),
        }
    } else if let Some((name, digest)) = path.rsplit_once("/blobs/") {
        Target::Blob(name, digest)
    } else {
        let (name, reference) = path.rsplit_once("/manifests/")?;
        Target::Manifest(name, reference)
    };
    let name = match target {
        Target::Root => "",
        Target::Tags(name) | Target::Manifest(name, _) | Target::Blob(name, _) => name,
        Target::Uploads(name) | Target::Upload(name, _) => name,
    };
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/".contains(&b);
    let is_name = !name.is_empty() && name.bytes().all(fits) && !name.starts_with('/');
    is_name.then_some(target)
}

/// Returns the digests of the blobs that an image manifest names.
fn named_blobs(manifest: &serde_json::Value) -> Vec<&str> {
    let layers = manifest.get("layers").and_then(|layers| layers.as_array());
    let config = manifest.get("config").into_iter();
    config
        .chain(layers.into_iter().flatten())
        .filter_map(|blob| blob.get("digest")?.as_str())
        .collect()
}

fn query(asked: &Asked, key: &str) -> Option<String> {
    let pairs = reqwest::Url::parse(&format!("http://registry/?{}", asked.uri.query()?)).ok()?;
    let pair = pairs.query_pairs().find(|(name, _)| name == key)?;
    Some(pair.1.into_owned())
}

fn digest_of(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn refusal(status: u16, code: &'static str, message: &str) -> Refusal {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Refusal(status, code, message.to_owned())
}

fn created(location: &str, digest: &str) -> Response {
    response(
        StatusCode::CREATED,
        &[
            (LOCATION.as_str(), location),
            ("docker-content-digest", digest),
        ],
        "",
    )
}

fn progress(status: StatusCode, name: &str, id: u64, size_bytes: usize) -> Response {
    let location = format!("/v2/{name}/blobs/uploads/{id}");
    let range = format!("0-{}", size_bytes.saturating_sub(1));
    let id = id.to_string();
    response(
        status,
        &[
            (LOCATION.as_str(), location.as_str()),
            (RANGE.as_str(), range.as_str()),
            ("docker-upload-uuid", id.as_str()),
        ],
        "",
    )
}

fn response(status: StatusCode, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response {
    let body: Bytes = body.into();
    let mut builder = Response::builder()
        .status(status)
        .header("docker-distribution-api-version", "registry/2.0");
    if status != StatusCode::NO_CONTENT {
        builder = builder.header(CONTENT_LENGTH, body.len());
    }
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    // A media type that the client made up may hold what no header can carry.
    builder.body(Body::from(body)).unwrap_or_else(|_| {
        let mut broken = Response::new(Body::empty());
        *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        broken
    })
}
