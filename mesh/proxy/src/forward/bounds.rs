//! The bounds of a request in time. Source: Envoy, `FilterUtility::finalTimeout`.

use std::time::Duration;

use http::HeaderMap;
use shakedown_xds::table::{GrpcTimeout, RouteAction};

use super::grpc;
use crate::respond::is_grpc;

/// How long what may take. `None`: as long as it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// All tries together.
    pub(super) route: Option<Duration>,
    /// Each try, from when it has a connection.
    pub(super) per_try: Option<Duration>,
    /// Each try without a sign of its upstream.
    pub(super) per_try_idle: Option<Duration>,
    /// The request without a sign of either side.
    pub(super) idle: Option<Duration>,
    /// Whether gRPC's own header tells the upstream.
    pub(super) tell_grpc: bool,
    /// Whether a try goes on after its timeout, so that its upstream has the route's time.
    pub(super) per_try_is_soft: bool,
}

impl Bounds {
    pub(super) fn of(action: &RouteAction, idle: Option<Duration>, headers: &HeaderMap) -> Bounds {
        let some = |span: Option<Duration>| span.filter(|span| !span.is_zero());
        let grpc = action.grpc_timeout.filter(|_| is_grpc(headers));
        let route = match grpc {
            Some(timeout) => some(Some(of_caller(timeout, headers))),
            None => some(action.timeout),
        };
        let retry = action.retry.as_ref();
        let per_try = some(retry.and_then(|policy| policy.per_try_timeout));
        Bounds {
            route,
            // One that is not shorter than the route's is none.
            per_try: per_try.filter(|span| route.is_none_or(|route| *span < route)),
            per_try_idle: some(retry.and_then(|policy| policy.per_try_idle_timeout)),
            idle: some(idle),
            tell_grpc: grpc.is_some(),
            per_try_is_soft: action.hedge.on_per_try_timeout,
        }
    }

    /// What an upstream is told: how long it has. `None`: for ever.
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

/// The caller's own timeout, less the offset where that leaves anything, up to the maximum. Zero is none, to both.
fn of_caller(timeout: GrpcTimeout, headers: &HeaderMap) -> Duration {
    let mut span = grpc::timeout(headers).unwrap_or_default();
    if timeout.offset < span {
        span -= timeout.offset;
    }
    let capped = !timeout.max.is_zero() && (span.is_zero() || span > timeout.max);
    if capped { timeout.max } else { span }
}
