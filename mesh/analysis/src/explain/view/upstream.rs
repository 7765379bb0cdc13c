//! The policies of a cluster.

use serde::Serialize;
use shakedown_xds::table::OutlierDetection;

use super::units::millis;

/// The policies of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterPolicies {
    /// The load balancing policy.
    pub balancer: String,
    /// The hashed parts of a request: `header x`, `cookie x`, `source IP`, `query parameter x`.
    pub hash_by: Vec<String>,
    /// The protocol of its connections: `HTTP/1.1`, `HTTP/2`, or `downstream` for that of the request.
    pub protocol: &'static str,
    /// The maximum number of concurrent streams per HTTP/2 connection. `None` for HTTP/1.1.
    pub max_concurrent_streams: Option<u32>,
    pub slow_start: Option<SlowStartView>,
    /// The locality load balancing that has an effect for this caller: `distribute`, by shares of localities, or
    /// `failover`, nearer endpoints first.
    pub locality: Option<&'static str>,
    /// The percentage of healthy endpoints below which all endpoints are used. 0: never.
    pub min_health_percent: u32,
    /// The timeout for establishing a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// The time after which an idle connection is closed, in milliseconds. `None`: never.
    pub idle_timeout_ms: Option<u64>,
    /// The age at which a connection is closed, as soon as it has no active request, in milliseconds. `None`:
    /// unlimited.
    pub max_connection_duration_ms: Option<u64>,
    /// The number of requests after which a connection is closed. `None`: unlimited.
    pub max_requests_per_connection: Option<u32>,
    /// The circuit breaker limits of each proxy. `None`: unlimited.
    pub limits: Option<LimitsView>,
    /// The bound on retries that grows with the number of active requests.
    pub retry_budget: Option<RetryBudgetView>,
    /// Outlier detection. `None`: endpoints are never ejected.
    pub outlier_detection: Option<OutlierDetectionView>,
    pub hedge: Option<HedgeView>,
    pub adaptive_throttle: Option<ThrottleView>,
}

/// The slow start of a new endpoint. Both factors are decimal numbers, formatted as text so that no digit is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlowStartView {
    /// The duration of the slow start, in milliseconds.
    pub window_ms: u64,
    /// The exponent of the increase. 1 is linear.
    pub aggression: String,
    /// The minimum share of the weight, in percent.
    pub min_weight_percent: String,
}

/// The circuit breaker limits of a cluster. `None`: unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LimitsView {
    pub connections: Option<u32>,
    /// Requests that wait for a connection.
    pub pending: Option<u32>,
    /// Active requests.
    pub requests: Option<u32>,
    pub retries: Option<u32>,
}

/// A bound on retries that grows with the number of active requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetryBudgetView {
    /// The share of active requests, in parts per million.
    pub share_ppm: u32,
    /// The number of retries that is always allowed.
    pub min_concurrency: u32,
}

/// The conditions under which an endpoint is ejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutlierDetectionView {
    /// The number of consecutive 5xx responses. `None`: not enforced.
    pub consecutive_5xx: Option<u32>,
    /// The number of consecutive 502, 503 and 504 responses. `None`: not enforced.
    pub consecutive_gateway_errors: Option<u32>,
    /// True if failures to reach an endpoint are counted separately from its responses.
    pub split_local_origin: bool,
    /// The number of consecutive failures to reach it. `None`: not enforced separately.
    pub consecutive_local_origin_failures: Option<u32>,
    /// The time between two evaluations of all endpoints, in milliseconds.
    pub interval_ms: u64,
    /// The ejection time of a first ejection, in milliseconds.
    pub base_ejection_time_ms: u64,
    /// The maximum share of ejected endpoints, in percent.
    pub max_ejection_percent: u32,
}

impl OutlierDetectionView {
    pub(in super::super) fn new(outlier: &OutlierDetection) -> OutlierDetectionView {
        let counted = |limit: u32, enforcing: u32| (enforcing > 0).then_some(limit);
        let enforcing = &outlier.enforcing;
        OutlierDetectionView {
            consecutive_5xx: counted(outlier.consecutive_5xx, enforcing.consecutive_5xx),
            consecutive_gateway_errors: counted(
                outlier.consecutive_gateway_failure,
                enforcing.consecutive_gateway_failure,
            ),
            split_local_origin: outlier.split_local_origin,
            consecutive_local_origin_failures: counted(
                outlier.consecutive_local_origin_failure,
                enforcing.consecutive_local_origin_failure,
            )
            .filter(|_| outlier.split_local_origin),
            interval_ms: millis(outlier.interval),
            base_ejection_time_ms: millis(outlier.base_ejection_time),
            max_ejection_percent: outlier.max_ejection_percent,
        }
    }
}

/// The conditions for a further attempt while earlier ones are still open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HedgeView {
    /// True if another attempt starts when one reaches its per-try timeout.
    pub on_per_try_timeout: bool,
    /// The time without a response after which another attempt starts, in milliseconds.
    pub after_ms: Option<u64>,
    /// The maximum number of attempts started by `after_ms`.
    pub times: u32,
    /// The maximum share of such attempts, in parts per million of all requests.
    pub budget_ppm: Option<u32>,
}

/// Adaptive client-side throttling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThrottleView {
    /// The number of requests sent per accepted request, in thousandths.
    pub k_milli: u32,
    /// The length of the window of past requests, in milliseconds.
    pub window_ms: u64,
}
