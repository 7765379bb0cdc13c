//! The answers that the proxy gives by itself: Envoy's local replies, with their status, body, response flag and details.
//!
//! Every stage of the request line returns `Result<_, Reject>`; this is the one place where a [`Reject`] becomes a
//! response. An answer that came from upstream never passes through here.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use shakedown_env::Flags;
use shakedown_wire::Body;

/// Why a try ended without response headers, in Envoy's words.
/// Source: Envoy, `Http::Utility::resetReasonToString` and `Router::Filter::streamResetReasonToResponseFlag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// The connection was refused, or the host unreachable.
    RemoteConnectionFailure,
    /// The connection was not there within the cluster's connect timeout.
    ConnectionTimeout,
    /// The connection closed before the response headers.
    ConnectionTermination,
    /// The upstream spoke no HTTP.
    ProtocolError,
}

impl ResetReason {
    /// Whether the request cannot have reached the upstream, since there was no connection.
    pub fn is_connect_failure(self) -> bool {
        matches!(
            self,
            ResetReason::RemoteConnectionFailure | ResetReason::ConnectionTimeout
        )
    }

    /// The response flag of a try that ended so.
    pub fn flags(self) -> Flags {
        match self {
            ResetReason::RemoteConnectionFailure | ResetReason::ConnectionTimeout => Flags::UF,
            ResetReason::ConnectionTermination | ResetReason::ProtocolError => Flags::UC,
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
            ResetReason::RemoteConnectionFailure => body!("remote connection failure"),
            ResetReason::ConnectionTimeout => body!("connection timeout"),
            ResetReason::ConnectionTermination => body!("connection termination"),
            ResetReason::ProtocolError => body!("protocol error"),
        }
    }
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
        body: Arc<str>,
    },
    /// The cluster has no endpoint to try.
    NoHealthyUpstream,
    /// A destination outside the mesh, which the mesh does not allow.
    BlackHole,
    /// A request without an authority, or with one that is none.
    BadAuthority,
    /// The caller has gone: nobody reads the answer.
    CallerGone,
    /// The caller took too long over its body.
    SlowRequest,
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
}

impl Reject {
    /// The status that the caller sees.
    pub fn status(&self) -> StatusCode {
        match self {
            Reject::NoRoute => StatusCode::NOT_FOUND,
            Reject::NoCluster(status) | Reject::Direct { status, .. } => *status,
            Reject::NoHealthyUpstream => StatusCode::SERVICE_UNAVAILABLE,
            Reject::BlackHole => StatusCode::BAD_GATEWAY,
            Reject::BadAuthority | Reject::CallerGone => StatusCode::BAD_REQUEST,
            Reject::SlowRequest => StatusCode::REQUEST_TIMEOUT,
            Reject::Reset { reason, .. } => reason.status(),
            Reject::RouteTimeout | Reject::PerTryTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Envoy's response flags.
    pub fn flags(&self) -> Flags {
        let exhausted =
            |flags: Flags, spent: bool| if spent { flags.with(Flags::URX) } else { flags };
        match self {
            Reject::NoRoute => Flags::NR,
            Reject::NoCluster(_) => Flags::NC,
            Reject::NoHealthyUpstream => Flags::UH,
            Reject::BlackHole | Reject::Direct { .. } => Flags::NONE,
            Reject::BadAuthority | Reject::SlowRequest => Flags::NONE,
            Reject::CallerGone => Flags::DC,
            Reject::Reset {
                reason,
                exhausted: spent,
                ..
            } => exhausted(reason.flags(), *spent),
            Reject::RouteTimeout => Flags::UT,
            Reject::PerTryTimeout { exhausted: spent } => exhausted(Flags::UT, *spent),
        }
    }

    /// The flags of the try that led to this, if one did.
    pub fn try_flags(&self) -> Flags {
        match self {
            Reject::Reset { reason, .. } => reason.flags(),
            Reject::RouteTimeout | Reject::PerTryTimeout { .. } => Flags::UT,
            Reject::CallerGone => Flags::DC,
            _ => Flags::NONE,
        }
    }

    /// Envoy's response code details.
    pub fn details(&self) -> &'static str {
        match self {
            Reject::NoRoute => "route_not_found",
            Reject::NoCluster(_) => "cluster_not_found",
            Reject::NoHealthyUpstream => "no_healthy_upstream",
            Reject::BlackHole | Reject::Direct { .. } => "direct_response",
            Reject::BadAuthority => "missing_host_header",
            Reject::CallerGone => "downstream_remote_disconnect",
            Reject::SlowRequest => "stream_idle_timeout",
            Reject::Reset { reason, .. } => reason.details(),
            Reject::RouteTimeout => "response_timeout",
            Reject::PerTryTimeout { .. } => "upstream_per_try_timeout",
        }
    }

    /// The body that the caller sees.
    pub fn body(&self) -> &str {
        match self {
            Reject::NoRoute
            | Reject::NoCluster(_)
            | Reject::BlackHole
            | Reject::BadAuthority
            | Reject::CallerGone => "",
            Reject::SlowRequest => "stream timeout",
            Reject::Direct { body, .. } => body,
            Reject::NoHealthyUpstream => "no healthy upstream",
            Reject::Reset {
                reason, retried, ..
            } => reason.body(*retried),
            Reject::RouteTimeout | Reject::PerTryTimeout { .. } => "upstream request timeout",
        }
    }

    /// The response. A body is plain text; without one there is no content type either, as Envoy has it.
    pub fn into_response(self) -> Response<Body> {
        let body = self.body();
        let has_body = !body.is_empty();
        let mut response = Response::new(Body::full(Bytes::copy_from_slice(body.as_bytes())));
        *response.status_mut() = self.status();
        if has_body {
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: ResetReason = ResetReason::RemoteConnectionFailure;

    /// One row of the table: status, body, flags, details.
    fn row(reject: Reject) -> (u16, &'static str, String, &'static str) {
        let body = reject.body().to_owned().leak();
        (
            reject.status().as_u16(),
            body,
            reject.flags().to_string(),
            reject.details(),
        )
    }

    #[test]
    fn every_local_reply_is_envoys() {
        let reset = |reason, retried, exhausted| {
            row(Reject::Reset {
                reason,
                retried,
                exhausted,
            })
        };
        assert_eq!(
            row(Reject::NoHealthyUpstream),
            (
                503,
                "no healthy upstream",
                "UH".into(),
                "no_healthy_upstream"
            )
        );
        assert_eq!(
            row(Reject::NoRoute),
            (404, "", "NR".into(), "route_not_found")
        );
        assert_eq!(
            row(Reject::NoCluster(StatusCode::SERVICE_UNAVAILABLE)),
            (503, "", "NC".into(), "cluster_not_found")
        );
        assert_eq!(
            row(Reject::BlackHole),
            (502, "", "-".into(), "direct_response")
        );
        assert_eq!(
            row(Reject::RouteTimeout),
            (
                504,
                "upstream request timeout",
                "UT".into(),
                "response_timeout"
            )
        );
        assert_eq!(
            row(Reject::PerTryTimeout { exhausted: true }),
            (
                504,
                "upstream request timeout",
                "UT,URX".into(),
                "upstream_per_try_timeout"
            )
        );
        assert_eq!(
            reset(REFUSED, false, false),
            (
                503,
                "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
                "UF".into(),
                "upstream_reset_before_response_started{remote_connection_failure}"
            )
        );
        assert_eq!(
            reset(REFUSED, true, true),
            (
                503,
                "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection failure",
                "UF,URX".into(),
                "upstream_reset_before_response_started{remote_connection_failure}"
            )
        );
        assert_eq!(
            reset(ResetReason::ConnectionTermination, false, false),
            (
                503,
                "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
                "UC".into(),
                "upstream_reset_before_response_started{connection_termination}"
            )
        );
    }

    #[test]
    fn a_reply_with_a_body_is_plain_text_and_one_without_says_nothing_of_it() {
        let with = Reject::RouteTimeout.into_response();
        assert_eq!(with.headers()[CONTENT_TYPE], "text/plain");
        let without = Reject::NoRoute.into_response();
        assert!(without.headers().is_empty());
    }
}
