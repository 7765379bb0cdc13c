//! Sends one try to one host, and says how it ended.

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;

use http::header::{CONTENT_LENGTH, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use shakedown_wire::{Body, Pool, Protocol, SendError};

use crate::respond::ResetReason;

/// How a try ended.
#[derive(Debug)]
pub(crate) enum Sent {
    /// With headers.
    Response(Response<Body>),
    /// Without.
    Reset { reason: ResetReason, on_wire: bool },
    /// The caller's body broke off: it has gone, or, where `malformed`, has sent what is no body.
    CallerGone { malformed: bool },
}

/// Where a try notes that it has a connection. The first try of a request borrows one; those beside it have their own.
pub(crate) enum Mark<'a> {
    Lent(&'a Cell<bool>),
    Own(Rc<Cell<bool>>),
}

impl Mark<'_> {
    pub(crate) fn set(&self) {
        match self {
            Mark::Lent(cell) => cell.set(true),
            Mark::Own(cell) => cell.set(true),
        }
    }
}

/// What brings tries to their hosts: the wire, or, in a dry run, a function.
pub(crate) trait Carrier {
    /// Brings a request to the host of a pool, and marks when it has a connection. It has no bound in time but the connect's:
    /// the try loop keeps those. Dropping the future cancels the try.
    fn carry(
        &self,
        pool: Pool,
        request: Request<Body>,
        mark: Mark<'_>,
    ) -> impl Future<Output = Sent>;
}

/// The connections of the host's pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire;

impl Carrier for Wire {
    fn carry(
        &self,
        pool: Pool,
        mut request: Request<Body>,
        mark: Mark<'_>,
    ) -> impl Future<Output = Sent> {
        // Out here: a request that is changed inside a future is kept twice in it.
        if pool.protocol() == Protocol::Http1 {
            say_that_it_is_empty(&mut request);
        }
        let upgrade = request.headers().contains_key(UPGRADE);
        async move {
            if upgrade && pool.protocol() == Protocol::Http2 {
                // It would take extended CONNECT (RFC 8441), which is not supported yet. Envoy ends so where its peer has none.
                return Sent::Reset {
                    reason: ResetReason::ProtocolError,
                    on_wire: false,
                };
            }
            match pool.send_telling(request, || mark.set()).await {
                // Nobody has asked for another protocol.
                Ok(response)
                    if response.status() == StatusCode::SWITCHING_PROTOCOLS && !upgrade =>
                {
                    Sent::Reset {
                        reason: ResetReason::ProtocolError,
                        on_wire: true,
                    }
                }
                Ok(response) => Sent::Response(response),
                Err(error) => ended(&error),
            }
        }
    }
}

/// Over HTTP/1.1 a request of a method that mostly has a body says so when it has none. Source: Envoy,
/// `HeaderUtility::requestShouldHaveNoBody`; RFC 9110, section 8.6.
fn say_that_it_is_empty(request: &mut Request<Body>) {
    let bodiless = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::DELETE | Method::TRACE | Method::CONNECT
    );
    let empty = matches!(request.body(), Body::Empty);
    if empty && !bodiless && !request.headers().contains_key(CONTENT_LENGTH) {
        let zero = HeaderValue::from_static("0");
        request.headers_mut().insert(CONTENT_LENGTH, zero);
    }
}

/// What a pool's error means.
pub(crate) fn ended(error: &SendError) -> Sent {
    let reason = match error {
        SendError::Connect(error) if error.kind() == ErrorKind::ConnectionRefused => {
            ResetReason::ConnectionRefused
        }
        SendError::Connect(_) | SendError::Handshake(_) => ResetReason::RemoteConnectionFailure,
        SendError::ConnectTimeout => ResetReason::ConnectionTimeout,
        SendError::Terminated { .. } => ResetReason::ConnectionTermination,
        SendError::Protocol(_) => ResetReason::ProtocolError,
        SendError::Overflow { .. } => ResetReason::Overflow,
        SendError::Refused => ResetReason::RemoteRefusedStreamReset,
        SendError::Reset { .. } => ResetReason::RemoteReset,
        SendError::RequestBody(error) => {
            let malformed = error.is_malformed();
            return Sent::CallerGone { malformed };
        }
    };
    Sent::Reset {
        reason,
        on_wire: error.on_wire(),
    }
}
