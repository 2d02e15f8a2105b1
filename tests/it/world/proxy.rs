//! A proxy of http that is asked by CONNECT, and wants a name and a password.
//!
//! Out: its address, and which places were asked for. It ends with its value.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Who may pass.
pub const USER: (&str, &str) = ("carol", "s3cret-of-proxy");

/// A running proxy.
pub struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Starts a proxy.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has a port");
        let port = listener.local_addr().expect("it is bound").port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let task = tokio::spawn(serve(listener, Arc::clone(&asked)));
        Self { port, asked, task }
    }

    /// Returns the data of the Secret that describes it.
    pub fn secret(&self) -> Vec<(&'static str, String)> {
        vec![
            ("address", format!("http://127.0.0.1:{}", self.port)),
            ("username", USER.0.to_owned()),
            ("password", USER.1.to_owned()),
        ]
    }

    /// Returns the first lines of the requests that were let pass.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics in it").clone()
    }
}

async fn serve(listener: TcpListener, asked: Arc<Mutex<Vec<String>>>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("the listener is open");
        connections.spawn(pass(stream, Arc::clone(&asked)));
    }
}

/// Reads one request and becomes a tunnel if it may.
async fn pass(mut client: TcpStream, asked: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let line = head.lines().next()?.to_owned();
    let pair = format!("{}:{}", USER.0, USER.1);
    let pair = base64::engine::general_purpose::STANDARD.encode(pair);
    let wanted = format!("proxy-authorization: basic {pair}").to_lowercase();
    if !head.lines().any(|line| line.to_lowercase() == wanted) {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
        client.write_all(refusal.as_bytes()).await.ok()?;
        return None;
    }
    let place = line.strip_prefix("CONNECT ")?.split(' ').next()?;
    let mut server = TcpStream::connect(place).await.ok()?;
    asked.lock().expect("no test panics in it").push(line);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    tokio::io::copy_bidirectional(&mut client, &mut server)
        .await
        .ok()?;
    Some(())
}
