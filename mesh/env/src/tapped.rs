//! A stream that something stands between: what is read passes it, and what is written asks it first.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::Stream;

/// What stands between a stream and its user.
pub trait Tap: Send + Unpin {
    /// Reads from the stream, or gives bytes of its own.
    ///
    /// # Errors
    /// The stream's, or one of its own.
    fn poll_read(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(stream).poll_read(cx, buf)
    }

    /// Asked before each write, flush and shutdown.
    ///
    /// # Errors
    /// What the user gets in place of it.
    fn before_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Told that the stream is about to be dropped.
    fn before_drop(&mut self, _stream: &mut impl Stream) {}
}

/// A stream with a tap.
#[derive(Debug)]
pub struct Tapped<S: Stream, T: Tap> {
    /// The stream itself: what is read and written here passes the tap by.
    pub stream: S,
    /// What stands between.
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
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tap.before_write()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tap.before_write()?;
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
        self.tap.before_write()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
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
