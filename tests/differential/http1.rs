//! A byte-level HTTP/1.1 peer of the proxies, which preserves the case of header names and detects truncated messages.
//!
//! The peer uses neither proxy's libraries, because a library could hide the other proxy's behaviour.

use std::io;

use hyper_util::rt::TokioIo;
use shakedown_env::BoxStream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A bound above the size of every case's head.
const HEAD_BYTES_MAX: usize = 256 * 1024;

/// The first line and the headers of a message, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The request or status line.
    pub(crate) line: String,
    /// Names in the case received.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The first value of a header, by case-insensitive name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The second word of the first line: a request's target or a response's status.
    pub(crate) fn second(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

/// The framing of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body.
    None,
    /// A fixed number of bytes.
    Length(usize),
    Chunked,
    /// A body that ends with the connection.
    Close,
}

impl Framing {
    /// The framing of a request's body.
    pub(crate) fn of_request(head: &Head) -> Framing {
        match Framing::written(head) {
            Some(framing) => framing,
            None => Framing::None,
        }
    }

    /// The framing of the body of a response to this method.
    pub(crate) fn of_response(head: &Head, method: &str) -> Framing {
        let status = head.second();
        if method == "HEAD" || status.starts_with('1') || status == "204" || status == "304" {
            return Framing::None;
        }
        Framing::written(head).unwrap_or(Framing::Close)
    }

    fn written(head: &Head) -> Option<Framing> {
        if head
            .header("transfer-encoding")
            .is_some_and(|value| value.contains("chunked"))
        {
            return Some(Framing::Chunked);
        }
        let length = head.header("content-length")?.parse().ok()?;
        Some(Framing::Length(length))
    }
}

/// The body of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// The bytes without framing.
    pub(crate) bytes: Vec<u8>,
    /// The trailers after the last chunk.
    pub(crate) trailers: Vec<(String, String)>,
    /// True if the body ended early.
    pub(crate) cut: bool,
}

/// A connection that is read message by message.
pub(crate) struct Connection {
    io: TokioIo<BoxStream>,
    buffer: Vec<u8>,
}

impl Connection {
    /// Wraps a newly opened stream.
    pub(crate) fn new(stream: BoxStream) -> Connection {
        Connection {
            io: TokioIo::new(stream),
            buffer: Vec::new(),
        }
    }

    /// Makes the next drop send a RST.
    pub(crate) fn reset_on_drop(&mut self) {
        self.io.inner_mut().reset_on_drop();
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    /// Waits until the peer has closed, discarding received data.
    pub(crate) async fn closed(&mut self) -> bool {
        loop {
            self.buffer.clear();
            match self.io.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return true,
                Ok(_) => {}
            }
        }
    }

    /// The next received data, without framing; `None` at the end.
    pub(crate) async fn piece(&mut self) -> Option<Vec<u8>> {
        if self.buffer.is_empty() && !self.more().await {
            return None;
        }
        Some(std::mem::take(&mut self.buffer))
    }

    /// The next head; `None` if the connection ended before one.
    pub(crate) async fn head(&mut self) -> Option<Head> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = parse(&self.buffer[..end]);
                self.buffer.drain(..end + 4);
                return Some(head);
            }
            if self.buffer.len() > HEAD_BYTES_MAX || !self.more().await {
                return None;
            }
        }
    }

    /// The body that follows a head.
    pub(crate) async fn content(&mut self, framing: Framing) -> Content {
        match framing {
            Framing::None => Content::default(),
            Framing::Length(length) => {
                while self.buffer.len() < length && self.more().await {}
                let cut = self.buffer.len() < length;
                let end = self.buffer.len().min(length);
                Content {
                    bytes: self.buffer.drain(..end).collect(),
                    cut,
                    ..Content::default()
                }
            }
            Framing::Chunked => self.chunks().await,
            Framing::Close => {
                while self.more().await {}
                Content {
                    bytes: std::mem::take(&mut self.buffer),
                    ..Content::default()
                }
            }
        }
    }

    async fn chunks(&mut self) -> Content {
        let mut content = Content::default();
        loop {
            let Some(line) = self.line().await else {
                content.cut = true;
                return content;
            };
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16).unwrap_or(0);
            if size == 0 {
                break;
            }
            while self.buffer.len() < size + 2 && self.more().await {}
            if self.buffer.len() < size + 2 {
                let end = self.buffer.len().min(size);
                content.bytes.extend(self.buffer.drain(..end));
                content.cut = true;
                return content;
            }
            content.bytes.extend(self.buffer.drain(..size));
            self.buffer.drain(..2);
        }
        while let Some(line) = self.line().await.filter(|line| !line.is_empty()) {
            content.trailers.push(field(&line));
        }
        content
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return Some(line);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads available data. Returns false at the end.
    async fn more(&mut self) -> bool {
        matches!(self.io.read_buf(&mut self.buffer).await, Ok(read) if read > 0)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn parse(bytes: &[u8]) -> Head {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    Head {
        line,
        headers: lines.map(field).collect(),
    }
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_owned(), value.trim().to_owned())
}
