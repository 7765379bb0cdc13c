//! The application's handle to an endpoint of a connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use shakedown_env::Stream;

use crate::arena::ArenaKey;
use crate::shared::SimShared;

pub(crate) struct SimStream {
    shared: Arc<SimShared>,
    endpoint: ArenaKey,
    local: SocketAddr,
    peer: SocketAddr,
    abrupt: bool,
}

impl SimStream {
    pub(crate) fn new(
        shared: Arc<SimShared>,
        endpoint: ArenaKey,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> SimStream {
        SimStream {
            shared,
            endpoint,
            local,
            peer,
            abrupt: false,
        }
    }
}

impl Read for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.shared
            .with(|kernel| kernel.read(self.endpoint, into, cx.waker()))
    }
}

impl Write for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing to flush, because a write passes its data to the kernel immediately.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shared.with(|kernel| kernel.finish(self.endpoint)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.shared
            .with(|kernel| kernel.write(self.endpoint, slices, cx.waker()))
    }
}

impl Stream for SimStream {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn reset_on_drop(&mut self) {
        self.abrupt = true;
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        // Does nothing after a crash, which has removed the endpoint.
        self.shared
            .with(|kernel| kernel.close(self.endpoint, self.abrupt));
    }
}
