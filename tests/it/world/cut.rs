//! A line to an http server that breaks during a push, at a byte that a test chooses.
//!
//! In: the server's port, and what to do at the moment. Out: a port of its own. Until it is armed
//! everything passes; when the moment has come, what is to be done is done and nothing passes on that
//! connection any more.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// How much of a push's end does not pass: less than a pack, more than its checksum.
const TAIL: usize = 60;

/// When the line breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Within the pack.
    MidPack,
    /// All was sent, and the first byte of the answer is here.
    Answered,
}

type Act = Box<dyn FnOnce() + Send>;
type Armed = Arc<Mutex<Option<(When, Act)>>>;

/// A running line.
pub struct Line {
    pub port: u16,
    armed: Armed,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Line {
    /// Starts a line to a port.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let armed = Armed::default();
        let task = tokio::spawn(serve(listener, to, Arc::clone(&armed)));
        Self { port, armed, task }
    }

    /// Breaks during the next push.
    pub fn arm(&self, when: When, act: impl FnOnce() + Send + 'static) {
        *self.armed.lock().unwrap() = Some((when, Box::new(act)));
    }
}

async fn serve(listener: TcpListener, to: u16, armed: Armed) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let armed = Arc::clone(&armed);
        connections.spawn(async move {
            let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let pushes = Arc::<Mutex<bool>>::default();
            let up = send(from_client, to_server, &armed, &pushes);
            let down = answer(from_server, to_client, &armed, &pushes);
            // Whichever side ends first ends both.
            tokio::select! { () = up => {}, () = down => {} }
        });
    }
}

/// Takes what is armed, if it is for this moment.
fn due(armed: &Armed, when: When) -> Option<Act> {
    let mut armed = armed.lock().unwrap();
    let is_due = armed.as_ref().is_some_and(|(armed, _)| *armed == when);
    is_due.then(|| armed.take().unwrap().1)
}

async fn send(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    armed: &Armed,
    pushes: &Mutex<bool>,
) {
    let mut buffer = vec![0; 1 << 16];
    // What has yet to pass of a push before the line breaks.
    let mut rest = None;
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let mut chunk = &buffer[..n];
        let text = String::from_utf8_lossy(chunk);
        if text.starts_with("POST ") && text.contains("/git-receive-pack HTTP") {
            *pushes.lock().unwrap() = true;
            let head = text.find("\r\n\r\n").unwrap() + 4;
            let length = text.to_ascii_lowercase();
            let length = length.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
            let is_armed = armed
                .lock()
                .unwrap()
                .as_ref()
                .is_some_and(|a| a.0 == When::MidPack);
            rest = is_armed.then(|| head + length - TAIL);
        }
        if let Some(left) = &mut rest {
            chunk = &chunk[..chunk.len().min(*left)];
            *left -= chunk.len();
        }
        if to.write_all(chunk).await.is_err() {
            return;
        }
        if rest == Some(0) {
            if let Some(act) = due(armed, When::MidPack) {
                act();
            }
            return;
        }
    }
}

async fn answer(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    armed: &Armed,
    pushes: &Mutex<bool>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let is_push = std::mem::take(&mut *pushes.lock().unwrap());
        if is_push && let Some(act) = due(armed, When::Answered) {
            return act();
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}
