//! Packs that no Git would write, and a server that sends them.
//!
//! In: objects, whole or as deltas, or bytes that pretend to be some. Out: a pack with a good checksum,
//! served by protocol version 2 as the head of `main`. The server ends with its value.

use std::io::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, header};
use axum::response::{IntoResponse as _, Response};

/// What an object is, by its number in packs.
pub const COMMIT: u8 = 1;
pub const TREE: u8 = 2;
pub const BLOB: u8 = 3;
const REF_DELTA: u8 = 7;

/// An object's id.
pub type Id = [u8; 20];

/// One entry of a pack.
pub enum Piece {
    /// A whole object.
    Whole(u8, Vec<u8>),
    /// A change of the object with this id.
    Delta(Id, Vec<u8>),
    /// A kind and a size, and a stream that may hold something else.
    Claimed(u8, u64, Vec<u8>),
}

/// Returns the id of an object.
pub fn id(kind: u8, data: &[u8]) -> Id {
    let name = match kind {
        COMMIT => "commit",
        TREE => "tree",
        _ => "blob",
    };
    sha1(&[format!("{name} {}\0", data.len()).as_bytes(), data].concat())
}

fn sha1(data: &[u8]) -> Id {
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    hasher.update(data);
    let id = hasher.try_finalize().expect("no test collides");
    id.as_slice().try_into().expect("SHA-1 has 20 bytes")
}

/// Returns an id as hex digits.
pub fn hex(id: &Id) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a tree with one entry.
pub fn tree(mode: &str, name: &[u8], of: &Id) -> Vec<u8> {
    [mode.as_bytes(), b" ", name, b"\0", of].concat()
}

/// Returns a commit of a tree, without a parent.
pub fn commit(tree: &Id) -> Vec<u8> {
    let person = "Somebody <somebody@example.com> 1700000000 +0000";
    let tree = hex(tree);
    format!("tree {tree}\nauthor {person}\ncommitter {person}\n\nhello\n").into_bytes()
}

/// Returns bytes as zlib packs them.
pub fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// Returns the pack of these entries, with a good checksum.
pub fn pack(pieces: &[Piece]) -> Vec<u8> {
    let n = u32::try_from(pieces.len()).expect("tests are small");
    let mut out = [b"PACK\0\0\0\x02".as_slice(), &n.to_be_bytes()].concat();
    for piece in pieces {
        match piece {
            Piece::Whole(kind, data) => {
                out.extend(head(*kind, data.len() as u64));
                out.extend(zlib(data));
            }
            Piece::Delta(base, delta) => {
                out.extend(head(REF_DELTA, delta.len() as u64));
                out.extend(base);
                out.extend(zlib(delta));
            }
            Piece::Claimed(kind, size, stream) => {
                out.extend(head(*kind, *size));
                out.extend(stream);
            }
        }
    }
    let sum = sha1(&out);
    out.extend(sum);
    out
}

fn head(kind: u8, mut size: u64) -> Vec<u8> {
    let mut bytes = vec![(kind << 4) | (size & 0x0f) as u8];
    size >>= 4;
    while size > 0 {
        *bytes.last_mut().expect("it has one") |= 0x80;
        bytes.push((size & 0x7f) as u8);
        size >>= 7;
    }
    bytes
}

/// Returns a number as deltas hold it.
fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n > 0x7f {
        bytes.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// Returns a delta that repeats its base so many times.
pub fn repeating(base_len: u32, times: u32) -> Vec<u8> {
    assert!(base_len < 1 << 16, "one copy takes the whole base");
    let size = u64::from(base_len) * u64::from(times);
    let mut delta = [varint(u64::from(base_len)), varint(size)].concat();
    for _ in 0..times {
        delta.extend([
            0x80 | 0x10 | 0x20,
            (base_len & 0xff) as u8,
            (base_len >> 8) as u8,
        ]);
    }
    delta
}

/// What a scripted server says.
#[derive(Default, Clone)]
pub struct Script {
    /// Lines of its offer, behind `version 2`.
    pub capabilities: Vec<String>,
    /// Its references, one a line.
    pub references: Vec<String>,
    /// The pack that it sends.
    pub pack: Vec<u8>,
}

impl Script {
    /// Returns the script of a server whose `main` is a commit and which sends a pack.
    pub fn of(head: &Id, pack: Vec<u8>) -> Self {
        Self {
            capabilities: Vec::new(),
            references: vec![format!("{} refs/heads/main", hex(head))],
            pack,
        }
    }
}

/// A running scripted server.
pub struct ScriptedGit {
    /// Where its repository is.
    pub url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for ScriptedGit {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ScriptedGit {
    /// Starts a server.
    pub async fn start(script: Script) -> Self {
        let router = Router::new().fallback(answer).with_state(Arc::new(script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has a port");
        let port = listener.local_addr().expect("it is bound").port();
        let serve = async move { axum::serve(listener, router).await.expect("it serves") };
        Self {
            url: format!("http://localhost:{port}/repo.git"),
            task: tokio::spawn(serve),
        }
    }
}

async fn answer(State(script): State<Arc<Script>>, method: Method, body: Bytes) -> Response {
    let mut out = Vec::new();
    if method == Method::GET {
        line(&mut out, b"# service=git-upload-pack\n");
        out.extend(b"0000");
        line(&mut out, b"version 2\n");
        let usual = ["ls-refs", "fetch=shallow", "object-format=sha1"];
        let own = script.capabilities.iter().map(String::as_str);
        for word in usual.into_iter().chain(own) {
            line(&mut out, format!("{word}\n").as_bytes());
        }
        out.extend(b"0000");
        let kind = "application/x-git-upload-pack-advertisement";
        return ([(header::CONTENT_TYPE, kind)], out).into_response();
    }
    if body.windows(15).any(|part| part == b"command=ls-refs") {
        for reference in &script.references {
            line(&mut out, format!("{reference}\n").as_bytes());
        }
    } else {
        line(&mut out, b"packfile\n");
        for chunk in script.pack.chunks(65_000) {
            line(&mut out, &[&[1], chunk].concat());
        }
    }
    out.extend(b"0000");
    let kind = "application/x-git-upload-pack-result";
    ([(header::CONTENT_TYPE, kind)], out).into_response()
}

fn line(out: &mut Vec<u8>, content: &[u8]) {
    out.extend(format!("{:04x}", content.len() + 4).as_bytes());
    out.extend(content);
}
