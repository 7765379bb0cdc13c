//! TCP sockets of the system.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::{BoxListener, BoxStream, Listener, Stream};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A TCP connection.
struct TcpConnection {
    io: TokioIo<TcpStream>,
    local: SocketAddr,
    peer: SocketAddr,
}

impl TcpConnection {
    fn new(stream: TcpStream) -> io::Result<TcpConnection> {
        // Requests are small, and wait for nobody.
        stream.set_nodelay(true)?;
        let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
        Ok(TcpConnection {
            io: TokioIo::new(stream),
            local,
            peer,
        })
    }
}

/// Opens a connection, from `from` where given.
pub(super) async fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<BoxStream> {
    let socket = socket_for(to)?;
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    Ok(Box::new(TcpConnection::new(socket.connect(to).await?)?))
}

/// Listens on `addr`, alone or together with others.
pub(super) fn listen(addr: SocketAddr, reuse_port: bool) -> io::Result<BoxListener> {
    let socket = socket_for(addr)?;
    // A restarted server need not wait until the connections of its former life have timed out.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(reuse_port)?;
    socket.bind(addr)?;
    let listener = socket.listen(BACKLOG)?;
    let local = listener.local_addr()?;
    Ok(Box::new(RealListener { listener, local }))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the real world: this is the door"
)]
fn socket_for(addr: SocketAddr) -> io::Result<TcpSocket> {
    if addr.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }
}

impl Stream for TcpConnection {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn reset_on_drop(&mut self) {
        // It fails only on a socket that has failed already.
        let _ = self.io.inner().set_zero_linger();
    }
}

impl Read for TcpConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for TcpConnection {
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

struct RealListener {
    listener: TcpListener,
    local: SocketAddr,
}

impl Listener for RealListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<BoxStream>> {
        let (stream, _peer) = std::task::ready!(self.listener.poll_accept(cx))?;
        Poll::Ready(TcpConnection::new(stream).map(|stream| Box::new(stream) as BoxStream))
    }
}
