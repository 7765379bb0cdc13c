//! The application's handle to a listening socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use shakedown_env::{BoxStream, SocketListener};

use super::stream::SimStream;
use crate::arena::ArenaKey;
use crate::shared::SimShared;

pub(crate) struct SimListener {
    shared: Arc<SimShared>,
    socket: ArenaKey,
    local: SocketAddr,
}

impl SimListener {
    pub(crate) fn new(shared: Arc<SimShared>, socket: ArenaKey, local: SocketAddr) -> SimListener {
        SimListener {
            shared,
            socket,
            local,
        }
    }
}

impl SocketListener for SimListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<BoxStream>> {
        self.shared
            .with(|kernel| kernel.accept(self.socket, cx.waker()))
            .map(|(endpoint, peer)| {
                let stream: BoxStream = Box::new(SimStream::new(
                    Arc::clone(&self.shared),
                    endpoint,
                    self.local,
                    peer,
                ));
                Ok(stream)
            })
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        // Does nothing after a crash, which has removed the socket.
        self.shared
            .with(|kernel| kernel.close_listener(self.socket));
    }
}
