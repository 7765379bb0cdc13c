//! The stream inside of a TLS session.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use shakedown_env::{BoxStream, Stream};
use tokio_rustls::TlsStream;

/// What is said inside a TLS session.
pub(super) struct Session {
    io: TokioIo<TlsStream<TokioIo<BoxStream>>>,
    local: SocketAddr,
    peer: SocketAddr,
}

impl Session {
    /// A session after its handshake; `ends` are the stream's local and peer address.
    pub(super) fn boxed(
        session: TlsStream<TokioIo<BoxStream>>,
        (local, peer): (SocketAddr, SocketAddr),
    ) -> BoxStream {
        Box::new(Session {
            io: TokioIo::new(session),
            local,
            peer,
        })
    }
}

impl Stream for Session {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn reset_on_drop(&mut self) {
        self.io.inner_mut().get_mut().0.inner_mut().reset_on_drop();
    }
}

impl Read for Session {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Session {
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
