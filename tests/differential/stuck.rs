//! An address with a full backlog, so that connects hang as they do for an unreachable host.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};

/// The number of connects that fill a minimal backlog, plus one.
const FILLERS: usize = 3;

/// Keeps a backlog full until dropped.
pub(crate) struct Backlog {
    _sockets: Vec<OwnedFd>,
}

/// Listens at an address without accepting, and fills the backlog.
pub(crate) fn fill(at: SocketAddr) -> io::Result<Backlog> {
    let listener = tcp(SocketFlags::CLOEXEC)?;
    bind(&listener, &at)?;
    listen(&listener, 0)?;
    let mut sockets = vec![listener];
    for _ in 0..FILLERS {
        let filler = tcp(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        // The connect returns "in progress", and remains so while the socket is open.
        let _ = connect(&filler, &at);
        sockets.push(filler);
    }
    Ok(Backlog { _sockets: sockets })
}

fn tcp(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        flags,
        None,
    )?)
}
