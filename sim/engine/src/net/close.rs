//! Closing a connection: gracefully, by reset, by the peer, or by timeout.

use std::io;

use super::endpoint::{ConnectionEnd, ConnectionPhase, Owner};
use super::limits::FIN_TIMEOUT;
use super::packet::{Packet, PacketBody};
use crate::HostId;
use crate::arena::ArenaKey;
use crate::kernel::{Kernel, TimedEvent};

impl Kernel {
    /// Closes a connection for the application: with a FIN after all written data, or with a RST if `abrupt`
    /// or if received data is unread (RFC 2525, 2.17).
    pub(crate) fn close(&mut self, key: ArenaKey, abrupt: bool) {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        self.discards.extend(endpoint.send.writer.take());
        self.discards.extend(endpoint.receive.reader.take());
        let abrupt = abrupt || endpoint.receive.unread > 0;
        match endpoint.phase {
            ConnectionPhase::Open if abrupt => self.reset_and_remove(key),
            ConnectionPhase::Open => {
                endpoint.owner = Owner::Kernel;
                // Cannot fail for an open connection.
                let _ = self.finish(key);
                self.read_acks(key);
                self.settle(key);
                self.schedule_acks(key);
            }
            ConnectionPhase::Connecting
            | ConnectionPhase::Answering
            | ConnectionPhase::Dead { .. } => self.remove(key),
        }
    }

    /// Removes an endpoint without an owner when both directions are closed.
    pub(super) fn settle(&mut self, key: ArenaKey) {
        let Some(endpoint) = self.endpoints.get(key) else {
            return;
        };
        if endpoint.owner != Owner::Kernel || !endpoint.all_acknowledged() {
            return;
        }
        if endpoint.receive.ended {
            self.remove(key);
        } else {
            self.linger(key, FIN_TIMEOUT);
        }
    }

    /// Processes a RST.
    pub(super) fn on_reset(&mut self, key: ArenaKey) {
        let Some(endpoint) = self.endpoints.get(key) else {
            return;
        };
        match endpoint.phase {
            ConnectionPhase::Connecting => self.fail(key, io::ErrorKind::ConnectionRefused),
            _ => self.fail(key, io::ErrorKind::ConnectionReset),
        }
    }

    /// Fails a connection on this side. Data already received in order stays readable for the application.
    pub(super) fn fail(&mut self, key: ArenaKey, error: io::ErrorKind) {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        if endpoint.owner == Owner::Kernel || endpoint.phase == ConnectionPhase::Answering {
            self.remove(key);
            return;
        }
        if !matches!(endpoint.phase, ConnectionPhase::Dead { .. }) {
            endpoint.phase = ConnectionPhase::Dead {
                error,
                reported: false,
            };
        }
        endpoint.send.queued.clear();
        endpoint.send.queued_bytes = 0;
        endpoint.send.in_flight.clear();
        endpoint.send.acks.clear();
        endpoint.receive.early.clear();
        Kernel::wake(&mut self.wakes, &mut endpoint.send.writer);
        Kernel::wake(&mut self.wakes, &mut endpoint.receive.reader);
        if let Some(event) = endpoint.ack_event.take() {
            self.timers.cancel(event);
        }
        self.stop_retry(key);
    }

    /// Sends a RST after the packets in flight, and removes the endpoint with all unsent data. A lost RST is
    /// not retransmitted: the peer gets one when it retransmits unacknowledged data.
    pub(super) fn reset_and_remove(&mut self, key: ArenaKey) {
        let open = self
            .endpoints
            .get(key)
            .filter(|endpoint| endpoint.phase == ConnectionPhase::Open);
        if let Some(peer) = open.and_then(|endpoint| endpoint.peer)
            && self.send(key, PacketBody::Reset).is_err()
        {
            self.retry_later(peer);
        }
        self.remove(key);
    }

    /// Answers a packet without a connection with a RST.
    pub(super) fn refuse(&mut self, from: HostId, to: HostId, receiver: ArenaKey) {
        let link = self
            .links
            .between(&self.hosts[from.index()], &self.hosts[to.index()]);
        if let Some(at) = self.links.carry(self.now, link, 0) {
            let reset = Packet {
                src: from,
                dst: to,
                sender: None,
                receiver: Some(receiver),
                body: PacketBody::Reset,
            };
            self.timers.insert(at, TimedEvent::Packet(reset));
        } else {
            // The refused packet counts as unacknowledged and is retransmitted.
            self.retry_later(receiver);
        }
    }

    /// Removes an endpoint without sending anything.
    pub(crate) fn remove(&mut self, key: ArenaKey) {
        let Some(endpoint) = self.endpoints.remove(key) else {
            return;
        };
        let ConnectionEnd {
            host,
            local,
            remote,
            client,
            owner,
            send,
            receive,
            retry,
            ack_event,
            ..
        } = endpoint;
        for timer in [retry, ack_event].into_iter().flatten() {
            self.timers.cancel(timer);
        }
        self.discards.extend(send.writer);
        self.discards.extend(receive.reader);
        let host = self.host_mut(host);
        if client {
            host.leaving.remove(&local.port());
        } else if host.accepted.get(&(local.port(), remote)) == Some(&key) {
            host.accepted.remove(&(local.port(), remote));
        }
        if let Owner::Listener(socket) = owner
            && let Some(listener) = self.listeners.get_mut(socket)
        {
            listener.half_open.remove(&key);
            listener.queue.retain(|waiting| *waiting != key);
        }
    }
}
