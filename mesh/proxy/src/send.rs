//! Sends one attempt to one host, and classifies the result.

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;

use http::header::{CONTENT_LENGTH, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use shakedown_wire::{Body, Pool, PoolProtocol, ResponseBody, SendError};

use crate::respond::ResetReason;

/// The result of an attempt.
#[derive(Debug)]
pub(crate) enum AttemptResult {
    /// Response headers were received.
    Response(Response<ResponseBody>),
    /// The attempt ended without response headers.
    Reset { reason: ResetReason, on_wire: bool },
    /// The caller's body broke off: the caller is gone, or its body is `malformed`.
    CallerGone { malformed: bool },
}

/// The flag that an attempt sets once it has a connection. The first attempt of a request borrows one, and attempts
/// beside it own one.
pub(crate) enum ConnectMark<'a> {
    Lent(&'a Cell<bool>),
    Own(Rc<Cell<bool>>),
}

impl ConnectMark<'_> {
    pub(crate) fn set(&self) {
        match self {
            ConnectMark::Lent(cell) => cell.set(true),
            ConnectMark::Own(cell) => cell.set(true),
        }
    }
}

/// The transport of attempts: connections, or a function in a dry run.
pub(crate) trait Carrier {
    /// Sends a request to the host of a pool, and sets the mark once it has a connection. The connect timeout is the
    /// only one applied here; the retry loop applies the others. Dropping the future cancels the attempt.
    fn carry(
        &self,
        pool: Pool,
        request: Request<Body>,
        mark: ConnectMark<'_>,
    ) -> impl Future<Output = AttemptResult>;
}

/// The transport over the connections of the host's pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PooledCarrier;

impl Carrier for PooledCarrier {
    fn carry(
        &self,
        pool: Pool,
        mut request: Request<Body>,
        mark: ConnectMark<'_>,
    ) -> impl Future<Output = AttemptResult> {
        // Outside of the future, because a request that is changed inside would be stored twice in it.
        if pool.protocol() == PoolProtocol::Http1 {
            announce_empty_body(&mut request);
        }
        let upgrade = request.headers().contains_key(UPGRADE);
        async move {
            if upgrade && pool.protocol() == PoolProtocol::Http2 {
                // An upgrade over HTTP/2 requires extended CONNECT (RFC 8441), which is not supported. Envoy resets
                // likewise if its peer does not support it.
                return AttemptResult::Reset {
                    reason: ResetReason::ProtocolError,
                    on_wire: false,
                };
            }
            match pool.send_telling(request, || mark.set()).await {
                // The upstream switched protocols without being asked.
                Ok(response)
                    if response.status() == StatusCode::SWITCHING_PROTOCOLS && !upgrade =>
                {
                    AttemptResult::Reset {
                        reason: ResetReason::ProtocolError,
                        on_wire: true,
                    }
                }
                Ok(response) => AttemptResult::Response(response),
                Err(error) => ended(&error),
            }
        }
    }
}

/// Sets `content-length: 0` on a request without a body over HTTP/1.1 if its method normally has one. Source: Envoy,
/// `HeaderUtility::requestShouldHaveNoBody`; RFC 9110, section 8.6.
fn announce_empty_body(request: &mut Request<Body>) {
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

/// Classifies a pool's error.
pub(crate) fn ended(error: &SendError) -> AttemptResult {
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
            return AttemptResult::CallerGone { malformed };
        }
    };
    AttemptResult::Reset {
        reason,
        on_wire: error.on_wire(),
    }
}
