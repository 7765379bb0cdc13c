//! Packets between hosts.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::HostId;
use crate::arena::Key;

/// A packet in flight.
pub(crate) struct Packet {
    pub(crate) src: HostId,
    pub(crate) dst: HostId,
    /// The sending endpoint; `None` for the RST of a port without a connection.
    pub(crate) sender: Option<Key>,
    /// The receiving endpoint; `None` for a SYN. Its generation also identifies the incarnation of the host.
    pub(crate) receiver: Option<Key>,
    pub(crate) body: Body,
}

/// The contents of a packet.
pub(crate) enum Body {
    /// Opens a connection.
    Syn {
        from: SocketAddr,
        to: SocketAddr,
    },
    /// Accepts the connection.
    SynAck,
    /// Completes the handshake.
    Established,
    Data(Segment),
    /// Asks for the receiver's window.
    Probe,
    Reset,
}

/// A contiguous piece of one direction's bytes.
pub(crate) struct Segment {
    /// Sequence number of its first byte. A FIN counts as one byte.
    pub(crate) sequence: u64,
    pub(crate) payload: Payload,
    /// True if it is the last segment of its direction.
    pub(crate) fin: bool,
}

pub(crate) enum Payload {
    Bytes(Bytes),
    /// A retransmission of bytes that the receiver already has, given by their number. Only their
    /// acknowledgement was lost.
    Known(u32),
}

impl Payload {
    pub(crate) fn len(&self) -> usize {
        match self {
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Known(len) => *len as usize,
        }
    }
}

impl Body {
    /// Bytes on the wire, without headers.
    pub(crate) fn len(&self) -> usize {
        match self {
            Body::Data(segment) => segment.payload.len(),
            _ => 0,
        }
    }
}
