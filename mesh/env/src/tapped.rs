//! A stream wrapper that can intercept, replace or refuse reads and writes.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::Stream;

/// An interceptor between a stream and its user.
pub trait Tap: Send + Unpin {
    /// Reads from the stream, or supplies bytes of its own.
    ///
    /// # Errors
    /// The stream's error, or one of its own.
    fn poll_read(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(stream).poll_read(cx, buf)
    }

    /// Writes to the stream, or writes bytes of its own in place of `buf`.
    ///
    /// # Errors
    /// The stream's error, or one of its own.
    fn poll_write(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(stream).poll_write(cx, buf)
    }

    /// Writes bytes of its own that are still pending. Called before a flush, a shutdown, and a vectored write. If it
    /// returns false, only the first non-empty buffer of that vectored write is written, by [`Tap::poll_write`].
    ///
    /// # Errors
    /// The stream's error.
    fn poll_written(
        &mut self,
        _stream: &mut impl Stream,
        _cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        Poll::Ready(Ok(true))
    }

    /// Called before each write, flush and shutdown. An error prevents the operation.
    ///
    /// # Errors
    /// The error that the user receives in place of the operation's result.
    fn before_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Called when the stream is about to be dropped.
    fn before_drop(&mut self, _stream: &mut impl Stream) {}
}

/// A stream with a tap.
#[derive(Debug)]
pub struct Tapped<S: Stream, T: Tap> {
    /// The stream itself. Reads and writes on this field bypass the tap.
    pub stream: S,
    /// The interceptor.
    pub tap: T,
}

impl<S: Stream, T: Tap> Read for Tapped<S, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.tap.poll_read(&mut this.stream, cx, buf)
    }
}

impl<S: Stream, T: Tap> Write for Tapped<S, T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.tap.before_write()?;
        let this = &mut *self;
        this.tap.poll_write(&mut this.stream, cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tap.before_write()?;
        let this = &mut *self;
        ready!(this.tap.poll_written(&mut this.stream, cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tap.before_write()?;
        let this = &mut *self;
        ready!(this.tap.poll_written(&mut this.stream, cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.tap.before_write()?;
        let this = &mut *self;
        if ready!(this.tap.poll_written(&mut this.stream, cx))? {
            return Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        }
        let first = bufs.iter().find(|buf| !buf.is_empty());
        let first = first.map_or(&[][..], |buf| &**buf);
        this.tap.poll_write(&mut this.stream, cx, first)
    }
}

impl<S: Stream, T: Tap> Stream for Tapped<S, T> {
    fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr()
    }

    fn peer_addr(&self) -> SocketAddr {
        self.stream.peer_addr()
    }

    fn reset_on_drop(&mut self) {
        self.stream.reset_on_drop();
    }
}

impl<S: Stream, T: Tap> Drop for Tapped<S, T> {
    fn drop(&mut self) {
        self.tap.before_drop(&mut self.stream);
    }
}
