//! The kernel's state of a connection's endpoint: TCP phase, send and receive buffers, retransmission timing.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use shakedown_env::Time;

use super::limits::{RECEIVE_BUFFER, RTO_INITIAL, RTO_MAX, RTO_MIN, SEND_BUFFER};
use super::link::LinkIndex;
use super::packet::DataSegment;
use crate::HostId;
use crate::arena::ArenaKey;

pub(crate) struct ConnectionEnd {
    pub(crate) host: HostId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// True for the end that opened the connection.
    pub(crate) client: bool,
    pub(crate) phase: ConnectionPhase,
    pub(crate) owner: Owner,
    /// The host at the remote address, and the link to it; `None` while no host has that address.
    pub(crate) path: Option<(HostId, LinkIndex)>,
    pub(crate) peer: Option<ArenaKey>,
    pub(crate) send: SendHalf,
    pub(crate) receive: ReceiveHalf,
    /// The arrival time of the last packet sent to the peer. Later packets do not arrive before it.
    pub(crate) travels_until: Time,
    /// The arrival time of the last acknowledgement sent to the peer.
    pub(crate) acks_travel_until: Time,
    /// The time of the last SYN, SYN/ACK or window probe sent, from which its retransmission timeout is measured.
    pub(crate) control_sent_at: Time,
    /// The retransmission timer. Runs only if a packet is known to be lost, or while a closed endpoint lingers.
    pub(crate) retry: Option<ArenaKey>,
    /// Retransmissions since the last packet from the peer.
    pub(crate) retries: u32,
    /// True if the endpoint is closed, all its data is acknowledged, and only the peer's FIN is missing.
    pub(crate) lingering: bool,
    /// The event that processes the next acknowledgement at its arrival, scheduled only while
    /// [`ConnectionEnd::awaits_acks`].
    pub(crate) ack_event: Option<ArenaKey>,
    pub(crate) timing: Timing,
}

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionPhase {
    /// SYN sent.
    Connecting,
    /// SYN/ACK sent.
    Answering,
    Open,
    /// The connection has failed. `reported` is set once a write has returned the error to the application.
    Dead {
        error: io::ErrorKind,
        reported: bool,
    },
}

/// The owner of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    App,
    /// A listening socket, until the connection is accepted.
    Listener(ArenaKey),
    /// The kernel, which sends the remaining data after the application has closed its end.
    Kernel,
}

pub(crate) struct SendHalf {
    /// Data written but not sent, because the peer's window is full.
    pub(crate) queued: VecDeque<Bytes>,
    pub(crate) queued_bytes: u64,
    /// Segments sent and not acknowledged.
    pub(crate) in_flight: VecDeque<InFlight>,
    /// The sequence number of the first unacknowledged byte.
    pub(crate) acknowledged: u64,
    /// The sequence number of the next byte to send.
    pub(crate) next: u64,
    /// The sequence number of the first byte beyond the peer's window.
    pub(crate) window_end: u64,
    pub(crate) fin: Fin,
    /// Acknowledgements in transit to this endpoint, by arrival time. They are processed at the endpoint's next
    /// operation, so an acknowledgement without a waiter costs no event.
    pub(crate) acks: VecDeque<Ack>,
    /// True if the last acknowledgement to this endpoint was lost, so the peer's window may be larger than
    /// `window_end`.
    pub(crate) missed_ack: bool,
    /// The task that waits for buffer space, or for the connection to open.
    pub(crate) writer: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fin {
    No,
    /// To be sent after all queued data.
    Queued,
    Sent,
}

pub(crate) struct InFlight {
    pub(crate) sequence: u64,
    pub(crate) len: u32,
    pub(crate) fin: bool,
    pub(crate) sent_at: Time,
    /// True if retransmitted. Such a segment does not yield a round-trip sample (Karn's algorithm).
    pub(crate) again: bool,
    /// The data to retransmit, set only if the network has lost the segment.
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

pub(crate) struct ReceiveHalf {
    pub(crate) readable: VecDeque<Bytes>,
    pub(crate) unread: u64,
    /// The sequence number of the next byte expected in order.
    pub(crate) next: u64,
    /// Segments received out of order, by sequence number.
    pub(crate) early: BTreeMap<u64, DataSegment>,
    /// True if the peer's FIN and all data before it have been received.
    pub(crate) ended: bool,
    /// The end of the window announced to the peer.
    pub(crate) announced_window_end: u64,
    pub(crate) reader: Option<Waker>,
}

impl ConnectionEnd {
    pub(crate) fn new(
        host: HostId,
        local: SocketAddr,
        remote: SocketAddr,
        phase: ConnectionPhase,
        owner: Owner,
    ) -> ConnectionEnd {
        ConnectionEnd {
            host,
            local,
            remote,
            client: phase == ConnectionPhase::Connecting,
            phase,
            owner,
            path: None,
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
                announced_window_end: RECEIVE_BUFFER,
                reader: None,
            },
            travels_until: Time::ZERO,
            acks_travel_until: Time::ZERO,
            control_sent_at: Time::ZERO,
            retry: None,
            retries: 0,
            lingering: false,
            ack_event: None,
            timing: Timing::default(),
        }
    }

    /// Returns the time of the next retransmission, with exponential backoff.
    pub(crate) fn retry_at(&self) -> Time {
        let (since, timeout) = match self.phase {
            ConnectionPhase::Connecting | ConnectionPhase::Answering => {
                (self.control_sent_at, RTO_INITIAL)
            }
            _ => (
                self.send
                    .in_flight
                    .front()
                    .map_or(self.control_sent_at, |first| first.sent_at),
                self.timing.timeout(),
            ),
        };
        let factor = 1u32.checked_shl(self.retries).unwrap_or(u32::MAX);
        since + timeout.saturating_mul(factor).min(RTO_MAX)
    }

    /// Returns true if a writer, queued data or a close in progress waits for the next acknowledgement.
    pub(crate) fn awaits_acks(&self) -> bool {
        self.send.writer.is_some() || !self.send.queued.is_empty() || self.owner == Owner::Kernel
    }

    /// Returns true if all data and the FIN have been acknowledged.
    pub(crate) fn all_acknowledged(&self) -> bool {
        self.send.fin == Fin::Sent && self.send.acknowledged == self.send.next
    }
}

impl SendHalf {
    /// Returns the free space of the send buffer, in bytes.
    pub(crate) fn room(&self) -> u64 {
        SEND_BUFFER.saturating_sub(self.next - self.acknowledged + self.queued_bytes)
    }

    /// Processes the acknowledgements that have arrived. Returns true if there were any.
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

    /// Stores the data of a segment that the network has lost, for retransmission.
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
