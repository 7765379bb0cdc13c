//! TCP sockets of the system.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::{BoxListener, BoxStream, Listener, TokioStream};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Opens a connection, from `from` where given.
pub(super) async fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<BoxStream> {
    let socket = socket_for(to)?;
    if let Some(from) = from {
        // Without it `bind` reserves a port that no other connection of this host has, whatever its destination. Once
        // thousands are in TIME_WAIT, that search takes milliseconds of kernel time a connection, and may find none.
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        socket.bind(SocketAddr::new(from, 0))?;
    }
    stream(socket.connect(to).await?)
}

/// Checks that `addr` could be listened on, without listening: a process that is started meanwhile holds a copy of the socket for a
/// moment, and a copy that listens would keep the address from the listener that follows.
pub(super) fn check_listen(addr: SocketAddr, reuse_port: bool) -> io::Result<()> {
    bound(addr, reuse_port).map(drop)
}

fn bound(addr: SocketAddr, reuse_port: bool) -> io::Result<TcpSocket> {
    let socket = socket_for(addr)?;
    // A restarted server need not wait until the connections of its former life have timed out.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(reuse_port)?;
    socket.bind(addr)?;
    Ok(socket)
}

/// Listens on `addr`, alone or together with others.
pub(super) fn listen(addr: SocketAddr, reuse_port: bool) -> io::Result<BoxListener> {
    let socket = bound(addr, reuse_port)?;
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

/// A TCP connection as a stream.
fn stream(socket: TcpStream) -> io::Result<BoxStream> {
    // Requests are small, and wait for nobody.
    socket.set_nodelay(true)?;
    let (local, peer) = (socket.local_addr()?, socket.peer_addr()?);
    let stream = TokioStream::new(socket, local, peer, |socket: &mut TcpStream| {
        // It fails only on a socket that has failed already.
        let _ = socket.set_zero_linger();
    });
    Ok(Box::new(stream))
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
        let (socket, _peer) = std::task::ready!(self.listener.poll_accept(cx))?;
        Poll::Ready(stream(socket))
    }
}
