//! The timeouts of a request. Source: Envoy, `FilterUtility::finalTimeout`.

use std::time::Duration;

use http::HeaderMap;
use shakedown_xds::table::{GrpcTimeout, RouteAction};

use super::grpc;
use crate::respond::is_grpc;

/// The timeouts of one request. `None`: unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AttemptTimeouts {
    /// The time for all attempts together.
    pub(super) route: Option<Duration>,
    /// The time for each attempt, from when it has a connection.
    pub(super) per_try: Option<Duration>,
    /// The longest time of an attempt without data from its upstream.
    pub(super) per_try_idle: Option<Duration>,
    /// The longest time of the request without data from either side.
    pub(super) idle: Option<Duration>,
    /// True if upstreams get the timeout in `grpc-timeout`, too.
    pub(super) set_grpc_timeout: bool,
    /// True if an attempt continues after its timeout, beside a hedge. Its upstream then has the route's time.
    pub(super) per_try_is_soft: bool,
}

impl AttemptTimeouts {
    pub(super) fn for_route(
        action: &RouteAction,
        idle: Option<Duration>,
        headers: &HeaderMap,
    ) -> AttemptTimeouts {
        let some = |span: Option<Duration>| span.filter(|span| !span.is_zero());
        let grpc = action.grpc_timeout.filter(|_| is_grpc(headers));
        let route = match grpc {
            Some(timeout) => some(Some(of_caller(timeout, headers))),
            None => some(action.timeout),
        };
        let retry = action.retry.as_ref();
        let per_try = some(retry.and_then(|policy| policy.per_try_timeout));
        AttemptTimeouts {
            route,
            // A per-try timeout that is not shorter than the route's has no effect.
            per_try: per_try.filter(|span| route.is_none_or(|route| *span < route)),
            per_try_idle: some(retry.and_then(|policy| policy.per_try_idle_timeout)),
            idle: some(idle),
            set_grpc_timeout: grpc.is_some(),
            per_try_is_soft: action.hedge.on_per_try_timeout,
        }
    }

    /// The time left to an upstream, for the headers of an attempt; `None`: unlimited.
    pub(super) fn expected(&self, elapsed: Duration) -> Option<Duration> {
        let left = self.route.map(|route| route.saturating_sub(elapsed));
        let per_try = self.per_try.filter(|_| !self.per_try_is_soft);
        match (per_try, left) {
            (Some(per_try), Some(left)) => Some(per_try.min(left)),
            (Some(bound), None) | (None, Some(bound)) => Some(bound),
            (None, None) => None,
        }
    }
}

/// The caller's timeout, less the offset if it is longer than that, and at most the maximum. Zero means no timeout in
/// both.
fn of_caller(timeout: GrpcTimeout, headers: &HeaderMap) -> Duration {
    let mut span = grpc::timeout(headers).unwrap_or_default();
    if timeout.offset < span {
        span -= timeout.offset;
    }
    let capped = !timeout.max.is_zero() && (span.is_zero() || span > timeout.max);
    if capped { timeout.max } else { span }
}
