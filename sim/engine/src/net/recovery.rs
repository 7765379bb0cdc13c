//! Arrival, loss and retransmission of packets.

use std::io;
use std::time::Duration;

use super::endpoint::Phase;
use super::limits::{RETRIES, SYN_RETRIES, SYNACK_RETRIES};
use super::packet::{Body, Packet, Payload, Segment};
use crate::arena::Key;
use crate::kernel::{Due, Kernel};

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
            (Body::Syn { from, to }, Some(client), _) => self.on_syn(src, dst, client, from, to),
            (Body::Reset, _, Some(key)) => self.on_reset(key),
            (body, Some(sender), Some(key)) if self.endpoints.contains(key) => match body {
                Body::SynAck => self.on_syn_ack(key, sender),
                Body::Established => self.on_established(key),
                Body::Data(segment) => {
                    self.on_established(key);
                    self.on_segment(key, sender, segment);
                }
                Body::Probe => {
                    self.on_established(key);
                    self.acknowledge(key);
                }
                Body::Syn { .. } | Body::Reset => {}
            },
            // Belongs to a connection that this host has closed, or that an earlier incarnation had.
            (_, Some(sender), _) => self.refuse(dst, src, sender),
            (_, None, _) => {}
        }
    }

    /// Handles a packet whose destination host is down. The sender is not notified and retransmits.
    fn undelivered(&mut self, packet: Packet) {
        match (packet.body, packet.sender, packet.receiver) {
            (Body::Data(segment), Some(sender), _) => self.lost(sender, segment),
            (Body::Syn { .. } | Body::SynAck | Body::Probe, Some(sender), _) => {
                self.retry_later(sender)
            }
            // The server retransmits, if it still exists.
            (Body::Established, _, Some(server)) => self.retry_later(server),
            _ => {}
        }
    }

    /// Starts the retransmission timer, unless it is running.
    pub(super) fn retry_later(&mut self, key: Key) {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        if endpoint.retry.is_none() && !matches!(endpoint.phase, Phase::Dead { .. }) {
            let at = endpoint.retry_at().max(self.now);
            endpoint.retry = Some(self.timers.insert(at, Due::Retry(key)));
        }
    }

    pub(super) fn stop_retry(&mut self, key: Key) {
        if let Some(timer) = self
            .endpoints
            .get_mut(key)
            .and_then(|endpoint| endpoint.retry.take())
        {
            self.timers.cancel(timer);
        }
    }

    /// Removes a closed endpoint after `span`, if its peer's FIN has not arrived by then.
    pub(super) fn linger(&mut self, key: Key, span: Duration) {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        if !endpoint.lingering {
            endpoint.lingering = true;
            let timer = self.timers.insert(self.now + span, Due::Retry(key));
            if let Some(old) = endpoint.retry.replace(timer) {
                self.timers.cancel(old);
            }
        }
    }

    /// Processes the expiry of the retransmission timer.
    pub(crate) fn retry(&mut self, key: Key) {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        endpoint.retry = None;
        if endpoint.lingering {
            self.remove(key);
            return;
        }
        match endpoint.phase {
            Phase::Connecting if endpoint.retries < SYN_RETRIES => {
                endpoint.retries += 1;
                self.send_syn(key);
            }
            Phase::Connecting => self.fail(key, io::ErrorKind::TimedOut),
            Phase::Answering if endpoint.retries < SYNACK_RETRIES => {
                endpoint.retries += 1;
                self.send_syn_ack(key);
            }
            Phase::Answering => self.remove(key),
            Phase::Open => self.retransmit(key),
            Phase::Dead { .. } => {}
        }
    }

    fn retransmit(&mut self, key: Key) {
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
            endpoint.asked_at = now;
            if self.send(key, Body::Probe).is_err() {
                self.retry_later(key);
            }
            return;
        }
        let again: Vec<Segment> = endpoint
            .send
            .in_flight
            .iter_mut()
            .map(|sent| {
                sent.sent_at = now;
                sent.again = true;
                let payload = sent
                    .lost
                    .take()
                    .map_or(Payload::Known(sent.len), Payload::Bytes);
                Segment {
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
