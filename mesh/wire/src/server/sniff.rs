//! Which protocol a client speaks, by its first bytes, as Envoy's AUTO codec tells it.
//! Source: Envoy, `ConnectionManagerUtility::determineNextProtocol`; unlike there, a preface that arrives in pieces counts.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use shakedown_env::BoxStream;

/// What every HTTP/2 client sends first. Source: RFC 9113, section 3.4.
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose first bytes were read ahead, and are read again.
pub(super) struct Sniffed {
    stream: BoxStream,
    ahead: [u8; PREFACE.len()],
    read: usize,
    given: usize,
}

impl Sniffed {
    pub(super) fn new(stream: BoxStream) -> Sniffed {
        Sniffed {
            stream,
            ahead: [0; PREFACE.len()],
            read: 0,
            given: 0,
        }
    }

    /// Reads until it is known whether the client speaks HTTP/2. One that has ended before speaks none.
    pub(super) fn poll_is_http2(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if self.ahead[..self.read] != PREFACE[..self.read] {
                return Poll::Ready(Ok(false));
            }
            if self.read == PREFACE.len() {
                return Poll::Ready(Ok(true));
            }
            let mut space = ReadBuf::new(&mut self.ahead[self.read..]);
            std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, space.unfilled()))?;
            match space.filled().len() {
                0 => return Poll::Ready(Ok(false)),
                more => self.read += more,
            }
        }
    }
}

impl Read for Sniffed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.given < this.read {
            let most = (this.read - this.given).min(buf.remaining());
            buf.put_slice(&this.ahead[this.given..this.given + most]);
            this.given += most;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_read(cx, buf)
    }
}

impl Write for Sniffed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
