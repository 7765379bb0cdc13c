//! A tokio stream as a [`Stream`]: a socket of the operating system, a socket of a simulator built on tokio, or the
//! plaintext side of TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Stream;

/// A connected tokio stream with the addresses of both ends.
#[derive(Debug)]
pub struct TokioStream<S> {
    io: TokioIo<S>,
    local: SocketAddr,
    peer: SocketAddr,
    reset: fn(&mut S),
}

impl<S: AsyncRead + AsyncWrite + Unpin> TokioStream<S> {
    /// Wraps a socket. `reset` must make its later drop send a RST.
    pub fn new(
        socket: S,
        local: SocketAddr,
        peer: SocketAddr,
        reset: fn(&mut S),
    ) -> TokioStream<S> {
        TokioStream {
            io: TokioIo::new(socket),
            local,
            peer,
            reset,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for TokioStream<S> {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn reset_on_drop(&mut self) {
        (self.reset)(self.io.inner_mut());
    }
}

impl<S: AsyncRead + Unpin> Read for TokioStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> Write for TokioStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
