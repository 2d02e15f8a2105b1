//! A wire to a server that breaks where a test wants: after so many bytes of one direction.
//!
//! In: the server's port. Out: a URL that leads through the wire, and how many bytes went each way. It
//! ends with its value.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Up,
    /// From the server.
    Down,
}

#[derive(Default)]
struct Shared {
    /// Which direction breaks the connection, after how many bytes from now on.
    cut: Mutex<Option<(Direction, u64)>>,
    /// Whether new connections are ended at once, now or once the cut was made.
    severed: Mutex<Severed>,
    up: AtomicU64,
    down: AtomicU64,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Severed {
    #[default]
    Never,
    AfterTheCut,
    Now,
}

/// A wire between a client and a server.
pub struct Wire {
    port: u16,
    server: u16,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    /// Lays a wire to the server that a URL names.
    pub async fn to(url: &str) -> Self {
        let server = port_of(url);
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has a port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::<Shared>::default();
        let task = tokio::spawn(serve(listener, server, Arc::clone(&shared)));
        Self {
            port,
            server,
            shared,
            task,
        }
    }

    /// Returns a URL of the server as one through the wire.
    pub fn url(&self, url: &str) -> String {
        url.replace(&format!(":{}", self.server), &format!(":{}", self.port))
    }

    /// Breaks the connection once, after so many more bytes of a direction.
    pub fn cut(&self, direction: Direction, n_bytes: u64) {
        *self.shared.cut.lock().expect("no test panics in it") = Some((direction, n_bytes));
    }

    /// Breaks as [`Wire::cut`] does, and ends every connection after that.
    pub fn cut_for_good(&self, direction: Direction, n_bytes: u64) {
        self.cut(direction, n_bytes);
        *self.shared.severed.lock().expect("no test panics in it") = Severed::AfterTheCut;
    }

    /// Carries everything again.
    pub fn mend(&self) {
        *self.shared.cut.lock().expect("no test panics in it") = None;
        *self.shared.severed.lock().expect("no test panics in it") = Severed::Never;
    }

    /// Returns the bytes that went up and down since the last call.
    pub fn take_bytes(&self) -> (u64, u64) {
        let take = |n: &AtomicU64| n.swap(0, Ordering::SeqCst);
        (take(&self.shared.up), take(&self.shared.down))
    }
}

fn port_of(url: &str) -> u16 {
    let host = url.split("://").nth(1).expect("it is a URL");
    let port = host
        .split('/')
        .next()
        .and_then(|host| host.rsplit(':').next());
    port.and_then(|port| port.parse().ok())
        .expect("the URL has a port")
}

async fn serve(listener: TcpListener, server: u16, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("the listener is open");
        if *shared.severed.lock().expect("no test panics in it") == Severed::Now {
            continue;
        }
        let server = TcpStream::connect(("127.0.0.1", server)).await;
        let server = server.expect("the server listens");
        connections.spawn(carry(client, server, Arc::clone(&shared)));
    }
}

/// Carries both directions until one ends or is cut; then both are closed.
async fn carry(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = one_way(from_client, to_server, Direction::Up, &shared) => {}
        () = one_way(from_server, to_client, Direction::Down, &shared) => {}
    }
}

async fn one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    shared: &Shared,
) {
    let mut buffer = vec![0; 4096];
    loop {
        let Ok(n @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let (kept, is_cut) = shared.pass(direction, n);
        // A side that is gone ends the connection by its other direction.
        if to.write_all(&buffer[..kept]).await.is_err() || is_cut {
            return;
        }
    }
}

impl Shared {
    /// Counts bytes; returns how many of them pass, and whether the connection ends there.
    fn pass(&self, direction: Direction, n: usize) -> (usize, bool) {
        let mut cut = self.cut.lock().expect("no test panics in it");
        let (kept, is_cut) = match cut.as_mut() {
            Some((at, left)) if *at == direction => {
                let kept = usize::try_from(*left).unwrap_or(n).min(n);
                *left -= kept as u64;
                (kept, *left == 0)
            }
            _ => (n, false),
        };
        if is_cut {
            *cut = None;
            let mut severed = self.severed.lock().expect("no test panics in it");
            if *severed == Severed::AfterTheCut {
                *severed = Severed::Now;
            }
        }
        let counter = match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        };
        counter.fetch_add(kept as u64, Ordering::SeqCst);
        (kept, is_cut)
    }
}
