//! Envoy's local replies: the responses of the proxy itself, with their status, body, response flags and details.
//!
//! Every step of the request path returns `Result<_, LocalReply>`, and only this module converts a [`LocalReply`] to a
//! response. A response from upstream never passes through it.

mod grpc;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use shakedown_types::grpc::{CONTENT_TYPE as GRPC_CONTENT_TYPE, STATUS as GRPC_STATUS};
use shakedown_types::{GrpcStatus, ResponseFlags};
use shakedown_wire::ResponseBody;

pub(crate) use grpc::{is_grpc, status as grpc_status};

const OVERLOADED: HeaderName = HeaderName::from_static("x-envoy-overloaded");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// The details of a stream that exceeded its maximum duration.
pub(crate) const MAX_DURATION: &str = "max_duration_timeout";

/// The reason why an attempt ended without response headers, in Envoy's terms. Source: Envoy,
/// `Http::Utility::resetReasonToString` and `Router::Filter::streamResetReasonToResponseFlag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// The host refused the connection.
    ConnectionRefused,
    /// The connection failed for any other reason, for example because the host is unreachable.
    RemoteConnectionFailure,
    /// The connection was not established within the cluster's connect timeout.
    ConnectionTimeout,
    /// The connection closed before the response headers.
    ConnectionTermination,
    /// The upstream's bytes are not valid HTTP.
    ProtocolError,
    /// A limit of the cluster's circuit breaker was exceeded.
    Overflow,
    /// The upstream reset the stream after it may have processed the request.
    RemoteReset,
    /// The upstream refused the stream before processing it.
    RemoteRefusedStreamReset,
}

impl ResetReason {
    /// Returns true if the request cannot have reached the upstream, because no connection was established.
    pub fn is_connect_failure(self) -> bool {
        matches!(
            self,
            ResetReason::ConnectionRefused
                | ResetReason::RemoteConnectionFailure
                | ResetReason::ConnectionTimeout
        )
    }

    /// The response flag of an attempt that ended for this reason.
    pub fn flags(self) -> ResponseFlags {
        match self {
            ResetReason::ConnectionRefused
            | ResetReason::RemoteConnectionFailure
            | ResetReason::ConnectionTimeout => ResponseFlags::UF,
            ResetReason::ConnectionTermination => ResponseFlags::UC,
            ResetReason::ProtocolError => ResponseFlags::UPE,
            ResetReason::Overflow => ResponseFlags::UO,
            ResetReason::RemoteReset | ResetReason::RemoteRefusedStreamReset => ResponseFlags::UR,
        }
    }

    fn status(self) -> StatusCode {
        match self {
            ResetReason::ProtocolError => StatusCode::BAD_GATEWAY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn details(self) -> &'static str {
        match self {
            // Envoy writes the transport's error after the bar, with underscores for spaces.
            ResetReason::ConnectionRefused => {
                "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
            }
            ResetReason::RemoteConnectionFailure => {
                "upstream_reset_before_response_started{remote_connection_failure}"
            }
            ResetReason::ConnectionTimeout => {
                "upstream_reset_before_response_started{connection_timeout}"
            }
            ResetReason::ConnectionTermination => {
                "upstream_reset_before_response_started{connection_termination}"
            }
            ResetReason::ProtocolError => "upstream_reset_before_response_started{protocol_error}",
            ResetReason::Overflow => "upstream_reset_before_response_started{overflow}",
            ResetReason::RemoteReset => "upstream_reset_before_response_started{remote_reset}",
            ResetReason::RemoteRefusedStreamReset => {
                "upstream_reset_before_response_started{remote_refused_stream_reset}"
            }
        }
    }

    /// The body, whose wording depends on whether there were earlier attempts.
    fn body(self, retried: bool) -> &'static str {
        /// Expands to both wordings of one reason.
        macro_rules! body {
            ($reason:literal) => {
                if retried {
                    concat!(
                        "upstream connect error or disconnect/reset before headers. ",
                        "retried and the latest reset reason: ",
                        $reason
                    )
                } else {
                    concat!(
                        "upstream connect error or disconnect/reset before headers. reset reason: ",
                        $reason
                    )
                }
            };
        }
        match self {
            ResetReason::ConnectionRefused | ResetReason::RemoteConnectionFailure => {
                body!("remote connection failure")
            }
            ResetReason::ConnectionTimeout => body!("connection timeout"),
            ResetReason::ConnectionTermination => body!("connection termination"),
            ResetReason::ProtocolError => body!("protocol error"),
            ResetReason::Overflow => body!("overflow"),
            ResetReason::RemoteReset => body!("remote reset"),
            ResetReason::RemoteRefusedStreamReset => body!("remote refused stream reset"),
        }
    }
}

/// The local reply to a request that overload protection rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded {
    pub status: StatusCode,
    pub body: &'static str,
    pub details: &'static str,
    pub flags: ResponseFlags,
}

/// The local reply of a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    pub status: StatusCode,
    /// True if gRPC callers get RESOURCE_EXHAUSTED instead of UNAVAILABLE.
    pub resource_exhausted: bool,
}

/// A request that the proxy answers itself. The variants match Envoy's local replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalReply {
    /// No virtual host matches, or no route in it.
    NoRoute,
    /// The route's cluster does not exist. The status is the route's `cluster_not_found`.
    NoCluster(StatusCode),
    /// The route is a direct response or a redirect.
    Direct {
        status: StatusCode,
        body: Arc<[u8]>,
        /// The value of `location`, if the response has one.
        location: Option<HeaderValue>,
    },
    /// The answer to a CORS preflight.
    Preflight(Box<HeaderMap>),
    /// An abort by the fault filter.
    Aborted {
        status: StatusCode,
        /// The gRPC status of the abort, if it is configured as one.
        grpc: Option<u32>,
    },
    /// The request exceeds a rate limit.
    Limited(Limited),
    /// Overload protection rejects the request, for the application or for the upstream.
    Overloaded(Overloaded),
    /// The cluster has no host that can be picked.
    NoHealthyUpstream,
    /// The destination is outside the mesh, and the mesh does not allow it.
    BlackHole,
    /// The request has no authority, or an invalid one.
    BadAuthority,
    /// Normalization or a rewrite failed to produce a valid path.
    BadPath,
    /// The caller has disconnected. No response is sent.
    CallerGone,
    /// The request's body has invalid framing. The connection is closed.
    BadBody,
    /// The request target is not a path.
    NoPath,
    /// The request asks for an upgrade that is not allowed.
    UpgradeRefused,
    /// The request was idle for too long before it was complete.
    SlowRequest,
    /// The request was not complete within the request timeout.
    RequestTimeout,
    /// Request and response exceeded the maximum stream duration.
    StreamDuration {
        /// True if the request was complete.
        received: bool,
    },
    /// The last attempt ended without response headers.
    Reset {
        /// The reason of the last attempt.
        reason: ResetReason,
        /// True if there were earlier attempts.
        retried: bool,
        /// True if only the number of retries prevented another attempt.
        exhausted: bool,
    },
    /// The route's timeout, which covers all attempts, expired.
    RouteTimeout,
    /// The last attempt exceeded the per-try timeout.
    PerTryTimeout {
        /// True if only the number of retries prevented another attempt.
        exhausted: bool,
    },
    /// The last attempt exceeded the per-try idle timeout.
    PerTryIdleTimeout {
        /// True if only the number of retries prevented another attempt.
        exhausted: bool,
    },
    /// The stream was idle for too long after the request was complete.
    StreamIdle,
}

impl LocalReply {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            LocalReply::NoRoute => StatusCode::NOT_FOUND,
            LocalReply::NoCluster(status)
            | LocalReply::Direct { status, .. }
            | LocalReply::Aborted { status, .. }
            | LocalReply::Limited(Limited { status, .. })
            | LocalReply::Overloaded(Overloaded { status, .. }) => *status,
            LocalReply::Preflight(_) => StatusCode::OK,
            LocalReply::NoHealthyUpstream => StatusCode::SERVICE_UNAVAILABLE,
            LocalReply::BlackHole => StatusCode::BAD_GATEWAY,
            LocalReply::BadAuthority
            | LocalReply::BadPath
            | LocalReply::BadBody
            | LocalReply::CallerGone => StatusCode::BAD_REQUEST,
            LocalReply::NoPath => StatusCode::NOT_FOUND,
            LocalReply::UpgradeRefused => StatusCode::FORBIDDEN,
            LocalReply::SlowRequest
            | LocalReply::RequestTimeout
            | LocalReply::StreamDuration { received: false } => StatusCode::REQUEST_TIMEOUT,
            LocalReply::Reset { reason, .. } => reason.status(),
            LocalReply::RouteTimeout
            | LocalReply::PerTryTimeout { .. }
            | LocalReply::PerTryIdleTimeout { .. }
            | LocalReply::StreamDuration { received: true }
            | LocalReply::StreamIdle => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Envoy's response flags for the access log.
    pub fn flags(&self) -> ResponseFlags {
        let exhausted = |flags: ResponseFlags, spent: bool| {
            if spent {
                flags | ResponseFlags::URX
            } else {
                flags
            }
        };
        match self {
            LocalReply::NoRoute => ResponseFlags::NR,
            LocalReply::NoCluster(_) => ResponseFlags::NC,
            LocalReply::NoHealthyUpstream => ResponseFlags::UH,
            LocalReply::BlackHole | LocalReply::Direct { .. } | LocalReply::Preflight(_) => {
                ResponseFlags::empty()
            }
            LocalReply::BadAuthority
            | LocalReply::BadPath
            | LocalReply::NoPath
            | LocalReply::UpgradeRefused
            | LocalReply::RequestTimeout
            | LocalReply::StreamDuration { .. } => ResponseFlags::empty(),
            LocalReply::SlowRequest | LocalReply::StreamIdle => ResponseFlags::SI,
            LocalReply::Aborted { .. } => ResponseFlags::FI,
            LocalReply::Limited(_) => ResponseFlags::RL,
            LocalReply::Overloaded(overloaded) => overloaded.flags,
            LocalReply::CallerGone => ResponseFlags::DC,
            LocalReply::BadBody => ResponseFlags::DPE,
            LocalReply::Reset {
                reason,
                exhausted: spent,
                ..
            } => exhausted(reason.flags(), *spent),
            LocalReply::RouteTimeout => ResponseFlags::UT,
            LocalReply::PerTryTimeout { exhausted: spent }
            | LocalReply::PerTryIdleTimeout { exhausted: spent } => {
                exhausted(ResponseFlags::UT, *spent)
            }
        }
    }

    /// The response flags of the attempt that led to this reply; empty if there was none.
    pub fn try_flags(&self) -> ResponseFlags {
        match self {
            LocalReply::Reset { reason, .. } => reason.flags(),
            LocalReply::RouteTimeout | LocalReply::PerTryTimeout { .. } => ResponseFlags::UT,
            LocalReply::CallerGone | LocalReply::BadBody => ResponseFlags::DC,
            _ => ResponseFlags::empty(),
        }
    }

    /// Envoy's response code details for the access log.
    pub fn details(&self) -> &'static str {
        match self {
            LocalReply::NoRoute => "route_not_found",
            LocalReply::NoCluster(_) => "cluster_not_found",
            LocalReply::NoHealthyUpstream => "no_healthy_upstream",
            LocalReply::BlackHole | LocalReply::Direct { .. } => "direct_response",
            LocalReply::Preflight(_) => "cors_response",
            LocalReply::Aborted { .. } => "fault_filter_abort",
            LocalReply::Limited(_) => "local_rate_limited",
            LocalReply::Overloaded(overloaded) => overloaded.details,
            LocalReply::BadAuthority => "missing_host_header",
            LocalReply::BadPath => "path_normalization_failed",
            LocalReply::NoPath => "absolute_path_rejected",
            LocalReply::UpgradeRefused => "upgrade_failed",
            LocalReply::RequestTimeout => "request_overall_timeout",
            LocalReply::StreamDuration { .. } => MAX_DURATION,
            LocalReply::BadBody => "http1.codec_error",
            LocalReply::CallerGone => "downstream_remote_disconnect",
            LocalReply::SlowRequest | LocalReply::StreamIdle => "stream_idle_timeout",
            LocalReply::Reset { reason, .. } => reason.details(),
            LocalReply::RouteTimeout => "response_timeout",
            LocalReply::PerTryTimeout { .. } => "upstream_per_try_timeout",
            LocalReply::PerTryIdleTimeout { .. } => "upstream_per_try_idle_timeout",
        }
    }

    /// The body of the response.
    pub fn body(&self) -> &[u8] {
        match self {
            LocalReply::NoRoute
            | LocalReply::NoCluster(_)
            | LocalReply::BlackHole
            | LocalReply::BadAuthority
            | LocalReply::BadPath
            | LocalReply::NoPath
            | LocalReply::UpgradeRefused
            | LocalReply::Preflight(_)
            | LocalReply::CallerGone => b"",
            LocalReply::BadBody => b"Bad Request",
            LocalReply::SlowRequest | LocalReply::StreamIdle => b"stream timeout",
            LocalReply::RequestTimeout => b"request timeout",
            LocalReply::StreamDuration { .. } => b"downstream duration timeout",
            LocalReply::Direct { body, .. } => body,
            LocalReply::Aborted { .. } => b"fault filter abort",
            LocalReply::Limited(_) => b"local_rate_limited",
            LocalReply::Overloaded(overloaded) => overloaded.body.as_bytes(),
            LocalReply::NoHealthyUpstream => b"no healthy upstream",
            LocalReply::Reset {
                reason, retried, ..
            } => reason.body(*retried).as_bytes(),
            LocalReply::RouteTimeout
            | LocalReply::PerTryTimeout { .. }
            | LocalReply::PerTryIdleTimeout { .. } => b"upstream request timeout",
        }
    }

    /// Converts the reply to a response. `finish` applies the router's header changes. With `grpc` the status is sent
    /// in headers, because the caller uses gRPC. A body has the content type `text/plain` unless `finish` sets another
    /// one, and an empty body has none, as in Envoy. With `suppress_envoy_headers` no `x-envoy-*` header is set.
    pub fn into_response(
        self,
        grpc: bool,
        suppress_envoy_headers: bool,
        finish: impl FnOnce(&mut HeaderMap),
    ) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::empty());
        let headers = response.headers_mut();
        match &self {
            LocalReply::Direct {
                location: Some(location),
                ..
            } => {
                headers.insert(LOCATION, location.clone());
            }
            LocalReply::Reset {
                reason: ResetReason::Overflow,
                ..
            } if !suppress_envoy_headers => {
                headers.insert(OVERLOADED, HeaderValue::from_static("true"));
            }
            _ => {}
        }
        if let LocalReply::Preflight(answer) = self {
            *headers = *answer;
            return response;
        }
        finish(headers);
        let body = self.body();
        if grpc {
            self.write_grpc(headers);
        } else {
            if !body.is_empty() && !headers.contains_key(CONTENT_TYPE) {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            }
            *response.status_mut() = self.status();
            *response.body_mut() = ResponseBody::full(Bytes::copy_from_slice(body));
        }
        response
    }

    /// Converts the reply to gRPC: status 200 without a body. Source: Envoy, `Http::Utility::prepareLocalReply`.
    fn write_grpc(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
        headers.insert(GRPC_STATUS, self.grpc_code());
        let message = self.body();
        if !message.is_empty()
            && let Ok(message) = HeaderValue::try_from(grpc::message(message))
        {
            headers.insert(GRPC_MESSAGE, message);
        }
    }

    fn grpc_code(&self) -> HeaderValue {
        let status = match self {
            // The configured number is sent even if gRPC does not define it.
            LocalReply::Aborted {
                grpc: Some(code), ..
            } => return HeaderValue::from(*code),
            LocalReply::Limited(Limited {
                resource_exhausted: true,
                ..
            }) => GrpcStatus::ResourceExhausted,
            LocalReply::StreamDuration { .. } => GrpcStatus::DeadlineExceeded,
            _ => GrpcStatus::from_http(self.status().as_u16()),
        };
        HeaderValue::from(status)
    }
}

/// A status from the configuration, which has been validated.
pub(crate) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

#[cfg(test)]
mod tests;
