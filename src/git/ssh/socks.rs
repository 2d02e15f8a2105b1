//! A connection through a proxy of socks5 (RFC 1928), with a name and a password where it wants them
//! (RFC 1929).
//!
//! In: a stream to the proxy, and the host and port that it is to connect to; names are left to it.
//! Out: the stream, which leads there now. It reads what the proxy has to say and not a byte more.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::super::proxy::Proxy;

const VERSION: u8 = 5;
const OPEN: u8 = 0;
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Why a proxy does not lead anywhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It is gone.
    #[error("the proxy: {0}")]
    Io(#[from] std::io::Error),
    /// It does not speak socks5.
    #[error("the proxy does not answer as one of socks5")]
    Protocol,
    /// It wants somebody else.
    #[error("the proxy refuses the name and password of spec.proxySecretRef, or wants some")]
    Login,
    /// A name, a password or a host is longer than its field.
    #[error("the {0} has more than 255 bytes")]
    TooLong(&'static str),
    /// It may not or cannot connect.
    #[error("the proxy does not connect: {0}")]
    Refused(&'static str),
}

/// Asks the proxy at the other end of the stream for a connection.
pub(super) async fn connect(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    proxy: &Proxy,
    (host, port): (&str, u16),
) -> Result<(), Error> {
    let method = match proxy.credentials {
        Some(_) => PASSWORD,
        None => OPEN,
    };
    stream.write_all(&[VERSION, 1, method]).await?;
    match read(stream).await? {
        [VERSION, chosen] if chosen == method => {}
        [VERSION, _] => return Err(Error::Login),
        _ => return Err(Error::Protocol),
    }
    if let Some(credentials) = &proxy.credentials {
        let (username, password) = credentials.expose();
        let mut login = vec![1];
        put(&mut login, username, "username of the proxy")?;
        put(&mut login, password, "password of the proxy")?;
        stream.write_all(&login).await?;
        let [_, status] = read(stream).await?;
        if status != 0 {
            return Err(Error::Login);
        }
    }
    let mut request = vec![VERSION, CONNECT, 0, NAME];
    put(&mut request, host, "host")?;
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).await?;
    let [version, status, _, kind] = read(stream).await?;
    if version != VERSION {
        return Err(Error::Protocol);
    }
    if status != 0 {
        return Err(Error::Refused(reason(status)));
    }
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(stream.read_u8().await?),
        _ => return Err(Error::Protocol),
    };
    // Where it connects from, and the port.
    let mut bound = vec![0; length + 2];
    stream.read_exact(&mut bound).await?;
    Ok(())
}

async fn read<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn put(out: &mut Vec<u8>, text: &str, what: &'static str) -> Result<(), Error> {
    let length = u8::try_from(text.len()).map_err(|_| Error::TooLong(what))?;
    out.push(length);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn reason(status: u8) -> &'static str {
    match status {
        2 => "its rules forbid it",
        3 => "the network cannot be reached",
        4 => "the host cannot be reached",
        5 => "the connection is refused",
        6 => "it takes too long",
        _ => "it gives no reason",
    }
}
