//! Strict HTTP/1.1 message framing, applied to the bytes before hyper reads them.
//!
//! hyper accepts messages that Envoy rejects (a content length together with chunks, repeated equal lengths, codings
//! other than chunked, targets that are not a path), rejects some that Envoy accepts, and exposes neither case to its
//! user. Here a [`Tap`] follows the messages of a connection. Each head is checked once it is complete. It is then
//! passed on as received, rewritten to the plainest equivalent form, or withheld. hyper never sees a partial head.
//! Bodies are followed only to find the next head.
//!
//! Memory: an unfinished head, at most the role's limit, and nothing between messages.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{ReadBuf, ReadBufCursor};
use shakedown_env::{Stream, Tap};

pub(crate) mod authority;
mod chunks;
mod head;
mod request;
mod response;
#[cfg(test)]
mod tests;

use chunks::ChunkedDecoder;
pub use head::BadHead;
pub(crate) use request::{RequestFraming, RequestWatch};
pub(crate) use response::{Awaited, ResponseFraming, ResponseWatch};

/// The number of bytes that are read at a time. Source: Envoy, `Buffer::OwnedImpl`'s slices of 16 KiB.
const READ_BYTES: usize = 16 * 1024;

/// The rules for the heads of one direction of a connection, and the observer of those heads.
pub(crate) trait Role: Send + Unpin {
    /// Returns the maximum size of a head in bytes.
    fn head_bytes_max(&self) -> usize;

    /// Returns true if a head may begin now. Otherwise the bytes are passed on unchecked, and hyper rejects them.
    fn awaits_head(&self) -> bool;

    /// Returns true if empty lines may precede a head.
    fn skips_empty_lines(&self) -> bool;

    /// Records whether a head has begun and is not complete.
    fn set_unfinished(&self, unfinished: bool);

    /// Checks a complete head.
    ///
    /// # Errors
    /// Envoy would reject the head.
    fn check(&mut self, head: &[u8]) -> Result<Checked, BadHead>;

    /// Checks the received part of an incomplete head, so that a peer that does not speak HTTP is rejected early.
    ///
    /// # Errors
    /// The bytes cannot be the beginning of a valid head.
    fn check_begun(&self, begun: &[u8]) -> Result<(), BadHead>;

    /// Records that a head was rejected, and returns the bytes that hyper reads in its place. The connection ends after
    /// those bytes or, if `None`, with an error.
    fn refuse(&mut self, why: BadHead) -> Option<&'static [u8]>;

    /// Returns a rejection that was requested from outside while a head was unfinished.
    fn interrupted(&self) -> Option<BadHead>;

    /// Returns the line that replaces another one in the next written head.
    fn line(&self) -> Option<Line> {
        None
    }

    /// Returns true if such a line is pending.
    fn has_line(&self) -> bool {
        false
    }

    /// Called once the line has been written.
    fn line_is_written(&self) {}

    /// Returns whether the connection was upgraded, after a request for an upgrade. `None` if this is not known yet.
    fn upgraded(&self) -> Option<bool>;
}

/// A line of a head that hyper writes, and its replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) of: Vec<u8>,
    pub(crate) instead: Vec<u8>,
}

/// A head that was accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) payload: Payload,
    /// The head that hyper reads, if it differs from the received one.
    pub(crate) instead: Option<Vec<u8>>,
}

/// The content between a head and the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// A body of this many bytes. With 0 the next head follows.
    Sized(u64),
    Chunked,
    /// All bytes until the connection ends, of a body or of another protocol.
    Rest,
    /// Another protocol or the next head, depending on the response.
    Undecided,
}

/// The position of a connection within its messages.
#[derive(Debug)]
enum State {
    Head,
    Sized(u64),
    Chunked(ChunkedDecoder),
    Rest,
    Undecided,
    /// A head was rejected. All further bytes are dropped.
    Refused,
    /// hyper reads an error.
    Broken(BadHead),
}

/// The messages of one direction of a connection.
#[derive(Debug)]
pub(crate) struct Framing<R> {
    role: R,
    state: State,
    /// The received part of an incomplete head, or bytes that wait for the decision about an upgrade.
    held: Vec<u8>,
    /// The length of the prefix of `held` that is known not to contain the end of the head.
    searched: usize,
    /// Bytes that hyper reads before anything else.
    ready: Vec<u8>,
    given: usize,
    /// Bytes that are written before anything else.
    written: Vec<u8>,
}

impl<R: Role> Framing<R> {
    /// Creates the state of a new connection.
    pub(crate) fn new(role: R) -> Framing<R> {
        Framing {
            role,
            state: State::Head,
            held: Vec::new(),
            searched: 0,
            ready: Vec::new(),
            given: 0,
            written: Vec::new(),
        }
    }

    /// Processes received bytes. Accepted bytes are put into `buf`, or kept for the next read.
    fn take(&mut self, mut bytes: &[u8], buf: &mut ReadBufCursor<'_>) {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Head if !self.role.awaits_head() => {
                    self.state = State::Rest;
                }
                State::Head => bytes = self.take_head(bytes, buf),
                State::Sized(left) => {
                    let most =
                        usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    let (body, rest) = bytes.split_at(most);
                    *left -= most as u64;
                    if *left == 0 {
                        self.state = State::Head;
                    }
                    self.pass(body, buf);
                    bytes = rest;
                }
                State::Chunked(chunks) => {
                    let step = match chunks.step(bytes) {
                        Ok(step) => step,
                        Err(why) => {
                            self.state = State::Broken(why);
                            return;
                        }
                    };
                    if chunks.has_ended() {
                        self.state = State::Head;
                    }
                    self.pass(step.pass, buf);
                    self.pass(step.then, buf);
                    bytes = &bytes[step.used..];
                }
                State::Rest => {
                    self.pass(bytes, buf);
                    return;
                }
                State::Undecided => {
                    self.held.extend_from_slice(bytes);
                    return;
                }
                State::Refused | State::Broken(_) => return,
            }
        }
    }

    /// Processes bytes of a head, and returns those after it.
    fn take_head<'b>(&mut self, bytes: &'b [u8], buf: &mut ReadBufCursor<'_>) -> &'b [u8] {
        let bytes = if self.held.is_empty() && self.role.skips_empty_lines() {
            let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
            &bytes[begin.unwrap_or(bytes.len())..]
        } else {
            bytes
        };
        let most = self.role.head_bytes_max();
        if self.held.is_empty()
            && let Some(end) = head::end(bytes, 0)
        {
            let (head, rest) = bytes.split_at(end);
            self.accept(head, buf);
            return rest;
        }
        if bytes.is_empty() {
            return bytes;
        }
        let before = self.held.len();
        self.held.extend_from_slice(bytes);
        let end = head::end(&self.held, self.searched);
        match end {
            Some(end) => {
                let mut head = std::mem::take(&mut self.held);
                head.truncate(end);
                self.searched = 0;
                self.role.set_unfinished(false);
                self.accept(&head, buf);
                &bytes[end - before..]
            }
            None if self.held.len() > most => {
                self.refuse(BadHead::TooLarge, buf);
                &[]
            }
            None => {
                // The first line has already been checked once it is complete.
                let known = self.searched > 0 && self.held[..self.searched].contains(&b'\n');
                if !known && let Err(why) = self.role.check_begun(&self.held) {
                    self.refuse(why, buf);
                    return &[];
                }
                self.searched = self.held.len();
                self.role.set_unfinished(true);
                &[]
            }
        }
    }

    /// Checks a complete head and passes it on.
    fn accept(&mut self, head: &[u8], buf: &mut ReadBufCursor<'_>) {
        if head.len() > self.role.head_bytes_max() {
            return self.refuse(BadHead::TooLarge, buf);
        }
        match self.role.check(head) {
            Ok(checked) => {
                self.state = match checked.payload {
                    Payload::Sized(0) => State::Head,
                    Payload::Sized(bytes) => State::Sized(bytes),
                    Payload::Chunked => State::Chunked(ChunkedDecoder::new()),
                    Payload::Rest => State::Rest,
                    Payload::Undecided => State::Undecided,
                };
                match &checked.instead {
                    Some(instead) => self.pass(instead, buf),
                    None => self.pass(head, buf),
                }
            }
            Err(why) => self.refuse(why, buf),
        }
    }

    fn refuse(&mut self, why: BadHead, buf: &mut ReadBufCursor<'_>) {
        self.held = Vec::new();
        self.role.set_unfinished(false);
        match self.role.refuse(why) {
            Some(instead) => {
                self.state = State::Refused;
                self.pass(instead, buf);
            }
            None => self.state = State::Broken(why),
        }
    }

    /// Passes bytes to hyper, and keeps those that do not fit.
    fn pass(&mut self, bytes: &[u8], buf: &mut ReadBufCursor<'_>) {
        let most = if self.ready.is_empty() {
            bytes.len().min(buf.remaining())
        } else {
            0
        };
        let (fitting, rest) = bytes.split_at(most);
        buf.put_slice(fitting);
        self.ready.extend_from_slice(rest);
    }

    /// Passes on kept bytes.
    fn give(&mut self, buf: &mut ReadBufCursor<'_>) {
        let kept = &self.ready[self.given..];
        let most = kept.len().min(buf.remaining());
        buf.put_slice(&kept[..most]);
        self.given += most;
        if self.given == self.ready.len() {
            self.ready = Vec::new();
            self.given = 0;
        }
    }

    /// Continues once the outcome of an upgrade is known.
    fn decide(&mut self, buf: &mut ReadBufCursor<'_>) {
        let Some(upgraded) = self.role.upgraded() else {
            return;
        };
        self.state = if upgraded { State::Rest } else { State::Head };
        let held = std::mem::take(&mut self.held);
        self.take(&held, buf);
    }
}

impl<R: Role> Tap for Framing<R> {
    fn poll_read(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let space = buf.remaining();
        loop {
            if let Some(why) = self.role.interrupted()
                && !matches!(self.state, State::Refused)
            {
                self.refuse(why, &mut buf);
            }
            if matches!(self.state, State::Undecided) {
                self.decide(&mut buf);
            }
            if !self.ready.is_empty() {
                self.give(&mut buf);
            }
            if buf.remaining() < space || space == 0 {
                return Poll::Ready(Ok(()));
            }
            match self.state {
                State::Rest => return Pin::new(stream).poll_read(cx, buf),
                State::Broken(why) => return Poll::Ready(Err(invalid(why))),
                _ => {}
            }
            if matches!(self.state, State::Undecided) && self.held.len() > READ_BYTES {
                // Wait for the response, because writing it makes hyper read again.
                return Poll::Pending;
            }
            let mut bytes = [const { MaybeUninit::uninit() }; READ_BYTES];
            let most = space.min(READ_BYTES);
            let mut read = ReadBuf::uninit(&mut bytes[..most]);
            ready!(Pin::new(&mut *stream).poll_read(cx, read.unfilled()))?;
            if read.filled().is_empty() {
                // The rejected message is answered even if its sender has closed its half.
                return match self.state {
                    State::Refused => Poll::Pending,
                    _ => Poll::Ready(Ok(())),
                };
            }
            self.take(read.filled(), &mut buf);
        }
    }

    fn poll_write(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let plain = ready!(self.poll_written(stream, cx))?;
        let line = if plain { None } else { self.role.line() };
        let found = line.and_then(|line| {
            let at = buf
                .windows(line.of.len())
                .position(|bytes| bytes == line.of)?;
            Some((at, line))
        });
        let Some((at, line)) = found else {
            return Pin::new(stream).poll_write(cx, buf);
        };
        self.role.line_is_written();
        self.written.extend_from_slice(&buf[..at]);
        self.written.extend_from_slice(&line.instead);
        self.written.extend_from_slice(&buf[at + line.of.len()..]);
        // All of `buf` counts as written. Bytes that the stream does not take yet are written before any later ones.
        if let Poll::Ready(Err(error)) = self.poll_written(stream, cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_written(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        while !self.written.is_empty() {
            match ready!(Pin::new(&mut *stream).poll_write(cx, &self.written))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => drop(self.written.drain(..written)),
            }
        }
        Poll::Ready(Ok(!self.role.has_line()))
    }
}

/// Creates the error that hyper reports for an invalid message.
fn invalid(why: BadHead) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
