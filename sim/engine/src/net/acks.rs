//! Acknowledgements, and the windows that they announce.
//!
//! An acknowledgement without a waiter costs no event: it is stored at its receiver with its time of arrival,
//! and read at the receiver's next operation. A writer without room, data without window and a closed end do
//! wait for one.

use super::endpoint::Ack;
use super::limits::{RECEIVE_BUFFER, SEND_BUFFER};
use crate::arena::ArenaKey;
use crate::kernel::{Kernel, TimedEvent};

impl Kernel {
    /// Acknowledges received data to the peer, and announces the window.
    pub(super) fn acknowledge(&mut self, key: ArenaKey) {
        let now = self.now;
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        let (Some((_, link)), Some(peer)) = (endpoint.path, endpoint.peer) else {
            return;
        };
        let receive = &mut endpoint.receive;
        // A window never shrinks.
        receive.announced_window_end = receive
            .announced_window_end
            .max(receive.next + RECEIVE_BUFFER - receive.unread);
        let (upto, window_end) = (receive.next, receive.announced_window_end);
        let Some(at) = self.links.carry(now, link, 0) else {
            if let Some(sender) = self.endpoints.get_mut(peer) {
                sender.send.missed_ack = true;
                // The peer retransmits unacknowledged data, or probes for the window when it needs a larger
                // one.
                if sender.send.in_flight.is_empty() {
                    self.probe_window(peer);
                } else {
                    self.retry_later(peer);
                }
            }
            return;
        };
        let at = at.max(endpoint.acks_travel_until);
        endpoint.acks_travel_until = at;
        // The peer's host has crashed, and nothing answers an acknowledgement.
        let Some(sender) = self.endpoints.get_mut(peer) else {
            return;
        };
        sender.send.missed_ack = false;
        match sender.send.acks.back_mut() {
            Some(last) if last.at == at => {
                last.upto = upto;
                last.window_end = window_end;
            }
            _ => sender.send.acks.push_back(Ack {
                at,
                upto,
                window_end,
            }),
        }
        self.schedule_acks(peer);
    }

    /// Processes the arrival of acknowledgements at an endpoint that waits for them.
    pub(crate) fn acks_arrive(&mut self, key: ArenaKey) {
        if let Some(endpoint) = self.endpoints.get_mut(key) {
            endpoint.ack_event = None;
            self.read_acks(key);
            self.schedule_acks(key);
        }
    }

    /// Reads the acknowledgements that have arrived, and continues the operations that they allow.
    pub(super) fn read_acks(&mut self, key: ArenaKey) {
        let now = self.now;
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        if !endpoint.send.read_acks(now, &mut endpoint.timing) {
            return;
        }
        endpoint.retries = 0;
        if endpoint.send.in_flight.is_empty()
            && endpoint.send.queued.is_empty()
            && !endpoint.lingering
        {
            self.stop_retry(key);
        }
        self.pump(key);
        if let Some(endpoint) = self.endpoints.get_mut(key)
            && endpoint.send.room() >= SEND_BUFFER / 2
        {
            Kernel::wake(&mut self.wakes, &mut endpoint.send.writer);
        }
        self.settle(key);
    }

    /// Schedules the reading of the next acknowledgement at its arrival, if the endpoint waits for it.
    pub(super) fn schedule_acks(&mut self, key: ArenaKey) {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        if endpoint.ack_event.is_some() || !endpoint.awaits_acks() {
            return;
        }
        if let Some(ack) = endpoint.send.acks.front() {
            endpoint.ack_event = Some(
                self.timers
                    .insert(ack.at.max(self.now), TimedEvent::Acks(key)),
            );
        }
    }

    /// Starts the probe timer if data waits for a window whose opening may have been lost.
    pub(super) fn probe_window(&mut self, key: ArenaKey) {
        let now = self.now;
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        let send = &endpoint.send;
        if send.missed_ack
            && send.in_flight.is_empty()
            && !send.queued.is_empty()
            && endpoint.retry.is_none()
        {
            endpoint.control_sent_at = now;
            self.retry_later(key);
        }
    }
}
