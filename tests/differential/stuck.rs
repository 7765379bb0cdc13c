//! An address whose backlog is full: connects to it hang, as those to a host that is down do.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};

/// How many connects it takes to fill a backlog of one, and one more.
const FILLERS: usize = 3;

/// What keeps a backlog full.
pub(crate) struct Backlog {
    _sockets: Vec<OwnedFd>,
}

/// Listens at an address, accepts nothing, and fills the queue.
pub(crate) fn fill(at: SocketAddr) -> io::Result<Backlog> {
    let listener = tcp(SocketFlags::CLOEXEC)?;
    bind(&listener, &at)?;
    listen(&listener, 0)?;
    let mut sockets = vec![listener];
    for _ in 0..FILLERS {
        let filler = tcp(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        // It says that it is in progress: it will be so for as long as this lives.
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
