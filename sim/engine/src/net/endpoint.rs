//! One end of a connection, as its host's kernel keeps it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use shakedown_env::Time;

use super::limits::{RECEIVE_BUFFER, RTO_INITIAL, RTO_MAX, RTO_MIN, SEND_BUFFER};
use super::link::LinkIndex;
use super::packet::Segment;
use crate::HostId;
use crate::arena::Key;

pub(crate) struct Endpoint {
    pub(crate) host: HostId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// This end has connected; the other has listened.
    pub(crate) client: bool,
    pub(crate) phase: Phase,
    pub(crate) owner: Owner,
    /// The host at the remote address and the way to it; none while nobody has that address.
    pub(crate) way: Option<(HostId, LinkIndex)>,
    pub(crate) peer: Option<Key>,
    pub(crate) send: SendHalf,
    pub(crate) receive: ReceiveHalf,
    /// When the last packet to the peer arrives: later ones do not overtake it.
    pub(crate) travels_until: Time,
    /// The same for acknowledgements.
    pub(crate) acks_travel_until: Time,
    /// When the last packet went that only a timeout sends again: SYN, SYN/ACK, probe.
    pub(crate) asked_at: Time,
    /// The retransmission timer. It runs only when something is known to be lost, or when a closed end lingers.
    pub(crate) retry: Option<Key>,
    /// Retransmissions in vain since the peer was last heard.
    pub(crate) retries: u32,
    /// Closed and acknowledged; only the peer's FIN is missing.
    pub(crate) lingering: bool,
    /// The event that reads the next acknowledgement at its arrival, while somebody waits for one.
    pub(crate) ack_event: Option<Key>,
    pub(crate) timing: Timing,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// SYN sent.
    Connecting,
    /// SYN/ACK sent.
    Answering,
    Open,
    /// Broken; `told` when the application has had the error from a write.
    Dead {
        error: io::ErrorKind,
        told: bool,
    },
}

/// Who holds an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    App,
    /// Nobody yet: it belongs to a listening socket.
    Listener(Key),
    /// Nobody any more: the kernel sends what is left.
    Kernel,
}

/// The bytes that leave.
pub(crate) struct SendHalf {
    /// Written, and not sent for want of window.
    pub(crate) queued: VecDeque<Bytes>,
    pub(crate) queued_bytes: u64,
    /// Sent, and not acknowledged.
    pub(crate) in_flight: VecDeque<InFlight>,
    /// The first byte that is not acknowledged.
    pub(crate) acknowledged: u64,
    /// The next byte to send.
    pub(crate) next: u64,
    /// The first byte that the peer's window does not admit.
    pub(crate) window_end: u64,
    pub(crate) fin: Fin,
    /// Acknowledgements on their way here, by arrival. They are read when this end does something, so that one which
    /// nobody waits for costs no event.
    pub(crate) acks: VecDeque<Ack>,
    /// The last acknowledgement for here got lost, so the peer's window may be wider than is known.
    pub(crate) missed_ack: bool,
    /// Waits for room, or for the connection to open.
    pub(crate) writer: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fin {
    No,
    /// To be sent after what is queued.
    Queued,
    Sent,
}

pub(crate) struct InFlight {
    pub(crate) sequence: u64,
    pub(crate) len: u32,
    pub(crate) fin: bool,
    pub(crate) sent_at: Time,
    /// Sent more than once: says nothing about the round trip (Karn).
    pub(crate) again: bool,
    /// The bytes, when the network has lost them: only then do they have to be sent again.
    pub(crate) lost: Option<Bytes>,
}

impl InFlight {
    fn end(&self) -> u64 {
        self.sequence + u64::from(self.len) + u64::from(self.fin)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack {
    pub(crate) at: Time,
    pub(crate) upto: u64,
    pub(crate) window_end: u64,
}

/// The bytes that come.
pub(crate) struct ReceiveHalf {
    pub(crate) readable: VecDeque<Bytes>,
    pub(crate) unread: u64,
    /// The next byte to come.
    pub(crate) next: u64,
    /// What came before its turn.
    pub(crate) early: BTreeMap<u64, Segment>,
    /// The peer's FIN has come, and all before it.
    pub(crate) ended: bool,
    /// The window that the peer has been told of.
    pub(crate) told_window_end: u64,
    pub(crate) reader: Option<Waker>,
}

impl Endpoint {
    pub(crate) fn new(
        host: HostId,
        local: SocketAddr,
        remote: SocketAddr,
        phase: Phase,
        owner: Owner,
    ) -> Endpoint {
        Endpoint {
            host,
            local,
            remote,
            client: phase == Phase::Connecting,
            phase,
            owner,
            way: None,
            peer: None,
            send: SendHalf {
                queued: VecDeque::new(),
                queued_bytes: 0,
                in_flight: VecDeque::new(),
                acknowledged: 0,
                next: 0,
                window_end: RECEIVE_BUFFER,
                fin: Fin::No,
                acks: VecDeque::new(),
                missed_ack: false,
                writer: None,
            },
            receive: ReceiveHalf {
                readable: VecDeque::new(),
                unread: 0,
                next: 0,
                early: BTreeMap::new(),
                ended: false,
                told_window_end: RECEIVE_BUFFER,
                reader: None,
            },
            travels_until: Time::ZERO,
            acks_travel_until: Time::ZERO,
            asked_at: Time::ZERO,
            retry: None,
            retries: 0,
            lingering: false,
            ack_event: None,
            timing: Timing::default(),
        }
    }

    /// When what is lost is to be sent again.
    pub(crate) fn retry_at(&self) -> Time {
        let (since, timeout) = match self.phase {
            Phase::Connecting | Phase::Answering => (self.asked_at, RTO_INITIAL),
            _ => (
                self.send
                    .in_flight
                    .front()
                    .map_or(self.asked_at, |first| first.sent_at),
                self.timing.timeout(),
            ),
        };
        let factor = 1u32.checked_shl(self.retries).unwrap_or(u32::MAX);
        since + timeout.saturating_mul(factor).min(RTO_MAX)
    }

    /// Whether somebody waits for the next acknowledgement.
    pub(crate) fn awaits_acks(&self) -> bool {
        self.send.writer.is_some() || !self.send.queued.is_empty() || self.owner == Owner::Kernel
    }

    /// All bytes and the FIN have been acknowledged.
    pub(crate) fn all_said(&self) -> bool {
        self.send.fin == Fin::Sent && self.send.acknowledged == self.send.next
    }
}

impl SendHalf {
    /// Bytes that may still be written.
    pub(crate) fn room(&self) -> u64 {
        SEND_BUFFER.saturating_sub(self.next - self.acknowledged + self.queued_bytes)
    }

    /// Reads the acknowledgements that have arrived; whether there were any.
    pub(crate) fn read_acks(&mut self, now: Time, timing: &mut Timing) -> bool {
        let mut any = false;
        while let Some(ack) = self.acks.front().copied().filter(|ack| ack.at <= now) {
            self.acks.pop_front();
            any = true;
            self.acknowledged = self.acknowledged.max(ack.upto);
            self.window_end = self.window_end.max(ack.window_end);
            while let Some(sent) = self.in_flight.front().filter(|sent| sent.end() <= ack.upto) {
                if !sent.again {
                    timing.measured(ack.at.since(sent.sent_at));
                }
                self.in_flight.pop_front();
            }
        }
        any
    }

    /// Takes the bytes of a segment back that the network has lost.
    pub(crate) fn take_back(&mut self, sequence: u64, bytes: Bytes) {
        if let Ok(at) = self
            .in_flight
            .binary_search_by_key(&sequence, |sent| sent.sequence)
        {
            self.in_flight[at].lost = Some(bytes);
        }
    }
}

/// The round-trip time and its variation, smoothed. Source: RFC 6298, section 2.
#[derive(Default)]
pub(crate) struct Timing {
    smoothed_ns: u64,
    variation_ns: u64,
    measured: bool,
}

impl Timing {
    pub(crate) fn measured(&mut self, round_trip: Duration) {
        let sample = u64::try_from(round_trip.as_nanos()).unwrap_or(u64::MAX / 8);
        if !self.measured {
            self.measured = true;
            self.smoothed_ns = sample;
            self.variation_ns = sample / 2;
            return;
        }
        self.variation_ns = (3 * self.variation_ns + self.smoothed_ns.abs_diff(sample)) / 4;
        self.smoothed_ns = (7 * self.smoothed_ns + sample) / 8;
    }

    pub(crate) fn timeout(&self) -> Duration {
        if !self.measured {
            return RTO_INITIAL;
        }
        Duration::from_nanos(self.smoothed_ns + 4 * self.variation_ns).clamp(RTO_MIN, RTO_MAX)
    }
}
