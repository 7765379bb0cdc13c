//! Packets between hosts.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::HostId;
use crate::arena::ArenaKey;

/// A packet in flight.
pub(crate) struct Packet {
    pub(crate) src: HostId,
    pub(crate) dst: HostId,
    /// The sending endpoint; `None` for the RST of a port without a connection.
    pub(crate) sender: Option<ArenaKey>,
    /// The receiving endpoint; `None` for a SYN. Its generation also identifies the incarnation of the host.
    pub(crate) receiver: Option<ArenaKey>,
    pub(crate) body: PacketBody,
}

/// The contents of a packet.
pub(crate) enum PacketBody {
    /// Opens a connection.
    Syn {
        from: SocketAddr,
        to: SocketAddr,
    },
    /// Accepts the connection.
    SynAck,
    /// Completes the handshake.
    Established,
    Data(DataSegment),
    /// Asks for the receiver's window.
    Probe,
    Reset,
}

/// A contiguous piece of one direction's bytes.
pub(crate) struct DataSegment {
    /// Sequence number of its first byte. A FIN counts as one byte.
    pub(crate) sequence: u64,
    pub(crate) payload: SegmentPayload,
    /// True if it is the last segment of its direction.
    pub(crate) fin: bool,
}

pub(crate) enum SegmentPayload {
    Bytes(Bytes),
    /// A retransmission of bytes that the receiver already has, given by their number. Only their
    /// acknowledgement was lost.
    Known(u32),
}

impl SegmentPayload {
    pub(crate) fn len(&self) -> usize {
        match self {
            SegmentPayload::Bytes(bytes) => bytes.len(),
            SegmentPayload::Known(len) => *len as usize,
        }
    }
}

impl PacketBody {
    /// Bytes on the wire, without headers.
    pub(crate) fn len(&self) -> usize {
        match self {
            PacketBody::Data(segment) => segment.payload.len(),
            _ => 0,
        }
    }
}
