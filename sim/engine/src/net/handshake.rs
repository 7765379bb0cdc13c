//! Opening a connection: SYN, SYN/ACK, established, and the possible failures.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Poll, Waker};

use super::endpoint::{ConnectionEnd, ConnectionPhase, Owner};
use super::packet::PacketBody;
use crate::HostId;
use crate::arena::ArenaKey;
use crate::kernel::Kernel;

impl Kernel {
    /// Sends the first SYN of a new connection.
    pub(crate) fn connect(
        &mut self,
        id: HostId,
        to: SocketAddr,
        from: Option<IpAddr>,
    ) -> io::Result<ArenaKey> {
        let host = self.host_mut(id);
        let own = host.cell.address;
        if let Some(from) = from.filter(|from| *from != own && !from.is_unspecified()) {
            let message = format!("{from} is not an address of host {}", host.cell.name);
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, message));
        }
        let port = host.free_port().ok_or(io::ErrorKind::AddrNotAvailable)?;
        host.leaving.insert(port);
        let local = SocketAddr::new(own, port);
        let key = self.endpoints.insert(ConnectionEnd::new(
            id,
            local,
            to,
            ConnectionPhase::Connecting,
            Owner::App,
        ));
        self.send_syn(key);
        Ok(key)
    }

    /// Ready when a connection is open or has failed. A failed one is removed.
    pub(crate) fn connected(
        &mut self,
        key: ArenaKey,
        waker: &Waker,
    ) -> Poll<io::Result<(SocketAddr, SocketAddr)>> {
        // The host has crashed, so the connection never opens.
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return Poll::Pending;
        };
        match endpoint.phase {
            ConnectionPhase::Connecting | ConnectionPhase::Answering => {
                Kernel::wait(&mut self.discards, &mut endpoint.send.writer, waker);
                Poll::Pending
            }
            ConnectionPhase::Open => Poll::Ready(Ok((endpoint.local, endpoint.remote))),
            // A reset between the end of the handshake and this poll is reported by the stream.
            ConnectionPhase::Dead {
                error: io::ErrorKind::ConnectionReset,
                ..
            } => Poll::Ready(Ok((endpoint.local, endpoint.remote))),
            ConnectionPhase::Dead { error, .. } => {
                self.remove(key);
                Poll::Ready(Err(error.into()))
            }
        }
    }

    pub(super) fn send_syn(&mut self, key: ArenaKey) {
        let now = self.now;
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        endpoint.control_sent_at = now;
        let (src, from, to) = (endpoint.host, endpoint.local, endpoint.remote);
        // Looked up for each SYN, because a host with that address may have been added.
        endpoint.path = self.by_address.get(&to.ip()).map(|dst| {
            let link = self
                .links
                .between(&self.hosts[src.index()], &self.hosts[dst.index()]);
            (*dst, link)
        });
        if self.send(key, PacketBody::Syn { from, to }).is_err() {
            self.retry_later(key);
        }
    }

    pub(super) fn send_syn_ack(&mut self, key: ArenaKey) {
        let now = self.now;
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        endpoint.control_sent_at = now;
        let client = endpoint.peer;
        if self.send(key, PacketBody::SynAck).is_err() {
            self.retry_later(key);
            // The client got no answer and also retransmits. This host may be down by then.
            if let Some(client) = client {
                self.retry_later(client);
            }
        }
    }

    /// Processes a SYN on a host that is up.
    pub(super) fn on_syn(
        &mut self,
        src: HostId,
        dst: HostId,
        client: ArenaKey,
        from: SocketAddr,
        to: SocketAddr,
    ) {
        let host = &self.hosts[dst.index()];
        if let Some(known) = host.accepted.get(&(to.port(), from)).copied() {
            let endpoint = self
                .endpoints
                .get(known)
                .expect("removed endpoints are not in this table");
            if endpoint.peer == Some(client) {
                // The SYN/ACK was lost, and its timer has not expired yet.
                if endpoint.phase == ConnectionPhase::Answering {
                    self.send_syn_ack(known);
                }
                return;
            }
            // A half-open connection whose client has crashed and now reuses the port.
            self.host_mut(dst).accepted.remove(&(to.port(), from));
            self.fail(known, io::ErrorKind::ConnectionReset);
        }
        let host = &self.hosts[dst.index()];
        let Some(socket) = host.listeners.get(&to.port()).copied() else {
            self.refuse(dst, src, client);
            return;
        };
        let listener = self
            .listeners
            .get_mut(socket)
            .expect("removed sockets are not in the table of ports");
        if listener.half_open.len() + listener.queue.len() >= host.backlog {
            // Dropped silently, so that the client retransmits.
            self.retry_later(client);
            return;
        }
        let local = SocketAddr::new(host.cell.address, to.port());
        let link = self.links.between(host, &self.hosts[src.index()]);
        let mut endpoint = ConnectionEnd::new(
            dst,
            local,
            from,
            ConnectionPhase::Answering,
            Owner::Listener(socket),
        );
        endpoint.path = Some((src, link));
        endpoint.peer = Some(client);
        let key = self.endpoints.insert(endpoint);
        listener.half_open.insert(key);
        self.host_mut(dst).accepted.insert((to.port(), from), key);
        self.send_syn_ack(key);
    }

    /// Processes a SYN/ACK at the client.
    pub(super) fn on_syn_ack(&mut self, key: ArenaKey, server: ArenaKey) {
        let now = self.now;
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        if endpoint.phase == ConnectionPhase::Connecting {
            endpoint.phase = ConnectionPhase::Open;
            endpoint.peer = Some(server);
            if endpoint.retries == 0 {
                endpoint
                    .timing
                    .measured(now.since(endpoint.control_sent_at));
            }
            endpoint.retries = 0;
            Kernel::wake(&mut self.wakes, &mut endpoint.send.writer);
            self.stop_retry(key);
        }
        if self.send(key, PacketBody::Established).is_err() {
            // The server retransmits in this case.
            self.retry_later(server);
        }
    }

    /// Completes the handshake at the server, after its last packet or the first data.
    pub(super) fn on_established(&mut self, key: ArenaKey) {
        let now = self.now;
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        let (ConnectionPhase::Answering, Owner::Listener(socket)) =
            (endpoint.phase, endpoint.owner)
        else {
            return;
        };
        endpoint.phase = ConnectionPhase::Open;
        if endpoint.retries == 0 {
            endpoint
                .timing
                .measured(now.since(endpoint.control_sent_at));
        }
        endpoint.retries = 0;
        let listener = self
            .listeners
            .get_mut(socket)
            .expect("handshakes are removed with their socket");
        listener.half_open.remove(&key);
        listener.queue.push_back(key);
        Kernel::wake(&mut self.wakes, &mut listener.acceptor);
        self.stop_retry(key);
    }
}
