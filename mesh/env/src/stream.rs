//! Byte streams and listeners, boxed at the interface between the mesh and its backend.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// A connected byte stream that hyper can drive. Dropping it closes the connection with a FIN, or with a RST if bytes
/// that arrived were never read.
pub trait Stream: hyper::rt::Read + hyper::rt::Write + Send + Unpin {
    /// The address of this end.
    fn local_addr(&self) -> SocketAddr;
    /// The address of the other end.
    fn peer_addr(&self) -> SocketAddr;
    /// Makes the later drop abrupt: the peer receives a RST instead of a FIN.
    fn reset_on_drop(&mut self);
}

/// A stream of any backend.
pub type BoxStream = Box<dyn Stream>;

impl Stream for BoxStream {
    fn local_addr(&self) -> SocketAddr {
        (**self).local_addr()
    }

    fn peer_addr(&self) -> SocketAddr {
        (**self).peer_addr()
    }

    fn reset_on_drop(&mut self) {
        (**self).reset_on_drop();
    }
}

/// A listening socket. After it is dropped, new connections are refused.
pub trait SocketListener: Send + Unpin {
    fn local_addr(&self) -> SocketAddr;
    /// The next connection from the backlog.
    ///
    /// # Errors
    /// The backend's error of the accept. The listener stays usable.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<BoxStream>>;
}

/// A listener of any backend.
pub type BoxListener = Box<dyn SocketListener>;

impl dyn SocketListener {
    /// Waits for the next connection.
    ///
    /// # Errors
    /// See [`SocketListener::poll_accept`].
    pub async fn accept(&mut self) -> io::Result<BoxStream> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }
}
