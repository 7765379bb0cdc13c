//! Byte streams and listeners, boxed at the seam between the mesh and its world.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// A connected byte stream that hyper can drive. Dropping it closes it: with a FIN, or with a RST when bytes that
/// arrived were never read.
pub trait Stream: hyper::rt::Read + hyper::rt::Write + Send + Unpin {
    /// The address of this end.
    fn local_addr(&self) -> SocketAddr;
    /// The address of the other end.
    fn peer_addr(&self) -> SocketAddr;
    /// Makes the coming drop an abrupt one: the peer sees a RST, not a FIN.
    fn reset_on_drop(&mut self);
}

/// A stream of some world.
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

/// A listening socket. Dropping it refuses what comes after.
pub trait Listener: Send + Unpin {
    /// The address it listens on.
    fn local_addr(&self) -> SocketAddr;
    /// The next connection from the backlog.
    ///
    /// # Errors
    /// What the world says of the accept; the listener stays usable.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<BoxStream>>;
}

/// A listener of some world.
pub type BoxListener = Box<dyn Listener>;

impl dyn Listener {
    /// Waits for the next connection.
    ///
    /// # Errors
    /// See [`Listener::poll_accept`].
    pub async fn accept(&mut self) -> io::Result<BoxStream> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }
}
