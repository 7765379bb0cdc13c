//! Strict HTTP/1.1 message framing, on the bytes that hyper is about to read.
//!
//! hyper takes messages that Envoy refuses (a length together with chunks, equal lengths twice, codings other than chunked,
//! targets that are no path), refuses some that Envoy takes, and shows neither to its user. Here a [`Tap`] follows the
//! messages of a connection: each head is checked once it is complete, and is handed on as it came, rewritten to the plainest
//! form that means the same, or not at all. hyper never sees a part of a head. Bodies are followed only to find the next head.
//!
//! Memory: an unfinished head, of at most the role's limit, and nothing between messages.

use std::error::Error;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{ReadBuf, ReadBufCursor};
use shakedown_env::{Stream, Tap};

use crate::BodyError;

pub(crate) mod authority;
mod chunks;
mod head;
mod request;
mod response;
#[cfg(test)]
mod tests;

use chunks::Chunks;
pub use head::BadHead;
pub(crate) use request::{RequestWatch, Requests};
pub(crate) use response::{Awaited, ResponseWatch, Responses};

/// How much is read at a time, in bytes. Source: Envoy, `Buffer::OwnedImpl`'s slices of 16 KiB.
const READ_BYTES: usize = 16 * 1024;

/// One direction of a connection: what its heads must be, and who learns of them.
pub(crate) trait Role: Send + Unpin {
    /// The most bytes of a head.
    fn head_bytes_max(&self) -> usize;

    /// Whether a head may begin now. Where not, bytes pass unseen, for hyper to refuse.
    fn awaits_head(&self) -> bool;

    /// Whether empty lines may precede a head.
    fn skips_empty_lines(&self) -> bool;

    /// Notes whether a head has begun and is not complete.
    fn set_unfinished(&self, unfinished: bool);

    /// Checks a complete head.
    ///
    /// # Errors
    /// The head is not one that Envoy takes.
    fn check(&mut self, head: &[u8]) -> Result<Checked, BadHead>;

    /// Checks what has come of a head that is not complete, so that one who speaks no HTTP is not waited for.
    ///
    /// # Errors
    /// It cannot become a head.
    fn check_begun(&self, begun: &[u8]) -> Result<(), BadHead>;

    /// Takes note of a head that is refused. Gives what hyper reads in its place; the connection ends with that, or with an
    /// error where there is none.
    fn refuse(&mut self, why: BadHead) -> Option<&'static [u8]>;

    /// A refusal that came from elsewhere while a head was unfinished.
    fn interrupted(&self) -> Option<BadHead>;

    /// A line that is to be written in place of another, once that comes.
    fn line(&self) -> Option<Line> {
        None
    }

    /// Whether there is such a line.
    fn has_line(&self) -> bool {
        false
    }

    /// The line has been written.
    fn line_is_written(&self) {}

    /// What has become of a connection whose upgrade was asked for; `None`: not known yet.
    fn upgraded(&self) -> Option<bool>;
}

/// A line of a head that hyper writes, and the one that is sent in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) of: Vec<u8>,
    pub(crate) instead: Vec<u8>,
}

/// A head that may pass.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// What follows.
    pub(crate) payload: Payload,
    /// The head that hyper reads, where it is not the one that came.
    pub(crate) instead: Option<Vec<u8>>,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// So many bytes; of none, the next head.
    Sized(u64),
    /// Chunks.
    Chunked,
    /// Bytes until the connection ends, of a body or of another protocol.
    Rest,
    /// Another protocol, or the next head: the answer will say.
    Undecided,
}

/// Where in its messages a connection is.
#[derive(Debug)]
enum State {
    Head,
    Sized(u64),
    Chunked(Chunks),
    Rest,
    Undecided,
    /// What comes is dropped.
    Refused,
    /// hyper reads an error.
    Broken(BadHead),
}

/// The messages of one direction of a connection.
#[derive(Debug)]
pub(crate) struct Framing<R> {
    role: R,
    state: State,
    /// What has come of a head that is not complete, or of what nobody may see yet.
    held: Vec<u8>,
    /// How much of it is known to hold no end.
    searched: usize,
    /// What hyper reads next, before anything else.
    ready: Vec<u8>,
    given: usize,
    /// What is written before anything else.
    written: Vec<u8>,
}

impl<R: Role> Framing<R> {
    /// A connection of which nothing has been read.
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

    /// Follows bytes that have come; what may pass is put into `buf`, or kept for the next read.
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

    /// Takes bytes of a head. Gives those behind it.
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
                // Once its first line has come, it has been looked at.
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

    /// Checks a head and passes it on.
    fn accept(&mut self, head: &[u8], buf: &mut ReadBufCursor<'_>) {
        if head.len() > self.role.head_bytes_max() {
            return self.refuse(BadHead::TooLarge, buf);
        }
        match self.role.check(head) {
            Ok(checked) => {
                self.state = match checked.payload {
                    Payload::Sized(0) => State::Head,
                    Payload::Sized(bytes) => State::Sized(bytes),
                    Payload::Chunked => State::Chunked(Chunks::new()),
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

    /// Gives bytes to hyper, or keeps what does not fit.
    fn pass(&mut self, bytes: &[u8], buf: &mut ReadBufCursor<'_>) {
        let most = if self.ready.is_empty() {
            bytes.len().min(buf.remaining())
        } else {
            0
        };
        let (now, later) = bytes.split_at(most);
        buf.put_slice(now);
        self.ready.extend_from_slice(later);
    }

    /// Gives what is kept.
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

    /// Goes on once it is known what became of an upgrade.
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
                // The answer, which makes hyper read again, comes first.
                return Poll::Pending;
            }
            let mut bytes = [const { MaybeUninit::uninit() }; READ_BYTES];
            let most = space.min(READ_BYTES);
            let mut read = ReadBuf::uninit(&mut bytes[..most]);
            ready!(Pin::new(&mut *stream).poll_read(cx, read.unfilled()))?;
            if read.filled().is_empty() {
                // A refused message is answered though its sender has closed its half.
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
        // All of it is taken; what the stream does not take yet comes before what follows.
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

/// What hyper's user gets to see of a message that is none.
fn invalid(why: BadHead) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Whether an error comes of a message that is none, rather than of its connection.
pub(crate) fn is_malformed(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let here = if let Some(error) = error.downcast_ref::<io::Error>() {
            error.get_ref().is_some_and(|inner| inner.is::<BadHead>())
        } else if let Some(error) = error.downcast_ref::<hyper::Error>() {
            error.is_parse()
        } else {
            // The error of a body that is read again has no source.
            matches!(error.downcast_ref(), Some(BodyError::Malformed))
        };
        if here {
            return true;
        }
        cause = error.source();
    }
    false
}
