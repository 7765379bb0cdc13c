//! Acknowledgements, and the windows that they tell of.
//!
//! One that nobody waits for costs no event: it is laid at its receiver with the time of its arrival, and read when that
//! end does something next. A writer without room, bytes without window and a closed end do wait.

use super::endpoint::Ack;
use super::{RECEIVE_BUFFER, SEND_BUFFER};
use crate::arena::Key;
use crate::kernel::{Due, Kernel};

impl Kernel {
    /// Tells the peer what has come and how much more may.
    pub(super) fn acknowledge(&mut self, key: Key) {
        let now = self.now;
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        let (Some((_, link)), Some(peer)) = (endpoint.way, endpoint.peer) else {
            return;
        };
        let receive = &mut endpoint.receive;
        // A window never shrinks.
        receive.told_window_end = receive
            .told_window_end
            .max(receive.next + RECEIVE_BUFFER - receive.unread);
        let (upto, window_end) = (receive.next, receive.told_window_end);
        let Some(at) = self.links.carry(now, link, 0) else {
            if let Some(sender) = self.endpoints.get_mut(peer) {
                sender.send.missed_ack = true;
                // It sends again what seems unheard, or asks for the window when it needs more of it.
                if sender.send.in_flight.is_empty() {
                    self.ask_for_window(peer);
                } else {
                    self.retry_later(peer);
                }
            }
            return;
        };
        let at = at.max(endpoint.acks_travel_until);
        endpoint.acks_travel_until = at;
        // Without a peer its host has crashed: an acknowledgement is not answered.
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

    /// Acknowledgements arrive at an endpoint that waits for them.
    pub(crate) fn acks_arrive(&mut self, key: Key) {
        if let Some(endpoint) = self.endpoints.get_mut(key) {
            endpoint.ack_event = None;
            self.read_acks(key);
            self.schedule_acks(key);
        }
    }

    /// Reads the acknowledgements that have arrived, and does what they allow.
    pub(super) fn read_acks(&mut self, key: Key) {
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

    /// Has the next acknowledgement read when it arrives, if somebody waits for it.
    pub(super) fn schedule_acks(&mut self, key: Key) {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        if endpoint.ack_event.is_some() || !endpoint.awaits_acks() {
            return;
        }
        if let Some(ack) = endpoint.send.acks.front() {
            endpoint.ack_event = Some(self.timers.insert(ack.at.max(self.now), Due::Acks(key)));
        }
    }

    /// Starts the timer of a probe, when bytes wait for a window that may have opened unheard.
    pub(super) fn ask_for_window(&mut self, key: Key) {
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
            endpoint.asked_at = now;
            self.retry_later(key);
        }
    }
}
