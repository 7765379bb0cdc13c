//! Errors of requests that got no response.

use std::error::Error;
use std::io;

use h2::Reason;
use http::Request;

use super::quota::{QuotaBound, QuotaExceeded};
use crate::body::is_malformed;
use crate::{Body, BodyError};

/// The reason why a request got no response headers. Later failures are reported as a [`BodyError`].
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The connect failed: refused or unreachable. Envoy's UF.
    #[error("connect")]
    Connect(#[source] io::Error),
    /// TLS's handshake failed: one side rejected the other, or the connection ended. Envoy's UF.
    #[error("complete the TLS handshake")]
    Handshake(#[source] io::Error),
    /// The connect took too long. Envoy's UF.
    #[error("connect in time")]
    ConnectTimeout,
    /// The quota is exhausted. Nothing was sent. Envoy's UO.
    #[error("stay within the limit of {bound:?}")]
    Overflow {
        /// The limit that was reached.
        bound: QuotaBound,
    },
    /// The peer closed or reset the connection. Envoy's UC.
    #[error("read the response's headers: the connection ended")]
    Terminated {
        /// True if any part of the request may have reached the wire.
        on_wire: bool,
        /// True if the connection ended with RST or another socket error instead of FIN.
        reset: bool,
    },
    /// The peer refused the stream, or sent GOAWAY before it processed it, so it has not acted on the request. HTTP/2
    /// only. Envoy's UR, "remote refused stream reset".
    #[error("open a stream: the peer refused it")]
    Refused,
    /// The peer reset the stream. HTTP/2 only. Envoy's UR, "remote reset".
    #[error("read the response's headers: the peer reset the stream ({reason})")]
    Reset {
        /// The error code of the peer's RST_STREAM.
        reason: Reason,
    },
    /// The request's own body was cut off, so the request could not be completed: its sender is gone.
    #[error("send the request's body")]
    RequestBody(#[source] BodyError),
    /// The response was not valid in the pool's protocol. Envoy's UPE.
    #[error("parse the response's headers")]
    Protocol(#[source] HttpError),
}

/// The protocol implementation's error.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

/// A request without a response.
pub(super) struct Failed {
    pub(super) error: SendError,
    /// The request, if none of it was written.
    pub(super) unsent: Option<Request<Body>>,
}

impl Failed {
    /// The failure of a request that may have been written.
    pub(super) fn sent(error: SendError) -> Failed {
        Failed {
            error,
            unsent: None,
        }
    }
}

impl From<QuotaExceeded> for SendError {
    fn from(QuotaExceeded(bound): QuotaExceeded) -> SendError {
        SendError::Overflow { bound }
    }
}

impl SendError {
    /// Classifies the failure of an HTTP/1.1 exchange.
    pub(super) fn of_http1(error: hyper::Error, on_wire: bool) -> SendError {
        let cause = error.source();
        if error.is_user() && cause.is_some_and(|cause| cause.is::<BodyError>()) {
            return SendError::RequestBody(error.into());
        }
        if is_malformed(&error) {
            return SendError::Protocol(error.into());
        }
        SendError::Terminated {
            on_wire,
            reset: cause.is_some_and(|cause| cause.is::<io::Error>()),
        }
    }

    /// Classifies the failure of a stream. GOAWAY fails only those streams that the peer has not processed.
    pub(super) fn of_http2(error: h2::Error) -> SendError {
        if let Some(io) = error.get_io() {
            return SendError::Terminated {
                on_wire: true,
                reset: io.kind() == io::ErrorKind::ConnectionReset,
            };
        }
        match error.reason() {
            Some(Reason::REFUSED_STREAM) if error.is_remote() => SendError::Refused,
            Some(_) if error.is_remote() && error.is_go_away() => SendError::Refused,
            Some(reason) if error.is_remote() => SendError::Reset { reason },
            _ => SendError::Protocol(error.into()),
        }
    }

    /// Copies this connect failure for another request that waited for the same connection.
    pub(super) fn copy_of_connect(&self) -> SendError {
        match self {
            SendError::Connect(error) => SendError::Connect(copy_of(error)),
            SendError::Handshake(error) => SendError::Handshake(copy_of(error)),
            _ => SendError::ConnectTimeout,
        }
    }

    /// Returns true if no connection was established. Envoy's `connect-failure`.
    pub fn is_connect_failure(&self) -> bool {
        matches!(
            self,
            SendError::Connect(_) | SendError::Handshake(_) | SendError::ConnectTimeout
        )
    }

    /// Returns true if there was a connection, but it ended or failed before the response headers. Together with a
    /// connect failure this is Envoy's `reset`.
    #[cfg(test)]
    pub(super) fn before_headers(&self) -> bool {
        matches!(
            self,
            SendError::Terminated { .. }
                | SendError::Refused
                | SendError::Reset { .. }
                | SendError::Protocol(_)
        )
    }

    /// Returns true if any part of the request may have reached the peer. If false, a retry is safe for every method.
    pub fn on_wire(&self) -> bool {
        match self {
            SendError::Connect(_)
            | SendError::Handshake(_)
            | SendError::ConnectTimeout
            | SendError::Overflow { .. }
            | SendError::Refused => false,
            SendError::Terminated { on_wire, .. } => *on_wire,
            SendError::Reset { .. } | SendError::RequestBody(_) | SendError::Protocol(_) => true,
        }
    }
}

/// Copies an error, because `io::Error` does not implement `Clone`.
fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
