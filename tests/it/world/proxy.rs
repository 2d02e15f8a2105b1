//! Proxies that want a name and a password: one of http that is asked by CONNECT, one of socks5.
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
    scheme: &'static str,
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
    /// Starts a proxy of http.
    pub async fn start() -> Self {
        Self::of("http").await
    }

    /// Starts a proxy of socks5.
    pub async fn socks5() -> Self {
        Self::of("socks5").await
    }

    async fn of(scheme: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has a port");
        let port = listener.local_addr().expect("it is bound").port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let task = tokio::spawn(serve(listener, scheme, Arc::clone(&asked)));
        Self {
            scheme,
            port,
            asked,
            task,
        }
    }

    /// Returns the data of the Secret that describes it.
    pub fn secret(&self) -> Vec<(&'static str, String)> {
        vec![
            (
                "address",
                format!("{}://127.0.0.1:{}", self.scheme, self.port),
            ),
            ("username", USER.0.to_owned()),
            ("password", USER.1.to_owned()),
        ]
    }

    /// Returns the first lines of the requests that were let pass, or the places.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics in it").clone()
    }
}

async fn serve(listener: TcpListener, scheme: &'static str, asked: Arc<Mutex<Vec<String>>>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("the listener is open");
        let asked = Arc::clone(&asked);
        match scheme {
            "http" => connections.spawn(pass(stream, asked)),
            _ => connections.spawn(pass_socks5(stream, asked)),
        };
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

/// Answers as RFC 1928 and RFC 1929 say, and becomes a tunnel if it may.
async fn pass_socks5(mut client: TcpStream, asked: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut methods = [0; 2];
    client.read_exact(&mut methods).await.ok()?;
    let methods = text(&mut client, methods[1]).await?;
    if !methods.contains('\u{2}') {
        client.write_all(&[5, 0xff]).await.ok()?;
        return None;
    }
    client.write_all(&[5, 2]).await.ok()?;
    client.read_u8().await.ok()?;
    let mut pair = [String::new(), String::new()];
    for part in &mut pair {
        let length = client.read_u8().await.ok()?;
        *part = text(&mut client, length).await?;
    }
    let is_known = pair == [USER.0, USER.1];
    client.write_all(&[1, u8::from(!is_known)]).await.ok()?;
    let mut request = [0; 4];
    client.read_exact(&mut request).await.ok()?;
    let host = match request[3] {
        1 => std::net::Ipv4Addr::from(client.read_u32().await.ok()?).to_string(),
        _ => {
            let length = client.read_u8().await.ok()?;
            text(&mut client, length).await?
        }
    };
    let place = format!("{host}:{}", client.read_u16().await.ok()?);
    let server = TcpStream::connect(&place).await;
    let status = if server.is_ok() { 0 } else { 5 };
    let answer = [5, status, 0, 1, 0, 0, 0, 0, 0, 0];
    client.write_all(&answer).await.ok()?;
    asked.lock().expect("no test panics in it").push(place);
    tokio::io::copy_bidirectional(&mut client, &mut server.ok()?)
        .await
        .ok()?;
    Some(())
}

async fn text(client: &mut TcpStream, length: u8) -> Option<String> {
    let mut bytes = vec![0; length.into()];
    client.read_exact(&mut bytes).await.ok()?;
    String::from_utf8(bytes).ok()
}
