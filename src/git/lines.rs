//! The packet lines of an answer, as they arrive.
//!
//! In: bytes in pieces, from whatever transport. Out: lines, one by one. Every answer has a bound; an
//! answer that ends within a line is an error. It knows no Git object.

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream::BoxStream};

use super::{
    Error,
    pkt::{self, Pkt},
    ssh::Pipe,
};

/// Where the bytes come from.
enum Source {
    /// The body of an answer over http.
    Body(BoxStream<'static, Result<Bytes, String>>),
    /// A program over ssh, which may answer again.
    Pipe(Box<Pipe>),
}

impl Source {
    async fn next(&mut self) -> Option<Result<Bytes, String>> {
        match self {
            Self::Body(stream) => stream.next().await,
            Self::Pipe(pipe) => pipe.next().await,
        }
    }
}

/// A packet line that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Data(Bytes),
    Flush,
    Delimiter,
}

/// The packet lines of an answer, as they arrive.
pub(super) struct Lines {
    url: String,
    what: &'static str,
    source: Source,
    buffer: BytesMut,
    n_bytes: u64,
    max: u64,
}

impl Lines {
    /// Returns the lines of a body: the answer named so, of at most so many bytes.
    pub(super) fn of_body(
        url: String,
        stream: BoxStream<'static, Result<Bytes, String>>,
        bound: (&'static str, u64),
    ) -> Self {
        Self::new(url, Source::Body(stream), bound)
    }

    /// Returns the lines of a program's next answer.
    pub(super) fn of_pipe(url: String, pipe: Pipe, bound: (&'static str, u64)) -> Self {
        Self::new(url, Source::Pipe(Box::new(pipe)), bound)
    }

    fn new(url: String, source: Source, (what, max): (&'static str, u64)) -> Self {
        Self {
            url,
            what,
            source,
            buffer: BytesMut::new(),
            n_bytes: 0,
            max,
        }
    }

    /// Returns the pipe, if there is one and all that came of it was read.
    pub(super) fn into_pipe(self) -> Option<Pipe> {
        match self.source {
            Source::Pipe(pipe) if self.buffer.is_empty() => Some(*pipe),
            _ => None,
        }
    }

    /// Returns the next line, or nothing at the end. Fails at the bound, on a broken line, and when
    /// the answer ends within a line.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, Error> {
        loop {
            let decoded = match pkt::decode(&self.buffer) {
                Ok(None) => None,
                Ok(Some((Pkt::Data(_), n))) => Some((true, n)),
                Ok(Some((Pkt::Flush, n))) => {
                    let _ = self.buffer.split_to(n);
                    return Ok(Some(Line::Flush));
                }
                Ok(Some((Pkt::Delimiter | Pkt::ResponseEnd, n))) => Some((false, n)),
                Err(cause) => return Err(self.broken(cause.to_string())),
            };
            if let Some((is_data, n)) = decoded {
                let line = self.buffer.split_to(n).freeze();
                return Ok(Some(match is_data {
                    true => Line::Data(line.slice(4..)),
                    false => Line::Delimiter,
                }));
            }
            match self.source.next().await {
                Some(Ok(chunk)) => {
                    self.n_bytes += chunk.len() as u64;
                    if self.n_bytes > self.max {
                        return Err(Error::TooLarge {
                            what: format!("the {} of {}", self.what, self.url),
                            max: self.max,
                        });
                    }
                    self.buffer.extend_from_slice(&chunk);
                }
                Some(Err(cause)) => {
                    return Err(Error::Connection {
                        act: "read from",
                        url: self.url.clone(),
                        cause,
                    });
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(self.broken("the answer ends within a line".to_owned())),
            }
        }
    }

    /// Returns the next line and fails when the answer has ended.
    pub(super) async fn expect(&mut self) -> Result<Line, Error> {
        let line = self.next().await?;
        line.ok_or_else(|| self.broken(format!("the {} is cut short", self.what)))
    }

    /// Returns the error of a server that broke the protocol.
    pub(super) fn broken(&self, what: impl Into<String>) -> Error {
        Error::Protocol {
            url: self.url.clone(),
            what: what.into(),
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&'static str], max: u64) -> Lines {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|text| Ok(Bytes::from_static(text.as_bytes())))
            .collect();
        let stream = futures::stream::iter(chunks).boxed();
        Lines::of_body("http://host/repo".to_owned(), stream, ("answer", max))
    }

    #[tokio::test]
    async fn lines_arrive_in_pieces_and_end_with_the_answer() {
        let mut lines = lines(&["00", "06a", "b0000", "0001"], 100);
        assert_eq!(lines.next().await.unwrap(), Some(Line::Data("ab".into())));
        assert_eq!(lines.next().await.unwrap(), Some(Line::Flush));
        assert_eq!(lines.next().await.unwrap(), Some(Line::Delimiter));
        assert_eq!(lines.next().await.unwrap(), None);
        assert!(matches!(lines.expect().await, Err(Error::Protocol { .. })));
    }

    #[tokio::test]
    async fn an_answer_above_its_bound_is_refused() {
        let mut lines = lines(&["0006ab", "0006cd"], 11);
        assert!(lines.next().await.is_ok());
        let error = lines.next().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the answer of http://host/repo is larger than the bound of 11"
        );
    }

    #[tokio::test]
    async fn an_answer_that_ends_within_a_line_is_broken() {
        let mut lines = lines(&["0009ab"], 100);
        let error = lines.next().await.unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
    }
}
