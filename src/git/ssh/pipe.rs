//! A channel whose other end is one of Git's programs.
//!
//! In: the bytes of a request. Out: the bytes of the answer, as they arrive. What the program says on its
//! standard error is the reason when it ends early. Each read has a deadline. The channel is closed with
//! its value: a server gives a session only some.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client::Msg};

use super::super::transport::Service;

/// The longest that a server may be silent; Git's programs say something every five seconds.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a program's standard error is kept.
const SAID_BYTES_MAX: usize = 4096;

/// A program's input and output.
pub(in crate::git) struct Pipe {
    reader: ChannelReadHalf,
    writer: ChannelWriteHalf<Msg>,
    service: Service,
    said: Vec<u8>,
    n_requests: u32,
    patience: Duration,
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // When the session's queue is full, the channel stays until the session ends.
        let _ = self.writer.close().now_or_never();
    }
}

impl Pipe {
    /// Returns the pipe of a channel on which a service's program was asked for.
    pub(super) fn new(channel: Channel<Msg>, service: Service, timeout: Duration) -> Self {
        let (reader, writer) = channel.split();
        Self {
            reader,
            writer,
            service,
            said: Vec::new(),
            n_requests: 0,
            patience: READ_TIMEOUT.min(timeout),
        }
    }

    /// Returns whether the program was not yet asked for anything.
    pub(super) fn is_new(&self) -> bool {
        self.n_requests == 0
    }

    /// Writes a whole request.
    pub(super) async fn send(&mut self, body: Vec<u8>) -> Result<(), String> {
        self.n_requests += 1;
        let sent = self.writer.data_bytes(body).await;
        sent.map_err(|cause| cause.to_string())
    }

    /// Returns the next bytes of the answer, or nothing at its end. Fails with what the program said when
    /// it did not end well.
    pub(in crate::git) async fn next(&mut self) -> Option<Result<Bytes, String>> {
        let mut status = 0;
        loop {
            let Ok(message) = tokio::time::timeout(self.patience, self.reader.wait()).await else {
                return Some(Err(format!("nothing came for {:?}", self.patience)));
            };
            match message {
                Some(ChannelMsg::Data { data }) => return Some(Ok(data)),
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = SAID_BYTES_MAX - self.said.len();
                    self.said
                        .extend_from_slice(data.get(..room).unwrap_or(&data));
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => status = exit_status,
                Some(ChannelMsg::ExitSignal { .. }) => status = u32::MAX,
                Some(ChannelMsg::Failure) => {
                    let name = self.service.name();
                    return Some(Err(format!("the server does not run {name}")));
                }
                Some(ChannelMsg::Close) | None => return self.ended(status),
                Some(_) => {}
            }
        }
    }

    fn ended(&self, status: u32) -> Option<Result<Bytes, String>> {
        let said = String::from_utf8_lossy(&self.said);
        let lines = said.lines().map(|line| line.replace(char::is_control, ""));
        let lines: Vec<String> = lines.filter(|line| !line.trim().is_empty()).collect();
        match (lines.join("; "), status) {
            (said, _) if !said.is_empty() => Some(Err(format!("the server says: {said}"))),
            (_, 0) => None,
            (_, status) => {
                let name = self.service.name();
                Some(Err(format!("{name} ended with status {status}")))
            }
        }
    }
}
