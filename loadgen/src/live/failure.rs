//! Reasons for which a request received no complete response: the phase and the cause.

use std::error::Error;
use std::io;

use shakedown_wire::{BodyError, HttpError, SendError};

/// The phase in which a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailurePhase {
    /// Waiting for a connection in use by other requests.
    Queue,
    /// Opening its connection, including the TLS handshake.
    Connect,
    /// On a connection, not yet written.
    Send,
    /// Written, waiting for the head of the response.
    Head,
    /// Reading the body of the response.
    Body,
}

/// The cause of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The timeout of the request or of the connect expired.
    Timeout,
    /// Connection refused: nothing listens at the address.
    Refused,
    /// The network has no route to the address.
    Unreachable,
    /// A local resource is exhausted: file descriptors or ports.
    Exhausted,
    /// The TLS handshake failed.
    Handshake,
    /// The peer closed the connection in order (FIN).
    Closed,
    /// The peer reset the connection (RST).
    Reset,
    /// The peer reset the stream. HTTP/2 only.
    StreamReset,
    /// The peer refused the stream or went away. HTTP/2 only.
    StreamRefused,
    /// The response is not HTTP, or violates its framing.
    Malformed,
    /// Any other cause.
    Other,
}

/// A kind of failure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FailureKind {
    pub phase: FailurePhase,
    pub cause: Cause,
    /// More detail, in words. May be empty.
    pub detail: String,
}

impl FailurePhase {
    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            FailurePhase::Queue => "queue",
            FailurePhase::Connect => "connect",
            FailurePhase::Send => "send",
            FailurePhase::Head => "head",
            FailurePhase::Body => "body",
        }
    }
}

impl Cause {
    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Timeout => "timeout",
            Cause::Refused => "refused",
            Cause::Unreachable => "unreachable",
            Cause::Exhausted => "exhausted",
            Cause::Handshake => "handshake",
            Cause::Closed => "closed",
            Cause::Reset => "reset",
            Cause::StreamReset => "stream-reset",
            Cause::StreamRefused => "stream-refused",
            Cause::Malformed => "malformed",
            Cause::Other => "other",
        }
    }
}

impl FailureKind {
    /// A request that timed out.
    pub(super) fn timeout(phase: FailurePhase) -> FailureKind {
        FailureKind::new(phase, Cause::Timeout, String::new())
    }

    fn new(phase: FailurePhase, cause: Cause, detail: String) -> FailureKind {
        FailureKind {
            phase,
            cause,
            detail,
        }
    }

    /// A request that received no response head. `written` is true if its own head had been written.
    pub(super) fn of_send(error: &SendError, written: bool) -> FailureKind {
        let sent = if written {
            FailurePhase::Head
        } else {
            FailurePhase::Send
        };
        let (phase, cause) = match error {
            SendError::Connect(cause) => (FailurePhase::Connect, of_connect(cause)),
            SendError::ConnectTimeout => (FailurePhase::Connect, Cause::Timeout),
            SendError::Handshake(_) => (FailurePhase::Connect, Cause::Handshake),
            SendError::Terminated { reset: true, .. } => (sent, Cause::Reset),
            SendError::Terminated { reset: false, .. } => (sent, Cause::Closed),
            SendError::Reset { .. } => (sent, Cause::StreamReset),
            SendError::Refused => (sent, Cause::StreamRefused),
            SendError::Protocol(HttpError::Http1(_) | HttpError::Http2(_)) => {
                (sent, of_io(error).unwrap_or(Cause::Malformed))
            }
            SendError::RequestBody(_) | SendError::Overflow { .. } => (sent, Cause::Other),
        };
        let detail = match cause {
            Cause::Timeout | Cause::Closed | Cause::Reset | Cause::StreamRefused => String::new(),
            _ => innermost(error),
        };
        FailureKind::new(phase, cause, detail)
    }

    /// A request whose response ended early, after its head.
    pub(super) fn of_body(error: &BodyError) -> FailureKind {
        let cause = if error.is_reset_stream() {
            Cause::StreamReset
        } else {
            of_io(error).unwrap_or(Cause::Malformed)
        };
        let detail = match cause {
            Cause::Closed | Cause::Reset => String::new(),
            _ => innermost(error),
        };
        FailureKind::new(FailurePhase::Body, cause, detail)
    }
}

fn of_connect(error: &io::Error) -> Cause {
    // Linux: ENFILE, EMFILE, EADDRNOTAVAIL, ENOBUFS.
    if matches!(error.raw_os_error(), Some(23 | 24 | 99 | 105)) {
        return Cause::Exhausted;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Cause::Reset,
        io::ErrorKind::TimedOut => Cause::Timeout,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => Cause::Unreachable,
        _ => Cause::Other,
    }
}

/// The cause by an I/O error in the error's chain, if any.
fn of_io(error: &(dyn Error + 'static)) -> Option<Cause> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            match io.kind() {
                // The decoders of HTTP/1.1 return this if the connection ended before the body did.
                io::ErrorKind::UnexpectedEof => return Some(Cause::Closed),
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted => return Some(Cause::Reset),
                _ => {}
            }
        }
        if let Some(hyper) = error.downcast_ref::<hyper::Error>()
            && hyper.is_incomplete_message()
        {
            return Some(Cause::Closed);
        }
        cause = error.source();
    }
    None
}

/// The message of an error's root cause.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

impl std::fmt::Display for FailureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.phase.name(), self.cause.name())?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}
