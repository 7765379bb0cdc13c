//! TCP sockets of the operating system.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::{BoxListener, BoxStream, SocketListener, TokioStream};

/// The maximum number of connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Opens a connection, from the source address `from` if there is one.
pub(super) async fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<BoxStream> {
    let socket = socket_for(to)?;
    if let Some(from) = from {
        // Without this option `bind` reserves a port exclusively on this host, for any destination. Once thousands of
        // ports are in TIME_WAIT, the search takes milliseconds of kernel time per connection and may find none.
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        socket.bind(SocketAddr::new(from, 0))?;
    }
    stream(socket.connect(to).await?)
}

/// Checks that `addr` could be listened on, without listening. A process that is started meanwhile inherits a copy of
/// the socket for a moment, and a copy that listens would keep the address from the next listener.
pub(super) fn check_listen(addr: SocketAddr, reuse_port: bool) -> io::Result<()> {
    bound(addr, reuse_port).map(drop)
}

fn bound(addr: SocketAddr, reuse_port: bool) -> io::Result<TcpSocket> {
    let socket = socket_for(addr)?;
    // A restarted server must not wait until the connections of its previous process have timed out.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(reuse_port)?;
    socket.bind(addr)?;
    Ok(socket)
}

/// Listens on `addr`, exclusively unless `reuse_port` is set.
pub(super) fn listen(addr: SocketAddr, reuse_port: bool) -> io::Result<BoxListener> {
    let socket = bound(addr, reuse_port)?;
    let listener = socket.listen(BACKLOG)?;
    let local = listener.local_addr()?;
    Ok(Box::new(RealListener { listener, local }))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the implementation of the environment by the operating system"
)]
fn socket_for(addr: SocketAddr) -> io::Result<TcpSocket> {
    if addr.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }
}

fn stream(socket: TcpStream) -> io::Result<BoxStream> {
    // Requests are small and must not be delayed by Nagle's algorithm.
    socket.set_nodelay(true)?;
    let (local, peer) = (socket.local_addr()?, socket.peer_addr()?);
    let stream = TokioStream::new(socket, local, peer, |socket: &mut TcpStream| {
        // This fails only on a socket that has already failed.
        let _ = socket.set_zero_linger();
    });
    Ok(Box::new(stream))
}

struct RealListener {
    listener: TcpListener,
    local: SocketAddr,
}

impl SocketListener for RealListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<BoxStream>> {
        let (socket, _peer) = std::task::ready!(self.listener.poll_accept(cx))?;
        Poll::Ready(stream(socket))
    }
}
