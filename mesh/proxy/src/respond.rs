//! The answers that the proxy gives by itself: Envoy's local replies, with their status, body, response flag and details.
//!
//! Every stage of the request line returns `Result<_, Reject>`; this is the one place where a [`Reject`] becomes a
//! response. An answer that came from upstream never passes through here.

mod grpc;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use shakedown_types::grpc::{CONTENT_TYPE as GRPC_CONTENT_TYPE, STATUS as GRPC_STATUS};
use shakedown_types::{GrpcStatus, ResponseFlags};
use shakedown_wire::Body;

pub(crate) use grpc::{is_grpc, status as grpc_status};

const OVERLOADED: HeaderName = HeaderName::from_static("x-envoy-overloaded");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// The details of what took too long as a whole.
pub(crate) const MAX_DURATION: &str = "max_duration_timeout";

/// Why a try ended without response headers, in Envoy's words.
/// Source: Envoy, `Http::Utility::resetReasonToString` and `Router::Filter::streamResetReasonToResponseFlag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// The connection was refused.
    ConnectionRefused,
    /// There was no connection for another reason: the host is unreachable.
    RemoteConnectionFailure,
    /// The connection was not there within the cluster's connect timeout.
    ConnectionTimeout,
    /// The connection closed before the response headers.
    ConnectionTermination,
    /// The upstream spoke no HTTP.
    ProtocolError,
    /// A limit of the cluster's circuit breaker was met.
    Overflow,
    /// The upstream reset the stream.
    RemoteReset,
    /// The upstream refused the stream: it has not begun with it.
    RemoteRefusedStreamReset,
}

impl ResetReason {
    /// Whether the request cannot have reached the upstream, since there was no connection.
    pub fn is_connect_failure(self) -> bool {
        matches!(
            self,
            ResetReason::ConnectionRefused
                | ResetReason::RemoteConnectionFailure
                | ResetReason::ConnectionTimeout
        )
    }

    /// The response flag of a try that ended so.
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
            // What the socket said stands behind the bar, with underscores for its spaces.
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

    /// The body, which tells whether this was the first try.
    fn body(self, retried: bool) -> &'static str {
        /// Both forms of the body for one reason.
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

/// A request that is not taken on, since there is too much already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: &'static str,
    /// The response code details.
    pub details: &'static str,
    /// The response flags.
    pub flags: ResponseFlags,
}

/// What the rate limit answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// The status.
    pub status: StatusCode,
    /// Whether gRPC callers are told RESOURCE_EXHAUSTED.
    pub resource_exhausted: bool,
}

/// A request that the proxy answers by itself. The rows are those of Envoy's local replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reject {
    /// No virtual host, or no route in it.
    NoRoute,
    /// The route names a cluster that is not known; it says the status.
    NoCluster(StatusCode),
    /// The route is an answer.
    Direct {
        /// Its status.
        status: StatusCode,
        /// Its body.
        body: Arc<[u8]>,
        /// Where it sends its caller, if it does.
        location: Option<HeaderValue>,
    },
    /// A preflight, which asks for leave.
    Preflight(Box<HeaderMap>),
    /// A fault, made on purpose.
    Aborted {
        /// The status.
        status: StatusCode,
        /// The status that gRPC callers are told, where it is one of theirs.
        grpc: Option<u32>,
    },
    /// One too many for the rate limit.
    Limited(Limited),
    /// Too much for the app, or for the upstream.
    Overloaded(Overloaded),
    /// The cluster has no endpoint to try.
    NoHealthyUpstream,
    /// A destination outside the mesh, which the mesh does not allow.
    BlackHole,
    /// A request without an authority, or with one that is none.
    BadAuthority,
    /// A path that a rewrite has made none.
    BadPath,
    /// The caller has gone: nobody reads the answer.
    CallerGone,
    /// A body whose framing is broken: its connection ends here.
    BadBody,
    /// A target that is no path.
    NoPath,
    /// An upgrade that nobody has allowed.
    UpgradeRefused,
    /// The caller gave no sign for too long, and its request was not complete.
    SlowRequest,
    /// The request was not complete in time.
    RequestTimeout,
    /// The request and its answer took too long together.
    StreamDuration {
        /// Whether all of the request had come.
        received: bool,
    },
    /// The last try ended before its headers.
    Reset {
        /// How.
        reason: ResetReason,
        /// Whether tries came before it.
        retried: bool,
        /// Whether it would have been tried again, had there been tries left.
        exhausted: bool,
    },
    /// The route's timeout, which covers all tries.
    RouteTimeout,
    /// The last try's own timeout.
    PerTryTimeout {
        /// Whether it would have been tried again, had there been tries left.
        exhausted: bool,
    },
    /// The last try gave no sign for too long.
    PerTryIdleTimeout {
        /// Whether it would have been tried again, had there been tries left.
        exhausted: bool,
    },
    /// Neither side gave a sign for too long; the request was complete.
    StreamIdle,
}

impl Reject {
    /// The status that the caller sees.
    pub fn status(&self) -> StatusCode {
        match self {
            Reject::NoRoute => StatusCode::NOT_FOUND,
            Reject::NoCluster(status)
            | Reject::Direct { status, .. }
            | Reject::Aborted { status, .. }
            | Reject::Limited(Limited { status, .. })
            | Reject::Overloaded(Overloaded { status, .. }) => *status,
            Reject::Preflight(_) => StatusCode::OK,
            Reject::NoHealthyUpstream => StatusCode::SERVICE_UNAVAILABLE,
            Reject::BlackHole => StatusCode::BAD_GATEWAY,
            Reject::BadAuthority | Reject::BadPath | Reject::BadBody | Reject::CallerGone => {
                StatusCode::BAD_REQUEST
            }
            Reject::NoPath => StatusCode::NOT_FOUND,
            Reject::UpgradeRefused => StatusCode::FORBIDDEN,
            Reject::SlowRequest
            | Reject::RequestTimeout
            | Reject::StreamDuration { received: false } => StatusCode::REQUEST_TIMEOUT,
            Reject::Reset { reason, .. } => reason.status(),
            Reject::RouteTimeout
            | Reject::PerTryTimeout { .. }
            | Reject::PerTryIdleTimeout { .. }
            | Reject::StreamDuration { received: true }
            | Reject::StreamIdle => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Envoy's response flags.
    pub fn flags(&self) -> ResponseFlags {
        let exhausted = |flags: ResponseFlags, spent: bool| {
            if spent {
                flags | ResponseFlags::URX
            } else {
                flags
            }
        };
        match self {
            Reject::NoRoute => ResponseFlags::NR,
            Reject::NoCluster(_) => ResponseFlags::NC,
            Reject::NoHealthyUpstream => ResponseFlags::UH,
            Reject::BlackHole | Reject::Direct { .. } | Reject::Preflight(_) => {
                ResponseFlags::empty()
            }
            Reject::BadAuthority
            | Reject::BadPath
            | Reject::NoPath
            | Reject::UpgradeRefused
            | Reject::RequestTimeout
            | Reject::StreamDuration { .. } => ResponseFlags::empty(),
            Reject::SlowRequest | Reject::StreamIdle => ResponseFlags::SI,
            Reject::Aborted { .. } => ResponseFlags::FI,
            Reject::Limited(_) => ResponseFlags::RL,
            Reject::Overloaded(overloaded) => overloaded.flags,
            Reject::CallerGone => ResponseFlags::DC,
            Reject::BadBody => ResponseFlags::DPE,
            Reject::Reset {
                reason,
                exhausted: spent,
                ..
            } => exhausted(reason.flags(), *spent),
            Reject::RouteTimeout => ResponseFlags::UT,
            Reject::PerTryTimeout { exhausted: spent }
            | Reject::PerTryIdleTimeout { exhausted: spent } => {
                exhausted(ResponseFlags::UT, *spent)
            }
        }
    }

    /// The flags of the try that led to this, if one did.
    pub fn try_flags(&self) -> ResponseFlags {
        match self {
            Reject::Reset { reason, .. } => reason.flags(),
            Reject::RouteTimeout | Reject::PerTryTimeout { .. } => ResponseFlags::UT,
            Reject::CallerGone | Reject::BadBody => ResponseFlags::DC,
            _ => ResponseFlags::empty(),
        }
    }

    /// Envoy's response code details.
    pub fn details(&self) -> &'static str {
        match self {
            Reject::NoRoute => "route_not_found",
            Reject::NoCluster(_) => "cluster_not_found",
            Reject::NoHealthyUpstream => "no_healthy_upstream",
            Reject::BlackHole | Reject::Direct { .. } => "direct_response",
            Reject::Preflight(_) => "cors_response",
            Reject::Aborted { .. } => "fault_filter_abort",
            Reject::Limited(_) => "local_rate_limited",
            Reject::Overloaded(overloaded) => overloaded.details,
            Reject::BadAuthority => "missing_host_header",
            Reject::BadPath => "path_normalization_failed",
            Reject::NoPath => "absolute_path_rejected",
            Reject::UpgradeRefused => "upgrade_failed",
            Reject::RequestTimeout => "request_overall_timeout",
            Reject::StreamDuration { .. } => MAX_DURATION,
            Reject::BadBody => "http1.codec_error",
            Reject::CallerGone => "downstream_remote_disconnect",
            Reject::SlowRequest | Reject::StreamIdle => "stream_idle_timeout",
            Reject::Reset { reason, .. } => reason.details(),
            Reject::RouteTimeout => "response_timeout",
            Reject::PerTryTimeout { .. } => "upstream_per_try_timeout",
            Reject::PerTryIdleTimeout { .. } => "upstream_per_try_idle_timeout",
        }
    }

    /// The body that the caller sees.
    pub fn body(&self) -> &[u8] {
        match self {
            Reject::NoRoute
            | Reject::NoCluster(_)
            | Reject::BlackHole
            | Reject::BadAuthority
            | Reject::BadPath
            | Reject::NoPath
            | Reject::UpgradeRefused
            | Reject::Preflight(_)
            | Reject::CallerGone => b"",
            Reject::BadBody => b"Bad Request",
            Reject::SlowRequest | Reject::StreamIdle => b"stream timeout",
            Reject::RequestTimeout => b"request timeout",
            Reject::StreamDuration { .. } => b"downstream duration timeout",
            Reject::Direct { body, .. } => body,
            Reject::Aborted { .. } => b"fault filter abort",
            Reject::Limited(_) => b"local_rate_limited",
            Reject::Overloaded(overloaded) => overloaded.body.as_bytes(),
            Reject::NoHealthyUpstream => b"no healthy upstream",
            Reject::Reset {
                reason, retried, ..
            } => reason.body(*retried).as_bytes(),
            Reject::RouteTimeout
            | Reject::PerTryTimeout { .. }
            | Reject::PerTryIdleTimeout { .. } => b"upstream request timeout",
        }
    }

    /// The response. `finish` is what the router does to its headers; `grpc` says that its caller speaks gRPC, and reads
    /// statuses in headers. A body is plain text unless `finish` has said otherwise; without one there is no content type,
    /// as Envoy has it. `quiet`: it has no header of Envoy's own.
    pub fn into_response(
        self,
        grpc: bool,
        quiet: bool,
        finish: impl FnOnce(&mut HeaderMap),
    ) -> Response<Body> {
        let mut response = Response::new(Body::Empty);
        let headers = response.headers_mut();
        match &self {
            Reject::Direct {
                location: Some(location),
                ..
            } => {
                headers.insert(LOCATION, location.clone());
            }
            Reject::Reset {
                reason: ResetReason::Overflow,
                ..
            } if !quiet => {
                headers.insert(OVERLOADED, HeaderValue::from_static("true"));
            }
            _ => {}
        }
        if let Reject::Preflight(answer) = self {
            *headers = *answer;
            return response;
        }
        finish(headers);
        let body = self.body();
        if grpc {
            self.tell_grpc(headers);
        } else {
            if !body.is_empty() && !headers.contains_key(CONTENT_TYPE) {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            }
            *response.status_mut() = self.status();
            *response.body_mut() = Body::full(Bytes::copy_from_slice(body));
        }
        response
    }

    /// The answer in gRPC's words: always 200, without a body. Source: Envoy, `Http::Utility::prepareLocalReply`.
    fn tell_grpc(&self, headers: &mut HeaderMap) {
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
            // Any number that the configuration names, whether gRPC defines it or not.
            Reject::Aborted {
                grpc: Some(code), ..
            } => return HeaderValue::from(*code),
            Reject::Limited(Limited {
                resource_exhausted: true,
                ..
            }) => GrpcStatus::ResourceExhausted,
            Reject::StreamDuration { .. } => GrpcStatus::DeadlineExceeded,
            _ => GrpcStatus::from_http(self.status().as_u16()),
        };
        HeaderValue::from(status)
    }
}

/// A status of the configuration, which has checked it.
pub(crate) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

#[cfg(test)]
mod tests;
