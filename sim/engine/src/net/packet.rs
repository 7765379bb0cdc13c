//! What travels between hosts.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::HostId;
use crate::arena::Key;

/// A packet on its way.
pub(crate) struct Packet {
    pub(crate) src: HostId,
    pub(crate) dst: HostId,
    /// The endpoint that sent it; none for the RST of a port without a connection.
    pub(crate) sender: Option<Key>,
    /// The endpoint that it is for; none for a SYN. By its generation it names an incarnation of the host too.
    pub(crate) receiver: Option<Key>,
    pub(crate) body: Body,
}

/// What a packet says.
pub(crate) enum Body {
    /// Opens a connection.
    Syn {
        from: SocketAddr,
        to: SocketAddr,
    },
    /// The server agrees.
    SynAck,
    /// The client has heard that.
    Established,
    Data(Segment),
    /// Asks for the receiver's window.
    Probe,
    Reset,
}

/// A piece of one direction's bytes.
pub(crate) struct Segment {
    /// The number of its first byte; a FIN counts as one byte.
    pub(crate) sequence: u64,
    pub(crate) payload: Payload,
    /// Nothing comes after it.
    pub(crate) fin: bool,
}

/// The bytes of a segment.
pub(crate) enum Payload {
    Bytes(Bytes),
    /// A retransmission of so many bytes that the receiver is known to have: its sender missed the acknowledgement only.
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
