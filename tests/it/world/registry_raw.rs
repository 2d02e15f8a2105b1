//! A registry that writes bytes, for answers that no http server gives: a wrong length, a connection
//! that breaks before the answer, another protocol.
//!
//! In: a function from the number of the request to the bytes that answer it. Out: a host. `/v2/` is
//! answered well; each connection ends after one answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The start of TLS: a record of the handshake.
const TLS: u8 = 0x16;

/// The first answer of a server that knows nothing newer than TLS 1.0.
const SERVER_HELLO: [u8; 11] = [TLS, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];

type Script = dyn Fn(usize) -> Vec<u8> + Send + Sync;

/// A registry of bytes.
pub struct Raw {
    host: String,
    n_asked: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Raw {
    /// Starts one; no bytes break the connection before an answer.
    pub async fn start(script: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let n_asked = Arc::<AtomicUsize>::default();
        let (script, counted): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&n_asked));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer_one(
                    stream,
                    Arc::clone(&script),
                    Arc::clone(&counted),
                ));
            }
        });
        Self {
            host,
            n_asked,
            task,
        }
    }

    /// Returns the host and port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns how many requests were made beside `/v2/`.
    pub fn n_asked(&self) -> usize {
        self.n_asked.load(Ordering::SeqCst)
    }
}

async fn answer_one(
    mut stream: TcpStream,
    script: Arc<Script>,
    n_asked: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let mut head = vec![stream.read_u8().await?];
    if head[0] == TLS {
        let mut hello = SERVER_HELLO.to_vec();
        // Thirty-two random bytes, no session, AES-128-CBC-SHA, no compression.
        hello.extend([7; 32]);
        hello.extend([0, 0, 0x2f, 0]);
        stream.write_all(&hello).await?;
        return stream.shutdown().await;
    }
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        head.push(stream.read_u8().await?);
    }
    let bytes = match head.starts_with(b"GET /v2/ ") {
        true => b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
        false => script(n_asked.fetch_add(1, Ordering::SeqCst)),
    };
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}
