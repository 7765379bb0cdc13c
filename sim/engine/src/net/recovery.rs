//! Arrival, loss and retransmission of packets.

use std::io;
use std::time::Duration;

use super::endpoint::ConnectionPhase;
use super::limits::{RETRIES, SYN_RETRIES, SYNACK_RETRIES};
use super::packet::{DataSegment, Packet, PacketBody, SegmentPayload};
use crate::arena::ArenaKey;
use crate::kernel::{Kernel, TimedEvent};

impl Kernel {
    /// Processes the arrival of a packet at its destination.
    pub(crate) fn deliver(&mut self, packet: Packet) {
        let Packet {
            src,
            dst,
            sender,
            receiver,
            body,
        } = packet;
        if !self.host(dst).cell.is_up() {
            self.undelivered(Packet {
                src,
                dst,
                sender,
                receiver,
                body,
            });
            return;
        }
        match (body, sender, receiver) {
            (PacketBody::Syn { from, to }, Some(client), _) => {
                self.on_syn(src, dst, client, from, to)
            }
            (PacketBody::Reset, _, Some(key)) => self.on_reset(key),
            (body, Some(sender), Some(key)) if self.endpoints.contains(key) => match body {
                PacketBody::SynAck => self.on_syn_ack(key, sender),
                PacketBody::Established => self.on_established(key),
                PacketBody::Data(segment) => {
                    self.on_established(key);
                    self.on_segment(key, sender, segment);
                }
                PacketBody::Probe => {
                    self.on_established(key);
                    self.acknowledge(key);
                }
                PacketBody::Syn { .. } | PacketBody::Reset => {}
            },
            // Belongs to a connection that this host has closed, or that an earlier incarnation had.
            (_, Some(sender), _) => self.refuse(dst, src, sender),
            (_, None, _) => {}
        }
    }

    /// Handles a packet whose destination host is down. The sender is not notified and retransmits.
    fn undelivered(&mut self, packet: Packet) {
        match (packet.body, packet.sender, packet.receiver) {
            (PacketBody::Data(segment), Some(sender), _) => self.lost(sender, segment),
            (PacketBody::Syn { .. } | PacketBody::SynAck | PacketBody::Probe, Some(sender), _) => {
                self.retry_later(sender)
            }
            // The server retransmits, if it still exists.
            (PacketBody::Established, _, Some(server)) => self.retry_later(server),
            _ => {}
        }
    }

    /// Starts the retransmission timer, unless it is running.
    pub(super) fn retry_later(&mut self, key: ArenaKey) {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        if endpoint.retry.is_none() && !matches!(endpoint.phase, ConnectionPhase::Dead { .. }) {
            let at = endpoint.retry_at().max(self.now);
            endpoint.retry = Some(self.timers.insert(at, TimedEvent::Retry(key)));
        }
    }

    pub(super) fn stop_retry(&mut self, key: ArenaKey) {
        if let Some(timer) = self
            .endpoints
            .get_mut(key)
            .and_then(|endpoint| endpoint.retry.take())
        {
            self.timers.cancel(timer);
        }
    }

    /// Removes a closed endpoint after `span`, if its peer's FIN has not arrived by then.
    pub(super) fn linger(&mut self, key: ArenaKey, span: Duration) {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        if !endpoint.lingering {
            endpoint.lingering = true;
            let timer = self.timers.insert(self.now + span, TimedEvent::Retry(key));
            if let Some(old) = endpoint.retry.replace(timer) {
                self.timers.cancel(old);
            }
        }
    }

    /// Processes the expiry of the retransmission timer.
    pub(crate) fn retry(&mut self, key: ArenaKey) {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        endpoint.retry = None;
        if endpoint.lingering {
            self.remove(key);
            return;
        }
        match endpoint.phase {
            ConnectionPhase::Connecting if endpoint.retries < SYN_RETRIES => {
                endpoint.retries += 1;
                self.send_syn(key);
            }
            ConnectionPhase::Connecting => self.fail(key, io::ErrorKind::TimedOut),
            ConnectionPhase::Answering if endpoint.retries < SYNACK_RETRIES => {
                endpoint.retries += 1;
                self.send_syn_ack(key);
            }
            ConnectionPhase::Answering => self.remove(key),
            ConnectionPhase::Open => self.retransmit(key),
            ConnectionPhase::Dead { .. } => {}
        }
    }

    fn retransmit(&mut self, key: ArenaKey) {
        // Acknowledgements that have arrived may complete the data, or remove the endpoint.
        self.read_acks(key);
        let now = self.now;
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        let window_closed = endpoint.send.in_flight.is_empty();
        if endpoint.lingering || (window_closed && endpoint.send.queued.is_empty()) {
            return;
        }
        if endpoint.retry_at() > now {
            // The lost data has been acknowledged, and the data in flight was sent later.
            self.retry_later(key);
            return;
        }
        if endpoint.retries >= RETRIES {
            self.fail(key, io::ErrorKind::TimedOut);
            return;
        }
        endpoint.retries += 1;
        if window_closed {
            endpoint.control_sent_at = now;
            if self.send(key, PacketBody::Probe).is_err() {
                self.retry_later(key);
            }
            return;
        }
        let again: Vec<DataSegment> = endpoint
            .send
            .in_flight
            .iter_mut()
            .map(|sent| {
                sent.sent_at = now;
                sent.again = true;
                let payload = sent
                    .lost
                    .take()
                    .map_or(SegmentPayload::Known(sent.len), SegmentPayload::Bytes);
                DataSegment {
                    sequence: sent.sequence,
                    payload,
                    fin: sent.fin,
                }
            })
            .collect();
        for segment in again {
            self.send_segment(key, segment);
        }
    }
}
