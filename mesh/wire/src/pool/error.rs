//! Why a request got no response.

use std::error::Error;
use std::io;

use super::copy_of;

/// A request got no response. All of these come before the response's headers; what fails after them is a
/// [`BodyError`](crate::BodyError).
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection: refused or unreachable. Envoy's UF.
    #[error("connect")]
    Connect(#[source] io::Error),
    /// No connection in time. Envoy's UF.
    #[error("connect in time")]
    ConnectTimeout,
    /// The peer closed or reset the connection. Envoy's UC.
    #[error("read the response's headers: the connection ended")]
    Terminated {
        /// Whether any of the request may have reached the wire.
        on_wire: bool,
        /// Whether it ended with a RST or another socket error, not with a FIN.
        reset: bool,
    },
    /// The request's own body broke off, so that the request could not be finished: its sender is gone.
    #[error("send the request's body")]
    RequestBody(#[source] hyper::Error),
    /// What came was not HTTP/1.1. Envoy's UPE.
    #[error("parse the response's headers")]
    Protocol(#[source] hyper::Error),
}

impl SendError {
    /// What an exchange's failure means.
    pub(super) fn of_exchange(error: hyper::Error, on_wire: bool) -> SendError {
        if error.is_parse() {
            return SendError::Protocol(error);
        }
        let cause = error.source();
        if error.is_user() && cause.is_some_and(|cause| cause.is::<crate::BodyError>()) {
            return SendError::RequestBody(error);
        }
        SendError::Terminated {
            on_wire,
            reset: cause.is_some_and(|cause| cause.is::<io::Error>()),
        }
    }

    /// This connect failure once more, for another that waited on it.
    pub(super) fn copy_of_connect(&self) -> SendError {
        match self {
            SendError::Connect(error) => SendError::Connect(copy_of(error)),
            _ => SendError::ConnectTimeout,
        }
    }

    /// Whether no connection was had at all. Envoy's `connect-failure`.
    pub fn is_connect_failure(&self) -> bool {
        matches!(self, SendError::Connect(_) | SendError::ConnectTimeout)
    }

    /// Whether there was a connection, and it gave no response headers. Envoy's `reset`, together with a connect failure.
    pub fn before_headers(&self) -> bool {
        matches!(self, SendError::Terminated { .. } | SendError::Protocol(_))
    }

    /// Whether any of the request may have reached the peer; where not, a retry is safe whatever the method.
    pub fn on_wire(&self) -> bool {
        match self {
            SendError::Connect(_) | SendError::ConnectTimeout => false,
            SendError::Terminated { on_wire, .. } => *on_wire,
            SendError::RequestBody(_) | SendError::Protocol(_) => true,
        }
    }
}
