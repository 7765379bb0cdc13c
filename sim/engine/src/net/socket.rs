//! Listening sockets of the simulated kernel: bound to a port of a host, with a bounded backlog.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::task::{Poll, Waker};

use super::endpoint::Owner;
use crate::HostId;
use crate::arena::ArenaKey;
use crate::kernel::Kernel;

pub(crate) struct ListenSocket {
    pub(crate) host: HostId,
    pub(crate) port: u16,
    /// Connections in their handshake.
    pub(crate) half_open: BTreeSet<ArenaKey>,
    /// Established connections that wait to be accepted.
    pub(crate) queue: VecDeque<ArenaKey>,
    pub(crate) acceptor: Option<Waker>,
}

impl Kernel {
    /// Binds a socket to the host's address or the unspecified one. Port 0 selects a free port.
    pub(crate) fn listen(
        &mut self,
        id: HostId,
        addr: SocketAddr,
    ) -> io::Result<(ArenaKey, SocketAddr)> {
        let host = &mut self.hosts[id.index()];
        let own = host.cell.address;
        if addr.ip() != own && !addr.ip().is_unspecified() {
            let message = format!("{} is not an address of host {}", addr.ip(), host.cell.name);
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, message));
        }
        let port = match addr.port() {
            0 => host.free_port().ok_or(io::ErrorKind::AddrNotAvailable)?,
            port => port,
        };
        if host.listeners.contains_key(&port) || host.leaving.contains(&port) {
            let message = format!("{own}:{port} of host {} is in use", host.cell.name);
            return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
        }
        let socket = self.listeners.insert(ListenSocket {
            host: id,
            port,
            half_open: BTreeSet::new(),
            queue: VecDeque::new(),
            acceptor: None,
        });
        host.listeners.insert(port, socket);
        Ok((socket, SocketAddr::new(own, port)))
    }

    /// Takes the next connection from the backlog. Returns its endpoint, which the application then owns, and the
    /// peer's address.
    pub(crate) fn accept(
        &mut self,
        socket: ArenaKey,
        waker: &Waker,
    ) -> Poll<(ArenaKey, SocketAddr)> {
        // If the socket is missing, the host has crashed, and the accept never completes.
        let Some(listener) = self.listeners.get_mut(socket) else {
            return Poll::Pending;
        };
        let Some(key) = listener.queue.pop_front() else {
            Kernel::wait(&mut self.discards, &mut listener.acceptor, waker);
            return Poll::Pending;
        };
        let endpoint = self
            .endpoints
            .get_mut(key)
            .expect("removed endpoints are not in the queue of a listener");
        endpoint.owner = Owner::App;
        Poll::Ready((key, endpoint.remote))
    }

    /// Closes a socket. Connections not accepted yet are reset, and those in their handshake are dropped silently.
    pub(crate) fn close_listener(&mut self, socket: ArenaKey) {
        let Some(listener) = self.forget_listener(socket) else {
            return;
        };
        for key in listener.half_open {
            self.remove(key);
        }
        for key in listener.queue {
            self.reset_and_remove(key);
        }
    }

    /// Removes a socket from its host without notifying any peer.
    pub(crate) fn forget_listener(&mut self, socket: ArenaKey) -> Option<ListenSocket> {
        let mut listener = self.listeners.remove(socket)?;
        self.discards.extend(listener.acceptor.take());
        self.host_mut(listener.host)
            .listeners
            .remove(&listener.port);
        Some(listener)
    }
}
