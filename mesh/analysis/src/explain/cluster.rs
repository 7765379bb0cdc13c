//! The policies that a cluster applies to the requests of a route.

use std::time::Duration;

use shakedown_xds::table::{
    Cluster, HashBy, HashPolicy, HedgePolicy, Limits, RequestView, RouteAction, UpstreamProtocol,
    cookie_value, query_value,
};

use super::view::{
    ClusterPolicies, HedgeView, LimitsView, OutlierDetectionView, RetryBudgetView, SlowStartView,
    ThrottleView, millis,
};

/// Returns the policies for the requests of a route in a cluster. `fails_over`: true if the cluster has endpoints of
/// more than one priority.
pub(super) fn policies(
    cluster: &Cluster,
    action: &RouteAction,
    request: &RequestView<'_>,
    fails_over: bool,
) -> ClusterPolicies {
    let limits = cluster.limits.for_priority(action.priority);
    let hash = action.hash.iter().filter(|_| cluster.lb.is_hashing());
    ClusterPolicies {
        balancer: cluster.lb.name().into(),
        hash_by: hash.map(|policy| hashed(policy, request)).collect(),
        protocol: match cluster.protocol {
            UpstreamProtocol::Http1 => "HTTP/1.1",
            UpstreamProtocol::Http2 { .. } => "HTTP/2",
            UpstreamProtocol::Downstream { .. } => "downstream",
        },
        max_concurrent_streams: match cluster.protocol {
            UpstreamProtocol::Http1 => None,
            UpstreamProtocol::Http2 {
                max_concurrent_streams,
            }
            | UpstreamProtocol::Downstream {
                max_concurrent_streams,
            } => Some(max_concurrent_streams),
        },
        slow_start: cluster.lb.slow_start().map(|slow| SlowStartView {
            window_ms: millis(slow.window),
            aggression: slow.aggression.to_string(),
            min_weight_percent: (slow.min_weight * 100.0).to_string(),
        }),
        locality: match (cluster.lb_options.by_locality, fails_over) {
            (true, _) => Some("distribute"),
            (false, true) => Some("failover"),
            (false, false) => None,
        },
        min_health_percent: cluster.lb_options.panic_percent,
        connect_timeout_ms: millis(cluster.connect_timeout),
        idle_timeout_ms: cluster.idle_timeout.map(millis),
        max_connection_duration_ms: cluster.max_connection_duration.map(millis),
        max_requests_per_connection: cluster.max_requests_per_connection,
        limits: limits_view(&limits),
        retry_budget: limits.retry_budget.map(|budget| RetryBudgetView {
            share_ppm: budget.share_ppm,
            min_concurrency: budget.min_concurrency,
        }),
        outlier_detection: cluster.outlier.as_deref().map(OutlierDetectionView::new),
        hedge: hedge(action.hedge).or_else(|| cluster.policy.hedge.and_then(hedge)),
        adaptive_throttle: cluster.policy.throttle.map(|throttle| ThrottleView {
            k_milli: throttle.k_milli,
            window_ms: millis(throttle.window),
        }),
    }
}

/// Describes a hash component, and notes if the request lacks it. A request that lacks all of them is balanced at
/// random.
fn hashed(policy: &HashPolicy, request: &RequestView<'_>) -> String {
    let (words, is_there) = match &policy.by {
        HashBy::Header(key) => {
            let name = super::headers::name(key);
            (format!("header {name}"), key.first(request).is_some())
        }
        HashBy::Cookie(cookie) => {
            let words = format!("cookie {}", cookie.name);
            let has =
                cookie_value(request.headers, &cookie.name).is_some_and(|value| !value.is_empty());
            match &cookie.ttl {
                Some(_) if !has => return format!("{words} (absent: the proxy sets one)"),
                _ => (words, has),
            }
        }
        HashBy::SourceIp => return "source IP".into(),
        HashBy::Query(name) => (
            format!("query parameter {name}"),
            query_value(request.path, name).is_some(),
        ),
    };
    if is_there {
        words
    } else {
        format!("{words} (absent)")
    }
}

/// Returns the limits, or `None` if all are unlimited.
pub(super) fn limits_view(limits: &Limits) -> Option<LimitsView> {
    let bound = |limit: u32| (limit != u32::MAX).then_some(limit);
    let view = LimitsView {
        connections: bound(limits.connections),
        pending: bound(limits.pending),
        requests: bound(limits.requests),
        // A retry budget replaces the fixed limit.
        retries: bound(limits.retries).filter(|_| limits.retry_budget.is_none()),
    };
    (view != LimitsView::default()).then_some(view)
}

fn hedge(policy: HedgePolicy) -> Option<HedgeView> {
    (policy != HedgePolicy::default()).then(|| HedgeView {
        on_per_try_timeout: policy.on_per_try_timeout,
        after_ms: policy.after.map(millis),
        times: policy.after.map_or(0, |_: Duration| policy.times),
        budget_ppm: policy.budget_ppm,
    })
}
