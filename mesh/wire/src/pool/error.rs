//! Why a request got no response.

use std::error::Error;
use std::io;

use h2::Reason;

use super::{Bound, copy_of};
use crate::BodyError;
use crate::framing::is_malformed;

/// A request got no response. All of these come before the response's headers; what fails after them is a [`BodyError`].
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection: refused or unreachable. Envoy's UF.
    #[error("connect")]
    Connect(#[source] io::Error),
    /// A connection, but no TLS session: one side refuses the other, or the connection ended meanwhile. Envoy's UF.
    #[error("shake hands over TLS")]
    Handshake(#[source] io::Error),
    /// No connection in time. Envoy's UF.
    #[error("connect in time")]
    ConnectTimeout,
    /// The quota has no more of this; nothing was sent. Envoy's UO.
    #[error("stay within the limit of {bound:?}")]
    Overflow {
        /// Which of its limits.
        bound: Bound,
    },
    /// The peer closed or reset the connection. Envoy's UC.
    #[error("read the response's headers: the connection ended")]
    Terminated {
        /// Whether any of the request may have reached the wire.
        on_wire: bool,
        /// Whether it ended with a RST or another socket error, not with a FIN.
        reset: bool,
    },
    /// The peer refused the stream, or went away before it looked at it: it has done nothing with the request. HTTP/2 only.
    /// Envoy's UR, "remote refused stream reset".
    #[error("open a stream: the peer refused it")]
    Refused,
    /// The peer reset the stream. HTTP/2 only. Envoy's UR, "remote reset".
    #[error("read the response's headers: the peer reset the stream ({reason})")]
    Reset {
        /// The peer's reason.
        reason: Reason,
    },
    /// The request's own body broke off, so that the request could not be finished: its sender is gone.
    #[error("send the request's body")]
    RequestBody(#[source] BodyError),
    /// What came was not the pool's protocol. Envoy's UPE.
    #[error("parse the response's headers")]
    Protocol(#[source] HttpError),
}

/// What HTTP itself says of a failure.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// HTTP/1.1.
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    /// HTTP/2.
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

impl SendError {
    /// What the failure of an exchange over HTTP/1.1 means.
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

    /// What the failure of a stream means. A GOAWAY ends only those streams that the peer has not looked at.
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

    /// This connect failure once more, for another that waited on it.
    pub(super) fn copy_of_connect(&self) -> SendError {
        match self {
            SendError::Connect(error) => SendError::Connect(copy_of(error)),
            SendError::Handshake(error) => SendError::Handshake(copy_of(error)),
            _ => SendError::ConnectTimeout,
        }
    }

    /// Whether no connection was had at all. Envoy's `connect-failure`.
    pub fn is_connect_failure(&self) -> bool {
        matches!(
            self,
            SendError::Connect(_) | SendError::Handshake(_) | SendError::ConnectTimeout
        )
    }

    /// Whether there was a connection, and it gave no response headers. Envoy's `reset`, together with a connect failure.
    pub fn before_headers(&self) -> bool {
        matches!(
            self,
            SendError::Terminated { .. }
                | SendError::Refused
                | SendError::Reset { .. }
                | SendError::Protocol(_)
        )
    }

    /// Whether any of the request may have reached the peer; where not, a retry is safe whatever the method.
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
