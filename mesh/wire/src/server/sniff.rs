//! Detection of a client's protocol by its first bytes, like Envoy's AUTO codec. Source: Envoy,
//! `ConnectionManagerUtility::determineNextProtocol`. Unlike Envoy, a preface that arrives in pieces is recognized.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read as _, ReadBuf, ReadBufCursor};
use shakedown_env::{BoxStream, Stream, Tap, Tapped};

use crate::h2::PREFACE;

/// A stream whose first bytes were read ahead, and are returned again by its reads.
pub(super) type Sniffed = Tapped<BoxStream, Ahead>;

/// The bytes that were read ahead.
pub(super) struct Ahead {
    bytes: [u8; PREFACE.len()],
    read: usize,
    given: usize,
}

/// Wraps a stream of which nothing has been read.
pub(super) fn sniffed(stream: BoxStream) -> Sniffed {
    let tap = Ahead {
        bytes: [0; PREFACE.len()],
        read: 0,
        given: 0,
    };
    Tapped { stream, tap }
}

/// Reads until it is known whether the client speaks HTTP/2. False if the stream ends before that.
pub(super) fn poll_is_http2(sniffed: &mut Sniffed, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
    let ahead = &mut sniffed.tap;
    loop {
        if ahead.bytes[..ahead.read] != PREFACE[..ahead.read] {
            return Poll::Ready(Ok(false));
        }
        if ahead.read == PREFACE.len() {
            return Poll::Ready(Ok(true));
        }
        let mut space = ReadBuf::new(&mut ahead.bytes[ahead.read..]);
        std::task::ready!(Pin::new(&mut sniffed.stream).poll_read(cx, space.unfilled()))?;
        match space.filled().len() {
            0 => return Poll::Ready(Ok(false)),
            more => ahead.read += more,
        }
    }
}

/// Reads the first byte of a stream, which is returned again by its reads. `None` at its end.
pub(super) fn poll_first_byte(
    sniffed: &mut Sniffed,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Option<u8>>> {
    let ahead = &mut sniffed.tap;
    if ahead.read == 0 {
        let mut space = ReadBuf::new(&mut ahead.bytes[..1]);
        std::task::ready!(Pin::new(&mut sniffed.stream).poll_read(cx, space.unfilled()))?;
        ahead.read = space.filled().len();
    }
    Poll::Ready(Ok(ahead.bytes[..ahead.read].first().copied()))
}

impl Tap for Ahead {
    fn poll_read(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.given < self.read {
            let most = (self.read - self.given).min(buf.remaining());
            buf.put_slice(&self.bytes[self.given..self.given + most]);
            self.given += most;
            return Poll::Ready(Ok(()));
        }
        Pin::new(stream).poll_read(cx, buf)
    }
}
